"""What a change report says, as plain facts; no SQL and no HTML. All counts are of the version against the one before.

A cell is what stands under one indicator in one row: a figure, or a marker in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ks4_pipeline.quality import CheckResult
from ks4_pipeline.versions import VersionNumber

CELL_CLASSES = ("revised", "suppressed", "released", "reflagged")


@dataclass(frozen=True)
class About:
    """The version, as the catalogue has it; ``page`` is the publisher's web page of the file."""

    data_set: str
    title: str
    summary: str
    version: VersionNumber
    status: str
    published: datetime | None
    withdrawn: datetime | None
    fetched_at: datetime | None
    release: str | None
    notes: str
    rows: int
    indicators: int
    sha256: str
    page: str | None


@dataclass(frozen=True)
class Indicator:
    """An indicator that holds numbers: its column in this version, and how the publisher shows it."""

    column: str
    label: str
    unit: str | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Cell:
    """A figure, or the marker in its place; both None: there is no such row."""

    value: float | None = None
    marker: str | None = None


@dataclass(frozen=True)
class Counts:
    """Changed cells and rows about one thing: an indicator, a year, a group or a place."""

    what: str
    of: Mapping[str, int]

    @property
    def cells(self) -> int:
        """Changed cells of all classes."""
        return sum(self.of.get(name, 0) for name in CELL_CLASSES)


@dataclass(frozen=True)
class Revision:
    """One figure that became another; ``where`` tells its row from others of its period."""

    indicator: Indicator
    period: str
    where: str
    old: float
    new: float


@dataclass(frozen=True)
class Changed:
    """What differs from the version before.

    Attributes:
        before: that version.
        counts: changed cells and rows by class.
        structure: what differs besides figures, by heading ("time periods added").
        by_indicator, by_period, by_series, by_place: the same counts broken down, the last two most changed first.
        series_label: what ``by_series`` breaks down by.
        places: how many places have a change; ``by_place`` has the first of them.
        largest: the largest revisions, in relation to how much each indicator varies.
        key_is_unique: whether every row could be told apart.
    """

    before: VersionNumber
    counts: Mapping[str, int]
    structure: Mapping[str, tuple[str, ...]]
    by_indicator: tuple[Counts, ...]
    by_period: tuple[Counts, ...]
    series_label: str
    by_series: tuple[Counts, ...]
    places: int
    by_place: tuple[Counts, ...]
    largest: tuple[Revision, ...]
    key_is_unique: bool

    @property
    def cells(self) -> int:
        """Changed cells of all classes."""
        return sum(self.counts[name] for name in CELL_CLASSES)


@dataclass(frozen=True)
class Gap:
    """How many cells have a marker instead of a figure."""

    cells: int = 0
    markers: int = 0

    @property
    def share(self) -> float | None:
        """In per cent; None where there are no cells."""
        return 100 * self.markers / self.cells if self.cells else None


@dataclass(frozen=True)
class MarkerCount:
    """How often a marker stands; ``before`` None: there is no version before."""

    symbol: str
    meaning: str
    now: int
    before: int | None


@dataclass(frozen=True)
class Gaps:
    """Where markers stand instead of figures.

    Attributes:
        periods: labels, in order of time, of this version and the one before.
        indicators: in the publisher's order.
        now, before: by indicator's column and period; ``before`` is empty when there is no version before.
        markers: every marker that occurs.
        whole_now, whole_before: of all cells.
    """

    periods: tuple[str, ...]
    indicators: tuple[Indicator, ...]
    now: Mapping[tuple[str, str], Gap]
    before: Mapping[tuple[str, str], Gap]
    markers: tuple[MarkerCount, ...]
    whole_now: Gap
    whole_before: Gap | None


@dataclass(frozen=True)
class Measure:
    """A headline indicator, with the limits of its 95% confidence interval where it has one."""

    indicator: Indicator
    lower: Indicator | None = None
    upper: Indicator | None = None
    breaks: Mapping[str, str] = field(default_factory=dict)
    """By period, why it must not be joined with its neighbours."""


@dataclass(frozen=True)
class Point:
    """A headline figure; ``before`` None: the version before has no such row, or there is none."""

    now: Cell
    before: Cell | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def was_other(self) -> bool:
        """Whether the version before gave something else."""
        return self.before is not None and self.before != self.now


@dataclass(frozen=True)
class Headline:
    """The figures people quote: the coarsest level, filters at their total.

    Attributes:
        place: of which the figures are.
        fixed: filters and the option they are held at.
        series_label: what the series are; empty when there is only one.
        series: names, highlighted ones first.
        highlighted: how many of them are to stand out.
        periods: labels in order of time.
        measures: in the order of the page.
        points: by measure's column, series and period.
    """

    place: str
    fixed: tuple[tuple[str, str], ...]
    series_label: str
    series: tuple[str, ...]
    highlighted: int
    periods: tuple[str, ...]
    measures: tuple[Measure, ...]
    points: Mapping[tuple[str, str, str], Point]


@dataclass(frozen=True)
class Note:
    """What to bear in mind when using the figures; an empty text means all.

    Attributes:
        indicator: the column.
        period: the ``time_period``.
        level: the geographic level.
        where: the place or the group.
        comparable: whether these figures may be compared with those of other periods.
    """

    indicator: str
    period: str
    level: str
    where: str
    kind: str
    comparable: bool
    text: str
    source: str


@dataclass(frozen=True)
class Caveat:
    """Notes that say the same, as one.

    Attributes:
        about: labels of indicators, places and groups, geographic levels, and labels of periods: every combination of
            them; where there is none of a kind, all.
    """

    about: tuple[tuple[str, ...], ...]
    kind: str
    comparable: bool
    text: str
    source: str

    @property
    def indicators(self) -> tuple[str, ...]:
        """Their labels."""
        return self.about[0]

    @property
    def wheres(self) -> tuple[str, ...]:
        """Places and groups."""
        return self.about[1]

    @property
    def levels(self) -> tuple[str, ...]:
        """Geographic levels."""
        return self.about[2]

    @property
    def periods(self) -> tuple[str, ...]:
        """Their labels, in the order of time."""
        return self.about[3]


def together(caveats: Iterable[Caveat]) -> list[Caveat]:
    """Those that differ in one kind of thing only as one, for one kind after the other; the order is kept."""
    found = list(caveats)
    for place in range(4):
        alike: dict[tuple[Caveat, bool], list[str]] = {}
        for caveat in found:
            before, own, after = caveat.about[:place], caveat.about[place], caveat.about[place + 1 :]
            known = alike.setdefault((replace(caveat, about=(*before, (), *after)), not own), [])
            known += [part for part in own if part not in known]
        found = [
            replace(caveat, about=(*caveat.about[:place], tuple(parts), *caveat.about[place + 1 :]))
            for (caveat, _), parts in alike.items()
        ]
    return found


@dataclass(frozen=True)
class Announced:
    """One entry of the publisher's change log."""

    severity: str
    kind: str
    action: str
    within: str
    label: str
    was: str


@dataclass(frozen=True)
class Report:
    """Everything a change report says.

    Attributes:
        changed: None when no loaded version is before this one.
        announced: entries of the publisher's change log, the first of ``announced_count``.
        headline: None when none can be given; ``no_headline`` says why.
    """

    about: About
    periods: tuple[str, ...]
    changed: Changed | None
    announced: tuple[Announced, ...]
    announced_count: int
    gaps: Gaps
    headline: Headline | None
    no_headline: str
    checks: tuple[CheckResult, ...]
    caveats: tuple[Caveat, ...]
