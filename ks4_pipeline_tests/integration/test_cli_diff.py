"""``ks4 diff``: what differs between two versions, for people, for scripts and as a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, rows

COMMAND = (sys.executable, "-c", "from ks4_pipeline.cli import main; main()")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with three versions of a data set called ``d``."""
    folder = tmp_path_factory.mktemp("diff")
    data_set = describe(
        folder / "published",
        "d",
        Edition("1.0", rows("a,1,1", "b,10,c", "c,3,3")),
        Edition("1.0.1", rows("a,1,1", "b,12,2.5", "c,3,3")),
        Edition("1.1", rows("a,1,1", "b,12,2.5", "d,4,4")),
    )
    with Sandbox(folder / "published") as sandbox:
        assert load(pipeline_for(folder / "data", sandbox.url, data_set)).exit_code == 0
    return folder / "data"


def ks4(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KS4_")}
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment | {"KS4_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_summary_comes_first_then_each_cell_as_published(data_dir: Path) -> None:
    told = ks4(data_dir, "diff", "1.0", "1.0.1")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0] == "d 1.0 -> 1.0.1: 2 cells changed."
    headings = [lines.index(heading) for heading in ("By class", "By indicator", "By year")]
    assert headings == sorted(headings)
    assert [line.split() for line in lines[-2:]] == [
        ["revised", "pupils", "10", "12"],
        ["released", "score", "c", "2.5"],
    ]


def test_any_two_versions_or_channels_may_be_compared_either_way(data_dir: Path) -> None:
    for pair, sentence in {
        ("1.0", "latest"): "d 1.0 -> 1.1: 2 cells changed, 1 row added, 1 row removed.",
        ("v1", "v1_0"): "d 1.1 -> 1.0.1: 0 cells changed, 1 row added, 1 row removed.",
        ("1.0", "1.0"): "d 1.0 -> 1.0: 0 cells changed.",
    }.items():
        assert ks4(data_dir, "diff", *pair).stdout.splitlines()[0] == sentence


def test_scripts_get_everything_as_json(data_dir: Path) -> None:
    found = json.loads(ks4(data_dir, "diff", "1.0.1", "1.1", "--json").stdout)
    assert found["summary"]["counts"] == dict.fromkeys(("revised", "suppressed", "released", "reflagged"), 0) | {
        "added": 1,
        "removed": 1,
    }
    assert found["summary"]["structure"] == ["filter options added: grp: d", "filter options removed: grp: c"]
    assert [(row["class"], row["grp"], row["indicator"]) for row in found["rows"]] == [
        ("added", "d", None),
        ("removed", "c", None),
    ]


def test_all_rows_can_be_written_as_parquet(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "changes.parquet"
    assert ks4(data_dir, "diff", "1.0", "1.0.1", "--rows", "1", "--parquet", str(path)).returncode == 0
    frame = pl.read_parquet(path).select("from_version", "to_version", "class", "indicator", "new_value")
    assert sorted(frame.rows()) == [
        ("1.0", "1.0.1", "released", "score", 2.5),
        ("1.0", "1.0.1", "revised", "pupils", 12.0),
    ]


@pytest.mark.parametrize("wanted", ["9.0", "v7", "1", "latest;", "../x"])
def test_a_version_that_is_not_there_is_an_error_of_use(data_dir: Path, wanted: str) -> None:
    told = ks4(data_dir, "diff", "1.0", wanted)
    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr.startswith("Error: ")
