"""Cases that work on the figures of nearly every row, counted in one pass over the numeric columns.

Their SQL is DuckDB's as well, and DuckDB shows the first rows that break them; counted they are by polars, which works
on whole vectors and leaves nulls aside. Over 10 million rows of 20 figures it takes 2.8 s of CPU for 52 cases, 1.9 of
them to read; DuckDB takes 5.8 s for 42 of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ks4_pipeline.columns import FLAG_SUFFIX
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality.measures import measures_of
from ks4_pipeline.quality.rules import EVERY_ROW, EXACT_LEVEL, ROUNDED, Case, Counted

_LEVEL = "geographic_level"


def count(version: Observations, cases: Sequence[Case]) -> dict[Case, Counted]:
    """In how many rows each case is broken, and in how many there is something to look at.

    Raises:
        polars.exceptions.PolarsError: when the observations cannot be read.
    """
    places = {case.where: f"where {number}" for number, case in enumerate(cases) if case.where != EVERY_ROW}
    counts = [pl.col(place).sum() for place in places.values()]
    for number, case in enumerate(cases):
        fails = pl.sql_expr(case.fails)
        broken = pl.col(places[case.where]) & fails if case.where in places else fails
        counts.append(broken.sum().alias(f"broken {number}"))
    if not counts:
        return {}
    # Each condition once, as a column: polars does not see by itself that many cases share it.
    asked = _figures(version).with_columns(pl.sql_expr(where).alias(place) for where, place in places.items())
    found = asked.select(counts).collect(engine="streaming").row(0, named=True)
    return {
        case: Counted(
            found[f"broken {number}"], found[places[case.where]] if case.where in places else version.facts.rows
        )
        for number, case in enumerate(cases)
    }


def _figures(version: Observations) -> pl.LazyFrame:
    """The measures under their standard names, their flags, the level, and whether counts are rounded."""
    names = {column.name.lower(): column.name for column in version.columns.of_file}
    level = pl.col(names[_LEVEL]) if _LEVEL in names else pl.lit(None, pl.String)
    parts = [level.alias(_LEVEL), pl.when(level == EXACT_LEVEL).then(0.0).otherwise(1.0).alias(ROUNDED.strip('"'))]
    for standard, column in measures_of(version.columns).items():
        parts.append(pl.col(column.name).alias(standard))
        parts.append(pl.col(column.flag).alias(standard + FLAG_SUFFIX))
    return pl.scan_parquet(version.parquet, glob=False).select(parts)
