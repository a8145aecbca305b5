"""A disk that gets full, for real: a small file system of its own, with ever more room left before a run.

From none at all to enough, so that each step in turn is the first that finds no room: the list, the lock, documents,
CSV, plain CSV, Parquet twice, facts, the copy of the warehouse, its growth, and its last checkpoint.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from ks4_pipeline.cli import app
from ks4_pipeline.disk import DiskFullError, is_full
from ks4_pipeline.orchestration.assets import asset_key, build_assets
from ks4_pipeline.orchestration.partitions import versions_of
from ks4_pipeline.quality.book import rules_in_force
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline_tests.publisher import Edition, describe, pipeline_for, rows, scored

SIZE = 24 << 20
KIB = 1 << 10
_dice = random.Random(1)
SCORES = ["[c]", " 7", *(repr(_dice.random()) for _ in range(5_000))]
"""With other spellings, so that the Parquet file is written twice; nothing that could be packed well."""


def text_of(scores, quote=""):
    """A CSV; with a quote inside a cell it is also written in plain form."""
    return rows(*(f"gr{quote}oup {number % 20},{number},{score}" for number, score in enumerate(scores)))


@dataclass
class Disk:
    """A small file system with a data directory on it, and a ballast that takes the rest of its room."""

    root: Path

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def free(self) -> int:
        at = os.statvfs(self.root)
        return at.f_bavail * at.f_frsize

    def leave(self, room: int) -> None:
        with (self.root / "ballast").open("wb") as file:
            if self.free > room:
                os.posix_fallocate(file.fileno(), 0, self.free - room)

    def make_room(self) -> None:
        (self.root / "ballast").unlink()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    root = tmp_path_factory.mktemp("disk")
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs a file system of its own, which only root on Linux can mount")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(root)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A sandbox with a small 1.0, a larger 2.0, and a 3.0 that is read the slow way."""
    root = tmp_path_factory.mktemp("published")
    editions = {"1.0": scored("1", "c"), "2.0": text_of(SCORES), "3.0": text_of(SCORES, '"')}
    data_set = describe(root, "d", *(Edition(version, text) for version, text in editions.items()))
    with Sandbox(root) as sandbox:
        yield sandbox.url, data_set


@pytest.fixture(scope="module")
def prepared(disk, published, tmp_path_factory):
    """A data directory with 1.0 loaded, kept elsewhere."""
    url, data_set = published
    folder = tmp_path_factory.mktemp("prepared") / "data"
    folder.mkdir()
    (folder / "ks4.toml").write_text(f'[data_sets.d]\nid = "{data_set.id}"\n', encoding="utf-8")
    assert ks4(folder, url, "run", "--version", "1.0") == 0
    return folder


@pytest.fixture(autouse=True)
def fresh(disk, prepared):
    shutil.copytree(prepared, disk.data_dir)
    yield
    shutil.rmtree(disk.data_dir)
    (disk.root / "ballast").unlink(missing_ok=True)


def ks4(data_dir, url, *command):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS4_DATA_DIR", str(data_dir))
        patch.setenv("KS4_API_URL", url)
        with pytest.raises(SystemExit) as ended:
            app(list(command))
    return ended.value.code


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_right(data_dir: Path, table: str = "v2_0_0") -> bool:
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute(f"SELECT pupils, score, score_flag FROM d.{table} ORDER BY rowid").fetchall()
    expected = [(float(n), None if s == "[c]" else float(s), "c" if s == "[c]" else None) for n, s in enumerate(SCORES)]
    return found == expected


def test_it_ends_in_a_clear_error_and_harms_nothing_wherever_it_strikes(disk, prepared, published, capsys):
    url, _ = published
    before = files(prepared)
    finished: list[str] = []
    room = 0
    while True:
        disk.leave(room)
        free = disk.free
        code = ks4(disk.data_dir, url, "run", "--version", "2.0")
        said = capsys.readouterr().err
        if code == 0:
            break
        assert code == 1, said
        assert "is full" in said or "No space left on device" in said
        assert f"{disk.data_dir}" in said, "where"
        assert "Make room" in said, "what to do"
        assert "Traceback" not in said
        assert "refused" not in said, "a full disk says nothing of the file"
        after = files(disk.data_dir)
        assert after["warehouse.duckdb"] == before["warehouse.duckdb"]
        new = sorted(after.keys() - before.keys() - {"warehouse.duckdb.lock"})
        whole = [name for name in new if name.startswith(("landing/d/2.0/", "observations/d/2.0."))]
        assert new == whole, "only what was finished may stay"
        assert free - disk.free <= sum(len(after[name]) + 4 * KIB for name in new)
        disk.make_room()
        finished.append(", ".join(new))
        room += 8 * KIB if room < 176 * KIB else 768 * KIB
    steps = sorted(set(finished), key=finished.index)
    assert len(steps) >= 3, f"before landing, before observations, before the edition: {steps}"
    disk.make_room()
    assert is_right(disk.data_dir)


@pytest.mark.parametrize("room", [0, 96 * KIB, 256 * KIB, 900 * KIB])
def test_once_there_is_room_a_plain_run_ends_right(disk, published, room):
    """Of 3.0, whose plain form is the largest by far until the edition is made."""
    url, _ = published
    disk.leave(room)
    assert ks4(disk.data_dir, url, "run", "--version", "3.0") == 1
    disk.make_room()
    assert ks4(disk.data_dir, url, "run", "--version", "3.0") == 0
    assert is_right(disk.data_dir, "v3_0_0")
    assert [path for path in disk.data_dir.rglob("*") if path.name.startswith(".") or "build" in path.name] == []


def test_a_run_of_dagster_fails_with_the_same_words(disk, published, tmp_path):
    url, data_set = published
    pipeline = pipeline_for(disk.data_dir, url, data_set)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions(versions_of(data_set).name, ["2.0"])
        disk.leave(16 * KIB)
        result = dg.materialize(
            [*build_assets(data_set, rules_in_force({}, data_set.name)), dg.AssetSpec(asset_key(data_set, "listing"))],
            selection=[asset_key(data_set, "landing")],
            resources={"pipeline": pipeline},
            partition_key="2.0",
            instance=instance,
            raise_on_error=False,
        )
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert f"The disk of {disk.data_dir / 'landing' / 'd'} is full" in failed.step_failure_data.error_display_string


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"), True),
        (duckdb.IOException('Could not write file "x": No space left on device'), True),
        (OSError(13, "Permission denied"), False),
        (DataSet, False),
    ],
)
def test_it_is_known_by_number_or_by_words(error, full):
    assert is_full(error) == full


def test_it_is_one_error_of_the_package():
    assert DiskFullError.__mro__[1].__name__ == "Ks4Error"
