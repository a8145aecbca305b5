"""What rules read: the observations of a version and small relations made of them, in a DuckDB of their own.

One pass over the file counts everything that can be counted by period and level; the rest is one pass over a few text
columns each. The connection can read the Parquet files it was given and nothing else.

========================= =========================================================================================
``observations``          the version; measures under their standard names too; the three columns of time and level
                          are there in any case
``previous``              the version before it, in the same way; only where there is one
``facts``                 one row: is_major, rows, previous_rows (NULL: no version before), rows_sharing_key,
                          repeated_rows, padded_numbers
``spellings``             spelling, cells: markers that are not written as the standard has it
``marker_cells``          indicator, marker, cells
``periods``               time_period, time_identifier, rows; ``previous_periods`` too
``levels``                geographic_level, rows
``marker_shares``         time_period, time_identifier, indicator, rows, marked, previous_rows, previous_marked
``filled``                geographic_level, column_name, rows, filled: columns of places and filters
``places``                geographic_level, time_period, code_column, code, name: each once
``filters``               column_name, total_rows: rows that hold the filter's total
``without_headline``      time_period and what tells groups apart, for groups without a row of totals
``repeated``              the columns of the key, affected: keys of more than one row
``undescribed``           column_name, distinct_values (1 or 2, 2 standing for more): columns /meta does not know
``time_identifiers``      the publisher's words: time_identifier, digits, position
``level_columns``         the publisher's words: geographic_level, rank (0 is the coarsest), column_name, is_name
========================= =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from ks4_pipeline import memory, unfinished
from ks4_pipeline.columns import FLAG_SUFFIX, TOTALS, Column, Columns, Role
from ks4_pipeline.ees.models import Indicator
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS, TIME_IDENTIFIERS, GeographicLevel, TimeCategory
from ks4_pipeline.identity import StoredColumn, unify
from ks4_pipeline.observations import Observations
from ks4_pipeline.periods import PeriodCounts
from ks4_pipeline.quality.measures import STATUS, measures_of
from ks4_pipeline.quality.rules import Has
from ks4_pipeline.versions import Bump
from ks4_pipeline.warehouse.sql import exactly, free_name, identifier, literal, parquet, take_threads_for

_ALWAYS = ("time_period", "time_identifier", "geographic_level")
_SIX_DIGITS = {
    TimeCategory.TERM,
    TimeCategory.ACADEMIC_YEAR,
    TimeCategory.FINANCIAL_YEAR,
    TimeCategory.FINANCIAL_YEAR_PART,
    TimeCategory.TAX_YEAR,
}
_RANKS = {"NAT": 0, "REG": 1, "RSC": 1, "WARD": 3, "PA": 3, "INST": 4, "PROV": 4, "SCH": 4}
_MIDDLE_RANK = 2
MAY_REPEAT = ("School", "Provider", "Institution", "Planning area")
"""Levels whose rows the publisher's own screener does not hold to a unique key."""
_SAID = frozenset({"affected", "finding"})
_MACROS = """
CREATE MACRO start_year(period) AS TRY_CAST(left(period, 4) AS INTEGER);
"""


class Relations:
    """The relations of one version, on one connection.

    Args:
        connection: from :func:`sealed`.
        version: the version to be judged.
        previous: the version before it.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, version: Observations, previous: Observations | None
    ) -> None:
        self.connection = connection
        self.columns = version.columns
        self.has = _has(version.columns)
        self.version = version
        self._previous = previous
        connection.execute(_MACROS)
        connection.execute(f"CREATE VIEW observations AS {_select(version)}")
        if previous is not None:
            connection.execute(f"CREATE VIEW previous AS {_select(previous)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, as the file names them."""
        return tuple(column.name for column in self.columns.descriptive)

    def make(self) -> None:
        """Make all relations besides the observations themselves."""
        self._count()
        self._state_facts()
        self._state_words()
        self._list_places()
        self._list_totals()
        self._list_repeated()

    def _count(self) -> None:
        """``cube``: the one pass over everything, and what is read off it."""
        kept = [column for column in self.columns.of_file if column.role in {Role.GEOGRAPHY, Role.FILTER}]
        other = [column for column in self.columns.of_file if column.role is Role.OTHER]
        filters = [column for column in kept if column.role is Role.FILTER]
        counts = [f"count({identifier(column.name)}) AS filled_{n}" for n, column in enumerate(kept)]
        counts += [f"count_if({_is_total(column)}) AS total_{n}" for n, column in enumerate(filters)]
        for n, column in enumerate(other):
            name = f"coalesce({identifier(column.name)}, '')"
            counts += [f"min({name}) AS least_{n}", f"max({name}) AS most_{n}"]
        self._table("cube", f"SELECT {_comma([*_ALWAYS, 'count(*) AS rows', *counts])} FROM observations GROUP BY ALL")
        self._table("levels", "SELECT geographic_level, sum(rows) AS rows FROM cube GROUP BY ALL ORDER BY ALL")
        self._table(
            "periods",
            "SELECT time_period, time_identifier, sum(rows) AS rows FROM cube GROUP BY ALL "
            "ORDER BY time_identifier, time_period",
        )
        self._unpivot("filled", "geographic_level", ((c.name, n) for n, c in enumerate(kept)))
        self._table(
            "filters",
            _union(
                [
                    f"SELECT {literal(column.name)} AS column_name, sum(total_{n}) AS total_rows FROM cube"
                    for n, column in enumerate(filters)
                ],
                "column_name VARCHAR, total_rows BIGINT",
            ),
        )
        self._table(
            "undescribed",
            _union(
                [
                    f"SELECT {literal(column.name)} AS column_name, "
                    f"CASE WHEN min(least_{n}) IS DISTINCT FROM max(most_{n}) THEN 2 ELSE 1 END AS distinct_values "
                    "FROM cube"
                    for n, column in enumerate(other)
                ],
                "column_name VARCHAR, distinct_values INTEGER",
            ),
        )
        self._compare_shares()

    def _compare_shares(self) -> None:
        """``marker_shares`` and ``previous_periods``, counted when the versions were typed.

        An indicator that was renamed is the same one.
        """
        before = self._previous.facts.periods if self._previous else ()
        names = _names_now(self.version, self._previous) if self._previous else {}
        shape = "time_period VARCHAR, time_identifier VARCHAR, rows BIGINT"
        self._rows("previous_periods", shape, ((of.time_period, of.time_identifier, of.rows) for of in before))
        shape = "time_period VARCHAR, time_identifier VARCHAR, indicator VARCHAR, rows BIGINT, marked BIGINT"
        now = {column.name: column.name for column in self.columns.numeric}
        self._rows("marked", shape, _marked(self.version.facts.periods, now))
        self._rows("previous_marked", shape, _marked(before, names))
        self._table(
            "marker_shares",
            "SELECT now.*, before.rows AS previous_rows, before.marked AS previous_marked FROM marked AS now "
            "LEFT JOIN previous_marked AS before USING (time_period, time_identifier, indicator)",
        )

    def _state_facts(self) -> None:
        facts = self.version.facts
        self._table(
            "facts",
            "SELECT CAST(? AS BOOLEAN) AS is_major, CAST(? AS BIGINT) AS rows, "
            "CAST(? AS BIGINT) AS previous_rows, CAST(? AS BIGINT) AS "
            "rows_sharing_key, CAST(? AS BIGINT) AS repeated_rows, CAST(? AS BIGINT) AS padded_numbers",
            [
                facts.version.bump is Bump.MAJOR,
                facts.rows,
                self._previous.facts.rows if self._previous else None,
                facts.rows_sharing_key,
                facts.repeated_rows,
                facts.padded_numbers,
            ],
        )
        self._rows("spellings", "spelling VARCHAR, cells BIGINT", facts.spellings.items())
        self._rows(
            "marker_cells",
            "indicator VARCHAR, marker VARCHAR, cells BIGINT",
            ((name, marker, n) for name, found in self.version.markers.items() for marker, n in found.items()),
        )

    def _state_words(self) -> None:
        self._rows(
            "time_identifiers",
            "time_identifier VARCHAR, digits INTEGER, position INTEGER",
            ((word.label, 6 if word.category in _SIX_DIGITS else 4, word.order) for word in TIME_IDENTIFIERS),
        )
        self._rows(
            "level_columns",
            "geographic_level VARCHAR, rank INTEGER, column_name VARCHAR, is_name BOOLEAN",
            (
                (level.label, _RANKS.get(level.code, _MIDDLE_RANK), name, name == level.name_column)
                for level in GEOGRAPHIC_LEVELS
                for name in level.columns
            ),
        )

    def _list_places(self) -> None:
        """``places``: a pass over the columns of each level that has rows."""
        rows = self.connection.execute("SELECT geographic_level FROM levels").fetchall()
        present = {label for (label,) in rows}
        names = {column.name for column in self.columns.of_file if column.role is Role.GEOGRAPHY}
        parts = [
            part
            for level in GEOGRAPHIC_LEVELS
            if level.label in present and level.name_column in names
            for part in _places_of(level, [name for name in level.code_columns if name in names])
        ]
        shape = "geographic_level VARCHAR, time_period VARCHAR, code_column VARCHAR, code VARCHAR, name VARCHAR"
        self._table("places", _union(parts, shape))

    def _list_totals(self) -> None:
        """``without_headline``: a pass over the filters that have a total, and those that tell groups apart."""
        rows = self.connection.execute("SELECT column_name FROM filters WHERE total_rows > 0").fetchall()
        totalled = {name for (name,) in rows}
        filters = [column for column in self.columns.of_file if column.role is Role.FILTER]
        groups = [c.name for c in filters if c.name not in totalled and c.name.lower() not in STATUS]
        conditions = [_is_total(column) for column in filters if column.name in totalled]
        keys = _of_finding(["time_period", "geographic_level", *groups])
        condition = f"count_if({' AND '.join(conditions)}) = 0" if conditions else "false"
        self._table(
            "without_headline",
            f"SELECT {keys}, count(*) AS affected FROM observations GROUP BY ALL HAVING {condition} ORDER BY ALL",
        )

    def _list_repeated(self) -> None:
        """``repeated``: a heavy pass, made only for a file that is known to have such rows."""
        keys = _of_finding(self.keys) or "NULL AS row"
        levels = _comma(map(literal, MAY_REPEAT))
        condition = f"geographic_level IS NULL OR geographic_level NOT IN ({levels})"
        if not self.version.facts.rows_sharing_key:
            condition = "false"
        self.connection.execute(
            f"CREATE VIEW repeated AS SELECT {keys}, count(*) AS affected FROM observations WHERE {condition} "
            "GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL"
        )

    def _unpivot(self, name: str, by: str, columns: Iterable[tuple[str, int]]) -> None:
        """A row per group and column, from the cube's numbered counts."""
        counts = [f"{{'column_name': {literal(column)}, 'n': {name}_{number}}}" for column, number in columns]
        cells = f"[{_comma(counts)}]" if counts else "CAST([] AS STRUCT(column_name VARCHAR, n BIGINT)[])"
        self._table(
            name,
            f"SELECT {by}, cell.column_name AS column_name, sum(rows) AS rows, sum(cell.n) AS {name} "
            f"FROM (SELECT {by}, rows, unnest({cells}) AS cell FROM cube) GROUP BY ALL ORDER BY ALL",
        )

    def _table(self, name: str, query: str, parameters: Sequence[object] = ()) -> None:
        self.connection.execute(f"CREATE TABLE {name} AS {query}", list(parameters))

    def _rows(self, name: str, shape: str, rows: Iterable[Sequence[object]]) -> None:
        """A table of rows made here; handed over column by column, since a parameter per cell costs seconds."""
        self.connection.execute(f"CREATE TABLE {name} ({shape})")
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            cells = (f"unnest(CAST(? AS {kind}[]))" for _, kind in _columns(shape))
            self.connection.execute(f"INSERT INTO {name} SELECT {_comma(cells)}", columns)


@contextmanager
def sealed(*versions: Observations) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory, of bounded size, that can read these versions' files and nothing else."""
    with unfinished.room(versions[0].parquet.parent) as scratch:
        connection = duckdb.connect(
            config={
                "memory_limit": memory.limit(memory.RULES),
                "python_enable_replacements": "false",
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
            }
        )
        try:
            connection.execute(f"SET temp_directory = {literal(str(scratch))}")
            connection.execute(f"SET max_temp_directory_size = {literal(memory.ON_DISK)}")
            # DuckDB asks for leave for the pattern first, and then for the file it finds by it.
            allowed = [name for version in versions for name in (str(version.parquet), exactly(version.parquet))]
            connection.execute(f"SET allowed_paths = [{_comma(map(literal, allowed))}]")
            connection.execute("SET enable_external_access = false")
            take_threads_for(connection, max(version.facts.rows for version in versions))
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


def _has(columns: Columns) -> Has:
    numeric = {column.name.lower() for column in columns.numeric}
    units = (
        (column.name, column.described.unit or "")
        for column in columns.numeric
        if isinstance(column.described, Indicator)
    )
    return Has(
        frozenset(numeric | measures_of(columns).keys()),
        frozenset(column.name.lower() for column in columns.descriptive),
        tuple(units),
    )


def _select(version: Observations) -> str:
    """The observations as rules see them."""
    taken = {column.name.lower() for column in version.columns.observations}
    parts = ["*"]
    for standard, column in measures_of(version.columns).items():
        if standard not in taken:
            parts.append(f"{identifier(column.name)} AS {standard}")
            parts.append(f"{identifier(column.flag)} AS {standard}{FLAG_SUFFIX}")
    parts += [f"CAST(NULL AS VARCHAR) AS {name}" for name in _ALWAYS if name not in taken]
    return f"SELECT {_comma(parts)} FROM {parquet(version.parquet)}"


def _names_now(version: Observations, previous: Observations) -> dict[str, str]:
    """By an indicator's name in the version before: its name now, for those that both have as numbers."""
    now, before = version.facts.version, previous.facts.version
    stored = {
        number: [StoredColumn(c.name, c.role, c.is_numeric, c.described.id if c.described else None) for c in columns]
        for number, columns in ((now, version.columns.of_file), (before, previous.columns.of_file))
    }
    return {
        column.names[before]: column.names[now]
        for column in unify(stored)
        if column.numeric_in == frozenset({now, before})
    }


def _marked(periods: Iterable[PeriodCounts], names: Mapping[str, str]) -> Iterator[tuple[object, ...]]:
    """A row per period and indicator: its name now, by its name then."""
    for period in periods:
        for name, now in names.items():
            yield period.time_period, period.time_identifier, now, period.rows, period.marked(name)


def _is_total(column: Column) -> str:
    return f"lower({identifier(column.name)}) IN ({_comma(map(literal, TOTALS))})"


def _of_finding(keys: Sequence[str]) -> str:
    """Columns that say what a finding is about, none of them called what findings say besides."""
    apart = (free_name(key, (*_SAID, *(other for other in keys if other != key))) for key in keys)
    return _comma(f"{identifier(key)} AS {identifier(name)}" for key, name in zip(keys, apart, strict=True))


def _places_of(level: GeographicLevel, codes: Sequence[str]) -> Iterator[str]:
    for code in codes:
        yield (
            f"SELECT geographic_level, time_period, {literal(code)} AS code_column, {identifier(code)} AS code, "
            f"{identifier(level.name_column)} AS name FROM observations "
            f"WHERE geographic_level = {literal(level.label)} AND {identifier(code)} IS NOT NULL "
            f"AND {identifier(level.name_column)} IS NOT NULL GROUP BY ALL"
        )


def _union(parts: Sequence[str], shape: str) -> str:
    """The parts one below the other; without any, an empty relation of that shape."""
    if parts:
        return " UNION ALL ".join(parts)
    return f"SELECT {_comma(f'CAST(NULL AS {kind}) AS {name}' for name, kind in _columns(shape))} WHERE false"


def _columns(shape: str) -> list[tuple[str, str]]:
    """Name and type of each column."""
    pairs = (column.partition(" ") for column in shape.split(", "))
    return [(name, kind) for name, _, kind in pairs]


def _comma(parts: Iterable[str]) -> str:
    return ", ".join(parts)
