"""What every benchmark is told: how large, how often, where; and the ways to start the pipeline that they share."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.synthetic import DATA_SET_ID
from ks4_pipeline_tests.benchmarks.processes import KS4, PYTHON, Took, measure
from ks4_pipeline_tests.benchmarks.publication import SIZES, work_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKAGE = "ks4_pipeline_tests.benchmarks"
NATIONAL = DATA_SET_ID


@dataclass(frozen=True)
class Setting:
    """How the suite was asked for.

    Attributes:
        rows: of the large data set.
        runs: of each thing that takes long; short ones are run more often.
        gigabytes: of the big warehouse.
        restated: see :class:`ks4_pipeline_tests.benchmarks.figures.Figures`.
        routes: of ``load``, by their keys; empty for all.
        data_sets, versions: how many are followed, and of each how many loaded, when there is no news.
    """

    rows: int
    runs: int
    gigabytes: float
    routes: Sequence[str] = ()
    restated: int = 6
    data_sets: int = 100
    versions: int = 50

    @property
    def is_largest(self) -> bool:
        """Whether the bounds for ten million rows are to be judged."""
        return self.rows >= SIZES["10m"]

    @property
    def many_runs(self) -> int:
        """How often what takes a second is run."""
        return 5 * self.runs

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder on the disk where the files are, gone after the block."""
        parent = work_folder()
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="room-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def data_dir(folder: Path) -> Path:
    """Where the pipeline keeps everything when it works in a folder."""
    return folder / "data"


def warehouse(folder: Path) -> Path:
    """The published warehouse of a pipeline that works in a folder."""
    return data_dir(folder) / "warehouse.duckdb"


def ks4(folder: Path, *arguments: str, url: str | None = None) -> Took:
    """Run a command of the pipeline in a folder."""
    return measure([KS4, *arguments], folder, _environment(folder, url))


def step(folder: Path, name: str, url: str) -> Took:
    """Run one step of the pipeline in a folder."""
    return measure([PYTHON, "-m", f"{PACKAGE}.steps", name], folder, _environment(folder, url))


def script(folder: Path, module: str, *arguments: str) -> Took:
    """Run a module of this package in a folder."""
    return measure([PYTHON, "-m", f"{PACKAGE}.{module}", *arguments], folder)


def follow(folder: Path, data_sets: Mapping[str, str], limits: Sequence[str] = ()) -> None:
    """Write the configuration that follows these data sets, by name; ``limits`` are lines of ``[limits]``."""
    lines = [f'[data_sets.{name}]\nid = "{data_set_id}"\n' for name, data_set_id in data_sets.items()]
    lines += ["[limits]\n", *(f"{line}\n" for line in limits)] if limits else []
    data_dir(folder).mkdir(parents=True, exist_ok=True)
    (data_dir(folder) / "ks4.toml").write_text("".join(lines), "utf-8")


def _environment(folder: Path, url: str | None) -> dict[str, str]:
    environment = {"KS4_DATA_DIR": str(data_dir(folder))}
    return environment | ({"KS4_API_URL": url} if url else {})
