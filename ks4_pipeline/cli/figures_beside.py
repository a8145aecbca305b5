"""Synthetic figures made by a process of its own, while this one imports what will load them: 0.2 s less to wait."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ks4_pipeline.errors import Ks4Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def figures_beside() -> Iterator[Callable[[], Path]]:
    """Begin to make the synthetic data set, with every version but 1.0 held back.

    Yields:
        What waits until it is there, and gives the folder to serve, which is gone after the block. It raises a
        :class:`Ks4Error` when it could not be made.
    """
    with (
        TemporaryDirectory(prefix="ks4-synthetic-") as folder,
        subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-m", "ks4_pipeline.sandbox.synthetic", folder],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a terminal's interrupt is for this process alone; that one ends in a moment
        ) as process,
    ):

        def finished() -> Path:
            _, told = process.communicate()
            if process.returncode:
                why = told.strip().rpartition("\n")[-1] or f"exit code {process.returncode}"
                raise Ks4Error(f"The synthetic figures could not be made in {folder}: {why}")
            return Path(folder)

        yield finished
