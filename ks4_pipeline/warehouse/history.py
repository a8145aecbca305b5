"""``history``: every version of a data set in one view, columns joined by identity; and ``as_of``, one moment of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from ks4_pipeline.columns import Role
from ks4_pipeline.identity import StoredColumn, UnifiedColumn, unify
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.schema import COLUMNS, VERSIONS
from ks4_pipeline.warehouse.sql import comment_on, figure_text, identifier, literal, qualified
from ks4_pipeline.warehouse.tables import MARKERS_IN_SHORT

VIEW = "history"
MACRO = "as_of"
OWN = {
    "data_set_version": "The version the row is of.",
    "published": "When that version was published.",
}
"""The columns of the view that are not the publisher's."""
_MACRO_COMMENT = (
    "The rows of history that stood at a moment, such as as_of('2026-06-01'): those of the newest version published by "
    "then and not withdrawn by then. No rows before the first version."
)


def stored_columns(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[VersionNumber, list[StoredColumn]]:
    """The columns of every loaded version, flags left out, in the order of their tables."""
    rows = connection.execute(
        f"SELECT version, column_name, role, data_type, id FROM {COLUMNS.qualified} JOIN {VERSIONS.qualified} "
        'USING (data_set, version) WHERE data_set = ? AND "table" IS NOT NULL AND role <> ? '
        "ORDER BY major, minor, patch, position",
        [schema, str(Role.FLAG)],
    ).fetchall()
    found: dict[VersionNumber, list[StoredColumn]] = {}
    for version, name, role, kind, column_id in rows:
        column = StoredColumn(name, Role(role), kind == "DOUBLE", column_id)
        found.setdefault(VersionNumber.parse(version), []).append(column)
    return found


def create(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    columns: Mapping[VersionNumber, Sequence[StoredColumn]],
    described: Comments,
) -> None:
    """Make the schema's ``history`` view and ``as_of`` macro over all loaded versions."""
    unified = unify(columns, reserved=OWN)
    view = qualified(schema, VIEW)
    published = _publication_times(connection, schema)
    branches = [
        _branch(schema, version, published.get(version), unified, columns[version]) for version in sorted(columns)
    ]
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS {' UNION ALL '.join(branches)}")
    about = "Every loaded version, oldest first; a renamed column stands under its newest name."
    newest = described.of_newest(unified)
    comments = dict(OWN)
    for column in unified:
        comments |= _column_comments(column, newest[column.name])
    comment_on(connection, "VIEW", view, about, comments)
    macro = qualified(schema, MACRO)
    connection.execute(
        f"CREATE OR REPLACE MACRO {macro}(moment) AS TABLE SELECT * FROM {view} "
        f"WHERE data_set_version = (SELECT version FROM {VERSIONS.qualified} "
        f'WHERE data_set = {literal(schema)} AND "table" IS NOT NULL '
        "AND published <= CAST(moment AS TIMESTAMPTZ) "
        "AND (withdrawn IS NULL OR withdrawn > CAST(moment AS TIMESTAMPTZ)) "
        "ORDER BY major DESC, minor DESC, patch DESC LIMIT 1)"
    )
    connection.execute(f"COMMENT ON MACRO TABLE {macro} IS {literal(_MACRO_COMMENT)}")


def _publication_times(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[VersionNumber, str]:
    rows = connection.execute(
        f"SELECT version, CAST(published AS VARCHAR) FROM {VERSIONS.qualified} WHERE data_set = ?", [schema]
    ).fetchall()
    return {VersionNumber.parse(version): published for version, published in rows}


def _branch(
    schema: str,
    version: VersionNumber,
    published: str | None,
    columns: Sequence[UnifiedColumn],
    own: Sequence[StoredColumn],
) -> str:
    """One version's rows under the unified names."""
    parts = [
        f"{literal(str(version))} AS data_set_version",
        f"CAST({literal(published)} AS TIMESTAMPTZ) AS published",
    ]
    if _is_as_unified(columns, version, own):
        parts.append("*")  # the usual case, and much quicker to plan than a hundred names
    else:
        parts += [part for column in columns for part in select_list(column, version)]
    return f"SELECT {', '.join(parts)} FROM {qualified(schema, version.table)}"


def _is_as_unified(columns: Sequence[UnifiedColumn], version: VersionNumber, own: Sequence[StoredColumn]) -> bool:
    """Whether a version's table has just the unified columns, in their order, each under its own name.

    Two columns may have changed names with each other: then the names are the same, and mean others.
    """
    return [(column.name, column.is_numeric) for column in own] == [
        (column.name, column.is_numeric) for column in columns
    ] and all(column.names.get(version) == column.name and column.has_flag == column.is_numeric for column in columns)


def select_list(column: UnifiedColumn, version: VersionNumber) -> list[str]:
    """A unified column as one version has it, with its flag behind; NULL where the version lacks it."""
    kind = "DOUBLE" if column.is_numeric else "VARCHAR"
    name = column.names.get(version)
    value = "NULL" if name is None else identifier(name)
    if version in column.numeric_in and not column.is_numeric:  # a figure among texts: 1, not 1.0
        value = figure_text(value)
    parts = [f"CAST({value} AS {kind}) AS {identifier(column.name)}"]
    if column.has_flag:
        flag = identifier(f"{name}_flag") if version in column.numeric_in else "CAST(NULL AS VARCHAR)"
        parts.append(f"{flag} AS {identifier(column.flag)}")
    return parts


def _column_comments(column: UnifiedColumn, newest: str) -> dict[str, str]:
    """What the newest version with the column says of it, and which versions have it under which name."""
    earlier = sorted({name for name in column.names.values() if name != column.name})
    called = f" Called {', '.join(earlier)} in other versions." if earlier else ""
    first, last = min(column.names), column.newest
    span = f"In version {first} only." if first == last else f"In versions {first} to {last}; described as in {last}."
    comments = {column.name: f"{newest} {span}{called}"}
    if column.has_flag:
        comments[column.flag] = f"Why {column.name} has no number; NULL where it has one. {MARKERS_IN_SHORT}"
    return comments
