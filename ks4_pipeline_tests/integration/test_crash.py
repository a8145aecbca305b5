"""A few kills of the crash test; ``python -m ks4_pipeline_tests.crash_test`` plays all of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_whatever_is_killed_the_next_run_puts_right():
    """In a process of its own: forking wants one without threads."""
    played = subprocess.run(
        [sys.executable, "-m", "ks4_pipeline_tests.crash_test", "--seams", "15", "--random", "5"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout + played.stderr
    assert "20 kills, 0 lost, 0 damaged" in played.stdout
