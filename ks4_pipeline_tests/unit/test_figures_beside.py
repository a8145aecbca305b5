"""Synthetic figures made by a process beside: the same as made here, gone after the block, and told when not made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ks4_pipeline.cli.figures_beside import figures_beside
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.sandbox.synthetic import write_synthetic_ks4


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_they_are_those_made_in_this_process_and_go_with_the_block(tmp_path: Path) -> None:
    write_synthetic_ks4(tmp_path, held=True)
    with figures_beside() as figures:
        folder = figures()
        assert contents(folder) == contents(tmp_path)
    assert not folder.exists()


def test_nobody_need_wait_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt), figures_beside():
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell stands in for Python")
@pytest.mark.parametrize(
    ("program", "why"), [("echo MemoryError >&2; exit 1", "MemoryError"), ("exit 3", "exit code 3")]
)
def test_that_they_could_not_be_made_is_told(
    program: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with figures_beside() as figures, pytest.raises(Ks4Error, match=f"could not be made in .*: {why}"):
        figures()
