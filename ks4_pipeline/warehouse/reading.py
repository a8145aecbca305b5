"""What the published warehouse says of a version: short reads for those who report on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import duckdb

from ks4_pipeline import memory
from ks4_pipeline.ees.models import VersionRecord
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.quality import CheckResult, Example, Family, Severity
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.comparison import CLASSES, Comparison, compare
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline.warehouse.history import stored_columns
from ks4_pipeline.warehouse.revisions import TABLE, names_of
from ks4_pipeline.warehouse.schema import CHECKS, COMPARISONS, DATA_SETS, UNLISTED, VERSIONS
from ks4_pipeline.warehouse.sql import literal, qualified


class NotLoadedError(Ks4Error):
    """A version was asked for that has no table in the warehouse."""


@dataclass(frozen=True)
class InForce:
    """What the published warehouse holds of one version."""

    version: VersionNumber
    csv_sha256: str
    status: str
    withdrawn: datetime | None
    notes: str
    release: str | None
    published: datetime | None
    rows: int
    channels: tuple[str, ...]

    def agrees_with(self, record: VersionRecord | None) -> bool:
        """Whether the publisher still says the same of it; None: that he does not list it."""
        if record is None:
            return self.status == UNLISTED
        release = record.release.title if record.release else None
        return (self.status, self.withdrawn, self.notes, self.release, self.published) == (
            record.status,
            record.withdrawn,
            record.notes,
            release,
            record.published,
        )


def loaded_versions(warehouse: WarehouseFile) -> Mapping[str, Mapping[VersionNumber, InForce]]:
    """By data set, the versions that have a table in the published warehouse; empty before the first edition."""
    return warehouse.known(_holdings).versions if warehouse.exists() else {}


def data_set_ids(warehouse: WarehouseFile) -> Mapping[str, str]:
    """The publisher's id of each data set in the published warehouse, by its name there."""
    return warehouse.known(_holdings).ids


def judged_on(warehouse: WarehouseFile, name: str) -> Mapping[VersionNumber, str]:
    """What the rules' results of each loaded version are based on, where they say it."""
    return warehouse.known(_holdings).bases.get(name, {})


class _Holdings(NamedTuple):
    versions: Mapping[str, Mapping[VersionNumber, InForce]]
    ids: Mapping[str, str]
    bases: Mapping[str, Mapping[VersionNumber, str]]


def _holdings(warehouse: WarehouseFile) -> _Holdings:
    with _catalogue(warehouse) as connection:
        ids = dict(connection.execute(f"SELECT data_set, id FROM {DATA_SETS.qualified}").fetchall())
        rows = connection.execute(
            "SELECT data_set, version, csv_sha256, status, withdrawn, notes, release, published, rows, channels "
            f'FROM {VERSIONS.qualified} WHERE "table" IS NOT NULL ORDER BY data_set, major, minor, patch'
        ).fetchall()
        # An edition of an older program has no column basis: the pattern then matches the others alone.
        judged = connection.execute(
            f"SELECT DISTINCT COLUMNS('^(data_set|version|basis)$') FROM {CHECKS.qualified}"
        ).fetchall()
    found: dict[str, dict[VersionNumber, InForce]] = {}
    for data_set, number, sha256, status, withdrawn, notes, release, published, count, shown in rows:
        version = VersionNumber.parse(number)
        found.setdefault(data_set, {})[version] = InForce(
            version, sha256, status, withdrawn, notes, release, published, count, tuple(filter(None, shown.split(",")))
        )
    bases: dict[str, dict[VersionNumber, str]] = {}
    for data_set, number, *basis in judged:
        if basis and basis[0]:
            bases.setdefault(data_set, {})[VersionNumber.parse(number)] = basis[0]
    return _Holdings(found, ids, bases)


def storage_version(warehouse: WarehouseFile) -> str:
    """The oldest DuckDB whose format the published warehouse has, as DuckDB calls it: ``v1.4.0+``."""
    with _catalogue(warehouse) as connection:
        row = connection.execute("SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal").fetchone()
    return str(row[0]) if row else ""


def count_rows(warehouse: WarehouseFile, name: str, version: VersionNumber) -> int:
    """Rows of a version's table in the published warehouse."""
    with warehouse.read() as connection:
        row = connection.execute(f"SELECT count(*) FROM {qualified(name, version.table)}").fetchone()
    return int(row[0]) if row else 0


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
        return checks_in(connection, name, version)


def checks_in(connection: duckdb.DuckDBPyConnection, name: str, version: VersionNumber) -> dict[str, CheckResult]:
    """The same, asked on a connection that is open already."""
    found = connection.execute(
        f"SELECT * FROM {CHECKS.qualified} WHERE data_set = ? AND version = ? ORDER BY check_name",
        [name, str(version)],
    )
    columns = [column for column, *_ in found.description or []]
    rows = (dict(zip(columns, row, strict=True)) for row in found.fetchall())
    return {row["check_name"]: _check(row) for row in rows}


def _check(row: Mapping[str, Any]) -> CheckResult:
    """A row of the catalogue; one of an older program lacks what is said of it, which is nothing then."""
    examples = json.loads(row.get("examples") or "[]")
    return CheckResult(
        row["check_name"],
        row["passed"],
        row["affected"],
        row["detail"],
        Severity(row["severity"]),
        Family(row.get("family") or Family.PROMISE),
        row.get("asserts") or "",
        row.get("source") or "",
        tuple(Example(example["key"], example["values"]) for example in examples),
    )


@contextmanager
def differences(
    warehouse: WarehouseFile, name: str, old: VersionNumber, new: VersionNumber
) -> Iterator[tuple[Comparison, duckdb.DuckDBPyConnection]]:
    """Compare any two loaded versions.

    Yields:
        The comparison, and a connection with its rows in :data:`ks4_pipeline.warehouse.comparison.RESULT`.

    Raises:
        NotLoadedError: when one of them has no table in the warehouse.
    """
    with warehouse.read() as connection:
        connection.execute(f"SET memory_limit = {literal(memory.limit(memory.COMPARISON))}")
        columns = stored_columns(connection, name)
        for version in (old, new):
            if version not in columns:
                loaded = ", ".join(map(str, sorted(columns))) or "none"
                raise NotLoadedError(f"{name} has no table of version {version}. Loaded versions: {loaded}.")
        pair = {version: columns[version] for version in (old, new)}
        yield compare(connection, name, old, new, names_of(pair)), connection


@contextmanager
def _catalogue(warehouse: WarehouseFile) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to ask the catalogue; says what can be done about one that cannot be asked."""
    with warehouse.read(leaves_closing=True) as connection:
        try:
            yield connection
        except duckdb.Error as error:
            raise WarehouseError(
                f"{warehouse.path} has no catalogue that can be read ({error}). Move it away; ks4 rebuild makes it "
                "anew from the landing folder."
            ) from error
