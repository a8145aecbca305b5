"""A version's rows as the service stores them for ``/query``: ids for places, options and periods, figures as texts.

The service imports the CSV into DuckDB and so do we, at the first query of a version: a row whose period it cannot
tell is left out, a filter without a value and a place that is not complete become 0 (contract §5.4, §7.1), and rows are
numbered by level and period, so that the number is not the file's (§7.1). The last few versions asked for are kept, in
memory and compressed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from ks4_pipeline.ees.vocabulary import csv_time_period
from ks4_pipeline.sandbox.contents import unpacked
from ks4_pipeline.sandbox.problems import server_error
from ks4_pipeline.warehouse.sql import parquet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ks4_pipeline.sandbox.history import Version
    from ks4_pipeline.sandbox.metadata import Filter, Indicator, LocationGroup, Metadata
    from ks4_pipeline.versions import VersionNumber

TIME, LEVEL, ROW = "time_id", "level", "id"
_LINE = "\0line"  # no column of a readable file is called so
_BETWEEN = "\0"
_KEPT = 4


@dataclass(frozen=True)
class Layout:
    """The columns of a version's stored table, as its metadata decide them.

    Periods are numbered in time order, options and places in order of label, all from 1; 0 is none.
    """

    metadata: Metadata

    @cached_property
    def filters(self) -> Mapping[str, Filter]:
        """The filters by their column here; one without options is unknown to ``/query`` (contract §5.2)."""
        described = (known for known in self.metadata.filters if known.options)
        return {f"f{index}": known for index, known in enumerate(described)}

    @cached_property
    def places(self) -> Mapping[str, LocationGroup]:
        """The levels with columns of their own, by their column here."""
        return {f"l{index}": group for index, group in enumerate(self.metadata.locations)}

    @cached_property
    def indicators(self) -> Mapping[str, Indicator]:
        """The indicators by their column here."""
        return {f"i{index}": known for index, known in enumerate(self.metadata.indicators)}

    @cached_property
    def periods(self) -> Mapping[tuple[str, str], int]:
        """The numbers of the periods, by code and period."""
        return {(time.identifier.code, time.period): n for n, time in enumerate(self.metadata.chronology, 1)}


class StoredRows:
    """The rows of one version; safe to use from any thread."""

    def __init__(self, file: Path, layout: Layout) -> None:
        """Import a CSV.

        Raises:
            ProblemError: 500 for a file that the service could not have imported.
        """
        import duckdb  # noqa: PLC0415 - a sandbox that is not queried, most of them, starts without it

        self._database = duckdb.connect()
        self._database.execute("ATTACH ':memory:' AS stored (COMPRESS)")
        try:
            with TemporaryDirectory(prefix="ks4-sandbox-") as folder, unpacked(file) as plain:
                part = Path(folder) / "rows.parquet"
                _typed(plain, layout).sink_parquet(part, compression="lz4")
                self._database.execute(
                    f"CREATE TABLE stored.data AS SELECT row_number() OVER (ORDER BY {LEVEL}, period DESC, line) "
                    f"AS {ROW}, * EXCLUDE (period, line) FROM {parquet(part)} ORDER BY {TIME} DESC, {ROW}"
                )
            self._database.execute("CHECKPOINT stored")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise server_error() from error

    def count(self, where: str) -> int:
        """How many rows a condition admits; an empty one admits all."""
        (count,) = self._run(f"SELECT count(*) FROM stored.data {_where(where)}")[0]
        return int(str(count))

    def page(
        self, columns: Sequence[str], where: str, order: Sequence[str], page: int, size: int
    ) -> list[tuple[object, ...]]:
        """One page of rows; ``order`` is completed by the row's number."""
        return self._run(
            f"SELECT {', '.join(columns)} FROM stored.data {_where(where)} ORDER BY {', '.join([*order, ROW])} "
            f"LIMIT {size} OFFSET {(page - 1) * size}"
        )

    def _run(self, query: str) -> list[tuple[object, ...]]:
        with self._database.cursor() as cursor:
            return cursor.execute(query).fetchall()


class StoredVersions:
    """The stored rows of the versions asked for last; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[UUID, VersionNumber], StoredRows] = OrderedDict()
        self._importing: dict[tuple[UUID, VersionNumber], threading.Lock] = {}

    def of(self, data_set_id: UUID, version: Version, layout: Layout) -> StoredRows:
        """A version's rows, imported now if they are not kept."""
        key = (data_set_id, version.number)
        with self._lock:
            importing = self._importing.setdefault(key, threading.Lock())
        with importing:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            stored = StoredRows(version.file, layout)
            with self._lock:
                self._kept[key] = stored
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return stored


def _where(condition: str) -> str:
    return f"WHERE {condition}" if condition else ""


def _typed(plain: Path, layout: Layout) -> pl.LazyFrame:
    """The file's rows in the columns of the layout, read as for the metadata (see ``contents.py``)."""
    text = pl.scan_csv(
        plain,
        infer_schema=False,
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
        glob=False,
        low_memory=True,
        row_index_name=_LINE,
    )
    header = set(text.collect_schema().names())
    if not header.issuperset(("time_period", "time_identifier", "geographic_level")):
        raise server_error()
    numbers = {
        _BETWEEN.join((csv_time_period(time.period), time.identifier.label)): number
        for number, time in enumerate(layout.metadata.chronology, 1)
    }
    columns = [
        pl.col(_LINE).alias("line"),
        pl.col("time_period").alias("period"),
        _number(("time_period", "time_identifier"), numbers).alias(TIME),
        pl.col("geographic_level").fill_null("").alias(LEVEL),
    ]
    for name, group in layout.places.items():
        wanted = group.level.columns
        places = {
            _BETWEEN.join((*known.place.codes, known.place.name)): number
            for number, known in enumerate(group.options, 1)
        }
        columns.append((_number(wanted, places) if header.issuperset(wanted) else _none()).alias(name))
    for name, known in layout.filters.items():
        options = {option.label: number for number, option in enumerate(known.options, 1)}
        columns.append(_number((known.column,), options).alias(name))
    for name, indicator in layout.indicators.items():
        cell = pl.col(indicator.column).fill_null("") if indicator.column in header else pl.lit("")
        columns.append(cell.alias(name))
    return text.select(columns).filter(pl.col(TIME) > 0)


def _number(columns: Sequence[str], numbers: Mapping[str, int]) -> pl.Expr:
    """The number of what some cells say together; 0 for anything else."""
    if not numbers:
        return _none()
    text = pl.concat_str([pl.col(column).fill_null("") for column in columns], separator=_BETWEEN)
    return text.replace_strict(
        pl.Series(list(numbers), dtype=pl.String),
        pl.Series(list(numbers.values()), dtype=pl.Int32),
        default=0,
        return_dtype=pl.Int32,
    )


def _none() -> pl.Expr:
    return pl.lit(0, dtype=pl.Int32)
