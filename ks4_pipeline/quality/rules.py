"""What a rule is: its words, its severity and its SQL. No rule stands here, and nothing is evaluated here.

A rule speaks of every row, by cases (predicates that are true where it is broken), or of the version as a whole, by a
query that gives what breaks it. Both read the relations that :mod:`ks4_pipeline.quality.relations` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ks4_pipeline.quality.results import CheckResult, Family, Severity

ROUNDED = '"is rounded"'
"""Of a row, in cases ``of_figures``: 1 where its counts are taken as rounded to the nearest 10, 0 where exact."""
EXACT_LEVEL = "Local authority"
"""The geographic level whose counts are exact."""
EVERY_ROW = "true"
_FEW = 3


@dataclass(frozen=True, slots=True)
class Has:
    """The columns of a version, in lower case, as SQL sees them; measures under their standard names as well."""

    numeric: frozenset[str]
    descriptive: frozenset[str]
    units: tuple[tuple[str, str], ...]
    """Numeric columns and their units, in the order of the file."""

    def all_of(self, *names: str) -> bool:
        """Whether all of these are numeric indicators."""
        return self.numeric.issuperset(names)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a rule looks at in every row.

    Attributes:
        fails: SQL that is true where the rule is broken. Anything that is NULL breaks nothing.
        shows: the columns to show of such a row.
        where: SQL that is true where there is something to look at; cases of the same ``where`` are asked together.
        of_figures: whether it works on the figures of nearly every row. All such cases are counted in one pass by
            polars, so that they may only speak of measures, their flags, the level and :data:`ROUNDED`, in SQL that
            both DuckDB and polars read: see :mod:`ks4_pipeline.quality.figures`.
        only_with: a measure and markers: where the version has none of these, there is nothing to look at.
    """

    fails: str
    shows: tuple[str, ...]
    where: str = EVERY_ROW
    of_figures: bool = False
    only_with: tuple[str, tuple[str, ...]] | None = None

    @property
    def name(self) -> str:
        """What to call it: the last column it shows, or how many there are."""
        return self.shows[-1] if len(self.shows) <= _FEW else f"{len(self.shows)} columns"

    @property
    def broken(self) -> str:
        """SQL that is true where the rule is broken, whole."""
        return f"({self.where}) AND ({self.fails})"


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of a case: the rows in which it is broken, and those in which there was something to look at."""

    broken: int
    looked_at: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: unique; also the name of its check.
        asserts: what must hold, as a sentence.
        family: what it is about.
        severity: what it means when it does not hold.
        source: who says so.
        cases: what it looks at in the rows of a version with such columns; empty: it does not apply.
        findings: a query, one row per finding. Columns before ``affected`` say where it is, those behind it what was
            found; ``affected`` says how many rows or cells it is about, 1 where there is no such column; ``finding``
            says all of it in words.
        counted: what ``affected`` counts, in the plural.
        summary: a query for one sentence to put behind the findings.
        applies: for ``findings``: whether it applies to a version with such columns.
        needs_previous: whether it compares with the version before, and so says nothing of the first.
        tolerated: an ``ERROR`` is only a ``WARN`` in a case with no more broken cells than :attr:`TOLERATED_CELLS`, or
            than this share of those looked at.
        shown: how many findings are kept as examples.
    """

    name: str
    asserts: str
    family: Family
    severity: Severity
    source: str
    cases: Callable[[Has], Sequence[Case]] | None = None
    findings: str | None = None
    counted: str = "rows"
    summary: str | None = None
    applies: Callable[[Has], bool] = lambda _has: True
    needs_previous: bool = False
    tolerated: float | None = None
    shown: int = 10

    def holds(self, detail: str = "It holds.") -> CheckResult:
        """The result where nothing breaks it."""
        return CheckResult(
            self.name,
            passed=True,
            affected=0,
            detail=detail,
            severity=self.severity,
            family=self.family,
            asserts=self.asserts,
            source=self.source,
        )


TOLERATED_CELLS = 10
"""So many broken cells are never an error of a rule that tolerates some: small files have few to be a share of."""
