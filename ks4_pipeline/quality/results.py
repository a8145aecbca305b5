"""What a check came to: the same for our rules, the configuration's, and the publisher's promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """``ERROR`` blocks the table where a rule says so; ``WARN`` never does."""

    WARN = "warn"
    ERROR = "error"


class Family(StrEnum):
    """What a check is about."""

    FILE = "file"
    """What any data set must be."""
    MEASURE = "measure"
    """What its measures must be."""
    OWN = "own"
    """A rule of the configuration."""
    PROMISE = "promise"
    """Whether the version is what its number and the change log say: see :mod:`ks4_pipeline.audit`."""


@dataclass(frozen=True, slots=True)
class Example:
    """One finding: the columns that say where it is, and what stands there."""

    key: Mapping[str, str]
    values: Mapping[str, str]

    def __str__(self) -> str:
        """For people: ``202425, Barnsley: engmath_95_total 130``."""
        where = ", ".join(self.key.values())
        found = ", ".join(f"{name} {value}" for name, value in self.values.items())
        return f"{where}: {found}" if where and found else where or found


def as_text(value: object) -> str:
    """A number without needless digits, everything else as it is."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def columns_of(examples: Iterable[Example]) -> tuple[list[str], list[str]]:
    """The columns of findings in a table: those that say where, and those that say what stands there."""
    found = list(examples)
    return (
        list(dict.fromkeys(name for example in found for name in example.key)),
        list(dict.fromkeys(name for example in found for name in example.values)),
    )


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check of one version.

    Attributes:
        name: the check's name, the same in the catalogue and in Dagster.
        passed: whether it holds.
        affected: how many rows or cells it does not hold for.
        detail: what was found, for people.
        severity: what a failure means.
        family: what it is about.
        asserts: what the check asserts.
        source: where it comes from.
        examples: the first findings.
    """

    name: str
    passed: bool
    affected: int
    detail: str
    severity: Severity = Severity.WARN
    family: Family = Family.PROMISE
    asserts: str = ""
    source: str = ""
    examples: tuple[Example, ...] = ()
