"""What the published warehouse says of a version: short reads for those who report on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.quality import CheckResult, Severity
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.comparison import CLASSES, RESULT, Comparison, compare
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.history import stored_columns
from ks4_pipeline.warehouse.revisions import TABLE, names_of
from ks4_pipeline.warehouse.schema import CHECKS, COMPARISONS
from ks4_pipeline.warehouse.sql import qualified

__all__ = ["RESULT", "Change", "NotLoadedError", "change_of", "checks_of", "differences"]


class NotLoadedError(Ks4Error):
    """A version was asked for that has no table in the warehouse."""


@dataclass(frozen=True)
class Change:
    """What a version changed against the loaded version before it.

    Attributes:
        before: that version.
        counts: changed cells and rows by class.
        structure: what differs besides figures, one line each.
        by_indicator: for each indicator with changed cells, how many of each class.
    """

    before: VersionNumber
    counts: Mapping[str, int]
    structure: tuple[str, ...]
    by_indicator: Mapping[str, Mapping[str, int]]

    @property
    def cells(self) -> int:
        """How many cells changed."""
        return sum(count for name, count in self.counts.items() if name not in {"added", "removed"})


def change_of(warehouse: WarehouseFile, name: str, version: VersionNumber) -> Change | None:
    """What a version changed; None when no loaded version is before it."""
    with warehouse.read() as connection:
        row = connection.execute(
            f"SELECT from_version, structure, {', '.join(CLASSES)} FROM {COMPARISONS.qualified} "
            "WHERE data_set = ? AND to_version = ?",
            [name, str(version)],
        ).fetchone()
        if row is None:
            return None
        cells = connection.execute(
            f"SELECT indicator, class, count(*) FROM {qualified(name, TABLE)} "
            "WHERE to_version = ? AND indicator IS NOT NULL GROUP BY ALL ORDER BY ALL",
            [str(version)],
        ).fetchall()
    before, structure, *counts = row
    by_indicator: dict[str, dict[str, int]] = {}
    for indicator, kind, count in cells:
        by_indicator.setdefault(indicator, {})[kind] = count
    return Change(
        VersionNumber.parse(before),
        dict(zip(CLASSES, counts, strict=True)),
        tuple(filter(None, structure.split("\n"))),
        by_indicator,
    )


def checks_of(warehouse: WarehouseFile, name: str, version: VersionNumber) -> dict[str, CheckResult]:
    """The check results of a version, by name."""
    with warehouse.read() as connection:
        rows = connection.execute(
            f"SELECT check_name, passed, affected, detail, severity FROM {CHECKS.qualified} "
            "WHERE data_set = ? AND version = ? ORDER BY check_name",
            [name, str(version)],
        ).fetchall()
    return {
        check: CheckResult(check, passed, affected, detail, Severity(severity))
        for check, passed, affected, detail, severity in rows
    }


@contextmanager
def differences(
    warehouse: WarehouseFile, name: str, old: VersionNumber, new: VersionNumber
) -> Iterator[tuple[Comparison, duckdb.DuckDBPyConnection]]:
    """Compare any two loaded versions: the comparison, and a connection whose table :data:`RESULT` has the rows.

    Raises:
        NotLoadedError: when one of them has no table in the warehouse.
    """
    with warehouse.read() as connection:
        columns = stored_columns(connection, name)
        for version in (old, new):
            if version not in columns:
                loaded = ", ".join(map(str, sorted(columns))) or "none"
                raise NotLoadedError(f"{name} has no table of version {version}. Loaded versions: {loaded}.")
        pair = {version: columns[version] for version in (old, new)}
        yield compare(connection, name, old, new, names_of(pair)), connection
