"""``catalogue.marker_counts``: how many cells of a version hold which marker, by period and indicator.

Written from what was counted when the version was typed. Of a version that an older program loaded it is counted in the
version's table instead: by the next edition, and by whoever reads before there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import duckdb

from ks4_pipeline.columns import FLAG_SUFFIX, Role
from ks4_pipeline.identity import StoredColumn
from ks4_pipeline.periods import PERIOD, PeriodCounts
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.history import stored_columns
from ks4_pipeline.warehouse.schema import MARKER_COUNTS, SCHEMA, VERSIONS, Row, insert
from ks4_pipeline.warehouse.sql import identifier, qualified


def rows_of(periods: Iterable[PeriodCounts], indicators: Iterable[str]) -> Iterator[Row]:
    """The rows of a version, without its name: by period and indicator, cells without a marker and with each one."""
    names = list(indicators)
    for period in periods:
        for name in names:
            counts = dict[str | None, int]({None: period.rows - period.marked(name)})
            counts.update(period.markers.get(name, {}).items())
            for marker, cells in counts.items():
                yield {
                    "time_identifier": period.time_identifier,
                    "time_period": period.time_period,
                    "indicator": name,
                    "marker": marker,
                    "cells": cells,
                }


def complete(connection: duckdb.DuckDBPyConnection) -> None:
    """Count in the build what an older program loaded without counting it, of whatever data set."""
    missing = connection.execute(
        f'SELECT data_set, version FROM {VERSIONS.qualified} WHERE "table" IS NOT NULL '
        f"EXCEPT SELECT data_set, version FROM {MARKER_COUNTS.qualified} ORDER BY ALL"
    ).fetchall()
    for schema, number in missing:
        version = VersionNumber.parse(number)
        columns = stored_columns(connection, schema).get(version, [])
        indicators = [column.name for column in columns if column.role is Role.INDICATOR]
        if indicators:
            counted = _count(connection, schema, version, columns)
            about: Row = {"data_set": schema, "version": number}
            insert(connection, MARKER_COUNTS, ({**about, **row} for row in rows_of(counted, indicators)))


def periods_of(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, columns: Sequence[StoredColumn]
) -> list[PeriodCounts]:
    """What there is of each period of a loaded version, the periods in no order.

    Args:
        connection: to a published warehouse.
        schema: the data set's name.
        version: which.
        columns: of the version.
    """
    known = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [SCHEMA, MARKER_COUNTS.name]
    ).fetchall()
    rows = (
        known
        and connection.execute(
            f"SELECT time_identifier, time_period, indicator, marker, cells FROM {MARKER_COUNTS.qualified} "
            "WHERE data_set = ? AND version = ?",
            [schema, str(version)],
        ).fetchall()
    )
    if not rows:
        return _count(connection, schema, version, columns)
    cells: dict[tuple[str | None, str | None], dict[str, dict[str | None, int]]] = {}
    for time_identifier, time_period, indicator, marker, count in rows:
        cells.setdefault((time_identifier, time_period), {}).setdefault(indicator, {})[marker] = count
    return [
        PeriodCounts(
            time_identifier=time_identifier,
            time_period=time_period,
            rows=max(sum(counts.values()) for counts in found.values()),  # each indicator has a cell in each row
            markers={
                name: {marker: count for marker, count in counts.items() if marker is not None}
                for name, counts in found.items()
                if counts.keys() - {None}
            },
        )
        for (time_identifier, time_period), found in cells.items()
    ]


def _count(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, columns: Sequence[StoredColumn]
) -> list[PeriodCounts]:
    """The same from the version's table: a pass over all of its flags."""
    has = {column.name for column in columns if not column.is_numeric}
    numeric = [column.name for column in columns if column.is_numeric]
    period = [identifier(name) if name in has else "CAST(NULL AS VARCHAR)" for name in PERIOD]
    flags = [f"histogram({identifier(name + FLAG_SUFFIX)})" for name in numeric]
    rows = connection.execute(
        f"SELECT {', '.join([*period, 'count(*)', *flags])} FROM {qualified(schema, version.table)} "
        "GROUP BY ALL HAVING count(*) > 0"
    ).fetchall()
    return [
        PeriodCounts(
            time_identifier=time_identifier,
            time_period=time_period,
            rows=count,
            markers={name: found for name, found in zip(numeric, histograms, strict=True) if found},
        )
        for time_identifier, time_period, count, *histograms in rows
    ]
