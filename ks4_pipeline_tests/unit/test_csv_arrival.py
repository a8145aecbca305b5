"""A CSV as it arrives: nothing holds the download up, and nothing that is damaged passes for whole."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import threading

import pytest

from ks4_pipeline import csv_arrival
from ks4_pipeline.csv_arrival import Records, receive
from ks4_pipeline.ees.errors import EesTooLargeError, EesTransferError
from ks4_pipeline.ees.gunzip import Gunzip

CONTENT = b"a,b\r\n" + b"".join(b'%d,"x, y"\r\n' % number for number in range(5000)) + b"last,row"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(csv_arrival, "_BLOCK", 1000)
    monkeypatch.setattr(csv_arrival, "_CHUNK", 300)


def pieces(body: bytes, size: int = 700) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def gunzip(most: int = 1 << 20) -> Gunzip:
    return Gunzip("url", most, "max_csv_bytes")


def take(tmp_path, chunks, *, reader=None, most: int = 1 << 20):
    return receive(chunks, tmp_path / "data.csv.gz", gunzip(most), lambda _received: None, reader)


def test_what_came_is_on_disk_with_its_fingerprints_and_shape(tmp_path):
    body = gzip.compress(CONTENT)
    told = []
    arrived = receive(pieces(body), tmp_path / "data.csv.gz", gunzip(), told.append)
    assert (tmp_path / "data.csv.gz").read_bytes() == body
    assert (arrived.served.bytes, arrived.served.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert (arrived.csv.bytes, arrived.csv.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert (arrived.shape.rows, arrived.shape.regular, arrived.shape.header) == (5001, True, "a,b")
    assert told[-1] == len(body)


def test_a_reader_gets_whole_records_in_blocks(tmp_path):
    got = []
    arrived = take(tmp_path, pieces(gzip.compress(CONTENT)), reader=lambda records: got.extend(records.blocks()))
    assert b"".join(got) == CONTENT
    assert len(got) > 10
    assert all(block.endswith(b"\r\n") for block in got[:-1])
    assert arrived.shape.rows == 5001


def test_a_reader_that_has_had_enough_changes_nothing_of_what_is_known(tmp_path):
    plain = take(tmp_path, pieces(gzip.compress(CONTENT)))
    assert take(tmp_path, pieces(gzip.compress(CONTENT)), reader=lambda records: next(records.blocks())) == plain


def test_the_download_waits_for_no_reader(tmp_path):
    all_sent = threading.Event()

    def chunks():
        yield from pieces(gzip.compress(CONTENT))
        all_sent.set()

    def slow(records: Records) -> None:
        for _ in records.blocks():
            assert all_sent.wait(10), "the reader was to come last"

    assert take(tmp_path, chunks(), reader=slow).shape.rows == 5001


@pytest.mark.parametrize("harm", ["cut", "crc", "garbage"])
def test_damaged_bytes_are_told_and_a_reader_does_not_hear_of_it(tmp_path, harm):
    body = bytearray(gzip.compress(CONTENT))
    if harm == "crc":
        body[-6] ^= 1
    body = {"cut": body[:-30], "crc": body, "garbage": body + b"more"}[harm]
    got = []

    def reader(records: Records) -> None:
        got.extend(records.blocks())
        assert records.csv is None, "nothing is known of it yet"

    with pytest.raises(EesTransferError):
        take(tmp_path, pieces(bytes(body)), reader=reader)


def test_bytes_that_cannot_be_read_end_the_records_and_do_not_pass_for_the_whole():
    def packed():
        yield gzip.compress(CONTENT)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    records = Records(packed(), gunzip())
    assert CONTENT.startswith(b"".join(records.blocks()))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        records.finish()


def test_what_unpacks_to_too_much_ends_the_download_at_once(tmp_path):
    sent = []

    def chunks():
        for chunk in pieces(gzip.compress(bytes(50 << 20), 1), 1000):
            sent.append(chunk)
            yield chunk
            if len(sent) > 5:
                assert not threading.Event().wait(0.05)

    with pytest.raises(EesTooLargeError):
        take(tmp_path, chunks())
    assert len(sent) < 30


def test_a_download_that_breaks_off_says_so_and_leaves_no_thread(tmp_path):
    def chunks():
        yield from pieces(gzip.compress(CONTENT))[:3]
        raise EesTransferError("url", "broke off")

    with pytest.raises(EesTransferError, match="broke off"):
        take(tmp_path, chunks(), reader=lambda records: list(records.blocks()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ks4-unpack")]


def test_what_broke_off_is_not_read_to_its_end(tmp_path):
    got = []

    def chunks():
        yield from pieces(gzip.compress(CONTENT, 1))
        raise EesTransferError("url", "broke off")

    def slow(records: Records) -> None:
        for block in records.blocks():
            got.append(block)
            threading.Event().wait(0.02)

    with pytest.raises(EesTransferError, match="broke off"):
        take(tmp_path, chunks(), reader=slow)
    assert sum(map(len, got)) < len(CONTENT) / 2


def test_an_irregular_text_gives_its_shape_and_no_more_records(tmp_path):
    content = CONTENT + b'\r\nstray" quote,1\r\n' + CONTENT
    got = []
    arrived = take(tmp_path, pieces(gzip.compress(content)), reader=lambda records: got.extend(records.blocks()))
    assert not arrived.shape.regular
    assert arrived.csv.sha256 == hashlib.sha256(content).hexdigest()
    assert len(b"".join(got)) < len(content)


def test_a_disk_that_takes_only_part_of_a_chunk_is_told_and_nobody_waits_for_the_rest(tmp_path, monkeypatch):
    body = gzip.compress(CONTENT)
    room = len(body) // 2

    class Full(io.FileIO):
        def write(self, data):
            left = room - self.tell()
            if left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[:left])

    def opened(path, mode="r", **more):
        return io.BufferedWriter(Full(path, "w")) if mode == "wb" else open(path, mode, **more)  # noqa: PTH123

    monkeypatch.setattr(type(tmp_path), "open", opened)
    with pytest.raises(OSError, match="No space left"):
        take(tmp_path, pieces(body), reader=lambda records: list(records.blocks()))
