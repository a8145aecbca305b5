"""Whether a table holds what was published: rows, the sum of every indicator, and every marker counted."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

import duckdb

from ks4_pipeline_tests.benchmarks.figures import MADE_MARKERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ks4_pipeline_tests.benchmarks.publication import Facts

CHANGES = ("revised", "suppressed", "released", "reflagged", "added", "removed")


def wrong_figures(what: str, database: Path, table: str, facts: Facts, *, typed: bool = True) -> list[str]:
    """What is not as published, in words.

    Args:
        what: the route whose table it is.
        database: its file.
        table: its name.
        facts: what was published.
        typed: whether each indicator is a number with a flag beside it; else all cells are text.
    """
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]
        if rows != facts.rows:
            return [f"{what}: {rows} rows, and {facts.rows} were published"]
        return [f"{what}: {fault}" for fault in _wrong_cells(connection, table, facts, typed=typed)]


def wrong_changes(what: str, database: Path, schema: str, facts: Facts) -> list[str]:
    """Whether ``revisions`` holds what the second version changes."""
    with duckdb.connect(database, read_only=True) as connection:
        found = dict(connection.sql(f"SELECT class, count(*) FROM {schema}.revisions GROUP BY ALL").fetchall())
    return unlike_changes(what, found, facts)


def unlike_changes(what: str, found: dict[str, int], facts: Facts) -> list[str]:
    """Whether counted changes are those of the second version, in words."""
    return [
        f"{what}: {found.get(name, 0)} cells or rows {name}, and there are {facts.changes[name]}"
        for name in CHANGES
        if found.get(name, 0) != facts.changes[name]
    ]


def _wrong_cells(connection: duckdb.DuckDBPyConnection, table: str, facts: Facts, *, typed: bool) -> Iterator[str]:
    columns = list(facts.sums)
    number, flag = ('"{}"', '"{}_flag"') if typed else ('TRY_CAST("{}" AS DOUBLE)', '"{}"')
    sums = ", ".join(f"sum({number.format(column)})" for column in columns)
    found = connection.sql(f"SELECT {sums} FROM {table}").fetchall()[0]
    for column, total in zip(columns, found, strict=True):
        if total is None or not isclose(total, facts.sums[column], rel_tol=1e-9, abs_tol=1e-6):
            yield f"{column} sums up to {total}, and {facts.sums[column]} was published"
    pairs = [(column, marker) for column in columns for marker in MADE_MARKERS]
    counts = ", ".join(f"count(*) FILTER ({flag.format(column)} = '{marker}')" for column, marker in pairs)
    cells = connection.sql(f"SELECT {counts} FROM {table}").fetchall()[0]
    for (column, marker), count in zip(pairs, cells, strict=True):
        if count != facts.markers[column].get(marker, 0):
            yield f"{column} is {marker} {count} times, and {facts.markers[column].get(marker, 0)} were published"
    if typed:
        flags = ", ".join(f"count({flag.format(column)})" for column in columns)
        for column, count in zip(columns, connection.sql(f"SELECT {flags} FROM {table}").fetchall()[0], strict=True):
            if count != sum(facts.markers[column].values()):
                yield f"{column} has {count} flags, and {sum(facts.markers[column].values())} markers were published"
