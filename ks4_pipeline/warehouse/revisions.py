"""``<name>.revisions``: what changed between each loaded version and the one before it, kept up to date.

A pair of versions is compared once; it is compared again only when one of its tables is replaced, a version gets in
between, or a column gets another name, since rows stand under the newest names. What stands here never depends on the
order in which versions were loaded. ``catalogue.comparisons`` has a row per pair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import duckdb

from ks4_pipeline.columns import FILE_VERSION, Role
from ks4_pipeline.identity import StoredColumn, UnifiedColumn, unify
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.comparison import CLASSES, RESULT, Comparison, compare, forget
from ks4_pipeline.warehouse.schema import COMPARISONS, insert
from ks4_pipeline.warehouse.sql import column_names, comment_on, identifier, literal, qualified

TABLE = "revisions"
_CLASSES_EXPLAINED = (
    "revised: value to value; suppressed: value to marker; released: marker to value; reflagged: marker to another "
    "marker; added, removed: a whole row, indicator NULL."
)
_OWN = {
    "from_version": ("VARCHAR", "The earlier version."),
    "to_version": ("VARCHAR", "The later version, which made the change."),
    "class": ("VARCHAR", _CLASSES_EXPLAINED),
}
_CELLS = {
    "indicator": ("VARCHAR", "The changed column, under its newest name; NULL for whole rows."),
    "old_value": ("DOUBLE", "The figure before."),
    "old_flag": ("VARCHAR", "The marker before."),
    "new_value": ("DOUBLE", "The figure now."),
    "new_flag": ("VARCHAR", "The marker now."),
}
_TEXTS = {
    "old_text": ("VARCHAR", "The text before, of an indicator that is text."),
    "new_text": ("VARCHAR", "The text now."),
}
_RESERVED = (*_OWN, *_CELLS, *_TEXTS)
Pair = tuple[VersionNumber, VersionNumber]


def names_of(columns: Mapping[VersionNumber, Sequence[StoredColumn]]) -> tuple[UnifiedColumn, ...]:
    """The columns of these versions under the names that revisions use."""
    return unify(columns, reserved=_RESERVED)


def update(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    columns: Mapping[VersionNumber, Sequence[StoredColumn]],
    columns_before: Mapping[VersionNumber, Sequence[StoredColumn]],
    described: Comments,
    *,
    replaced: Collection[VersionNumber],
    compared_at: datetime,
) -> list[Comparison]:
    """Bring a schema's revisions up to date with its loaded versions.

    Args:
        connection: to the build.
        schema: the data set's name.
        columns: the columns of all loaded versions.
        columns_before: those of the edition before.
        described: the comments on the schema's columns.
        replaced: the versions to compare anew: those whose tables were made for this edition, and those that now follow
            another version in the publisher's list, so that their change log is about another pair.
        compared_at: the time to write beside new comparisons.

    Returns:
        The comparisons made now.
    """
    unified = names_of(columns)
    wanted = list(pairwise(sorted(columns)))
    done = _compared_pairs(connection, schema)
    if _columns_moved(columns_before, unified, done, replaced):
        done = set()
        connection.execute(f"DROP TABLE IF EXISTS {qualified(schema, TABLE)}")
    valid = {pair for pair in done if pair in wanted and not set(pair) & set(replaced)}
    _shape_table(connection, schema, unified, described)
    _forget(connection, schema, keep=valid)
    made = []
    for old, new in wanted:
        if (old, new) not in valid:
            found = compare(connection, schema, old, new, _as_they_stand(unified, columns, new, old))
            connection.execute(
                f"INSERT INTO {qualified(schema, TABLE)} BY NAME SELECT {literal(str(old))} AS from_version, "
                f"{literal(str(new))} AS to_version, * FROM {RESULT}"
            )
            forget(connection)
            insert(connection, COMPARISONS, [_row(schema, found, compared_at)])
            made.append(found)
    return made


def _as_they_stand(
    unified: Sequence[UnifiedColumn],
    columns: Mapping[VersionNumber, Sequence[StoredColumn]],
    *versions: VersionNumber,
) -> list[UnifiedColumn]:
    """The columns of some versions in the order of their tables, the first one's first; not in that of later ones."""
    stored = [(version, column.name) for version in versions for column in columns[version]]
    places = {use: place for place, use in enumerate(stored)}
    having = [column for column in unified if not places.keys().isdisjoint(column.names.items())]
    return sorted(having, key=lambda column: min(places[use] for use in column.names.items() if use in places))


def _compared_pairs(connection: duckdb.DuckDBPyConnection, schema: str) -> set[Pair]:
    rows = connection.execute(
        f"SELECT from_version, to_version FROM {COMPARISONS.qualified} WHERE data_set = ?", [schema]
    ).fetchall()
    return {(VersionNumber.parse(old), VersionNumber.parse(new)) for old, new in rows}


def _columns_moved(
    columns_before: Mapping[VersionNumber, Sequence[StoredColumn]],
    unified: Sequence[UnifiedColumn],
    done: Collection[Pair],
    replaced: Collection[VersionNumber],
) -> bool:
    """Whether what was compared would be compared under other names now."""
    compared = {version: columns_before[version] for pair in done for version in pair if version in columns_before}
    now = {(version, name): column for column in unified for version, name in column.names.items()}
    return any(
        now[version, name].name != column.name
        for column in names_of(compared)
        for version, name in column.names.items()
        if version not in replaced
    )


def _shape_table(
    connection: duckdb.DuckDBPyConnection, schema: str, unified: Sequence[UnifiedColumn], described: Comments
) -> None:
    """Make the table, or give it the columns it lacks, and take those that no loaded version has; rows are kept.

    Its columns are described by the newest version.
    """
    of_rows = [c for c in unified if set(c.roles.values()) != {Role.INDICATOR} and c.name != FILE_VERSION]
    keys = {name: ("VARCHAR", text) for name, text in described.of_newest(of_rows).items()}
    has_text = any(Role.INDICATOR in column.roles.values() and not column.is_numeric for column in unified)
    wanted = _OWN | keys | _CELLS | (_TEXTS if has_text else {})
    table = qualified(schema, TABLE)
    definitions = ", ".join(f"{identifier(name)} {kind}" for name, (kind, _) in wanted.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({definitions})")
    present = column_names(connection, table)
    if present != list(wanted):
        rest = qualified(schema, f"{TABLE}_before")
        kept = ", ".join(identifier(name) for name in present if name in wanted)
        connection.execute(f"ALTER TABLE {table} RENAME TO {identifier(f'{TABLE}_before')}")
        connection.execute(f"CREATE TABLE {table} ({definitions})")
        connection.execute(f"INSERT INTO {table} BY NAME SELECT {kept} FROM {rest}; DROP TABLE {rest}")
    about = "One row per changed cell between a version and the one before it, and per row added or removed."
    comment_on(connection, "TABLE", table, about, {name: text for name, (_, text) in wanted.items()})


def _forget(connection: duckdb.DuckDBPyConnection, schema: str, *, keep: Collection[Pair]) -> None:
    """Remove pairs that no longer stand."""
    for old, new in _compared_pairs(connection, schema) - set(keep):
        versions = [str(old), str(new)]
        connection.execute(
            f"DELETE FROM {qualified(schema, TABLE)} WHERE from_version = ? AND to_version = ?", versions
        )
        connection.execute(
            f"DELETE FROM {COMPARISONS.qualified} WHERE data_set = ? AND from_version = ? AND to_version = ?",
            [schema, *versions],
        )


def _row(schema: str, found: Comparison, compared_at: datetime) -> dict[str, object]:
    return {
        "data_set": schema,
        "from_version": str(found.old),
        "to_version": str(found.new),
        "compared_at": compared_at,
        "key_columns": ",".join(found.keys),
        "key_is_unique": found.key_is_unique,
        "indicators": len(found.indicators),
        **{name: found.counts[name] for name in CLASSES},
        "structure": "\n".join(map(str, found.structure)),
    }
