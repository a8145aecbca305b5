"""The README tells the truth: its queries give the output it shows, its tables name what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ks4_pipeline.cli import app
from ks4_pipeline.quality.book import BUILT_IN
from ks4_pipeline.settings import Settings, load_settings

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```bash\n(ks4 sql [^`]*)\n```\n\n```text\n([^`]*)\n```", README)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has been run."""
    folder = tmp_path_factory.mktemp("readme")
    assert shell("ks4 demo", folder).returncode == 0
    return folder


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KS4_")}
    ks4 = f"ks4() {{ {sys.executable} -c 'from ks4_pipeline.cli import main; main()' \"$@\"; }}"
    command = ["bash", "-c", f"{ks4}\n{line}"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=120, check=False
    )


@pytest.mark.parametrize(("query", "output"), SHOWN)
def test_a_query_gives_what_is_shown(demo: Path, query: str, output: str) -> None:
    assert shell(query, demo).stdout.rstrip() == output


def test_the_python_shown_runs_with_what_is_installed(demo: Path) -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = shown.replace("data/warehouse.duckdb", "data/demo/warehouse.duckdb") + "print(latest.shape)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=demo, check=False)
    assert told.stdout == "(1512, 51)\n", told.stderr


@pytest.mark.parametrize("line", re.findall(r"^ks4 (?:dictionary|sql --csv|export) .*$", README, re.MULTILINE))
def test_a_line_that_writes_a_file_writes_it(demo: Path, line: str) -> None:
    told = shell(line, demo)
    assert told.returncode == 0, told.stderr
    (name,) = re.findall(r"(?:--output|>) (\S+)", line)
    assert (demo / name).stat().st_size > 1000


def test_there_are_queries_with_their_output() -> None:
    assert len(SHOWN) == README.count("```text\n")


def test_every_object_of_the_warehouse_that_is_named_answers(demo: Path) -> None:
    for name in (
        "v1_0_0",
        "v1_0_1",
        "latest",
        "v1",
        "v1_0",
        "latest_long",
        "observation_notes",
        "history",
        "as_of('2026-06-01')",
        "revisions",
    ):
        assert f"`{name}`" in README
        assert shell(f'ks4 sql --json "FROM ks4_national.{name} LIMIT 1"', demo).returncode == 0, name
    catalogue = set(re.findall(r"`catalogue\.(\w+)`", README)) | {
        "columns",
        "filter_options",
        "locations",
        "time_periods",
    }
    for name in sorted(catalogue):
        assert shell(f'ks4 sql --json "FROM catalogue.{name} LIMIT 1"', demo).returncode == 0, name


def test_every_command_is_named() -> None:
    rows = set(re.findall(r"^\| `(\w+)|, `(\w+)` \|", README, re.MULTILINE))
    named = {name for row in rows for name in row} | {"versions"}
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} <= named


def test_every_key_of_the_configuration_is_named() -> None:
    assert [key for key in Settings.model_fields if key not in README] == []


def test_every_rule_that_refuses_a_version_is_named_and_the_rules_shown_can_be_used(tmp_path: Path) -> None:
    assert [name for name, rule in BUILT_IN.items() if rule.severity == "error" and f"`{name}`" not in README] == []
    (shown,) = re.findall(r"```toml\n(\[rules\..*?)\n```", README, re.DOTALL)
    path = tmp_path / "ks4.toml"
    path.write_text(shown, encoding="utf-8")
    settings = load_settings({"KS4_CONFIG": str(path)})
    assert list(settings.rules) == ["rows_not_halved", "enough_pupils"]
    assert len(settings.notes) == 1
