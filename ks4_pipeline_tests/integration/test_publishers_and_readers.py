"""One publisher at a time, who says for whom he waits; and any number of readers, whom no publisher disturbs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ks4_pipeline.run import run
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline_tests.publisher import Edition, describe, id_of, load, pipeline_for, scored

KS4 = [sys.executable, "-c", "from ks4_pipeline.cli import main; main()"]
HOLDER = """
import sys
from pathlib import Path
from ks4_pipeline.warehouse.file import WarehouseFile
with WarehouseFile(Path(sys.argv[1])).rewrite() as connection:
    print("holding", flush=True)
    sys.stdin.read()
"""
VERSIONS = 50
FRESH_READERS = 4


@pytest.fixture
def published(tmp_path):
    """A sandbox with data set ``d``, 1.0 to 1.3, and the environment of a ``ks4`` that follows it."""
    data_set = describe(
        tmp_path / "published", "d", *(Edition(f"1.{minor}", scored(str(minor), "c")) for minor in range(4))
    )
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "ks4.toml").write_text(f'[data_sets.d]\nid = "{id_of("d")}"\n', encoding="utf-8")
    with Sandbox(tmp_path / "published") as sandbox:
        environment = {**os.environ, "KS4_DATA_DIR": str(data_dir), "KS4_API_URL": sandbox.url}
        yield pipeline_for(data_dir, sandbox.url, data_set), environment


@pytest.fixture
def hold():
    """Begins a process that publishes, and waits until it does."""
    holders = []

    def begin(path):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout.readline() == "holding\n"
        return holder

    yield begin
    for holder in holders:
        holder.kill()
        holder.communicate()


def begin_run(environment):
    return subprocess.Popen([*KS4, "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestPublishers:
    def test_two_runs_at_once_both_end_right(self, published):
        pipeline, environment = published
        running = [begin_run(environment) for _ in range(2)]
        said = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0, 0], said
        assert sorted(map(str, pipeline.in_force()["d"])) == ["1.0", "1.1", "1.2", "1.3"]
        assert not load(pipeline).published

    def test_a_run_that_waits_says_for_whom_and_ends_right(self, published, hold):
        pipeline, environment = published
        run(pipeline, pipeline.settings.data_sets, only={VersionNumber(1, 0)})
        holder = hold(pipeline.warehouse.path)
        running = begin_run(environment)
        said = running.stderr.readline()
        assert f"process {holder.pid} on {socket.gethostname()} (-c {pipeline.warehouse.path}), since 20" in said
        assert "Waiting for it, at most 600 s" in said
        holder.communicate()
        running.communicate(timeout=120)
        assert (holder.returncode, running.returncode) == (0, 0)
        assert len(pipeline.in_force()["d"]) == 4

    @pytest.mark.parametrize("wait", [0.1, 1.2])
    def test_waiting_has_an_end_and_the_error_says_for_whom(self, tmp_path, hold, wait):
        path = tmp_path / "warehouse.duckdb"
        holder = hold(path)
        with (
            pytest.raises(WarehouseError, match=rf"held for more than .* by process {holder.pid} on .*Nothing is lost"),
            WarehouseFile(path, wait_seconds=wait).rewrite(),
        ):
            raise AssertionError

    def test_a_dead_ones_lock_is_free_at_once(self, tmp_path, hold):
        path = tmp_path / "warehouse.duckdb"
        holder = hold(path)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert list(tmp_path.glob("*.build-*"))
        begun = time.monotonic()
        with WarehouseFile(path, wait_seconds=0.5).rewrite() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1")
        assert time.monotonic() - begun < 5
        assert sorted(found.name for found in tmp_path.iterdir()) == ["warehouse.duckdb", "warehouse.duckdb.lock"]

    @pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', None])
    def test_one_who_left_no_note_is_another_process(self, tmp_path, hold, note):
        path = tmp_path / "warehouse.duckdb"
        hold(path)
        beside = tmp_path / "warehouse.duckdb.publisher.json"
        if note is None:
            beside.unlink()
        else:
            beside.write_text(note, encoding="utf-8")
        with pytest.raises(WarehouseError, match="by another process"), WarehouseFile(path, wait_seconds=0).rewrite():
            raise AssertionError

    def test_tidying_leaves_one_who_is_at_work_alone(self, tmp_path, hold):
        path = tmp_path / "warehouse.duckdb"
        holder = hold(path)
        WarehouseFile(path).tidy()
        holder.communicate()
        assert holder.returncode == 0
        assert path.exists()


def test_readers_see_one_whole_edition_at_any_time_while_fifty_are_published(tmp_path):
    data_set = describe(
        tmp_path / "published", "d", *(Edition(f"1.{minor}", scored(str(minor), "c")) for minor in range(VERSIONS))
    )
    numbers = [VersionNumber(1, minor) for minor in range(VERSIONS)]
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        with pipeline.client() as client:
            pipeline.look(client, data_set)
            for number in numbers:
                pipeline.observe(data_set, pipeline.land(client, data_set, number))
    pipeline.publish(data_set, numbers[:1])
    readers = [begin_reading(pipeline.warehouse.path, kind) for kind in ["fresh"] * FRESH_READERS + ["held"]]
    try:
        assert [reader.stdout.readline() for reader in readers] == ["ready\n"] * len(readers)
        for number in numbers[1:-1]:
            pipeline.publish(data_set, [number])
        readers.append(begin_reading(pipeline.warehouse.path, "held"))
        assert readers[-1].stdout.readline() == "ready\n"
        pipeline.publish(data_set, numbers[-1:])
        told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    assert [(reader["errors"], reader["first"], reader["last"]) for reader in told] == [
        *[([], 1, VERSIONS)] * FRESH_READERS,
        ([], 1, 1),
        ([], VERSIONS - 1, VERSIONS - 1),
    ]
    assert all(reader["reads"] > 10 for reader in told[:-1]), told
    assert len(pipeline.in_force()["d"]) == VERSIONS


def begin_reading(path, kind):
    return subprocess.Popen(
        [sys.executable, "-m", "ks4_pipeline_tests.reading", str(path), kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
