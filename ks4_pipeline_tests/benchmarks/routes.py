"""The routes the pipeline is measured against, each from the gzip on disk to a table ``figures`` in a DuckDB file.

``python -m ks4_pipeline_tests.benchmarks.routes ROUTE GZIP TARGET`` runs one, as a process that imports nothing but
what the route needs. They are spared the download and every check; :func:`text` is the limit L, the plainest load that
DuckDB knows. All but that one give the pipeline's own result: a number or NULL, and beside it the marker. Where a tool
knows no such thing, what its user would write is part of its route.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
from pathlib import Path

DESCRIPTIVE = 11  # columns that say what a row is about; the rest are indicators


def text(packed: Path, target: Path) -> None:
    """L: DuckDB reads everything as text."""
    import duckdb

    with duckdb.connect(target) as connection:
        connection.execute(f"CREATE TABLE figures AS FROM read_csv('{packed}', all_varchar = true)")


def sql(packed: Path, target: Path) -> None:
    """DuckDB reads, casts and flags in one statement."""
    import duckdb

    with duckdb.connect(target) as connection:
        source = f"read_csv('{packed}', all_varchar = true)"
        names = connection.sql(f"FROM {source} LIMIT 0").columns
        connection.execute(f"CREATE TABLE figures AS SELECT {_flagged(names)} FROM {source}")


def pandas(packed: Path, target: Path) -> None:
    """All text into a frame, numbers and flags column by column, the frame into DuckDB."""
    import duckdb
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

    frame = pd.read_csv(packed, dtype=str, keep_default_na=False)
    columns = {}
    for name in frame.columns[:DESCRIPTIVE]:
        columns[name] = frame[name]
    for name in frame.columns[DESCRIPTIVE:]:
        values = pd.to_numeric(frame[name], errors="coerce")
        columns[name] = values
        columns[f"{name}_flag"] = frame[name].where(values.isna())
    typed = pd.DataFrame(columns)
    with duckdb.connect(target) as connection:
        connection.register("typed", typed)
        connection.execute("CREATE TABLE figures AS FROM typed")


def dlt(packed: Path, target: Path) -> None:
    """The fast path its documentation gives for CSV files, DuckDB's reader and Arrow; then SQL for the flags."""
    _keep_dlt_to_itself(target)
    from dlt.sources.filesystem import filesystem, read_csv_duckdb

    files = filesystem(bucket_url=str(packed.parent), file_glob=packed.name)
    _run_dlt(files | read_csv_duckdb(chunk_size=50_000, use_pyarrow=True, all_varchar=True), target)


def dlt_rows(packed: Path, target: Path) -> None:
    """Its default for CSV files: rows as dictionaries; then the same SQL."""
    _keep_dlt_to_itself(target)
    from dlt.sources.filesystem import filesystem, read_csv

    files = filesystem(bucket_url=str(packed.parent), file_glob=packed.name)
    _run_dlt(files | read_csv(dtype=str, keep_default_na=False), target)


def csv_module(packed: Path, target: Path) -> None:
    """Python's csv: each row read, typed and flagged, written as CSV again, and that copied into DuckDB."""
    import duckdb

    plain = target.with_suffix(".csv")
    with gzip.open(packed, "rt", encoding="utf-8", newline="") as source, plain.open("w", newline="") as out:
        reader, writer = csv.reader(source), csv.writer(out)
        names = next(reader)
        for row in reader:
            typed = row[:DESCRIPTIVE]
            for cell in row[DESCRIPTIVE:]:
                try:
                    float(cell)
                except ValueError:
                    typed += ("", cell)
                else:
                    typed += (cell, "")
            writer.writerow(typed)
    columns = [f'"{name}" VARCHAR' for name in names[:DESCRIPTIVE]]
    columns += [f'"{name}" DOUBLE, "{name}_flag" VARCHAR' for name in names[DESCRIPTIVE:]]
    with duckdb.connect(target) as connection:
        connection.execute(f"CREATE TABLE figures ({', '.join(columns)})")
        connection.execute(f"COPY figures FROM '{plain}' (HEADER false)")
    plain.unlink()


ROUTES = {route.__name__: route for route in (text, sql, pandas, dlt, dlt_rows, csv_module)}


def _keep_dlt_to_itself(target: Path) -> None:
    """Nothing is sent to its makers, and nothing written into the user's home; to be said before it is imported."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DLT_DATA_DIR"] = str(target.with_suffix(".dlt"))


def _run_dlt(figures: object, target: Path) -> None:
    import dlt as dlt_library

    pipeline = dlt_library.pipeline(
        "benchmark",
        pipelines_dir=str(target.with_suffix(".dlt")),
        destination=dlt_library.destinations.duckdb(str(target)),
        dataset_name="raw",
    )
    pipeline.run(figures, table_name="figures")
    with pipeline.sql_client() as client:
        connection = client.native_connection
        names = [name for name in connection.sql("FROM raw.figures LIMIT 0").columns if not name.startswith("_dlt_")]
        connection.execute(f"CREATE TABLE main.figures AS SELECT {_flagged(names)} FROM raw.figures")
        connection.execute("DROP TABLE raw.figures")


def _flagged(names: list[str]) -> str:
    columns = [f'"{name}"' for name in names[:DESCRIPTIVE]]
    for name in names[DESCRIPTIVE:]:
        number = f'TRY_CAST("{name}" AS DOUBLE)'
        columns += [f'{number} AS "{name}"', f'CASE WHEN {number} IS NULL THEN "{name}" END AS "{name}_flag"']
    return ", ".join(columns)


if __name__ == "__main__":
    ROUTES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
