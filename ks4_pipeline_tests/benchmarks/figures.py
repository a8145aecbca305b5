"""Made-up Key Stage 4 figures of any size up to ten million rows: the same cells on every machine, made piece by piece.

The shape is that of the national data set: 11 columns that say what a row is about, 20 indicators, about 15 % of their
cells markers, decimals as published. A cell depends on its row's number and the edition only, by arithmetic on 64 bits,
so that a piece can be made alone and no generator of random numbers has to stay as it is. The first edition has every
row but one in a thousand; the second drops others instead and restates part of the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import polars as pl

from ks4_pipeline.sandbox.synthetic import COLUMNS, INDICATOR_COLUMNS
from ks4_pipeline.sandbox.synthetic.population import (
    ALL_PUPILS,
    CARE_LENGTH,
    ETHNICITY,
    GROUPS,
    LABELS,
    PLACEMENT,
    SEN,
    UNKNOWN,
)
from ks4_pipeline.sandbox.synthetic.publishing import (
    CONFIDENTIAL,
    NOT_APPLICABLE,
    NOT_AVAILABLE,
    PROGRESS8_COLUMNS,
    ROUNDS_TO_ZERO,
    SUCCESSES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MADE_MARKERS = (CONFIDENTIAL, NOT_APPLICABLE, NOT_AVAILABLE, ROUNDS_TO_ZERO)
# More countries and years than the publisher has: ten million rows need a key of their own each.
_COUNTRIES = {
    "England": "E92000001",
    "Wales": "W92000004",
    "Scotland": "S92000003",
    "Northern Ireland": "N92000002",
    "England and Wales": "K04000001",
    "Great Britain": "K03000001",
    "United Kingdom": "K02000001",
}
_YEARS = tuple(f"{year}{(year + 1) % 100:02}" for year in range(2024, 1987, -1))
_BREAKDOWNS = {
    "social_care_group": tuple(GROUPS),
    SEN: (ALL_PUPILS, "All SEN provision", *LABELS[SEN], UNKNOWN),
    ETHNICITY: (ALL_PUPILS, *LABELS[ETHNICITY]),
    PLACEMENT: (ALL_PUPILS, *LABELS[PLACEMENT]),
    CARE_LENGTH: (ALL_PUPILS, *LABELS[CARE_LENGTH]),
}
_KEY = {"time_period": _YEARS, "country_name": tuple(_COUNTRIES), **_BREAKDOWNS}  # the last one changes fastest
_COMBINATIONS = prod(map(len, _KEY.values()))
_DROPPED_IN_A = 1_000  # rows; one of so many is not in an edition, another one in each
_DROPPED = {1: 500, 2: 501}
_YEARS_WITHOUT_PROGRESS8 = (0, 4, 5)  # of every seven, the newest first
_ROW = "row"


class TooManyRowsError(ValueError):
    """There are not so many keys."""


@dataclass(frozen=True)
class Figures:
    """All rows of both editions.

    Attributes:
        rows: how many rows an edition has.
        restated: how many of a hundred measures of a row the second edition draws anew; 6 come to 10 % of the cells.
    """

    rows: int
    restated: int = 6

    def __post_init__(self) -> None:
        if self.candidates > _COMBINATIONS:
            raise TooManyRowsError(f"{self.rows:,} rows are asked for, and there are {_COMBINATIONS:,} keys at most.")

    @property
    def candidates(self) -> int:
        """How many rows there are of which an edition drops one in a thousand."""
        whole, rest = divmod(self.rows, _DROPPED_IN_A - 1)
        return whole * _DROPPED_IN_A + rest + (rest > min(_DROPPED.values()))

    def piece(self, edition: int, start: int, end: int) -> pl.DataFrame:
        """The rows of an edition among candidates ``start`` to ``end``, all columns as text, in the file's order."""
        return self._rows(edition, start, end).select(COLUMNS).collect()

    def changes(self, start: int, end: int) -> dict[str, int]:
        """How many cells the second edition restates, by class, and how many rows it adds and removes."""
        before, after = (self._rows(edition, start, end).select(_ROW, *INDICATOR_COLUMNS) for edition in _DROPPED)
        both = before.join(after, on=_ROW, suffix=".new")
        classes = {
            "revised": (False, False),
            "suppressed": (False, True),
            "released": (True, False),
            "reflagged": (True, True),
        }
        cells = [
            pl.sum_horizontal(
                (
                    (pl.col(column) != pl.col(f"{column}.new"))
                    & (_is_marker(pl.col(column)) == was)
                    & (_is_marker(pl.col(f"{column}.new")) == now)
                ).sum()
                for column in INDICATOR_COLUMNS
            ).alias(name)
            for name, (was, now) in classes.items()
        ]
        counted = pl.collect_all([both.select(cells), *(frame.select(pl.len()) for frame in (before, after, both))])
        old, new, shared = (frame.item() for frame in counted[1:])
        return {**counted[0].row(0, named=True), "added": new - shared, "removed": old - shared}

    def _rows(self, edition: int, start: int, end: int) -> pl.LazyFrame:
        row = pl.int_range(start, end, dtype=pl.UInt64, eager=True).alias(_ROW)
        kept = row.to_frame().lazy().filter(pl.col(_ROW) % _DROPPED_IN_A != _DROPPED[edition])
        keyed = kept.with_columns(self._key())
        drawn = keyed.with_columns(_cohort(edition, self.restated))
        return drawn.with_columns(_cells())

    def _key(self) -> list[pl.Expr]:
        """The row's combination of labels: all over the whole list of combinations, in its order."""
        left = pl.col(_ROW) * _COMBINATIONS // self.candidates
        places: dict[str, pl.Expr] = {}
        for column, labels in reversed(_KEY.items()):
            places[column] = left % len(labels)
            left //= len(labels)
        year = places["time_period"]
        status = pl.when(year == 0).then(pl.lit("Revised")).otherwise(pl.lit("Final"))
        return [
            *(_gathered(labels, places[column]).alias(column) for column, labels in _KEY.items()),
            _gathered(tuple(_COUNTRIES.values()), places["country_name"]).alias("country_code"),
            (year % 7).is_in(_YEARS_WITHOUT_PROGRESS8).alias("without_progress8"),
            pl.lit("Academic year").alias("time_identifier"),
            pl.lit("National").alias("geographic_level"),
            status.alias("version"),
        ]


def _is_marker(cell: pl.Expr) -> pl.Expr:
    """Whether a cell holds one of the markers that are made here."""
    return cell.is_in(MADE_MARKERS)


def _gathered(labels: tuple[str, ...], place: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(labels)).gather(place)


def _cohort(edition: int, restated: int) -> list[pl.Expr]:
    """What the cells are worked out from: pupils, and a number between 0 and 1 for each measure."""
    part = _drawn("pupils", edition, restated)
    size = 120.0 + 12_000.0 * part * part * part * part  # most are small; exp() differs between machines
    kind = _drawn("kind of cohort", edition, restated)
    pupils = pl.when(kind < 0.015).then(0).when(kind < 0.03).then(3).otherwise(size.floor() + 1)
    measures = ("attainment8", "ebacc_aps", "progress8_pupil_count", "progress8", *SUCCESSES)
    return [pupils.alias("pupils"), *(_drawn(name, edition, restated).alias(f"drawn.{name}") for name in measures)]


def _drawn(name: str, edition: int, restated: int) -> pl.Expr:
    """A number of the row in [0, 1), for a purpose; the second edition draws part of them anew."""
    seed = int.from_bytes(name.encode()[:8].ljust(8, b"\1"), "little")
    first = _mixed(pl.col(_ROW) * _u64(0x9E3779B97F4A7C15) + _u64(seed))
    if edition > 1:
        again = _mixed(first + _u64(edition))
        first = pl.when(again % 100 < restated).then(again).otherwise(first)
    return (first // _u64(1 << 11)).cast(pl.Float64) / (1 << 53)


def _mixed(bits: pl.Expr) -> pl.Expr:
    """64 bits stirred so that neighbours have nothing in common (the finalizer of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        bits = (bits ^ (bits // _u64(1 << 33))) * _u64(factor)
    return bits ^ (bits // _u64(1 << 33))


def _u64(number: int) -> pl.Expr:
    return pl.lit(number, dtype=pl.UInt64)


def _cells() -> list[pl.Expr]:
    """The indicators as published: averages from unrounded sums, counts to the nearest 10, and the markers."""
    pupils = pl.col("pupils")
    attainment8 = 8.0 + 50.0 * pl.col("drawn.attainment8")
    ebacc_aps = 0.4 + 5.0 * pl.col("drawn.ebacc_aps")
    counted = (pupils * (0.8 + 0.2 * pl.col("drawn.progress8_pupil_count"))).ceil()
    progress8 = 4.0 * pl.col("drawn.progress8") - 2.75
    margin = 1.96 * 1.41 / counted.sqrt()
    cells: dict[str, pl.Expr] = {
        "pupil_count": _published(pupils, base=10),
        "attainment8_sum": _published(attainment8 * pupils, places=2),
        "attainment8_average": _published(attainment8, places=1),
        "ebacc_aps_sum": _published(ebacc_aps * pupils, places=2),
        "ebacc_aps_average": _published(ebacc_aps, places=2),
        "progress8_pupil_count": _published(counted, base=10),
        "progress8_sum": _published(progress8 * counted, places=3),
        "progress8_average": _published(progress8, places=2),
        "progress8_lower_95_ci": _published(progress8 - margin, places=2),
        "progress8_upper_95_ci": _published(progress8 + margin, places=2),
    }
    cells |= dict(_successes(pupils))
    nobody, few = pupils == 0, pupils <= 5
    return [
        pl.when(pl.col("without_progress8") & (column in PROGRESS8_COLUMNS))
        .then(pl.lit(NOT_AVAILABLE))
        .when(nobody)
        .then(pl.lit("0" if column == "pupil_count" else NOT_APPLICABLE))
        .when(few)
        .then(pl.lit(CONFIDENTIAL))
        .otherwise(cells[column])
        .alias(column)
        for column in INDICATOR_COLUMNS
    ]


def _successes(pupils: pl.Expr) -> Mapping[str, pl.Expr]:
    """Totals and percentages: a small total is confidential, and so is its percentage."""
    share = {
        "engmath_94": 0.05 + 0.75 * pl.col("drawn.engmath_94"),
        "ebacc_entering": 0.03 + 0.5 * pl.col("drawn.ebacc_entering"),
    }
    share["engmath_95"] = share["engmath_94"] * (0.4 + 0.5 * pl.col("drawn.engmath_95"))
    share["ebacc_94"] = share["ebacc_entering"] * (0.2 + 0.7 * pl.col("drawn.ebacc_94"))
    share["ebacc_95"] = share["ebacc_94"] * (0.3 + 0.6 * pl.col("drawn.ebacc_95"))
    cells = {}
    for success, figure in product(SUCCESSES, ("total", "percent")):
        total = (share[success] * pupils).floor()
        cell = _published(total, base=10) if figure == "total" else _published(100 * total / pupils, places=1)
        cells[f"{success}_{figure}"] = pl.when((total > 0) & (total < 3)).then(pl.lit(CONFIDENTIAL)).otherwise(cell)
    return cells


def _published(value: pl.Expr, *, places: int = 0, base: int = 1) -> pl.Expr:
    """A number rounded half up, as text without trailing zeros; ``low`` where rounding leaves nothing of it."""
    rounded = (value / base * 10**places + 0.5).floor() / 10**places * base
    text = rounded.cast(pl.String).str.strip_suffix(".0")
    lost = pl.when(value == 0).then(pl.lit("0")).otherwise(pl.lit(ROUNDS_TO_ZERO))
    return pl.when(rounded == 0).then(lost).otherwise(text)
