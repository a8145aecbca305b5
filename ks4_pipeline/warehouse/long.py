"""``latest_long``: the newest version with one row per cell, each figure beside its label, unit, marker and reason."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.schema import COLUMNS, MARKER_TABLE
from ks4_pipeline.warehouse.sql import free_name, identifier, literal, qualified

VIEW = "latest_long"
_COMMENTS = {
    "indicator": "The column the cell stands in.",
    "label": "The publisher's label of the indicator.",
    "unit": "Its unit; NULL: none.",
    "value": "The figure; NULL where the publisher gives a marker instead.",
    "marker": "The marker in place of a figure; NULL where there is one.",
    "reason": "What the marker means; rounds_to_zero is neither zero nor missing.",
    "comparable": "false: the figure must not be compared with those of other periods; observation_notes says why.",
    "text": "The cell of an indicator that the publisher means as text.",
}


def create_view(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, not_comparable: Mapping[str, str]
) -> None:
    """Make the schema's ``latest_long`` over the table of a version.

    Args:
        connection: to the build.
        schema: the data set's name.
        version: whose table.
        not_comparable: by indicator, SQL that is true where its figure must not be compared.
    """
    columns = connection.execute(
        f"SELECT column_name, role, data_type, label, unit FROM {COLUMNS.qualified} "
        "WHERE data_set = ? AND version = ? ORDER BY position",
        [schema, str(version)],
    ).fetchall()
    keys = [name for name, role, *_ in columns if role not in {"indicator", "flag"}]
    cell = free_name("cell", [name for name, *_ in columns])
    indicators = [column for column in columns if column[1] == "indicator"]
    has_text = any(kind != "DOUBLE" for _, _, kind, _, _ in indicators)
    own = [name for name in _COMMENTS if name != "text" or has_text]
    names = {name: free_name(name, keys) for name in own}
    cells = ", ".join(
        _cell(*column, has_text=has_text, not_comparable=not_comparable.get(column[0])) for column in indicators
    )
    parts = [f"version_table.{identifier(key)}" for key in keys]
    parts += [
        f"{'markers.reason' if name == 'reason' else f'{cell}.{name}'} AS {identifier(names[name])}" for name in own
    ]
    view = qualified(schema, VIEW)
    source = (
        f"(SELECT *, unnest([{cells}]) AS {cell} FROM {qualified(schema, version.table)}) AS version_table "
        f"LEFT JOIN {MARKER_TABLE.qualified} AS markers ON markers.marker = {cell}.marker"
    )
    connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {', '.join(parts)} FROM {source}")
    comment = f"The newest published version, now {version}: one row per cell of an indicator."
    statements = [f"COMMENT ON VIEW {view} IS {literal(comment)}"]
    of_table = Comments.of(connection, schema, {version.table}).columns[version.table]
    comments = {key: of_table[key] for key in keys} | {names[name]: _COMMENTS[name] for name in own}
    statements += [f"COMMENT ON COLUMN {view}.{identifier(name)} IS {literal(text)}" for name, text in comments.items()]
    connection.execute(";\n".join(statements))


def drop_view(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Take the view away: there is no newest published version."""
    connection.execute(f"DROP VIEW IF EXISTS {qualified(schema, VIEW)}")


def _cell(
    name: str, _role: str, kind: str, label: str, unit: str | None, *, has_text: bool, not_comparable: str | None
) -> str:
    """One cell as a struct; all of them have the same fields, so that they can stand in one list."""
    numeric = kind == "DOUBLE"
    fields = {
        "indicator": literal(name),
        "label": literal(label),
        "unit": f"CAST({literal(unit)} AS VARCHAR)",
        "value": identifier(name) if numeric else "CAST(NULL AS DOUBLE)",
        "marker": identifier(f"{name}_flag") if numeric else "CAST(NULL AS VARCHAR)",
    }
    fields["comparable"] = f"NOT coalesce({not_comparable}, false)" if not_comparable else "true"
    if has_text:
        fields["text"] = "CAST(NULL AS VARCHAR)" if numeric else identifier(name)
    return "{" + ", ".join(f"'{field}': {value}" for field, value in fields.items()) + "}"
