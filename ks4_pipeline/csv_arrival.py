"""A CSV as it arrives: written to disk at the speed it comes, and read behind that by a thread of its own.

The publisher breaks off a download that takes longer than 30 s (contract §1.4), so nothing may hold it up: unpacking,
fingerprints and shape follow at their own pace, from the file. Who wants the records themselves gets them on the way,
decoded once. What they mean is not this module's business.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from ks4_pipeline.ees.errors import EesError
from ks4_pipeline.ees.gunzip import Gunzip
from ks4_pipeline.fingerprint import Bytes

if TYPE_CHECKING:
    from ks4_pipeline.csv_shape import CsvShape

_BLOCK = 8 << 20
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Arrived:
    """A CSV that came whole: what was served, the same decoded, and the shape of that."""

    served: Bytes
    csv: Bytes
    shape: CsvShape


class Records:
    """The records of a gzipped CSV, in blocks, while it is being unpacked.

    Args:
        packed: its bytes.
        gunzip: unpacks them.
    """

    def __init__(self, packed: Iterable[bytes], gunzip: Gunzip) -> None:
        from ks4_pipeline.csv_shape import ShapeReader  # noqa: PLC0415 - who only reads what landed needs no numpy

        self._packed = packed
        self._gunzip = gunzip
        self._digest = hashlib.sha256()
        self._unpacked = 0
        self._shape = ShapeReader()
        self._lines = self._unpack()
        self._failure: EesError | OSError | None = None
        self.csv: Bytes | None = None
        """That of the decoded text, once all of it was read and found whole."""

    def blocks(self) -> Iterator[bytes]:
        """Whole records of the decoded text, some megabytes at a time, the header first, without BOM.

        Ends early when the text turns out damaged or not regular: what was given must then not be used.
        """
        held: list[bytes] = []
        size = 0
        for lines in self._lines:
            held.append(lines)
            size += len(lines)
            if size >= _BLOCK:
                yield b"".join(held)
                held, size = [], 0
        if any(held):
            yield b"".join(held)

    @property
    def header(self) -> bytes:
        """The first record as it stands, once a block was given."""
        return self._shape.header

    def finish(self) -> tuple[Bytes, CsvShape]:
        """Read what is left, and tell what the whole is.

        Raises:
            EesError: when it is damaged or too large.
            OSError: when the packed bytes could not be read.
        """
        for _ in self._lines:
            pass
        if self._failure:
            raise self._failure
        self.csv = Bytes(bytes=self._unpacked, sha256=self._digest.hexdigest())
        return self.csv, self._shape.finish()

    def _unpack(self) -> Iterator[bytes]:
        """Whole records, as they come; a failure ends them and is kept."""
        try:
            for chunk in self._packed:
                for portion in self._gunzip.feed(chunk):
                    self._digest.update(portion)
                    self._unpacked += len(portion)
                    yield self._shape.feed(portion)
            self._gunzip.finish()
        except (EesError, OSError) as error:
            self._failure = error
        else:
            yield self._shape.last()


Reader = Callable[[Records], None]
"""Wants the records as they come; takes as many as it likes and raises nothing."""


def receive(
    chunks: Iterable[bytes],
    path: Path,
    gunzip: Gunzip,
    on_progress: Callable[[int], None],
    reader: Reader | None = None,
) -> Arrived:
    """Write the bytes as they come and flush them, while they are unpacked and looked at.

    Args:
        chunks: the bytes as served.
        path: where to write them.
        gunzip: unpacks them within its limits, and checks that they are whole.
        on_progress: told how many have come.
        reader: gets the records.

    Raises:
        EesError: what ``chunks`` raises, or that the bytes are damaged or unpack to too much; writing then stops soon.
    """
    digest = hashlib.sha256()
    received = 0
    with (
        ThreadPoolExecutor(1, thread_name_prefix="ks4-unpack") as pool,
        path.open("wb") as file,
        _Growing(path) as growing,
    ):
        following = pool.submit(_follow, Records(growing.chunks(), gunzip), reader)
        for chunk in chunks:
            file.write(chunk)
            file.flush()
            digest.update(chunk)
            received += len(chunk)
            growing.has(received)
            on_progress(received)
            if following.done():  # damaged, or too much
                break
        growing.is_whole()
        _flush(file, following)
        csv, shape = following.result()
    return Arrived(Bytes(bytes=received, sha256=digest.hexdigest()), csv, shape)


def _follow(records: Records, reader: Reader | None) -> tuple[Bytes, CsvShape]:
    if reader:
        reader(records)
    return records.finish()


def _flush(file: BinaryIO, following: Future[tuple[Bytes, CsvShape]]) -> None:
    """To the disk, unless it is known not to be needed."""
    if not following.done() or not following.exception():
        os.fsync(file.fileno())


class _Growing:
    """A file that one thread writes while another reads what is there; the reading ends when the block does.

    Where an error or an interrupt ends the block, nobody waits until all that is there has been read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._news = threading.Condition()
        self._length = 0
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self.has(0)
        self.is_whole()

    def has(self, length: int) -> None:
        """So many bytes are in the file now."""
        with self._news:
            self._length = length
            self._news.notify()

    def is_whole(self) -> None:
        """No more will come."""
        with self._news:
            self._ended = True
            self._news.notify()

    def chunks(self) -> Iterator[bytes]:
        """All bytes, as they come."""
        read = 0
        with self._path.open("rb", buffering=0) as file:
            while self._more_than(read) and (chunk := file.read(_CHUNK)):
                read += len(chunk)
                yield chunk

    def _more_than(self, read: int) -> bool:
        """Wait until there is more; False when there will not be."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._length > read)
            return self._length > read
