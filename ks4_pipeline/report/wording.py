"""Facts of a change report in plain words, and numbers as people write them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ks4_pipeline.report.content import Cell, Changed, Gap, Headline, Indicator, Report, Revision
from ks4_pipeline.structure import Action, Kind
from ks4_pipeline.versions import Bump, VersionNumber

NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
CLASSES = {
    "revised": ("Corrected", "one figure became another"),
    "suppressed": ("Withheld", "a figure became a marker"),
    "released": ("Released", "a marker became a figure"),
    "reflagged": ("Re-marked", "a marker became another marker"),
    "added": ("Rows added", "a row that is new"),
    "removed": ("Rows removed", "a row that is gone"),
}
"""Each class of change: its heading, and what it means."""
_BUMPS = {
    Bump.MAJOR: "something was removed or renamed, so saved queries may break",
    Bump.MINOR: "new data or labels, and nothing removed",
    Bump.PATCH: "corrections to a version already published",
}
_FIRST = VersionNumber(1, 0)
_KINDS = {
    Kind.FILTER: "filter",
    Kind.FILTER_OPTION: "option",
    Kind.INDICATOR: "indicator",
    Kind.COLUMN: "column",
    Kind.GEOGRAPHIC_LEVEL: "geographic level",
    Kind.LOCATION_GROUP: "columns of places",
    Kind.LOCATION: "place",
    Kind.TIME_PERIOD: "time period",
}
_ACTIONS = {Action.ADDED: "Added", Action.REMOVED: "Removed", Action.CHANGED: "Changed"}
_SMALLEST_SHARE = 0.05
_SIGNIFICANT = 6


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 row``, ``1,400 rows``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def figure(value: float, indicator: Indicator) -> str:
    """A figure with its unit and the decimals the publisher shows, with a real minus sign."""
    text = _decimals(abs(value), indicator)
    sign = _MINUS if value < 0 and text.strip("0.,") else ""
    match indicator.unit:
        case "%":
            return f"{sign}{text}%"
        case "pp":
            return f"{sign}{text} pp"
        case "£":
            return f"{sign}£{text}"
        case "£m":
            return f"{sign}£{text} million"
    return f"{sign}{text}"


def difference(old: float, new: float, indicator: Indicator) -> str:
    """By how much a figure moved, with its sign; percentages move by points."""
    unit = "pp" if indicator.unit == "%" else indicator.unit
    text = figure(abs(new - old), Indicator(indicator.column, indicator.label, unit, indicator.decimals))
    return f"{'+' if new > old else _MINUS}{text}"


def cell(found: Cell, indicator: Indicator) -> str:
    """A figure, or the marker in its place, or a dash where there is no row."""
    if found.value is not None:
        return figure(found.value, indicator)
    return found.marker or NOTHING


def share(gap: Gap | None) -> str:
    """A share in per cent: 0% and 100% only where it is exactly that."""
    found = None if gap is None else gap.share
    if gap is None or found is None:
        return NOTHING
    if gap.markers and found < _SMALLEST_SHARE:
        return "<0.1%"
    if gap.markers < gap.cells and found >= 100 - _SMALLEST_SHARE:
        return ">99.9%"
    return f"{found:.1f}%" if gap.markers not in {0, gap.cells} else f"{found:.0f}%"


def span(periods: Sequence[str]) -> str:
    """``2018/19 to 2024/25``."""
    if not periods:
        return "no period"
    return periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"


def lead(report: Report) -> str:
    """The most important thing about a version, in one sentence or two."""
    about, changed = report.about, report.changed
    version = f"Version {about.version}"
    if changed is None:
        held = f"It has {count(about.rows, 'row')} with {count(about.indicators, 'indicator')}"
        first = f"{version} is the first version we hold, so there is nothing to compare it with."
        return f"{first} {held}, {span(report.periods)}."
    if not sum(changed.counts.values()):
        if changed.structure:
            return f"{version} changes no figure of version {changed.before}, only how they are laid out."
        return f"{version} has the same figures as version {changed.before}."
    revised = changed.counts["revised"]
    if not revised:
        return f"{version} corrects no figure. {_listed(_others(changed))}."
    verb = "corrects" if about.version.bump is Bump.PATCH else "restates"
    indicators = sum(1 for one in changed.by_indicator if one.of.get("revised"))
    largest = f"; largest: {revision(changed.largest[0])}" if changed.largest else ""
    return f"{version} {verb} {count(revised, 'figure')} in {count(indicators, 'indicator')}{largest}."


def points(report: Report) -> list[str]:
    """What else is worth knowing at once, a sentence each."""
    about, changed = report.about, report.changed
    found = []
    if about.withdrawn:
        found.append(f"The publisher withdrew this version on {about.withdrawn:%-d %B %Y}: do not use it.")
    elif about.status != "Published":
        found.append(f"The publisher's status of this version is {about.status}.")
    if changed is not None and changed.counts["revised"]:
        others = _others(changed)
        found += [f"{_listed(others)}."] if others else []
    if changed is not None:
        cells = about.rows * about.indicators
        if changed.cells:
            part = share(Gap(cells, changed.cells))
            found.append(f"In all {count(changed.cells, 'cell')} changed, of {cells:,} in this version ({part}).")
        if report.headline:
            found.append(_headline_point(report.headline, changed))
        found += [f"{_sentence(heading)}: {_listed_items(items)}." for heading, items in changed.structure.items()]
        if not changed.key_is_unique:
            found.append("Some rows cannot be told apart: those are counted as removed and added.")
    failed = [check for check in report.checks if not check.passed]
    if failed:
        found.append(f"{count(len(failed), 'check')} of {len(report.checks)} found something to look at.")
    elif report.checks:
        found.append(f"All {len(report.checks)} checks of quality passed.")
    return found


def meaning(version: VersionNumber) -> str:
    """What a version number says it is, in words."""
    return "the first version" if version == _FIRST else _BUMPS[version.bump]


def revision(found: Revision) -> str:
    """``Percentage … (CPPO at any point, 2021/22) from 12.5% to 18.6%``."""
    where = ", ".join(part for part in (found.where.replace(" · ", ", "), found.period) if part)
    old, new = (figure(value, found.indicator) for value in (found.old, found.new))
    return f"{found.indicator.label} ({where}) from {old} to {new}"


def held_at(headline: Headline) -> str:
    """``England. At their total (All pupils): Ethnicity, Placement.``."""
    by_total: dict[str, list[str]] = {}
    for label, total in headline.fixed:
        by_total.setdefault(total, []).append(label)
    found = [headline.place] if headline.place else []
    found += [f"At their total ({total}): {', '.join(labels)}" for total, labels in by_total.items()]
    return " ".join(f"{part}." for part in found)


def within(label: str) -> str:
    """A label inside a sentence: ``Social care group`` as ``social care group``, and ``SEN`` as it is."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def heading(kind: str, action: str) -> str:
    """``Added: time period``, of an entry of the publisher's change log."""
    return f"{_ACTIONS[Action(action)]}: {_KINDS[Kind(kind)]}"


def _headline_point(headline: Headline, changed: Changed) -> str:
    """Whether figures that people may have quoted are others now."""
    pairs = [point for point in headline.points.values() if point.before is not None]
    moved = sum(point.was_other for point in pairs)
    of = f"the {len(pairs):,} headline figures that version {changed.before} gave too"
    return (
        f"Of {of}, {moved:,} {'is another' if moved == 1 else 'are others'} now." if moved else f"None of {of} changed."
    )


def _others(changed: Changed) -> list[str]:
    """What changed besides corrections, as parts of one sentence."""
    cells = {
        "suppressed": "{} withheld that {} shown before",
        "released": "{} shown that {} not shown before",
    }
    found = []
    for name, text in cells.items():
        number = changed.counts[name]
        if number:
            found.append(text.format(count(number, "figure"), "was" if number == 1 else "were"))
    if changed.counts["reflagged"]:
        found.append(f"{count(changed.counts['reflagged'], 'missing figure')} given another reason")
    found += [f"{count(changed.counts[name], 'row')} {name}" for name in ("added", "removed") if changed.counts[name]]
    return found


def _listed(parts: Sequence[str]) -> str:
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return _sentence(text)


def _listed_items(items: Sequence[str], most: int = 4) -> str:
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _decimals(value: float, indicator: Indicator) -> str:
    if indicator.decimals is not None:
        return f"{value:,.{indicator.decimals}f}"
    if value.is_integer():
        return f"{value:,.0f}"
    text = f"{value:,.{_SIGNIFICANT}f}".rstrip("0").rstrip(".")
    return text if text.strip("0.,") else f"{value:.{_SIGNIFICANT}g}"


def class_headings(counts: Mapping[str, int]) -> list[str]:
    """The classes that occur, in their fixed order."""
    return [name for name in CLASSES if counts.get(name)]
