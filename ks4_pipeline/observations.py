"""CSV text to typed observations: each indicator a number or nothing, and right behind it the marker that says why.

Takes a landed version and writes one Parquet file, in one streaming pass of bounded memory. Nothing is guessed: a cell
that is neither a number nor a known marker, an empty indicator cell, a row of another width or a row count that is not
the announced one refuses the whole version. Knows neither the API nor DuckDB.

The pass writes a number's value, or else the cell's own text as its flag: in nearly every file these texts are
canonical markers and the result is final. Only where they are not does a second pass over the Parquet file sort other
spellings and numbers with blanks around them from what must be refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from ks4_pipeline import csv_exact, disk, durable, unfinished
from ks4_pipeline.columns import Column, Columns, assign, parse_header
from ks4_pipeline.ees.models import Number
from ks4_pipeline.faults import SHOWN, Fault, Faults, RefusedVersionError
from ks4_pipeline.landing import Bytes, Landed
from ks4_pipeline.markers import BLANKS, MARKERS, SPELLINGS
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

FORMAT = 1
"""Raised when observations are made differently; older files are then made anew from landing."""

_ROW = "\0row"  # a NUL cannot be in a header that was accepted, so this name is free


class Facts(BaseModel):
    """What is known of a finished Parquet file; written last, so that it is also its mark of being whole.

    Attributes:
        csv_sha256: fingerprint of the CSV it was made from.
        parquet: size and fingerprint of the Parquet file itself.
        header: the CSV's columns, in the order of the file.
        rows: number of rows.
        markers: for each numeric indicator, how many cells hold which canonical marker.
        spellings: markers not in canonical spelling, as they stand in the file, with their counts.
        padded_numbers: numbers with blanks around them.
        rows_sharing_key: rows whose time, geography and filter columns are those of another row as well.
        repeated_rows: rows that are copies of an earlier row in every column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    data_set_id: str
    version: Number
    csv_sha256: str
    parquet: Bytes
    header: tuple[str, ...]
    rows: int
    markers: dict[str, dict[str, int]]
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

    def make(self, data_set: DataSet, landed: Landed) -> Observations:
        """The observations of a landed version, made unless they are there.

        Raises:
            RefusedVersionError: when the content cannot be trusted; it names the first faults and counts the rest.
            LandingError: when what is on disk is not what landed.
        """
        landed.verify()
        found = self.get(data_set, landed)
        if found is not None:
            return found
        parquet = self.path(data_set, landed.version)
        durable.make_folder(parquet.parent)
        facts_path = parquet.with_suffix(".json")
        facts_path.unlink(missing_ok=True)
        with unfinished.room(parquet.parent) as room:
            typed = room / "typed.parquet"
            columns, facts = _make(data_set, landed, typed, room / "plain.csv")
            durable.flush(typed)
            durable.replace(typed, parquet)
        durable.write_atomically(facts_path, facts.model_dump_json(indent=2).encode() + b"\n")
        return Observations(parquet, columns, facts)


def _make(data_set: DataSet, landed: Landed, typed: Path, plain: Path) -> tuple[Columns, Facts]:
    faults = Faults()
    what = f"{data_set.name} {landed.version}"
    shape = landed.manifest.shape
    source, rows, header = landed.csv, shape.rows, shape.header
    if not shape.regular or header is None:
        source = plain
        rows, header = csv_exact.write_plain(landed.csv, plain, faults)
        if faults:
            raise RefusedVersionError(what, faults)
    names = parse_header(header or "", faults)
    if faults:
        raise RefusedVersionError(what, faults)
    columns = assign(names, landed.meta, faults)
    if rows != landed.record.total_results:
        faults.add(Fault(f"the file has {rows} rows, and the publisher announces {landed.record.total_results}"))
    if faults:
        raise RefusedVersionError(what, faults)
    try:
        with disk.told(typed.parent):  # a full disk says nothing of the file
            _write_typed(source, columns, typed)
    except pl.exceptions.PolarsError as error:
        csv_exact.write_plain(landed.csv, plain, faults)  # says which row it is
        if not faults:
            faults.add(Fault(f"the CSV cannot be read: {str(error).splitlines()[0]}"))
        raise RefusedVersionError(what, faults) from error
    spellings, padded = _settle_odd_cells(columns, typed, faults)
    read = pl.scan_parquet(typed, glob=False).select(pl.len()).collect().item()
    if read != rows and not faults:
        faults.add(Fault(f"{read} rows were read where the file has {rows}"))
    if faults:
        raise RefusedVersionError(what, faults)
    sharing, repeated = _count_repeats(columns, typed)
    return columns, Facts(
        data_set_id=data_set.id,
        version=landed.version,
        csv_sha256=landed.manifest.csv.sha256,
        parquet=Bytes.of(typed),
        header=tuple(column.name for column in columns.of_file),
        rows=read,
        markers=_count_markers(columns, typed),
        spellings=spellings,
        padded_numbers=padded,
        rows_sharing_key=sharing,
        repeated_rows=repeated,
    )


def _write_typed(source: Path, columns: Columns, target: Path) -> None:
    """One streaming pass: numbers to values, everything else in an indicator to its flag as it stands."""
    text = pl.scan_csv(
        source,
        schema={column.name: pl.String for column in columns.of_file},
        has_header=False,  # polars would compare the names, and leaves doubled quotes in them as they are
        skip_rows=1,
        separator=",",
        quote_char='"',
        null_values=None,
        ignore_errors=False,
        truncate_ragged_lines=False,
        encoding="utf8",
        glob=False,
    )
    typed: list[pl.Expr] = []
    for column in columns.of_file:
        cell = pl.col(column.name)
        cell = pl.when(cell != "").then(cell)  # empty is null, quoted or not; polars' own setting spares the quoted
        if column.is_numeric:
            value = _number(cell)
            typed += [value.alias(column.name), pl.when(value.is_null()).then(cell).alias(column.flag)]
        else:
            typed.append(cell)
    text.select(typed).sink_parquet(target, compression="zstd", compression_level=1, maintain_order=True)


def _number(text: pl.Expr) -> pl.Expr:
    """A finite decimal number, or null.

    polars' strict=False cast takes exactly ``[+-]?(d+.?d*|.d+)([eE][+-]?d+)?`` with ASCII digits, and besides only
    spellings of infinity and NaN, which are not finite (measured; see the unit test).
    """
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def _settle_odd_cells(columns: Columns, typed: Path, faults: Faults) -> tuple[dict[str, int], int]:
    """Turn other spellings into canonical ones where a file has any; report what is neither number nor marker.

    Returns:
        The counts of the spellings settled, and the number of numbers with blanks around them.
    """
    frame = pl.scan_parquet(typed, glob=False)
    odd_columns = [column for column, count in _odd_counts(frame, columns).items() if count]
    spellings: dict[str, int] = {}
    padded = 0
    if odd_columns:
        for column in odd_columns:
            bare = _bare(pl.col(column.flag))
            odd = frame.filter(_is_odd(column))
            padded += odd.filter(_number(bare).is_not_null()).select(pl.len()).collect().item()
            known = odd.filter(_marker(bare).is_not_null()).group_by(column.flag).len().collect()
            for spelling, count in known.iter_rows():
                spellings[spelling] = spellings.get(spelling, 0) + count
        settled = typed.with_name("settled.parquet")
        frame.with_columns(_settled(odd_columns)).sink_parquet(
            settled, compression="zstd", compression_level=1, maintain_order=True
        )
        settled.replace(typed)
    _report_unknown(columns, typed, faults)
    return dict(sorted(spellings.items())), padded


def _odd_counts(frame: pl.LazyFrame, columns: Columns) -> dict[Column, int]:
    """For each numeric indicator, how many cells are not a number and not a canonical marker (empty ones included)."""
    if not columns.numeric:
        return {}
    sums = [_is_odd(column).sum().alias(column.name) for column in columns.numeric]
    row = frame.select(sums).collect().row(0)
    return dict(zip(columns.numeric, row, strict=True))


def _is_odd(column: Column) -> pl.Expr:
    flag = pl.col(column.flag)
    return pl.when(flag.is_null()).then(pl.col(column.name).is_null()).otherwise(~flag.is_in(list(MARKERS)))


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


def _report_unknown(columns: Columns, typed: Path, faults: Faults) -> None:
    """Name the cells of indicators that are empty, or neither number nor marker, in the order of rows."""
    frame = pl.scan_parquet(typed, glob=False)
    counts = _odd_counts(frame, columns)
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
        what = "an empty indicator cell" if text is None else "neither a number nor a known marker"
        faults.add(Fault(what, name, row, text))
    faults.count += total - min(total, len(found), SHOWN)


def _count_markers(columns: Columns, typed: Path) -> dict[str, dict[str, int]]:
    """Markers per numeric indicator, most frequent first."""
    if not columns.numeric:
        return {}
    sums = [
        (pl.col(column.flag) == symbol).sum().alias(f"{index}\0{symbol}")
        for index, column in enumerate(columns.numeric)
        for symbol in MARKERS
    ]
    counts = iter(pl.scan_parquet(typed, glob=False).select(sums).collect().row(0))
    table = {column.name: {symbol: next(counts) for symbol in MARKERS} for column in columns.numeric}
    return {
        name: {symbol: count for symbol, count in sorted(found.items(), key=lambda item: -item[1]) if count}
        for name, found in table.items()
    }


def _count_repeats(columns: Columns, typed: Path) -> tuple[int, int]:
    """Rows that share their descriptive columns with another row, and rows that repeat an earlier one entirely."""
    frame = pl.scan_parquet(typed, glob=False)
    keys = [column.name for column in columns.descriptive]
    rows = frame.select(pl.len()).collect().item()
    distinct = frame.select(pl.struct(keys).hash().n_unique()).collect().item() if keys else rows
    if rows == distinct:
        return 0, 0
    sharing = frame.group_by(keys).len().filter(pl.col("len") > 1).select(pl.col("len").sum()).collect().item()
    names = [column.name for column in columns.observations]
    repeated = rows - frame.unique(names).select(pl.len()).collect().item()
    return sharing or 0, repeated
