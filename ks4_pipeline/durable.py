"""Files that survive a power cut: written whole, flushed to the disk, then given their name in one step."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from ks4_pipeline import unfinished

_COPIED_AT_ONCE = 1 << 30
_NOT_BY_THE_KERNEL = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.EPERM}


def flush(path: Path) -> None:
    """Make a file's content, or a folder's list of names, outlive a power cut."""
    if path.is_dir() and os.name == "nt":  # Windows has no handle for a folder's entries
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing, each with an entry that outlives a power cut."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    flush(path.parent)


def write(path: Path, content: bytes) -> None:
    """Write a new file and flush it; the folder's entry is the caller's to flush."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(finished: Path, target: Path) -> None:
    """Give a finished, flushed file or folder its real name, in one step that outlives a power cut."""
    finished.replace(target)
    flush(target.parent)


def copy(source: Path, target: Path) -> None:
    """Copy a file; in a moment where the file system lets both share what neither changes (XFS, Btrfs)."""
    if not hasattr(os, "copy_file_range"):  # Linux has it
        shutil.copyfile(source, target)
        return
    with source.open("rb") as read, target.open("wb") as written:
        try:
            while os.copy_file_range(read.fileno(), written.fileno(), _COPIED_AT_ONCE):
                pass
        except OSError as error:
            if error.errno not in _NOT_BY_THE_KERNEL or written.tell():
                raise
            shutil.copyfileobj(read, written, _COPIED_AT_ONCE >> 10)


def alive(pid: int) -> bool:
    """Whether a process runs: what a dead one left unfinished may be removed."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_atomically(path: Path, content: bytes) -> None:
    """Put content in place of a file: a reader sees the old or the new, never a part."""
    with unfinished.room(path.parent) as room:
        write(room / "part", content)
        replace(room / "part", path)
