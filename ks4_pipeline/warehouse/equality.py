"""Two warehouse files that should be equal: where one differs from the other, in everything that a reader can see.

Tables of versions are compared row by row in their order, in one pass that keeps nothing in memory; tables without an
order as multisets. Beside rows: which objects there are, columns with their order, types and comments, texts of views
and macros. Knows nothing of why the two should be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ks4_pipeline import memory
from ks4_pipeline.errors import shown
from ks4_pipeline.warehouse.sql import identifier, literal, parquet, qualified
from ks4_pipeline.warehouse.tables import IN_ORDER_UP_TO

_FOUND, _EXPECTED = "found", "expected"
_LISTED_ROWS = 20
_LISTED_CELLS = 3
Objects = Mapping[tuple[str, str], "Described"]


@dataclass(frozen=True)
class Difference:
    """What is wrong with one object: its schema, its name, and what was found."""

    schema: str
    name: str
    what: str


@dataclass(frozen=True)
class Described:
    """An object of a schema, apart from its rows: kind, comment, text, and columns as (name, type, comment)."""

    kind: str
    comment: str | None = None
    text: str | None = None
    columns: tuple[tuple[str, str, str | None], ...] = ()


@contextmanager
def side_by_side(found: Path, expected: Path, spill: Path) -> Iterator[SideBySide]:
    """Open two warehouse files to compare them.

    Args:
        found: the one in question.
        expected: what it should be equal to.
        spill: a folder for what does not fit into memory.

    Raises:
        duckdb.Error: when one cannot be opened.
    """
    with duckdb.connect(
        config={"memory_limit": memory.limit(memory.EQUALITY), "temp_directory": str(spill)}
    ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, path in ((_FOUND, found), (_EXPECTED, expected)):
            connection.execute(f"ATTACH {literal(str(path))} AS {name} (READ_ONLY)")
        yield SideBySide(connection)


@dataclass
class SideBySide:
    """Two open warehouse files."""

    _connection: duckdb.DuckDBPyConnection
    _objects: dict[str, Objects] = field(default_factory=dict)

    def schemas(self) -> tuple[set[str], set[str]]:
        """The schemas of the one found, and of the one expected."""
        found, expected = (
            {
                name
                for (name,) in self._connection.execute(
                    "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? AND NOT internal", [database]
                ).fetchall()
            }
            for database in (_FOUND, _EXPECTED)
        )
        return found, expected

    def names(self, schema: str, kind: str) -> list[str]:
        """The objects of a kind (``table``, ``view``, ``macro``, …) that the expected schema has."""
        return sorted(
            name for (of, name), item in self._described(_EXPECTED).items() if of == schema and item.kind == kind
        )

    def structure(self, schema: str) -> list[Difference]:
        """Objects that are missing, extra, or described otherwise."""
        found, expected = self._described(_FOUND), self._described(_EXPECTED)
        differences = []
        for key in sorted({key for key in found.keys() | expected.keys() if key[0] == schema}):
            here, there = found.get(key), expected.get(key)
            if here is None and there is not None:
                differences.append(Difference(*key, f"the {there.kind} is missing"))
            elif here is not None and there is None:
                differences.append(Difference(*key, f"a {here.kind} that does not belong here"))
            elif here is not None and there is not None and here != there:
                differences += [Difference(*key, what) for what in _unlike(here, there)]
        return differences

    def rows(self, schema: str, table: str) -> list[str]:
        """Where two tables differ, row by row; nothing where :meth:`structure` says why they cannot be compared.

        In their order, where tables of so many rows have one.
        """
        if not self._comparable(schema, table):
            return []
        return self._by_position(
            f"{_FOUND}.{qualified(schema, table)}", f"{_EXPECTED}.{qualified(schema, table)}", schema, table
        )

    def parquet_rows(self, path: Path, schema: str, table: str) -> list[str]:
        """Where a Parquet file differs from the expected table, row by row."""
        rows = self._connection.execute(f"DESCRIBE SELECT * FROM {parquet(path)}").fetchall()
        columns = [(name, kind) for name, kind, *_ in rows]
        expected = [(name, kind) for name, kind, _ in self._described(_EXPECTED)[schema, table].columns]
        if columns != expected:
            return [f"its columns are {_listed(columns)}; expected {_listed(expected)}"]
        return self._by_position(parquet(path), f"{_EXPECTED}.{qualified(schema, table)}", schema, table)

    def contents(
        self, schema: str, table: str, where: Mapping[str, str] | None = None, ignoring: Sequence[str] = ()
    ) -> list[str]:
        """How the rows of two tables differ, whatever their order; nothing where :meth:`structure` has to say why.

        Args:
            schema: of the table.
            table: its name.
            where: only rows with these values.
            ignoring: columns that may differ.
        """
        if not self._comparable(schema, table):
            return []
        columns = [name for name, *_ in self._described(_EXPECTED)[schema, table].columns if name not in ignoring]
        condition = " AND ".join(f"{identifier(column)} = {literal(value)}" for column, value in (where or {}).items())
        found, expected = (
            f"SELECT {', '.join(map(identifier, columns))} FROM {database}.{qualified(schema, table)} "
            f"WHERE {condition or 'true'}"
            for database in (_FOUND, _EXPECTED)
        )
        if self._same_in_order(found, expected, columns):  # usually so, and fifty times as quick
            return []
        return self._apart(found, expected, columns)

    # --- how -------------------------------------------------------------------------------------------------------

    def _described(self, database: str) -> Objects:
        if database not in self._objects:
            self._objects[database] = _describe(self._connection, database)
        return self._objects[database]

    def _comparable(self, schema: str, table: str) -> bool:
        """Whether both have the table, with the same columns."""
        items = [self._described(database).get((schema, table)) for database in (_FOUND, _EXPECTED)]
        columns = [[(name, kind) for name, kind, _ in item.columns] for item in items if item and item.kind == "table"]
        return len(columns) == len(items) and columns[0] == columns[1]

    def _by_position(self, found: str, expected: str, schema: str, table: str) -> list[str]:
        counts = [self._count(source) for source in (found, expected)]
        if counts[0] != counts[1]:
            return [f"it has {counts[0]:,} rows; expected {counts[1]:,}"]
        columns = [(name, kind) for name, kind, _ in self._described(_EXPECTED)[schema, table].columns]
        if counts[0] > IN_ORDER_UP_TO:
            return self._by_content(found, expected, [name for name, _ in columns])
        cells = ", ".join(f"count_if({_unequal(name, kind)})" for name, kind in columns)
        joined = f"FROM (FROM {found}) a POSITIONAL JOIN (FROM {expected}) b"
        unequal = self._connection.execute(f"SELECT {cells} {joined}").fetchone() or ()
        touched = [(column, count) for column, count in zip(columns, unequal, strict=True) if count]
        if not touched:
            return []
        (name, kind), _ = touched[0]
        first = self._connection.execute(
            f"SELECT nth, here, there FROM (SELECT row_number() OVER () AS nth, a.{identifier(name)} AS here, "
            f"b.{identifier(name)} AS there, {_unequal(name, kind)} AS unequal {joined}) "
            f"WHERE unequal ORDER BY nth LIMIT {_LISTED_CELLS}"
        ).fetchall()
        examples = "; ".join(f"row {nth}: {_value(here)}, expected {_value(there)}" for nth, here, there in first)
        others = f" and in {len(touched) - 1:,} other columns" if len(touched) > 1 else ""
        total = sum(count for _, count in touched)
        same_rows = not self._only_in(f"FROM {found}", f"FROM {expected}")[1]
        what = (
            "the rows are the same in another order"
            if same_rows
            else "1 cell differs"
            if total == 1
            else f"{total:,} cells differ"
        )
        return [f"{what}: in column {shown(name)}{others}; {examples}"]

    def _by_content(self, found: str, expected: str, columns: Sequence[str]) -> list[str]:
        """Large tables have no order: first whether they have the same rows as often, by the sum of their hashes."""
        row = ", ".join(map(identifier, columns))
        sums = [
            self._connection.execute(
                f"SELECT sum(CAST(hash({row}) AS HUGEINT)), bit_xor(hash({row}, 1)) FROM {source}"
            ).fetchone()
            for source in (found, expected)
        ]
        if sums[0] == sums[1]:
            return []
        return self._apart(f"SELECT {row} FROM {found}", f"SELECT {row} FROM {expected}", columns)

    def _apart(self, found: str, expected: str, columns: Sequence[str]) -> list[str]:
        extra, missing = self._only_in(found, expected), self._only_in(expected, found)
        told = list(_paired(extra[0], missing[0], columns))
        unlisted = max(extra[1], missing[1]) - len(told)
        return told + ([f"and {unlisted:,} more rows"] if unlisted > 0 else [])

    def _same_in_order(self, found: str, expected: str, columns: Sequence[str]) -> bool:
        if self._count(f"({found})") != self._count(f"({expected})"):
            return False
        differs = " OR ".join(f"a.{identifier(name)} IS DISTINCT FROM b.{identifier(name)}" for name in columns)
        row = self._connection.execute(
            f"SELECT count_if({differs}) FROM ({found}) a POSITIONAL JOIN ({expected}) b"
        ).fetchone()
        return row == (0,)

    def _only_in(self, this: str, other: str) -> tuple[list[tuple[object, ...]], int]:
        """Some of the rows of a query that another lacks, and how many there are."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE only_here AS ({this} EXCEPT ALL {other})")
        rows = self._connection.execute(f"FROM only_here ORDER BY ALL LIMIT {_LISTED_ROWS}").fetchall()
        return rows, self._count("only_here")

    def _count(self, source: str) -> int:
        row = self._connection.execute(f"SELECT count(*) FROM {source}").fetchone()
        return int(row[0]) if row else 0


def _describe(connection: duckdb.DuckDBPyConnection, database: str) -> Objects:
    def ask(query: str) -> list[tuple[str, ...]]:
        return connection.execute(query, [database]).fetchall()

    columns: dict[tuple[str, str], list[tuple[str, str, str | None]]] = {}
    for schema, name, *column in ask(
        "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE database_name = ? AND NOT internal ORDER BY schema_name, table_name, column_index"
    ):
        columns.setdefault((schema, name), []).append((column[0], column[1], column[2]))
    found: dict[tuple[str, str], Described] = {}
    for schema, name, comment in ask(
        "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = ? AND NOT internal"
    ):
        found[schema, name] = Described("table", comment, columns=tuple(columns.get((schema, name), ())))
    for schema, name, comment, text in ask(
        "SELECT schema_name, view_name, comment, sql FROM duckdb_views() WHERE database_name = ? AND NOT internal"
    ):
        found[schema, name] = Described("view", comment, text, tuple(columns.get((schema, name), ())))
    for schema, name, comment, parameters, text in ask(
        "SELECT schema_name, function_name, comment, array_to_string(parameters, ', '), macro_definition "
        "FROM duckdb_functions() WHERE database_name = ? AND NOT internal AND function_type LIKE '%macro'"
    ):
        found[schema, name] = Described("macro", comment, f"({parameters}) {text}")
    for schema, name in ask("SELECT schema_name, sequence_name FROM duckdb_sequences() WHERE database_name = ?"):
        found[schema, name] = Described("sequence")
    for schema, name in ask("SELECT schema_name, index_name FROM duckdb_indexes() WHERE database_name = ?"):
        found[schema, name] = Described("index")
    for schema, name in ask(
        "SELECT schema_name, type_name FROM duckdb_types() WHERE database_name = ? AND NOT internal"
    ):
        found[schema, name] = Described("type")
    return found


def _unlike(found: Described, expected: Described) -> Iterator[str]:
    """In which ways two descriptions of the same object differ."""
    if found.kind != expected.kind:
        yield f"it is a {found.kind}; expected a {expected.kind}"
        return
    columns = [[(name, kind) for name, kind, _ in item.columns] for item in (found, expected)]
    if columns[0] != columns[1]:
        yield f"its columns are {_listed(columns[0])}; expected {_listed(columns[1])}"
    else:
        for (name, _, comment), (_, _, other) in zip(found.columns, expected.columns, strict=True):
            if comment != other:
                yield f"the comment on column {shown(name)} is {_value(comment)}; expected {_value(other)}"
    if found.text != expected.text:
        yield f"its definition is {_value(found.text)}; expected {_value(expected.text)}"
    if found.comment != expected.comment:
        yield f"its comment is {_value(found.comment)}; expected {_value(expected.comment)}"


def _listed(columns: Sequence[tuple[str, str]]) -> str:
    return shown(", ".join(f"{name} {kind}" for name, kind in columns), 200)


def _unequal(name: str, kind: str) -> str:
    """Whether two cells of a column differ; SQL holds 0 and -0 for equal, and what was published is not."""
    a, b = f"a.{identifier(name)}", f"b.{identifier(name)}"
    differ = f"{a} IS DISTINCT FROM {b}"
    return f"({differ} OR signbit({a}) IS DISTINCT FROM signbit({b}))" if kind == "DOUBLE" else differ


def _value(value: object) -> str:
    return shown(value, 120) if isinstance(value, str) else "NULL" if value is None else str(value)


def _paired(
    extra: Sequence[tuple[object, ...]], missing: Sequence[tuple[object, ...]], columns: Sequence[str]
) -> Iterator[str]:
    """Rows found and rows expected, told together where they are mostly alike."""
    left = list(missing)
    for row in extra:
        alike = [sum(a == b for a, b in zip(row, other, strict=True)) for other in left]
        best = max(range(len(left)), key=alike.__getitem__, default=None)
        if best is None or alike[best] * 2 < len(columns):
            yield f"a row too many: {_row(row, columns)}"
        else:
            other = left.pop(best)
            differing = [
                f"{name} is {_value(here)}, expected {_value(there)}"
                for name, here, there in zip(columns, row, other, strict=True)
                if here != there
            ]
            about = _row([value if a == value else None for value, a in zip(row, other, strict=True)], columns)
            yield f"{'; '.join(differing)} ({about})"
    for row in left:
        yield f"a row is missing: {_row(row, columns)}"


def _row(row: Sequence[object], columns: Sequence[str]) -> str:
    """The first cells of a row that hold something."""
    told = [f"{name} {_value(value)}" for name, value in zip(columns, row, strict=True) if value is not None]
    return ", ".join(told[:6])
