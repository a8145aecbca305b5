"""``ks4 diff``: what differs between any two loaded versions, a summary first, then cell by cell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from ks4_pipeline.cli.cells import document, json_rows, shown
from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import counted, say, say_wrapped, warn
from ks4_pipeline.cli.export import beside, find
from ks4_pipeline.cli.query import print_rows, print_table
from ks4_pipeline.cli.tables import Align, Column, TextTable
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.comparison import CLASSES, RESULT
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.reading import differences
from ks4_pipeline.warehouse.sql import identifier, in_any_order, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

    from ks4_pipeline.warehouse.comparison import Comparison

_CELLS = CLASSES[:4]
_ROWS = CLASSES[4:]
_PERIOD = "time_period"
_AT_A_TIME = 1000


@dataclass(frozen=True)
class _Difference:
    """A comparison and where its rows are."""

    data_set: str
    found: Comparison
    connection: duckdb.DuckDBPyConnection

    def by(self, column: str) -> list[tuple[object, ...]]:
        """Counts of every class for each value of a column, most changed first or in order of time."""
        counts = ", ".join(f"count(*) FILTER (class = {literal(name)})" for name in CLASSES)
        order = "1" if column == _PERIOD else "count(*) DESC, 1"
        name = identifier(column)
        return self.connection.execute(
            f"SELECT {name}, {counts} FROM {RESULT} WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY {order}"
        ).fetchall()

    def rows(self, limit: int | None = None) -> tuple[list[str], Iterator[tuple[object, ...]]]:
        """The names of the columns, and the changed cells and rows in a fixed order, until the next question."""
        keys = "".join(f"{identifier(key)}, " for key in self.found.keys)
        end = "" if limit is None else f" LIMIT {limit}"
        order = f"list_position([{', '.join(map(literal, CLASSES))}], class)"
        result = self.connection.execute(f"SELECT * FROM {RESULT} ORDER BY {order}, {keys} indicator{end}")
        chunks = iter(lambda: result.fetchmany(_AT_A_TIME), [])
        return [str(name) for name, *_ in result.description or []], chain.from_iterable(chunks)

    def telling_keys(self) -> list[str]:
        """The key columns that tell the changed rows apart; a column with one value says nothing."""
        if not self.found.keys:
            return []
        several = ", ".join(f"min({name}) <> max({name})" for name in map(identifier, self.found.keys))
        row = self.connection.execute(f"SELECT {several} FROM {RESULT}").fetchone() or ()
        return [key for key, tells in zip(self.found.keys, row, strict=True) if tells]


def diff(name: str | None, old: str, new: str, *, as_json: bool, parquet: Path | None, rows: int) -> None:
    """Compare two versions and print or write what differs.

    Raises:
        ConfigurationError: when one of them is not in the warehouse.
    """
    warehouse = WarehouseFile(existing_warehouse(settings_for_reading()))
    with warehouse.read() as connection:
        sources = [find(connection, name, wanted) for wanted in (old, new)]
    data_set, pair = sources[0].data_set, [VersionNumber.parse(source.version) for source in sources]
    with differences(warehouse, data_set, *pair) as (found, connection):
        difference = _Difference(data_set, found, connection)
        if parquet is not None:
            _write(difference, parquet)
        if as_json:
            _print_json(difference)
        else:
            _print(difference, rows)
            if parquet is not None:
                say()
                say_wrapped(f"All of it is in {parquet}.")


def _sentence(found: Comparison) -> str:
    cells = sum(found.counts[name] for name in _CELLS)
    rows = [f"{counted(found.counts[name], 'row')} {name}" for name in _ROWS if found.counts[name]]
    return ", ".join([f"{counted(cells, 'cell')} changed", *rows]) + "."


def _print(difference: _Difference, rows: int) -> None:
    found = difference.found
    say(f"{difference.data_set} {found.old} -> {found.new}: {_sentence(found)}", "bold")
    if not found.key_is_unique:
        warn("Some rows share their key: they are given as removed and added unless they are wholly alike.")
    if found.structure:
        say()
        for item in found.structure:
            say_wrapped(str(item), indent=2)
    if not sum(found.counts.values()):
        return
    _print_counts(
        "By class", "class", [(name, count) for name, count in found.counts.items() if count], ["cells or rows"]
    )
    for heading, column in (("By indicator", "indicator"), ("By year", _PERIOD)):
        if column == "indicator" or column in found.keys:
            counted_rows = difference.by(column)
            used = [index for index, _ in enumerate(CLASSES, 1) if any(row[index] for row in counted_rows)]
            names = [CLASSES[index - 1] for index in used]
            _print_counts(heading, column, [(row[0], *(row[index] for index in used)) for row in counted_rows], names)
    _print_rows(difference, rows)


def _print_counts(heading: str, first: str, rows: Sequence[Sequence[object]], names: Sequence[str]) -> None:
    if not rows:
        return
    say()
    say(heading, "bold")
    columns = [Column(first), *(Column(name, Align.RIGHT) for name in names)]
    print_table(TextTable(columns, [[shown(value) for value in row] for row in rows]))


def _print_rows(difference: _Difference, limit: int) -> None:
    keys = difference.telling_keys()
    names, found = difference.rows(limit or None)
    place = {name: index for index, name in enumerate(names)}

    def cell(row: Sequence[object], side: str) -> str:
        """A cell as published: the figure, else the marker or the text."""
        parts = [row[place[f"{side}_{part}"]] for part in ("value", "flag", "text") if f"{side}_{part}" in place]
        return next((shown(part) for part in parts if part is not None), "")

    cells = (
        [shown(row[0]), *(shown(row[place[key]]) for key in keys), shown(row[place["indicator"]] or ""),
         cell(row, "old"), cell(row, "new")]
        for row in found
    )  # fmt: skip
    columns = [Column("class"), *map(Column, keys), Column("indicator")]
    columns += [Column("old", Align.DECIMAL), Column("new", Align.DECIMAL)]
    say()
    printed = print_rows(columns, cells)
    total = sum(difference.found.counts.values())
    if printed < total:
        warn(f"The first {counted(printed, 'change')} of {total:,}. All of them: --rows 0, --json or --parquet PATH.")


def _print_json(difference: _Difference) -> None:
    found = difference.found
    summary = {
        "data_set": difference.data_set,
        "from_version": str(found.old),
        "to_version": str(found.new),
        "counts": dict(found.counts),
        "by_indicator": _nested(difference.by("indicator")),
        "by_year": _nested(difference.by(_PERIOD)) if _PERIOD in found.keys else {},
        "structure": [str(item) for item in found.structure],
        "key_columns": list(found.keys),
        "key_is_unique": found.key_is_unique,
    }
    sys.stdout.write(document({"summary": summary}).removesuffix("\n}") + ',\n  "rows": ')
    sys.stdout.writelines(json_rows(*difference.rows()))
    sys.stdout.write("\n}\n")


def _nested(rows: Sequence[Sequence[object]]) -> dict[str, dict[str, object]]:
    return {str(first): dict(zip(CLASSES, counts, strict=True)) for first, *counts in rows}


def _write(difference: _Difference, path: Path) -> None:
    pair = f"{literal(str(difference.found.old))} AS from_version, {literal(str(difference.found.new))} AS to_version"
    with beside(str(path)) as part, in_any_order(difference.connection):
        difference.connection.execute(
            f"COPY (SELECT {pair}, * FROM {RESULT}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)"
        )
