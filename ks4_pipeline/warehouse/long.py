"""``latest_long``: the newest version with one row per cell, each figure beside its label, unit, marker and reason.

The view puts the indicators one behind the other (UNION ALL): a question about one of them reads its two columns and no
other. Taking each row apart instead reads and builds all cells for any question: 5 to 100 times the work.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.schema import COLUMNS
from ks4_pipeline.warehouse.sql import comment_on, free_name, identifier, literal, qualified

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
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    version: VersionNumber,
    not_comparable: Mapping[str, str],
    described: Comments,
) -> None:
    """Make the schema's ``latest_long`` over the table of a version.

    Args:
        connection: to the build.
        schema: the data set's name.
        version: whose table.
        not_comparable: by indicator, SQL that is true where its figure must not be compared.
        described: the comments on the schema's columns.
    """
    columns = connection.execute(
        f"SELECT column_name, role, data_type, label, unit FROM {COLUMNS.qualified} "
        "WHERE data_set = ? AND version = ? ORDER BY position",
        [schema, str(version)],
    ).fetchall()
    keys = [name for name, role, *_ in columns if role not in {"indicator", "flag"}]
    indicators = [column for column in columns if column[1] == "indicator"]
    has_text = any(kind != "DOUBLE" for _, _, kind, _, _ in indicators)
    own = [name for name in _COMMENTS if name != "text" or has_text]
    names = {name: free_name(name, keys) for name in own}
    marker, key_list = identifier(names["marker"]), "".join(f"{identifier(key)}, " for key in keys)
    table = qualified(schema, version.table)
    selects = []
    for name, _, kind, label, unit in indicators or [("", "", "DOUBLE", "", None)]:
        fields = _fields(name, kind, label, unit, not_comparable.get(name))
        cell = ", ".join(
            f"{fields[own_name]} AS {identifier(names[own_name])}" for own_name in own if own_name in fields
        )
        selects.append(f"SELECT {key_list}{cell} FROM {table}{'' if indicators else ' WHERE false'}")
    parts = [*map(identifier, keys)]
    parts += [
        f"{_reason_of(marker)} AS {identifier(names[name])}" if name == "reason" else identifier(names[name])
        for name in own
    ]
    view = qualified(schema, VIEW)
    connection.execute(
        f"CREATE OR REPLACE VIEW {view} AS SELECT {', '.join(parts)} FROM ({' UNION ALL '.join(selects)}) AS cells"
    )
    comment = f"The newest published version, now {version}: one row per cell of an indicator."
    of_table = described.of(version.table)[version.table]
    comments = {key: of_table[key] for key in keys} | {names[name]: _COMMENTS[name] for name in own}
    comment_on(connection, "VIEW", view, comment, comments)


def drop_view(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Take the view away: there is no newest published version."""
    connection.execute(f"DROP VIEW IF EXISTS {qualified(schema, VIEW)}")


def _reason_of(marker: str) -> str:
    """What a marker means. Joined to ``catalogue.markers`` it would cost those too who do not ask for it."""
    reasons = " ".join(f"WHEN {marker} = {literal(one.symbol)} THEN {literal(one.reason)}" for one in MARKERS.values())
    return f"CASE WHEN {marker} IS NULL THEN NULL {reasons} END"


def _fields(name: str, kind: str, label: str, unit: str | None, not_comparable: str | None) -> dict[str, str]:
    """What a row of the view says of a cell of this indicator, but for the reason: the marker tells it."""
    numeric = bool(name) and kind == "DOUBLE"
    return {
        "indicator": literal(name),
        "label": literal(label),
        "unit": f"CAST({literal(unit)} AS VARCHAR)",
        "value": identifier(name) if numeric else "CAST(NULL AS DOUBLE)",
        "marker": identifier(f"{name}_flag") if numeric else "CAST(NULL AS VARCHAR)",
        "comparable": f"NOT coalesce({not_comparable}, false)" if not_comparable else "true",
        "text": identifier(name) if name and not numeric else "CAST(NULL AS VARCHAR)",
    }
