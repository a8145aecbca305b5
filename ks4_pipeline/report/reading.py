"""What the published warehouse says of one version and of the one before it, as the facts of a change report.

Only aggregates and the first rows of an order leave DuckDB, so that a version of ten million rows costs no more memory
here than a small one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb

from ks4_pipeline import memory
from ks4_pipeline.columns import FILE_VERSION, FLAG_SUFFIX, TOTALS, Role
from ks4_pipeline.ees.pages import data_set_page
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS, TIME_IDENTIFIERS_BY_LABEL, GeographicLevel
from ks4_pipeline.identity import UnifiedColumn
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.periods import PERIOD, PeriodCounts
from ks4_pipeline.report import headline
from ks4_pipeline.report.content import (
    About,
    Announced,
    Caveat,
    Cell,
    Changed,
    Counts,
    Gap,
    Gaps,
    Headline,
    Indicator,
    MarkerCount,
    Measure,
    Note,
    Point,
    Report,
    Revision,
    together,
)
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.comparison import CLASSES
from ks4_pipeline.warehouse.counts import periods_of
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.history import stored_columns
from ks4_pipeline.warehouse.reading import NotLoadedError, checks_in
from ks4_pipeline.warehouse.revisions import TABLE, names_of
from ks4_pipeline.warehouse.schema import (
    CHANGES,
    COLUMNS,
    COMPARISONS,
    DATA_SETS,
    LOCATIONS,
    SCHEMA,
    VERSIONS,
)
from ks4_pipeline.warehouse.sql import ROW_GROUP, free_name, identifier, literal, qualified

_LARGEST = 12
_PLACES = 12
_ANNOUNCED = 60
_ROWS_MEASURED = 1_000_000
_NATIONAL = "NAT"
_NOTES = "notes"

Rows = list[tuple[Any, ...]]
Period = tuple[str, str]
"""Label of the identifier and ``time_period``, as in the file; either may be empty."""
Points = dict[tuple[str, str, str], Cell]


def read(warehouse: WarehouseFile, data_set: str, version: VersionNumber) -> Report:
    """Everything the report of a version says.

    Raises:
        NotLoadedError: when it has no table in the warehouse.
    """
    with warehouse.read() as connection:
        connection.execute(f"SET memory_limit = {literal(memory.limit(memory.REPORT))}")
        found = _Reading(connection, data_set, version)
        about, changed = found.about(), found.changed()
        announced, announced_count = found.announced()
        lines, reason = found.headline()
        gaps, caveats, periods = found.gaps(), found.caveats(), found.periods()
        checks = tuple(checks_in(connection, data_set, version).values())
    return Report(about, periods, changed, announced, announced_count, gaps, lines, reason, checks, caveats)


class _Reading:
    """One version, its predecessor among the loaded ones, and their columns under common names."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_set: str, version: VersionNumber) -> None:
        self._connection = connection
        self._data_set = data_set
        self._version = version
        stored = stored_columns(connection, data_set)
        if version not in stored:
            loaded = ", ".join(map(str, sorted(stored))) or "none"
            raise NotLoadedError(f"{data_set} has no table of version {version}. Loaded versions: {loaded}.")
        self._stored = stored
        self._counts_of: dict[VersionNumber, list[PeriodCounts]] = {}
        self._before = max((other for other in stored if other < version), default=None)
        self._columns = names_of(stored)
        self._notes = self._read_notes()
        self._described: dict[str, tuple[str | None, str | None, int | None]] = {
            name: (label, unit, places)
            for name, label, unit, places in self._ask(
                f"SELECT column_name, label, unit, decimal_places FROM {COLUMNS.qualified} "
                "WHERE data_set = $data_set AND version = $version",
            )
        }
        self._numeric = [
            (column, self._indicator(column.names[version]))
            for column in self._columns
            if column.role is Role.INDICATOR and version in column.numeric_in
        ]

    def about(self) -> About:
        row = self._ask(
            "SELECT d.title, d.summary, v.status, v.published, v.withdrawn, v.fetched_at, v.release, v.notes, v.rows, "
            f"v.sha256, v.file_id FROM {VERSIONS.qualified} v JOIN {DATA_SETS.qualified} d USING (data_set)"
            " WHERE data_set = $data_set AND version = $version"
        )[0]
        title, summary, status, published, withdrawn, fetched_at, release, notes, rows, sha256, file_id = row
        return About(
            data_set=self._data_set,
            title=title,
            summary=summary or "",
            version=self._version,
            status=status,
            published=published,
            withdrawn=withdrawn,
            fetched_at=fetched_at,
            release=release,
            notes=notes or "",
            rows=rows,
            indicators=len(self._numeric),
            sha256=sha256,
            page=data_set_page(file_id) if file_id else None,
        )

    def announced(self) -> tuple[tuple[Announced, ...], int]:
        """The first entries of the publisher's change log, and how many there are."""
        rows = self._ask(
            "SELECT severity, kind, action, within, label, previous, current, count(*) OVER () "
            f"FROM {CHANGES.qualified} WHERE data_set = $data_set AND version = $version "
            f"ORDER BY severity, kind, action, within, label LIMIT {_ANNOUNCED}"
        )
        entries = tuple(
            Announced(severity, kind, action, within or "", label or "", _differences(previous, current))
            for severity, kind, action, within, label, previous, current, _ in rows
        )
        return entries, rows[0][-1] if rows else 0

    def periods(self) -> tuple[str, ...]:
        return tuple(label for _, label in self._periods_of(self._version))

    # --- what changed -----------------------------------------------------------------------------------------------

    def changed(self) -> Changed | None:
        rows = self._ask(
            f"SELECT from_version, structure, key_is_unique, {', '.join(CLASSES)} FROM {COMPARISONS.qualified} "
            "WHERE data_set = $data_set AND to_version = $version"
        )
        if not rows:
            return None
        before, structure, key_is_unique, *counts = rows[0]
        labels = {column.name: indicator.label for column, indicator in self._numeric}
        by_indicator = {
            name: Counts(labels.get(name, name), of)
            for name, of in self._changes_by("indicator", ["indicator"]).items()
            if name is not None
        }
        order = [column.name for column in self._columns]
        names = self._names(None)
        by_period = self._changes_by(self._period_sql(names), names & set(PERIOD))
        periods = {self._period_key(key): of for key, of in by_period.items()}
        series = self._series_column()
        by_series = self._changes_by(identifier(series.name), [series.name]) if series else {}
        place = self._place_sql(names)
        by_place = self._changes_by(place, {"geographic_level", *_name_columns(names)}) if place else {}
        return Changed(
            before=VersionNumber.parse(before),
            counts=dict(zip(CLASSES, counts, strict=True)),
            structure=self._structure(structure.split("\n")),
            by_indicator=tuple(by_indicator[name] for name in sorted(by_indicator, key=order.index)),
            by_period=tuple(
                Counts(_period_label(period), periods[period]) for period in sorted(periods, key=_chronological)
            ),
            series_label=self._label(series.names[self._version]) if series else "",
            by_series=_most_changed(by_series),
            places=len(by_place),
            by_place=_most_changed(by_place)[:_PLACES] if len(by_place) > 1 else (),
            largest=self._largest(place if len(by_place) > 1 else None),
            key_is_unique=key_is_unique,
        )

    def _structure(self, lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Lines such as ``time periods added: Academic year 202526`` by what stands before the colon."""
        found: dict[str, tuple[str, ...]] = {}
        for line in filter(None, lines):
            heading, _, item = line.partition(": ")
            first, _, rest = item.partition(": ")
            if heading.startswith("time periods"):
                kind, _, period = item.rpartition(" ")
                item = _period_label((kind, period))
            elif heading.startswith("filter options") and rest:
                item = f"{self._label(first)}: {rest}"
            found[heading] = (*found.get(heading, ()), item)
        return found

    def _changes_by(self, expression: str, columns: Iterable[str]) -> dict[str | None, dict[str, int]]:
        """Changes of each class by an expression over some columns.

        It is evaluated for what these columns tell apart: for each of a hundred million rows it would cost as much as
        the counting.
        """
        names = sorted(columns)
        raw, cells = ", ".join([*map(identifier, names), "class"]), free_name("cells", names)
        rows = self._ask(
            f"SELECT {expression}, class, sum({cells}) FROM (SELECT {raw}, count(*) AS {cells} "
            f"FROM {qualified(self._data_set, TABLE)} WHERE to_version = $version GROUP BY ALL) "
            "GROUP BY ALL ORDER BY ALL",
        )
        found: dict[str | None, dict[str, int]] = {}
        for what, kind, count in rows:
            found.setdefault(what, {})[kind] = count
        return found

    def _largest(self, place: str | None) -> tuple[Revision, ...]:
        """The largest revisions, each measured by the standard deviation of its indicator in this version.

        How large they are is looked for first, since nothing else has to be read for that.
        """
        numeric = [column for column, found in self._numeric if found.column not in headline.LIMITS]
        if not numeric:
            return ()
        names = self._names(None)
        spread = free_name("spread", names)
        spreads = zip(numeric, self._spreads(numeric), strict=True)
        of_each = ", ".join(f"({literal(column.name)}, {value!r}::DOUBLE)" for column, value in spreads)
        revised = (
            f"FROM {qualified(self._data_set, TABLE)} JOIN (VALUES {of_each}) s(indicator, {spread}) USING (indicator) "
            "WHERE to_version = $version AND class = 'revised' AND old_value IS NOT NULL AND new_value IS NOT NULL"
        )
        size = f"abs(new_value - old_value) / {spread}"
        sizes = self._ask(f"SELECT {size} {revised} ORDER BY 1 DESC LIMIT {_LARGEST}")
        if not sizes:
            return ()
        filters = [column for column in self._columns if self._is_filter(column) and column.name in names]
        wheres = [place] if place else []
        wheres += [identifier(column.name) for column in filters]
        rows = self._ask(
            f"SELECT indicator, {self._period_sql(names)}, old_value, new_value{''.join(f', {w}' for w in wheres)} "
            f"{revised} AND {size} >= $least ORDER BY {size} DESC, 1, 2, 3, 4 LIMIT {_LARGEST}",
            least=sizes[-1][0],
        )
        indicators = {column.name: indicator for column, indicator in self._numeric}
        return tuple(
            Revision(indicators[name], _period_label(self._period_key(period)), _told_apart(parts), old, new)
            for name, period, old, new, *parts in rows
        )

    def _spreads(self, columns: Sequence[UnifiedColumn]) -> Iterator[float]:
        """The standard deviation of each column's figures; 1 where there is none.

        It says only what is large of an indicator, so of a large table every so many row groups are enough.
        """
        parts = ", ".join(f"stddev_pop({identifier(column.names[self._version])})" for column in columns)
        rows = sum(counted.rows for counted in self._counted(self._version))
        groups = f"rowid // {ROW_GROUP} % {max(1, math.ceil(rows / _ROWS_MEASURED))} = 0"
        row = self._ask(f"SELECT {parts} FROM {self._table(self._version)} WHERE {groups}")[0]
        for spread in row:
            yield spread if spread and math.isfinite(spread) else 1.0

    # --- markers ----------------------------------------------------------------------------------------------------

    def gaps(self) -> Gaps:
        now, marked_now = self._gaps_of(self._version)
        before, marked_before = self._gaps_of(self._before) if self._before else ({}, {})
        periods = {*self._periods_of(self._version), *(self._periods_of(self._before) if self._before else ())}
        symbols = [symbol for symbol in MARKERS if symbol in {**marked_now, **marked_before}]
        return Gaps(
            periods=tuple(label for _, label in sorted(periods, key=lambda found: _chronological(found[0]))),
            indicators=tuple(indicator for _, indicator in self._numeric),
            now=now,
            before=before,
            markers=tuple(
                MarkerCount(
                    symbol,
                    MARKERS[symbol].meaning,
                    marked_now.get(symbol, 0),
                    marked_before.get(symbol, 0) if self._before else None,
                )
                for symbol in symbols
            ),
            whole_now=_whole(now.values()),
            whole_before=_whole(before.values()) if self._before else None,
        )

    def _gaps_of(self, version: VersionNumber) -> tuple[dict[tuple[str, str], Gap], dict[str, int]]:
        """By this version's indicators and by period, of any version; and all markers of these."""
        columns = [(column, indicator) for column, indicator in self._numeric if version in column.numeric_in]
        if not columns:
            return {}, {}
        found, markers = {}, dict[str, int]()
        for counted in self._counted(version):
            label = _period_label(_period(counted))
            for column, indicator in columns:
                name = column.names[version]
                found[indicator.column, label] = Gap(counted.rows, counted.marked(name))
                for symbol, number in counted.markers.get(name, {}).items():
                    markers[symbol] = markers.get(symbol, 0) + number
        return found, markers

    # --- headline ---------------------------------------------------------------------------------------------------

    def headline(self) -> tuple[Headline | None, str]:
        """The headline figures; None and the reason where there are none."""
        periods = self._periods_of(self._version)
        level, places = self._coarsest_level()
        measures = headline.measures(
            [indicator for _, indicator in self._numeric],
            [
                note
                for note in self._notes
                if not note.comparable and not note.where and note.level in {"", level.label if level else ""}
            ],
            [(period[1], label) for period, label in periods],
        )
        if not measures:
            return None, "This version has no indicator that holds numbers."
        fixed = self._totals(level, self._version)
        series = self._series_columns(level, places, fixed)
        points = self._points(measures, self._version, level, fixed, series)
        if isinstance(points, str):
            return None, points
        before = self._points_before(measures, level, series) if self._before else {}
        names, highlighted = headline.ordered_series(name for _, name, _ in points)
        return (
            Headline(
                place=self._place_name(level) if level and places == 1 else "",
                fixed=tuple(
                    (self._label(column.names[self._version]), fixed[column.name])
                    for column in self._columns
                    if column.name in fixed
                ),
                series_label=" and ".join(self._label(column.names[self._version]) for column in series),
                series=names,
                highlighted=highlighted,
                periods=tuple(label for _, label in periods),
                measures=measures,
                points=_paired(measures, points, before),
            ),
            "",
        )

    def _points_before(
        self, measures: Sequence[Measure], level: GeographicLevel | None, series: Sequence[UnifiedColumn]
    ) -> Points:
        """The same figures of the version before; none where it cannot give them."""
        if self._before is None or any(self._before not in column.names for column in series):
            return {}
        found = self._points(measures, self._before, level, self._totals(level, self._before), series)
        return {} if isinstance(found, str) else found

    def _points(
        self,
        measures: Sequence[Measure],
        version: VersionNumber,
        level: GeographicLevel | None,
        fixed: Mapping[str, str],
        series: Sequence[UnifiedColumn],
    ) -> Points | str:
        """Cells by this version's columns (limits of intervals too), series and period; or why there are none."""
        wanted = [part for m in measures for part in (m.indicator, m.lower, m.upper) if part is not None]
        columns = {indicator.column: column for column, indicator in self._numeric if version in column.numeric_in}
        present = [indicator for indicator in wanted if indicator.column in columns]
        names = self._names(version)
        conditions = [
            f"{identifier(column.names[version])} = {literal(fixed[column.name])}"
            for column in self._columns
            if column.name in fixed
        ]
        if level:
            conditions.append(f"geographic_level = {literal(level.label)}")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        by = [identifier(column.names[version]) for column in series]
        table = self._table(version)
        if by:
            count = self._ask(f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(by)} FROM {table} {where})")[0][0]
            if count > headline.MOST_SERIES:
                about = " and ".join(self._label(column.names[self._version]) for column in series)
                return f"There is no total to show: {count:,} different values of {about} would stand side by side."
        values = []
        for indicator in present:
            own = columns[indicator.column].names[version]
            values += [identifier(own), identifier(own + FLAG_SUFFIX)]
        width = len(by)
        most = headline.MOST_SERIES * (len(self._periods_of(version)) or 1)
        rows = self._ask(
            f"SELECT {', '.join([self._period_sql(names), *by, *values])} FROM {table} {where} ORDER BY ALL "
            f"LIMIT {most + 1}"
        )
        found: Points = {}
        for period, *cells in rows:
            label = _period_label(self._period_key(period))
            name = " · ".join(str(cell) for cell in cells[:width] if cell is not None)
            for place, indicator in enumerate(present):
                value, flag = cells[width + 2 * place : width + 2 * place + 2]
                if (indicator.column, name, label) in found:
                    return "Several rows stand for the same group and period, so that there is no one headline figure."
                found[indicator.column, name, label] = Cell(value, flag)
        return found or "There is no row with every filter at its total."

    def _totals(self, level: GeographicLevel | None, version: VersionNumber) -> dict[str, str]:
        """The filters that have an option for all, by their common name, and that option as written."""
        words = ", ".join(map(literal, TOTALS))
        where = f"geographic_level = {literal(level.label)} AND" if level else ""
        found: dict[str, str] = {}
        for column in self._columns:
            if not self._is_filter(column) or version not in column.names:
                continue
            name = identifier(column.names[version])
            rows = self._ask(
                f"SELECT DISTINCT {name} FROM {self._table(version)} WHERE {where} lower(trim({name})) IN ({words})"
            )
            written = {label.strip().lower(): label for (label,) in rows}
            total = next((written[word] for word in TOTALS if word in written), None)
            if total is not None:
                found[column.name] = total
        return found

    def _series_columns(
        self, level: GeographicLevel | None, places: int, fixed: Mapping[str, str]
    ) -> list[UnifiedColumn]:
        """What tells headline rows of one period apart: places, where there are several, and filters without total."""
        found = []
        if level and places > 1:
            name = _name_column(level, self._names(self._version))
            found += [column for column in self._columns if column.names.get(self._version) == name]
        found += [
            column
            for column in self._columns
            if self._is_filter(column) and self._version in column.names and column.name not in fixed
        ]
        return found

    def _series_column(self) -> UnifiedColumn | None:
        """The filter that breaks changes down for people: the first without a total, else the first."""
        fixed = self._totals(None, self._version)
        filters = [column for column in self._columns if self._is_filter(column) and self._version in column.names]
        return next((column for column in filters if column.name not in fixed), next(iter(filters), None))

    def _coarsest_level(self) -> tuple[GeographicLevel | None, int]:
        """The level with the fewest places, and how many these are."""
        if "geographic_level" not in self._names(self._version):
            return None, 0
        rows = self._ask(
            f"SELECT level_code, count(*) FROM {LOCATIONS.qualified} "
            "WHERE data_set = $data_set AND version = $version GROUP BY 1 ORDER BY 2, level_code <> $national, 1",
            national=_NATIONAL,
        )
        levels = {level.code: level for level in GEOGRAPHIC_LEVELS}
        return next(((levels[code], count) for code, count in rows if code in levels), (None, 0))

    def _place_name(self, level: GeographicLevel) -> str:
        rows = self._ask(
            f"SELECT label FROM {LOCATIONS.qualified} "
            "WHERE data_set = $data_set AND version = $version AND level_code = $level LIMIT 1",
            level=level.code,
        )
        return str(rows[0][0]) if rows else ""

    # --- notes ------------------------------------------------------------------------------------------------------

    def caveats(self) -> tuple[Caveat, ...]:
        """Notes on this version's indicators and periods: what is about years, then what is about all of them."""
        periods = {period[1]: label for period, label in self._periods_of(self._version)}
        found = [
            Caveat(
                (
                    _only(self._label(note.indicator) if note.indicator else ""),
                    _only(note.where),
                    _only("" if note.where else note.level),
                    _only(periods.get(note.period, "")),
                ),
                note.kind,
                note.comparable,
                note.text,
                note.source,
            )
            for note in self._notes
            if not note.period or note.period in periods
        ]
        return tuple(sorted(together(found), key=lambda caveat: (caveat.comparable, not caveat.periods)))

    def _read_notes(self) -> list[Note]:
        """What the catalogue notes of the data set; nothing where an edition made before there were notes has none."""
        if not self._ask(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = $schema AND table_name = $table",
            schema=SCHEMA,
            table=_NOTES,
        ):
            return []
        rows = self._ask(
            "SELECT DISTINCT indicator, coalesce(time_period, ''), coalesce(geographic_level, ''), "
            "concat_ws(' · ', location, filter_option), kind, coalesce(comparable, true), text, coalesce(source, '') "
            # What versions restated, this one among them, has a section of its own.
            f"FROM {qualified(SCHEMA, _NOTES)} WHERE data_set = $data_set AND version IS NULL "
            "ORDER BY 2, 1, 4, kind, text"
        )
        own = {column.name: column.names.get(self._version) for column in self._columns}
        return [
            Note(own.get(indicator) or "", *rest)
            for indicator, *rest in rows
            if indicator is None or own.get(indicator)
        ]

    # --- columns and periods ----------------------------------------------------------------------------------------

    def _ask(self, query: str, **more: object) -> Rows:
        known = {"data_set": self._data_set, "version": str(self._version)}
        used = {name: value for name, value in {**known, **more}.items() if f"${name}" in query}
        return self._connection.execute(query, used).fetchall()

    def _table(self, version: VersionNumber) -> str:
        return qualified(self._data_set, version.table)

    def _names(self, version: VersionNumber | None) -> set[str]:
        """The columns of a version's table, or of ``revisions``."""
        if version is None:
            return {column.name for column in self._columns}
        return {column.names[version] for column in self._columns if version in column.names}

    @staticmethod
    def _is_filter(column: UnifiedColumn) -> bool:
        return column.role is Role.FILTER and column.name != FILE_VERSION

    def _label(self, column: str) -> str:
        return self._described.get(column, (None, None, None))[0] or column

    def _indicator(self, column: str) -> Indicator:
        label, unit, places = self._described[column]
        return Indicator(column, label or column, unit, places)

    def _periods_of(self, version: VersionNumber) -> list[tuple[Period, str]]:
        periods = sorted({_period(counted) for counted in self._counted(version)}, key=_chronological)
        return [(period, _period_label(period)) for period in periods]

    def _counted(self, version: VersionNumber) -> list[PeriodCounts]:
        """What there is of each of a version's periods."""
        if version not in self._counts_of:
            self._counts_of[version] = periods_of(self._connection, self._data_set, version, self._stored[version])
        return self._counts_of[version]

    @staticmethod
    def _period_sql(names: Iterable[str]) -> str:
        """Identifier and period of a row as one text, apart by a control character that no file has there."""
        parts = [f"coalesce({name}, '')" if name in names else "''" for name in ("time_identifier", "time_period")]
        return f"{parts[0]} || chr(31) || {parts[1]}"

    @staticmethod
    def _period_key(text: str | None) -> Period:
        identifier_label, _, period = (text or "").partition("\x1f")
        return identifier_label, period

    @staticmethod
    def _place_sql(names: set[str]) -> str:
        """The place of a row by its name; empty where the file has no levels."""
        if "geographic_level" not in names:
            return ""
        cases = " ".join(
            f"WHEN {literal(label)} THEN {identifier(name)}" for name, label in _name_columns(names).items()
        )
        return f"coalesce(CASE geographic_level {cases} END, geographic_level)" if cases else "geographic_level"


def _name_column(level: GeographicLevel, names: set[str]) -> str | None:
    """The column that names a level's places."""
    present = [name for name in level.columns if name in names]
    return next((name for name in present if name.endswith("_name")), next(iter(present), None))


def _name_columns(names: set[str]) -> dict[str, str]:
    """The columns that name places, and the label of each one's level."""
    return {name: level.label for level in GEOGRAPHIC_LEVELS if (name := _name_column(level, names))}


def _period(counted: PeriodCounts) -> Period:
    return counted.time_identifier or "", counted.time_period or ""


def _period_label(period: Period) -> str:
    """As people write it: 2024/25; as in the file where the identifier is unknown."""
    known = TIME_IDENTIFIERS_BY_LABEL.get(period[0])
    return known.period_label(period[1]) if known else " ".join(filter(None, period)) or "no period"


def _chronological(period: Period) -> tuple[str, int]:
    known = TIME_IDENTIFIERS_BY_LABEL.get(period[0])
    return period[1], known.order if known else 0


def _paired(measures: Sequence[Measure], now: Points, before: Points) -> dict[tuple[str, str, str], Point]:
    """Each figure with the one before it and with its interval."""
    found = {}
    for measure in measures:
        own, lower, upper = (part.column if part else "" for part in (measure.indicator, measure.lower, measure.upper))
        for (column, series, period), cell in now.items():
            if column != own:
                continue
            limits = [now.get((limit, series, period), Cell()).value for limit in (lower, upper)]
            found[column, series, period] = Point(cell, before.get((column, series, period)), *limits)
    return found


def _most_changed(counts: Mapping[str | None, Mapping[str, int]]) -> tuple[Counts, ...]:
    found = [Counts(what if what is not None else "(none)", of) for what, of in counts.items()]
    return tuple(sorted(found, key=lambda one: (-sum(one.of.values()), one.what)))


def _told_apart(parts: Iterable[str | None]) -> str:
    """What a row is about, without the filters that stand at their total."""
    return " · ".join(part for part in parts if part and part.strip().lower() not in TOTALS)


def _whole(gaps: Iterable[Gap]) -> Gap:
    found = list(gaps)
    return Gap(sum(gap.cells for gap in found), sum(gap.markers for gap in found))


def _differences(previous: str | None, current: str | None) -> str:
    """What of an entry is another now: ``label A → B``; nothing for what was added or removed."""
    if not previous or not current:
        return ""
    old, new = json.loads(previous), json.loads(current)
    names = [name for name in new if name != "id" and old.get(name) != new[name]]
    return "; ".join(f"{name} {_plain(old.get(name))} → {_plain(new[name])}" for name in names)


def _only(text: str) -> tuple[str, ...]:
    """One text, or none: then it is all."""
    return (text,) if text else ()


def _plain(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case str() | int() | float():
            return str(value)
    return json.dumps(value, ensure_ascii=False)
