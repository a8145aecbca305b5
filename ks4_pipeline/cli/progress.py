"""What a run says while it works: bars that move on a terminal, and one line per finished version everywhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ks4_pipeline.cli.console import console, counted, is_terminal, say, size
from ks4_pipeline.errors import printable
from ks4_pipeline.run import Outcome, Reporter, VersionOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress, TaskID

    from ks4_pipeline.landing import Listing
    from ks4_pipeline.settings import DataSet
    from ks4_pipeline.versions import VersionNumber

_SECONDS_BETWEEN_LINES = 10.0
_STYLES = {Outcome.LOADED: "green", Outcome.REFUSED: "red", Outcome.FAILED: "red"}


@contextmanager
def reporter() -> Iterator[Reporter]:
    """The reporter for whoever looks at standard output."""
    if not is_terminal():
        yield LineReporter()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[state]}", style="dim"))
    with Progress(*columns, console=console(), transient=True) as progress:
        yield BarReporter(progress)


class LineReporter(Reporter):
    """One plain line per event; of a download that takes long, a line now and then."""

    def __init__(self) -> None:
        self._last_line = time.monotonic()

    def looked(self, data_set: DataSet, listing: Listing, missing: Sequence[VersionNumber]) -> None:
        """How many versions there are, and how many are to be loaded."""
        self._say(_looked(data_set, listing, missing))

    def downloading(self, data_set: DataSet, version: VersionNumber, received: int, total: int | None) -> None:
        """How far a long download has come."""
        if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            of = f" of {size(total)}" if total else ""
            self._say(f"{data_set.name} {version}: {size(received)}{of} downloaded")

    def finished(self, outcome: VersionOutcome) -> None:
        """What became of a version."""
        self._say(describe(outcome))

    def publishing(self, versions: int) -> None:
        """That the next edition is being made."""
        self._say(_publishing(versions))

    def _say(self, text: str) -> None:
        say(text)
        self._last_line = time.monotonic()


class BarReporter(Reporter):
    """A bar for the version at work, and a line above it for each that is finished."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def looked(self, data_set: DataSet, listing: Listing, missing: Sequence[VersionNumber]) -> None:
        """How many versions there are, and how many are to be loaded."""
        self._line(_looked(data_set, listing, missing))

    def downloading(self, data_set: DataSet, version: VersionNumber, received: int, total: int | None) -> None:
        """Move the bar."""
        state = f"{size(received)} of {size(total)}" if total else size(received)
        self._show(f"{data_set.name} {version}", f"downloading {state}", received, total)

    def typing(self, data_set: DataSet, version: VersionNumber) -> None:
        """The bar turns into one without an end: nobody knows how far reading has come."""
        self._show(f"{data_set.name} {version}", "reading", 0, None)

    def finished(self, outcome: VersionOutcome) -> None:
        """What became of a version, for good."""
        self._clear()
        self._line(describe(outcome), _STYLES.get(outcome.outcome, ""))

    def publishing(self, versions: int) -> None:
        """The last bar."""
        self._show("warehouse", _publishing(versions), 0, None)

    def _line(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self._progress.console.print(Text(printable(text), style), soft_wrap=True)

    def _show(self, description: str, state: str, completed: int, total: int | None) -> None:
        if self._task is None:
            self._task = self._progress.add_task(description, total=total, state=state)
        if total is None:  # a bar that was full stays full unless it is made anew
            self._clear()
            self._task = self._progress.add_task(description, total=None, state=state)
        else:
            self._progress.update(self._task, description=description, completed=completed, total=total, state=state)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def describe(outcome: VersionOutcome) -> str:
    """One line about what became of a version."""
    what = f"{outcome.data_set} {outcome.version}" if outcome.version else outcome.data_set
    if outcome.outcome is Outcome.LOADED:
        markers = f", {counted(outcome.markers or 0, 'marker')}"
        return f"{what}: loaded, {counted(outcome.rows or 0, 'row')}{markers}"
    verdict = {
        Outcome.REFUSED: "refused",
        Outcome.FAILED: "not loaded",
        Outcome.UNREACHABLE: "the API cannot be reached",
        Outcome.UNKNOWN: "unknown to the publisher",
    }[outcome.outcome]
    return f"{what}: {verdict}"


def _looked(data_set: DataSet, listing: Listing, missing: Sequence[VersionNumber]) -> str:
    load = f"{len(missing):,} to load" if missing else "none to load"
    return f"{data_set.name}: {counted(len(listing.versions), 'version')} listed, {load}"


def _publishing(versions: int) -> str:
    return f"publishing {counted(versions, 'version')}" if versions else "publishing what the publisher says anew"
