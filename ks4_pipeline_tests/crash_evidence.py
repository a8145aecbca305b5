"""What a kill leaves: all that a reader can see, what of it is wrong by the publisher's CSV, what is unfinished."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import duckdb

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.versions import VersionNumber

NAME = "d"
"""The data set of the crash test."""
_MOVING = {"fetched_at", "loaded_at", "seen_at", "started_at", "finished_at", "compared_at", "sha256", "bytes"}
_UNFINISHED = re.compile(r"\.unfinished-|\.build-|\.wal|\.tmp|\.publisher")

Cells = list[tuple[Any, ...]]
Content = dict[str, Cells]
"""By qualified name, the rows of every table and view, columns that tell the time left out."""


def content(data_dir: Path) -> Content | None:
    """All that a reader can see, or None when nothing is published."""
    path = data_dir / "warehouse.duckdb"
    if not path.exists():
        return None
    with duckdb.connect(path, read_only=True) as connection:
        found: Content = {}
        names = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'warehouse' "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'warehouse' "
            "AND NOT internal"
        ).fetchall()
        for schema, name in sorted(names):
            asked = connection.execute(f'SELECT * FROM "{schema}"."{name}"')
            columns = [column[0] for column in asked.description]
            kept = [index for index, column in enumerate(columns) if column not in _MOVING]
            cells = [tuple(row[index] for index in kept) for row in asked.fetchall()]
            found[f"{schema}.{name}"] = [tuple(columns), *sorted(cells, key=repr)]
        return found


def differences(found: Content | None, expected: Content | None) -> list[str]:
    """Where two contents differ."""
    if found is None or expected is None:
        return [] if found is expected else ["one is published and the other is not"]
    return [
        f"{name} differs" for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)
    ]


def wrong_cells(data_dir: Path, csvs: dict[str, str]) -> list[str]:
    """What the tables have otherwise than the publisher's CSV files, read by the ``csv`` module alone."""
    problems = []
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND table_name SIMILAR TO 'v\\d+_\\d+_\\d+'",
            [NAME],
        ).fetchall()
        if {name for (name,) in tables} != {VersionNumber.parse(version).table for version in csvs}:
            problems.append(f"the tables are {sorted(tables)}")
            return problems
        for version, text in csvs.items():
            asked = connection.execute(f"SELECT * FROM {NAME}.{VersionNumber.parse(version).table} ORDER BY rowid")
            columns = [column[0] for column in asked.description]
            found = [dict(zip(columns, row, strict=True)) for row in asked.fetchall()]
            if found != _typed(text):
                problems.append(f"{version} has other cells than its CSV")
        told = connection.execute(
            f"SELECT from_version, to_version, count(*) FROM {NAME}.revisions "
            "WHERE class NOT IN ('added', 'removed') GROUP BY ALL ORDER BY 1, 2"
        ).fetchall()
        expected = _revised(csvs)
        if told != expected:
            problems.append(f"the revisions are {told}, and the files' {expected}")
    return problems


def _typed(text: str) -> list[dict[str, object]]:
    """Rows as they have to stand in the table."""
    table = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        typed: dict[str, object] = {}
        for column, cell in row.items():
            if column in {"pupils", "score"}:
                bare = cell.strip(" []").lower()
                marker = bare if bare in MARKERS else None
                typed |= {column: None if marker else float(cell), f"{column}_flag": marker}
            else:
                typed[column] = cell or None
        table.append(typed)
    return table


def _revised(csvs: dict[str, str]) -> list[tuple[str, str, int]]:
    """By pair of versions, how many cells of rows that both have are not the same."""
    found = []
    for old, new in (("1.0", "1.0.1"), ("1.0.1", "2.0")):
        before = {row["grp"]: row for row in _typed(csvs[old])}
        pairs = [(before[row["grp"]], row) for row in _typed(csvs[new]) if row["grp"] in before]
        count = sum(
            (one[name], one[f"{name}_flag"]) != (other[name], other[f"{name}_flag"])
            for one, other in pairs
            for name in ("pupils", "score")
        )
        found += [(old, new, count)] if count else []
    return found


def left_behind(data_dir: Path) -> list[str]:
    """What no finished run leaves: rooms, builds, folders of versions without a manifest, temporary files."""
    found = [str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if _UNFINISHED.search(path.name)]
    found += [
        str(folder.relative_to(data_dir))
        for folder in (data_dir / "landing").glob("*/*")
        if folder.is_dir() and folder.name[0].isdecimal() and not (folder / "manifest.json").is_file()
    ]
    return found + [f"tmp/{path.name}" for path in (data_dir.parent / "tmp").iterdir()]
