"""The benchmark suite, tiny: its figures are what it says, its results are checked, its JSON can be compared."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import signal
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ks4_pipeline.integrity import verify
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import COLUMNS, INDICATOR_COLUMNS, KEY_COLUMNS
from ks4_pipeline_tests.benchmarks import __main__ as suite
from ks4_pipeline_tests.benchmarks import loading, processes, publication, routes
from ks4_pipeline_tests.benchmarks.checking import wrong_figures
from ks4_pipeline_tests.benchmarks.cloning import clone
from ks4_pipeline_tests.benchmarks.figures import Figures, TooManyRowsError
from ks4_pipeline_tests.benchmarks.processes import PYTHON, ProcessFailedError, measure
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, rows

ROWS = 3_000


@pytest.fixture(scope="module", autouse=True)
def work_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS4_BENCH_DIR", str(tmp_path_factory.mktemp("benchmarks")))
        yield


@pytest.fixture(scope="module")
def published(work_folder):
    return publication.prepare(ROWS, 2)


def records(published, version):
    with gzip.open(published.file(version), "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_the_figures_are_the_same_on_every_machine():
    text = Figures(ROWS).piece(2, 0, 1_000).write_csv()
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "d10bae1b6101fdc3"


def test_a_version_has_the_national_columns_a_key_and_about_15_percent_markers(published):
    rows = records(published, "1.0")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == ROWS == len({tuple(row[column] for column in KEY_COLUMNS) for row in rows})
    cells = [row[column] for row in rows for column in INDICATOR_COLUMNS]
    assert 0.13 < sum(cell in MARKERS for cell in cells) / len(cells) < 0.18
    assert all(cell in MARKERS or str(float(cell)).removesuffix(".0") == cell for cell in cells)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_facts_are_those_of_the_file(published, version):
    rows, facts = records(published, version), published.facts[version]
    assert facts.rows == len(rows)
    assert facts.csv_bytes == len(gzip.decompress(published.file(version).read_bytes()))
    for column in INDICATOR_COLUMNS:
        cells = [row[column] for row in rows]
        assert facts.markers[column] == Counter(cell for cell in cells if cell in MARKERS)
        assert facts.sums[column] == pytest.approx(sum(float(cell) for cell in cells if cell not in MARKERS))


def test_the_second_version_restates_a_tenth_of_the_cells_and_says_which(published):
    before, after = (
        {tuple(row[column] for column in KEY_COLUMNS): row for row in records(published, version)}
        for version in ("1.0", "1.1")
    )
    found = Counter(added=len(after.keys() - before.keys()), removed=len(before.keys() - after.keys()))
    classes = {(0, 0): "revised", (0, 1): "suppressed", (1, 0): "released", (1, 1): "reflagged"}
    for key in before.keys() & after.keys():
        for column in INDICATOR_COLUMNS:
            was, now = before[key][column], after[key][column]
            if was != now:
                found[classes[was in MARKERS, now in MARKERS]] += 1
    assert published.facts["1.1"].changes == found
    assert 0.08 < sum(found.values()) / ROWS / 20 < 0.12
    assert found["added"] == found["removed"] == 3


def test_more_rows_than_there_are_keys_are_refused():
    assert Figures(10_000_000).candidates > 10_000_000
    with pytest.raises(TooManyRowsError):
        Figures(11_000_000)


def test_the_suite_measures_checks_and_compares(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)  # without pandas and dlt
    written = tmp_path / "found.json"
    arguments = ["--rows", str(ROWS), "--runs", "1", "--data-sets", "2", "--versions", "2", "--json", str(written)]
    assert suite.main([*arguments, "--only", "load", "revisions", "queries", "no_news"]) == 0
    said = capsys.readouterr().out
    assert "pandas: left out, pandas not installed" in said
    assert "0 wrong results" in said
    found = json.loads(written.read_text())
    assert found["rows"] == ROWS
    load = found["benchmarks"]["load"]
    assert set(load["took"]) == {"ks4 run", "land", "observe", "publish", "L", "DuckDB SQL", "csv module"}
    for runs in load["took"].values():
        (took,) = runs
        assert 0 < took["cpu"] < 60
        assert took["wall"] > 0
        assert 20 << 20 < took["peak"] < 2 << 30
        assert took["disk"] >= took["kept"] > 0
    assert load["ratios"]["ks4 run / L"] == load["medians"]["ks4 run"] / load["medians"]["L"]
    no_news = found["benchmarks"]["no_news"]
    assert no_news["numbers"] == {"requests of a run": 4, "requests of a round of ticks": 4}
    assert set(no_news["grid"]) == {"poll_sensor", *(f"{bump}_version_sensor" for bump in ("major", "minor", "patch"))}
    assert len(found["benchmarks"]["queries"]["grid"]) == 10
    monkeypatch.setattr(suite, "BENCHMARKS", {"load": lambda _: Findings("load", "", ratios={"ks4 run / L": 1.0})})
    assert suite.main(["--rows", str(ROWS), "--only", "load", "--compare", str(written)]) == 0
    assert f"ks4 run / L, ratio: {load['ratios']['ks4 run / L']:.3f} -> 1.000" in capsys.readouterr().out


@pytest.mark.parametrize("route", ["text", "sql", "csv_module"])
def test_a_wrong_cell_is_found_whatever_the_route(published, tmp_path, route):
    target = tmp_path / "figures.duckdb"
    routes.ROUTES[route](published.file("1.0"), target)
    facts, typed = published.facts["1.0"], route != "text"
    assert wrong_figures(route, target, "main.figures", facts, typed=typed) == []
    column = "attainment8_average"
    with duckdb.connect(target) as connection:
        connection.execute(f"UPDATE figures SET {column} = '41.7' WHERE rowid = (SELECT min(rowid) FROM figures)")
    (said,) = wrong_figures(route, target, "main.figures", facts, typed=typed)
    assert said.startswith(f"{route}: {column} sums up to")
    fewer = replace(facts, markers={**facts.markers, column: {"c": 1}})
    assert len(wrong_figures(route, target, "main.figures", fewer, typed=typed)) > 1
    assert wrong_figures(route, target, "main.figures", replace(facts, rows=7), typed=typed) == [
        f"{route}: {ROWS} rows, and 7 were published"
    ]


@pytest.mark.parametrize(("wrong", "code"), [([], 0), (["a cell"], 1)])
def test_only_wrong_results_make_it_fail(monkeypatch, capsys, wrong, code):
    slow = Findings("load", "as slow as can be", bounds=[Bound("main job / L", 99.0, 1.5)], wrong=wrong)
    monkeypatch.setattr(suite, "BENCHMARKS", {"load": lambda _: slow})
    assert suite.main([]) == code
    assert "DOES NOT HOLD: main job / L: 99.00, at most 1.50" in capsys.readouterr().out


def test_what_a_process_takes_is_its_own(tmp_path):
    big = measure([PYTHON, "-c", "open('kept', 'wb').write(bytes(9 << 20)); b'x' * (200 << 20)"], tmp_path / "big")
    small = measure([PYTHON, "-c", "print('done')"], tmp_path / "small")
    assert big.peak > 200 << 20 > 50 << 20 > small.peak
    assert big.disk >= big.kept >= 9 << 20 > small.kept
    assert small.said == "done\n"


def test_a_process_is_measured_as_a_user_would_start_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KS4_POLL_MINUTES", "1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told = "import os, sys; print(sys.dont_write_bytecode, [name for name in os.environ if name.startswith('KS4_')])"
    assert measure([PYTHON, "-c", told], tmp_path / "work").said == "False []\n"
    assert measure([PYTHON, "-c", told], tmp_path / "work", {"KS4_DATA_DIR": "here"}).said == "False ['KS4_DATA_DIR']\n"


def test_a_copied_data_set_is_as_whole_as_a_loaded_one(tmp_path):
    editions = (Edition("1.0", rows("a,1,1", "b,z,2")), Edition("1.0.1", rows("a,2,1", "b,3,c")))
    data_sets = [
        describe(tmp_path / "publisher", name, *editions, title="Figures") for name in ("orchard", "copy_0", "copy_1")
    ]
    with Sandbox(tmp_path / "publisher") as sandbox:
        load(pipeline_for(tmp_path / "data", sandbox.url, data_sets[0]))
        clone(tmp_path, "orchard", {copy.name: copy.id for copy in data_sets[1:]})
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, *data_sets)
        report = load(pipeline)
    assert report.up_to_date == {"orchard": 2, "copy_0": 2, "copy_1": 2}
    assert report.outcomes == []
    assert verify(pipeline).findings == []


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(ProcessFailedError, match="ended with 3:\nno luck"):
        measure(["sh", "-c", "echo no luck >&2; exit 3"], tmp_path / "work")


def test_nothing_runs_on_when_a_measurement_is_interrupted(tmp_path):
    sleeper = f"measure(['sh', '-c', 'echo $$ > pid.part; mv pid.part pid; exec sleep 60'], Path({str(tmp_path)!r}))"
    script = f"from pathlib import Path; from {processes.__name__} import measure; {sleeper}"
    with subprocess.Popen([PYTHON, "-c", script], stderr=subprocess.DEVNULL) as measuring:
        wait_for((tmp_path / "pid").exists)
        measuring.send_signal(signal.SIGINT)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def wait_for(reached):
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
