"""Change reports of the synthetic history, of the real releases and of a hostile publisher: their figures against the
warehouse, and the pages in a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser

from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.report import reading
from ks4_pipeline.report.beside import ReportsBeside
from ks4_pipeline.report.content import Gap
from ks4_pipeline.report.headline import LIMITS
from ks4_pipeline.report.making import Reports, summary_of
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, write_synthetic_ks4
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.chromium import IN_A_BROWSER, chromium
from ks4_pipeline_tests.publisher import (
    HEADER,
    INDICATORS,
    KEY_CELLS,
    KEYS,
    Edition,
    describe,
    load,
    pipeline_for,
    quoted,
    rows,
    scored,
)

HOSTILE = '"><img src=x onerror=alert(1)>'
SCRIPT = "<script>alert(1)</script>"
MARKDOWN = "**bold** [link](javascript:alert(1)) ]]> --> &amp;"
A4_WITHIN_MARGINS = 695  # pixels
TOTALS = "'All pupils' = ALL [sen_provision, ethnicity_major, placement, period_of_care_length]"
MEASURES = {
    "attainment8_average": ("Attainment 8: average score per pupil", 1, ""),
    "engmath_95_percent": ("Percentage with grade 5 or above in English and maths", 1, "%"),
    "engmath_94_percent": ("Percentage with grade 4 or above in English and maths", 1, "%"),
    "ebacc_aps_average": ("EBacc: average point score per pupil", 2, ""),
    "progress8_average": ("Progress 8: average score per pupil", 2, ""),
}


class _Tables(HTMLParser):
    """The tables of a page by caption, each a list of rows of texts; what stood there before is left out of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._caption: list[str] | None = None
        self._text: list[str] | None = None
        self._muted = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag == "table":
            self._rows, self._name = [], ""
        elif tag == "caption":
            self._caption = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._text = []
        elif tag == "span" and named.get("class") in {"was", "quiet"}:
            self._muted = 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._muted = 0
        elif tag == "caption" and self._caption is not None:
            self._name, self._caption = " ".join("".join(self._caption).split()), None
        elif tag in {"td", "th"} and self._text is not None:
            self._rows[-1].append(" ".join("".join(self._text).split()))
            self._text = None
        elif tag == "table":
            self.found[self._name or f"table {len(self.found)}"] = self._rows

    def handle_data(self, data: str) -> None:
        if self._muted:
            return
        if self._caption is not None:
            self._caption.append(data)
        elif self._text is not None:
            self._text.append(data)


def tables(page: Path) -> dict[str, list[list[str]]]:
    parser = _Tables()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


class World:
    """A data directory with versions loaded and their reports made."""

    def __init__(self, pipeline: Pipeline, data_set: DataSet) -> None:
        self.pipeline = pipeline
        self.data_set = data_set
        made = Reports.of(pipeline).make_all({data_set.name: pipeline.in_force()[data_set.name]})
        assert [attempt.problem for attempt in made] == [""] * len(made)
        self.pages = {str(attempt.version): attempt.path for attempt in made}

    def ask(self, query: str) -> list[tuple]:  # type: ignore[type-arg]
        with self.pipeline.warehouse.read() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("report-demo")
    write_synthetic_ks4(folder / "published")
    data_set = DataSet(name=FOLDER, id=DATA_SET_ID)
    with Sandbox(folder / "published") as sandbox:
        pipeline = pipeline_for(folder / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    return World(pipeline, data_set)


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("report-real")
    files = sorted((real_data / "ks4_la").glob("*.csv"))
    header = files[0].read_text(encoding="utf-8-sig").splitlines()[0].split(",")
    data_set = describe(
        folder / "published",
        "ks4_la",
        *(Edition(f"{number}.0", file) for number, file in enumerate(files, 1)),
        indicators=[{"column": name, "label": name} for name in header[header.index("pupil_count") :]],
        filters=[{"column": name, "label": name} for name in ("social_care_group", "version")],
    )
    with Sandbox(folder / "published") as sandbox:
        pipeline = pipeline_for(folder / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    return World(pipeline, data_set)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("report-hostile")

    def table(*scores: str) -> str:
        cells = KEY_CELLS.split(",")[:-1]
        groups = (SCRIPT, HOSTILE, MARKDOWN)
        return quoted(
            [
                HEADER.split(","),
                *([*cells, SCRIPT, group, "10", score] for group, score in zip(groups, scores, strict=True)),
            ]
        )

    data_set = describe(
        folder / "published",
        "hostile",
        Edition("1.0", table("1.5", "2.5", "c")),
        Edition(
            "1.0.1",
            table("9.5", "c", "3.5"),
            {"notes": f"{SCRIPT}\n{HOSTILE}\n{MARKDOWN}", "release": {"title": HOSTILE, "slug": "s"}},
        ),
        title=f"Title {SCRIPT} {HOSTILE}",
        summary=f"Summary {SCRIPT} {HOSTILE}",
        filters=[{"column": "grp", "label": f"Group {HOSTILE}", "hint": SCRIPT}],
        indicators=[
            {"column": "pupils", "label": f"Pupils {SCRIPT}", "decimal_places": 0},
            {"column": "score", "label": f"Score {HOSTILE} {MARKDOWN}"[:80], "unit": "%", "decimal_places": 1},
        ],
    )
    with Sandbox(folder / "published") as sandbox:
        pipeline = pipeline_for(folder / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    return World(pipeline, data_set)


# --- the figures ------------------------------------------------------------------------------------------------------


def shown(value: float | None, flag: str | None, decimals: int, unit: str) -> str:
    if value is None:
        return flag or "–"  # noqa: RUF001
    text = f"{abs(value):,.{decimals}f}{unit}"
    return f"\N{MINUS SIGN}{text}" if value < 0 else text


def test_the_first_sentence_is_the_most_important_thing(demo: World) -> None:
    (cells,) = demo.ask(
        "SELECT count(*), count(DISTINCT indicator) FROM ks4_national.revisions "
        "WHERE to_version = '1.0.1' AND class = 'revised'"
    )
    summary = summary_of(demo.pages["1.0.1"])
    assert summary.lead.startswith(f"Version 1.0.1 corrects {cells[0]} figures in {cells[1]} indicators; largest: ")
    assert summary.lead.endswith("from 12.5% to 18.6%.")
    assert summary.points[0].startswith("9 figures withheld that were shown before")
    assert "Of the 560 headline figures that version 1.0 gave too, 2 are others now." in summary.points


def test_the_first_version_says_that_there_is_nothing_to_compare_with(demo: World) -> None:
    assert summary_of(demo.pages["1.0"]).lead == (
        "Version 1.0 is the first version we hold, so there is nothing to compare it with. "
        "It has 1,400 rows with 20 indicators, 2018/19 to 2024/25."
    )
    assert "The largest corrections" not in tables(demo.pages["1.0"])


@pytest.mark.parametrize("version", ["1.0", "1.0.1", "1.1", "2.0"])
def test_headline_figures_are_those_of_the_warehouse(demo: World, version: str) -> None:
    table = VersionNumber.parse(version).table
    found = tables(demo.pages[version])
    (latest,) = demo.ask(f"SELECT max(time_period) FROM ks4_national.{table}")[0]
    period = f"{latest[:4]}/{latest[4:]}"
    heading, *of_groups = found[period]
    assert heading[1:] == [label for label, _, _ in MEASURES.values()]
    for column, (label, decimals, unit) in MEASURES.items():
        rows_found = demo.ask(
            f"SELECT social_care_group, time_period, {column}, {column}_flag FROM ks4_national.{table} WHERE {TOTALS}"
        )
        wanted = {
            (group, f"{year[:4]}/{year[4:]}"): shown(value, flag, decimals, unit)
            for group, year, value, flag in rows_found
        }
        (_, *years), *series = found[label]
        assert {(row[0], year): cell for row in series for year, cell in zip(years, row[1:], strict=True)} == wanted
        place = heading.index(label)
        assert {row[0]: row[place] for row in of_groups} == {
            group: cell for (group, year), cell in wanted.items() if year == period
        }


@pytest.mark.parametrize("version", ["1.0.1", "1.1", "2.0"])
def test_counts_of_changes_are_those_of_the_warehouse(demo: World, version: str) -> None:
    found = tables(demo.pages[version])
    words = {"Corrected": "revised", "Withheld": "suppressed", "Released": "released", "Re-marked": "reflagged"}
    heading, *rows_found = found["By indicator"]
    counted = {
        (row[0], words[name]): int(cell.replace(",", ""))
        for row in rows_found
        for name, cell in zip(heading[1:], row[1:], strict=True)
        if name in words and cell != "–"  # noqa: RUF001
    }
    wanted = demo.ask(
        "SELECT label, class, count(*) FROM ks4_national.revisions r JOIN catalogue.columns c "
        "ON c.data_set = 'ks4_national' AND c.version = r.to_version AND c.column_name = r.indicator "
        f"WHERE to_version = '{version}' GROUP BY ALL"
    )
    assert counted == {(label, kind): count for label, kind, count in wanted}
    largest = found["The largest corrections"][1:]
    in_warehouse = {
        tuple(row)
        for row in demo.ask(
            "SELECT label, old_value, new_value FROM ks4_national.revisions r JOIN catalogue.columns c "
            "ON c.data_set = 'ks4_national' AND c.version = r.to_version AND c.column_name = r.indicator "
            f"WHERE to_version = '{version}' AND class = 'revised'"
        )
    }
    assert len(largest) == 12
    for label, _, _, old, new, _ in largest:
        assert (label, _number(old), _number(new)) in in_warehouse


@pytest.mark.parametrize("version", ["1.0.1", "1.1", "2.0"])
def test_the_largest_corrections_are_those_of_most_standard_deviations(demo: World, version: str) -> None:
    number = VersionNumber.parse(version)
    found = reading.read(demo.pipeline.warehouse, FOLDER, number).changed
    assert found
    sizes = []
    for (name,) in demo.ask(
        f"SELECT DISTINCT indicator FROM {FOLDER}.revisions WHERE to_version = '{version}' AND class = 'revised'"
    ):
        if name not in LIMITS:
            ((spread,),) = demo.ask(f"SELECT stddev_pop({name}) FROM {FOLDER}.{number.table}")
            sizes += [
                (abs(new - old) / (spread or 1.0), name, old, new)
                for old, new in demo.ask(
                    f"SELECT old_value, new_value FROM {FOLDER}.revisions "
                    f"WHERE to_version = '{version}' AND class = 'revised' AND indicator = '{name}'"
                )
            ]
    wanted = sorted(sizes, key=lambda found: (-found[0], *found[1:]))[: len(found.largest)]
    told = [(one.indicator.column, one.old, one.new) for one in found.largest]
    assert sorted(told) == sorted((name, old, new) for _, name, old, new in wanted)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_shares_of_missing_figures_are_those_of_the_tables(demo: World, version: str) -> None:
    number = VersionNumber.parse(version)
    gaps = reading.read(demo.pipeline.warehouse, FOLDER, number).gaps
    assert gaps.indicators
    for indicator in gaps.indicators:
        counted = demo.ask(
            f"SELECT time_period, count(*), count({indicator.column}_flag) FROM {FOLDER}.{number.table} GROUP BY 1"
        )
        assert {period: gap for (column, period), gap in gaps.now.items() if column == indicator.column} == {
            f"{period[:4]}/{period[4:]}": Gap(cells, marked) for period, cells, marked in counted
        }


def test_of_a_large_table_some_row_groups_say_what_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ROWS_MEASURED", 2)
    monkeypatch.setattr(reading, "ROW_GROUP", 2)
    data_set = describe(
        tmp_path / "published",
        "large",
        Edition("1.0", scored("1", "2", "3", "1e200", "7", "9")),
        Edition("1.0.1", scored("1", "5", "3", "-1e200", "8", "z")),
    )
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    found = reading.read(pipeline.warehouse, "large", VersionNumber(1, 0, 1)).changed
    assert found
    assert [(one.old, one.new) for one in found.largest] == [(1e200, -1e200), (2, 5), (7, 8)]


def test_figures_too_large_for_a_standard_deviation_make_a_report_all_the_same(tmp_path: Path) -> None:
    data_set = describe(
        tmp_path / "published",
        "huge",
        Edition("1.0", scored("1", "1e300", "-1e300")),
        Edition("1.0.1", scored("4", "1e300", "-2e300")),
    )
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    found = reading.read(pipeline.warehouse, "huge", VersionNumber(1, 0, 1)).changed
    assert found
    assert [(one.old, one.new) for one in found.largest] == [(-1e300, -2e300), (1, 4)]


def test_filters_named_as_the_report_names_things_do_not_mix_with_it(tmp_path: Path) -> None:
    def table(figure: int) -> str:
        return quoted([(*KEYS, "cells", "spread", "score"), (*KEY_CELLS.split(","), "a", "b", str(figure))])

    data_set = describe(
        tmp_path / "published",
        "named",
        Edition("1.0", table(1)),
        Edition("1.0.1", table(3)),
        filters=[{"column": name, "label": name} for name in ("cells", "spread")],
        indicators=[INDICATORS[1]],
    )
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    changed = reading.read(pipeline.warehouse, "named", VersionNumber(1, 0, 1)).changed
    assert changed
    assert [(counts.what, dict(counts.of)) for counts in changed.by_series] == [("a", {"revised": 1})]
    assert [(revision.where, revision.old, revision.new) for revision in changed.largest] == [("a · b", 1.0, 3.0)]


def _number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").rstrip("%"))


@pytest.mark.real
def test_the_real_releases_are_told_as_they_are(real: World) -> None:
    assert summary_of(real.pages["4.0"]).lead.startswith("Version 4.0 restates 2,880 figures in 16 indicators")
    found = tables(real.pages["4.0"])
    markers = {row[0]: row[2] for row in found["Why there is no figure"][1:]}
    assert markers == {"z": "246", "x": "20,195", "c": "5,443", "k": "1"}
    groups = {row[0]: row[1:3] for row in found["2024/25"][1:]}
    assert groups["CLA 12 months at 31 March"] == ["17.3", "7.9"]  # the tests' publisher gives no unit
    assert groups["CINO at 31 March"] == ["17.3", "9.7"]
    assert {row[0] for row in found["By place"][1:]} >= {"England", "London"}


@pytest.mark.real
def test_shares_of_missing_figures_are_those_of_the_real_releases(real: World) -> None:
    (_, *years), *rows_found = tables(real.pages["4.0"])["Share of cells with a marker"]
    for label, *cells in rows_found:
        wanted = dict(
            real.ask(f"SELECT time_period, 100 * count({label}_flag) / count(*) FROM ks4_la.v4_0_0 GROUP BY 1")
        )
        for year, cell in zip(years, cells, strict=True):
            share = wanted.get(year.replace("/", ""))
            if share is None:
                assert cell == "–"  # noqa: RUF001
            else:
                assert float(cell.rstrip("%")) == pytest.approx(share, abs=0.0501)


def test_what_the_catalogue_notes_breaks_lines_and_is_listed(demo: World, tmp_path: Path) -> None:
    with demo.pipeline.warehouse.rewrite() as connection:
        connection.execute(
            "INSERT INTO catalogue.notes BY NAME SELECT 'ks4_national' AS data_set, "
            "'break' AS kind, false AS comparable, 'attainment8_average' AS indicator, '202223' AS time_period, "
            "'Counted <otherwise>.' AS text, 'a test' AS source"
        )
    try:
        (made,) = Reports.of(demo.pipeline).make_all({FOLDER: [VersionNumber(2, 0)]})
        page = made.path.read_text(encoding="utf-8")
        assert page.count("Counted &lt;otherwise&gt;.") == 2
        # Once where the lines break and once before one compares, though it is about fourteen indicators.
        assert page.count("Exams were cancelled; grades are teachers") == 2
        first, second = re.findall(r"<desc[^>]*>(.*?)</desc>", page)[:2]
        assert "not comparable: 2019/20, 2020/21, 2022/23." in first
        assert "not comparable: 2019/20, 2020/21." in second
    finally:
        with demo.pipeline.warehouse.rewrite() as connection:
            connection.execute("DELETE FROM catalogue.notes WHERE source = 'a test'")
        Reports.of(demo.pipeline).make_all({FOLDER: [VersionNumber(2, 0)]})


def test_where_rows_cannot_be_told_apart_no_headline_is_made_up(tmp_path: Path) -> None:
    header = HEADER.replace("pupils", "school_type,pupils")
    table = rows("CLA,primary,10,1.5", "CLA,secondary,20,2.5", header=header)
    data_set = describe(tmp_path / "published", "twofold", Edition("1.0", table))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    (page,) = World(pipeline, data_set).pages.values()
    assert "there is no one headline figure" in page.read_text(encoding="utf-8")
    assert not page.with_suffix(".png").exists()


# --- made after a load, and never in its way --------------------------------------------------------------------------


def test_a_version_that_gets_in_between_changes_the_report_of_the_one_behind_it(tmp_path: Path) -> None:
    editions = [
        Edition(number, rows(f"CLA,{count},1.5")) for number, count in (("1.0", 10), ("1.0.1", 20), ("1.1", 30))
    ]
    data_set = describe(tmp_path / "published", "between", *editions)
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        with pipeline.client() as client:
            pipeline.look(client, data_set)
            for number in ("1.0", "1.1", "1.0.1"):
                version = VersionNumber.parse(number)
                pipeline.observe(data_set, pipeline.land(client, data_set, version))
                pipeline.publish(data_set, [version])
                made = Reports.of(pipeline).make_all({data_set.name: [version]})
    assert [str(attempt.version) for attempt in made] == ["1.0.1", "1.1"]
    assert "from 20 to 30" in summary_of(made[-1].path).lead


def test_a_report_that_cannot_be_made_fails_no_load(tmp_path: Path) -> None:
    data_set = describe(tmp_path / "published", "small", Edition("1.0", rows("CLA,10,1.5")))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        pipeline.settings.data_dir.mkdir()
        pipeline.settings.reports_dir.write_text("a file where a folder should be")
        definitions = build_definitions(pipeline.settings, pipeline=pipeline)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("small_versions", ["1.0"])
            job = definitions.resolve_job_def("load_small")
            result = job.execute_in_process(partition_key="1.0", instance=instance)
    assert result.success
    (check,) = [found for found in result.get_asset_check_evaluations() if found.check_name == "report_made"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "1.0: " in str(check.description)
    assert list(pipeline.in_force()["small"]) == [VersionNumber(1, 0)]


def test_the_command_line_loads_with_reports_and_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_set = describe(
        tmp_path / "published", "small", Edition("1.0", rows("CLA,10,1.5")), Edition("1.0.1", rows("CLA,20,1.5"))
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ks4.toml").write_text(f'[data_sets.small]\nid = "{data_set.id}"\n')
    with Sandbox(tmp_path / "published") as sandbox:
        environment = {"KS4_DATA_DIR": str(tmp_path / "data"), "KS4_API_URL": sandbox.url}

        def ks4(*arguments: str) -> subprocess.CompletedProcess[str]:
            program = (
                "import atexit, sys; from ks4_pipeline.cli import main; seen = set()\n"
                "sys.addaudithook(lambda event, _: seen.add(event))\n"
                "say = lambda: print('beside' if 'subprocess.Popen' in seen else 'alone', file=sys.stderr)\n"
                "atexit.register(say); main()"
            )
            return subprocess.run(
                [sys.executable, "-c", program, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )

        (tmp_path / "data" / "reports").write_text("a file where a folder should be")
        warned = ks4("run", "--version", "1.0")
        (tmp_path / "data" / "reports").unlink()
        loaded = ks4("run")
        again = ks4("run")
        made = ks4("report", "1.0")
        elsewhere = ks4("report", "v1", "--output", str(tmp_path / "page.html"))
    assert warned.returncode == 0
    assert "small 1.0 is loaded, and its change report could not be made" in warned.stderr
    assert loaded.returncode == 0
    path = tmp_path / "data" / "reports" / "small" / "1.0.1.html"
    assert f"What changed, to read: {path}" in loaded.stdout.replace("\n", " ")
    assert "corrects 1 figure in 1 indicator" in summary_of(path).lead
    assert made.returncode == elsewhere.returncode == 0
    assert summary_of(path.with_name("1.0.html")).lead.startswith("Version 1.0 is the first version we hold")
    assert summary_of(tmp_path / "page.html") == summary_of(path)
    assert loaded.stderr.endswith("beside\n")
    assert again.stderr.endswith("alone\n")


def children(of: int) -> list[int]:
    """The processes that a process has started."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if status(path)[1:2] == [str(of)]]


def status(process: Path) -> list[str]:
    """State and parent of a process, and more; nothing when it is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 30
    while status(Path(f"/proc/{pid}"))[:1] not in ([], ["Z"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_makes_reports_may_die_and_the_load_is_told(demo: World, tmp_path: Path) -> None:
    warehouse, others = demo.pipeline.settings.warehouse, set(children(os.getpid()))
    with ReportsBeside(warehouse, tmp_path) as reports:
        reports.order({FOLDER: [VersionNumber(1, 0)]})
        (made,) = [attempt for attempt in reports.collect() if attempt.version == VersionNumber(1, 0)]
        assert (made.problem, made.path) == ("", tmp_path / FOLDER / "1.0.html")
        (beside,) = set(children(os.getpid())) - others
        os.kill(beside, signal.SIGKILL)
        wait_for_the_end_of(beside)
        for number in ("1.1", "2.0"):
            reports.order({FOLDER: [VersionNumber.parse(number)]})
        assert [(str(attempt.version), attempt.problem) for attempt in reports.collect()] == [
            ("1.1", "what makes them ended with exit code -9"),
            ("2.0", "what makes them ended with exit code -9"),
        ]


def test_where_nothing_can_make_reports_the_load_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with ReportsBeside(tmp_path / "warehouse.duckdb", tmp_path) as reports:
        reports.start()
        reports.order({FOLDER: [VersionNumber(1, 0)]})
        (attempt,) = reports.collect()
    assert attempt.problem.startswith("FileNotFoundError: ")


def test_what_other_code_prints_is_no_answer(
    demo: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python runs ``sitecustomize`` in every process; this one writes when a file gets its name."""
    noisy = "import os, sys\nsys.addaudithook(lambda event, args: event == 'os.rename' and os.write(1, b'noise\\n'))\n"
    (tmp_path / "sitecustomize.py").write_text(noisy)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ReportsBeside(demo.pipeline.settings.warehouse, tmp_path) as reports:
        reports.order({FOLDER: [VersionNumber(2, 0)]})
        assert [(str(attempt.version), attempt.problem) for attempt in reports.collect()] == [("2.0", "")]
    assert "noise" in capfd.readouterr().err


def test_what_makes_reports_outlives_nobody(demo: World, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ks4_pipeline.report.beside import ReportsBeside\n"
        "ReportsBeside(*map(Path, sys.argv[1:])).start(); print('started', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(demo.pipeline.settings.warehouse), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loading:
        assert loading.stdout
        assert loading.stdout.readline() == b"started\n"
        (beside,) = children(loading.pid)
        loading.kill()
    wait_for_the_end_of(beside)


def test_who_ordered_a_report_and_was_killed_is_not_told_and_nobody_else_is(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", ReportsBeside.__module__, str(tmp_path / "warehouse.duckdb"), str(tmp_path)]
    ended = subprocess.run(command, input=b'{"d": ["1.0"]}\n', stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_report_that_has_no_warehouse_is_a_problem_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").write_text("nothing that can be opened")
    with ReportsBeside(tmp_path / "warehouse.duckdb", tmp_path / "reports") as reports:
        for _ in range(2):
            reports.order({"small": [VersionNumber(1, 0)]})
            (made,) = reports.collect()
            assert (made.data_set, str(made.version)) == ("small", "1.0")
            assert made.problem.startswith("WarehouseError: ")


# --- the pages in a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def looked_at(browser: Browser, page: Path) -> None:
    """Open a page at all widths and on paper: it asks for nothing else, complains of nothing and fits."""
    for width in (1280, 400):
        _look(browser, page, width, on_paper=False)
    _look(browser, page, A4_WITHIN_MARGINS, on_paper=True)


def _look(browser: Browser, page: Path, width: int, *, on_paper: bool) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: said.append(dialog.message))
    opened.on("request", lambda request: asked.append(request.url))
    opened.route(re.compile(r"^(?!file:|data:)"), lambda route: route.abort())
    opened.emulate_media(media="print" if on_paper else "screen")
    opened.goto(page.resolve().as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width, opened.evaluate(TOO_WIDE)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.resolve().as_uri()]
    assert opened.evaluate("[document.scripts.length, document.images.length]") == [0, 0]
    ids = opened.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    unnamed = "[...document.querySelectorAll('svg[role=img]')].filter(one => !one.querySelector('title, desc'))"
    assert opened.evaluate(f"{unnamed}.length") == 0
    levels = opened.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    opened.close()


class TestInABrowser:
    pytestmark = IN_A_BROWSER

    @pytest.mark.parametrize("version", ["1.0", "1.0.1", "1.1", "2.0"])
    def test_the_synthetic_versions(self, browser: Browser, demo: World, version: str) -> None:
        looked_at(browser, demo.pages[version])

    @pytest.mark.real
    @pytest.mark.parametrize("version", ["1.0", "2.0", "3.0", "4.0"])
    def test_the_real_releases(self, browser: Browser, real: World, version: str) -> None:
        looked_at(browser, real.pages[version])

    @pytest.mark.parametrize("version", ["1.0", "1.0.1"])
    def test_whatever_a_publisher_writes_is_text(self, browser: Browser, hostile: World, version: str) -> None:
        looked_at(browser, hostile.pages[version])
        opened = browser.new_page()
        opened.goto(hostile.pages[version].resolve().as_uri())
        text = opened.evaluate("document.body.innerText")
        for said in (SCRIPT, HOSTILE, MARKDOWN):
            assert said in text
        opened.close()

    def test_text_has_the_contrast_that_can_be_read(self, browser: Browser, demo: World) -> None:
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.goto(demo.pages["2.0"].resolve().as_uri())
        poor = opened.evaluate(CONTRAST)
        assert poor == []
        opened.close()


TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => `${one.tagName} ${one.className}: ${one.textContent.trim().slice(0, 40)}`).slice(0, 12)"""
# Each text with less than 4.5:1 (WCAG AA) against what is behind it; shades of cells are blended with white.
CONTRAST = """() => {
  const part = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(one => one / 255)
    .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    let over = [];
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, alpha = 1] = part(getComputedStyle(one).backgroundColor);
      if (alpha > 0) over.push([r, g, b, alpha]);
      if (alpha === 1) break;
    }
    return over.reverse().reduce((under, [r, g, b, alpha]) =>
      [r, g, b].map((one, at) => one * alpha + under[at] * (1 - alpha)), [255, 255, 255]);
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(one => one.nodeType === 3 && one.textContent.trim());
    if (!own || element.closest('style, title, desc')) continue;
    const style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const [one, two] = [light(part(colour)), light(behind(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (two + 0.05) < 4.5) poor.push([element.textContent.trim().slice(0, 40), colour]);
  }
  return poor;
}"""
