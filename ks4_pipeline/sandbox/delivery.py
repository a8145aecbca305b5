"""Keeps the gzip of every CSV ready on disk.

A ``.csv.gz`` is served as it lies there, whatever it holds; a ``.csv`` is packed at its first download, once, into the
cache folder, always to the same bytes. Nothing here reads the content.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 1 << 20
_LARGE = 64 * _PIECE


class Delivery:
    """Gives the packed file of a CSV; safe to use from any thread."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._guard = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}

    def packed(self, file: Path) -> Path:
        """The gzip of a file, made now if it is not there yet; a changed file is packed anew."""
        if file.suffix == ".gz":
            return file
        target = self._cache / f"{_fingerprint(file)}.csv.gz"
        with self._guard:
            lock = self._locks.setdefault(target, threading.Lock())
        with lock:
            if not target.exists():
                self._pack(file, target)
        return target

    def _pack(self, file: Path, target: Path) -> None:
        # Large files are packed fast rather than small: a client must not wait minutes for its first byte.
        level = 1 if file.stat().st_size > _LARGE else 6
        unfinished = target.with_suffix(".part")
        self._cache.mkdir(parents=True, exist_ok=True)
        with (
            file.open("rb") as plain,
            unfinished.open("wb") as out,
            gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=out, mtime=0) as packed,
        ):
            shutil.copyfileobj(plain, packed, _PIECE)
        unfinished.replace(target)


def _fingerprint(file: Path) -> str:
    facts = file.stat()
    text = f"{file.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
