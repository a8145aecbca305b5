"""A full disk, told in one way whoever runs into it: Python, polars or DuckDB."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ks4_pipeline.errors import Ks4Error

_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(Ks4Error):
    """A disk has no room for what was being made; nothing that was finished is touched by it."""


def is_full(error: Exception) -> bool:
    """Whether an error says that a disk is full; those of polars and DuckDB say it in words only."""
    return getattr(error, "errno", None) in _FULL or any(os.strerror(number) in str(error) for number in _FULL)


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Make one error of all that say that the disk below a folder is full.

    Raises:
        DiskFullError: it names the folder.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        usage = shutil.disk_usage(folder)
        raise DiskFullError(
            f"The disk of {folder} is full: {usage.free:,} of {usage.total:,} bytes are free, and what was being made "
            "there needs more. It is given up, and what was published stays as it is. Make room, then run again."
        ) from error
