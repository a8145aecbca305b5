"""``ks4 run``, ``status``, ``versions``, ``add`` and ``rebuild`` against a real sandbox, and how each of them ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ks4_pipeline.cli import app
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DEFAULT_ID, DataSet, load_settings
from ks4_pipeline_tests.publisher import NO_PAUSES, Edition, answering, describe, load, pipeline_for, scored

Ks4 = Callable[..., Result]
COMMAND = (sys.executable, "-c", "from ks4_pipeline.cli import main; main()")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, configured by the environment alone."""
    for name in [name for name in os.environ if name.startswith("KS4_") or name == "FORCE_COLOR"]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("KS4_DATA_DIR", str(folder))
    monkeypatch.setenv("KS4_API_URL", "http://127.0.0.1:9/nobody")
    return folder


@pytest.fixture
def ks4(data_dir: Path) -> Ks4:
    """Run a command in this process."""
    del data_dir

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> Iterator[Callable[..., Sandbox]]:
    """Serve a test data set called ``test``, and follow it."""
    running: list[Sandbox] = []

    def serve(*editions: Edition, **more: object) -> Sandbox:
        follow(data_dir, describe(tmp_path / "root", "test", *editions))
        sandbox = Sandbox(tmp_path / "root", **more)  # type: ignore[arg-type]
        sandbox.__enter__()
        running.append(sandbox)
        monkeypatch.setenv("KS4_API_URL", sandbox.url)
        return sandbox

    yield serve
    for sandbox in running:
        sandbox.__exit__(None, None, None)


def follow(data_dir: Path, *data_sets: DataSet) -> None:
    tables = [f'[data_sets.{data_set.name}]\nid = "{data_set.id}"\n' for data_set in data_sets]
    (data_dir / "ks4.toml").write_text("\n".join(tables))


def outside(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a program of its own, its output a pipe."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env={**os.environ, **environ}, timeout=120, check=False
    )


def on_terminal(*arguments: str, columns: int = 80) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; its exit code and everything that came."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env={**environ, "TERM": "xterm-256color"}
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return process.wait(60), b"".join(parts).decode()


GOOD = (Edition("1.0", scored("1.5", "c")), Edition("1.0.1", scored("1.6", "c")), Edition("2.0", scored("1.7", "2")))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are made again at once; how long to wait is tested where it is decided."""
    monkeypatch.setattr("ks4_pipeline.ees.client.RetryPolicy", lambda: NO_PAUSES)


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory into which the three good versions have been loaded."""
    folder = tmp_path_factory.mktemp("loaded")
    data_set = describe(folder / "root", "test", *GOOD)
    with Sandbox(folder / "root") as sandbox:
        assert load(pipeline_for(folder / "data", sandbox.url, data_set)).exit_code == 0
    follow(folder / "data", data_set)
    return folder / "data"


@pytest.fixture
def loaded(loaded_once: Path, data_dir: Path) -> None:
    """The data directory as if the three good versions had just been loaded; nobody serves them any more."""
    shutil.copytree(loaded_once, data_dir, dirs_exist_ok=True)


def test_run_loads_everything_says_so_and_has_nothing_to_do_the_second_time(
    served: Callable[..., Sandbox], ks4: Ks4
) -> None:
    served(*GOOD)
    first = ks4("run")
    assert first.exit_code == 0
    assert first.stdout.splitlines()[:2] == ["test: 3 versions listed, 3 to load", "test 1.0: loaded, 2 rows, 1 marker"]
    assert "Loaded test 1.0, 1.0.1, 2.0 into" in first.stdout.splitlines()[-1]
    assert first.stderr == ""
    second = ks4("run")
    assert second.exit_code == 0
    assert second.stdout.splitlines()[-1] == "Nothing new: test has 3 versions."


def test_a_refused_version_ends_with_1_and_its_reason_on_standard_error(
    served: Callable[..., Sandbox], ks4: Ks4
) -> None:
    served(Edition("1.0", scored("1")), Edition("1.1", scored("*")), Edition("1.2", scored("2")))
    result = ks4("run")
    assert result.exit_code == 1
    assert "Loaded test 1.0, 1.2 into" in result.stdout
    assert "Could not load test 1.1" in result.stdout
    assert "column 'score', row 1: neither a number nor a known marker: '*'" in result.stderr


def test_status_names_what_was_refused_and_why_latest_lags(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    served(Edition("1.0", scored("1")), Edition("1.1", scored("*")))
    ks4("run")
    ks4("run")
    told = ks4("status")
    assert told.exit_code == 0
    assert "1.1 was refused" in told.stdout
    assert "2 times by now" in told.stdout
    assert "column 'score', row 1: neither a number nor a known marker: '*'" in told.stdout
    assert "latest is 1.0, and the publisher's newest version is 1.1: it was refused." in told.stdout


def test_run_prints_one_json_document_and_nothing_else(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    served(Edition("1.0", scored("1")), Edition("1.1", scored("*")))
    result = ks4("run", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == document["exit_code"] == 1
    assert document["published"] is True
    assert document["up_to_date"] == {"test": 0}
    assert [(item["version"], item["outcome"], item["rows"]) for item in document["outcomes"]] == [
        ("1.0", "loaded", 1),
        ("1.1", "refused", None),
    ]


def test_only_the_version_asked_for_is_loaded(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    served(*GOOD)
    assert ks4("run", "--version", "1.0.1").exit_code == 0
    loaded = [item["version"] for item in json.loads(ks4("versions", "--json").stdout) if item["loaded"]]
    assert loaded == ["1.0.1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--version", "7.0"), "test 7.0: The publisher lists no such version."),
        (("run", "--version", "1"), "'1' is not an exact version number"),
        (("run", "--data-set", "nope"), "No data set is followed under the name 'nope'. Followed: test."),
        (("versions", "--data-set", "nope"), "No data set is followed under the name 'nope'."),
        (("run", "--nope"), "No such option"),
        (("nope",), "No such command"),
        (("export",), "Give --parquet PATH or --csv PATH."),
        (("sql", "select 1"), "There is no warehouse at"),
        (("rebuild",), "Nothing has landed in"),
        (("demo", "--data-dir", "/dev/null"), "is not empty, and the demo did not make it"),
        (("sandbox", "/nowhere"), "/nowhere is not a folder"),
        (("add", "not-an-id", "--name", "Bad Name"), "'Bad Name' is not a usable name"),
    ],
)
def test_wrong_use_ends_with_2_and_one_clean_message(
    served: Callable[..., Sandbox], ks4: Ks4, arguments: tuple[str, ...], message: str
) -> None:
    served(Edition("1.0", scored("1")))
    result = ks4(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_version_of_several_data_sets_needs_a_data_set(
    served: Callable[..., Sandbox], data_dir: Path, ks4: Ks4
) -> None:
    served(*GOOD)
    follow(data_dir, *load_settings().data_sets, DataSet(name="other", id=DEFAULT_ID))
    result = ks4("run", "--version", "1.0")
    assert result.exit_code == 2
    assert "--version needs --data-set" in result.stderr


@pytest.mark.parametrize("command", ["run", "status", "versions", "rebuild"])
@pytest.mark.parametrize(
    ("environ", "text", "message"),
    [
        ({"KS4_FOO": "1"}, "", "Unknown environment variable KS4_FOO"),
        ({"KS4_API_URL": "ftp://x"}, "", "KS4_API_URL: 'ftp://x' is not a web address"),
        ({"KS4_CONFIG": "/nowhere.toml"}, "", "KS4_CONFIG names /nowhere.toml, and there is no such file."),
        ({}, "speed = 1", "speed: unknown key."),
        ({}, "[data_sets.a]\nid = 'x'", "data_sets.a.id: 'x' is not a data set id"),
        ({}, "[data_sets", "is not valid TOML"),
    ],
)
def test_a_bad_configuration_ends_with_2_and_names_the_key(
    data_dir: Path, environ: dict[str, str], text: str, message: str, command: str
) -> None:
    (data_dir / "ks4.toml").write_text(text)
    result = CliRunner().invoke(app, [command], env=environ)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("no_pauses")
def test_an_api_that_is_not_there_ends_with_3(ks4: Ks4) -> None:
    result = ks4("run")
    assert result.exit_code == 3
    assert "http://127.0.0.1:9/nobody/v1/data-sets/" in result.stderr
    assert ks4("add", "11111111-1111-1111-1111-111111111111", "--name", "other").exit_code == 3


def test_a_data_set_the_api_does_not_know_ends_with_2(served: Callable[..., Sandbox], data_dir: Path, ks4: Ks4) -> None:
    served(*GOOD)
    follow(data_dir, DataSet(name="other", id=DEFAULT_ID))
    result = ks4("run")
    assert result.exit_code == 2
    assert "HTTP 404" in result.stderr


def test_a_disk_that_cannot_be_used_is_said_in_one_line(
    ks4: Ks4, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "file").write_text("")
    monkeypatch.setenv("KS4_DATA_DIR", str(data_dir / "file" / "data"))
    result = ks4("demo")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Not a directory")
    assert len(result.stderr.splitlines()) == 1


def test_a_demo_in_a_folder_that_cannot_be_is_refused_before_any_work(ks4: Ks4, tmp_path: Path) -> None:
    result = ks4("demo", "--data-dir", str(tmp_path / "why?"))
    assert (result.exit_code, list(tmp_path.glob("why*"))) == (2, [])
    assert "question mark" in result.stderr


def test_a_full_disk_behind_standard_output_is_an_error(data_dir: Path) -> None:
    del data_dir
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*COMMAND, "status"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "Error: No space left on device. Make room, then run again.\n"


def test_a_full_disk_is_an_error_for_options_before_the_command_too() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "Error: No space left on device. Make room, then run again.\n")


def test_prose_for_a_reader_that_has_gone_ends_as_data_does(data_dir: Path) -> None:
    del data_dir
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([*COMMAND, "status"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_where_no_remark_can_be_written_the_work_goes_on(served: Callable[..., Sandbox]) -> None:
    served(Edition("1.0", scored("1", "2")))
    with Path("/dev/full").open("w") as full:
        failed = subprocess.run([*COMMAND, "run", "--version", "9.9"], stderr=full, stdout=subprocess.PIPE, check=False)
        assert failed.returncode == 2
        assert outside("run").returncode == 0
        told = subprocess.run(
            [*COMMAND, "sql", "from test.latest", "--rows", "1"], stderr=full, stdout=subprocess.PIPE, check=False
        )
    assert told.returncode == 0
    assert len(told.stdout.splitlines()) == 3


def test_standard_streams_may_be_closed(data_dir: Path) -> None:
    del data_dir
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        ended = subprocess.run(
            ["sh", "-c", f'"$0" "$@" {closed}', *COMMAND, "status"], capture_output=True, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, b""), closed


def test_status_before_anything_works_without_a_network(ks4: Ks4, data_dir: Path) -> None:
    told = ks4("status")
    assert told.exit_code == 0
    assert f"{data_dir / 'warehouse.duckdb'}: not made yet" in told.stdout
    assert "Not looked at yet: ks4 run." in told.stdout
    document = json.loads(ks4("status", "--json").stdout)
    assert document["warehouse"]["exists"] is False
    assert document["data_sets"][0]["name"] == "ks4_national"
    assert json.loads(ks4("versions", "--json").stdout) == []


def test_status_says_when_a_channel_has_no_version_left(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    sandbox = served(*GOOD)
    ks4("run")
    sandbox.withdraw(load_settings().data_sets[0].id, "2.0")
    assert "The publisher changed status" in ks4("run").stdout
    told = ks4("status").stdout
    assert "Channel v2 has no published version left (2.0 withdrawn)." in told
    assert "Channel v2_0 has no published version left (2.0 withdrawn)." in told
    data_set = json.loads(ks4("status", "--json").stdout)["data_sets"][0]
    assert (data_set["latest"], data_set["newest_published"]) == ("1.0.1", "1.0.1")
    assert data_set["empty_channels"] == ["v2", "v2_0"]


def test_status_says_when_a_newer_version_has_not_been_loaded(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    served(*GOOD)
    ks4("run", "--version", "1.0")
    told = ks4("status").stdout
    assert "latest is 1.0, and the publisher's newest version is 2.0: not loaded yet. Load it: ks4 run." in told


@pytest.mark.usefixtures("loaded")
def test_status_names_a_data_set_that_is_no_longer_followed(data_dir: Path, ks4: Ks4) -> None:
    (data_dir / "ks4.toml").unlink()
    told = ks4("status").stdout
    assert told.index("\nks4_national") < told.index("\ntest  Test")
    assert "No longer followed" in told


def test_versions_are_in_the_order_of_their_numbers(served: Callable[..., Sandbox], ks4: Ks4) -> None:
    numbers = ["1.0", "1.0.1", "1.1", "1.9", "1.10", "2.0"]
    served(*(Edition(number, scored("1"), {"notes": f"Notes on {number}."}) for number in numbers))
    ks4("run")
    listed = ks4("versions").stdout.splitlines()[3:]
    assert [line.split()[0] for line in listed] == numbers
    assert all(line.endswith(f"Notes on {number}.") for line, number in zip(listed, numbers, strict=True))
    rows = json.loads(ks4("versions", "--data-set", "test", "--json").stdout)
    assert [(row["version"], row["bump"]) for row in rows][:3] == [
        ("1.0", "major"),
        ("1.0.1", "patch"),
        ("1.1", "minor"),
    ]
    assert rows[-1]["channels"] == ["latest", "v2", "v2_0"]


@pytest.mark.usefixtures("loaded")
def test_rebuild_gives_the_same_warehouse_without_the_network(ks4: Ks4, data_dir: Path) -> None:
    question = ("sql", "select * from test.v1_0_1", "--json")
    before = ks4(*question).stdout
    (data_dir / "warehouse.duckdb").unlink()
    result = ks4("rebuild")
    assert result.exit_code == 0
    assert "Rebuilt" in result.stdout.splitlines()[-1]
    assert ks4(*question).stdout == before
    assert json.loads(ks4("rebuild", "--json").stdout)["published"] is True


@pytest.mark.usefixtures("loaded")
def test_rebuild_leaves_the_old_warehouse_when_landing_is_damaged(ks4: Ks4, data_dir: Path) -> None:
    before = (data_dir / "warehouse.duckdb").read_bytes()
    (data_dir / "landing" / "test" / "1.0" / "meta.json").write_text("{}}")
    (data_dir / "observations" / "test" / "1.0.json").unlink()
    result = ks4("rebuild")
    assert result.exit_code == 1
    assert "The old one stays" in result.stderr
    assert (data_dir / "warehouse.duckdb").read_bytes() == before


def test_add_follows_another_data_set_and_keeps_the_default(
    ks4: Ks4, served: Callable[..., Sandbox], data_dir: Path
) -> None:
    served(*GOOD)
    (new,) = load_settings().data_sets
    (data_dir / "ks4.toml").unlink()
    result = ks4("add", new.id.upper(), "--name", "mine")
    assert result.exit_code == 0
    assert "Test data set test is now followed as mine" in result.stdout
    assert [(found.name, found.id) for found in load_settings().data_sets] == [
        ("ks4_national", DEFAULT_ID),
        ("mine", new.id),
    ]
    assert "# Test data set test" in (data_dir / "ks4.toml").read_text()
    assert ks4("run", "--data-set", "mine").exit_code == 0


def test_add_keeps_comments_and_refuses_what_is_followed_already(
    ks4: Ks4, served: Callable[..., Sandbox], data_dir: Path
) -> None:
    served(*GOOD)
    (new,) = load_settings().data_sets
    text = f'# ours\n[data_sets.nat] # national\nid = "{DEFAULT_ID}"\n# the end\n'
    (data_dir / "ks4.toml").write_text(text)
    assert ks4("add", new.id, "--name", "nat").exit_code == 2
    assert ks4("add", DEFAULT_ID, "--name", "again").exit_code == 2
    assert ks4("add", "11111111-1111-1111-1111-111111111111", "--name", "ghost").exit_code == 2
    assert (data_dir / "ks4.toml").read_text() == text
    assert ks4("add", new.id, "--name", "mine").exit_code == 0
    assert (data_dir / "ks4.toml").read_text().startswith(text)


@pytest.mark.usefixtures("loaded")
def test_add_refuses_a_name_under_which_another_data_set_has_landed(ks4: Ks4, data_dir: Path) -> None:
    (data_dir / "ks4.toml").unlink()
    result = ks4("add", "11111111-1111-1111-1111-111111111111", "--name", "test")
    assert result.exit_code == 2
    assert "under the name test" in result.stderr


def test_live_figures_are_not_loaded_beside_those_of_the_demo(
    ks4: Ks4, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "DEMO.md").write_text("")
    monkeypatch.setenv("KS4_API_URL", "https://api.example.org/statistics")
    result = ks4("run")
    assert result.exit_code == 2
    assert "must not stand in one warehouse" in result.stderr


def test_texts_of_the_api_cannot_write_on_the_screen(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b[2J[bold red]T\x07itle[/] \u202eevil"
    follow(data_dir, describe(tmp_path / "root", "test", Edition("1.0", scored("1"), {"notes": evil}), title=evil))
    with Sandbox(tmp_path / "root") as sandbox:
        monkeypatch.setenv("KS4_API_URL", sandbox.url)
        outside("run")
    for command in ("status", "versions"):
        for told in (outside(command).stdout, on_terminal(command)[1]):
            assert "\\x1b[2J[bold red]T\\x07itle[/] \\u202eevil" in " ".join(re.sub(r"\x1b\[[\d;]*m", "", told).split())
            assert "\x1b[2J" not in told


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_api_in_trouble_ends_with_3(served: Callable[..., Sandbox], ks4: Ks4, status: int) -> None:
    served(*GOOD, middleware=[answering("/versions", status, b"<html>\x1b[31mbusy</html>")])
    result = ks4("run")
    assert result.exit_code == 3
    assert f"HTTP {status}" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_pipe_gets_plain_lines_and_a_terminal_fits_80_columns(served: Callable[..., Sandbox]) -> None:
    served(*(Edition(edition.number, edition.csv, {"notes": "A long note. " * 20}) for edition in GOOD))
    piped = outside("run", FORCE_COLOR="1")
    assert piped.returncode == 0
    assert "\x1b" not in piped.stdout + piped.stderr
    for command in ("run", "status", "versions"):
        code, shown = on_terminal(command)
        assert code == 0
        assert "\x1b[" in shown
        lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).replace("\r\n", "\n").split("\n")
        longest = max((line for line in lines if "/" not in line), key=len)  # a path is printed whole
        assert len(longest) <= 80, longest


def test_bars_move_on_a_terminal_and_leave_one_line_per_version(served: Callable[..., Sandbox]) -> None:
    served(*GOOD)
    code, shown = on_terminal("run", columns=100)
    assert code == 0
    assert "━" in shown
    assert "test 1.0.1: loaded, 2 rows, 1 marker" in shown
    assert "Loaded test 1.0, 1.0.1, 2.0 into" in shown


@pytest.mark.usefixtures("loaded")
def test_ctrl_c_ends_with_130_and_one_line() -> None:
    endless = "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range % 7 = 9"
    process = subprocess.Popen(
        [*COMMAND, "sql", endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=3)
    process.send_signal(2)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint == "Error: Interrupted.\n"


@pytest.mark.parametrize("after", ["time.sleep(60)", "pass"])
@pytest.mark.parametrize("before", ["import interrupted", "with Lock(): {after}"])
def test_ctrl_c_waits_where_it_would_leave_a_lock_taken(tmp_path: Path, before: str, after: str) -> None:
    """Others would wait for it for ever: of an import for Python's own, of a Lock in Python for that."""
    interrupt = "os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / "interrupted.py").write_text(f"import os, signal\n{interrupt}\nprint('whole')\n", encoding="utf-8")
    program = (
        f"import os, signal, sys, time\nsys.path.insert(0, {str(tmp_path)!r})\nfrom ks4_pipeline.cli import app\n"
        "class Lock:\n"
        f"    def __enter__(self):\n        {interrupt}\n        print('whole')\n"
        "    def __exit__(self, *error): pass\n"
        f"@app.command()\ndef work():\n    {before.format(after=after)}\n    {after}\napp(['work'])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "whole\n", "Error: Interrupted.\n")


@pytest.mark.parametrize(
    "work",
    [
        "while True: duckdb.execute('CREATE OR REPLACE TABLE t AS FROM range(1000000)')",
        "while True: duckdb.execute('CREATE OR REPLACE TABLE t AS FROM slow')",
    ],
)
def test_ctrl_c_in_the_midst_of_duckdb_ends_in_the_same_way(work: str) -> None:
    program = (
        "import os, signal, threading, time, duckdb, polars\nfrom ks4_pipeline.cli import app\n"
        "from ks4_pipeline.errors import Ks4Error\n"
        "class Slow:\n"
        "    looks = 0\n"
        "    def __arrow_c_stream__(self, schema=None):\n"
        "        self.looks += 1\n        time.sleep(60 if self.looks > 1 else 0)\n"
        "        return polars.DataFrame({'a': [1]}).__arrow_c_stream__(schema)\n"
        "@app.command()\ndef endless():\n"
        "    duckdb.register('slow', Slow())\n"
        "    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    try:\n"
        f"        {work}\n"
        "    except duckdb.Error as error:\n        raise Ks4Error('The edition could not be made.') from error\n"
        "app(['endless'])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (130, "Error: Interrupted.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("status",),
        ("versions",),
        ("sql", "select 1"),
        ("report", "1.0.1"),
        ("dictionary",),
    ],
)
@pytest.mark.usefixtures("loaded")
def test_quick_commands_import_neither_dagster_nor_polars(arguments: tuple[str, ...]) -> None:
    program = (
        f"import sys; sys.argv = ['ks4', *{arguments!r}]\nfrom ks4_pipeline.cli import app\ntry:\n app()\n"
        "except SystemExit as end:\n assert not end.code, end.code\n"
        "loaded = {'dagster', 'polars', 'numpy', 'uvicorn', 'starlette'} & set(sys.modules)\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
