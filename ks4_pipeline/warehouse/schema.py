"""The schema ``catalogue``: what each of its tables is, described once; DDL, comments and inserts come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.notes import KINDS
from ks4_pipeline.warehouse.sql import column_names, comment_on, identifier, qualified

if TYPE_CHECKING:
    import polars as pl

SCHEMA = "catalogue"
UNLISTED = "Unlisted"
"""Status of a version that is loaded and that the publisher no longer lists."""
_INSERTED = "ks4_inserted"

Row = Mapping[str, object]
Columns = dict[str, tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the catalogue: its name, what it is, its columns as name -> (type, comment), and its key.

    The key are the columns that tell its rows apart and are never NULL; a log has none.
    """

    name: str
    comment: str
    columns: Columns
    key: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The quoted name with its schema."""
        return qualified(SCHEMA, self.name)


_DATA_SET: Columns = {"data_set": ("VARCHAR", "Short name it is followed under; also the schema of its tables.")}
_VERSION: Columns = _DATA_SET | {"version": ("VARCHAR", "Version number as the API prints it: 1.0, 1.0.1.")}

DATA_SETS = Table(
    "data_sets",
    "One row per followed data set.",
    _DATA_SET
    | {
        "id": ("VARCHAR", "The publisher's id."),
        "title": ("VARCHAR", "The publisher's title."),
        "summary": ("VARCHAR", "The publisher's summary."),
        "status": ("VARCHAR", "Published or Deprecated."),
        "superseded_by": ("VARCHAR", "Id of the data set that takes its place, if any."),
        "latest_version": ("VARCHAR", "The version published last, by the publisher's word."),
        "seen_at": ("TIMESTAMPTZ", "When the publisher's list was last read before this edition."),
    },
    key=("data_set",),
)
VERSIONS = Table(
    "versions",
    "One row per version the publisher lists; order by major, minor, patch. Not loaded: table is NULL.",
    _VERSION
    | {
        "major": ("INTEGER", "First part of the number."),
        "minor": ("INTEGER", "Second part of the number."),
        "patch": ("INTEGER", "Third part of the number; 0 when the API prints two."),
        "bump": ("VARCHAR", "What the number says it is: major, minor or patch."),
        "status": ("VARCHAR", "Published, Deprecated or Withdrawn; only Published ones stand in channels."),
        "published": ("TIMESTAMPTZ", "When the publisher released it."),
        "withdrawn": ("TIMESTAMPTZ", "When it was withdrawn, if it was. Its table stays."),
        "notes": ("VARCHAR", "The publisher's notes on what changed."),
        "release": ("VARCHAR", "Title of the statistical release."),
        "release_slug": ("VARCHAR", "The release's part of its web address."),
        "file_id": ("VARCHAR", "Id of the data set's page for the file; patches share it."),
        "rows": ("BIGINT", "Rows of the table; of the publisher's announcement while it is not loaded."),
        "sha256": ("VARCHAR", "SHA-256 of the gzip bytes as served."),
        "bytes": ("BIGINT", "Number of gzip bytes as served."),
        "csv_sha256": ("VARCHAR", "SHA-256 of the CSV itself."),
        "csv_bytes": ("BIGINT", "Size of the CSV itself."),
        "fetched_at": ("TIMESTAMPTZ", "When its bytes came here."),
        "loaded_at": ("TIMESTAMPTZ", "When its table was made."),
        "table": ("VARCHAR", "Its table in the data set's schema; NULL when it is not loaded."),
        "channels": ("VARCHAR", "The channels that show it now, with commas between."),
    },
    key=("data_set", "version"),
)
COLUMNS = Table(
    "columns",
    "One row per column of each version's table. Ids are unique within filters and within indicators only.",
    _VERSION
    | {
        "position": ("INTEGER", "Place in the table, from 1."),
        "column_name": ("VARCHAR", "Name in the table, as in the publisher's file."),
        "role": ("VARCHAR", "time, geography, filter, indicator, flag or other."),
        "data_type": ("VARCHAR", "Type in the table."),
        "id": ("VARCHAR", "The publisher's id of the filter or indicator; stays when the column is renamed."),
        "label": ("VARCHAR", "The publisher's label."),
        "unit": ("VARCHAR", "%, pp, £, £m, string; NULL: none."),
        "decimal_places": ("INTEGER", "Decimal places the publisher shows."),
        "hint": ("VARCHAR", "The publisher's hint on a filter."),
    },
    key=("data_set", "version", "column_name"),
)
FILTER_OPTIONS = Table(
    "filter_options",
    "One row per value of each filter.",
    _VERSION
    | {
        "column_name": ("VARCHAR", "The filter's column."),
        "filter_id": ("VARCHAR", "The filter's id."),
        "option_id": ("VARCHAR", "The option's id, unique within the filter."),
        "label": ("VARCHAR", "What stands in the column."),
    },
    key=("data_set", "version", "column_name", "option_id"),
)
LOCATIONS = Table(
    "locations",
    "One row per place of each version.",
    _VERSION
    | {
        "level": ("VARCHAR", "Geographic level, as in the column geographic_level."),
        "level_code": ("VARCHAR", "The API's code of the level: NAT, REG, LA."),
        "location_id": ("VARCHAR", "The publisher's id of the place, unique within its level."),
        "label": ("VARCHAR", "Name of the place."),
        "code": ("VARCHAR", "Its code; for local authorities the ONS code."),
        "old_code": ("VARCHAR", "Local authorities: the three-digit code."),
        "urn": ("VARCHAR", "Schools: unique reference number."),
        "la_estab": ("VARCHAR", "Schools: local authority and establishment number."),
        "ukprn": ("VARCHAR", "Providers: UK provider reference number."),
    },
    key=("data_set", "version", "level_code", "location_id"),
)
TIME_PERIODS = Table(
    "time_periods",
    "One row per time period of each version; order by position.",
    _VERSION
    | {
        "position": ("INTEGER", "Chronological place, from 1."),
        "code": ("VARCHAR", "The API's code of the kind of period: AY is an academic year."),
        "period": ("VARCHAR", "As the API writes it: 2024/2025."),
        "label": ("VARCHAR", "As people write it: 2024/25."),
        "time_identifier": ("VARCHAR", "As in the column time_identifier."),
        "time_period": ("VARCHAR", "As in the column time_period: 202425."),
    },
    key=("data_set", "version", "position"),
)
MARKER_COUNTS = Table(
    "marker_counts",
    "One row per time period, indicator and marker of each loaded version: how many cells hold it.",
    _VERSION
    | {
        "time_identifier": ("VARCHAR", "As in the column time_identifier; NULL where it is empty or not there."),
        "time_period": ("VARCHAR", "As in the column time_period; NULL where it is empty or not there."),
        "indicator": ("VARCHAR", "The column, under its name in this version."),
        "marker": ("VARCHAR", "What stands in its flag column; NULL: the cells that hold a figure (or text)."),
        "cells": ("BIGINT", "How many cells; all of an indicator together are the period's rows."),
    },
)
CHANGES = Table(
    "changes",
    "What the publisher says each version changed in the metadata. Changed figures are never in it: see revisions.",
    _VERSION
    | {
        "severity": ("VARCHAR", "major or minor, as the API files it; a minor version may hold major changes."),
        "kind": ("VARCHAR", "filters, filter_options, geographic_levels, indicators, location_groups, …"),
        "action": ("VARCHAR", "added, removed or changed."),
        "within": ("VARCHAR", "The filter's column or the level, for options and places."),
        "label": ("VARCHAR", "Label now, or before where it was removed."),
        "previous": ("JSON", "The publisher's description before."),
        "current": ("JSON", "The publisher's description now."),
    },
)
MARKER_TABLE = Table(
    "markers",
    "What stands in flag columns, and what it means.",
    {
        "marker": ("VARCHAR", "Canonical symbol."),
        "meaning": ("VARCHAR", "What it says, in words."),
        "reason": ("VARCHAR", "Why there is no number. rounds_to_zero is neither zero nor missing."),
        "sdmx_obs_status": ("VARCHAR", "Code of SDMX CL_OBS_STATUS."),
        "gss_shorthand": ("VARCHAR", "Shorthand of the Government Statistical Service."),
        "current": ("BOOLEAN", "Whether producers still use it."),
    },
    key=("marker",),
)
LOADS = Table(
    "loads",
    "One row per version tried in a run that published something.",
    _VERSION
    | {
        "started_at": ("TIMESTAMPTZ", "When work on it began."),
        "finished_at": ("TIMESTAMPTZ", "When its observations were ready, or it failed."),
        "outcome": ("VARCHAR", "loaded, refused or failed."),
        "reason": ("VARCHAR", "Why it was refused or failed."),
        "rows": ("BIGINT", "Rows loaded."),
    },
)
CHECKS = Table(
    "checks",
    "One row per check that applies to each loaded version.",
    _VERSION
    | {
        "check_name": ("VARCHAR", "Name of the check, the same as in Dagster."),
        "family": ("VARCHAR", "file, measure, own (of the configuration), promise (of its number and change log)."),
        "severity": ("VARCHAR", "error: something is wrong; warn: worth a look."),
        "passed": ("BOOLEAN", "Whether it holds."),
        "affected": ("BIGINT", "Rows or cells it does not hold for."),
        "detail": ("VARCHAR", "What was found."),
        "asserts": ("VARCHAR", "What the check asserts."),
        "source": ("VARCHAR", "Where it comes from."),
        "examples": (
            "JSON",
            'The first findings, an array of {"key": {column: text}, "values": {name: text}}; NULL: none.',
        ),
        "basis": ("VARCHAR", "Fingerprint of rules and bytes; the next edition judges anew where it is another now."),
    },
    key=("data_set", "version", "check_name"),
)
NOTES = Table(
    "notes",
    "What to know before figures are quoted or compared. A note is about every figure that agrees with all of its "
    "columns from indicator to filter_option that are not NULL; <name>.observation_notes has them figure by figure.",
    _DATA_SET
    | {
        "kind": ("VARCHAR", f"{'; '.join(f'{kind}: {what}' for kind, what in KINDS.items())}; or a word of your own."),
        "comparable": ("BOOLEAN", "false: do not compare these figures with those of other periods."),
        "indicator": ("VARCHAR", "The column, under its newest name; NULL: all."),
        "time_period": ("VARCHAR", "As in the column time_period; NULL: all."),
        "geographic_level": ("VARCHAR", "As in the column geographic_level; NULL: all."),
        "location_code": ("VARCHAR", "Code of the place, in any code column of the level; NULL: all."),
        "location": ("VARCHAR", "Its name."),
        "filter_column": ("VARCHAR", "The filter that filter_option belongs to; NULL: all rows."),
        "filter_option": ("VARCHAR", "As in the filter's column."),
        "version": ("VARCHAR", "restated: the version that did it; else NULL."),
        "text": ("VARCHAR", "The note."),
        "source": ("VARCHAR", "Who says so."),
    },
)
COMPARISONS = Table(
    "comparisons",
    "One row per loaded version and the one before it: how many cells and rows changed. The cells: <name>.revisions.",
    _DATA_SET
    | {
        "from_version": ("VARCHAR", "The earlier version."),
        "to_version": ("VARCHAR", "The later version."),
        "compared_at": ("TIMESTAMPTZ", "When they were compared."),
        "key_columns": ("VARCHAR", "The columns rows were matched by, with commas between."),
        "key_is_unique": ("BOOLEAN", "Whether these tell rows apart; if not, rows were matched as a multiset."),
        "indicators": ("BIGINT", "Indicators compared."),
        "revised": ("BIGINT", "Cells: value to another value."),
        "suppressed": ("BIGINT", "Cells: value to marker."),
        "released": ("BIGINT", "Cells: marker to value."),
        "reflagged": ("BIGINT", "Cells: marker to another marker."),
        "added": ("BIGINT", "Rows only the later version has."),
        "removed": ("BIGINT", "Rows only the earlier version has."),
        "structure": ("VARCHAR", "Columns, options, periods, levels and places that differ, one a line."),
    },
    key=("data_set", "from_version", "to_version"),
)
TABLES = (
    DATA_SETS,
    VERSIONS,
    COLUMNS,
    FILTER_OPTIONS,
    LOCATIONS,
    TIME_PERIODS,
    MARKER_COUNTS,
    CHANGES,
    MARKER_TABLE,
    LOADS,
    CHECKS,
    COMPARISONS,
    NOTES,
)
OF_A_VERSION = (COLUMNS, FILTER_OPTIONS, LOCATIONS, TIME_PERIODS, MARKER_COUNTS, CHANGES, CHECKS)
"""The tables whose rows describe one loaded version."""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the catalogue's tables, or what an edition of an older program lacks of them, and fill in the markers."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [SCHEMA]).fetchall()
    present = {name: column_names(connection, qualified(SCHEMA, name)) for (name,) in tables}
    for table in TABLES:
        missing = {name: column for name, column in table.columns.items() if name not in present.get(table.name, [])}
        if table.name not in present:
            columns = ", ".join(f"{identifier(name)} {kind}" for name, (kind, _) in missing.items())
            connection.execute(f"CREATE TABLE {table.qualified} ({columns})")
        else:
            for name, (kind, _) in missing.items():
                connection.execute(f"ALTER TABLE {table.qualified} ADD COLUMN {identifier(name)} {kind}")
        if missing:
            about = f"{table.comment} Key: {', '.join(table.key)}." if table.key else table.comment
            texts = {name: text for name, (_, text) in missing.items()}
            comment_on(connection, "TABLE", table.qualified, about, texts)
    connection.execute(f"DELETE FROM {MARKER_TABLE.qualified}")
    insert(
        connection,
        MARKER_TABLE,
        (
            {
                "marker": marker.symbol,
                "meaning": marker.meaning,
                "reason": str(marker.reason),
                "sdmx_obs_status": marker.sdmx_obs_status,
                "gss_shorthand": marker.gss_shorthand,
                "current": marker.current,
            }
            for marker in MARKERS.values()
        ),
    )


def insert(connection: duckdb.DuckDBPyConnection, table: Table, rows: Iterable[Row]) -> None:
    """Add rows by column name; columns a row lacks become NULL.

    As one Arrow stream, since row-by-row inserts take a millisecond each and a data set may have 60,000 places.
    """
    import polars as pl  # noqa: PLC0415 - who only reads a warehouse need not wait for it

    types: dict[str, pl.DataType] = {
        "VARCHAR": pl.String(),
        "BIGINT": pl.Int64(),
        "INTEGER": pl.Int32(),
        "DOUBLE": pl.Float64(),
        "BOOLEAN": pl.Boolean(),
        "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
        "JSON": pl.String(),
    }
    schema = {name: types[kind] for name, (kind, _) in table.columns.items()}
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")
    if frame.is_empty():
        return
    connection.register(_INSERTED, _Stream(frame))
    try:
        connection.execute(f"INSERT INTO {table.qualified} BY NAME FROM {_INSERTED}")
    finally:
        connection.unregister(_INSERTED)


@dataclass(frozen=True)
class _Stream:
    """A frame as an Arrow stream and nothing else: from a polars frame DuckDB would want pyarrow."""

    frame: pl.DataFrame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.frame.__arrow_c_stream__(requested_schema)
