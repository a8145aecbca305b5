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
_AT_ONCE_UP_TO = 50_000
"""Rows of a small file: looking at every cell of it takes less time than planning a query for each column."""
_LONGEST_MARKER = max(len(symbol.encode()) for symbol in MARKERS)
_ODD_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio, as in Fibonacci hashing
_COLUMNS_AT_ONCE = 100
_ROWS_AT_ONCE = 2_000_000
"""Of which hashes are compared: some three hundred megabytes (measured)."""

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

    Rows are told apart by two hashes of 64 bits, the second made only where the first is not another for each row, as
    it is in nearly every file. So memory holds a few numbers per row, however wide rows are and however many repeat.
    """
    frame = pl.scan_parquet(typed, glob=False)
    keys = [column.name for column in columns.descriptive]
    if not keys:
        return 0, 0
    first = _hashes(frame, keys, 0)
    if first.n_unique() == len(first):
        return 0, 0
    others = [column.name for column in columns.observations if column.name not in keys]
    rest = {f"rest {seed}": _hashes(frame, others, seed) for seed in (0, 1) if others}
    hashes = pl.DataFrame({"first": first, "key": _hashes(frame, keys, 1), **rest})
    shares = -(-len(first) // _ROWS_AT_ONCE)
    sharing = repeated = 0
    for share in range(shares):  # rows of the same key are in the same share
        looked_at = hashes.filter(pl.col("first") % shares == share)
        alike = looked_at.filter(looked_at.select("first", "key").is_duplicated())
        sharing += len(alike)
        repeated += len(alike) - alike.n_unique()
    return sharing, repeated


def _hashes(frame: pl.LazyFrame, names: Sequence[str], seed: int) -> pl.Series:
    """A hash of each row's cells in these columns.

    Each column is hashed by itself, which takes a third of the time of a struct's hash; the factors tell columns apart
    by their place. It is a flat sum: of sums in sums polars plans hundreds of columns in minutes and gigabytes. And it
    is one of some columns at a time: of a thousand at once polars holds gigabytes.
    """
    found = pl.Series([0], dtype=pl.UInt64)
    factors = accumulate(names[1:], lambda factor, _: factor * _ODD_MULTIPLIER % (1 << 64), initial=1)
    told = list(zip(names, factors, strict=False))
    for start in range(0, len(told), _COLUMNS_AT_ONCE):
        part = told[start : start + _COLUMNS_AT_ONCE]
        hashed = pl.sum_horizontal(pl.col(name).hash(seed) * pl.lit(factor, pl.UInt64) for name, factor in part)
        found = found + frame.select(hashed).collect(engine="streaming").to_series()
    return found
