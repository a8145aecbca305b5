"""``catalogue.notes``, and per data set ``observation_notes``: which note is about which figure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

import duckdb

from ks4_pipeline.columns import Role
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS
from ks4_pipeline.identity import StoredColumn
from ks4_pipeline.notes import RESTATED, Contents, Note, facts_about
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.revisions import TABLE as REVISIONS
from ks4_pipeline.warehouse.revisions import names_of
from ks4_pipeline.warehouse.schema import COMPARISONS, FILTER_OPTIONS, LOCATIONS, NOTES, TIME_PERIODS, insert
from ks4_pipeline.warehouse.sql import column_names, comment_on, free_name, identifier, literal, qualified

VIEW = "observation_notes"
_SHOWN = ("kind", "comparable", "text", "source")
_INDICATOR = "The column the figure stands in."
_CODES = frozenset(code for level in GEOGRAPHIC_LEVELS for code in level.code_columns)

Versions = Mapping[VersionNumber, Sequence[StoredColumn]]
"""The columns of every loaded version, flags left out."""


def replace(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    columns: Versions,
    configured: Sequence[Note],
    *,
    compared: Collection[VersionNumber],
) -> None:
    """Bring the notes on a data set up to date: facts of the field, the configuration's notes, what was restated.

    What versions restated are by far the most notes, so that only those of versions compared now are made anew.

    Args:
        connection: to the build, with its revisions up to date.
        schema: the data set's name.
        columns: of all loaded versions.
        configured: the configuration's notes.
        compared: the versions that were compared with the one before them for this edition.
    """
    connection.execute(
        f"DELETE FROM {NOTES.qualified} WHERE data_set = $data_set AND (version IS NULL OR version IN $compared "
        f"OR version NOT IN (SELECT to_version FROM {COMPARISONS.qualified} WHERE data_set = $data_set))",
        {"data_set": schema, "compared": [str(version) for version in compared]},
    )
    notes = [*facts_about(_contents(connection, schema, columns)), *configured]
    insert(connection, NOTES, ({"data_set": schema, "comparable": n.comparable, **asdict(n)} for n in notes))
    _note_restated(connection, schema)


def create_view(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    columns: Versions,
    version: VersionNumber,
    described: Comments,
) -> None:
    """Make the schema's ``observation_notes`` over the table of a version: a row per figure and note on it."""
    own = columns[version]
    keys = [column.name for column in own if column.role is not Role.INDICATOR]
    table, view = qualified(schema, version.table), qualified(schema, VIEW)
    names = {name: free_name(name, keys) for name in ("indicator", *_SHOWN)}
    has_periods = "time_period" in keys
    indicators = ", ".join(
        f"({literal(name)}, {literal(newest)})" for name, newest in _newest_names(columns, version).items()
    )
    nothing = "(CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR))"
    versions = ", ".join(literal(str(other)) for other in columns if other <= version)
    matches = [f"(note.{column} IS NULL OR {match})" for column, match in _matches(keys, "note.{}").items()]
    parts = [f"row_of.{identifier(key)}" for key in keys]
    parts += [f"note.{'own' if name == 'indicator' else name} AS {identifier(names[name])}" for name in names]
    connection.execute(
        f"""
        CREATE OR REPLACE VIEW {view} AS
        WITH note AS (  -- by period, so that rows meet the notes of their own period only
            SELECT notes.*, indicators.own, periods.period
            FROM {NOTES.qualified} AS notes
                JOIN (VALUES {indicators or nothing}) AS indicators(own, newest)
                    ON notes.indicator IS NULL OR notes.indicator = indicators.newest
                JOIN (SELECT DISTINCT {"time_period" if has_periods else "NULL"} AS period FROM {table}) AS periods
                    ON notes.time_period IS NULL OR notes.time_period = periods.period
            WHERE notes.data_set = {literal(schema)} AND indicators.own IS NOT NULL
                AND (notes.version IS NULL OR notes.version IN ({versions}))
        )
        SELECT {", ".join(parts)}
        FROM note JOIN {table} AS row_of
            ON {"row_of.time_period IS NOT DISTINCT FROM note.period" if has_periods else "true"}
        WHERE {" AND ".join(matches)}
        """
    )
    about = f"What to know of the figures of {version}: one row per figure and note on it. The notes: catalogue.notes."
    of_table = described.of(version.table)[version.table]
    comments = {key: of_table[key] for key in keys} | {names["indicator"]: _INDICATOR}
    comments |= {names[name]: NOTES.columns[name][1] for name in _SHOWN}
    comment_on(connection, "VIEW", view, about, comments)


def drop_view(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Take the view away: there is no newest published version."""
    connection.execute(f"DROP VIEW IF EXISTS {qualified(schema, VIEW)}")


def not_comparable(
    connection: duckdb.DuckDBPyConnection, schema: str, columns: Versions, version: VersionNumber
) -> dict[str, str]:
    """By indicator of a version: SQL, over a row of its table, that is true where the figure must not be compared.

    The notes are written into the SQL, since a join would cost every reader of the view.
    """
    keys = [column.name for column in columns[version] if column.role is not Role.INDICATOR]
    about = ("indicator", "time_period", "geographic_level", "location_code", "filter_column", "filter_option")
    rows = connection.execute(
        f"SELECT {', '.join(about)} FROM {NOTES.qualified} WHERE data_set = ? AND NOT comparable", [schema]
    ).fetchall()
    newest_names = _newest_names(columns, version)
    found: dict[str, set[str]] = {}
    for row in rows:
        note = dict(zip(about, row, strict=True))
        said = _matches(keys, "{}", note)
        condition = " AND ".join(match for column, match in said.items() if note.get(column) is not None) or "true"
        for name, newest in newest_names.items():
            if note["indicator"] in {None, newest}:
                found.setdefault(name, set()).add(condition)
    return {name: " OR ".join(f"({condition})" for condition in sorted(said)) for name, said in found.items()}


def _matches(keys: Sequence[str], column: str, note: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """By column of a note: SQL that is true where a row of the table is one that the note is about.

    Args:
        keys: the columns of the table that say what a row is about.
        column: how SQL calls a note's column, ``{}`` being its name.
        note: its texts, to be written into the SQL instead.
    """

    def said(name: str) -> str:
        return literal(note[name]) if note else column.format(name)

    def of_row(key: str) -> str:
        return identifier(key) if note else f"row_of.{identifier(key)}"

    codes = [of_row(key) for key in keys if key in _CODES]
    options = [
        f"{said('filter_column')} = {literal(key)} "
        f"AND ({said('filter_option')} IS NULL OR {of_row(key)} = {said('filter_option')})"
        for key in keys
    ]
    found = {name: f"{of_row(name)} = {said(name)}" for name in ("time_period", "geographic_level") if name in keys}
    found |= {"location_code": f"{said('location_code')} IN ({', '.join(codes)})"} if codes else {}
    found |= {"filter_column": f"({' OR '.join(options)})"} if options else {}
    nowhere = dict.fromkeys(("time_period", "geographic_level", "location_code", "filter_column"), "false")
    return nowhere | found


def _newest_names(columns: Versions, version: VersionNumber) -> dict[str, str]:
    """By the name of an indicator in a version: its newest name, under which notes know it."""
    return {
        column.names[version]: column.name
        for column in names_of(columns)
        if column.role is Role.INDICATOR and version in column.names
    }


def _contents(connection: duckdb.DuckDBPyConnection, schema: str, columns: Versions) -> Contents:
    def texts(query: str) -> list[tuple[str, ...]]:
        return connection.execute(f"{query} WHERE data_set = ?", [schema]).fetchall()

    options: dict[str, list[str]] = {}
    for column, option in sorted(texts(f"SELECT DISTINCT column_name, label FROM {FILTER_OPTIONS.qualified}")):
        options.setdefault(column, []).append(option)
    return Contents(
        [column.name for column in names_of(columns) if column.role is Role.INDICATOR],
        [period for (period,) in texts(f"SELECT DISTINCT time_period FROM {TIME_PERIODS.qualified}")],
        [level for (level,) in texts(f"SELECT DISTINCT level FROM {LOCATIONS.qualified}")],
        options,
    )


def _note_restated(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Note what versions changed in figures that the version before had: a note per version, period and indicator.

    Versions that have such notes are left alone.
    """
    table = qualified(schema, REVISIONS)
    if "time_period" not in column_names(connection, table):
        return
    versions = connection.execute(
        f"SELECT to_version FROM {COMPARISONS.qualified} WHERE data_set = $data_set EXCEPT "
        f"SELECT version FROM {NOTES.qualified} WHERE data_set = $data_set",
        {"data_set": schema},
    ).fetchall()
    if not versions:
        return
    # With the versions written out, DuckDB passes over what it stores of all others.
    written = ", ".join(literal(version) for (version,) in versions)
    connection.execute(
        f"""
        INSERT INTO {NOTES.qualified} BY NAME
        SELECT {literal(schema)} AS data_set, {literal(RESTATED)} AS kind, true AS comparable,
            {literal(f"{schema}.{REVISIONS}")} AS source, indicator, time_period, to_version AS version,
            'Version ' || to_version || ' changed ' || count(*) || if(count(*) = 1, ' figure', ' figures')
            || ' of this indicator and period that version ' || any_value(from_version) || ' had: '
            || list(DISTINCT class ORDER BY class).list_aggregate('string_agg', ', ') || '.' AS text
        FROM {table} WHERE indicator IS NOT NULL AND to_version IN ({written})
        GROUP BY to_version, time_period, indicator
        """
    )
