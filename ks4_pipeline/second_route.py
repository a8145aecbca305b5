"""Rows of ``/query`` in the terms of a version's table: ids become labels, codes and names by the version's ``/meta``.

Cells are read here by means of their own, not by those that made the table, so that a fault of either is seen. Both
sides can only be compared in what ``/query`` tells: a place without all its codes is no place for it, and columns that
``/meta`` does not describe are unknown to it (contract §5.4, §7.1). Pure: no file is read, nothing is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

import polars as pl

from ks4_pipeline.columns import FLAG_SUFFIX, Role
from ks4_pipeline.ees.models import Location, Meta
from ks4_pipeline.ees.query import QueryRow
from ks4_pipeline.ees.vocabulary import (
    GEOGRAPHIC_LEVELS,
    GEOGRAPHIC_LEVELS_BY_CODE,
    TIME_IDENTIFIERS_BY_CODE,
    GeographicLevel,
    csv_time_period,
)
from ks4_pipeline.identity import StoredColumn
from ks4_pipeline.markers import BLANKS, canonical

BATCH = "ks4_batch"
"""A column before all others: which of several queries a row answers."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MOST_REMEMBERED = 200_000
_TIME = ("time_period", "time_identifier")
_LEVEL = "geographic_level"


class Vocabulary:
    """What a version's ids stand for, and which columns of its table ``/query`` can tell.

    Args:
        meta: the version's ``/meta``.
        columns: the columns of its table, flags left out.
    """

    def __init__(self, meta: Meta, columns: Sequence[StoredColumn]) -> None:
        names = {column.name for column in columns}
        self._meta = meta
        self.levels = tuple(level for level in GEOGRAPHIC_LEVELS if names.issuperset(level.columns))
        self.filters = tuple(column for column in columns if column.role is Role.FILTER)
        self.indicators = tuple(column for column in columns if column.role is Role.INDICATOR)
        told = {*_TIME, _LEVEL, *(name for level in self.levels for name in level.columns)}
        self.keys = tuple(c.name for c in columns if c.name in told or c.role is Role.FILTER)
        self.untold = tuple(c.name for c in columns if c.name not in self.keys and c.role is not Role.INDICATOR)
        self._cells = _Cells()

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of both sides: keys as text, then each figure with its flag, or the text as it is."""
        schema: dict[str, pl.DataType] = {BATCH: pl.Int32()} | {name: pl.String() for name in self.keys}
        for column in self.indicators:
            if column.is_numeric:
                schema |= {column.name: pl.Float64(), column.name + FLAG_SUFFIX: pl.String()}
            else:
                schema[column.name] = pl.String()
        return schema

    def frame(self, rows: Sequence[QueryRow], batch: int) -> pl.DataFrame:
        """Rows as a frame of :attr:`schema`. An id that ``/meta`` does not know stands as it is, so that it is seen."""
        told: dict[str, Sequence[object]] = {BATCH: [batch] * len(rows)}
        told["time_period"] = [csv_time_period(row.time_period.period) for row in rows]
        told["time_identifier"] = [_identifier(row.time_period.code) for row in rows]
        told[_LEVEL] = [_level(row.geographic_level) for row in rows]
        for level in self.levels:
            places = self._places.get(level.code, {})
            cells = [_known(places, row.locations.get(level.code), level) for row in rows]
            told |= {name: [cell[index] for cell in cells] for index, name in enumerate(level.columns)}
        for column in self.filters:
            options = self._options.get(column.id or "", {})
            ids = [row.filters.get(column.id or "") for row in rows]
            told[column.name] = [None if id_ is None else options.get(id_, _unknown(id_)) for id_ in ids]
        for column in self.indicators:
            texts = [row.values.get(column.id or "") for row in rows]
            if column.is_numeric:
                read = [self._cells[text] for text in texts]
                told[column.name] = [value for value, _ in read]
                told[column.name + FLAG_SUFFIX] = [flag for _, flag in read]
            else:
                told[column.name] = texts
        return pl.DataFrame({name: told[name] for name in self.schema}, schema=self.schema)

    @cached_property
    def _options(self) -> Mapping[str, Mapping[str, str]]:
        return {known.id: {option.id: option.label for option in known.options} for known in self._meta.filters}

    @cached_property
    def option_ids(self) -> Mapping[str, Mapping[str, str]]:
        """By filter id, the ids of its options by label."""
        return {known.id: {option.label: option.id for option in known.options} for known in self._meta.filters}

    @cached_property
    def _places(self) -> Mapping[str, Mapping[str, tuple[str | None, ...]]]:
        """By level code, the cells of each place in the level's columns, by its id."""
        return {
            group.level.code: {
                place.id: _cells_of(place, level)
                for place in group.options
                if (level := GEOGRAPHIC_LEVELS_BY_CODE.get(group.level.code))
            }
            for group in self._meta.locations
        }

    @cached_property
    def place_ids(self) -> Mapping[str, Mapping[tuple[str | None, ...], str]]:
        """By level code, the ids of places by their cells."""
        return {level: {cells: id_ for id_, cells in places.items()} for level, places in self._places.items()}

    @cached_property
    def period_cells(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """Code and period of each period, by its two cells."""
        return {
            (csv_time_period(known.period), _identifier(known.code)): (known.code, known.period)
            for known in self._meta.time_periods
        }


class _Cells(dict[str | None, tuple[float | None, str | None]]):
    """What cells of figures say, each text read once: a number, or a marker's canonical symbol, or the text itself."""

    def __missing__(self, text: str | None) -> tuple[float | None, str | None]:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[text] = read = _read(text)
        return read


def _read(text: str | None) -> tuple[float | None, str | None]:
    if text is None:
        return None, None
    bare = text.strip(BLANKS)
    if _NUMBER.fullmatch(bare) and math.isfinite(number := float(bare)):
        return number, None
    return None, canonical(text) or text


def _cells_of(place: Location, level: GeographicLevel) -> tuple[str | None, ...]:
    codes: dict[str, str | None] = {
        "code": place.code,
        "oldCode": place.old_code,
        "urn": place.urn,
        "laEstab": place.la_estab,
        "ukprn": place.ukprn,
    }
    return (*(codes[field] for field in level.option_fields), place.label)


def _known(
    places: Mapping[str, tuple[str | None, ...]], id_: str | None, level: GeographicLevel
) -> tuple[str | None, ...]:
    if id_ is None:
        return (None,) * len(level.columns)
    return places.get(id_) or (_unknown(id_),) * len(level.columns)


def _identifier(code: str) -> str:
    known = TIME_IDENTIFIERS_BY_CODE.get(code)
    return known.label if known else _unknown(code)


def _level(code: str) -> str:
    known = GEOGRAPHIC_LEVELS_BY_CODE.get(code)
    return known.label if known else _unknown(code)


def _unknown(id_: str) -> str:
    return f"unknown id {id_}"
