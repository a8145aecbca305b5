"""The columns of one version: what each column of the CSV is, and what it becomes in the observations.

The header and ``/meta`` together decide it; a header that cannot become a table without guessing is refused here. Pure:
no file is read.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from ks4_pipeline.ees.models import Filter, Indicator, Meta
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS, GEOGRAPHIC_LEVELS_BY_CODE
from ks4_pipeline.faults import Fault, Faults

FLAG_SUFFIX = "_flag"
FILE_VERSION = "version"
"""A column some files have: Provisional, Revised or Final. It flips for the same cell from one version to the next."""
TOTALS = ("total", "all pupils", "all")
"""What the publisher calls the option of a filter that stands for all the others together, in lower case."""
_TIME = frozenset({"time_period", "time_identifier"})
_LEVEL = "geographic_level"
_LEAST_TEXTS = 100
_GEOGRAPHY = frozenset({_LEVEL}).union(*(level.columns for level in GEOGRAPHIC_LEVELS))


class Role(StrEnum):
    """What a column does in a row."""

    TIME = "time"
    GEOGRAPHY = "geography"
    FILTER = "filter"
    INDICATOR = "indicator"
    FLAG = "flag"
    OTHER = "other"
    """A column of the file that ``/meta`` does not know; it may break the figures down all the same."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the observations.

    Attributes:
        name: as in the CSV's header; for a flag, its indicator's name with ``_flag`` behind.
        role: what it does.
        described: the publisher's filter or indicator, where ``/meta`` has one (a flag has its indicator's).
    """

    name: str
    role: Role
    described: Filter | Indicator | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether it holds DOUBLE values; all other columns are text."""
        return self.role is Role.INDICATOR and isinstance(self.described, Indicator) and not self.described.is_text

    @property
    def flag(self) -> str:
        """The name of the flag column right behind a numeric indicator."""
        return self.name + FLAG_SUFFIX


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a version's CSV, in the order of the file."""

    of_file: tuple[Column, ...]

    @property
    def observations(self) -> tuple[Column, ...]:
        """The columns of the observations: those of the file, with a flag right behind each numeric indicator."""
        return tuple(
            column
            for source in self.of_file
            for column in (
                (source, Column(source.flag, Role.FLAG, source.described)) if source.is_numeric else (source,)
            )
        )

    @property
    def numeric(self) -> tuple[Column, ...]:
        """The indicators that hold numbers."""
        return tuple(column for column in self.of_file if column.is_numeric)

    @property
    def textual_indicators(self) -> tuple[Column, ...]:
        """The indicators whose unit says that they are text."""
        return tuple(column for column in self.of_file if column.role is Role.INDICATOR and not column.is_numeric)

    @property
    def descriptive(self) -> tuple[Column, ...]:
        """The columns that say what a row is about: time, geography, filters and columns ``/meta`` does not know."""
        return tuple(column for column in self.of_file if column.role is not Role.INDICATOR)


def parse_header(line: str, faults: Faults) -> tuple[str, ...]:
    """The names in a header line, quotes undone; ``faults`` takes a line that cannot be read."""
    try:
        return tuple(next(csv.reader([line]), []))
    except csv.Error as error:  # a name of more than 128 KiB
        faults.add(Fault(f"cannot be read: {error}", row=0))
        return ()


def assign(header: Sequence[str], meta: Meta, faults: Faults) -> Columns:
    """Give each column of a header its role.

    Args:
        header: the names, in the order of the file.
        meta: the version's ``/meta``.
        faults: takes columns without a name, names that are the same or differ only by case (DuckDB cannot tell them
            apart), patterns in place of names, described columns that the file lacks, names that a flag column needs,
            and indicators that are called what the standard calls a column of time or place, in whatever case.
    """
    items: tuple[Filter | Indicator, ...] = (*meta.filters, *meta.indicators)
    described = {item.column: item for item in items}
    columns = Columns(tuple(Column(name, _role(name, described.get(name)), described.get(name)) for name in header))
    _check_names(columns, faults)
    for column in columns.of_file:
        if column.role is Role.INDICATOR and column.name.strip().lower() in _TIME | _GEOGRAPHY:
            faults.add(Fault("tells time or place by the file standard, and /meta calls it an indicator", column.name))
    missing = [item for name, item in described.items() if name not in header]
    for item in missing:
        kind = "indicator" if isinstance(item, Indicator) else "filter"
        similar = [name for name in header if name.lower() == item.column.lower()]
        hint = f"; the file has {similar[0]!r}" if similar else ""
        faults.add(
            Fault(f"the file has no such column, and /meta names it as {kind} {item.label!r}{hint}", item.column)
        )
    return columns


def with_few_texts(columns: Columns, meta: Meta, most: int) -> frozenset[str]:
    """The columns of time, place and filters that hold the fewest texts, as many as come to ``most`` texts together.

    How many a column holds is what ``/meta`` lists, which need not be true of the file; no column is taken of which it
    lists nothing. One of a few texts counts as of a hundred: thousands of such columns cost more than they save.
    """
    listed = {
        **dict.fromkeys(_TIME, len(meta.time_periods)),
        _LEVEL: len(meta.geographic_levels),
        **{
            name: len(group.options)
            for group in meta.locations
            if group.level.code in GEOGRAPHIC_LEVELS_BY_CODE
            for name in GEOGRAPHIC_LEVELS_BY_CODE[group.level.code].columns
        },
        **{item.column: len(item.options) for item in meta.filters},
    }
    names = [column.name for column in columns.descriptive if listed.get(column.name)]
    fewest = sorted(names, key=listed.__getitem__)
    together = accumulate(max(listed[name], _LEAST_TEXTS) for name in fewest)
    return frozenset(name for name, texts in zip(fewest, together, strict=True) if texts <= most)


def _role(name: str, described: Filter | Indicator | None) -> Role:
    match described:
        case Indicator():
            return Role.INDICATOR
        case Filter():
            return Role.FILTER
    if name in _TIME:
        return Role.TIME
    return Role.GEOGRAPHY if name in _GEOGRAPHY else Role.OTHER


def _check_names(columns: Columns, faults: Faults) -> None:
    seen: dict[str, str] = {}
    for position, column in enumerate(columns.of_file, start=1):
        lowered = column.name.lower()
        if column.name.startswith("\ufeff"):
            faults.add(Fault("begins with a byte order mark: the file has more than one", column.name, row=0))
        if column.name == "*" or (column.name.startswith("^") and column.name.endswith("$")):
            faults.add(Fault("is a pattern for names of columns, not a name", column.name, row=0))  # to polars it is
        if not column.name.strip():
            faults.add(Fault(f"column {position} has no name", row=0))
        elif lowered in seen:
            same = "twice" if seen[lowered] == column.name else f"beside {seen[lowered]!r}, differing only by case"
            faults.add(Fault(f"stands {same}", column.name, row=0))
        seen.setdefault(lowered, column.name)
    for column in columns.numeric:
        taken = seen.get(column.flag.lower())
        if taken is not None:
            faults.add(Fault(f"this name is needed for the flags of {column.name!r}", taken, row=0))
