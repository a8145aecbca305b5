"""Audit of the publisher's promise: what a version's number and ``/changes`` say, against what we saw in the files.

Pure: a comparison's facts and the announced changes in, check results out. Nothing here blocks a version; it is
published, and this says what to look out for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ks4_pipeline.ees.vocabulary import TIME_IDENTIFIERS_BY_CODE, csv_time_period
from ks4_pipeline.quality import CheckResult, Severity
from ks4_pipeline.structure import Action, Item, Kind
from ks4_pipeline.versions import Bump, VersionNumber

NOTHING_REMOVED = "nothing_removed"
ROWS_KEPT = "rows_kept"
COLUMNS_KEEP_NAMES = "columns_keep_names"
GRAIN_UNCHANGED = "grain_unchanged"
SEEN_WAS_ANNOUNCED = "seen_was_announced"
ANNOUNCED_WAS_SEEN = "announced_was_seen"
SOMETHING_CHANGED = "something_changed"
KEY_UNIQUE = "key_unique"

CHECKS: dict[str, str] = {
    NOTHING_REMOVED: "No column, option, year, level or place is gone; for a minor or patch version that is a promise.",
    ROWS_KEPT: "No row is gone; for a minor or patch version that is a promise.",
    COLUMNS_KEEP_NAMES: "No column has a new name under the same id.",
    GRAIN_UNCHANGED: "No new filter: with one, old totals stand beside their parts, and sums double.",
    SEEN_WAS_ANNOUNCED: "Every structural change seen in the file is in the publisher's change log.",
    ANNOUNCED_WAS_SEEN: "Every structural change in the publisher's change log is seen in the file.",
    SOMETHING_CHANGED: "The version differs from the one before it in some figure, row or column.",
    KEY_UNIQUE: "Time, geography and filters tell the rows of both versions apart, so that every cell has its pair.",
}
"""Every check of a version against the one before it, and what it asserts."""

_SHOWN = 12
_SOURCE = "the API's rules of versions and its change log"


@dataclass(frozen=True)
class Seen:
    """What a comparison saw.

    Attributes:
        new: the version that made the changes.
        structure: what differs besides figures.
        counts: changed cells and rows by class.
        key_is_unique: whether rows could be told apart.
        totals: filters only one version has, and the option that stands for their total.
    """

    new: VersionNumber
    structure: tuple[Item, ...]
    counts: Mapping[str, int]
    key_is_unique: bool
    totals: Mapping[str, str | None]


def audit(seen: Seen, announced: Sequence[Item] | None) -> tuple[CheckResult, ...]:
    """The checks of a version against the one before it.

    Args:
        seen: what the comparison saw.
        announced: the version's change log; None when it is relative to another version than the one compared with.
    """
    results = [
        _nothing_removed(seen),
        _rows_kept(seen),
        _columns_keep_names(seen),
        _grain_unchanged(seen),
        _something_changed(seen),
        _key_unique(seen),
    ]
    if announced is not None:
        results += _against_announcement(seen, announced)
    return tuple(replace(result, asserts=CHECKS[result.name], source=_SOURCE) for result in results)


def announced_item(
    kind: str, action: str, within: str | None, previous: Mapping[str, object], current: Mapping[str, object]
) -> Item:
    """One announced change in the words of the file.

    Args:
        kind: the list of ``/changes`` it stands in.
        action: added, removed or changed.
        within: the filter's column or the level's label, for options and places.
        previous: the publisher's description before; empty when it was added.
        current: the publisher's description now; empty when it was removed.
    """
    name = _name(Kind(kind), current or previous)
    was = _name(Kind(kind), previous) if action == Action.CHANGED else ""
    return Item(Kind(kind), Action(action), within or "", name, was if was != name else "")


def _nothing_removed(seen: Seen) -> CheckResult:
    gone = [item for item in seen.structure if item.action is Action.REMOVED]
    promised = seen.new.bump is not Bump.MAJOR
    return CheckResult(
        NOTHING_REMOVED,
        passed=not gone,
        affected=len(gone),
        detail=_listed(f"This {seen.new.bump} version removed", gone) if gone else "Nothing is gone.",
        severity=Severity.ERROR if promised else Severity.WARN,
    )


def _rows_kept(seen: Seen) -> CheckResult:
    gone = seen.counts["removed"]
    return CheckResult(
        ROWS_KEPT,
        passed=not gone,
        affected=gone,
        detail=f"{gone} rows of the version before are gone, {seen.counts['added']} are new.",
    )


def _columns_keep_names(seen: Seen) -> CheckResult:
    renamed = [
        item
        for item in seen.structure
        if item.action is Action.CHANGED and item.kind in {Kind.FILTER, Kind.INDICATOR, Kind.COLUMN}
    ]
    return CheckResult(
        COLUMNS_KEEP_NAMES,
        passed=not renamed,
        affected=len(renamed),
        detail=_listed("Under the same id", renamed) + " history and revisions have it under the new name."
        if renamed
        else "No column was renamed.",
    )


def _grain_unchanged(seen: Seen) -> CheckResult:
    new = [item.name for item in seen.structure if (item.kind, item.action) == (Kind.FILTER, Action.ADDED)]
    parts = []
    for name in new:
        total = seen.totals.get(name)
        keep = f"keep {name} = '{total}' to go on as before" if total else "no option looks like its total"
        parts.append(f"new filter {name}: sums over the table now count each pupil more than once; {keep}")
    return CheckResult(
        GRAIN_UNCHANGED,
        passed=not new,
        affected=len(new),
        detail=f"{'; '.join(parts)}." if new else "No filter was added.",
        severity=Severity.WARN if seen.new.bump is Bump.MAJOR else Severity.ERROR,
    )


def _something_changed(seen: Seen) -> CheckResult:
    found = sum(seen.counts.values()) + len(seen.structure)
    return CheckResult(
        SOMETHING_CHANGED,
        passed=found > 0,
        affected=found,
        detail=", ".join(f"{count} {name}" for name, count in seen.counts.items() if count)
        or "No figure and no row differs from the version before.",
    )


def _key_unique(seen: Seen) -> CheckResult:
    return CheckResult(
        KEY_UNIQUE,
        passed=seen.key_is_unique,
        affected=0 if seen.key_is_unique else 1,
        detail="Every row has a key of its own."
        if seen.key_is_unique
        else "Some rows share their key: those are given as removed and added unless they are wholly alike.",
    )


def _against_announcement(seen: Seen, announced: Sequence[Item]) -> list[CheckResult]:
    """Both ways round. What was seen and announced may be filed differently, a recoded place as removed and added."""
    mentioned = {_subject(item) for item in announced} | {_subject(item, old=True) for item in announced}
    found = {_subject(item) for item in seen.structure} | {_subject(item, old=True) for item in seen.structure}
    silent = [
        item
        for item in seen.structure
        if item.kind is not Kind.COLUMN
        and not {_subject(item), _subject(item, old=True)} & mentioned
        and not _is_within_announced(item, announced)
    ]
    unseen = [
        item
        for item in announced
        if not {_subject(item), _subject(item, old=True)} & found and not _is_description_only(item)
    ]
    return [
        CheckResult(
            SEEN_WAS_ANNOUNCED,
            passed=not silent,
            affected=len(silent),
            detail=_listed("Not in the change log", silent) if silent else "The change log has all of it.",
        ),
        CheckResult(
            ANNOUNCED_WAS_SEEN,
            passed=not unseen,
            affected=len(unseen),
            detail=_listed("Announced and not seen in the file", unseen) if unseen else "All of it is in the file.",
        ),
    ]


def _subject(item: Item, *, old: bool = False) -> tuple[str, str, str]:
    """What an item is about, without what happened to it; places by their name without codes."""
    name = (item.was or item.name) if old else item.name
    return (item.kind, item.within, name)


def _is_within_announced(item: Item, announced: Iterable[Item]) -> bool:
    """Whether a whole filter or level was announced: its options and places are then not listed (contract §4.3)."""
    whole = {Kind.FILTER_OPTION: {Kind.FILTER}, Kind.LOCATION: {Kind.GEOGRAPHIC_LEVEL, Kind.LOCATION_GROUP}}
    return any(
        other.kind in whole.get(item.kind, set()) and item.within in {other.name, other.was} for other in announced
    )


def _is_description_only(item: Item) -> bool:
    """Whether a change is one of labels, units or hints, which stand in no file."""
    return item.action is Action.CHANGED and item.kind in {Kind.FILTER, Kind.INDICATOR} and not item.was


def _name(kind: Kind, state: Mapping[str, object]) -> str:
    """What the file calls it: a column's name, an option's or a place's label, ``Academic year 202223``."""
    if kind in {Kind.FILTER, Kind.INDICATOR}:
        return _text(state, "column")
    if kind is Kind.TIME_PERIOD:
        code = _text(state, "code")
        known = TIME_IDENTIFIERS_BY_CODE.get(code)
        return f"{known.label if known else code} {csv_time_period(_text(state, 'period'))}"
    level = state.get("level")
    return _text(level if isinstance(level, Mapping) else state, "label")


def _text(state: Mapping[str, object], key: str) -> str:
    value = state.get(key)
    return value if isinstance(value, str) else ""


def _listed(introduction: str, items: list[Item]) -> str:
    shown = "; ".join(map(str, items[:_SHOWN]))
    more = f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{introduction}: {shown}{more}."
