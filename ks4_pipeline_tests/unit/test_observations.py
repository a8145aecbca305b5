"""From a landed CSV to observations and back: value and flag together give the published cell."""

from dataclasses import replace

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ks4_pipeline import csv_arrival, csv_width, observations
from ks4_pipeline.ees.gunzip import Gunzip
from ks4_pipeline.ees.models import Filter, FilterOption, Indicator, Meta
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.observations import ObservationsStore
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import id_of, lay_down, quoted

DATA_SET = DataSet(name="d", id=id_of("d"))
META = Meta(
    filters=(Filter(id="g", column="grp", label="Group", options=(FilterOption(id="a", label="a"),)),),
    indicators=tuple(Indicator(id=name, column=name, label=name) for name in ("pupils", "score")),
)


def landed(folder, text, rows, meta=META):
    """Version 1.0 as the landing step leaves it."""
    return lay_down(folder, DATA_SET, VersionNumber(1, 0), text, meta, rows=rows)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-10000, 10000, places=3).map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["0", "-0", ".5", "5.", "+3", "4.75E-05", "007"]),
)
MARKED = st.sampled_from(sorted(MARKERS))
CELL = st.one_of(NUMBERS, MARKED)
LABEL = st.text(alphabet='ac1x ,"\n\r\té😀\ufeff', max_size=6)
ROWS = st.lists(st.tuples(LABEL, CELL, CELL), max_size=12)


def arrive(version, ahead, portion=7):
    """Let the CSV of a version come again, for :class:`observations.Ahead` to read."""
    content = version.csv.read_bytes()
    portions = (content[at : at + portion] for at in range(0, len(content), portion))
    records = csv_arrival.Records(portions, Gunzip("url", 1 << 30, "max_csv_bytes"))
    ahead.read(version.meta, records)
    records.finish()


def same(cell, value, flag):
    return (value, flag) == (None, cell) if cell in MARKERS else (value, flag) == (float(cell), None)


@settings(max_examples=60)
@given(rows=ROWS)
def test_value_and_flag_give_the_published_cell_back(tmp_path, rows):
    text = quoted([("grp", "pupils", "score"), *rows])
    made = ObservationsStore(tmp_path / "o").make(DATA_SET, landed(tmp_path / "l", text, len(rows)))
    found = pl.read_parquet(made.parquet)
    assert found.schema == {
        "grp": pl.String, "pupils": pl.Float64, "pupils_flag": pl.String, "score": pl.Float64, "score_flag": pl.String,
    }  # fmt: skip
    assert found.height == made.facts.rows == len(rows)
    for (label, *cells), (found_label, *pairs) in zip(rows, found.rows(), strict=True):
        assert found_label == (label or None)
        assert all(same(cell, *pair) for cell, pair in zip(cells, (pairs[:2], pairs[2:]), strict=True))
    markers = [cell for _, *cells in rows for cell in cells if cell in MARKERS]
    assert sum(sum(counts.values()) for counts in made.markers.values()) == len(markers)
    assert (made.facts.spellings, made.facts.padded_numbers) == ({}, 0)
    assert made.facts.rows_sharing_key == sum(1 for row in rows if [other[0] for other in rows].count(row[0]) > 1)


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(LABEL, CELL, CELL), min_size=1, max_size=8), data=st.data())
def test_one_cell_that_is_neither_refuses_the_version_and_is_named(tmp_path, rows, data):
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from([1, 2]))
    text = data.draw(st.sampled_from(["*", "1,234", "12%", "NaN", "", " ", "inf", "c x", "1e400", "\u0661", "n/a"]))
    spoilt = [list(each) for each in rows]
    spoilt[row][column] = text
    table = quoted([("grp", "pupils", "score"), *spoilt])
    with pytest.raises(RefusedVersionError) as caught:
        ObservationsStore(tmp_path / "o").make(DATA_SET, landed(tmp_path / "l", table, len(rows)))
    assert caught.value.count == 1
    fault = caught.value.faults[0]
    assert (fault.column, fault.row, fault.text) == (("pupils", "score")[column - 1], row + 1, text or None)
    assert list((tmp_path / "o" / "d").iterdir()) == []


SPELT = {"[z]": "z", " c ": "c", "[ Low ]": "low", " 12": "12", "3\t": "3"}


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(LABEL, CELL, CELL), min_size=1, max_size=12),
    odd=st.none() | st.sampled_from([*SPELT, "inf", "NaN", "*", ""]),
    place=st.integers(0, 11),
    block=st.integers(1, 150),
)
def test_cells_typed_while_they_arrive_are_those_typed_from_the_file(tmp_path, rows, odd, place, block):
    cells = [list(row) for row in rows]
    if odd is not None:
        cells[place % len(rows)][1 + place % 2] = odd
    version = landed(tmp_path / "l", quoted([("grp", "pupils", "score"), *cells]), len(rows))
    store = ObservationsStore(tmp_path / "o")
    with pytest.MonkeyPatch.context() as patch, store.ahead(DATA_SET) as ahead:
        patch.setattr(csv_arrival, "_BLOCK", block)
        arrive(version, ahead)
        assert ahead.is_of(version) == (odd is None)
        if odd is not None and odd not in SPELT:
            with pytest.raises(RefusedVersionError, match="row"):
                store.make(DATA_SET, version, ahead)
            return
        made = store.make(DATA_SET, version, ahead)
    other = ObservationsStore(tmp_path / "p").make(DATA_SET, version)
    assert made.facts.model_dump(exclude={"parquet"}) == other.facts.model_dump(exclude={"parquet"})
    assert isinstance(pl.read_parquet_schema(made.parquet)["grp"], pl.Categorical if odd is None else pl.String)
    as_text = pl.col("grp", "^.*_flag$").cast(pl.String)
    assert pl.read_parquet(made.parquet).with_columns(as_text).equals(pl.read_parquet(other.parquet))


@pytest.mark.parametrize(("bound", "most"), [("_TEXT_NUMBER", pl.UInt8), ("_LONGEST_TEXT", 3)])
def test_far_more_or_longer_texts_than_the_publisher_lists_are_typed_from_the_file(tmp_path, monkeypatch, bound, most):
    rows = [(f"{number % 300:04}", "1", "2") for number in range(400)]
    version = landed(tmp_path / "l", quoted([("grp", "pupils", "score"), *rows]), len(rows))
    store = ObservationsStore(tmp_path / "o")
    with store.ahead(DATA_SET) as ahead:
        arrive(version, ahead)
        assert ahead.is_of(version), "both bounds allow it"
        monkeypatch.setattr(observations, bound, most)
        arrive(version, ahead)
        assert not ahead.is_of(version)
        made = store.make(DATA_SET, version, ahead)
    assert pl.read_parquet(made.parquet)["grp"].to_list() == [row[0] for row in rows]


def test_the_texts_of_other_versions_in_memory_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(observations, "_TEXT_NUMBER", pl.UInt8)
    held = []
    for letter in "abc":
        rows = [(f"{letter}{number:03}", "1", "2") for number in range(200)]
        version = landed(tmp_path / letter, quoted([("grp", "pupils", "score"), *rows]), len(rows))
        store = ObservationsStore(tmp_path / "o" / letter)
        with store.ahead(DATA_SET) as ahead:
            arrive(version, ahead)
            assert ahead.is_of(version)
            held.append(pl.read_parquet(store.make(DATA_SET, version, ahead).parquet))
        assert held[-1]["grp"].to_list() == [row[0] for row in rows]


def test_what_hinders_typing_ahead_is_left_to_be_found_later(tmp_path):
    version = landed(tmp_path / "l", quoted([("grp", "pupils", "score"), ("a", "1", "2")]), 1)
    ahead = observations.Ahead(tmp_path / "there is no such folder" / "ahead.parquet")
    arrive(version, ahead)
    assert not ahead.is_of(version)


class TestWideRows:
    """A part of the Parquet file is held until it is whole: it must not be larger the wider its rows are."""

    @pytest.fixture(autouse=True)
    def short_stretches(self, monkeypatch):
        for module in (csv_width, observations):
            monkeypatch.setattr(module, "STRETCH", 20_000)
        monkeypatch.setattr(observations, "_CELL_AT_LEAST", 1)
        monkeypatch.setattr(observations, "_FEWEST_IN_A_STRETCH", 10)
        monkeypatch.setattr(observations, "_SMALL", 0)
        monkeypatch.setattr(csv_arrival, "_BLOCK", 2_000)

    def made_of(self, tmp_path, lengths, *, odd="1"):
        rows = [(str(number) * length, odd, "2") for number, length in enumerate(lengths)]
        version = landed(tmp_path / "l", quoted([("grp", "pupils", "score"), *rows]), len(rows))
        store = ObservationsStore(tmp_path / "o")
        with store.ahead(DATA_SET) as ahead:
            arrive(version, ahead, 100)
            was_ahead = ahead.is_of(version)
            made = store.make(DATA_SET, version, ahead)
        assert pl.read_parquet(made.parquet)["grp"].cast(pl.String).to_list() == [row[0] for row in rows]
        query = f"SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata('{made.parquet}') ORDER BY ALL"
        return was_ahead, [rows for _, rows in duckdb.sql(query).fetchall()]

    def test_of_wide_rows_a_part_has_fewer(self, tmp_path):
        was_ahead, parts = self.made_of(tmp_path, [200] * 500)
        assert was_ahead
        assert max(parts) * 600 < 2 * 20_000
        assert sum(parts) == 500

    @pytest.mark.parametrize("odd", ["1", " 1"])
    def test_those_that_become_wide_are_typed_from_the_file(self, tmp_path, odd):
        was_ahead, parts = self.made_of(tmp_path, [1] * 2_000 + [300] * 100 + [1] * 2_000, odd=odd)
        assert not was_ahead
        assert max(parts) * 1_200 < 2 * 20_000 + 1_200

    def test_the_landing_is_no_damage_where_its_bytes_came_in_other_portions(self, tmp_path):
        rows = [("x" * length, "1", "2") for length in range(500)]
        version = landed(tmp_path / "l", quoted([("grp", "pupils", "score"), *rows]), len(rows))
        assert version.manifest.shape.rows_in_a_stretch
        assert list(version.csv_damages()) == []
        unknown = version.manifest.shape.model_copy(update={"rows_in_a_stretch": None})
        by_older = replace(version, manifest=version.manifest.model_copy(update={"shape": unknown}))
        assert list(by_older.csv_damages()) == []

    def test_many_columns_are_wide_too(self, tmp_path, monkeypatch):
        monkeypatch.setattr(observations, "_CELL_AT_LEAST", 1_000)
        was_ahead, parts = self.made_of(tmp_path, [1] * 100)
        assert was_ahead
        assert parts == [4] * 25

    @pytest.mark.parametrize("stray", ["", '"'], ids=["plain", "a stray quote, read exactly"])
    def test_rows_as_long_as_no_statistics_are_refused(self, tmp_path, stray):
        rows = [f"{'x' * 3_000}{stray},1,2\n"] * 30
        version = landed(tmp_path / "l", "grp,pupils,score\n" + "".join(rows), len(rows))
        with pytest.raises(RefusedVersionError, match="20,000 bytes of it are 7 rows"):
            ObservationsStore(tmp_path / "o").make(DATA_SET, version)


def test_rows_that_repeat_are_found_wherever_they_stand(tmp_path, monkeypatch):
    """Texts that are kept once have other numbers in each part of the Parquet file."""
    monkeypatch.setattr(csv_arrival, "_BLOCK", 1 << 18)
    options = META.filters[0].options
    meta = Meta(
        filters=tuple(Filter(id=name, column=name, label=name, options=options) for name in ("grp", "kind")),
        indicators=META.indicators[:1],
    )
    rows = [(f"g{number // 400}", f"k{number % 400}", "1") for number in range(300_000)]
    rows += [rows[0], (*rows[123_456][:2], "2")]
    version = landed(tmp_path / "l", quoted([("grp", "kind", "pupils"), *rows]), len(rows), meta)
    store = ObservationsStore(tmp_path / "o")
    with store.ahead(DATA_SET) as ahead:
        arrive(version, ahead, 1 << 16)
        made = store.make(DATA_SET, version, ahead)
    assert isinstance(pl.read_parquet_schema(made.parquet)["kind"], pl.Categorical)
    assert (made.facts.rows_sharing_key, made.facts.repeated_rows) == (4, 1)


def test_observations_are_made_once_and_found_again(tmp_path):
    store = ObservationsStore(tmp_path / "o")
    version = landed(tmp_path / "l", "grp,pupils,score\na,1,c\n", 1)
    assert store.get(DATA_SET, version) is None
    made = store.make(DATA_SET, version)
    written = made.parquet.stat().st_mtime_ns
    assert store.get(DATA_SET, version) == store.make(DATA_SET, version) == made
    assert made.parquet.stat().st_mtime_ns == written


def test_observations_of_other_bytes_are_not_taken_for_these(tmp_path):
    store = ObservationsStore(tmp_path / "o")
    store.make(DATA_SET, landed(tmp_path / "l", "grp,pupils,score\na,1,c\n", 1))
    other = landed(tmp_path / "l", "grp,pupils,score\na,2,c\n", 1)
    assert store.get(DATA_SET, other) is None
    assert pl.read_parquet(store.make(DATA_SET, other).parquet)["pupils"].to_list() == [2.0]


def test_the_same_version_gives_the_same_bytes(tmp_path):
    version = landed(tmp_path / "l", "grp,pupils,score\na,1,c\nb, 2,LOW\n", 2)
    one = ObservationsStore(tmp_path / "one").make(DATA_SET, version)
    two = ObservationsStore(tmp_path / "two").make(DATA_SET, version)
    assert one.facts.parquet == two.facts.parquet
    assert (one.facts.spellings, one.facts.padded_numbers) == ({"LOW": 1}, 1)
