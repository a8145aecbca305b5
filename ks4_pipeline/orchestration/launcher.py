"""Starts runs as Dagster does by default, and notices those whose process is gone.

Dagster's own launcher cannot tell: a run whose process was killed together with the code server that started it (a
power cut, an out-of-memory kill, ``kill -9``) stays "started" until its maximal running time is over, keeps its pool
slot and keeps its version from being loaded. With this launcher, run monitoring marks it as failed within seconds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEventType, EngineEventData
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes.config_class import ConfigurableClassData

from ks4_pipeline import durable

_HERE = {"localhost", "127.0.0.1", "::1"}
_CLOCK_SLACK_SECONDS = 5.0


class WatchfulRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, able to say whether a run's process is still there.

    It judges only runs of code servers on this machine; of others it says that they run.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> WatchfulRunLauncher:
        """Make one from ``dagster.yaml``; there is nothing to configure."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """That it can tell."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes a run is there."""
        started = _process_of(self._instance, run)
        if started is None or not _is_here(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not known which process it is")
        pid, since = started
        if process_lives(pid, since):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"process {pid} lives")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} is gone: killed, or the machine went down")


def process_lives(pid: int, since: float) -> bool:
    """Whether a process that was there at a moment (seconds since 1970) is still there, not another of its number."""
    if not durable.alive(pid):
        return False
    if not sys.platform.startswith("linux"):
        return True
    try:
        # Behind the command's name, which stands in brackets and may hold anything: state, …, start in clock ticks.
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except FileNotFoundError:
        return False
    except (OSError, StopIteration):
        return True
    is_zombie = facts[0] == "Z"  # dead, and nobody has asked for its exit code
    begun = int(boot) + int(facts[19]) / os.sysconf("SC_CLK_TCK")
    return not is_zombie and begun <= since + _CLOCK_SLACK_SECONDS


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[int, float] | None:
    """The process that executes a run and a moment when it was there, as the run's log tells."""
    records = instance.get_records_for_run(run.run_id, of_type=DagsterEventType.ENGINE_EVENT, ascending=False).records
    for record in records:
        entry = record.event_log_entry
        data = entry.get_dagster_event().event_specific_data
        if isinstance(data, EngineEventData) and "pid" in data.metadata:
            return int(str(data.metadata["pid"].value)), entry.timestamp
    return None


def _is_here(run: dg.DagsterRun) -> bool:
    return json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("host") in _HERE
