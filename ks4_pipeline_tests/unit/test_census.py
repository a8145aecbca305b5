"""What is counted of a typed version, against the cells of its CSV."""

import json
from collections import Counter
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ks4_pipeline import census
from ks4_pipeline.columns import Column, Columns, Role
from ks4_pipeline.ees.models import Filter, Indicator, Meta
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.markers import MARKERS, canonical
from ks4_pipeline.observations import ObservationsStore
from ks4_pipeline.periods import PeriodCounts, by_indicator
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import id_of, lay_down, quoted

DATA_SET = DataSet(name="d", id=id_of("d"))
META = Meta(
    filters=(Filter(id="g", column="grp", label="Group"),),
    indicators=tuple(Indicator(id=name, column=name, label=name) for name in ("pupils", "score")),
)
SPELLED = st.sampled_from([*MARKERS, "C", "[c]", " z ", "LOW", "[ x ]"])
CELL = st.one_of(st.sampled_from(["1", "2.5", " 3", "-0"]), SPELLED)
IDENTIFIER = st.sampled_from(["Academic year", "Week 1", ""])
PERIOD = st.sampled_from(["202324", "2024", ""])


def observed(folder, rows, header, meta=META):
    landed = lay_down(folder / "l", DATA_SET, VersionNumber(1, 0), quoted([header, *rows]), meta, rows=len(rows))
    return ObservationsStore(folder / "o").make(DATA_SET, landed, anew=True)


def counted(rows, period, indicators):
    """What there is of each period, counted cell by cell."""
    found = {}
    for row in rows:
        texts = dict(zip((*period, *indicators), row, strict=True))
        key = tuple(texts.get(name) or None for name in ("time_identifier", "time_period"))
        number, markers = found.setdefault(key, (Counter(), {name: Counter() for name in indicators}))
        number["rows"] += 1
        for name in indicators:
            markers[name].update(filter(None, [canonical(texts[name])]))
    return {
        key: (number["rows"], {name: dict(of) for name, of in markers.items() if of})
        for key, (number, markers) in found.items()
    }


@pytest.mark.parametrize(
    "period", [("time_period", "time_identifier"), ("time_identifier",), ("time_period",), ()], ids=len
)
@settings(max_examples=15)
@given(data=st.data())
def test_rows_and_markers_of_each_period_are_those_of_the_file(tmp_path, period, data):
    columns = {"time_period": PERIOD, "time_identifier": IDENTIFIER}
    cells = [*(columns[name] for name in period), CELL, CELL]
    rows = data.draw(st.lists(st.tuples(*cells), max_size=12))
    header = (*period, "pupils", "score")
    made = observed(tmp_path, rows, header, Meta(indicators=META.indicators))
    found = {(of.time_identifier, of.time_period): (of.rows, of.markers) for of in made.facts.periods}
    assert found == counted(rows, period, ("pupils", "score"))
    assert len(found) == len(made.facts.periods)
    wanted = Counter(filter(None, (canonical(cell) for row in rows for cell in row[-2:])))
    assert sum(wanted.values()) == sum(sum(markers.values()) for markers in made.markers.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(census, "_AT_ONCE_UP_TO", -1)
        in_turn = census.take(made.columns, made.parquet)
    assert in_turn == census.take(made.columns, made.parquet)
    assert in_turn.periods == made.facts.periods


def test_periods_and_markers_stand_in_an_order_of_their_own_and_the_most_frequent_first():
    periods = [
        PeriodCounts(time_identifier=None, time_period="2024", rows=9, markers={"a": {"z": 1, "c": 2}}),
        PeriodCounts(time_identifier=None, time_period="2025", rows=9, markers={"a": {"x": 4, "c": 1}}),
    ]
    found = by_indicator(periods, ["a", "b"])
    assert [list(markers.items()) for markers in found.values()] == [[("x", 4), ("c", 3), ("z", 1)], []]


@pytest.mark.parametrize("small", [True, False])
def test_texts_that_are_no_marker_are_counted_and_make_no_groups(tmp_path, monkeypatch, small):
    """Figures with thousands separators, say: as many texts as rows must not be held as so many groups."""
    monkeypatch.setattr(census, "_AT_ONCE_UP_TO", 50_000 if small else 0)
    path = tmp_path / "typed.parquet"
    texts = ["", *(f"{number},000" for number in range(1000)), "c", None]
    pl.DataFrame(
        {"a": [None] * len(texts), "a_flag": texts}, schema={"a": pl.Float64, "a_flag": pl.String}
    ).write_parquet(path)
    column = Column("a", Role.INDICATOR, Indicator(id="a", column="a", label="a"))
    found = census.take(Columns((column,)), path)
    assert found.odd == {column: 1001}
    assert found.rows == len(texts)
    assert found.periods == (PeriodCounts(time_identifier=None, time_period=None, rows=1003, markers={"a": {"c": 1}}),)


def test_empty_cells_of_an_indicator_are_named_as_such_quoted_or_not(tmp_path):
    text = 'time_period,grp,pupils,score\n2024,a,,1\n2024,b,"",2\n2024,c," ",3\n'
    landed = lay_down(tmp_path / "l", DATA_SET, VersionNumber(1, 0), text, META, rows=3)
    with pytest.raises(RefusedVersionError) as caught:
        ObservationsStore(tmp_path / "o").make(DATA_SET, landed)
    assert [(fault.row, fault.what, fault.text) for fault in caught.value.faults] == [
        (1, "an empty indicator cell", None),
        (2, "an empty indicator cell", None),
        (3, "neither a number nor a known marker", " "),
    ]


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(*[st.sampled_from(["", "a", "b"])] * 3, st.sampled_from(["1", "c"])), max_size=10),
    at_once=st.sampled_from([1, 3, 1000]),
)
def test_rows_that_share_their_key_or_repeat_one_are_counted(tmp_path, rows, at_once):
    with patch.multiple(census, _ROWS_AT_ONCE=at_once, _COLUMNS_AT_ONCE=at_once):
        made = observed(
            tmp_path,
            rows,
            ("time_period", "grp", "len", "pupils"),  # len: what polars calls its counts
            Meta(filters=META.filters, indicators=META.indicators[:1]),
        )
    keys = Counter(row[:3] for row in rows)
    assert made.facts.rows_sharing_key == sum(count for count in keys.values() if count > 1)
    assert made.facts.repeated_rows == len(rows) - len(set(rows))


def test_rows_of_a_thousand_columns_are_compared(tmp_path):
    """Which took minutes and gigabytes when it was planned as sums in sums."""
    path = tmp_path / "typed.parquet"
    names = [f"column {number}" for number in range(1000)]
    pl.DataFrame({name: ["a", "a", "ab"[number % 2]] for number, name in enumerate(names)}).write_parquet(path)
    assert census.repeats(Columns(tuple(Column(name, Role.OTHER) for name in names)), path) == (2, 1)


def test_facts_of_an_older_program_are_not_taken_and_are_made_anew(tmp_path):
    landed = lay_down(
        tmp_path / "l", DATA_SET, VersionNumber(1, 0), "time_period,grp,pupils,score\n2024,a,1,c\n", META, rows=1
    )
    store = ObservationsStore(tmp_path / "o")
    made = store.make(DATA_SET, landed)
    path = made.parquet.with_suffix(".json")
    facts = json.loads(path.read_text())
    del facts["periods"]
    path.write_text(json.dumps({**facts, "format": 1, "markers": {"pupils": {}, "score": {"c": 1}}}))
    assert store.get(DATA_SET, landed) is None
    assert store.make(DATA_SET, landed) == made == store.get(DATA_SET, landed)
