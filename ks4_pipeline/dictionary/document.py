"""The data dictionary as a document for people: sections of paragraphs, lists, tables and queries.

What is said and in which order is decided here, once; :mod:`.markdown` and :mod:`.html` only write it down. Texts are
plain: whoever writes them down makes them inert.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ks4_pipeline.columns import Role
from ks4_pipeline.dictionary.model import DescribedColumn, Dictionary, Relation
from ks4_pipeline.warehouse.sql import identifier, literal, qualified

_PLACES_SHOWN = 500
_HOW_TO_USE = """\
`TABLE` and its like hold exactly one version each: name one to get the same figures next year.

`latest` shows the newest version that is neither withdrawn nor deprecated, `v1` the newest 1.x, `v1_0` the newest
1.0.x. They move when something is published.

`latest_long` has one row per cell of `latest`, with label, unit, marker and reason; its `marker` is that of
`catalogue.markers`.

`history` has all versions, so the same figure stands in it once per version: choose by `data_set_version`, never sum
over it. `as_of('2026-06-01')` gives the rows of the version that stood on that day.

`revisions` has one row per changed cell between a version and the one before it. Join it to a version by the row key;
columns of places are NULL on coarser rows, so compare with `IS NOT DISTINCT FROM`.

The catalogue is joined by `data_set` and `version`, and to a column by `column_name`."""
_OF_INDICATORS = """\
A figure that the publisher replaced by a marker is NULL, and the marker stands in the column of the same name with
`_flag` behind it. Labels, units and decimals are the publisher's; the counts are of this version."""
_OF_FILTERS = """\
Totals and their parts stand in one table, and groups overlap: choose one option of every filter before you add rows
up."""


@dataclass(frozen=True, slots=True)
class Code:
    """A name or value as it stands in the warehouse."""

    text: str


Inline = str | Code
Cell = Inline | tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    parts: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """SQL that can be run as it stands."""

    sql: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``caption`` names it for those who do not see what it stands under. Numbers are right-aligned."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()


Block = Paragraph | Bullets | Query | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of level 2 or 3 and what stands under it."""

    level: int
    title: tuple[Inline, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Title, first lines, sections and the licence line."""

    title: str
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
    licence: str


def document(dictionary: Dictionary) -> Document:
    """The dictionary as people read it."""
    return Document(
        title=f"Data dictionary: {dictionary.title}",
        opening=_opening(dictionary),
        sections=(
            _tables_and_views(dictionary),
            _how_to_use(dictionary),
            _row_key(dictionary),
            _indicators(dictionary),
            *_filters(dictionary),
            _time_and_places(dictionary),
            *_places(dictionary),
            _markers(dictionary),
            *_notes(dictionary),
            _checks(dictionary),
            *_columns_of("Every column of the data set's tables and views", dictionary.relations),
            *_columns_of("The catalogue", dictionary.catalogue),
        ),
        licence=dictionary.licence,
    )


def _opening(dictionary: Dictionary) -> tuple[Block, ...]:
    version = dictionary.version
    facts: list[tuple[Cell, Cell]] = [
        ("Version described", f"{version.number} ({version.bump}), {version.status}"),
        ("Its table", Code(dictionary.described.qualified)),
        ("Channels that show it", _codes(version.channels) or "none"),
        ("Rows", f"{version.rows:,}"),
    ]
    if version.published:
        facts.append(("Published", f"{version.published:%Y-%m-%d}"))
    if version.withdrawn:
        facts.append(("Withdrawn", f"{version.withdrawn:%Y-%m-%d}"))
    facts += [("Release", version.release)] if version.release else []
    facts += [("Publisher's notes", version.notes)] if version.notes else []
    facts += [("Id of the data set", Code(dictionary.id)), ("SHA-256 of the CSV", Code(version.csv_sha256))]
    summary = (Paragraph((dictionary.summary,)),) if dictionary.summary else ()
    return (*summary, Table("About this version", ("Fact", "Value"), tuple(facts)))


def _tables_and_views(dictionary: Dictionary) -> Section:
    tables = {found.version: found.name for found in dictionary.relations if found.kind == "table" and found.version}
    rows: list[tuple[Cell, ...]] = []
    for found in (*dictionary.relations, *dictionary.catalogue):
        about: Cell = found.description.removesuffix(dictionary.licence).rstrip()
        if found.kind == "view" and found.version:
            about = (f"Channel: version {found.version} now, the same rows as ", Code(tables[found.version]), ".")
        rows.append((Code(found.qualified), found.kind, f"{found.rows:,}", str(len(found.columns)), about))
    rows += [
        (Code(f"{macro.schema}.{macro.name}({', '.join(macro.parameters)})"), "function", "", "", macro.description)
        for macro in dictionary.macros
    ]
    headers = ("Name", "Kind", "Rows", "Columns", "What it is")
    return Section(2, ("Tables and views",), (Table("Tables and views", headers, tuple(rows), frozenset({2, 3})),))


def _how_to_use(dictionary: Dictionary) -> Section:
    """What the views are for and how to join them, with queries of those that are there."""
    schema, described = dictionary.data_set, dictionary.described
    there = {relation.name: relation for relation in dictionary.relations}
    items = _HOW_TO_USE.replace("TABLE", described.name).split("\n\n")
    queries = map(Query, _queries(schema, there, dictionary))
    return Section(2, ("How to use and join them",), (Bullets(tuple(map(_prose, items))), *queries))


def _queries(schema: str, there: dict[str, Relation], dictionary: Dictionary) -> list[str]:
    """Examples, with the names of this data set."""
    number, table = dictionary.version.number, qualified(schema, dictionary.described.name)
    meanings = (
        "-- What each column of this version means\n"
        "SELECT column_name, role, label, unit, decimal_places\nFROM catalogue.columns\n"
        f"WHERE data_set = {literal(schema)} AND version = {literal(number)}\nORDER BY position"
    )
    queries = [meanings]
    if "latest_long" in there:
        queries.append(
            "-- Why figures are missing, by indicator\n"
            "SELECT indicator, reason, count(*) AS cells\n"
            f"FROM {qualified(schema, 'latest_long')}\nWHERE reason IS NOT NULL\nGROUP BY ALL\nORDER BY ALL"
        )
    if "revisions" in there:
        shared = [name for name in dictionary.row_key if name in {c.name for c in there["revisions"].columns}]
        matched = "\n  AND ".join(f"r.{identifier(name)} IS NOT DISTINCT FROM t.{identifier(name)}" for name in shared)
        queries.append(
            "-- What this version changed, beside its rows\n"
            "SELECT r.class, r.indicator, r.old_value, r.old_flag, r.new_value, r.new_flag, t.*\n"
            f"FROM {qualified(schema, 'revisions')} AS r\nJOIN {table} AS t\n   ON {matched}\n"
            f"WHERE r.to_version = {literal(number)}"
        )
    if dictionary.macros:
        queries.append(
            "-- What the publisher said on a day\n"
            f"SELECT * FROM {qualified(schema, dictionary.macros[0].name)}('2026-06-01')"
        )
    return queries


def _row_key(dictionary: Dictionary) -> Section:
    codes = _codes(dictionary.row_key)
    text = (
        " tell the rows of this version apart: no two rows agree in all of them."
        if dictionary.key_is_unique
        else " do not tell all rows of this version apart: some rows agree in all of them."
    )
    return Section(2, ("Row key",), (Paragraph((*codes, text)),))


def _indicators(dictionary: Dictionary) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for column in dictionary.described.of_role(Role.INDICATOR):
        figures = column.figures
        rows.append(
            (
                Code(column.name),
                column.label,
                column.unit or "none",
                "" if column.decimals is None else str(column.decimals),
                f"{figures.count:,}" if figures else "text",
                _number(figures.lowest) if figures else "",
                _number(figures.highest) if figures else "",
                ", ".join(f"{marker} {count:,}" for marker, count in column.markers) or "none",
            )
        )
    headers = ("Column", "Label", "Unit", "Decimals", "Figures", "Lowest", "Highest", "Markers seen")
    return Section(
        2,
        ("Indicators",),
        (
            Paragraph(_prose(_OF_INDICATORS)),
            Table("Indicators", headers, tuple(rows), frozenset({3, 4, 5, 6})),
        ),
    )  # fmt: skip


def _filters(dictionary: Dictionary) -> Iterable[Section]:
    filters = dictionary.described.of_role(Role.FILTER)
    if not filters:
        yield Section(2, ("Filters",), (Paragraph(("This data set has no filters.",)),))
        return
    yield Section(2, ("Filters",), (Paragraph(_prose(_OF_FILTERS)),))
    for column in filters:
        about = f"{column.label}." + (f" {column.hint.rstrip('. ')}." if column.hint else "")
        yield Section(
            3, (Code(column.name),), (Paragraph((about,)), _values(f"Options of {column.name}", "Option", column))
        )


def _values(caption: str, header: str, column: DescribedColumn) -> Table:
    labelled = any(value.label for value in column.values)
    rows = tuple(
        (Code(value.text), *((value.label,) if labelled else ()), "" if value.rows is None else f"{value.rows:,}")
        for value in column.values
    )
    headers = (header, *(("Meaning",) if labelled else ()), "Rows")
    return Table(caption, headers, rows, frozenset({len(headers) - 1}))


def _time_and_places(dictionary: Dictionary) -> Section:
    described = dictionary.described
    columns = described.of_role(Role.TIME, Role.GEOGRAPHY, Role.OTHER)
    rows = tuple(
        (
            Code(column.name),
            column.role,
            column.description,
            "" if column.distinct is None else f"{column.distinct:,}",
            "no" if column.complete else "yes",
        )
        for column in columns
    )
    listed = [column for column in columns if column.values]
    headers = ("Column", "Role", "What it is", "Different values", "Has NULL")
    return Section(
        2,
        ("Time, places and other columns",),
        (
            Table("Time, places and other columns", headers, rows, frozenset({3})),
            *(_values(f"Values of {column.name}", column.name, column) for column in listed),
        ),
    )


def _places(dictionary: Dictionary) -> Iterable[Section]:
    for level in dictionary.levels:
        shown = level.places[:_PLACES_SHOWN]
        codes = list(dict.fromkeys(name for place in shown for name in place.codes))
        rows = tuple((place.name, *(_code(place.codes.get(name, "")) for name in codes)) for place in shown)
        title = f"Places: {level.label} ({len(level.places):,})"
        table = Table(title, ("Place", *codes), rows)
        left = len(level.places) - len(shown)
        rest = Paragraph((f"{left:,} more are in ", Code("catalogue.locations"), "."))
        yield Section(3, (title,), (table, rest) if left else (table,))


def _markers(dictionary: Dictionary) -> Section:
    rows = tuple(
        (Code(marker.symbol), marker.meaning, Code(marker.reason), marker.sdmx, f"{marker.cells:,}")
        for marker in dictionary.markers
    )
    headers = ("Marker", "Meaning", "Reason", "SDMX OBS_STATUS", "Cells of this version")
    return Section(2, ("Markers",), (Table("Markers", headers, rows, frozenset({4})),))


def _notes(dictionary: Dictionary) -> Iterable[Section]:
    if dictionary.notes and dictionary.notes.rows:
        headers = tuple(name.replace("_", " ").capitalize() for name in dictionary.notes.columns)
        about = Paragraph(
            (
                "What is left empty means all. ",
                Code(f"{dictionary.data_set}.observation_notes"),
                " has the notes on each figure; what later versions restated is there and in ",
                Code("catalogue.notes"),
                " too.",
            )
        )
        yield Section(2, ("Notes",), (about, Table("Notes", headers, dictionary.notes.rows)))


def _checks(dictionary: Dictionary) -> Section:
    rows = tuple(
        (
            Code(check.name),
            "holds" if check.passed else check.severity,
            f"{check.affected:,}",
            check.asserts,
            "" if check.passed else check.detail,
        )
        for check in dictionary.checks
    )
    table = Table(
        "Checks", ("Check", "Outcome", "Rows or cells", "What it asserts", "What was found"), rows, frozenset({2})
    )
    return Section(2, ("Checks of this version",), (table,))


def _columns_of(title: str, relations: Sequence[Relation]) -> Iterable[Section]:
    """The columns of every relation, those with the same columns together."""
    yield Section(2, (title,), ())
    alike: dict[tuple[DescribedColumn, ...], list[Relation]] = {}
    for relation in relations:
        alike.setdefault(relation.columns, []).append(relation)
    for columns, group in alike.items():
        names = [relation.qualified for relation in group]
        of_publisher = any(column.role for column in columns)
        rows = tuple(_column_row(column, of_publisher=of_publisher) for column in columns)
        headers = ("Column", "Type", *(("Role", "Unit", "Decimals") if of_publisher else ()), "What it is")
        numeric = frozenset({4}) if of_publisher else frozenset()
        yield Section(3, _codes(names), (Table(f"Columns of {', '.join(names)}", headers, rows, numeric),))


def _column_row(column: DescribedColumn, *, of_publisher: bool) -> tuple[Cell, ...]:
    facts = (column.role or "own", column.unit, "" if column.decimals is None else str(column.decimals))
    return (Code(column.name), column.type, *(facts if of_publisher else ()), column.description)


def _prose(text: str) -> tuple[Inline, ...]:
    """Our own words, with names between backticks."""
    return tuple(Code(part) if place % 2 else part for place, part in enumerate(" ".join(text.split()).split("`")))


def _codes(names: Iterable[str]) -> tuple[Inline, ...]:
    """Names with commas between."""
    parts: list[Inline] = []
    for name in names:
        parts += [", ", Code(name)] if parts else [Code(name)]
    return tuple(parts)


def _code(text: str) -> Cell:
    return Code(text) if text else ""


def _number(value: float | None) -> str:
    """A figure as short as it is exact."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value.is_integer() else f"{value:,}"
