"""The catalogue's contents: rows made of the publisher's own metadata and of what was loaded.

Rows of a version are replaced as a whole, so that loading it again gives the same catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise

import duckdb

from ks4_pipeline.audit import CHECKS as AUDIT_CHECKS
from ks4_pipeline.audit import announced_item
from ks4_pipeline.columns import Column, Role
from ks4_pipeline.ees.models import (
    Change,
    Changes,
    ChangeSet,
    DataSetSummary,
    Filter,
    Indicator,
    LatestVersion,
    LocationGroup,
    Meta,
    State,
    TimePeriod,
    VersionRecord,
)
from ks4_pipeline.ees.vocabulary import TIME_IDENTIFIERS_BY_CODE, csv_time_period
from ks4_pipeline.landing import Landed, Listing
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality import CheckResult
from ks4_pipeline.quality.judging import Judgement
from ks4_pipeline.settings import DataSet
from ks4_pipeline.structure import Item
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import counts
from ks4_pipeline.warehouse.schema import (
    CHANGES,
    CHECKS,
    COLUMNS,
    DATA_SETS,
    FILTER_OPTIONS,
    LOCATIONS,
    MARKER_COUNTS,
    OF_A_VERSION,
    TIME_PERIODS,
    UNLISTED,
    VERSIONS,
    Row,
    insert,
)
from ks4_pipeline.warehouse.sql import identifier
from ks4_pipeline.warehouse.tables import sql_type

LISTED = ("status", "published", "withdrawn", "notes", "release", "release_slug", "file_id")
"""The columns of a version that follow the publisher's list."""


def replace_version(
    connection: duckdb.DuckDBPyConnection,
    data_set: DataSet,
    landed: Landed,
    observations: Observations,
) -> None:
    """Describe a loaded version anew: columns, options, places, periods, counted markers and announced changes."""
    about: Row = {"data_set": data_set.name, "version": str(landed.version)}
    for table in OF_A_VERSION:
        connection.execute(f"DELETE FROM {table.qualified} WHERE data_set = $data_set AND version = $version", about)
    columns = enumerate(observations.columns.observations, 1)
    indicators = (column.name for column in observations.columns.of_file if column.role is Role.INDICATOR)
    rows = {
        COLUMNS: (_column_row(position, column) for position, column in columns),
        FILTER_OPTIONS: _option_rows(landed.meta),
        LOCATIONS: (row for group in landed.meta.locations for row in _location_rows(group)),
        TIME_PERIODS: _period_rows(landed.meta),
        MARKER_COUNTS: counts.rows_of(observations.facts.periods, indicators),
        CHANGES: _change_rows(landed.changes),
    }
    for table, found in rows.items():
        insert(connection, table, ({**about, **row} for row in found))


def replace_listing(
    connection: duckdb.DuckDBPyConnection,
    data_set: DataSet,
    listing: Listing,
    loaded: Mapping[VersionNumber, Landed],
    loaded_at: datetime,
    *,
    unlisted: Mapping[tuple[str, str], Row],
) -> None:
    """Bring the data set's row and its versions' rows up to date with the publisher's list.

    A version that is loaded and that the publisher no longer lists keeps its row, with status :data:`UNLISTED`.

    Args:
        connection: to the build.
        data_set: whose listing it is.
        listing: the publisher's list as last seen.
        loaded: the versions loaded for this edition; the facts of those loaded before are kept.
        loaded_at: when they were.
        unlisted: by data set and version, what the publisher last said of versions he no longer lists; of others it is
            what he said when they landed.
    """
    name = data_set.name
    connection.execute(f"DELETE FROM {DATA_SETS.qualified} WHERE data_set = ?", [name])
    insert(connection, DATA_SETS, [_data_set_row(data_set, listing)])
    connection.execute(
        f'DELETE FROM {VERSIONS.qualified} WHERE data_set = ? AND ("table" IS NULL OR list_contains(?, version))',
        [name, [str(version) for version in loaded]],
    )
    kept = _kept_rows(connection, name)
    new: list[Row] = []
    for record in listing.versions:
        row = _listed_row(record)
        known = kept.pop(str(record.version), None)
        if known is None:
            facts = _loaded_row(loaded[record.version], loaded_at) if record.version in loaded else {}
            new.append({"data_set": name, **row, **_number_row(record), **facts})
        elif known != row:
            _update(connection, name, str(record.version), row)
    for number, known in kept.items():
        if known["status"] != UNLISTED:
            _update(connection, name, number, {"status": UNLISTED})
    listed = {record.version for record in listing.versions}
    for version, landed in loaded.items():
        if version not in listed:
            last_said = unlisted.get((name, str(version))) or _listed_row(landed.record)
            row = {**last_said, **_number_row(landed.record), **_loaded_row(landed, loaded_at)}
            new.append({"data_set": name, **row, "status": UNLISTED})
    insert(connection, VERSIONS, new)


def announced(connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber) -> list[Item]:
    """What the publisher said a loaded version changed."""
    rows = connection.execute(
        f"SELECT kind, action, within, previous, current FROM {CHANGES.qualified} WHERE data_set = ? AND version = ?",
        [schema, str(version)],
    ).fetchall()
    return [
        announced_item(kind, action, within, json.loads(previous or "{}"), json.loads(current or "{}"))
        for kind, action, within, previous, current in rows
    ]


def predecessors(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[VersionNumber, VersionNumber]:
    """For each version the publisher lists, loaded or not, the one just before it, by number."""
    rows = connection.execute(f"SELECT version FROM {VERSIONS.qualified} WHERE data_set = ?", [schema]).fetchall()
    return {new: old for old, new in pairwise(sorted(VersionNumber.parse(number) for (number,) in rows))}


def catalogued_listing(connection: duckdb.DuckDBPyConnection, schema: str) -> Listing | None:
    """The publisher's list as the catalogue has it; None when it does not have the data set.

    Raises:
        ValidationError: when the rows are not what this module writes.
    """
    data_sets = connection.execute(
        "SELECT id, title, summary, status, superseded_by, latest_version, seen_at "
        f"FROM {DATA_SETS.qualified} WHERE data_set = ?",
        [schema],
    ).fetchall()
    if len(data_sets) != 1:
        return None
    data_set_id, name, summary, status, superseded_by, latest, seen_at = data_sets[0]
    rows = connection.execute(
        f"SELECT version, bump, rows, {', '.join(map(identifier, LISTED))} FROM {VERSIONS.qualified} "
        "WHERE data_set = ? AND status <> ? ORDER BY major, minor, patch",
        [schema, UNLISTED],
    ).fetchall()
    return Listing(
        seen_at=seen_at,
        news_at=seen_at,
        source="the catalogue",
        summary=DataSetSummary(
            id=data_set_id,
            title=name,
            summary=summary,
            status=status,
            superseding_data_set_id=superseded_by,
            latest_version=LatestVersion.model_validate({"version": latest, "totalResults": 0}) if latest else None,
        ),
        versions=tuple(_listed_record(*row) for row in rows),
    )


def _listed_record(number: str, bump: str, rows: int, *listed: object) -> VersionRecord:
    said = dict(zip(LISTED, listed, strict=True))
    release = {"title": said["release"], "slug": said["release_slug"]} if said["release"] is not None else None
    file = {"id": said["file_id"]} if said["file_id"] is not None else None
    of_list = {key: said[key] for key in ("status", "published", "withdrawn", "notes")}
    return VersionRecord.model_validate(
        {"version": number, "type": bump, "totalResults": rows, "release": release, "file": file, **of_list}
    )


def title(connection: duckdb.DuckDBPyConnection, schema: str) -> str | None:
    """The data set's title; None when it is not in the catalogue."""
    row = connection.execute(f"SELECT title FROM {DATA_SETS.qualified} WHERE data_set = ?", [schema]).fetchone()
    return row[0] if row else None


def replace_checks(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, judgement: Judgement
) -> None:
    """Write what the rules say of a version, in place of what they said before."""
    connection.execute(
        f"DELETE FROM {CHECKS.qualified} WHERE data_set = ? AND version = ? AND NOT list_contains(?, check_name)",
        [schema, str(version), list(AUDIT_CHECKS)],
    )
    about: Row = {"data_set": schema, "version": str(version), "basis": judgement.basis}
    insert(connection, CHECKS, ({**about, **_check_row(check)} for check in judgement.results))


def replace_audit(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, checks: Iterable[CheckResult]
) -> None:
    """Write the checks of a version against the one before it, in place of earlier ones."""
    about: Row = {"data_set": schema, "version": str(version)}
    connection.execute(
        f"DELETE FROM {CHECKS.qualified} WHERE data_set = ? AND version = ? AND list_contains(?, check_name)",
        [schema, str(version), list(AUDIT_CHECKS)],
    )
    insert(connection, CHECKS, ({**about, **_check_row(check)} for check in checks))


def mark_channels(
    connection: duckdb.DuckDBPyConnection, data_set: DataSet, channels: Mapping[str, VersionNumber]
) -> None:
    """Write beside each version which channels show it."""
    rows = connection.execute(
        f"SELECT version, channels FROM {VERSIONS.qualified} WHERE data_set = ?", [data_set.name]
    ).fetchall()
    for number, before in rows:
        names = ",".join(channel for channel, target in channels.items() if str(target) == number)
        if names != before:
            _update(connection, data_set.name, number, {"channels": names})


def _kept_rows(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, Row]:
    """By version, what the catalogue says of it that the publisher may change."""
    rows = connection.execute(
        f"SELECT version, {', '.join(map(identifier, LISTED))} FROM {VERSIONS.qualified} WHERE data_set = ?", [name]
    ).fetchall()
    return {number: dict(zip(LISTED, values, strict=True)) for number, *values in rows}


def _update(connection: duckdb.DuckDBPyConnection, name: str, number: str, row: Row) -> None:
    """Change a version's row; only where something differs, since a statement costs a millisecond."""
    assignments = ", ".join(f"{identifier(column)} = ${column}" for column in row)
    connection.execute(
        f"UPDATE {VERSIONS.qualified} SET {assignments} WHERE data_set = $name AND version = $number",
        {**row, "name": name, "number": number},
    )


def _data_set_row(data_set: DataSet, listing: Listing) -> Row:
    summary = listing.summary
    return {
        "data_set": data_set.name,
        "id": data_set.id,
        "title": summary.title,
        "summary": summary.summary,
        "status": summary.status,
        "superseded_by": summary.superseding_data_set_id,
        "latest_version": str(summary.latest_version.version) if summary.latest_version else None,
        "seen_at": listing.seen_at,
    }


def _listed_row(record: VersionRecord) -> Row:
    """What the publisher may change about a version after its publication."""
    return {
        "status": record.status,
        "published": record.published,
        "withdrawn": record.withdrawn,
        "notes": record.notes,
        "release": record.release.title if record.release else None,
        "release_slug": record.release.slug if record.release else None,
        "file_id": record.file.id if record.file else None,
    }


def _number_row(record: VersionRecord) -> Row:
    number = record.version
    return {
        "version": str(number),
        "major": number.major,
        "minor": number.minor,
        "patch": number.patch,
        "bump": str(number.bump),
        "rows": record.total_results,
        "channels": "",
    }


def _loaded_row(landed: Landed, loaded_at: datetime) -> Row:
    manifest = landed.manifest
    return {
        "sha256": manifest.served.sha256,
        "bytes": manifest.served.bytes,
        "csv_sha256": manifest.csv.sha256,
        "csv_bytes": manifest.csv.bytes,
        # Not the list's word: it may be about other bytes that the publisher serves by now.
        "rows": landed.record.total_results,
        "fetched_at": manifest.fetched_at,
        "loaded_at": loaded_at,
        "table": landed.version.table,
    }


def _column_row(position: int, column: Column) -> Row:
    row: Row = {
        "position": position,
        "column_name": column.name,
        "role": str(column.role),
        "data_type": sql_type(column),
    }
    match column.described:
        case Indicator(id=item_id, label=label, unit=unit, decimal_places=places):
            return {**row, "id": item_id, "label": label, "unit": unit or None, "decimal_places": places}
        case Filter(id=item_id, label=label, hint=hint):
            return {**row, "id": item_id, "label": label, "hint": hint}
    return row


def _check_row(check: CheckResult) -> Row:
    return {
        "check_name": check.name,
        "severity": str(check.severity),
        "passed": check.passed,
        "affected": check.affected,
        "detail": check.detail,
        "family": str(check.family),
        "asserts": check.asserts,
        "source": check.source,
        "examples": json.dumps([asdict(example) for example in check.examples], ensure_ascii=False)
        if check.examples
        else None,
    }


def _option_rows(meta: Meta) -> Iterator[Row]:
    for described in meta.filters:
        for option in described.options:
            yield {
                "column_name": described.column,
                "filter_id": described.id,
                "option_id": option.id,
                "label": option.label,
            }


def _location_rows(group: LocationGroup) -> Iterator[Row]:
    for place in group.options:
        yield {
            "level": group.level.label,
            "level_code": group.level.code,
            "location_id": place.id,
            "label": place.label,
            "code": place.code,
            "old_code": place.old_code,
            "urn": place.urn,
            "la_estab": place.la_estab,
            "ukprn": place.ukprn,
        }


def _period_rows(meta: Meta) -> Iterator[Row]:
    """In order of time: the API gives them in order of the code's text, W10 before W2 (contract §5.5)."""

    def chronological(period: TimePeriod) -> tuple[str, int]:
        known = TIME_IDENTIFIERS_BY_CODE.get(period.code)
        return period.period, known.order if known else len(TIME_IDENTIFIERS_BY_CODE)

    for position, period in enumerate(sorted(meta.time_periods, key=chronological), 1):
        known = TIME_IDENTIFIERS_BY_CODE.get(period.code)
        yield {
            "position": position,
            "code": period.code,
            "period": period.period,
            "label": period.label,
            "time_identifier": known.label if known else None,
            "time_period": csv_time_period(period.period),
        }


def _change_rows(changes: Changes) -> Iterator[Row]:
    yield from _change_set_rows("major", changes.major_changes)
    yield from _change_set_rows("minor", changes.minor_changes)


def _change_set_rows(severity: str, found: ChangeSet) -> Iterator[Row]:
    plain = {
        "filters": found.filters,
        "geographic_levels": found.geographic_levels,
        "indicators": found.indicators,
        "location_groups": found.location_groups,
        "time_periods": found.time_periods,
    }
    for kind, items in plain.items():
        for change in items:
            yield _change_row(severity, kind, None, change)
    for option_changes in found.filter_options:
        for change in option_changes.options:
            yield _change_row(severity, "filter_options", _text(option_changes.filter, "column"), change)
    for place_changes in found.location_options:
        for change in place_changes.options:
            yield _change_row(severity, "location_options", _text(place_changes.level, "label"), change)


def _change_row(severity: str, kind: str, within: str | None, change: Change) -> Row:
    state = change.current_state or change.previous_state
    return {
        "severity": severity,
        "kind": kind,
        "action": change.action,
        "within": within,
        "label": _text(state, "label") if state else None,
        "previous": _as_json(change.previous_state),
        "current": _as_json(change.current_state),
    }


def _text(state: State, key: str) -> str | None:
    """A text of a state; a group of places keeps its label within its level."""
    values = state.model_dump()
    level = values.get("level")
    value = values.get(key, level.get(key) if isinstance(level, dict) else None)
    return value if isinstance(value, str) else None


def _as_json(state: State | None) -> str | None:
    return None if state is None else json.dumps(state.model_dump(), ensure_ascii=False)
