"""``ks4 dev``: Dagster's UI and daemon on this data directory, as child processes that end with this one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ks4_pipeline import durable
from ks4_pipeline.cli.choosing import settings_for_loading
from ks4_pipeline.cli.console import say, say_wrapped
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.orchestration.instance import prepare

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from ks4_pipeline.settings import Settings

EXTRA_ENVIRONMENT = {
    # dagster 1.13 advises a command of another package at each start; the line helps nobody here.
    "PYTHONWARNINGS": "ignore:Function `dev_command` is superseded",
}
"""What only the processes of ``ks4 dev`` are told beside the settings; what the environment has already stays."""
# The location's name is that of the project's own workspace.yaml: sensors switched off in one are off in the other.
_WORKSPACE = """\
load_from:
  - python_module:
      module_name: ks4_pipeline.definitions
      location_name: ks4_pipeline
"""
_ENDS_WITHIN = 60.0
_HAS_GROUPS = hasattr(os, "killpg")
_REQUESTS_TO_END = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def dev(host: str, port: int) -> int:
    """Run until interrupted; Dagster's exit code.

    Raises:
        ConfigurationError: when the port is taken or the settings cannot be used.
    """
    settings = settings_for_loading()
    _check_port(host, port)
    home = prepare(settings)
    say_wrapped(f"Dagster on {settings.data_dir}: http://{host}:{port} in a few seconds. Ctrl-C ends it.", "bold")
    sys.stdout.flush()
    workspace = home / "workspace.yaml"
    durable.write_atomically(workspace, _WORKSPACE.encode())
    arguments = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", host, "-p", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        arguments,
        env=_environment(settings, home),
        stdin=subprocess.DEVNULL,
        # A group of its own: Ctrl-C then reaches Dagster once, through us. Twice would break off its own ending.
        process_group=0 if _HAS_GROUPS else None,
    )
    return _wait(process)


def _environment(settings: Settings, home: Path) -> dict[str, str]:
    """This process's environment, with paths that do not depend on the folder a run starts in."""
    found = {**os.environ, "DAGSTER_HOME": str(home.absolute()), "KS4_DATA_DIR": str(settings.data_dir.absolute())}
    if found.get("KS4_CONFIG"):
        found["KS4_CONFIG"] = os.path.abspath(found["KS4_CONFIG"])  # noqa: PTH100 - a link in it stays one
    # Who starts the daemon by this command wants it to work; who wrote `sensors` into the file has said what he wants.
    sensors = {} if "sensors" in settings.model_fields_set else {"KS4_SENSORS": "running"}
    return EXTRA_ENVIRONMENT | sensors | found


def _check_port(host: str, port: int) -> None:
    """Dagster would start all its processes before it found that the port is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used ({error.strerror or error}). Give another with --port."
        ) from error


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for Dagster; when asked to end, let it end its processes, and end them by force when it does not."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in _REQUESTS_TO_END:
        signal.signal(number, asked)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            _kill(process)
        say("Stopped.")
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    if _HAS_GROUPS:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
