"""Copies of files: the same bytes whichever way the system makes them."""

from __future__ import annotations

import errno
import os

import pytest

from ks4_pipeline import durable

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


def test_a_copy_has_the_same_bytes_and_is_a_file_of_its_own(source, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(CONTENT * 2)
    durable.copy(source, copy)
    assert copy.read_bytes() == CONTENT
    copy.write_bytes(b"changed")
    assert source.read_bytes() == CONTENT


def test_an_empty_file_is_copied(tmp_path):
    (tmp_path / "empty").touch()
    durable.copy(tmp_path / "empty", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL])
def test_where_the_system_cannot_copy_by_itself_the_bytes_are_copied(source, tmp_path, monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    durable.copy(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_where_there_is_no_such_call_the_bytes_are_copied(source, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    durable.copy(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_a_full_disk_is_told(source, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        durable.copy(source, tmp_path / "copy")
