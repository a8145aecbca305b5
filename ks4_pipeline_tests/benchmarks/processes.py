"""Whole processes and what they take: wall, CPU, the largest process's memory, and the disk they use at most.

Everything a process writes goes into one folder that is its working folder too and holds its temporary files, so the
folder's size, looked at all the time, is what it needs on disk. Files deleted while open are not seen.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_log = logging.getLogger(__name__)
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOOK_EVERY = 0.05
_REST = 20  # times as long as a look at very many files takes: it must not take the machine from who is measured
_SHOWN = 2_000

PYTHON = sys.executable
KS4 = str(Path(sys.executable).with_name("ks4"))


class ProcessFailedError(Exception):
    """A measured process did not do its work: whatever it took means nothing."""


@dataclass(frozen=True)
class Took:
    """What one run of a process took.

    Attributes:
        wall, cpu: seconds; CPU is user and system, of all its processes.
        peak: bytes of memory of its largest process.
        disk: bytes its folder held at most.
        kept: bytes its folder holds at the end.
        said: what it printed.
    """

    wall: float
    cpu: float | None = None
    peak: int | None = None
    disk: int | None = None
    kept: int | None = None
    said: str = ""


def measure(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Took:
    """Run a command in a folder and say what it took.

    Args:
        command: program and arguments.
        folder: where it works; made if need be.
        env: variables added to :func:`clean_environment`.

    Raises:
        ProcessFailedError: it ended with another exit code than 0.
    """
    temporary = folder / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    report = folder.parent / f"{folder.name}.took.json"
    os.sync()  # what others have written before is not this one's to flush
    with _Disk(folder) as disk:
        code, out, err = _run(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(report), *command],
            folder,
            {**clean_environment(), "TMPDIR": str(temporary), **(env or {})},
        )
    if code:
        raise ProcessFailedError(f"{' '.join(command)} ended with {code}:\n{(err or out)[-_SHOWN:]}")
    found = json.loads(report.read_text("utf-8"))
    report.unlink()
    _log.info("%8.2f s  %s", found["wall"], " ".join(map(_short, command)))
    return Took(found["wall"], found["cpu"], found["peak"], disk.most, used(folder), out)


def _run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code and output of a command; when this process is interrupted, all of its processes end too."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out, err


def _short(argument: str) -> str:
    """An argument without its folders."""
    return argument if " " in argument else argument.rpartition("/")[2]


def clean_environment() -> dict[str, str]:
    """This process's variables without those that the pipeline listens to, and with Python's compiled code kept.

    pip compiles the packages it installs, but not one that is edited in place: where nothing may be kept, as in many
    containers, it alone would be compiled at every start, and what it is compared with would not.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KS4_") and name != "PYTHONDONTWRITEBYTECODE"
    }


def used(folder: Path) -> int:
    """Bytes that the files of a folder take on disk."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += used(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


class _Disk:
    """Looks at a folder's size while its block runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.most = max(self.most, used(self._folder))

    def _look(self) -> None:
        pause = _LOOK_EVERY
        while not self._done.wait(pause):
            began = time.perf_counter()
            self.most = max(self.most, used(self._folder))
            pause = max(_LOOK_EVERY, _REST * (time.perf_counter() - began))
