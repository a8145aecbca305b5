"""Versions whose content cannot be trusted are refused, one table row per reason, and harm nothing else.

Each case is version 1.1 of a data set of its own, after a good 1.0; one run loads them all.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ks4_pipeline.faults import SHOWN
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import Outcome, RunReport
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import (
    FILTERS,
    HEADER,
    INDICATORS,
    KEY_CELLS,
    Edition,
    describe,
    load,
    pipeline_for,
    quoted,
    rows,
    scored,
)

GOOD = scored("1.5", "c", "2")
BAD = VersionNumber(1, 1)


@dataclass(frozen=True)
class Case:
    """A CSV to be refused, and what the message has to name."""

    name: str
    csv: str | bytes
    said: tuple[str, ...]
    announced: int = 2
    indicators: tuple = INDICATORS
    filters: tuple = FILTERS


# Each of these alone refuses the version it stands in; they share versions only to be quicker.
NOT_NUMBERS = (
    "*", "NaN", "nan", "1,234", "12%", "01:11", "inf", "-Infinity", "1e400", "0x10", "1_000", "NULL", "N/A", ".", "..",
    "-", "+", "1e", "1.2.3", "1,5", "£5", "1 000", "  ", "5\n", "TRUE", "c x", "[[c]]", "[c", "c]", "[]", "(c)", "SUPP",
    "w", "[5]", "5 [r]", '5"', "=1+1", "2024-01-01", "\ufeff5", "5\u00a0", "5\u00b2",
    "\uff11\uff12",  # full-width digits
    "\u0661\u0662",  # Arabic digits
    "\u2013",  # a dash
    "\u22125",  # a minus sign that is not ASCII
    "\u0441",  # a Cyrillic letter that looks like c
    "\u212a",  # the Kelvin sign, whose lower case is k
)  # fmt: skip
TOGETHER = [NOT_NUMBERS[start : start + SHOWN] for start in range(0, len(NOT_NUMBERS), SHOWN)]


def cells(number: int, texts: tuple[str, ...]) -> Case:
    """Texts that are neither numbers nor known markers, a row each, below a good one."""
    groups = enumerate(("1.5", *texts))
    lines = [[*KEY_CELLS.split(","), f"group {group}", "10", text] for group, text in groups]
    said = (
        f"column 'score', row {row}: neither a number nor a known marker: {text!r}" for row, text in enumerate(texts, 2)
    )
    return Case(f"texts {number}", quoted([HEADER.split(","), *lines]), tuple(said), announced=len(lines))


def table(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


ROW = f"{KEY_CELLS},a,10,1.5"
WIDE = f"{HEADER},note"
CASES = (
    *(cells(number, texts) for number, texts in enumerate(TOGETHER)),
    Case("empty indicator", table(ROW, f"{KEY_CELLS},b,,1"), ("column 'pupils', row 2", "an empty indicator cell")),
    Case(
        "quoted empty indicator",
        table(ROW, f'{KEY_CELLS},b,"",1'),
        ("column 'pupils', row 2", "an empty indicator cell"),
    ),
    Case(
        "empty indicator of text",
        table(ROW, f'{KEY_CELLS},b,1,""'),
        ("column 'score', row 2", "an empty indicator cell"),
        indicators=(INDICATORS[0], {**INDICATORS[1], "unit": "string"}),
    ),
    Case("row of commas", table(ROW, ",,,,,,,"), ("column 'pupils', row 2", "column 'score', row 2", "2 faults")),
    Case("short row", table(ROW, f"{KEY_CELLS},b,10"), ("row 2: 7 cells where the header has 8", "England,b,10")),
    Case("long row", table(ROW, f"{ROW},7"), ("row 2: 9 cells where the header has 8", "1.5,7")),
    Case("empty cell too many", table(f"{ROW},", ROW), ("row 1: 9 cells where the header has 8",)),
    Case(
        "short and long row in balance",
        table(ROW, f"{KEY_CELLS},b,10", f"{ROW},7", ROW),
        ("row 2: 7 cells where the header has 8", "row 3: 9 cells where the header has 8", "2 faults"),
        announced=4,
    ),
    Case(
        "every row short",
        table(f"{KEY_CELLS},a,10", f"{KEY_CELLS},b,10"),
        ("row 1: 7 cells where", "row 2: 7 cells where"),
    ),
    Case("semicolons", table(ROW, ROW).replace(",", ";"), ("column 'score'", "the file has no such column")),
    Case(
        "Latin-1 byte",
        table(ROW, f"{KEY_CELLS},caf\xe9,10,1").encode("latin-1"),
        ("column 'grp', row 2", "bytes that are not UTF-8", r"'caf\udce9'"),
    ),
    Case("Latin-1 header", table(f"{ROW},1", f"{ROW},1", header=f"{HEADER},caf\xe9").encode("latin-1"), (
        "the header", "bytes that are not UTF-8", r"caf\udce9")),
    Case("surrogate bytes", table(ROW).encode() + f"{KEY_CELLS},".encode() + b"\xed\xa0\x80,1,1\n", (
        "column 'grp', row 2", "not UTF-8")),
    Case("character cut at the end", table(ROW, ROW)[:-1].encode() + b"\xe2\x82", ("row 2", "not UTF-8")),
    Case("UTF-16", table(ROW, ROW).encode("utf-16"), ("not UTF-8",)),
    Case("NUL", table(ROW, f"{KEY_CELLS},b\0,10,1"), ("column 'grp', row 2", "a NUL character", r"'b\x00'")),
    Case("NUL in an indicator", table(ROW, f"{KEY_CELLS},b,10,1\0"), ("column 'score', row 2", "a NUL character")),
    Case("fewer rows than announced", table(ROW, ROW), ("2 rows", "announces 3"), announced=3),
    Case("more rows than announced", table(ROW, ROW), ("2 rows", "announces 1"), announced=1),
    Case("no rows although some are announced", table(), ("0 rows", "announces 2")),
    Case(
        "indicator missing",
        table(f"{KEY_CELLS},a,10", f"{KEY_CELLS},b,10", header=HEADER.removesuffix(",score")),
        ("column 'score'", "no such column", "indicator 'Average score'"),
    ),
    Case(
        "indicator in capitals",
        table(ROW, ROW, header=HEADER.replace("score", "Score")),
        ("column 'score'", "no such column", "the file has 'Score'"),
    ),
    Case(
        "filter missing",
        table(ROW, ROW, header=HEADER.replace("grp", "group")),
        ("column 'grp'", "no such column", "filter 'Social care group'"),
    ),
    Case("flag column taken", table(f"{ROW},v", f"{ROW},v", header=f"{HEADER},score_flag"), (
        "column 'score_flag', the header", "flags of 'score'")),
    Case("flag column taken in capitals", table(f"{ROW},v", f"{ROW},v", header=f"{HEADER},SCORE_Flag"), (
        "column 'SCORE_Flag', the header", "flags of 'score'")),
    Case("two columns with one name", table(f"{ROW},1,2", f"{ROW},1,2", header=f"{WIDE},note"), (
        "column 'note', the header", "twice")),
    Case("names that differ by case", table(f"{ROW},1,2", f"{ROW},1,2", header=f"{WIDE},Note"), (
        "column 'Note', the header", "'note'", "only by case")),
    Case("name that differs from an indicator's by case", table(f"{ROW},1", f"{ROW},1", header=f"{HEADER},SCORE"), (
        "column 'SCORE'", "'score'", "only by case")),
    Case("column without name", table(f"{ROW},1", f"{ROW},1", header=f"{HEADER},"), ("column 9 has no name",)),
    Case("column named by blanks", table(f"{ROW},1", f"{ROW},1", header=f"{HEADER},  "), ("column 9 has no name",)),
    Case("name longer than any", table(f"{ROW},1", f"{ROW},1", header=f"{HEADER},{'x' * 200_000}"), ("the header",)),
    Case("second byte order mark", "\ufeff\ufeff" + table(ROW, ROW), (r"\ufefftime_period", "byte order mark")),
    Case("unclosed quote", table(ROW, f'{KEY_CELLS},"b,10,1'), ("row 2", "quoting is broken")),
    Case("text behind a quoted cell", table(ROW, f'{KEY_CELLS},"b"x,10,1'), ("row 2", "quoting is broken")),
    Case("bare carriage return", table(ROW, f"{KEY_CELLS},b\rb,10,1"), (
        "row 2: 6 cells where the header has 8", "row 3: 3 cells")),
    Case("carriage return between rows", f"{table(ROW)}{ROW}\r{ROW}\n", ("3 rows", "announces 2")),
    Case("blank line in the middle", table(ROW, "", ROW), ("row 2: 0 cells where the header has 8",)),
    Case("blanks in a line", table(ROW, "   ", ROW), ("row 2: 1 cells where the header has 8", "'   '")),
    Case("blank line before the header", "\n" + table(ROW, ROW), ("8 cells where the header has 0",)),
    Case("end-of-file mark of old", table(ROW, ROW) + "\x1a", (r"'\x1a'", "row 3")),
    Case("byte order mark and no more", b"\xef\xbb\xbf", ("the file is empty",)),
    Case("empty file", b"", ("the file is empty",)),
    Case("line breaks and no more", b"\r\n\r\n", ("the file is empty",)),
    Case("a web page", "<html>\n<body>sorry, closed</body>\n</html>\n", ("row 1: 2 cells where the header has 1",)),
)  # fmt: skip


@dataclass
class World:
    """What one run over all cases made of them."""

    pipeline: Pipeline
    data_sets: dict[str, DataSet]
    report: RunReport
    csv_requests: int


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    data_sets = {
        case.name: describe(
            root,
            f"case_{number:02}",
            Edition("1.0", GOOD),
            Edition("1.1", case.csv, {"total_results": case.announced}),
            indicators=case.indicators,
            filters=case.filters,
        )
        for number, case in enumerate(CASES)
    }
    with Sandbox(root, middleware=[_naming_the_filter]) as sandbox:
        pipeline = pipeline_for(tmp_path_factory.mktemp("data"), sandbox.url, *data_sets.values())
        report = load(pipeline)
        asked = [request for request in sandbox.requests if request.path.endswith("/csv")]
        yield World(pipeline, data_sets, report, len(asked))


def _naming_the_filter(app):
    """``/meta`` with the filter ``grp`` in place of none: the sandbox leaves out filters that the file lacks."""

    async def answer(scope, receive, send):
        if not scope["path"].endswith("/meta"):
            await app(scope, receive, send)
            return
        sent = []

        async def keep(message):
            sent.append(message)

        await app({**scope, "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}, receive, keep)
        meta = json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
        meta["filters"] = meta["filters"] or [
            {"id": "aaaaa", "column": "grp", "label": "Social care group", "options": []}
        ]
        body = json.dumps(meta).encode()
        headers = [header for header in sent[0]["headers"] if header[0].lower() != b"content-length"]
        await send({**sent[0], "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_version_that_cannot_be_trusted_is_refused_alone(world, case):
    data_set = world.data_sets[case.name]
    pipeline = world.pipeline

    good, bad = [outcome for outcome in world.report.outcomes if outcome.data_set == data_set.name]
    assert (str(good.version), good.outcome) == ("1.0", Outcome.LOADED)
    assert (bad.version, bad.outcome) == (BAD, Outcome.REFUSED)
    assert bad.message.startswith(f"{data_set.name} 1.1 is refused, ")
    for text in case.said:
        assert text in bad.message
    assert bad.message.replace("\n", "").isprintable()

    assert pipeline.landing.versions(data_set) == (VersionNumber(1, 0),)
    refusal = pipeline.landing.refusals(data_set)[BAD]
    assert (refusal.reason, refusal.attempts) == (bad.message, 1)
    (aside,) = (pipeline.settings.landing_dir / data_set.name / "refused").iterdir()
    kept = gzip.decompress((aside / "data.csv.gz").read_bytes())
    assert kept == (case.csv.encode() if isinstance(case.csv, str) else case.csv)
    assert not list(pipeline.settings.observations_dir.rglob(f"{data_set.name}/*1.1*"))


def test_the_run_says_so_by_its_exit_code_and_publishes_the_rest_once(world):
    assert (world.report.exit_code, world.report.published) == (1, True)
    assert world.csv_requests == 2 * len(CASES), "a file that is whole is not fetched again in the same run"


def test_the_catalogue_has_each_refused_version_without_a_table_and_with_its_reason(world):
    with world.pipeline.warehouse.read() as connection:
        tables = connection.execute(
            "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'v1_0_0' ORDER BY ALL"
        ).fetchall()
        assert tables == [(data_set.name,) for data_set in world.data_sets.values()]
        assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'v1_1_0'").fetchall() == [
            (0,)
        ]
        rows_of_bad = connection.execute(
            "SELECT DISTINCT \"table\", loaded_at, channels FROM catalogue.versions WHERE version = '1.1'"
        ).fetchall()
        assert rows_of_bad == [(None, None, "")]
        said = connection.execute(
            "SELECT data_set, reason FROM catalogue.loads WHERE version = '1.1' AND outcome = 'refused' ORDER BY ALL"
        ).fetchall()
    assert said == [(o.data_set, o.message) for o in world.report.outcomes if o.outcome is Outcome.REFUSED]


@pytest.mark.parametrize("name", ["texts 0", "short and long row in balance", "NUL", "filter missing"])
def test_the_good_version_before_it_holds_what_it_held(world, name):
    with world.pipeline.warehouse.read() as connection:
        for table in ("v1_0_0", "latest"):
            found = connection.execute(f"SELECT score, score_flag FROM {world.data_sets[name].name}.{table}").fetchall()
            assert found == [(1.5, None), (None, "c"), (2.0, None)]


@pytest.fixture
def serving_star(tmp_path):
    """A data set whose 1.1 holds a star, in a sandbox of its own; its CSV can be changed on disk."""
    root = tmp_path / "published"
    bad = Edition("1.1", scored("1", "*", "3"), {"total_results": 3})
    data_set = describe(root, "d", Edition("1.0", GOOD), bad, Edition("2.0", GOOD))
    with Sandbox(root) as sandbox:
        yield sandbox, data_set, root / "d" / "1.1.csv", pipeline_for(tmp_path / "data", sandbox.url, data_set)


def state(path: Path) -> tuple[int, int, str]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_versions_before_and_after_a_refused_one_load(serving_star):
    _, _, _, pipeline = serving_star
    report = load(pipeline)
    assert [(str(o.version), o.outcome) for o in report.outcomes] == [
        ("1.0", Outcome.LOADED), ("1.1", Outcome.REFUSED), ("2.0", Outcome.LOADED),
    ]  # fmt: skip
    assert sorted(map(str, pipeline.in_force()["d"])) == ["1.0", "2.0"]


def test_when_only_a_refused_version_is_new_the_warehouse_is_not_touched(serving_star):
    _, _, _, pipeline = serving_star
    load(pipeline)
    before = state(pipeline.warehouse.path)
    report = load(pipeline)
    assert (report.exit_code, report.published) == (1, False)
    assert state(pipeline.warehouse.path) == before


def test_a_refused_version_is_fetched_anew_and_loads_once_it_is_mended(serving_star):
    sandbox, data_set, csv_file, pipeline = serving_star
    for attempt in (1, 2, 3):
        sandbox.clear_requests()
        load(pipeline)
        assert [r for r in sandbox.requests if r.path.endswith("/csv") and r.query == "dataSetVersion=1.1"]
        assert pipeline.refusals(data_set)[BAD].attempts == attempt
    aside = csv_file.parents[2] / "data" / "landing" / "d" / "refused"
    assert len(list(aside.iterdir())) == 1, "the same bytes are kept once"

    csv_file.write_text(scored("1", "?", "3"))
    load(pipeline)
    assert len(list(aside.iterdir())) == 2, "other bytes are kept beside them"
    assert "'?'" in pipeline.refusals(data_set)[BAD].reason

    csv_file.write_text(scored("1", "c", "3"))
    report = load(pipeline)
    assert (report.exit_code, report.published) == (0, True)
    assert pipeline.refusals(data_set) == {}
    with pipeline.warehouse.read() as connection:
        assert connection.execute("SELECT score, score_flag FROM d.v1").fetchall() == [
            (1.0, None), (None, "c"), (3.0, None),
        ]  # fmt: skip


def test_many_faults_are_counted_and_the_first_twenty_named_in_order_of_rows(tmp_path):
    bad = rows(*(f"g{n},{'?' if n % 2 else n},{n if n % 3 else '*'}" for n in range(1, 301)))
    data_set = describe(tmp_path / "published", "d", Edition("1.0", bad))
    with Sandbox(tmp_path / "published") as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
    first, *named, last = report.outcomes[0].message.splitlines()
    assert first == "d 1.0 is refused, 250 faults:"
    assert len(named) == SHOWN
    assert named[:4] == [
        "  column 'pupils', row 1: neither a number nor a known marker: '?'",
        "  column 'pupils', row 3: neither a number nor a known marker: '?'",
        "  column 'score', row 3: neither a number nor a known marker: '*'",
        "  column 'pupils', row 5: neither a number nor a known marker: '?'",
    ]
    assert last == f"  … and {250 - SHOWN} more"


def test_a_refused_first_version_leaves_no_warehouse_at_all(tmp_path):
    data_set = describe(tmp_path / "published", "d", Edition("1.0", scored("*")))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        report = load(pipeline)
        assert (report.exit_code, report.published) == (1, False)
        assert not pipeline.warehouse.exists()
        assert load(pipeline).exit_code == 1


def test_a_refusal_in_one_data_set_leaves_the_others_alone(tmp_path):
    root = tmp_path / "published"
    bad, good = describe(root, "bad", Edition("1.0", scored("*"))), describe(root, "good", Edition("1.0", GOOD))
    with Sandbox(root) as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, bad, good))
    assert [(o.data_set, o.outcome) for o in report.outcomes] == [("bad", "refused"), ("good", "loaded")]
    assert report.exit_code == 1


def test_nothing_unfinished_is_left_beside_observations_or_landing(serving_star, tmp_path):
    _, _, _, pipeline = serving_star
    load(pipeline)
    assert not list((tmp_path / "data").rglob(".*"))
