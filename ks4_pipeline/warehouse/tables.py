"""Version tables: DDL, comments and rows of one version, all from the same description of its columns."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import duckdb

from ks4_pipeline.columns import FILE_VERSION, Column, Role
from ks4_pipeline.ees.models import Filter, Indicator, VersionRecord
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.warehouse.sql import comment_on, identifier, in_any_order, literal, parquet, qualified

if TYPE_CHECKING:  # who only reads a warehouse needs no polars, which takes a while to import
    from ks4_pipeline.observations import Observations

LICENCE = "Department for Education, Crown copyright, Open Government Licence v3.0."
MARKERS_IN_SHORT = (
    "Markers: " + ", ".join(f"{marker.symbol} {marker.reason.replace('_', ' ')}" for marker in MARKERS.values()) + "."
)
_STANDARD = {
    "time_period": "Time period in the publisher's digits: 202425 is 2024/25. Text, not a number.",
    "time_identifier": "Kind of time period, such as Academic year. With time_period it says which period it is.",
    "geographic_level": "Geographic level of the row, such as National. Totals and parts stand in one table.",
    FILE_VERSION: "How final the figures are, such as Provisional, Revised or Final. Rows are compared without it.",
}
_NOUNS = {
    "MAT": "multi-academy trust",
    "NAT": "country",
    "REG": "region",
    "RSC": "regional schools commissioner's area",
}
"""What a place of a level is called, where the level's label does not say it."""
_CODES = {
    "country_code": "ONS code of the country, such as E92000001 for England",
    "region_code": "ONS code of the region, such as E12000007 for London",
    "new_la_code": "ONS code of the local authority, such as E09000012 for Hackney",
    "old_la_code": "The department's own three-digit code of the local authority, such as 204 for Hackney",
    "provider_ukprn": "UK provider reference number of the provider",
    "school_urn": "Unique reference number of the school",
    "school_laestab": "Local authority and establishment number of the school",
}


IN_ORDER_UP_TO = 1_000_000
"""Rows of larger tables stand in no order: nobody reads them from the top, and keeping it takes twice the time."""


class TableError(Ks4Error):
    """A table that does not hold what was put into it."""


def replace_table(
    connection: duckdb.DuckDBPyConnection, schema: str, title: str, record: VersionRecord, observations: Observations
) -> None:
    """Make the table of a version from its observations, by column name.

    Rows stand in the order of the file, but for files of more than :data:`IN_ORDER_UP_TO` rows. Flags stay VARCHAR: as
    ENUM they load a tenth faster and are no smaller (``python -m ks4_pipeline_tests.benchmarks --only layouts``), and R
    and pandas would get factors.

    Raises:
        TableError: when the table does not hold as many rows as the observations.
    """
    table = qualified(schema, record.version.table)
    columns = observations.columns.observations
    definitions = ", ".join(f"{identifier(column.name)} {sql_type(column)}" for column in columns)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
    connection.execute(f"CREATE OR REPLACE TABLE {table} ({definitions})")
    with in_any_order(connection) if observations.facts.rows > IN_ORDER_UP_TO else nullcontext():
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {parquet(observations.parquet)}")
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    if rows != observations.facts.rows:
        raise TableError(f"{schema}.{record.version.table} holds {rows} rows; expected {observations.facts.rows}.")
    of_columns = {column.name: column_comment(column) for column in columns}
    comment_on(connection, "TABLE", table, table_comment(title, record), of_columns)


def retitle(connection: duckdb.DuckDBPyConnection, schema: str, before: str, title: str) -> None:
    """Let the comments of a schema's tables begin with the data set's new title."""
    begins = table_comment_begins(before)
    rows = connection.execute(
        "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = ? AND starts_with(comment, ?)",
        [schema, begins],
    ).fetchall()
    for table, comment in rows:
        text = table_comment_begins(title) + comment.removeprefix(begins)
        connection.execute(f"COMMENT ON TABLE {qualified(schema, table)} IS {literal(text)}")


def sql_type(column: Column) -> str:
    """DOUBLE for figures, VARCHAR for everything else."""
    return "DOUBLE" if column.is_numeric else "VARCHAR"


def table_comment(title: str, record: VersionRecord) -> str:
    """What a version's table is: title, version, date, release, the publisher's notes."""
    published = f", published {record.published:%Y-%m-%d}" if record.published else ""
    release = f", {record.release.title}" if record.release else ""
    notes = f" Publisher's notes: {record.notes}" if record.notes else ""
    number = f"{record.version} ({record.version.bump})"
    return f"{table_comment_begins(title)}{number}{published}{release}.{notes} {LICENCE}"


def table_comment_begins(title: str) -> str:
    """How the comments on all tables of a data set begin."""
    return f"{title}: version "


def column_comment(column: Column) -> str:
    """What a column is, in the publisher's words where there are any."""
    item = column.described
    if column.role is Role.FLAG and isinstance(item, Indicator):
        return f"Why {item.label} has no number; NULL where it has one. {MARKERS_IN_SHORT}"
    if isinstance(item, Indicator):
        return indicator_comment(item)
    if isinstance(item, Filter):
        options = f" {len(item.options)} options." if item.options else ""
        hint = f" {item.hint.rstrip('. ')}." if item.hint else ""
        return f"{item.label}.{hint}{options} Never sum over all options."
    if column.name in _STANDARD:
        return _STANDARD[column.name]
    if column.role is Role.GEOGRAPHY:
        return _place_comment(column.name)
    return "A column of the publisher's file that its metadata does not describe."


def _place_comment(name: str) -> str:
    """What a column of codes or names of places holds."""
    level = next((level for level in GEOGRAPHIC_LEVELS if name in level.columns), None)
    if level is None:  # an edition of a program that knew others
        return "Code or name of a place."
    noun = _NOUNS.get(level.code, level.label[:1].lower() + level.label[1:])
    text = f"Name of the {noun}" if name == level.name_column else _CODES.get(name, f"Code of the {noun}")
    empty = "" if level.code == "NAT" else " NULL on rows of coarser levels."
    return f"{text}.{empty}"


def indicator_comment(indicator: Indicator) -> str:
    """An indicator's label, unit, decimals and what NULL means."""
    unit = {None: "", "": "", "string": " Text, as published."}.get(indicator.unit, f" Unit: {indicator.unit}.")
    match indicator.decimal_places:
        case None:
            places = ""
        case 0:
            places = " Whole numbers."
        case count:
            places = f" Published to {count} decimal place{'s' * (count != 1)}."
    null = "" if indicator.is_text else f" NULL: see {indicator.column}_flag."
    return f"{indicator.label}.{unit}{places}{null}"
