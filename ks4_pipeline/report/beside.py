"""Change reports made by a process beside the one that loads, so that neither waits for the other.

What draws the charts takes half a second to start, and nothing else of its process runs while it works. An order goes
to the process as a line of JSON, and what came of it comes back as one. It ends when its standard input does, so that
it outlives nobody; what it left unfinished is removed by whoever makes reports next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ks4_pipeline.process import begin, end_at_once
from ks4_pipeline.report.attempt import Attempt, report_path, why
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Self, TextIO

    from ks4_pipeline.report.making import Reports

    Loaded = Mapping[str, Iterable[VersionNumber]]

_WITHOUT_HURRY = 5
"""How much nicer the process is than the one that loads, which nobody's report should hold up."""


class ReportsBeside:
    """The reports of one data directory, made while the ``with`` block goes on.

    Args:
        warehouse: the published warehouse; a report is made from what stands there when its turn comes.
        folder: where reports belong.
    """

    def __init__(self, warehouse: Path, folder: Path) -> None:
        self._command = [sys.executable, "-P", "-m", __name__, str(warehouse), str(folder)]
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._problem = ""
        self._ordered: list[Loaded] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process; after an error without waiting for what it is at."""
        if self._process:
            if error is not None:
                self._process.terminate()
            self._process.communicate()

    def start(self) -> None:
        """Let the process make itself ready, if none was started yet: there will be something to do for it."""
        if self._process is None and not self._problem:
            # In a session of its own: a terminal's interrupt is for this process alone, which then ends that one.
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    encoding="utf-8",
                    start_new_session=True,
                )
            except OSError as error:  # told with the reports that cannot be made
                self._problem = why(error)

    def order(self, loaded: Loaded) -> None:
        """Have the reports made of versions that were loaded now, and of those that are compared with them.

        Args:
            loaded: by data set, the versions.
        """
        if loaded:
            self._ordered.append(loaded)
            line = json.dumps({name: [str(version) for version in versions] for name, versions in loaded.items()})
            self.start()
            with suppress(BrokenPipeError):  # it is gone: that is told when its answer is missing
                if self._process and self._process.stdin:
                    self._process.stdin.write(f"{line}\n")
                    self._process.stdin.flush()

    def collect(self) -> list[Attempt]:
        """Wait for all that was ordered."""
        found = [attempt for loaded in self._ordered for attempt in self._answer(loaded)]
        self._ordered.clear()
        return found

    def _answer(self, loaded: Loaded) -> list[Attempt]:
        process = self._process
        if process is None:
            return _all_failed(self._folder, loaded, self._problem)
        line = process.stdout.readline() if process.stdout else ""
        if line:
            return [
                Attempt(name, VersionNumber.parse(number), Path(path), problem)
                for name, number, path, problem in json.loads(line)
            ]
        return _all_failed(self._folder, loaded, f"what makes them ended with exit code {process.wait()}")


def _all_failed(folder: Path, loaded: Loaded, problem: str) -> list[Attempt]:
    return [
        Attempt(name, version, report_path(folder, name, version), problem)
        for name, versions in loaded.items()
        for version in versions
    ]


def _make(reports: Reports, loaded: Loaded) -> list[Attempt]:
    try:
        return reports.make_all(loaded)
    except Exception as error:  # noqa: BLE001 - whatever is wrong, what was loaded is loaded
        return _all_failed(reports.folder, loaded, why(error))


def _main(warehouse: str, folder: str) -> None:
    """The process: make itself ready, then reports as they are ordered."""
    begin()
    from ks4_pipeline.report import charts, page  # noqa: PLC0415 - not for the process that orders
    from ks4_pipeline.report.making import Reports  # noqa: PLC0415
    from ks4_pipeline.warehouse.file import WarehouseFile  # noqa: PLC0415

    answers = _answers_alone()
    if hasattr(os, "nice"):  # not on Windows
        os.nice(_WITHOUT_HURRY)
    charts.make_ready()
    page.make_ready()
    reports = Reports(WarehouseFile(Path(warehouse)), Path(folder))
    for line in sys.stdin:
        loaded = {name: [*map(VersionNumber.parse, versions)] for name, versions in json.loads(line).items()}
        made = _make(reports, loaded)
        rows = [(attempt.data_set, str(attempt.version), str(attempt.path), attempt.problem) for attempt in made]
        try:
            answers.write(f"{json.dumps(rows)}\n")
            answers.flush()
        except BrokenPipeError:  # who ordered them was killed, and nobody is left to be told
            break
    end_at_once(0)


def _answers_alone() -> TextIO:
    """Standard output, for answers; what other code writes there, in whatever language, goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    _main(*sys.argv[1:])
