"""``ks4 sql`` and ``ks4 export``: what they answer, and what no query gets them to do."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from ks4_pipeline.cli import app
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import Settings
from ks4_pipeline_tests.publisher import KEY_CELLS, KEYS, Edition, describe, load, pipeline_for, quoted

COMMAND = (sys.executable, "-c", "from ks4_pipeline.cli import main; main()")
HEADER = [*KEYS, "grp", "pupils", "score"]
ROWS = [
    ["=HYPERLINK(1)", "10", "-17.25"],
    ["-5", "c", "z"],
    ["+44", "1350", "11.4"],
    ["@home", "low", "4.75E-05"],
    ['say "hi", you', "2", "60"],
    ["NULL", "3", "100.5"],
    ["", "4", "0"],
    ["-x\ny", "5", ".5"],
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two versions of one data set, the second full of what a spreadsheet would run."""
    folder = tmp_path_factory.mktemp("loaded")
    table = quoted([HEADER, *([*KEY_CELLS.split(","), *row] for row in ROWS)])
    plain = quoted([HEADER, [*KEY_CELLS.split(","), "All", "1", "2"]])
    data_set = describe(folder / "root", "test", Edition("1.0", plain), Edition("1.0.1", table))
    with Sandbox(folder / "root") as sandbox:
        assert load(pipeline_for(folder / "data", sandbox.url, data_set)).exit_code == 0
    return folder / "data"


@pytest.fixture
def environment(loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the data directory is configured; files are written into the test's own folder."""
    for name in [name for name in os.environ if name.startswith("KS4_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KS4_DATA_DIR", str(loaded))
    monkeypatch.chdir(tmp_path)
    yield
    assert duckdb.connect(Settings(data_dir=loaded).warehouse, read_only=True).execute("select 1").fetchall() == [(1,)]


def ks4(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


pytestmark = pytest.mark.usefixtures("environment")


def test_a_table_shows_figures_beside_flags_and_null_is_seen() -> None:
    result = ks4(
        "sql",
        "select grp, pupils, pupils_flag, score from test.latest where grp in ('+44', '@home', 'NULL') order by grp",
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "grp     pupils  pupils_flag     score",
        "──────  ──────  ───────────  ────────",
        "+44       1350  NULL             11.4",
        "@home     NULL  low          4.75e-05",
        '"NULL"       3  NULL            100.5',
    ]


def test_a_query_comes_from_standard_input() -> None:
    assert json.loads(ks4("sql", "-", "--json", stdin="select 1 as one;\n").stdout) == [{"one": 1}]


def test_an_empty_answer_says_so_and_is_valid_json() -> None:
    assert "(no rows)" in ks4("sql", "select 1 as one where false").stdout
    assert json.loads(ks4("sql", "select 1 as one where false", "--json").stdout) == []
    assert ks4("sql", "select 1 as one where false", "--csv").stdout == "one\n"


def test_json_keeps_types_and_null() -> None:
    result = ks4("sql", "select grp, pupils, score from test.latest where grp in ('-5', 'NULL') order by grp", "--json")
    assert json.loads(result.stdout) == [
        {"grp": "-5", "pupils": None, "score": None},
        {"grp": "NULL", "pupils": 3.0, "score": 100.5},
    ]


def test_csv_does_not_run_in_a_spreadsheet_and_harms_no_number() -> None:
    result = ks4("sql", 'select grp, score as "=score", \'x\' as "-5" from test.latest', "--csv")
    header, *rows = csv.reader(io.StringIO(result.stdout, newline=""))
    assert header == ["grp", "'=score", "-5"]
    assert [row[0] for row in rows] == ["'=HYPERLINK(1)", "-5", "+44", "'@home", 'say "hi", you', "NULL", "", "'-x\ny"]
    assert [row[1] for row in rows] == ["-17.25", "", "11.4", "4.75e-05", "60", "100.5", "0", "0.5"]


def test_a_long_table_is_cut_with_a_word_and_csv_never_is() -> None:
    query = "select range as n from range(250)"
    cut = ks4("sql", query)
    assert len(cut.stdout.splitlines()) == 102
    assert "there are more" in cut.stderr
    assert len(ks4("sql", query, "--rows", "0").stdout.splitlines()) == 252
    whole = ks4("sql", query, "--csv")
    assert len(whole.stdout.splitlines()) == 251
    assert whole.stderr == ""
    exact = ks4("sql", query, "--rows", "250")
    assert exact.stderr == ""


@pytest.mark.parametrize(
    "query",
    [
        "attach '{here}/x.duckdb'",
        "attach ':memory:' as m",
        "copy (select 1) to '{here}/out.csv'",
        "copy test.v1_0_0 to '{here}/out.parquet' (format parquet)",
        "copy (select 1) to '/dev/stdout'",
        "export database '{here}/out'",
        "import database '{here}/out'",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('/proc/self/environ')",
        "select * from glob('/etc/*')",
        "select * from sniff_csv('/etc/passwd')",
        "select * from read_parquet('https://example.org/x.parquet')",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset lock_configuration",
        "set memory_limit = '100GB'",
        "set temp_directory = '{here}'",
        "set threads = 1000",
        "pragma profiling_output = '{here}/profile'",
        "set profiling_output = '{here}/profile'",
        "call enable_logging(storage = 'file', storage_path = '{here}/log')",
        "create persistent secret s (type http)",
        "install httpfs",
        "load httpfs",
        "select getenv('HOME')",
        "create table test.mine (a int)",
        "drop table test.v1_0_0",
        "update test.v1_0_0 set pupils = 0",
        "delete from catalogue.versions",
        "insert into catalogue.notes select 1",
        "comment on table test.v1_0_0 is 'mine'",
        "attach 'https://example.org/x.duckdb'",
        "copy test.v1_0_0 from '/etc/passwd'",
        "create temp table t as select * from read_json_auto('/etc/passwd')",
        "select * from query('select * from read_csv(''/etc/passwd'')')",
        "select * from query_table('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        "describe '/etc/passwd'",
        "force install spatial from 'http://127.0.0.1/'",
        "load '{here}/x.duckdb_extension'",
        "call start_ui()",
        "select * from duckdb_secrets()",
        "set log_query_path = '{here}/log'",
        "set extension_directory = '{here}'",
        "set allowed_directories = ['/']",
        "pragma enable_profiling = 'json'",
        "create temp macro m() as getenv('HOME')",
        "select 1; drop view test.latest",
        "select 1; set enable_external_access = true; select * from '/etc/passwd'",
        "select * from app",
        "select * from result",
    ],
)
def test_a_query_cannot_write_reach_out_or_change_its_limits(query: str, tmp_path: Path) -> None:
    result = ks4("sql", query.format(here=tmp_path))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", "LINE 1: selec 1"),
        ("select nope from test.latest", "describe <data set>.latest"),
        ("select * from nope.latest", "information_schema.tables"),
        ("", "There is no SQL."),
        (" ; ", "There is no SQL."),
        ("select 1 / 'a'", "Conversion Error"),
    ],
)
def test_a_mistake_in_sql_is_explained(query: str, message: str) -> None:
    result = ks4("sql", query)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_what_the_hint_says_works() -> None:
    result = ks4("sql", "select table_schema, table_name from information_schema.tables", "--json")
    assert {"table_schema": "test", "table_name": "latest"} in json.loads(result.stdout)


def test_json_cannot_have_two_columns_of_one_name() -> None:
    assert ks4("sql", "select 1 as a, 2 as a", "--json").exit_code == 2
    assert ks4("sql", "select 1 as a, 2 as a", "--json", "--csv").exit_code == 2
    assert ks4("sql", "select 1 as a, 2 as a", "--csv").stdout == "a,a\n1,2\n"


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_query_without_end_is_given_up_in_time(form: list[str]) -> None:
    began = time.monotonic()
    result = ks4(
        "sql",
        "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range % 7 = 9",
        "--seconds",
        "0.5",
        *form,
    )
    assert result.exit_code == 2
    assert "No answer within 0.5 s" in result.stderr
    assert time.monotonic() - began < 10


def test_rows_without_end_are_given_up_in_time() -> None:
    result = ks4("sql", "select a.range from range(100000000) a", "--seconds", "0.5", "--csv")
    assert result.exit_code == 2
    assert "No answer within 0.5 s" in result.stderr


def test_a_query_that_needs_too_much_memory_ends_with_a_sentence() -> None:
    result = ks4("sql", "select length(string_agg(repeat('x', 1000000), '')) from range(100000)")
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error_message() -> None:
    process = subprocess.Popen(
        [*COMMAND, "sql", "select * from range(1000000)", "--csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "range\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 141


def test_a_reader_opened_before_is_not_disturbed_and_does_not_disturb(loaded: Path) -> None:
    with duckdb.connect(loaded / "warehouse.duckdb", read_only=True):
        answer = subprocess.run([*COMMAND, "sql", "select 1 as a", "--csv"], capture_output=True, text=True, check=True)
    assert answer.stdout == "a\n1\n"


def published() -> list[list[str]]:
    """The file as published, figures in their shortest spelling."""
    spelt = {"4.75E-05": "4.75e-05", ".5": "0.5"}
    return [[*KEY_CELLS.split(","), row[0], *(spelt.get(cell, cell) for cell in row[1:])] for row in ROWS]


def test_export_gives_the_published_cells_back() -> None:
    result = ks4("export", "--csv", "out.csv", "--as-published")
    assert result.exit_code == 0
    assert "Wrote 8 rows of test 1.0.1 to out.csv" in result.stdout
    header, *rows = csv.reader(io.StringIO(Path("out.csv").read_bytes().decode(), newline=""))
    assert header == HEADER
    guards = {"=HYPERLINK(1)": "'=HYPERLINK(1)", "@home": "'@home", "-x\ny": "'-x\ny"}
    assert rows == [[guards.get(cell, cell) for cell in row] for row in published()]


def test_export_gives_figures_and_flags_in_columns_of_their_own() -> None:
    assert ks4("export", "--version", "v1", "--csv", "out.csv").exit_code == 0
    header, *rows = csv.reader(io.StringIO(Path("out.csv").read_bytes().decode(), newline=""))
    assert header == [*KEYS, "grp", "pupils", "pupils_flag", "score", "score_flag"]
    assert rows[1][6:] == ["", "c", "", "z"]
    assert rows[2][6:] == ["1350", "", "11.4", ""]


def test_export_to_standard_output_is_csv_and_nothing_else() -> None:
    told = subprocess.run(
        [*COMMAND, "export", "--version", "1.0", "--csv", "-"], capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[1:] == [f"{KEY_CELLS},All,1,,2,"]
    assert told.stderr == ""


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "v1_0_0"])
def test_export_to_parquet_keeps_types_and_says_what_it_is(version: str) -> None:
    assert ks4("export", "--data-set", "test", "--version", version, "--parquet", "out.parquet").exit_code == 0
    connection = duckdb.connect()
    assert connection.execute("select pupils, pupils_flag, score from 'out.parquet'").fetchall() == [(1.0, None, 2.0)]
    about = dict(connection.execute("select key, value from parquet_kv_metadata('out.parquet')").fetchall())
    assert about[b"version"] == b"1.0"


def test_export_replaces_a_file_and_leaves_nothing_else_behind() -> None:
    Path("out.csv").write_text("old")
    assert ks4("export", "--csv", "out.csv").exit_code == 0
    assert Path("out.csv").read_text().startswith("time_period,")
    assert [path.name for path in Path().iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--version", "9.0", "--csv", "x"], 2, "test has no '9.0'. It has: v1_0_0, 1.0,"),
        (["--version", "v9", "--csv", "x"], 2, "test has no 'v9'."),
        (["--version", "*", "--csv", "x"], 2, "test has no '*'."),
        (["--data-set", "nope", "--csv", "x"], 2, "The warehouse has no data set 'nope'. It has: test."),
        (["--csv", "x", "--parquet", "y"], 2, "Give --parquet PATH or --csv PATH."),
        (["--parquet", "x", "--as-published"], 2, "--as-published is for --csv"),
        (["--parquet", "-"], 2, "only CSV can go to standard output"),
        (["--csv", "."], 2, "is a folder"),
        (["--csv", "no/such/x.csv"], 1, "No such file or directory"),
    ],
)
def test_an_export_that_cannot_be_leaves_no_file(arguments: list[str], code: int, message: str) -> None:
    result = ks4("export", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert list(Path().iterdir()) == []
