"""Which indicators and which series are the headline of a data set, and which years of a measure stand alone. Pure.

The measures people quote of key stage 4 are known by their columns; of any other data set the first indicators are
taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ks4_pipeline.report.content import Indicator, Measure, Note

MOST_MEASURES = 6
MOST_SERIES = 24
HIGHLIGHTED = 5

_KS4 = (
    "attainment8_average",
    "engmath_95_percent",
    "engmath_94_percent",
    "ebacc_aps_average",
    "progress8_average",
)
_INTERVALS = {"progress8_average": ("progress8_lower_95_ci", "progress8_upper_95_ci")}
LIMITS = frozenset(limit for pair in _INTERVALS.values() for limit in pair)
"""Limits of intervals: they move with their measure, and are no news beside it."""
_GROUPS = (
    "All pupils comparison",
    "CINO at 31 March",
    "CPPO at 31 March",
    "CLA 12 months at 31 March",
    "CIN at 31 March",
)
"""The groups that stand out where there are many: those the publisher's own headline is about."""


def measures(
    indicators: Sequence[Indicator], notes: Iterable[Note], periods: Sequence[tuple[str, str]]
) -> tuple[Measure, ...]:
    """The headline measures, each with the years that must not be joined with others.

    Args:
        indicators: all that hold numbers, in the publisher's order.
        notes: those about headline figures that must not be compared with others; each makes a year stand alone.
        periods: ``time_period`` and label of each period of the version.
    """
    by_column = {indicator.column: indicator for indicator in indicators}
    known = [by_column[column] for column in _KS4 if column in by_column]
    noted = list(notes)
    found = []
    for indicator in known or list(indicators)[:MOST_MEASURES]:
        breaks: dict[str, str] = {}
        for note in noted:
            if note.indicator in {"", indicator.column}:
                breaks |= {label: note.text for code, label in periods if code == note.period}
        lower, upper = _INTERVALS.get(indicator.column, ("", ""))
        found.append(Measure(indicator, by_column.get(lower), by_column.get(upper), breaks))
    return tuple(found)


def ordered_series(names: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The series with those that stand out first, and how many these are."""
    found = list(dict.fromkeys(names))
    if len(found) <= HIGHLIGHTED:
        return tuple(found), len(found)
    first = [name for name in _GROUPS if name in found] or found[:HIGHLIGHTED]
    return (*first, *(name for name in found if name not in first)), len(first)
