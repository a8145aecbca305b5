"""Several at once on one landing folder: threads and processes never remove each other's work, and dead ones' goes."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ks4_pipeline import durable, unfinished
from ks4_pipeline.sandbox import Fault, FaultKind, Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, scored

ONE = VersionNumber(1, 0)


@pytest.fixture
def serve(tmp_path):
    """A running sandbox with so many versions, and its data set."""
    data_set = describe(
        tmp_path / "published", "d", *(Edition(f"1.{n}", scored(*"123456789", str(n))) for n in range(4))
    )
    with Sandbox(tmp_path / "published") as sandbox:
        yield sandbox, data_set


def test_threads_that_fetch_the_same_and_other_versions_at_once_all_get_them(serve, tmp_path):
    sandbox, data_set = serve
    sandbox.fail(Fault(kind=FaultKind.DRIP, path="*/csv", seconds=0.002))  # so that they overlap
    start = threading.Barrier(8)

    def fetch(number):
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        start.wait()
        with pipeline.client() as client:
            return pipeline.land(client, data_set, VersionNumber(1, number % 4)).version

    with ThreadPoolExecutor(8) as pool:
        fetched = list(pool.map(fetch, range(8)))
    assert fetched == [VersionNumber(1, number % 4) for number in range(8)]
    pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
    assert len(pipeline.landing.versions(data_set)) == 4
    for version in pipeline.landing.versions(data_set):
        pipeline.landed(data_set, version).verify()
    assert list((tmp_path / "data").rglob(".*")) == []
    sandbox.heal()
    assert load(pipeline).exit_code == 0


FETCH = """
import sys
from pathlib import Path
from ks4_pipeline_tests.publisher import pipeline_for
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
data_set = DataSet(name="d", id=sys.argv[3])
pipeline = pipeline_for(Path(sys.argv[1]), sys.argv[2], data_set)
with pipeline.client() as client:
    pipeline.land(client, data_set, VersionNumber(1, 0), lambda *_: print("receiving", flush=True))
"""


def test_processes_that_fetch_at_once_with_one_of_them_killed(serve, tmp_path):
    sandbox, data_set = serve
    sandbox.fail(Fault(kind=FaultKind.DRIP, path="*/csv", seconds=0.01, times=2))
    command = [sys.executable, "-c", FETCH, str(tmp_path / "data"), sandbox.url, data_set.id]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as slow,
    ):
        assert killed.stdout.readline() == slow.stdout.readline() == "receiving\n"
        folder = tmp_path / "data" / "landing" / "d"
        assert len(list(folder.glob(".unfinished-*/version/data.csv.gz"))) == 2
        killed.kill()
        killed.wait()
        with unfinished.room(folder):
            assert len(list(folder.glob(".unfinished-*/version/data.csv.gz"))) == 1, "the dead one's is removed"
        slow.communicate(timeout=30)
        assert slow.returncode == 0
    pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
    pipeline.landed(data_set, ONE).verify()
    assert list((tmp_path / "data").rglob(".*")) == []


def test_a_folder_that_gets_its_manifest_while_it_is_put_away_is_put_back(serve, tmp_path, monkeypatch):
    sandbox, data_set = serve
    pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
    folder = tmp_path / "data" / "landing" / "d" / "1.0"
    moved = []
    replace = Path.replace

    def quicker(path, target):
        if path == folder and not moved:  # another process names its own at this very moment
            moved.append(path)
            (folder / "manifest.json").write_bytes(whole)
        return replace(path, target)

    with pipeline.client() as client:
        whole = (pipeline.land(client, data_set, ONE).folder / "manifest.json").read_bytes()
        (folder / "manifest.json").unlink()
        (folder / "whose.txt").write_text("theirs")
        monkeypatch.setattr(Path, "replace", quicker)
        pipeline.land(client, data_set, ONE)
    assert moved
    assert (folder / "whose.txt").read_text() == "theirs"
    assert list((tmp_path / "data").rglob(".*")) == []


def test_readers_of_a_file_that_many_threads_replace_see_it_whole(tmp_path):
    path = tmp_path / "listing.json"
    durable.write_atomically(path, b"a" * 10_000)

    def write(letter):
        for _ in range(15):
            durable.write_atomically(path, letter * 10_000)

    with ThreadPoolExecutor(5) as pool:
        writing = [pool.submit(write, letter) for letter in (b"b", b"c", b"d", b"e")]
        seen = set()
        while not all(done.done() for done in writing):
            seen.add(path.read_bytes())
        for done in writing:
            done.result()
    assert {(len(content), len(set(content))) for content in seen} == {(10_000, 1)}
    assert list(tmp_path.iterdir()) == [path]


def test_a_room_whose_lock_was_lost_is_nobodys(tmp_path):
    (tmp_path / ".unfinished-00").mkdir()
    (tmp_path / ".unfinished-00" / "half").write_text("half")
    (tmp_path / ".unfinished-11.lock").touch()
    (tmp_path / "other").mkdir()
    with unfinished.room(tmp_path) as room:
        assert sorted(path.name for path in tmp_path.iterdir()) == [room.name, f"{room.name}.lock", "other"]
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_room_goes_when_its_work_fails(tmp_path):
    with pytest.raises(FileNotFoundError), unfinished.room(tmp_path) as room:
        (room / "half").write_text((room / "missing").read_text())
    assert list(tmp_path.iterdir()) == []
