"""Which rows to ask ``/query`` for when not all are read: the same ones each time, in queries the API takes.

A row is asked for by its period, its level, all its places and all its filters that are not empty. An empty filter
cannot be asked for, so such a query may give more rows; the table's side is then chosen by the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import duckdb

from ks4_pipeline.ees import query
from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS_BY_LABEL
from ks4_pipeline.second_route import Vocabulary
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.sql import identifier, literal, qualified

Key = Mapping[str, str | None]
"""The key cells of a row, as far as ``/query`` can tell them."""
_ROWS_PER_QUERY = 50
_BYTES_PER_QUERY = query.MOST_BYTES * 3 // 4


@dataclass(frozen=True)
class Batch:
    """Rows asked for in one query: their keys, in which NULL means anything, and the query."""

    keys: tuple[Key, ...]
    query: query.Query


def told_keys(vocabulary: Vocabulary) -> str:
    """The key columns of a table as a select list, with the cells of incomplete places as NULL (contract §5.4)."""
    complete = {
        name: " AND ".join(f"{identifier(part)} IS NOT NULL" for part in level.columns)
        for level in vocabulary.levels
        for name in level.columns
    }
    return ", ".join(
        f"CASE WHEN {complete[name]} THEN {identifier(name)} END AS {identifier(name)}"
        if name in complete
        else identifier(name)
        for name in vocabulary.keys
    )


def sampled_keys(
    connection: duckdb.DuckDBPyConnection, schema: str, version: VersionNumber, vocabulary: Vocabulary, rows: int
) -> list[Key]:
    """The keys of so many rows, drawn by a hash of version and key: random enough, and the same every time."""
    names = ", ".join(map(identifier, vocabulary.keys))
    text = ", ".join(f"coalesce({identifier(name)}, '')" for name in vocabulary.keys)
    found = connection.execute(
        f"SELECT {names} FROM (SELECT DISTINCT {told_keys(vocabulary)} FROM {qualified(schema, version.table)}) "
        f"ORDER BY md5(concat_ws(chr(31), {literal(str(version))}, {text})), {names} LIMIT {rows}"
    ).fetchall()
    return [dict(zip(vocabulary.keys, row, strict=True)) for row in found]


def batches(keys: Sequence[Key], vocabulary: Vocabulary) -> list[Batch]:
    """The keys in queries of some fifty each, fewer where they are long."""
    made: list[Batch] = []
    asked: list[tuple[Key, query.Criteria]] = []
    length = 0
    for key in keys:
        criteria, constrained = _criteria(key, vocabulary)
        if criteria is None:
            continue
        size = len(criteria.model_dump_json(by_alias=True, exclude_none=True).encode())
        if asked and (len(asked) >= _ROWS_PER_QUERY or length + size > _BYTES_PER_QUERY):
            made.append(_batch(asked))
            asked, length = [], 0
        asked.append((constrained, criteria))
        length += size
    return [*made, _batch(asked)] if asked else made


def _batch(asked: Sequence[tuple[Key, query.Criteria]]) -> Batch:
    criteria = tuple(part for _, part in asked)
    return Batch(tuple(key for key, _ in asked), query.Query(criteria=query.Or(or_=criteria)))


def _criteria(key: Key, vocabulary: Vocabulary) -> tuple[query.Criteria | None, Key]:
    """The criteria of a row, and the part of its key that they name; what ``/meta`` does not know cannot be named.

    None for a row of which nothing can.
    """
    named: dict[str, str | None] = dict.fromkeys(key)
    period = vocabulary.period_cells.get((key.get("time_period") or "", key.get("time_identifier") or ""))
    if period:
        named |= {name: key[name] for name in ("time_period", "time_identifier")}
    level = GEOGRAPHIC_LEVELS_BY_LABEL.get(key.get("geographic_level") or "")
    if level:
        named["geographic_level"] = key["geographic_level"]
    places = []
    for other in vocabulary.levels:
        cells = tuple(key[name] for name in other.columns)
        if identity := vocabulary.place_ids.get(other.code, {}).get(cells):
            places.append(query.Place(level=other.code, id=identity))
            named |= dict(zip(other.columns, cells, strict=True))
    options = []
    for column in vocabulary.filters:
        if identity := vocabulary.option_ids.get(column.id or "", {}).get(key[column.name] or ""):
            options.append(identity)
            named[column.name] = key[column.name]
    parts = tuple(
        query.Facets(
            filters=query.Comparisons[str](eq=option) if option else None,
            locations=query.Comparisons[query.Place](eq=place) if place else None,
        )
        for option, place in zip_longest(options, places)
    )
    about = query.Facets(
        geographic_levels=query.Comparisons[str](eq=level.code) if level else None,
        time_periods=query.PeriodComparisons(eq=query.Period(code=period[0], period=period[1])) if period else None,
    )
    said = tuple(part for part in (about, *parts) if part != query.Facets())
    return (query.And(and_=said) if said else None), named
