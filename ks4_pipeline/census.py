"""What is counted of a typed version, once: its markers by period and indicator, and its rows that repeat others.

Told the columns and the Parquet file; whatever says later how many cells are marked takes it from here. Markers are
counted column by column (of a small file, all at once) in memory that grows with the periods alone; looking for
repeated rows holds a hash of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl

from ks4_pipeline.columns import Column, Columns
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.periods import PERIOD, PeriodCounts

_FLAG = "\0flag"  # a NUL cannot be in a header that was accepted, so these names are free
_NAME = "\0name"
_ROWS = "\0rows"
_ROW = "\0row"
_AT_ONCE_UP_TO = 50_000
"""Rows of a small file: looking at every cell of it takes less time than planning a query for each column."""
_LONGEST_MARKER = max(len(symbol.encode()) for symbol in MARKERS)
_ODD_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio, as in Fibonacci hashing

Period = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Census:
    """The cells of all numeric indicators, the periods in order of their texts.

    Attributes:
        periods: what each has.
        odd: by numeric indicator, how many cells hold neither a number nor a canonical marker, empty ones included.
    """

    periods: tuple[PeriodCounts, ...]
    odd: Mapping[Column, int]

    @property
    def rows(self) -> int:
        """Of the whole version."""
        return sum(period.rows for period in self.periods)


def take(columns: Columns, typed: Path) -> Census:
    """Count rows and markers by period.

    Nearly all cells hold numbers: they are left out before anything is grouped. So is a column of the period that says
    the same in every row, as the identifier does in nearly every file (measured: it took a third of the time).
    """
    frame = pl.scan_parquet(typed, glob=False)
    present = [column.name for column in columns.of_file if column.name in PERIOD and not column.is_numeric]
    rows = _rows_by_period(frame, present)
    telling = [name for place, name in enumerate(PERIOD) if name in present and len({key[place] for key in rows}) > 1]
    whole = {_key(period, telling): period for period in rows}
    markers: dict[Period, dict[str, dict[str, int]]] = {period: {} for period in rows}
    odd = dict.fromkeys(columns.numeric, 0)
    of_flag = {column.flag: column for column in columns.numeric}
    counted = _counted_at_once if sum(rows.values()) <= _AT_ONCE_UP_TO else _counted_in_turn
    for found in counted(frame, telling, list(of_flag)):
        for flag, *key, text, cells in found.sort(_NAME, _FLAG).iter_rows():
            column = of_flag[flag]
            if text in MARKERS:
                markers[whole[tuple(key)]].setdefault(column.name, {})[text] = cells
            else:
                odd[column] += cells
    return Census(
        tuple(
            PeriodCounts(time_identifier=period[0], time_period=period[1], rows=rows[period], markers=markers[period])
            for period in sorted(rows, key=lambda period: [(text is not None, text or "") for text in period])
        ),
        odd,
    )


def _counted_at_once(frame: pl.LazyFrame, telling: Sequence[str], flags: Sequence[str]) -> Iterator[pl.DataFrame]:
    """How many cells hold which text: flag, what tells periods apart, text, cells. All columns in one query."""
    if flags:
        cells = frame.select(*telling, *flags).unpivot(flags, index=telling, variable_name=_NAME, value_name=_FLAG)
        yield _counted(cells, [_NAME, *telling])


def _counted_in_turn(frame: pl.LazyFrame, telling: Sequence[str], flags: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The same, column by column."""
    for flag in flags:
        found = _counted(frame.select(*telling, pl.col(flag).alias(_FLAG)), telling)
        yield found.select(pl.lit(flag).alias(_NAME), pl.all())


def _counted(cells: pl.LazyFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Where flags are texts, all that is longer than a marker is one, since there may be as many as rows."""
    flag = told = pl.col(_FLAG)
    if cells.collect_schema()[_FLAG] == pl.String:
        told = pl.when(flag.str.len_bytes() <= _LONGEST_MARKER).then(flag)
    found = cells.filter(flag.is_not_null()).group_by(*keys, told).len().collect(engine="streaming")
    return found.with_columns(flag.cast(pl.String))


def _rows_by_period(frame: pl.LazyFrame, present: Sequence[str]) -> dict[Period, int]:
    counted = frame.group_by(present).len() if present else frame.select(pl.len())
    found: dict[Period, int] = {}
    for *texts, rows in counted.collect(engine="streaming").iter_rows():
        period = dict(zip(present, texts, strict=True))
        if rows:
            found[period.get(PERIOD[0]), period.get(PERIOD[1])] = rows
    return found


def _key(period: Period, names: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(text for name, text in zip(PERIOD, period, strict=True) if name in names)


def repeats(columns: Columns, typed: Path) -> tuple[int, int]:
    """Rows that share their descriptive columns with another row, and rows that repeat an earlier one entirely.

    Nearly every file has none: then as many hashes as rows say so. Each column is hashed by itself, which takes a third
    of the time of a struct's hash; what is made of these hashes tells columns apart by their place. It is one flat sum:
    of sums in sums polars plans hundreds of columns in minutes and gigabytes. As they stand, only rows are looked at
    whose hash is another's too.
    """
    frame = pl.scan_parquet(typed, glob=False)
    keys = [column.name for column in columns.descriptive]
    if not keys:
        return 0, 0
    factors = accumulate(keys[1:], lambda factor, _: factor * _ODD_MULTIPLIER % (1 << 64), initial=1)
    hashed = pl.sum_horizontal(
        pl.col(name).hash() * pl.lit(factor, pl.UInt64) for name, factor in zip(keys, factors, strict=True)
    )
    hashes = frame.select(hashed).collect(engine="streaming").to_series()
    if hashes.n_unique() == len(hashes):
        return 0, 0
    rows = hashes.is_duplicated().arg_true()
    alike = frame.with_row_index(_ROW).filter(pl.col(_ROW).is_in(rows.implode()))
    groups = alike.group_by(keys).len(_ROWS).filter(pl.col(_ROWS) > 1).select(pl.col(_ROWS).sum())
    whole = alike.unique([column.name for column in columns.observations]).select(pl.len())
    sharing, distinct = (query.collect(engine="streaming").item() for query in (groups, whole))
    return sharing or 0, len(rows) - distinct
