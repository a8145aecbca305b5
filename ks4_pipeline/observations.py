"""CSV text to typed observations: each indicator a number or nothing, and right behind it the marker that says why.

Takes a landed version and writes one Parquet file, in one streaming pass of bounded memory. Nothing is guessed: a cell
that is neither a number nor a known marker, an empty indicator cell, a row of another width or a row count that is not
the announced one refuses the whole version. Knows neither the API nor DuckDB, but that the file's parts are as large as
DuckDB's own: rows that keep their order are then loaded in two thirds of the time (measured). The wider rows are, the
fewer a part has, since each is held until it is whole; rows as long as no statistics are refused.

The pass writes a number's value, or else the cell's own text as its flag: in nearly every file these texts are
canonical markers and the result is final. Only where they are not does a second pass over the Parquet file sort other
spellings and numbers with blanks around them from what must be refused.

The pass may be made while the CSV is still arriving (:class:`Ahead`): decoding it is the largest part of the work, and
it is decoded then anyway. Flags are then of a type that holds canonical markers and nothing else, which is written in
two thirds of the time of text; the first cell that is something else ends it. Columns of few texts keep each text once,
which saves a tenth to a fifth of the work; far more texts than the publisher lists end it too, and so do rows far wider
than the first ones. Whether the result is of use is known only when all has landed; if not, it is made again, from the
file.
"""

from __future__ import annotations

import codecs
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, repeat, takewhile
from pathlib import Path
from typing import Final, Literal, TypedDict, TypeVar

import polars as pl
from polars.io.plugins import register_io_source
from pydantic import BaseModel, ConfigDict, ValidationError

from ks4_pipeline import census, csv_exact, disk, durable, unfinished
from ks4_pipeline.columns import Column, Columns, Role, assign, parse_header, with_few_texts
from ks4_pipeline.csv_arrival import Records
from ks4_pipeline.csv_width import STRETCH
from ks4_pipeline.ees.models import Meta, Number
from ks4_pipeline.faults import SHOWN, Fault, Faults, RefusedVersionError
from ks4_pipeline.fingerprint import Bytes
from ks4_pipeline.landing import Landed
from ks4_pipeline.markers import BLANKS, MARKERS, SPELLINGS
from ks4_pipeline.periods import PeriodCounts, by_indicator
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.sql import ROW_GROUP

FORMAT: Final = 2
"""Raised when observations are made differently; older files are then made anew from landing."""

_TYPING = 2
"""Blocks typed at once: polars leaves a tenth of two cores idle with one (measured)."""
_AHEAD = 3
"""Blocks made ahead of each step: enough that none waits for another."""
_FEW_TEXTS = 10_000
"""Of all columns together that keep each text once; with fifty thousand it takes longer than without (measured)."""
_TEXT_NUMBER = pl.UInt16
_LONGEST_TEXT = 1 << 10
"""What polars numbers their texts by, so that there may be 65,535 of a version; bytes of the longest: 64 MiB in all."""
_CELL_AT_LEAST = 5
"""What a cell takes in a part of the Parquet file before it is written, counted as bytes of a CSV (measured)."""
_FEWEST_IN_A_STRETCH = 1_000
"""Rows of more than a hundred kilobytes, thousands of them, are no statistics, and would come a few at a time."""
_SMALL = 1 << 20
"""Bytes of a block that says nothing of how wide rows are: the header is one of few."""
_Part = TypeVar("_Part")
_Few = Mapping[str, pl.Categorical]
"""The columns that keep each text once, and their type."""
_NO_FEW: Final[_Few] = {}
_MARKER = pl.Enum(list(MARKERS))
_ROW = "\0row"  # a NUL cannot be in a header that was accepted, so this name is free


class Facts(BaseModel):
    """What is known of a finished Parquet file; written last, so that it is also its mark of being whole.

    Attributes:
        csv_sha256: fingerprint of the CSV it was made from.
        parquet: size and fingerprint of the Parquet file itself.
        header: the CSV's columns, in the order of the file.
        rows: number of rows.
        periods: rows and markers by time period.
        spellings: markers not in canonical spelling, as they stand in the file, with their counts.
        padded_numbers: numbers with blanks around them.
        rows_sharing_key: rows whose time, geography and filter columns are those of another row as well.
        repeated_rows: rows that are copies of an earlier row in every column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = FORMAT
    data_set_id: str
    version: Number
    csv_sha256: str
    parquet: Bytes
    header: tuple[str, ...]
    rows: int
    periods: tuple[PeriodCounts, ...]
    spellings: dict[str, int]
    padded_numbers: int
    rows_sharing_key: int
    repeated_rows: int


@dataclass(frozen=True)
class Observations:
    """The typed table of one version, on disk.

    The Parquet file has the CSV's columns in their order: time, geography and filters VARCHAR with empty cells null;
    numeric indicators DOUBLE, each followed by ``<name>_flag`` VARCHAR, null where the cell was a number.
    """

    parquet: Path
    columns: Columns
    facts: Facts

    @cached_property
    def markers(self) -> Mapping[str, Mapping[str, int]]:
        """For each numeric indicator, how many cells hold which canonical marker, most frequent first."""
        return by_indicator(self.facts.periods, (column.name for column in self.columns.numeric))

    @property
    def marker_cells(self) -> int:
        """How many cells of all indicators hold a marker."""
        return sum(count for found in self.markers.values() for count in found.values())


class ObservationsStore:
    """The Parquet files below one folder: ``<name>/<version>.parquet`` with its facts beside it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, data_set: DataSet, version: VersionNumber) -> Path:
        """Where a version's Parquet file is, or will be."""
        return self._root / data_set.name / f"{version}.parquet"

    def get(self, data_set: DataSet, landed: Landed) -> Observations | None:
        """The finished observations of a landed version, or None when they are not there whole or of other bytes."""
        parquet = self.path(data_set, landed.version)
        try:
            facts = Facts.model_validate_json(parquet.with_suffix(".json").read_bytes())
            if facts.csv_sha256 != landed.manifest.csv.sha256 or facts.parquet != Bytes.of(parquet):
                return None
        except (OSError, ValidationError):
            return None
        return Observations(parquet, assign(facts.header, landed.meta, Faults()), facts)

    def is_older(self, data_set: DataSet, version: VersionNumber) -> bool:
        """Whether an older program made a version's observations: they are no damage, and are made anew when needed."""
        try:
            facts = json.loads(self.path(data_set, version).with_suffix(".json").read_bytes())
        except (OSError, ValueError):
            return False
        made_as = facts.get("format") if isinstance(facts, dict) else None
        return isinstance(made_as, int) and made_as < FORMAT

    @contextmanager
    def ahead(self, data_set: DataSet) -> Iterator[Ahead]:
        """Room to type a version of a data set while it arrives; gone after the block."""
        folder = self._root / data_set.name
        durable.make_folder(folder)
        with unfinished.room(folder) as room:
            yield Ahead(room / "ahead.parquet")

    def make(
        self, data_set: DataSet, landed: Landed, ahead: Ahead | None = None, *, anew: bool = False
    ) -> Observations:
        """The observations of a landed version, made unless they are there, or in any case ``anew``.

        Args:
            data_set: which.
            landed: the version.
            ahead: what was typed while it arrived.
            anew: make them whatever is there.

        Raises:
            RefusedVersionError: when the content cannot be trusted; it names the first faults and counts the rest.
            LandingError: when what is on disk is not what landed.
        """
        if not (ahead and ahead.is_of(landed)):  # else all of it has just been read as it came
            landed.verify()
        found = None if anew else self.get(data_set, landed)
        if found is not None:
            return found
        parquet = self.path(data_set, landed.version)
        durable.make_folder(parquet.parent)
        facts_path = parquet.with_suffix(".json")
        facts_path.unlink(missing_ok=True)
        with unfinished.room(parquet.parent) as room:
            typed = room / "typed.parquet"
            columns, facts = _make(data_set, landed, typed, room / "plain.csv", ahead)
            durable.flush(typed)
            durable.replace(typed, parquet)
        durable.write_atomically(facts_path, facts.model_dump_json(indent=2).encode() + b"\n")
        return Observations(parquet, columns, facts)

    def remove(self, data_set: DataSet, version: VersionNumber) -> None:
        """Take away what was made of a version that is refused."""
        parquet = self.path(data_set, version)
        for path in (parquet.with_suffix(".json"), parquet, parquet.with_suffix(".checks.json")):
            path.unlink(missing_ok=True)


class Ahead:
    """A version's cells, typed while the CSV arrives, for :meth:`ObservationsStore.make` to go on with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: Records | None = None
        self._columns: Columns | None = None

    def read(self, meta: Meta, records: Records) -> None:
        """Type the records; what hinders that is left to be found, and named or settled, when all has landed."""
        self._records = self._columns = None
        faults = Faults()
        blocks = records.blocks()
        first = next(blocks, b"")
        names = parse_header(records.header.decode(errors="replace"), faults)
        columns = assign(names, meta, faults)
        if faults or not first:
            return
        kept = pl.Categorical(pl.Categories.random(physical=_TEXT_NUMBER))  # of this version: others have their own
        few = dict.fromkeys(with_few_texts(columns, meta, _FEW_TEXTS), kept)
        rows = _rows_at_once(columns, STRETCH * first.count(b"\n") // len(first))
        try:
            with (
                ThreadPoolExecutor(1, thread_name_prefix="ks4-blocks") as unpacking,
                ThreadPoolExecutor(_TYPING, thread_name_prefix="ks4-cells") as typing,
            ):
                texts = takewhile(bool, _ahead(repeat(partial(next, blocks, b"")), unpacking))
                frames = _ahead(_typed(chain([first], texts), columns, few, 2 * STRETCH // rows), typing)
                _write(_arriving(frames, columns, few), self._path, rows)
        except (OSError, pl.exceptions.PolarsError, _NotAsExpectedError):
            return
        self._records, self._columns = records, columns

    def is_of(self, landed: Landed) -> bool:
        """Whether what was typed is the CSV that landed."""
        return self._records is not None and self._records.csv == landed.manifest.csv

    def take(self, landed: Landed, columns: Columns, target: Path) -> bool:
        """Move the typed cells to a place of their own, if they are those of what landed."""
        typed = self.is_of(landed) and self._columns == columns
        if typed:
            self._path.replace(target)
        return typed


def _make(data_set: DataSet, landed: Landed, typed: Path, plain: Path, ahead: Ahead | None) -> tuple[Columns, Facts]:
    what = f"{data_set.name} {landed.version}"
    columns, at_once = _type(what, landed, typed, plain, ahead)
    faults = Faults()
    counted = census.take(columns, typed)
    spellings: dict[str, int] = {}
    padded = 0
    if odd_columns := [column for column, cells in counted.odd.items() if cells]:
        spellings, padded = _settle_odd_cells(typed, odd_columns, at_once)
        counted = census.take(columns, typed)
    _report_unknown(columns, typed, counted.odd, faults)
    read, announced = counted.rows, landed.record.total_results
    if read != announced and not faults:
        faults.add(Fault(f"{read} rows were read where the file has {announced}"))
    if faults:
        raise RefusedVersionError(what, faults)
    with ThreadPoolExecutor(1, thread_name_prefix="ks4-fingerprint") as beside:
        parquet = beside.submit(Bytes.of, typed)
        sharing, repeated = census.repeats(columns, typed)
    return columns, Facts(
        data_set_id=data_set.id,
        version=landed.version,
        csv_sha256=landed.manifest.csv.sha256,
        parquet=parquet.result(),
        header=tuple(column.name for column in columns.of_file),
        rows=read,
        periods=counted.periods,
        spellings=spellings,
        padded_numbers=padded,
        rows_sharing_key=sharing,
        repeated_rows=repeated,
    )


def _type(what: str, landed: Landed, typed: Path, plain: Path, ahead: Ahead | None) -> tuple[Columns, int]:
    """Write the typed cells of a file whose header, encoding, quoting and row count are sound.

    Returns:
        The columns, and how many rows a part of the Parquet file may have.

    Raises:
        RefusedVersionError: when they are not.
    """
    faults = Faults()

    def refuse_if_faulty() -> None:
        if faults:
            raise RefusedVersionError(what, faults)

    shape = landed.manifest.shape
    source, rows, header, in_a_stretch = landed.csv, shape.rows, shape.header, shape.rows_in_a_stretch
    if not shape.regular or header is None:
        source, ahead = plain, None
        rows, header, in_a_stretch = csv_exact.write_plain(landed.csv, plain, faults)
        refuse_if_faulty()
    names = parse_header(header, faults)
    refuse_if_faulty()
    columns = assign(names, landed.meta, faults)
    if rows != landed.record.total_results:
        faults.add(Fault(f"the file has {rows} rows, and the publisher announces {landed.record.total_results}"))
    if in_a_stretch is not None and in_a_stretch < _FEWEST_IN_A_STRETCH:
        faults.add(Fault(f"{STRETCH:,} bytes of it are {in_a_stretch} rows: no row of statistics is so long"))
    refuse_if_faulty()
    at_once = _rows_at_once(columns, in_a_stretch)
    if ahead and ahead.take(landed, columns, typed):
        return columns, at_once
    try:
        with disk.told(typed.parent):  # a full disk says nothing of the file
            _write(_on_disk(source, columns), typed, at_once)
    except pl.exceptions.PolarsError as error:
        csv_exact.write_plain(landed.csv, plain, faults)  # says which row it is
        if not faults:
            faults.add(Fault(f"the CSV cannot be read: {str(error).splitlines()[0]}"))
        raise RefusedVersionError(what, faults) from error
    return columns, at_once


def _ahead(calls: Iterable[Callable[[], _Part]], threads: Executor) -> Iterator[_Part]:
    """What each call gives, in their order; the next ones are under way while one is worked on."""
    coming: deque[Future[_Part]] = deque()
    for call in calls:
        coming.append(threads.submit(call))
        if len(coming) > _AHEAD:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


class _AsText(TypedDict):
    """How a CSV is read: as it stands, every cell a text."""

    has_header: bool
    skip_rows: int
    separator: str
    quote_char: str
    null_values: None
    empty_string_is_null: bool
    ignore_errors: bool
    truncate_ragged_lines: bool
    encoding: Literal["utf8"]
    glob: bool


_AS_TEXT: _AsText = {
    "has_header": False,  # polars would compare the names, and leaves doubled quotes in them as they are
    "skip_rows": 1,
    "separator": ",",
    "quote_char": '"',
    "null_values": None,
    "empty_string_is_null": False,  # those in quotes would stay text
    "ignore_errors": False,
    "truncate_ragged_lines": False,
    "encoding": "utf8",
    "glob": False,
}


def _on_disk(source: Path, columns: Columns) -> pl.LazyFrame:
    """The typed cells of a CSV file."""
    cells = _cells(columns, _number, pl.String())
    return pl.scan_csv(source, schema=_text_schema(columns), **_AS_TEXT).select(cells)


class _NotAsExpectedError(Exception):
    """What cannot be typed while it arrives as all else was so far, and so not at all."""


def _typed(blocks: Iterable[bytes], columns: Columns, few: _Few, widest: int) -> Iterator[Callable[[], pl.DataFrame]]:
    """What gives the typed cells of each block of whole records; the first block begins with the header.

    Args:
        blocks: of the CSV.
        columns: of the version.
        few: the columns that keep each text once.
        widest: how many bytes the rows of a block may have on average.
    """
    for number, block in enumerate(blocks):
        yield partial(_typed_block, block, columns, few, widest, has_header=number == 0)


def _typed_block(block: bytes, columns: Columns, few: _Few, widest: int, *, has_header: bool) -> pl.DataFrame:
    """Its cells.

    Raises:
        _NotAsExpectedError: when not all of them can be typed as they stand, a text is too long to be kept, or the rows
            are far wider than the first ones.
        pl.exceptions.ComputeError: when there are more texts than can be kept, too.
    """
    options: _AsText = {**_AS_TEXT, "skip_rows": int(has_header)}
    if not has_header and block.startswith(codecs.BOM_UTF8):  # polars would take it for a file's, and not for a cell's
        block, options["skip_rows"] = b"\n" + block, 1
    text = pl.scan_csv(block, schema=_text_schema(columns, few), **options)
    frame = text.select(_cells(columns, _number_or_infinite, _MARKER)).collect()
    if len(block) > max(_SMALL, widest * frame.height):
        raise _NotAsExpectedError
    as_listed = [
        pl.col(column.name).is_finite().all()
        & (pl.col(column.name).null_count() + pl.col(column.flag).null_count() == pl.len())
        for column in columns.numeric
    ]
    as_listed += [
        pl.col(name).unique().cast(pl.String).str.len_bytes().max().fill_null(0) <= _LONGEST_TEXT for name in few
    ]
    if as_listed and not all(frame.select(as_listed).row(0)):
        raise _NotAsExpectedError
    return frame


def _arriving(typed: Iterable[pl.DataFrame], columns: Columns, few: _Few) -> pl.LazyFrame:
    """The typed cells of a CSV that is still arriving; may be collected once."""
    schema = {column.name: _arriving_type(column, few) for column in columns.observations}

    def frames(
        projected: list[str] | None, _predicate: pl.Expr | None, _rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in typed:
            yield frame.select(projected) if projected else frame

    return register_io_source(frames, schema=schema)


def _arriving_type(column: Column, few: _Few) -> pl.DataType:
    if column.is_numeric:
        return pl.Float64()
    if column.role is Role.FLAG:
        return _MARKER
    return _text_type(column, few)


def _text_schema(columns: Columns, few: _Few = _NO_FEW) -> dict[str, pl.DataType]:
    return {column.name: _text_type(column, few) for column in columns.of_file}


def _text_type(column: Column, few: _Few) -> pl.DataType:
    return few.get(column.name) or pl.String()


def _cells(columns: Columns, number: Callable[[pl.Expr], pl.Expr], flags: pl.DataType) -> list[pl.Expr]:
    """Numbers to values, everything else in an indicator to its flag as it stands, empty or not; empty text is null.

    Args:
        columns: of the version.
        number: what makes a value of a cell's text, or null.
        flags: the type of flags; where it cannot hold a cell's text, the flag is null as well.
    """
    cells: list[pl.Expr] = []
    for column in columns.of_file:
        text = pl.col(column.name)
        if column.is_numeric:
            value = number(text)
            flag = pl.when(value.is_null()).then(text).cast(flags, strict=False)
            cells += [value.alias(column.name), flag.alias(column.flag)]
        else:
            cells.append(pl.when(text != "").then(text).alias(column.name))
    return cells


def _rows_at_once(columns: Columns, in_a_stretch: int | None) -> int:
    """How many rows a part of the Parquet file has: as many as DuckDB's, unless these would take too much memory.

    A part is held until it is whole, in four to five times its bytes of the CSV (measured).

    Args:
        columns: of the version.
        in_a_stretch: how many rows a stretch of the CSV has, where it has the fewest.
    """
    by_cells = STRETCH // (_CELL_AT_LEAST * max(1, len(columns.observations)))
    return max(1, min(ROW_GROUP, by_cells, in_a_stretch or ROW_GROUP))


def _write(cells: pl.LazyFrame, target: Path, rows: int) -> None:
    """One streaming pass.

    Args:
        cells: of a version.
        target: the Parquet file.
        rows: of each of its parts.
    """
    cells.sink_parquet(target, compression="zstd", compression_level=1, row_group_size=rows, maintain_order=True)


def _number(text: pl.Expr) -> pl.Expr:
    """A finite decimal number, or null.

    polars' strict=False cast takes exactly ``[+-]?(d+.?d*|.d+)([eE][+-]?d+)?`` with ASCII digits, and besides only
    spellings of infinity and NaN, which are not finite (measured; see the unit test).
    """
    value = _number_or_infinite(text)
    return pl.when(value.is_finite()).then(value)


def _number_or_infinite(text: pl.Expr) -> pl.Expr:
    """A decimal number, finite or not, or null; for half the price."""
    return text.cast(pl.Float64, strict=False)


def _settle_odd_cells(typed: Path, odd_columns: list[Column], at_once: int) -> tuple[dict[str, int], int]:
    """Turn other spellings into canonical ones.

    Args:
        typed: the cells.
        odd_columns: the indicators that have others.
        at_once: how many rows a part of the Parquet file may have.

    Returns:
        The counts of the spellings settled, and the number of numbers with blanks around them.
    """
    frame = pl.scan_parquet(typed, glob=False)
    spellings: dict[str, int] = {}
    padded = 0
    for column in odd_columns:
        bare = _bare(pl.col(column.flag))
        odd = frame.filter(_is_odd(column))
        padded += odd.filter(_number(bare).is_not_null()).select(pl.len()).collect().item()
        known = odd.filter(_marker(bare).is_not_null()).group_by(column.flag).len().collect()
        for spelling, count in known.iter_rows():
            spellings[spelling] = spellings.get(spelling, 0) + count
    settled = typed.with_name("settled.parquet")
    _write(frame.with_columns(_settled(odd_columns)), settled, at_once)
    settled.replace(typed)
    return dict(sorted(spellings.items())), padded


def _is_odd(column: Column) -> pl.Expr:
    flag = pl.col(column.flag)
    return flag.is_not_null() & ~flag.is_in(list(MARKERS))


def _bare(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars(BLANKS)


def _marker(bare: pl.Expr) -> pl.Expr:
    """The canonical symbol of a text without blanks, as :func:`ks4_pipeline.markers.canonical` tells it, or null."""
    bracketed = bare.str.starts_with("[") & bare.str.ends_with("]") & (bare.str.len_bytes() > 1)
    symbol = pl.when(bracketed).then(_bare(bare.str.slice(1, bare.str.len_chars() - 2))).otherwise(bare)
    return symbol.replace_strict(SPELLINGS, default=None, return_dtype=pl.String)


def _settled(odd_columns: list[Column]) -> list[pl.Expr]:
    expressions = []
    for column in odd_columns:
        flag = pl.col(column.flag)
        number = _number(_bare(flag))
        expressions += [
            pl.coalesce(pl.col(column.name), number).alias(column.name),
            pl.when(number.is_null()).then(pl.coalesce(_marker(_bare(flag)), flag)).alias(column.flag),
        ]
    return expressions


def _report_unknown(columns: Columns, typed: Path, counts: Mapping[Column, int], faults: Faults) -> None:
    """Name the cells of indicators that are empty, or neither number nor marker, in the order of rows.

    Args:
        columns: of the version.
        typed: its cells.
        counts: by numeric indicator, how many such cells it has.
        faults: takes the first ones and counts all.
    """
    frame = pl.scan_parquet(typed, glob=False)
    empty_text = {
        column: frame.select(pl.col(column.name).is_null().sum()).collect().item()
        for column in columns.textual_indicators
    }
    found: list[tuple[int, str, str | None]] = []
    indexed = frame.with_row_index(_ROW, offset=1)
    for column in (column for column, count in counts.items() if count):
        cells = indexed.filter(_is_odd(column)).select(_ROW, column.flag).head(SHOWN).collect()
        found += [(row, column.name, text) for row, text in cells.iter_rows()]
    for column in (column for column, count in empty_text.items() if count):
        cells = indexed.filter(pl.col(column.name).is_null()).select(_ROW).head(SHOWN).collect()
        found += [(row, column.name, None) for (row,) in cells.iter_rows()]
    total = sum(counts.values()) + sum(empty_text.values())
    for row, name, text in sorted(found, key=lambda cell: cell[:2])[:SHOWN]:
        what = "neither a number nor a known marker" if text else "an empty indicator cell"
        faults.add(Fault(what, name, row, text or None))
    faults.count += total - min(total, len(found), SHOWN)
