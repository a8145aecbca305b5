"""What only a warehouse knows, and landing does not: when things were loaded, and what was last said of the unlisted.

A rebuild reads it from the warehouse it replaces and puts it into the new one, so that the two are equal. It holds for
the same bytes only: where landing has others than the old warehouse was made of, the new one begins its own history.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from ks4_pipeline.warehouse.catalogue import LISTED
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline.warehouse.schema import COMPARISONS, LOADS, UNLISTED, VERSIONS, Row, insert
from ks4_pipeline.warehouse.sql import identifier

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What a new warehouse takes over.

    Attributes:
        loads: the whole log of loads.
        loaded_at: when a version was loaded, by data set, version and SHA-256 of its CSV.
        compared_at: when two versions were compared, by data set and the two versions.
        unlisted: what the publisher last said of versions he no longer lists, by data set and version.
    """

    loads: Sequence[Row] = ()
    loaded_at: Mapping[tuple[str, str, str], datetime] = field(default_factory=dict)
    compared_at: Mapping[tuple[str, str, str], datetime] = field(default_factory=dict)
    unlisted: Mapping[tuple[str, str], Row] = field(default_factory=dict)


def read(warehouse: WarehouseFile) -> Kept:
    """What there is to keep of a published warehouse; nothing where there is none, or none that can be read."""
    if not warehouse.exists():
        return Kept()
    listed = ", ".join(map(identifier, LISTED))
    try:
        with warehouse.read() as connection:
            ask = connection.execute
            loads = ask(f"SELECT {', '.join(map(identifier, LOADS.columns))} FROM {LOADS.qualified}").fetchall()
            loaded = ask(
                f"SELECT data_set, version, csv_sha256, loaded_at FROM {VERSIONS.qualified} "
                'WHERE "table" IS NOT NULL AND loaded_at IS NOT NULL'
            ).fetchall()
            compared = ask(
                f"SELECT data_set, from_version, to_version, compared_at FROM {COMPARISONS.qualified} "
                "WHERE compared_at IS NOT NULL"
            ).fetchall()
            unlisted = ask(
                f"SELECT data_set, version, {listed} FROM {VERSIONS.qualified} WHERE status = ?", [UNLISTED]
            ).fetchall()
    except (WarehouseError, duckdb.Error) as error:
        _log.warning("The times of loading in %s cannot be kept: %s", warehouse.path, error)
        return Kept()
    return Kept(
        [dict(zip(LOADS.columns, row, strict=True)) for row in loads],
        {(name, version, sha256): when for name, version, sha256, when in loaded},
        {(name, old, new): when for name, old, new, when in compared},
        {(name, version): dict(zip(LISTED, row, strict=True)) for name, version, *row in unlisted},
    )


def put_back(connection: duckdb.DuckDBPyConnection, kept: Kept) -> set[tuple[str, str]]:
    """Write the kept times beside what is the same as before.

    Returns:
        The versions, with their data set, that were loaded before from the same bytes.
    """
    same: set[tuple[str, str]] = set()
    rows = connection.execute(
        f'SELECT data_set, version, csv_sha256 FROM {VERSIONS.qualified} WHERE "table" IS NOT NULL'
    ).fetchall()
    for name, version, sha256 in rows:
        if (name, version, sha256) in kept.loaded_at:
            same.add((name, version))
            connection.execute(
                f"UPDATE {VERSIONS.qualified} SET loaded_at = ? WHERE data_set = ? AND version = ?",
                [kept.loaded_at[name, version, sha256], name, version],
            )
    for (name, old, new), when in kept.compared_at.items():
        if {(name, old), (name, new)} <= same:
            connection.execute(
                f"UPDATE {COMPARISONS.qualified} SET compared_at = ? "
                "WHERE data_set = ? AND from_version = ? AND to_version = ?",
                [when, name, old, new],
            )
    return same


def put_back_loads(connection: duckdb.DuckDBPyConnection, kept: Kept) -> None:
    """Write the log of loads into a warehouse that has none yet."""
    insert(connection, LOADS, kept.loads)
