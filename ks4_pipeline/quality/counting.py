"""Cases held against a version: in how many rows each is broken, and the first of these.

Cases of figures are counted all in one pass, by polars; the others by DuckDB, where there is something to look at.
"""

from __future__ import annotations

from collections.abc import Iterable

from ks4_pipeline.quality import figures
from ks4_pipeline.quality.measures import measures_of
from ks4_pipeline.quality.relations import Relations
from ks4_pipeline.quality.results import Example, as_text
from ks4_pipeline.quality.rules import EVERY_ROW, EXACT_LEVEL, ROUNDED, Case, Counted
from ks4_pipeline.warehouse.sql import identifier, literal

_IS_ROUNDED = f"CASE WHEN geographic_level = {literal(EXACT_LEVEL)} THEN 0 ELSE 1 END"
_JUDGED = f"(SELECT *, {_IS_ROUNDED} AS {ROUNDED} FROM observations)"


def count(relations: Relations, cases: Iterable[Case]) -> dict[Case, Counted]:
    """In how many rows each case is broken, and in how many there is something to look at.

    Those that are not of figures are asked where there is something to look at, or else each alone: DuckDB then decodes
    nothing but the rows, or not even those, that the Parquet file's least and greatest values leave in question.
    """
    counted: dict[Case, Counted] = {}
    of_figures: list[Case] = []
    somewhere: dict[str, list[Case]] = {}
    for case in dict.fromkeys(cases):
        if not _is_possible(relations, case):
            counted[case] = Counted(0, 0)
        elif case.of_figures:
            of_figures.append(case)
        elif case.where == EVERY_ROW:
            (broken,) = _numbers(relations, f"SELECT count(*) FROM {_JUDGED} WHERE {case.fails}")
            counted[case] = Counted(broken, relations.version.facts.rows)
        else:
            somewhere.setdefault(case.where, []).append(case)
    for where, together in somewhere.items():
        counts = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE {case.fails})" for case in together)])
        looked_at, *found = _numbers(relations, f"SELECT {counts} FROM {_JUDGED} WHERE {where}")
        counted.update((case, Counted(broken, looked_at)) for case, broken in zip(together, found, strict=True))
    return counted | figures.count(relations.version, of_figures)


def first(relations: Relations, case: Case, limit: int) -> list[Example]:
    """The first rows in which a case is broken, in the order of the file."""
    keys = relations.keys
    shown = [part for name in case.shows for part in (identifier(name), identifier(f"{name}_flag"))]
    rows = relations.connection.execute(
        f"SELECT {', '.join([*map(identifier, keys), *shown])} FROM {_JUDGED} WHERE {case.broken} LIMIT {limit}"
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
