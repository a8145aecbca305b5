"""Channels: which version ``latest``, ``v1`` and ``v1_0`` stand for, and their views.

They go as the API's wildcards ``*``, ``1.*`` and ``1.0.*`` go: the highest version that is Published, withdrawn and
deprecated ones skipped (contract §3.3), chosen among the versions that are loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import duckdb

from ks4_pipeline.columns import Column, Role
from ks4_pipeline.ees.models import Filter, FilterOption, Indicator, VersionRecord
from ks4_pipeline.identity import UnifiedColumn
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.schema import COLUMNS, FILTER_OPTIONS, VERSIONS
from ks4_pipeline.warehouse.sql import comment_on, qualified
from ks4_pipeline.warehouse.tables import column_comment

_AN_OPTION = FilterOption(id="", label="")  # a comment says how many there are, and not which


def choose(records: Iterable[VersionRecord], loaded: Collection[VersionNumber]) -> dict[str, VersionNumber]:
    """The version each channel stands for; a channel with no eligible version is absent."""
    chosen: dict[str, VersionNumber] = {}
    for record in sorted(records, key=lambda record: record.version):
        if record.is_published and record.version in loaded:
            chosen.update(dict.fromkeys(record.version.channels, record.version))
    return chosen


def update_views(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    channels: Mapping[str, VersionNumber],
    described: Comments,
    *,
    anew: bool = False,
) -> None:
    """Bring a schema's channel views up to date; a view that shows the same table as before stays as it is.

    Args:
        connection: to the build; its catalogue still says what each channel showed.
        schema: the data set's name.
        channels: what each is to show; any other is dropped.
        described: the comments on the schema's columns.
        anew: make all of them again, since the tables' comments have changed.
    """
    before = _shown(connection, schema)
    for channel in before.keys() - channels.keys():
        connection.execute(f"DROP VIEW IF EXISTS {qualified(schema, channel)}")
    moved = {channel: version for channel, version in channels.items() if anew or before.get(channel) != version}
    if not moved:
        return
    columns = described.of(*{version.table for version in moved.values()})
    tables = dict(
        connection.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = ? AND list_contains(?, table_name)",
            [schema, list(columns)],
        ).fetchall()
    )
    for channel, version in moved.items():
        view = qualified(schema, channel)
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {qualified(schema, version.table)}")
        about = f"{_meaning(channel)}, now {version}. {tables.get(version.table, '')}"
        comment_on(connection, "VIEW", view, about, columns[version.table])


class Comments:
    """The comments on the columns of versions' tables, in order, each version's asked for once.

    They are worked out from the catalogue: asked for comments, DuckDB walks through every column there is.

    Args:
        connection: to the build; its catalogue describes every version that will be asked for.
        schema: the data set's name.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._known: dict[str, dict[str, str]] = {}

    def of(self, *tables: str) -> Mapping[str, Mapping[str, str]]:
        """By table, the comments on its columns."""
        unknown = set(tables) - self._known.keys()
        if unknown:
            self._work_out(unknown)
        return {table: self._known[table] for table in tables}

    def of_newest(self, columns: Collection[UnifiedColumn]) -> dict[str, str]:
        """What the newest version that has each of these columns says of it, by the name across versions."""
        found = self.of(*{column.newest.table for column in columns})
        return {column.name: found[column.newest.table][column.names[column.newest]] for column in columns}

    def _work_out(self, tables: Collection[str]) -> None:
        rows = self._connection.execute(
            f"""
            SELECT "table", column_name, role, id, label, unit, decimal_places, hint, coalesce(options, 0)
            FROM {COLUMNS.qualified} JOIN {VERSIONS.qualified} USING (data_set, version) LEFT JOIN (
                SELECT version, column_name, count(*) AS options FROM {FILTER_OPTIONS.qualified}
                WHERE data_set = $schema GROUP BY ALL) USING (version, column_name)
            WHERE data_set = $schema AND "table" IN $tables ORDER BY "table", position
            """,
            {"schema": self._schema, "tables": list(tables)},
        ).fetchall()
        self._known |= {table: {} for table in tables}
        for table, name, role, column_id, label, unit, places, hint, options in rows:
            described: Filter | Indicator | None = None
            if role == Role.FILTER:
                described = Filter.model_construct(
                    id=column_id, column=name, label=label, hint=hint or "", options=(_AN_OPTION,) * options
                )
            elif column_id is not None:
                described = Indicator(id=column_id, column=name, label=label, unit=unit, decimal_places=places)
            self._known[table][name] = column_comment(Column(name, Role(role), described))


def _shown(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, VersionNumber]:
    """What each channel of a schema showed in the edition before; not those of tables made for this one."""
    rows = connection.execute(
        f"SELECT version, channels FROM {VERSIONS.qualified} WHERE data_set = ? AND channels <> ''", [schema]
    ).fetchall()
    return {channel: VersionNumber.parse(version) for version, names in rows for channel in names.split(",")}


def _meaning(channel: str) -> str:
    if channel == "latest":
        return "The newest published version"
    return f"The newest published version of line {channel.removeprefix('v').replace('_', '.')}"
