"""What is taken for gzip: the same in whatever pieces it comes, and nothing that polars cannot read from the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import polars as pl
import pytest

from ks4_pipeline.ees.errors import EesTransferError
from ks4_pipeline.ees.gunzip import Gunzip

CONTENT = b"a,b\n" + b"1,2\n" * 500
CHECKSUM, EXTRA, NAME, COMMENT = 2, 4, 8, 16


def member(flags: int = 0, *, name: bytes = b"data.csv", extra: bytes = b"more", wrong: int = 0) -> bytes:
    """A gzip member made by hand; ``wrong`` is added to the checksum of its header."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff"
    if flags & EXTRA:
        header += struct.pack("<H", len(extra)) + extra
    if flags & NAME:
        header += name + b"\0"
    if flags & COMMENT:
        header += b"by hand\0"
    if flags & CHECKSUM:
        header += struct.pack("<H", (zlib.crc32(header) + wrong) & 0xFFFF)
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(CONTENT) + packer.flush()
    return header + body + struct.pack("<II", zlib.crc32(CONTENT), len(CONTENT))


def unpacked(served: bytes, size: int) -> bytes:
    gunzip = Gunzip("url", 1 << 20, "max_csv_bytes")
    found = [part for at in range(0, len(served), size) for part in gunzip.feed(served[at : at + size])]
    gunzip.finish()
    return b"".join(found)


def is_taken(served: bytes, size: int) -> bool:
    try:
        found = unpacked(served, size)
    except EesTransferError:
        return False
    assert found in {CONTENT, CONTENT * 2}
    return True


def polars_reads(served: bytes, path: Path) -> bool:
    path.write_bytes(served)
    try:
        pl.read_csv(path, infer_schema=False)
    except OSError:
        return False
    return True


SERVED = {
    **{f"flags {flags}": member(flags) for flags in range(256)},
    "a second member": member() + member(NAME | CHECKSUM),
    "a second member with unknown flags": member() + member(0x40),
    "a wrong checksum of the header": member(NAME | CHECKSUM, wrong=1),
    "a name of 70,000 letters": member(NAME, name=b"n" * 70_000),
    "a name of 65,536 letters": member(NAME, name=b"n" * 65_536),
    "a name of 65,535 letters": member(NAME, name=b"n" * 65_535),
    "as much as may be": member(31, name=b"n" * 65_535, extra=b"\0" * 65_535),
    "zeros behind": member() + bytes(20),
}


def test_what_is_taken_is_what_polars_reads_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    read = {name: polars_reads(served, tmp_path / "data.csv.gz") for name, served in SERVED.items()}
    assert {name for name, yes in read.items() if yes} >= {
        "flags 0",
        "flags 31",
        "a name of 65,535 letters",
        "as much as may be",
    }
    assert not read["flags 64"]
    assert not read["a name of 70,000 letters"]
    for size in (1, 7, 100_000):
        taken = {name: is_taken(served, size) for name, served in SERVED.items() if len(served) < 1000 * size}
        assert taken == {name: read[name] for name in taken}


@pytest.mark.parametrize(
    ("served", "why"),
    [
        (b"<html>", "it does not begin as gzip does"),
        (member(0x40), "its header has flags that gzip does not know"),
        (member(NAME, name=b"n" * 70_000), "a name or comment in its header is longer than 64 KiB"),
        (member(COMMENT)[:15], "cut short"),
        (member()[:-1], "cut short"),
        (b"", "cut short"),
    ],
)
def test_what_is_not_taken_is_refused_with_the_reason(served: bytes, why: str) -> None:
    for size in (1, 100_000):
        with pytest.raises(EesTransferError, match=why):
            unpacked(served, size)
