"""``ks4 dev`` as a user runs it, for tests: Dagster's daemon, web server, code server and run processes.

Nothing of it is replaced. A test waits for what it wants to see and never for a length of time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import dagster as dg
import httpx

from ks4_pipeline.orchestration.assets import WRITER_POOL
from ks4_pipeline.orchestration.instance import prepare
from ks4_pipeline.orchestration.sensors import POLL_SENSOR
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import Settings
from ks4_pipeline.versions import VersionNumber

DEADLINE = 180.0
LOCATION = "ks4_pipeline"
Found = TypeVar("Found")


def wait_for(what: str, look: Callable[[], Found | None], within: float = DEADLINE) -> Found:
    """Look until there is something; a failed assertion that says what was waited for when it does not come."""
    until = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"waited {within:.0f} s in vain for: {what}")
        time.sleep(0.2)


class DagsterDev:
    """``ks4 dev`` on a data directory, while the ``with`` block runs.

    Args:
        settings: where and which data sets; written to ``ks4.toml`` for the processes.
        poll_seconds: the poll interval.
    """

    def __init__(self, settings: Settings, *, poll_seconds: float = 2) -> None:
        self.settings = settings
        self.pipeline = Pipeline(settings)
        self.home = settings.data_dir / "dagster"
        self._port = _free_port()
        self._log = settings.data_dir / "dagster-dev.log"
        lines = [f'api_url = "{settings.api_url}"', f"poll_minutes = {poll_seconds / 60}"]
        for data_set in settings.data_sets:
            lines += [f"[data_sets.{data_set.name}]", f'id = "{data_set.id}"']
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        (settings.data_dir / "ks4.toml").write_text("\n".join(lines) + "\n")
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("KS4_", "DAGSTER_"))},
            "KS4_DATA_DIR": str(settings.data_dir),
            "DAGSTER_HOME": str(self.home),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self._log.read_text(errors="replace")[-8000:])
        self.stop()

    def start(self) -> None:
        """Start it, as a session of its own."""
        assert prepare(self.settings) == self.home.resolve()
        command = [sys.executable, "-c", "from ks4_pipeline.cli import main; main()", "dev"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it as Ctrl-C does; by force when it does not."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self.kill()

    def kill(self) -> None:
        """What a power cut does to it: every process of it is gone at once."""
        if self._process is not None:
            for pid in _session(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """What the UI does: a GraphQL request to the web server, once that answers."""

        def answered() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                return httpx.post(
                    f"http://127.0.0.1:{self._port}/graphql",
                    content=json.dumps({"query": query, "variables": variables}),
                    headers={"Content-Type": "application/json"},
                    timeout=60,
                )
            return None

        answer = wait_for("the web server's answer", answered).json()
        assert "errors" not in answer, answer
        return dict(answer["data"])

    def switch(self, sensor: str, *, on: bool) -> None:
        """Switch a sensor as a person does in the UI, who looks whether it stayed so."""
        if on:
            query = (
                "mutation($s: SensorSelector!) {startSensor(sensorSelector: $s) {__typename "
                "... on Sensor {sensorState {status}}}}"
            )
            found = self.ask(query, s=self._selector(sensor))["startSensor"]
            assert found["sensorState"]["status"] == "RUNNING", found
        else:
            wait_for(f"{sensor} to be off and to stay off", lambda: self._stays_off(sensor))

    def _stays_off(self, sensor: str) -> bool:
        """Switch a sensor off and see whether it is still off when the daemon has looked at its state anew.

        A tick begun before, or by a daemon that read the state before, still asks for runs; and as the daemon writes
        back the state that it read some moments ago, the switch may be lost. Ticks of the poll sensor tell that the
        daemon has gone on.
        """
        query = (
            "mutation($id: String!) {stopSensor(id: $id) {__typename "
            "... on StopSensorMutationResult {instigationState {status}}}}"
        )
        found = self.ask(query, id=self._sensor(sensor, ticks=1)["id"])["stopSensor"]
        assert found["instigationState"]["status"] == "STOPPED", found
        switched = time.time()

        def looked_anew() -> bool:
            return all(tick["timestamp"] > switched for tick in self._sensor(POLL_SENSOR, ticks=2)["ticks"])

        wait_for("two more ticks of the poll sensor", looked_anew)
        state = self._sensor(sensor, ticks=1)
        return state["status"] == "STOPPED" and all(tick["status"] != "STARTED" for tick in state["ticks"])

    def _sensor(self, sensor: str, *, ticks: int) -> dict[str, Any]:
        """The state of a sensor: its id, status and last ticks."""
        query = (
            "query($s: SensorSelector!, $n: Int!) {sensorOrError(sensorSelector: $s) "
            "{... on Sensor {sensorState {id status ticks(limit: $n) {status timestamp}}}}}"
        )
        return dict(self.ask(query, s=self._selector(sensor), n=ticks)["sensorOrError"]["sensorState"])

    def _selector(self, sensor: str) -> dict[str, str]:
        return {
            "repositoryName": "__repository__",
            "repositoryLocationName": self._location(),
            "sensorName": sensor,
        }

    def _location(self) -> str:
        def loaded() -> str | None:
            query = "{workspaceOrError {... on Workspace {locationEntries {name locationOrLoadError {__typename}}}}}"
            entries = self.ask(query)["workspaceOrError"]["locationEntries"]
            names = [entry["name"] for entry in entries if entry["locationOrLoadError"]["__typename"] != "PythonError"]
            return names[0] if names else None

        return wait_for("the code location", loaded)

    def instance(self) -> dg.DagsterInstance:
        """The instance its processes work on, for looking at."""
        return dg.DagsterInstance.from_config(str(self.home))

    def runs(self, version: str) -> list[dg.DagsterRun]:
        """All runs of a version, newest first."""
        with self.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": version})))

    def slot_is_taken(self) -> bool:
        """Whether a run has the one slot of the pool of those who write the warehouse."""
        with self.instance() as instance:
            if WRITER_POOL not in instance.event_log_storage.get_concurrency_keys():
                return False
            return instance.event_log_storage.get_concurrency_info(WRITER_POOL).active_slot_count > 0

    def loaded(self) -> dict[str, str]:
        """By version of the first data set, the channels that show it."""
        name = self.settings.data_sets[0].name
        return {
            str(version): ",".join(loaded.channels)
            for version, loaded in self.pipeline.in_force().get(name, {}).items()
        }

    def wait_for_versions(self, **channels: str) -> None:
        """Wait until exactly these versions are loaded: ``v1_0_1="latest,v1,v1_0"``."""
        wanted = {str(VersionNumber(*map(int, name[1:].split("_")))): shown for name, shown in channels.items()}
        wait_for(f"{wanted} in the warehouse, there is {self.loaded()}", lambda: self.loaded() == wanted)


def _session(leader: int) -> list[int]:
    """The processes of a session: everything that was started in it, whatever its process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(path.name)) == leader:
                found.append(int(path.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
