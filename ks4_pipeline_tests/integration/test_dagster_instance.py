"""The instance that ``ks4 dev`` works on: its ``dagster.yaml``, and a launcher that knows whether a process lives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test

from ks4_pipeline.orchestration.instance import prepare
from ks4_pipeline.orchestration.launcher import WatchfulRunLauncher, process_lives
from ks4_pipeline.settings import Settings


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = prepare(Settings(data_dir=tmp_path))
    assert home == tmp_path / "dagster"
    return dg.DagsterInstance.from_config(str(home))


def test_dagster_takes_every_setting_of_the_file_we_write(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    assert isinstance(instance.run_launcher, WatchfulRunLauncher)
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] == 10
    assert instance.global_op_concurrency_default_limit == 1
    assert not instance.run_retries_enabled


def test_a_dagster_yaml_that_is_there_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    prepare(Settings(data_dir=tmp_path))
    assert (tmp_path / "mine" / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"


def test_a_run_whose_process_was_killed_is_noticed(instance: dg.DagsterInstance) -> None:
    with sleeping() as process:
        run = started_run(instance, process.pid, host="localhost")
        assert health(instance, run) is WorkerStatus.RUNNING
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert health(instance, run) is WorkerStatus.NOT_FOUND


def test_a_process_that_is_dead_and_not_yet_buried_does_not_live() -> None:
    with sleeping() as process:
        process.send_signal(signal.SIGKILL)
        until = time.monotonic() + 20
        while process_lives(process.pid, time.time()):  # a zombie until wait() below
            assert time.monotonic() < until
            time.sleep(0.01)


def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it() -> None:
    assert process_lives(os.getpid(), time.time())
    if sys.platform.startswith("linux"):
        assert not process_lives(os.getpid(), time.time() - 10 * 365 * 86400)


def test_of_runs_on_other_machines_nothing_is_claimed(instance: dg.DagsterInstance) -> None:
    with sleeping() as process:
        run = started_run(instance, process.pid, host="code-server.example")
    assert health(instance, run) is WorkerStatus.RUNNING


def test_a_run_that_has_not_said_which_process_it_is_counts_as_running(instance: dg.DagsterInstance) -> None:
    assert health(instance, create_run_for_test(instance, "load_x")) is WorkerStatus.RUNNING


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    return instance.run_launcher.check_run_worker_health(run).status


def started_run(instance: dg.DagsterInstance, pid: int, *, host: str) -> dg.DagsterRun:
    tags = {".dagster/grpc_info": json.dumps({"host": host, "socket": "/tmp/x"})}
    run = create_run_for_test(instance, "load_x", status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(pid))
    return run


class sleeping:  # noqa: N801 - reads as a verb where it is used
    """A process that does nothing, until the block ends."""

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
