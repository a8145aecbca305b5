"""What a CSV holds as far as the API's metadata need it: options, levels, places, time periods, number of rows.

One pass in batches over the needed columns only, so a file of many millions of rows stays within bounded memory.
The sandbox also serves files that are broken on purpose, so reading never fails: bytes that are not UTF-8 are
replaced, ragged rows cut or filled, and a file that polars cannot read is read by Python's ``csv`` as far as it goes.
What could not be read is missing from the metadata; the bytes that ``/csv`` serves are never touched.
"""

from __future__ import annotations

import csv
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from ks4_pipeline.ees.vocabulary import (
    GEOGRAPHIC_LEVELS,
    GeographicLevel,
    TimeIdentifier,
    geographic_level_of,
    period_text,
    time_identifier_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BATCH = 10_000
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A location as its row names it: its name, and its codes in the order of the level's code columns."""

    name: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimePeriod:
    """A period of time; ``period`` is the API's text, ``2020/2021`` or ``2020``."""

    identifier: TimeIdentifier
    period: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in a CSV.

    Attributes:
        header: the column names, as far as they could be read.
        rows: how many records follow the header.
        options: for each filter column in the header, its distinct cells that are not empty, in text order.
        levels: the geographic levels of the rows.
        places: for each level with any column in the header, its complete places (contract §5.4).
        periods: the time periods of the rows.
    """

    header: tuple[str, ...] = ()
    rows: int = 0
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    levels: tuple[GeographicLevel, ...] = ()
    places: Mapping[GeographicLevel, tuple[Place, ...]] = field(default_factory=dict)
    periods: tuple[TimePeriod, ...] = ()


_Cells = tuple[str | None, ...]


class _Distinct:
    """Collects the distinct combinations of some groups of columns."""

    def __init__(self, groups: Iterable[tuple[str, ...]]) -> None:
        self.rows = 0
        self.found: dict[tuple[str, ...], set[_Cells]] = {group: set() for group in groups}

    def add(self, batch: pl.DataFrame) -> None:
        self.rows += batch.height
        for group, seen in self.found.items():
            if group:
                seen.update(batch.select(group).unique().rows())

    def cells(self, column: str) -> tuple[str, ...]:
        return tuple(sorted(cell for (cell,) in self.found.get((column,), ()) if cell))


def read_contents(path: Path, filter_columns: Sequence[str]) -> Contents:
    """Read what the metadata need from a ``.csv`` or ``.csv.gz``; never fails, see the module's docstring."""
    with unpacked(path) as plain:
        try:
            return _read_with_polars(plain, filter_columns)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            return _read_with_csv(plain, filter_columns)


def _read_with_polars(path: Path, filter_columns: Sequence[str]) -> Contents:
    # has_header would rename a second column of the same name; only our own names matter here, so that is fine.
    frame = pl.scan_csv(
        path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True, glob=False, low_memory=True
    )
    header = tuple(frame.collect_schema().names())
    if any('"' in name for name in header):
        return _read_with_csv(path, filter_columns)  # polars leaves doubled quotes in names as they are
    groups = _groups(header, filter_columns)
    needed = sorted({column for group in groups for column in group})
    distinct = _Distinct(groups)
    wanted = frame.select(needed or list(header[:1]))
    for batch in wanted.collect_batches(engine="streaming", maintain_order=False):
        distinct.add(batch)
    return _contents(header, distinct)


def _read_with_csv(path: Path, filter_columns: Sequence[str]) -> Contents:
    """Read record by record until the end or until the reader gives up (an unclosed quote, say)."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        records = _records(text)
        header = tuple(next(records, ()))
        groups = _groups(header, filter_columns)
        needed = sorted({column for group in groups for column in group})
        places = [header.index(column) for column in needed]
        distinct = _Distinct(groups)
        while chunk := list(islice(records, _BATCH)):
            distinct.rows += len(chunk) if not needed else 0
            columns = {
                column: [record[place] if place < len(record) else "" for record in chunk]
                for column, place in zip(needed, places, strict=True)
            }
            distinct.add(pl.DataFrame(columns, schema=dict.fromkeys(needed, pl.String)))
    return _contents(header, distinct)


def _records(lines: Iterable[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines)
    except csv.Error:
        return


def _groups(header: tuple[str, ...], filter_columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The groups of columns whose distinct cells are needed, those whose columns are all there."""
    wanted = [
        *((column,) for column in filter_columns),
        ("geographic_level",),
        ("time_period", "time_identifier"),
        *(level.columns for level in GEOGRAPHIC_LEVELS),
    ]
    present = set(header)
    return tuple(dict.fromkeys(group for group in wanted if present.issuperset(group)))


def _contents(header: tuple[str, ...], distinct: _Distinct) -> Contents:
    single = [group[0] for group in distinct.found if len(group) == 1]
    levels = {geographic_level_of(cell) for cell in distinct.cells("geographic_level")}
    periods = {
        TimePeriod(identifier, period_text(period))
        for period, label in distinct.found.get(("time_period", "time_identifier"), ())
        if period and label and (identifier := time_identifier_of(label))
    }
    return Contents(
        header=header,
        rows=distinct.rows,
        options={column: distinct.cells(column) for column in single},
        levels=tuple(sorted((level for level in levels if level), key=lambda level: level.label)),
        places={
            level: _places(level, distinct.found.get(level.columns, set()))
            for level in GEOGRAPHIC_LEVELS
            if not set(header).isdisjoint(level.columns)
        },
        periods=tuple(sorted(periods, key=lambda time: (time.identifier.code, time.period))),
    )


def _places(level: GeographicLevel, rows: Iterable[_Cells]) -> tuple[Place, ...]:
    width = len(level.code_columns)
    full = (tuple(cell for cell in row if cell) for row in rows)
    return tuple(sorted(Place(row[width], row[:width]) for row in full if len(row) == width + 1))


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the plain CSV: the file itself, or what a gzip holds up to its end or first fault."""
    if path.suffix != ".gz":
        yield path
        return
    with TemporaryDirectory(prefix="ks4-sandbox-") as folder:
        plain = Path(folder) / "data.csv"
        with path.open("rb") as packed, plain.open("wb") as out:
            for piece in _gunzip(iter(lambda: packed.read(_PIECE), b"")):
                out.write(piece)
        yield plain


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                yield decoder.decompress(rest)
                rest = decoder.unused_data
                if decoder.eof:
                    decoder = zlib.decompressobj(wbits=31)
    except zlib.error:
        return
