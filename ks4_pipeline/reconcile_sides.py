"""The two sides of a reconciliation in DuckDB: the table, and the rows of ``/query`` as Parquet files.

Equal rows are taken away from both sides, as often as both have them; what is left is matched by key. Which are equal
is told by 128 bits of hash per row: comparing rows of a hundred columns themselves takes eight times as long and five
times the memory. DuckDB may use the temporary folder for what does not fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from ks4_pipeline.columns import FLAG_SUFFIX
from ks4_pipeline.identity import StoredColumn
from ks4_pipeline.reconcile_sampling import Batch, told_keys
from ks4_pipeline.second_route import BATCH, Vocabulary
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.sql import identifier, literal, parquet, qualified

_TABLE, _QUERY = "ks4_rest_of_table", "ks4_rest_of_query"
_UNEQUAL, _SAMPLED, _DRAWN = "ks4_unequal", "ks4_sampled", "ks4_drawn"


@dataclass(frozen=True)
class Disagreement:
    """Where the two ways differ.

    Attributes:
        key: the row: time, level, places, filters, those that are empty left out.
        indicator: the column; None when one side lacks the whole row.
        table: the cell, or the row's cells, as the table has them; None when it has no such row.
        query: the same as ``/query`` gives them.
    """

    key: Mapping[str, str]
    indicator: str | None
    table: str | None
    query: str | None


@dataclass(frozen=True)
class Compared:
    """Counts, and the first disagreements: see :class:`ks4_pipeline.reconcile.Reconciliation`."""

    rows: int
    query_rows: int
    sharing_key: int
    disagreements: int
    listed: tuple[Disagreement, ...]


class Sides:
    """One comparison.

    Args:
        connection: to the warehouse; temporary tables are made in it.
        schema, version: whose table.
        vocabulary: the columns to compare.
        folder: the Parquet files of the rows of ``/query``; also a place for DuckDB to work in.
        drawn: the sample, when there is one.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: str,
        version: VersionNumber,
        vocabulary: Vocabulary,
        *,
        folder: Path,
        drawn: Sequence[Batch] | None,
    ) -> None:
        self._run = connection.execute
        self._table = qualified(schema, version.table)
        self._vocabulary = vocabulary
        self._folder = folder
        self._drawn = drawn
        self._columns = list(vocabulary.schema)
        self._keys = [BATCH, *vocabulary.keys]

    def compared(self, most: int) -> Compared:
        """Compare, and list at most so many disagreements."""
        self._run(f"SET temp_directory = {literal(str(self._folder / 'duckdb'))}")
        table, answers = self._table_side(), self._query_side()
        (rows,) = self._one(f"SELECT count(*) FROM ({table})")
        (query_rows,) = self._one(f"SELECT count(*) FROM ({answers})")
        self._take_away_equals(table, answers)
        (sharing,) = self._one(
            f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM (SELECT {_digest(self._keys)} FROM ({table})) "
            "GROUP BY ks4_h1, ks4_h2 HAVING count(*) > 1)"
        )
        found = self._count()
        listed = tuple(self._disagreements(most)) if found else ()
        return Compared(rows, query_rows, sharing, found, listed)

    # --- the sides --------------------------------------------------------------------------------------------------

    def _table_side(self) -> str:
        cells = [name for name in self._columns if name not in self._keys]
        told = f"SELECT rowid AS ks4_row, {_listed([told_keys(self._vocabulary)], quote=False)}"
        told += "".join(f", {identifier(name)}" for name in cells) + f" FROM {self._table}"
        columns = _listed(name for name in self._columns if name != BATCH)
        if self._drawn is None:
            return f"SELECT CAST(0 AS INTEGER) AS {BATCH}, {columns} FROM ({told})"
        self._put_sample(self._drawn)
        named = " AND ".join(
            f"(s.{identifier(name)} IS NULL OR s.{identifier(name)} = t.{identifier(name)})"
            for name in self._vocabulary.keys
        )
        matched = f"SELECT DISTINCT s.{BATCH}, t.ks4_row FROM ({told}) t JOIN {_SAMPLED} s ON {named or 'true'}"
        self._run(
            f"CREATE OR REPLACE TEMP TABLE {_DRAWN} AS "
            f"SELECT {BATCH}, {columns} FROM ({matched}) JOIN ({told}) USING (ks4_row)"
        )
        return f"SELECT * FROM {_DRAWN}"

    def _put_sample(self, drawn: Sequence[Batch]) -> None:
        schema = {name: self._vocabulary.schema[name] for name in self._keys}
        rows = [{BATCH: number, **key} for number, batch in enumerate(drawn) for key in batch.keys]
        path = self._folder / "sampled"
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
        self._run(f"CREATE OR REPLACE TEMP TABLE {_SAMPLED} AS SELECT * FROM {parquet(path)}")

    def _query_side(self) -> str:
        files = sorted(self._folder.glob("*.parquet"))
        return f"SELECT {_listed(self._columns)} FROM {parquet(*files)}"

    def _take_away_equals(self, table: str, answers: str) -> None:
        """Leave in two tables what the other side has not, or not as often."""
        digest = _digest(self._columns)
        self._run(
            f"CREATE OR REPLACE TEMP TABLE {_UNEQUAL} AS SELECT ks4_h1, ks4_h2, sum(side) AS surplus FROM "
            f"(SELECT 1 AS side, {digest} FROM ({table}) UNION ALL SELECT -1, {digest} FROM ({answers})) "
            "GROUP BY ks4_h1, ks4_h2 HAVING sum(side) <> 0"
        )
        for rest, side, sign in ((_TABLE, table, ""), (_QUERY, answers, "-")):
            self._run(
                f"CREATE OR REPLACE TEMP TABLE {rest} AS SELECT {_listed(self._columns)} "
                f"FROM (SELECT *, {digest} FROM ({side})) JOIN {_UNEQUAL} USING (ks4_h1, ks4_h2) "
                f"QUALIFY row_number() OVER (PARTITION BY ks4_h1, ks4_h2) <= {sign}surplus"
            )

    # --- what is left -----------------------------------------------------------------------------------------------

    def _pairs(self) -> str:
        """Rows left alone under their key on both sides, joined; and what is left without a partner."""
        alone = f"count(*) OVER (PARTITION BY {_listed(self._keys)}) = 1"
        joined = " AND ".join(f"t.{identifier(name)} IS NOT DISTINCT FROM q.{identifier(name)}" for name in self._keys)
        # Rows that share their key get a number of their side's own, so that they match nothing.
        return (
            f"(SELECT *, true AS ks4_here, CASE WHEN {alone} THEN 0 ELSE 1 END AS ks4_pair FROM {_TABLE}) t "
            f"FULL JOIN (SELECT *, true AS ks4_here, CASE WHEN {alone} THEN 0 ELSE 2 END AS ks4_pair FROM {_QUERY}) q "
            f"ON {joined} AND t.ks4_pair = q.ks4_pair"
        )

    def _count(self) -> int:
        """How many cells differ in pairs, and how many rows have no partner."""
        differing = " + ".join(f"CAST({self._differs(column)} AS INTEGER)" for column in self._vocabulary.indicators)
        (found,) = self._one(
            f"SELECT coalesce(sum(CASE WHEN t.ks4_here AND q.ks4_here THEN {differing or '0'} ELSE 1 END), 0) "
            f"FROM {self._pairs()}"
        )
        return found

    def _differs(self, column: StoredColumn) -> str:
        names = [column.name, column.name + FLAG_SUFFIX] if column.is_numeric else [column.name]
        return "(" + " OR ".join(f"t.{identifier(n)} IS DISTINCT FROM q.{identifier(n)}" for n in names) + ")"

    def _disagreements(self, most: int) -> Iterator[Disagreement]:
        both = ", ".join(f"{side}.{identifier(name)}" for side in "tq" for name in self._columns)
        order = ", ".join(f"coalesce(t.{identifier(name)}, q.{identifier(name)})" for name in self._keys)
        cursor = self._run(f"SELECT t.ks4_here, q.ks4_here, {both} FROM {self._pairs()} ORDER BY {order}")
        width, left = len(self._columns), most
        while left > 0 and (row := cursor.fetchone()):
            in_table, in_query, *cells = row
            table = dict(zip(self._columns, cells[:width], strict=True)) if in_table else None
            answer = dict(zip(self._columns, cells[width:], strict=True)) if in_query else None
            for disagreement in self._of_row(table, answer):
                yield disagreement
                left -= 1
                if not left:
                    return

    def _of_row(
        self, table: Mapping[str, object] | None, answer: Mapping[str, object] | None
    ) -> Iterator[Disagreement]:
        some = table or answer or {}
        key = {name: str(some[name]) for name in self._vocabulary.keys if some[name] is not None}
        if table is None or answer is None:
            yield Disagreement(key, None, self._row(table), self._row(answer))
            return
        for column in self._vocabulary.indicators:
            one, other = _cell(table, column), _cell(answer, column)
            if _typed(table, column) != _typed(answer, column):
                yield Disagreement(key, column.name, one, other)

    def _row(self, cells: Mapping[str, object] | None) -> str | None:
        if cells is None:
            return None
        return ", ".join(f"{column.name} {_cell(cells, column)}" for column in self._vocabulary.indicators)

    def _one(self, query: str) -> tuple[int, ...]:
        row = self._run(query).fetchone() or (0,)
        return tuple(int(value) for value in row)


def _typed(cells: Mapping[str, object], column: StoredColumn) -> tuple[object, object]:
    return cells[column.name], cells.get(column.name + FLAG_SUFFIX) if column.is_numeric else None


def _cell(cells: Mapping[str, object], column: StoredColumn) -> str:
    """A cell for people: the figure, else the marker, else the text; nothing where there is nothing."""
    value, flag = _typed(cells, column)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value if value is not None else flag if flag is not None else "")


def _digest(names: Sequence[str]) -> str:
    cells = _listed(names)
    return f"hash({cells}) AS ks4_h1, hash('ks4', {cells}) AS ks4_h2"


def _listed(names: Iterator[str] | Sequence[str], *, quote: bool = True) -> str:
    return ", ".join(identifier(name) if quote else name for name in names)
