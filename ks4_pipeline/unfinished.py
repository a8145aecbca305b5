"""Rooms for unfinished work: hidden folders that are safe from everybody else and do not outlive their owner.

A room lies on the disk where the finished thing will stand, so that it can be moved there in one step. A lock beside it
says that its owner is at work; process ids would not do, since threads share one and containers count their own. Who
makes a room removes those beside it whose owner is gone, and a whole run those of the whole data directory.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ks4_pipeline import disk

_PREFIX = ".unfinished-"
_LOCK = ".lock"


@contextmanager
def room(parent: Path) -> Iterator[Path]:
    """A new, empty folder below an existing one; gone when the block ends, with all that is still in it.

    Raises:
        DiskFullError: when what is done in the block fails of that.
    """
    clean(parent)
    with disk.told(parent):
        folder, lock = _locked(parent)
        try:
            folder.mkdir()
            yield folder
        finally:
            _remove(folder, lock)


def rooms(folder: Path) -> list[Path]:
    """All rooms below a folder, of the living and of the dead, as the paths of their locks."""
    return sorted(folder.rglob(f"{_PREFIX}*{_LOCK}"))


def clean(parent: Path) -> None:
    """Remove the rooms that were left by processes and threads that are gone."""
    for path in parent.glob(f"{_PREFIX}*"):
        folder = path.with_suffix("")
        lock = _lock(folder)
        # The lock is there before the folder and goes after it: without one, nobody is at work.
        if path == folder and Path(lock.lock_file).exists():
            continue  # judged by its lock, which is listed as well
        with suppress(OSError):  # at work, or not ours to remove
            lock.acquire(timeout=0)
            _remove(folder, lock)


def clean_below(root: Path) -> None:
    """Remove such rooms from a folder and all folders in it."""
    for parent in {path.parent for path in root.rglob(f"{_PREFIX}*")}:
        clean(parent)


def _locked(parent: Path) -> tuple[Path, FileLock]:
    while True:
        folder = parent / f"{_PREFIX}{secrets.token_hex(8)}"
        lock = _lock(folder)
        with suppress(Timeout):  # somebody cleans, and was quicker than we: take another name
            lock.acquire(timeout=0)
            if Path(lock.lock_file).exists():
                return folder, lock
            lock.release()


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_name(folder.name + _LOCK), thread_local=False)


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(PermissionError):  # Windows removes no open file
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
