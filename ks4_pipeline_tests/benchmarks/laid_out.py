"""One way to lay a table out, from the same Parquet file; then the same questions to it, their times as JSON.

``python -m ks4_pipeline_tests.benchmarks.laid_out PARQUET TARGET LAYOUT``
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import NamedTuple

import duckdb

from ks4_pipeline.markers import MARKERS
from ks4_pipeline_tests.benchmarks.routes import DESCRIPTIVE

_STORAGE = "v1.4.0"  # what the warehouse is written in, so that older clients can read it
_TIMES = 5


class Layout(NamedTuple):
    """How flags and descriptive columns are stored, and in which order the rows."""

    flags: str = "text"  # or "enum", or "none"
    labels: str = "text"  # or "enum"
    order: str = ""  # columns, as in ORDER BY


LAYOUTS = {
    "VARCHAR flags": Layout(),
    "ENUM flags": Layout(flags="enum"),
    "ENUM flags and labels": Layout(flags="enum", labels="enum"),
    "VARCHAR flags, sorted by group": Layout(order="social_care_group, time_period"),
    "ENUM flags, sorted by group": Layout(flags="enum", order="social_care_group, time_period"),
    "no flags": Layout(flags="none"),
}


def main(parquet: str, target: str, name: str) -> None:
    """Make the table and ask it."""
    layout = LAYOUTS[name]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{target}' AS target (STORAGE_VERSION '{_STORAGE}'); USE target")
        began = time.perf_counter()
        columns = connection.sql(f"FROM '{parquet}' LIMIT 0").columns
        order = f" ORDER BY {layout.order}" if layout.order else ""
        selected = ", ".join(_select(connection, parquet, columns, layout))
        connection.execute(f"CREATE TABLE figures AS SELECT {selected} FROM '{parquet}'{order}")
        connection.execute("CHECKPOINT target")
        loaded = time.perf_counter() - began
        questions = _questions(columns, with_flags=layout.flags != "none")
        asked = {what: median(_seconds(connection, query) for _ in range(_TIMES)) for what, query in questions.items()}
        answers = [sorted(connection.execute(questions[name]).fetchall()) for name in _SAME]
    print(json.dumps({"loaded": loaded, "asked": asked, "answers": answers}))


_SUMS, _BY_GROUP, _ONE, _MARKERS = "sum all", "by year and group", "one group and year", "count all c"
_SAME = (_BY_GROUP, _ONE)  # exact, whatever the order of the rows


def _select(connection: duckdb.DuckDBPyConnection, parquet: str, columns: list[str], layout: Layout) -> list[str]:
    if layout.flags == "enum":
        connection.execute(f"CREATE TYPE marker AS ENUM ({', '.join(repr(marker) for marker in MARKERS)})")
    selected = []
    for place, column in enumerate(columns):
        kind = "VARCHAR"
        if column.endswith("_flag"):
            if layout.flags == "none":
                continue
            kind = "marker" if layout.flags == "enum" else "VARCHAR"
        elif place >= DESCRIPTIVE:
            kind = "DOUBLE"
        elif layout.labels == "enum":
            kind = f"label_{place}"
            connection.execute(f"CREATE TYPE {kind} AS ENUM (SELECT DISTINCT \"{column}\" FROM '{parquet}')")
        selected.append(f'CAST("{column}" AS {kind}) AS "{column}"')
    return selected


def _questions(columns: list[str], *, with_flags: bool) -> dict[str, str]:
    flags = [column for column in columns if column.endswith("_flag")]
    numbers = [column.removesuffix("_flag") for column in flags]
    questions = {
        _SUMS: f"SELECT {', '.join(f'sum({column})' for column in numbers)} FROM figures",
        _BY_GROUP: "SELECT time_period, social_care_group, sum(pupil_count), avg(attainment8_average) > 40 "
        "FROM figures GROUP BY ALL ORDER BY ALL",
        _ONE: "SELECT count(*), sum(pupil_count) FROM figures "
        "WHERE social_care_group = 'CLA at 31 March' AND time_period = '202324'",
    }
    if with_flags:
        counts = ", ".join(f"count(*) FILTER ({column} = 'c')" for column in flags)
        questions[_MARKERS] = f"SELECT {counts} FROM figures"
    return questions


def _seconds(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    began = time.perf_counter()
    connection.execute(query).fetchall()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
