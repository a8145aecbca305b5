"""``ks4 export``: one version or channel as a file of its own, for those who do not use DuckDB."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ks4_pipeline import durable
from ks4_pipeline.cli.cells import FORMULA, NUMBER, guarded
from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import counted, is_terminal, say_wrapped, size, write
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.sql import figure_text, identifier, literal, qualified

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Source:
    """What is exported: a version's table or a channel, and the version it shows."""

    data_set: str
    relation: str
    version: str


def export(name: str | None, wanted: str, *, parquet: str | None, csv: str | None, as_published: bool) -> None:
    """Write a version or channel to a file, in one step: a file of that name is replaced when the new one is whole.

    Raises:
        ConfigurationError: when what is asked for is not there, or the options contradict each other.
    """
    target = parquet or csv
    if target is None or (parquet and csv):
        raise ConfigurationError("Give --parquet PATH or --csv PATH.")
    if as_published and parquet:
        raise ConfigurationError("--as-published is for --csv: the Parquet file has figures and flags.")
    if parquet == STANDARD_OUTPUT:
        raise ConfigurationError("A Parquet file needs a name; only CSV can go to standard output.")
    with WarehouseFile(existing_warehouse(settings_for_reading())).read() as connection:
        source = find(connection, name, wanted)
        relation = qualified(source.data_set, source.relation)
        with beside(target) as part:
            if parquet:
                about = f"KV_METADATA {{data_set: {literal(source.data_set)}, version: {literal(source.version)}}}"
                copy = f"(SELECT * FROM {relation}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd, {about})"
            else:
                cells = _csv_columns(connection, source, as_published=as_published)
                copy = f"(SELECT {cells} FROM {relation}) TO {literal(str(part))} (FORMAT csv, HEADER)"
            (rows,) = connection.execute(f"COPY {copy}").fetchone() or (0,)
            written = part.stat().st_size
    if target != STANDARD_OUTPUT:
        what = f"{source.data_set} {source.version}"
        say_wrapped(f"Wrote {counted(rows, 'row')} of {what} to {target}, {size(written)}.")


def find(connection: duckdb.DuckDBPyConnection, name: str | None, wanted: str) -> Source:
    """The table or channel asked for: ``1.0``, ``1.0.0``, ``v1_0_0``, ``v1`` or ``latest``."""
    data_sets = [
        found for (found,) in connection.execute("SELECT data_set FROM catalogue.data_sets ORDER BY 1").fetchall()
    ]
    if name is None and len(data_sets) > 1:
        raise ConfigurationError(f"Say which data set with --data-set: {', '.join(data_sets)}.")
    data_set = name or data_sets[0]
    if data_set not in data_sets:
        raise ConfigurationError(f"The warehouse has no data set {data_set!r}. It has: {', '.join(data_sets)}.")
    relations: dict[str, Source] = {}
    for version, table, channels in connection.execute(
        'SELECT version, "table", channels FROM catalogue.versions WHERE data_set = ? AND "table" IS NOT NULL '
        "ORDER BY major, minor, patch",
        [data_set],
    ).fetchall():
        for relation in (table, *filter(None, channels.split(","))):
            relations[relation] = Source(data_set, relation, version)
        relations[version] = relations[table]
    exact = str(VersionNumber.parse(wanted)) if wanted[:1].isdigit() else wanted
    if exact not in relations:
        raise ConfigurationError(f"{data_set} has no {wanted!r}. It has: {', '.join(relations)}.")
    return relations[exact]


def _csv_columns(connection: duckdb.DuckDBPyConnection, source: Source, *, as_published: bool) -> str:
    """The cells as SQL: texts without formulas, figures without a needless ``.0``."""
    columns = connection.execute(
        "SELECT column_name, role, data_type FROM catalogue.columns WHERE data_set = ? AND version = ? "
        "ORDER BY position",
        [source.data_set, source.version],
    ).fetchall()
    cells = []
    for name, role, kind in columns:
        column = identifier(name)
        if kind != "DOUBLE":
            if as_published and role == "flag":
                continue
            cell = _guarded(column)
        elif as_published:
            cell = f"coalesce({figure_text(column)}, {identifier(name + '_flag')})"
        else:
            cell = figure_text(column)
        cells.append(f"{cell} AS {identifier(guarded(name))}")
    return ", ".join(cells)


def _guarded(column: str) -> str:
    """The SQL of :func:`ks4_pipeline.cli.cells.guarded`."""
    begins = f"regexp_matches({column}, {literal(FORMULA)})"
    return (
        f"CASE WHEN {begins} AND NOT regexp_matches({column}, {literal(NUMBER)}) "
        f"THEN '''' || {column} ELSE {column} END"
    )


@contextmanager
def beside(target: str) -> Iterator[Path]:
    """A file to write, which becomes the target when all went well, or goes to standard output."""
    if target == STANDARD_OUTPUT:
        with TemporaryDirectory(prefix="ks4-export-") as folder:
            part = Path(folder) / "part"
            yield part
            if is_terminal():
                with part.open(encoding="utf-8", newline="") as lines:
                    for line in lines:
                        write(line)
            else:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
        return
    path = Path(target)
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; give the name of a file.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.touch()  # an unwritable folder is said in one sentence, before any work
    try:
        yield part
        durable.flush(part)
        durable.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
