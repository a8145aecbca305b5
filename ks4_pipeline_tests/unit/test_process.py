"""How a process begins, and ends at once: what it said and what was left to be done are not lost."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from ks4_pipeline.process import begin


def ended(program: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    lines = f"import atexit, threading, time\nfrom ks4_pipeline.process import end_at_once\n{program}"
    return subprocess.run(
        [sys.executable, "-c", lines], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )


def test_libraries_are_set_up_for_short_work_unless_somebody_set_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    ours = {"_RJEM_MALLOC_CONF": "dirty_decay_ms:3000,muzzy_decay_ms:0", "OPENBLAS_NUM_THREADS": "1"}
    theirs = {"_RJEM_MALLOC_CONF": "narenas:1", "OPENBLAS_NUM_THREADS": "2"}
    for name in ours:
        monkeypatch.setenv(name, "")
        del os.environ[name]  # what is set from here on is taken back with it
    begin()
    assert {name: os.environ[name] for name in ours} == ours
    os.environ.update(theirs)
    begin()
    assert {name: os.environ[name] for name in ours} == theirs


def test_all_is_said_and_what_was_left_to_be_done_is_done() -> None:
    told = ended("atexit.register(print, 'put away')\nprint('said')\nend_at_once(3)\nprint('gone on')")
    assert (told.stdout, told.stderr, told.returncode) == ("said\nput away\n", "", 3)


def test_a_thread_that_is_still_at_work_is_waited_for() -> None:
    work = "def work():\n time.sleep(0.3)\n print('done')\nthreading.Thread(target=work).start()"
    told = ended(f"{work}\nend_at_once(3)\nprint('not yet')")
    assert (told.stdout, told.returncode) == ("not yet\ndone\n", 0)


def test_one_that_only_gives_back_what_the_system_takes_is_waited_for_by_a_python_that_ends_by_itself_alone() -> None:
    work = (
        "from ks4_pipeline.process import GivingBack\ndef work():\n time.sleep(0.3)\n print('done')\n"
        "GivingBack(target=work).start()"
    )
    told = ended(f"{work}\nend_at_once(3)\nprint('gone on')")
    assert (told.stdout, told.returncode) == ("", 3)
    told = ended(work)
    assert (told.stdout, told.returncode) == ("done\n", 0)


@pytest.mark.skipif(os.name == "nt", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_closed_before_are_no_fault_and_no_file_gets_their_place(closed: str) -> None:
    program = (
        "import os, sys\nfrom ks4_pipeline.process import begin, end_at_once\nbegin()\n"
        "place = os.open(os.devnull, os.O_RDONLY)\n"
        "print('said')\nprint('said', file=sys.stderr)\nassert not sys.stdin.read()\nend_at_once(place)"
    )
    told = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 3, told.stderr


def test_what_cannot_be_written_is_told_as_ever() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told = ended("print('said')\nend_at_once(0)", writing)
    os.close(writing)
    assert told.returncode != 0
    assert "BrokenPipeError" in told.stderr
