"""``ks4 reconcile``: the publisher's two routes compared, over sandboxes that agree with themselves or do not."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ks4_pipeline.cli import app
from ks4_pipeline.reconcile import LISTED, Outcome, reconcile_all
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, write_synthetic_ks4
from ks4_pipeline.settings import DataSet
from ks4_pipeline_tests.publisher import (
    FILTERS,
    INDICATORS,
    Edition,
    answering,
    describe,
    load,
    pipeline_for,
    quoted,
    rows,
)

LA = ["release_2024-03-14", "release_2024-04-19", "release_2025-04-10", "release_2026-04-14"]
PLAIN = rows("a,1,1.50", "b,2,c", "c,30,low")


def publish(folder, *editions, filters=FILTERS, indicators=INDICATORS, name="d"):
    return describe(folder / "root", name, *editions, filters=filters, indicators=indicators)


def loaded(folder, url, data_set):
    pipeline = pipeline_for(folder / "data", url, data_set)
    report = load(pipeline)
    assert report.exit_code == 0, report.outcomes
    return pipeline


def reconciled(folder, *, then=None, sample=None, **described):
    """Load what ``csv`` says, and reconcile it with what is served ``then`` under the same number."""
    data_set = publish(folder / "first", Edition("1.0", described.pop("csv")), **described)
    with Sandbox(folder / "first" / "root") as sandbox:
        pipeline = loaded(folder, sandbox.url, data_set)
        if then is None:
            return reconcile_all(pipeline, [data_set], sample=sample)
    publish(folder / "then", Edition("1.0", then), **described)
    with Sandbox(folder / "then" / "root") as sandbox:
        return reconcile_all(pipeline_for(folder / "data", sandbox.url, data_set), [data_set], sample=sample)


# --- agreement --------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_all_real_releases_agree_with_themselves(real_data, tmp_path):
    files = [real_data / "ks4_la" / f"{name}.csv" for name in LA]
    with files[0].open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    keys = header.index("social_care_group")
    filters = [{"column": name, "label": name} for name in ("social_care_group", "version")]
    indicators = [
        {"column": name, "label": name} for name in header[keys:] if name not in ("social_care_group", "version")
    ]
    data_set = publish(
        tmp_path,
        *(Edition(f"{n}.0", file) for n, file in enumerate(files, 1)),
        filters=filters,
        indicators=indicators,
    )
    with Sandbox(tmp_path / "root") as sandbox:
        pipeline = loaded(tmp_path, sandbox.url, data_set)
        report = reconcile_all(pipeline, [data_set])
        sampled = reconcile_all(pipeline, [data_set], sample=40)
    assert [(found.outcome, found.disagreements, found.message) for found in report.versions] == [
        (Outcome.AGREES, 0, "")
    ] * 4
    for found, file in zip(report.versions, files, strict=True):
        with file.open(encoding="utf-8-sig", newline="") as text:
            count = sum(1 for _ in csv.reader(text)) - 1
        assert found.rows == found.query_rows == count > 1000
        assert found.cells == count * len(indicators)
    assert [found.outcome for found in sampled.versions] == [Outcome.AGREES] * 4
    assert all(found.rows >= 40 for found in sampled.versions)


def test_every_version_of_the_demo_agrees(tmp_path):
    write_synthetic_ks4(tmp_path / "root")
    data_set = DataSet(name=FOLDER, id=DATA_SET_ID)
    with Sandbox(tmp_path / "root") as sandbox:
        pipeline = loaded(tmp_path, sandbox.url, data_set)
        whole = reconcile_all(pipeline, [data_set])
        sampled = reconcile_all(pipeline, [data_set], sample=25)
    assert [str(found.version) for found in whole.versions] == ["1.0", "1.0.1", "1.1", "2.0"]
    assert {(found.outcome, found.disagreements) for found in whole.versions} == {(Outcome.AGREES, 0)}
    assert {(found.outcome, found.rows, found.query_rows) for found in sampled.versions} == {(Outcome.AGREES, 25, 25)}
    assert (whole.exit_code, sampled.exit_code) == (0, 0)


WIDE = [
    "time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code", "region_name",
    "new_la_code", "old_la_code", "la_name", "grp", "extra", "pupils", "score",
]  # fmt: skip
LA_CELLS = ["202324", "Academic year", "Local authority", "E92000001", "England", "E12000001", "North East"]


def test_what_query_cannot_tell_apart_is_compared_as_often_as_it_occurs(tmp_path):
    """Empty filter cells, a place without its old code, a column /meta does not know, and a row that comes twice."""
    table = quoted(
        [
            WIDE,
            [*LA_CELLS, "E06000001", "805", "Hartlepool", "a", "1", "1", "2"],
            [*LA_CELLS, "E06000002", "", "Middlesbrough", "a", "1", "3", "4"],
            [*LA_CELLS, "E06000003", "", "Redcar", "a", "1", "5", "6"],
            [*LA_CELLS, "E06000001", "805", "Hartlepool", "", "1", "7", "8"],
            [*LA_CELLS, "E06000001", "805", "Hartlepool", "", "2", "9", "c"],
            [*LA_CELLS, "E06000001", "805", "Hartlepool", "", "2", "9", "c"],
        ]
    )
    for sample in (None, 2, 50):
        (found,) = reconciled(tmp_path / f"{sample}", csv=table, sample=sample).versions
        assert (found.outcome, found.disagreements, found.message) == (Outcome.AGREES, 0, "")
        assert found.untold == ("extra",)
        if sample != 2:
            assert (found.rows, found.sharing_key) == (6, 5)


CELLS = st.sampled_from(["1", "-2.50", "0", "1e3", "c", "z", "x", "low", "k", "[c]", " 7 ", "C", ":", "~"])
LABELS = st.one_of(
    st.sampled_from(["", "Total", 'a "quoted" one', "two\nlines", "comma, inside", "Ünïcode", "-", "null", "NA"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff\r", exclude_categories=["Cs"]), max_size=6),
)
GEOGRAPHIES = st.sampled_from(
    [
        ("National", "E92000001", "England", "", "", "", "", ""),
        ("Regional", "E92000001", "England", "E12000001", "North East", "", "", ""),
        ("Local authority", "E92000001", "England", "E12000001", "North East", "E06000001", "805", "Hartlepool"),
        ("Local authority", "E92000001", "England", "E12000001", "North East", "E06000002", "", "Middlesbrough"),
        ("Local authority", "E92000001", "England", "", "North East", "E06000001", "806", "Hartlepool"),
    ]
)
PERIODS = st.sampled_from([("202223", "Academic year"), ("2022", "Calendar year"), ("202223", "Financial year Q1")])
ROW = st.builds(
    lambda period, place, *cells: (*period, *place, *cells),
    PERIODS,
    GEOGRAPHIES,
    LABELS,
    st.sampled_from(["", "Girls", "Boys"]),
    CELLS,
    CELLS,
)


@settings(max_examples=25)
@given(
    table=st.lists(ROW, min_size=1, max_size=12).flatmap(
        lambda some: st.lists(st.sampled_from(some), max_size=20).map(lambda again: some + again)
    ),
    sample=st.none() | st.integers(1, 5),
)
def test_any_small_data_set_agrees_with_itself(table, sample):
    header = [*WIDE[:10], "grp", "sex", "pupils", "score"]
    with tempfile.TemporaryDirectory() as folder:
        report = reconciled(
            Path(folder),
            csv=quoted([header, *table]),
            sample=sample,
            filters=[{"column": "grp", "label": "Group"}, {"column": "sex", "label": "Sex"}],
        )
    (found,) = report.versions
    assert (found.outcome, found.message, found.listed) == (Outcome.AGREES, "", ())
    if sample is None:
        assert found.rows == found.query_rows == len(table)


# --- disagreement -----------------------------------------------------------------------------------------------------

KEY = {
    "time_period": "202324", "time_identifier": "Academic year", "geographic_level": "National",
    "country_code": "E92000001", "country_name": "England",
}  # fmt: skip


@pytest.mark.parametrize("sample", [None, 3])
@pytest.mark.parametrize(
    ("served", "named"),
    [
        (PLAIN.replace("2,c", "2,9.5"), ("score", "c", "9.5")),
        (PLAIN.replace("2,c", "2,z"), ("score", "c", "z")),
        (PLAIN.replace("2,c", "2,?"), ("score", "c", "?")),
        (PLAIN.replace("2,c", "3,c"), ("pupils", "2", "3")),
    ],
)
def test_one_cell_that_differs_is_found_and_named(tmp_path, served, named, sample):
    report = reconciled(tmp_path, csv=PLAIN, then=served, sample=sample)
    (found,) = report.versions
    assert (found.outcome, found.disagreements, report.exit_code) == (Outcome.DIFFERS, 1, 1)
    (item,) = found.listed
    assert item.key == {**KEY, "grp": "b"}
    assert (item.indicator, item.table, item.query) == named


def test_other_spellings_of_the_same_cell_are_no_difference(tmp_path):
    (found,) = reconciled(tmp_path, csv=PLAIN, then=PLAIN.replace("1.50", "1.5").replace("2,c", " 2,[C]")).versions
    assert (found.outcome, found.listed) == (Outcome.AGREES, ())


def test_rows_that_one_side_lacks_are_named_whole(tmp_path):
    """Group d came after ``/meta`` was fetched, so its id means nothing here."""
    report = reconciled(tmp_path, csv=PLAIN, then=rows("a,1,1.50", "b,2,c", "c,30,low", "c,31,x", "d,4,4"))
    (found,) = report.versions
    assert [(item.key["grp"][:10], item.indicator, item.table, item.query) for item in found.listed] == [
        ("c", None, None, "pupils 31, score x"),
        ("unknown id", None, None, "pupils 4, score 4"),
    ]
    assert (found.rows, found.query_rows, found.disagreements) == (3, 5, 2)


def test_a_row_that_comes_less_often_is_found(tmp_path):
    (found,) = reconciled(tmp_path, csv=rows("a,1,1", "a,1,1", "b,2,2"), then=rows("a,1,1", "b,2,2")).versions
    assert [(item.key["grp"], item.table, item.query) for item in found.listed] == [("a", "pupils 1, score 1", None)]


def test_a_difference_among_rows_of_one_key_is_named(tmp_path):
    (found,) = reconciled(tmp_path, csv=rows("a,1,1", "a,2,2"), then=rows("a,1,1", "a,2,3")).versions
    assert [(item.key["grp"], item.indicator, item.table, item.query) for item in found.listed] == [
        ("a", "score", "2", "3")
    ]


def test_what_differs_everywhere_is_counted_and_not_listed_without_end(tmp_path):
    many = range(LISTED + 200)
    csv_text, other = (rows(*(f"group {n},{n},{score}" for n in many)) for score in ("1", "2"))
    (found,) = reconciled(tmp_path, csv=csv_text, then=other).versions
    assert (found.disagreements, len(found.listed)) == (LISTED + 200, LISTED)


def test_texts_are_compared_as_texts(tmp_path):
    described = {"indicators": [INDICATORS[0], {"column": "score", "label": "Score", "unit": "string"}]}
    texts = rows("a,1,up", "b,2,1.0")
    assert reconciled(tmp_path / "same", csv=texts, **described).exit_code == 0
    (found,) = reconciled(tmp_path / "other", csv=texts, then=texts.replace("1.0", "1"), **described).versions
    assert [(item.table, item.query) for item in found.listed] == [("1.0", "1")]


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.fixture
def ks4(tmp_path, monkeypatch):
    """Two versions loaded from a sandbox that still runs, and the command."""
    data_set = publish(tmp_path, Edition("1.0", PLAIN), Edition("1.0.1", PLAIN.replace("30", "31")))
    with Sandbox(tmp_path / "root") as sandbox:
        loaded(tmp_path, sandbox.url, data_set)
        (tmp_path / "data" / "ks4.toml").write_text(f'[data_sets.d]\nid = "{data_set.id}"\n')
        monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("KS4_API_URL", sandbox.url)

        def run(*arguments):
            return CliRunner().invoke(app, ["reconcile", *arguments])

        run.sandbox, run.id = sandbox, data_set.id
        yield run


def test_one_line_per_version(ks4):
    told = ks4()
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "d 1.0: 3 rows, 6 cells. The table and /query agree.",
        "d 1.0.1: 3 rows, 6 cells. The table and /query agree.",
    ]
    assert ks4("--version", "1.0", "--sample", "2").stdout == (
        "d 1.0: 2 rows for a sample of 2, 4 cells. The table and /query agree.\n"
    )


def test_a_withdrawn_version_is_said_to_be_unreadable_and_is_no_error(ks4):
    ks4.sandbox.withdraw(ks4.id, "1.0")
    told = ks4()
    assert told.exit_code == 0
    assert told.stdout.splitlines()[0] == (
        "d 1.0: not compared. The publisher has withdrawn this version; /query does not open it any more."
    )
    assert json.loads(ks4("--json").stdout)["versions"][0]["outcome"] == "unreadable"


def test_a_version_that_is_refused_though_it_is_published_is_an_error(tmp_path, monkeypatch):
    data_set = publish(tmp_path, Edition("1.0", PLAIN))
    with Sandbox(tmp_path / "root", middleware=[answering("/query", 403)]) as sandbox:
        report = reconcile_all(loaded(tmp_path, sandbox.url, data_set), [data_set])
    assert (report.versions[0].outcome, report.exit_code) == (Outcome.FAILED, 1)
    assert "lists the version as Published" in report.versions[0].message


def test_out_of_reach(ks4, monkeypatch):
    monkeypatch.setattr("ks4_pipeline.ees.retrying.RetryPolicy.run", lambda self, attempt, seconds: attempt(seconds))
    monkeypatch.setenv("KS4_API_URL", "http://127.0.0.1:9/nobody")
    told = ks4()
    assert told.exit_code == 3
    assert "127.0.0.1:9" in told.stderr
    assert told.stderr.count("Error: d 1.0") == 1  # the second version is not tried


def test_differences_are_shown_by_key_and_as_json(ks4, tmp_path):
    served = tmp_path / "root" / "d" / "1.0.1.csv"
    served.write_text(PLAIN.replace("30", "31").replace("a,1,", "a,5,"))  # /csv gave the old bytes; /query reads these
    told = ks4("--version", "1.0.1")
    assert told.exit_code == 1
    assert told.stdout.splitlines()[0] == "d 1.0.1: 3 rows, 6 cells. The table and /query differ in 1 place."
    assert told.stdout.splitlines()[-2].split()[-4:] == ["a", "pupils", "1", "5"]
    document = json.loads(ks4("--version", "1.0.1", "--json").stdout)
    assert document["exit_code"] == 1
    assert document["versions"][0]["listed"] == [
        {"key": {**KEY, "grp": "a"}, "indicator": "pupils", "table": "1", "query": "5"}
    ]


@pytest.mark.parametrize(
    "arguments", [("--version", "9.9"), ("--version", "one"), ("--data-set", "nobody"), ("--sample", "0")]
)
def test_wrong_use(ks4, arguments):
    assert ks4(*arguments).exit_code == 2


def test_nothing_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path))
    told = CliRunner().invoke(app, ["reconcile"])
    assert told.exit_code == 2
    assert "ks4 run" in told.stderr
