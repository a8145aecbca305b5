"""``ks4 demo``, ``sandbox`` and ``dev``: the commands that show the whole thing, run as a person would run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest

from ks4_pipeline.sandbox.synthetic import DATA_SET_ID

COMMAND = (sys.executable, "-c", "from ks4_pipeline.cli import main; main()")
NUMBERS = ["1.0", "1.0.1", "1.1", "2.0"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder and an environment without any configuration."""
    for name in [name for name in os.environ if name.startswith(("KS4_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ks4(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env={**os.environ, **environ}, timeout=120, check=False
    )


@contextmanager
def running(*arguments: str, until: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that stays, and what it said up to a certain text."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environ},
    )
    assert process.stdout
    said = ""
    try:
        while until not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, said
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder that was empty and in which the demo has run, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KS4_", "DAGSTER_"))}
    return folder, subprocess.run(
        [*COMMAND, "demo"], cwd=folder, env=clean, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def told(here: Path, once: tuple[Path, subprocess.CompletedProcess[str]]) -> subprocess.CompletedProcess[str]:
    """What the demo said, as if it had just run here."""
    folder, said = once
    shutil.copytree(folder, here, dirs_exist_ok=True)
    return said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pasted(line: str) -> subprocess.CompletedProcess[str]:
    """Run a printed command in a shell, with ``ks4`` standing for this one."""
    script = f'ks4() {{ {shlex.join(COMMAND)} "$@"; }}\n{line}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)


def test_the_demo_works_in_an_empty_folder_and_again_beside_live_data(
    here: Path, told: subprocess.CompletedProcess[str]
) -> None:
    (here / "data" / "warehouse.duckdb").write_text("live")
    for ran in (told, ks4("demo")):
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        assert "\x1b" not in ran.stdout
        story = ran.stdout.splitlines()
        assert [line.split()[0] for line in story[2:6]] == NUMBERS
        assert all(re.search(r"[\d,]+ rows and [\d,]+ markers loaded$", line) for line in story[2:6])
        assert max(map(len, story[2:6])) <= 80
    with duckdb.connect(here / "data" / "demo" / "warehouse.duckdb", read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'ks4_national'"
        ).fetchall()
    assert {"v1_0_0", "v1_0_1", "v1_1_0", "v2_0_0"} <= {name for (name,) in tables}
    reports = here / "data" / "demo" / "reports" / "ks4_national"
    assert {path.name for path in reports.iterdir()} == {
        f"{number}.{kind}" for number in NUMBERS for kind in ("html", "png")
    }
    assert (here / "data" / "warehouse.duckdb").read_text() == "live"


def test_what_the_demo_prints_works_when_pasted(told: subprocess.CompletedProcess[str]) -> None:
    (question,) = [line.removeprefix("$ ") for line in told.stdout.splitlines() if line.startswith("$ ")]
    answer = pasted(question)
    assert answer.returncode == 0
    assert answer.stdout.strip()
    assert answer.stdout in told.stdout
    (standing,) = [line.split("  ")[-1].strip() for line in told.stdout.splitlines() if line.endswith("ks4 status")]
    assert "4 versions, 4 loaded" in pasted(standing).stdout


def test_what_the_demo_prints_works_where_ks4_is_configured_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "other.toml").write_text("data_dir = 'elsewhere'\n")
    monkeypatch.setenv("KS4_CONFIG", "other.toml")
    monkeypatch.setenv("KS4_API_URL", "https://api.example.org/statistics")
    monkeypatch.setenv("KS4_DATA_DIR", "my data")
    told = ks4("demo").stdout
    (question,) = [line.removeprefix("$ ") for line in told.splitlines() if line.startswith("$ ")]
    assert pasted(question).stdout in told
    assert (here / "my data" / "warehouse.duckdb").is_file()


@pytest.mark.usefixtures("told")
def test_after_the_demo_its_warehouse_answers_without_naming_a_folder(here: Path) -> None:
    answer = ks4("sql", "--json", "select max(time_period) as newest from ks4_national.latest")
    assert json.loads(answer.stdout) == [{"newest": "202526"}]
    assert "synthetic, in data/demo" in answer.stderr
    (here / "data" / "landing").mkdir()
    assert ks4("sql", "select 1").returncode == 2  # something of the user's own is there: the demo is out of the way


@pytest.mark.usefixtures("told")
def test_the_demo_shows_what_a_correction_changed() -> None:
    summary = json.loads(ks4("diff", "1.0", "1.0.1", "--json").stdout)["summary"]
    assert summary["counts"] == {
        "revised": 124, "suppressed": 9, "released": 6, "reflagged": 18, "added": 0, "removed": 0
    }  # fmt: skip


@pytest.mark.usefixtures("told")
def test_the_demo_runs_inside_its_own_folder_when_that_is_the_data_directory(here: Path) -> None:
    assert ks4("demo", KS4_DATA_DIR="data/demo").returncode == 0
    assert not (here / "data" / "demo" / "demo").exists()


def test_the_demo_never_touches_a_folder_it_did_not_make(here: Path) -> None:
    folder = here / "mine"
    (folder / "landing").mkdir(parents=True)
    (folder / "warehouse.duckdb").write_text("live")
    told = ks4("demo", "--data-dir", "mine")
    assert told.returncode == 2
    assert "the demo did not make it" in told.stderr
    assert (folder / "warehouse.duckdb").read_text() == "live"
    assert sorted(path.name for path in folder.iterdir()) == ["landing", "warehouse.duckdb"]


@pytest.mark.usefixtures("told")
def test_nothing_in_the_demos_folder_asks_the_live_api() -> None:
    ran = ks4("run", KS4_DATA_DIR="data/demo")
    assert ran.returncode in {0, 3}
    assert "education.gov.uk" not in ran.stdout + ran.stderr
    live = ks4("run", KS4_DATA_DIR="data/demo", KS4_API_URL="https://api.education.gov.uk/statistics")
    assert live.returncode == 2
    assert "synthetic" in live.stderr


def test_the_sandbox_says_how_to_load_it_and_what_to_call() -> None:
    with running("sandbox", "--port", "0", "--held", until="/requests") as (process, said):
        (load,) = re.findall(r"^Load it +(.*)$", said, re.MULTILINE)
        first = pasted(f"{load} --json")
        assert [item["version"] for item in json.loads(first.stdout)["outcomes"]] == ["1.0"]
        (call,) = re.findall(r"^Next one +curl -X POST (.*)$", said, re.MULTILINE)
        assert httpx.post(call).json()["version"] == "1.0.1"
        assert [item["version"] for item in json.loads(pasted(f"{load} --json").stdout)["outcomes"]] == ["1.0.1"]
        assert [httpx.post(call).json()["version"] for _ in range(2)] == ["1.1", "2.0"]
        for name, status in {"Withdraw": "Withdrawn", "Bring back": "Published"}.items():
            (url,) = re.findall(rf"^{name} +curl -X POST (.*)$", said, re.MULTILINE)
            assert httpx.post(url).json()["versions"][-1]["status"] == status
        for name, key in {"Versions": "dataSets", "Requests": "requests"}.items():
            (url,) = re.findall(rf"^{name} +curl (.*)$", said, re.MULTILINE)
            assert httpx.get(url).json()[key]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert rest == "Stopped.\n"
    assert process.returncode == 0
    assert DATA_SET_ID in said


def test_the_sandbox_serves_a_folder_and_refuses_what_it_cannot(here: Path) -> None:
    (here / "empty").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = ks4("sandbox", "--port", str(taken.getsockname()[1]))
    assert busy.returncode == 2
    assert "cannot be used" in busy.stderr
    nothing = ks4("sandbox", "nowhere")
    assert nothing.returncode == 2
    both = ks4("sandbox", "empty", "--held")
    assert both.returncode == 2
    assert "--held is for the synthetic data" in both.stderr


def test_dev_says_when_its_port_is_taken_before_it_starts_anything(here: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = ks4("dev", "--port", str(taken.getsockname()[1]))
    assert told.returncode == 2
    assert "Give another with --port" in told.stderr
    assert not (here / "data").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_dev_serves_the_ui_of_this_data_directory_and_ends_with_everything(here: Path, how: signal.Signals) -> None:
    port = free_port()
    (here / "ks4.toml").write_text(f'data_dir = "found"\n[data_sets.mine]\nid = "{DATA_SET_ID}"\n')
    with running("dev", "--port", str(port), until="Serving dagster-webserver", KS4_CONFIG="ks4.toml") as (
        process,
        said,
    ):
        assert "Dagster on found" in said
        entries = "{workspaceOrError{... on Workspace{locationEntries{name loadStatus}}}}"
        deadline = time.monotonic() + 60
        found = None
        while time.monotonic() < deadline and found != [{"name": "ks4_pipeline", "loadStatus": "LOADED"}]:
            try:  # it says that it serves a moment before it does
                answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": entries}, timeout=30)
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            found = answer.json()["data"]["workspaceOrError"]["locationEntries"]
        assert found == [{"name": "ks4_pipeline", "loadStatus": "LOADED"}]
        assert (here / "found" / "dagster" / "dagster.yaml").is_file()
        process.send_signal(how)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert rest.endswith("Stopped.\n")
    assert "Traceback" not in rest
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
