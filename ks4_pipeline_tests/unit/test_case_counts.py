"""What is counted of cases, by polars or by DuckDB with shortcuts, against each predicate plainly asked of every row.

The cells are drawn: markers, and numbers so large, small or far from each other that no file has them.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ks4_pipeline.ees.models import Filter, Indicator, Meta
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality import counting
from ks4_pipeline.quality.book import BUILT_IN
from ks4_pipeline.quality.measures import STANDARD_NAMES, WITHOUT_PROGRESS8
from ks4_pipeline.quality.relations import Relations, sealed
from ks4_pipeline.quality.rules import ROUNDED, Case, Counted
from ks4_pipeline_tests.unit.test_rules import FILTERS, INDICATORS, META, Row, judged, observed, sound_rows

EXTREMES = ("0", "-0", "5e-324", "-5e-324", "1e-7", "1.7e308", "-1.7e308", "9007199254740993", "-1", "2.5", "1e15")
LEVELS = ("National", "Regional", "Local authority", "School", "")
EARLIER = {standard: name for name, standard in STANDARD_NAMES.items() if name != standard}


def drawn_rows(draw: random.Random, count: int) -> list[Row]:
    """Rows that are each sound, or hold cells of other rows, markers and extremes."""
    sound = sound_rows()
    shares = draw.choice([(0.0, 0.05, 0.02), (0.3, 0.3, 0.1), (0.0, 0.6, 0.0), (0.9, 0.02, 0.3)])
    symbols = draw.sample(list(MARKERS), draw.randint(1, len(MARKERS)))
    rows = []
    for _ in range(count):
        row = dict(draw.choice(sound))
        for name in INDICATORS:
            share, at = 0.0, draw.random()
            pools = (draw.choice(sound)[name], draw.choice(symbols), draw.choice(EXTREMES))
            for chance, cell in zip(shares, pools, strict=True):
                share += chance
                if at < share:
                    row[name] = cell
                    break
        row["geographic_level"] = draw.choice(LEVELS)
        row["time_period"] = draw.choice([row["time_period"], draw.choice(WITHOUT_PROGRESS8)])
        rows.append(row)
    return rows


def counted_plainly(relations: Relations, case: Case) -> Counted:
    """Every row asked for everything, in the words of the rule."""
    rows = f"SELECT *, CASE WHEN geographic_level = 'Local authority' THEN 0 ELSE 1 END AS {ROUNDED} FROM observations"
    query = f"SELECT ({case.where}) AND ({case.fails}), {case.where} FROM ({rows})"
    found = relations.connection.execute(query).fetchall()
    return Counted(sum(broken is True for broken, _ in found), sum(looked_at is True for _, looked_at in found))


def cases_of(relations: Relations) -> list[Case]:
    return [case for rule in BUILT_IN.values() if rule.cases for case in rule.cases(relations.has)]


def compare(version: Observations) -> dict[Case, Counted]:
    with sealed(version) as connection:
        relations = Relations(connection, version, None)
        cases = cases_of(relations)
        counted = counting.count(relations, cases)
        assert counted == {case: counted_plainly(relations, case) for case in cases}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counting, "AT_ONCE_UP_TO", 0)  # as a large file is counted
            assert counting.count(relations, cases) == counted
    arrived = replace(version, parquet=version.parquet.with_name("arrived.parquet"))  # as typed on its way
    marked = pl.col("^.*_flag$").cast(pl.Enum(list(MARKERS)))
    pl.read_parquet(version.parquet).with_columns(marked).write_parquet(arrived.parquet)
    with sealed(arrived) as connection:
        assert counting.count(Relations(connection, arrived, None), cases) == counted
    return counted


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(min_value=0), count=st.integers(1, 60))
def test_each_case_is_counted_as_its_predicate_says(seed: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare(observed(Path(folder), "1.0", drawn_rows(random.Random(seed), count)))


def test_there_are_rows_that_break_each_case(tmp_path: Path) -> None:
    rows = [row for seed in range(6) for row in drawn_rows(random.Random(seed), 400)]
    counted = compare(observed(tmp_path, "1.0", rows))
    assert [case for case, found in counted.items() if not found.broken] == []
    assert [case for case, found in counted.items() if not found.looked_at] == []


@pytest.mark.parametrize("lacking", [(), ("geographic_level",), ("time_period", "pupil_count")])
@pytest.mark.parametrize("named", [str, str.upper])
def test_the_same_under_earlier_names_and_without_columns(
    tmp_path: Path, lacking: tuple[str, ...], named: type
) -> None:
    names = {name: named(EARLIER[name]) for name in INDICATORS}
    rows = [
        {names.get(name, name): text for name, text in row.items() if name not in lacking}
        for row in drawn_rows(random.Random(1), 200)
    ]
    indicators = tuple(Indicator(id=name, column=names[name], label=name) for name in INDICATORS if name not in lacking)
    assert compare(observed(tmp_path, "1.0", rows, META.model_copy(update={"indicators": indicators})))


def test_a_marker_for_what_rounds_to_zero_is_looked_for_where_the_version_has_it(tmp_path: Path) -> None:
    rows = [row for row in sound_rows() if row["time_period"] == "202122"]
    for row in rows:
        row["engmath_94_percent"] = "k"
    version = observed(tmp_path, "1.0", rows)
    marked = {case.only_with[0] for case, found in compare(version).items() if case.only_with and found.looked_at}
    assert marked == {"engmath_94_percent"}


def test_a_filter_that_bears_the_name_of_a_measure_is_not_taken_for_it(tmp_path: Path) -> None:
    rows = [{**row, "t_pupils": row["pupil_count"], "pupil_count": "some"} for row in sound_rows()]
    for row in rows:
        row["engmath_94_total"] = "1000000"  # more than there are pupils, which nobody can tell now
    meta = Meta(
        filters=tuple(Filter(id=name, column=name, label=name) for name in (*FILTERS, "pupil_count")),
        indicators=tuple(
            Indicator(id=name, column="t_pupils" if name == "pupil_count" else name, label=name) for name in INDICATORS
        ),
    )
    results = judged(observed(tmp_path, "1.0", rows, meta))
    assert "progress8_pupils_among_pupils" not in results
    assert results["english_maths_ordered"].passed


def test_columns_that_bear_our_own_names_for_what_is_judged_change_no_result(tmp_path: Path) -> None:
    rows = sound_rows()
    for row in rows[::7]:
        row["engmath_94_total"] = "1000000"  # more than there are pupils, however these are rounded
    ours = {ROUNDED.strip('"'): "perhaps", "where 0": "here"}
    plain = judged(observed(tmp_path / "plain", "1.0", rows))
    named = judged(observed(tmp_path / "named", "1.0", [row | ours for row in rows]))
    broken = [result.name for result in plain.values() if result.examples]
    assert "english_maths_ordered" in broken
    for name in plain.keys() - {"columns_described"}:
        assert (named[name].passed, named[name].affected) == (plain[name].passed, plain[name].affected), name
    for name in broken:
        assert all(ours.items() <= example.key.items() for example in named[name].examples if example.key), name
