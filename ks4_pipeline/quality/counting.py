"""Cases held against a version: in how many rows each is broken, and the first of these.

Cases of figures are counted all in one pass, by polars; the others by DuckDB, where there is something to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ks4_pipeline.quality import figures
from ks4_pipeline.quality.measures import measures_of
from ks4_pipeline.quality.relations import Relations
from ks4_pipeline.quality.results import Example, as_text
from ks4_pipeline.quality.rules import EVERY_ROW, EXACT_LEVEL, ROUNDED, Case, Counted
from ks4_pipeline.warehouse.sql import free_name, identifier, literal

AT_ONCE_UP_TO = 20_000
"""Rows of a small file: reading it takes less time than planning another query."""
_IS_ROUNDED = f"CASE WHEN geographic_level = {literal(EXACT_LEVEL)} THEN 0 ELSE 1 END"


def count(relations: Relations, cases: Iterable[Case]) -> dict[Case, Counted]:
    """In how many rows each case is broken, and in how many there is something to look at.

    Of a large file, those that are not of figures are asked where there is something to look at, or else each alone:
    DuckDB then decodes nothing but the rows, or not even those, that the Parquet file's least and greatest values leave
    in question.
    """
    counted: dict[Case, Counted] = {}
    of_figures: list[Case] = []
    others: dict[str, list[Case]] = {}
    for case in dict.fromkeys(cases):
        if not _is_possible(relations, case):
            counted[case] = Counted(0, 0)
        elif case.of_figures:
            of_figures.append(case)
        else:
            others.setdefault(case.where, []).append(case)
    if relations.version.facts.rows <= AT_ONCE_UP_TO:
        counted |= _at_once(relations, others)
    else:
        for where, together in others.items():
            counted |= _alone(relations, together) if where == EVERY_ROW else _together(relations, where, together)
    return counted | figures.count(relations.version, of_figures)


def _at_once(relations: Relations, cases: Mapping[str, Sequence[Case]]) -> dict[Case, Counted]:
    """All in one pass over every row of a small file, each condition once, as a column."""
    if not cases:
        return {}
    names = [column.name for column in relations.columns.observations]
    places = {where: identifier(free_name(f"where {number}", names)) for number, where in enumerate(cases)}
    conditions = ", ".join(f"({where}) AS {place}" for where, place in places.items())
    counts = [
        count
        for where, together in cases.items()
        for count in (
            f"count(*) FILTER (WHERE {places[where]})",
            *(f"count(*) FILTER (WHERE {places[where]} AND ({case.fails}))" for case in together),
        )
    ]
    found = iter(_numbers(relations, f"SELECT {', '.join(counts)} FROM (SELECT *, {conditions} FROM observations)"))
    counted: dict[Case, Counted] = {}
    for together in cases.values():
        looked_at = next(found)
        counted.update((case, Counted(next(found), looked_at)) for case in together)
    return counted


def _alone(relations: Relations, cases: Iterable[Case]) -> dict[Case, Counted]:
    counted = {}
    for case in cases:
        (broken,) = _numbers(relations, f"SELECT count(*) FROM observations WHERE {case.fails}")
        counted[case] = Counted(broken, relations.version.facts.rows)
    return counted


def _together(relations: Relations, where: str, cases: Sequence[Case]) -> dict[Case, Counted]:
    counts = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE {case.fails})" for case in cases)])
    looked_at, *found = _numbers(relations, f"SELECT {counts} FROM observations WHERE {where}")
    return {case: Counted(broken, looked_at) for case, broken in zip(cases, found, strict=True)}


def first(relations: Relations, case: Case, limit: int) -> list[Example]:
    """The first rows in which a case is broken, in the order of the file."""
    keys = relations.keys
    shown = [part for name in case.shows for part in (identifier(name), identifier(f"{name}_flag"))]
    broken = case.broken.replace(ROUNDED, f"({_IS_ROUNDED})")  # no column, since the file may have one of that name
    rows = relations.connection.execute(
        f"SELECT {', '.join([*map(identifier, keys), *shown])} FROM observations WHERE {broken} LIMIT {limit}"
    ).fetchall()
    examples = []
    for row in rows:
        key = {name: text for name, text in zip(keys, row, strict=False) if text is not None}
        cells = row[len(keys) :]
        values = {
            name: as_text(number if number is not None else flag)
            for name, number, flag in zip(case.shows, cells[::2], cells[1::2], strict=True)
        }
        examples.append(Example(key, values))
    return examples


def _is_possible(relations: Relations, case: Case) -> bool:
    """Whether the version has what the case is about anywhere, as far as its facts tell."""
    if case.only_with is None:
        return True
    measure, markers = case.only_with
    version = relations.version
    return not version.markers[measures_of(version.columns)[measure].name].keys().isdisjoint(markers)


def _numbers(relations: Relations, query: str) -> tuple[int, ...]:
    return relations.connection.execute(query).fetchone() or ()
