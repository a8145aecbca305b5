"""What a data dictionary says, before it has a form. Pure data: no SQL and no markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Value:
    """One value a text column may have.

    Attributes:
        text: as it stands in the column.
        label: as people write it, where that is another text.
        rows: how many rows have it; None where nobody counted.
    """

    text: str
    label: str = ""
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What stands in a numeric indicator: how many numbers, the lowest and the highest of them."""

    count: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """One column of a table or view.

    Attributes:
        name, type: in the warehouse.
        description: the column's comment.
        role: time, geography, filter, indicator, flag or other; empty for columns that are the warehouse's own.
        label, unit, decimals, hint: the publisher's, where there are any.
        values: what may stand in it: options of a filter, periods, levels, markers; empty where that is open.
        distinct: how many different texts stand in it; None where nobody counted.
        complete: whether no cell is NULL; None where nobody counted.
        figures: of a numeric indicator, where its cells were counted.
        markers: how many cells hold which marker instead of a figure.
    """

    name: str
    type: str
    description: str
    role: str = ""
    label: str = ""
    unit: str = ""
    decimals: int | None = None
    hint: str = ""
    values: tuple[Value, ...] = ()
    distinct: int | None = None
    complete: bool | None = None
    figures: Figures | None = None
    markers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view.

    Attributes:
        kind: ``table`` or ``view``.
        version: the version whose observations it shows; None for all others.
        key: the columns that tell its rows apart; empty where none are known to.
    """

    schema: str
    name: str
    kind: str
    description: str
    columns: tuple[DescribedColumn, ...]
    rows: int
    version: str | None = None
    key: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """Its name with its schema, for people."""
        return f"{self.schema}.{self.name}"

    def of_role(self, *roles: str) -> tuple[DescribedColumn, ...]:
        """Its columns of these roles, in their order."""
        return tuple(column for column in self.columns if column.role in roles)


@dataclass(frozen=True, slots=True)
class Macro:
    """A function that gives a table, such as ``as_of``."""

    schema: str
    name: str
    parameters: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What the catalogue says of the version described."""

    number: str
    bump: str
    status: str
    published: datetime | None
    withdrawn: datetime | None
    release: str
    notes: str
    rows: int
    csv_sha256: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a geographic level: its name, and its codes by what they are."""

    name: str
    codes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Level:
    """A geographic level and its places."""

    label: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class MarkerMeaning:
    """What a marker means, and in how many cells of the version it stands."""

    symbol: str
    meaning: str
    reason: str
    sdmx: str
    cells: int


@dataclass(frozen=True, slots=True)
class Check:
    """How one check of the version came out."""

    name: str
    passed: bool
    severity: str
    affected: int
    detail: str
    asserts: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table as texts, for tables whose columns this module need not know."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The data dictionary of one data set, with one of its versions described in depth.

    Attributes:
        data_set: the short name it is followed under, which is its schema.
        described: the table of the version described; one of ``relations``.
        key_is_unique: whether time, geography and filters tell the rows of that table apart.
        relations: every table and view of the schema; the described version's comes first.
        catalogue: every table of the schema ``catalogue``.
    """

    data_set: str
    id: str
    title: str
    summary: str
    licence: str
    version: VersionFacts
    described: Relation
    row_key: tuple[str, ...]
    key_is_unique: bool
    relations: tuple[Relation, ...]
    macros: tuple[Macro, ...]
    catalogue: tuple[Relation, ...]
    levels: tuple[Level, ...]
    markers: tuple[MarkerMeaning, ...]
    checks: tuple[Check, ...]
    notes: Rows | None
