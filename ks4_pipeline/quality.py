"""What we say of a version that was accepted: checks that warn, with what was found. Pure: facts in, results out.

What makes a version unacceptable is decided where it is read (:mod:`ks4_pipeline.observations`); a version that gets
here has a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.observations import Facts


class Severity(StrEnum):
    """``ERROR`` blocks the table; ``WARN`` never does."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check of one version.

    Attributes:
        name: the check's name, the same in the catalogue and in Dagster.
        passed: whether it holds.
        affected: how many rows or cells it does not hold for.
        detail: what was found, for people.
        severity: what a failure means.
    """

    name: str
    passed: bool
    affected: int
    detail: str
    severity: Severity = Severity.WARN


ROWS_UNIQUE = "rows_unique"
CANONICAL_CELLS = "canonical_cells"
CURRENT_MARKERS = "current_markers"
CHECKS: dict[str, str] = {
    ROWS_UNIQUE: "No two rows have the same time, geography and filters; those that do are kept.",
    CANONICAL_CELLS: "Markers are spelt c, not C or [c], and numbers have no blanks around them.",
    CURRENT_MARKERS: "No marker is one that DfE has replaced, such as : or ~.",
}
"""Every check and what it asserts."""


def check(facts: Facts) -> tuple[CheckResult, ...]:
    """The checks of one version's observations."""
    return (_rows_unique(facts), _canonical_cells(facts), _current_markers(facts))


def _rows_unique(facts: Facts) -> CheckResult:
    found = facts.rows_sharing_key
    detail = (
        f"{found} of {facts.rows} rows share time, geography and filters with another; {facts.repeated_rows} of them "
        "repeat an earlier row entirely. All are kept: count distinct rows before you sum."
        if found
        else f"All {facts.rows} rows differ in time, geography or filters."
    )
    return CheckResult(ROWS_UNIQUE, passed=not found, affected=found, detail=detail)


def _canonical_cells(facts: Facts) -> CheckResult:
    spelt = ", ".join(f"{spelling!r} {count} times" for spelling, count in facts.spellings.items())
    found = sum(facts.spellings.values()) + facts.padded_numbers
    parts = [f"other spellings of markers: {spelt}"] if spelt else []
    if facts.padded_numbers:
        parts.append(f"{facts.padded_numbers} numbers with blanks around them")
    detail = f"Read as meant: {'; '.join(parts)}." if parts else "Every cell is spelt as the standard has it."
    return CheckResult(CANONICAL_CELLS, passed=not found, affected=found, detail=detail)


def _current_markers(facts: Facts) -> CheckResult:
    counts: dict[str, int] = {}
    for found in facts.markers.values():
        for symbol, count in found.items():
            if not MARKERS[symbol].current:
                counts[symbol] = counts.get(symbol, 0) + count
    listed = ", ".join(f"{symbol!r} in {count} cells" for symbol, count in counts.items())
    return CheckResult(
        CURRENT_MARKERS,
        passed=not counts,
        affected=sum(counts.values()),
        detail=f"Markers of older files: {listed}." if counts else "Only markers in current use.",
    )
