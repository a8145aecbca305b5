"""Reads the data dictionary of a data set out of an open warehouse: comments, catalogue, and counts of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from ks4_pipeline.columns import FILE_VERSION, FLAG_SUFFIX, Role
from ks4_pipeline.dictionary.model import (
    Check,
    DescribedColumn,
    Dictionary,
    Figures,
    Level,
    Macro,
    MarkerMeaning,
    Place,
    Relation,
    Rows,
    Value,
    VersionFacts,
)
from ks4_pipeline.identity import UnifiedColumn, unify
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.periods import by_indicator
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import history, long, revisions
from ks4_pipeline.warehouse.counts import periods_of
from ks4_pipeline.warehouse.schema import (
    CHECKS,
    COLUMNS,
    DATA_SETS,
    FILTER_OPTIONS,
    LOCATIONS,
    MARKER_TABLE,
    SCHEMA,
    TABLES,
    TIME_PERIODS,
    VERSIONS,
)
from ks4_pipeline.warehouse.sql import identifier, qualified
from ks4_pipeline.warehouse.tables import LICENCE

NOTES = "notes"
_FEW = 50
"""A text column whose values the metadata do not name is listed value by value when it has no more than this."""
_CODES = {"code": "Code", "old_code": "Old code", "urn": "URN", "la_estab": "LAESTAB", "ukprn": "UKPRN"}
_COUNTED = {"time_period", "time_identifier", "geographic_level"}
_BARE = DescribedColumn("", "", "")
_FLAG = replace(
    _BARE,
    role=str(Role.FLAG),
    values=tuple(Value(marker.symbol, marker.reason.replace("_", " ")) for marker in MARKERS.values()),
)


def read(connection: duckdb.DuckDBPyConnection, data_set: str, version: str) -> Dictionary:
    """The dictionary of a data set, one loaded version of it described in depth.

    Args:
        connection: to the published warehouse; nothing is written.
        data_set: its short name.
        version: a loaded version, as the API prints it.
    """
    return _Reader(connection, data_set, version).read()


class _Reader:
    """One reading; it keeps what several parts need."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_set: str, version: str) -> None:
        self._connection = connection
        self._data_set = data_set
        self._version = version
        self._described = self._described_columns()
        self._stored = history.stored_columns(connection, data_set)
        self._shown = self._shown_versions()
        number = VersionNumber.parse(version)
        numeric = [column.name for column in self._stored[number] if column.is_numeric]
        self._marked = by_indicator(periods_of(connection, data_set, number, self._stored[number]), numeric)
        """By numeric indicator of the version described, its markers with their cells, the commonest first."""

    def read(self) -> Dictionary:
        relations = [self._relation(*found) for found in self._listed(self._data_set)]
        table = next(r for r in relations if r.version == self._version and r.kind == "table")
        described = replace(table, columns=tuple(self._counted(table, column) for column in table.columns))
        row_key = tuple(column.name for column in described.columns if _is_key(column))
        unique = self._is_unique(described, row_key)
        if unique and all(column.complete for column in described.columns if _is_key(column)):
            described = replace(described, key=row_key)  # an SQL key has no NULL in it
        others = sorted((relation for relation in relations if relation.name != described.name), key=_by_use)
        keys = {table.name: table.key for table in TABLES}
        catalogue = [self._relation(*found) for found in self._listed(SCHEMA)]
        ((title, data_set_id, summary),) = self._ask(
            f"SELECT title, id, summary FROM {DATA_SETS.qualified} WHERE data_set = $data_set"
        )
        return Dictionary(
            data_set=self._data_set,
            id=data_set_id,
            title=title,
            summary=summary or "",
            licence=LICENCE,
            version=self._version_facts(),
            described=described,
            row_key=row_key,
            key_is_unique=unique,
            relations=(described, *(_counted_like(described, other) for other in others)),
            macros=self._macros(),
            catalogue=tuple(replace(relation, key=keys.get(relation.name, ())) for relation in catalogue),
            levels=self._levels(),
            markers=self._markers(described),
            checks=self._checks(),
            notes=self._notes() if any(relation.name == NOTES for relation in catalogue) else None,
        )

    def _ask(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        known = {"data_set": self._data_set, "version": self._version, "schema": self._data_set} | parameters
        used = {name: value for name, value in known.items() if f"${name}" in query}
        return self._connection.execute(query, used).fetchall()

    # --- every table and view -------------------------------------------------------------------------------------

    def _listed(self, schema: str) -> list[tuple[str, str, str, str]]:
        """Schema, name, kind and comment of its tables and views, by name."""
        return self._ask(
            "SELECT schema_name, table_name, 'table', comment FROM duckdb_tables() WHERE schema_name = $schema "
            "UNION ALL SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE schema_name = $schema "
            "ORDER BY 2",
            schema=schema,
        )

    def _relation(self, schema: str, name: str, kind: str, comment: str | None) -> Relation:
        found = self._ask(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = $schema "
            "AND table_name = $name ORDER BY column_index",
            schema=schema,
            name=name,
        )
        own = schema == self._data_set
        version = self._shown.get(name) if own else None
        known = self._known(name, version) if own else {}
        columns = tuple(
            replace(known.get(column, _BARE), name=column, type=column_type, description=text or "")
            for column, column_type, text in found
        )
        ((rows,),) = self._ask(f"SELECT count(*) FROM {qualified(schema, name)}")
        return Relation(schema, name, kind, comment or "", columns, rows, version)

    def _shown_versions(self) -> dict[str, str]:
        """By table and by channel, the version it shows."""
        found: dict[str, str] = {}
        for version, table, channels in self._ask(
            f'SELECT version, "table", channels FROM {VERSIONS.qualified} '
            'WHERE data_set = $data_set AND "table" IS NOT NULL'
        ):
            found |= dict.fromkeys([table, *filter(None, channels.split(","))], version)
        return found

    def _known(self, name: str, version: str | None) -> Mapping[str, DescribedColumn]:
        """What the catalogue says of a relation's columns, by their names there."""
        if version is not None:
            return self._described[version]
        if name == history.VIEW:
            return self._newest(unify(self._stored, reserved=history.OWN))
        if name == revisions.TABLE:
            return self._newest(revisions.names_of(self._stored))
        if name == long.VIEW:
            of_latest = self._described[self._shown["latest"]]
            return {
                name: column for name, column in of_latest.items() if column.role not in {Role.INDICATOR, Role.FLAG}
            }
        return {}

    def _newest(self, columns: Iterable[UnifiedColumn]) -> dict[str, DescribedColumn]:
        """Columns across versions, as the newest version with each of them describes it; options are not the same."""
        found = {}
        for column in columns:
            of_version = self._described[str(column.newest)]
            name = column.names[column.newest]
            found[column.name] = replace(of_version[name], values=())
            if column.has_flag:
                found[column.flag] = of_version.get(name + FLAG_SUFFIX, _FLAG)
        return found

    def _described_columns(self) -> dict[str, dict[str, DescribedColumn]]:
        """By version and column, what the catalogue says: role, label, unit, decimals, hint and options."""
        options: dict[tuple[str, str], list[Value]] = {}
        for version, column, label in self._ask(
            f"SELECT version, column_name, label FROM {FILTER_OPTIONS.qualified} WHERE data_set = $data_set "
            "ORDER BY rowid"
        ):
            options.setdefault((version, column), []).append(Value(label))
        found: dict[str, dict[str, DescribedColumn]] = {}
        for version, name, role, kind, label, unit, decimals, hint in self._ask(
            "SELECT version, column_name, role, data_type, label, unit, decimal_places, hint "
            f"FROM {COLUMNS.qualified} WHERE data_set = $data_set ORDER BY version, position"
        ):
            column = DescribedColumn(
                name, kind, "", role, label or "", unit or "", decimals, hint or "",
                tuple(options.get((version, name), ())),
            )  # fmt: skip
            found.setdefault(version, {})[name] = _FLAG if role == Role.FLAG else column
        return found

    def _macros(self) -> tuple[Macro, ...]:
        return tuple(
            Macro(self._data_set, name, tuple(parameters), comment or "")
            for name, parameters, comment in self._ask(
                "SELECT function_name, parameters, comment FROM duckdb_functions() WHERE schema_name = $schema "
                "AND function_type = 'table_macro' ORDER BY 1"
            )
        )

    # --- the version described in depth ---------------------------------------------------------------------------

    def _counted(self, table: Relation, column: DescribedColumn) -> DescribedColumn:
        """A column of the version's table with what stands in it."""
        relation, name = qualified(table.schema, table.name), identifier(column.name)
        if column.role == Role.FLAG:
            return replace(
                column, values=_with_counts(column.values, self._marked[column.name.removesuffix(FLAG_SUFFIX)])
            )
        if column.role == Role.INDICATOR and column.type == "DOUBLE":
            ((count, lowest, highest),) = self._ask(f"SELECT count({name}), min({name}), max({name}) FROM {relation}")
            markers = tuple(self._marked[column.name].items())
            return replace(column, figures=Figures(count, lowest, highest), markers=markers)
        ((filled, distinct),) = self._ask(f"SELECT count({name}), count(DISTINCT {name}) FROM {relation}")
        column = replace(column, distinct=distinct, complete=filled == table.rows)
        if column.name == "time_period":
            column = replace(column, values=self._periods())
        is_listed = column.role == Role.FILTER or column.name in _COUNTED
        if is_listed or (column.role == Role.OTHER and distinct <= _FEW):
            return replace(column, values=_with_counts(column.values, self._value_counts(relation, name)))
        return column

    def _value_counts(self, relation: str, name: str) -> dict[str, int]:
        """The texts of a column with their rows, the commonest first."""
        return dict(
            self._ask(
                f"SELECT {name}, count(*) FROM {relation} WHERE {name} IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1"
            )
        )

    def _periods(self) -> tuple[Value, ...]:
        """The time periods in order of time."""
        found = self._ask(
            f"SELECT time_period, label FROM {TIME_PERIODS.qualified} WHERE data_set = $data_set "
            "AND version = $version AND time_period IS NOT NULL ORDER BY position"
        )
        return tuple(Value(period, label) for period, label in dict(found).items())

    def _is_unique(self, table: Relation, key: Iterable[str]) -> bool:
        names = ", ".join(map(identifier, key))
        ((distinct,),) = self._ask(
            f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM {qualified(table.schema, table.name)})"
        )
        return bool(distinct == table.rows)

    def _version_facts(self) -> VersionFacts:
        ((number, bump, status, published, withdrawn, release, notes, rows, csv_sha256, channels),) = self._ask(
            "SELECT version, bump, status, published, withdrawn, release, notes, rows, csv_sha256, channels "
            f"FROM {VERSIONS.qualified} WHERE data_set = $data_set AND version = $version"
        )
        shown = tuple(filter(None, channels.split(",")))
        moments = (_in_utc(published), _in_utc(withdrawn))
        return VersionFacts(number, bump, status, *moments, release or "", notes or "", rows, csv_sha256, shown)

    def _levels(self) -> tuple[Level, ...]:
        places: dict[str, list[Place]] = {}
        for level, label, *codes in self._ask(
            f"SELECT level, label, {', '.join(_CODES)} FROM {LOCATIONS.qualified} "
            "WHERE data_set = $data_set AND version = $version ORDER BY rowid"
        ):
            named = {name: code for name, code in zip(_CODES.values(), codes, strict=True) if code}
            places.setdefault(level, []).append(Place(label, named))
        return tuple(Level(label, tuple(found)) for label, found in places.items())

    def _markers(self, table: Relation) -> tuple[MarkerMeaning, ...]:
        cells: dict[str, int] = {}
        for column in table.columns:
            for marker, count in column.markers:
                cells[marker] = cells.get(marker, 0) + count
        return tuple(
            MarkerMeaning(symbol, meaning, reason, sdmx, cells.get(symbol, 0))
            for symbol, meaning, reason, sdmx in self._ask(
                f"SELECT marker, meaning, reason, sdmx_obs_status FROM {MARKER_TABLE.qualified} ORDER BY rowid"
            )
        )

    def _checks(self) -> tuple[Check, ...]:
        # An edition of an older program does not say what its checks assert.
        known = self._ask(
            "SELECT 1 FROM duckdb_columns() WHERE schema_name = $schema AND table_name = $table "
            "AND column_name = 'asserts'",
            schema=SCHEMA,
            table=CHECKS.name,
        )
        asserts = "coalesce(asserts, '')" if known else "''"
        return tuple(
            Check(*row)
            for row in self._ask(
                f"SELECT check_name, passed, severity, affected, detail, {asserts} FROM {CHECKS.qualified} "
                "WHERE data_set = $data_set AND version = $version ORDER BY passed, check_name"
            )
        )

    def _notes(self) -> Rows:
        """What is known of the figures beforehand; notes that say the same of several as one.

        A note on all (NULL) and one on some are never put together: it would seem to be on those alone.
        """
        found = self._connection.execute(
            f"""
            WITH noted AS (
                SELECT rowid AS place_in_list, kind, text, indicator, time_period, source, filter_option,
                    coalesce(location, geographic_level) AS place
                FROM {qualified(SCHEMA, NOTES)} WHERE data_set = ? AND version IS NULL
            ), one_line_for_indicators AS (
                SELECT * EXCLUDE (indicator, place_in_list), indicator IS NULL AS on_all_indicators,
                    min(place_in_list) AS place_in_list,
                    string_agg(DISTINCT indicator, ', ' ORDER BY indicator) AS indicators
                FROM noted GROUP BY ALL
            ), one_line_for_options AS (
                SELECT * EXCLUDE (filter_option, place_in_list), filter_option IS NULL AS on_all_options,
                    min(place_in_list) AS place_in_list,
                    string_agg(DISTINCT filter_option, ', ' ORDER BY filter_option) AS options
                FROM one_line_for_indicators GROUP BY ALL
            ), one_line_for_places AS (
                SELECT * EXCLUDE (place, place_in_list), place IS NULL AS on_all_places,
                    min(place_in_list) AS place_in_list,
                    string_agg(DISTINCT place, ', ' ORDER BY place) AS places
                FROM one_line_for_options GROUP BY ALL
            )
            SELECT kind, string_agg(DISTINCT time_period, ', ' ORDER BY time_period) AS periods, text,
                places, options, indicators, source
            FROM one_line_for_places
            GROUP BY kind, text, places, options, indicators, source, time_period IS NULL
            ORDER BY min(place_in_list)
            """,
            [self._data_set],
        )
        columns = tuple(name for name, *_ in found.description or ())
        return Rows(columns, tuple(tuple("" if v is None else str(v) for v in row) for row in found.fetchall()))


def _in_utc(moment: datetime | None) -> datetime | None:
    """DuckDB gives moments in the time zone of the machine; a date must not depend on it."""
    return moment.astimezone(UTC) if moment else None


def _counted_like(described: Relation, other: Relation) -> Relation:
    """A channel that shows the version described has what was counted in its table."""
    if other.version != described.version:
        return other
    return replace(other, columns=described.columns, key=described.key)


def _by_use(relation: Relation) -> tuple[int, int, str]:
    """What people ask first comes first: the newest version, the views over all versions, channels, version tables."""
    first = ("latest", long.VIEW, history.VIEW, revisions.TABLE)
    place = first.index(relation.name) if relation.name in first else len(first)
    return place, relation.kind == "table", relation.name


def _is_key(column: DescribedColumn) -> bool:
    """Whether rows are told apart by it; how final the figures are does not (domain notes, section 3.6)."""
    return column.role in {Role.TIME, Role.GEOGRAPHY, Role.FILTER} and column.name != FILE_VERSION


def _with_counts(values: Iterable[Value], counts: Mapping[str, int]) -> tuple[Value, ...]:
    """The values that are known, then those only the table has, with their rows."""
    known = {value.text: value for value in values}
    every = [*known, *(text for text in counts if text not in known)]
    return tuple(replace(known.get(text, Value(text)), rows=counts.get(text, 0)) for text in every)
