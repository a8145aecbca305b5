"""Channels: which version ``latest``, ``v1`` and ``v1_0`` stand for, and their views.

They go as the API's wildcards ``*``, ``1.*`` and ``1.0.*`` go: the highest version that is Published, withdrawn and
deprecated ones skipped (contract §3.3), chosen among the versions that are loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import duckdb

from ks4_pipeline.ees.models import VersionRecord
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.sql import identifier, literal, qualified


def choose(records: Iterable[VersionRecord], loaded: Collection[VersionNumber]) -> dict[str, VersionNumber]:
    """The version each channel stands for; a channel with no eligible version is absent."""
    chosen: dict[str, VersionNumber] = {}
    for record in sorted(records, key=lambda record: record.version):
        if record.is_published and record.version in loaded:
            chosen.update(dict.fromkeys(record.version.channels, record.version))
    return chosen


def replace_views(connection: duckdb.DuckDBPyConnection, schema: str, channels: Mapping[str, VersionNumber]) -> None:
    """Make a schema's channel views anew, with the comments of the tables they show; others are dropped."""
    for (view,) in connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = ?", [schema]
    ).fetchall():
        connection.execute(f"DROP VIEW {qualified(schema, view)}")
    for channel, version in channels.items():
        view = qualified(schema, channel)
        connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {qualified(schema, version.table)}")
        copy_comments(connection, schema, version.table, channel, f"{_meaning(channel)}, now {version}. ")


def copy_comments(connection: duckdb.DuckDBPyConnection, schema: str, table: str, view: str, introduction: str) -> None:
    """Give a view the comments of the table behind it, with a word of its own before."""
    (comment,) = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone() or (None,)
    statements = [f"COMMENT ON VIEW {qualified(schema, view)} IS {literal(introduction + (comment or ''))}"]
    statements += [
        f"COMMENT ON COLUMN {qualified(schema, view)}.{identifier(name)} IS {literal(text)}"
        for name, text in column_comments(connection, schema, table).items()
    ]
    connection.execute(";\n".join(statements))


def column_comments(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """The comments on a table's columns, in their order."""
    return dict(
        connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
            "ORDER BY column_index",
            [schema, table],
        ).fetchall()
    )


def _meaning(channel: str) -> str:
    if channel == "latest":
        return "The newest published version"
    return f"The newest published version of line {channel.removeprefix('v').replace('_', '.')}"
