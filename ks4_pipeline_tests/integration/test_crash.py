"""A few kills of the crash test; ``python -m ks4_pipeline_tests.crash_test`` plays all of them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ks4_pipeline.run import rebuild
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, scored


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_whatever_is_killed_the_next_run_puts_right():
    """In a process of its own: forking wants one without threads."""
    played = subprocess.run(
        [sys.executable, "-m", "ks4_pipeline_tests.crash_test", "--seams", "15", "--random", "5"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout + played.stderr
    assert "20 kills, 0 lost, 0 damaged" in played.stdout


def test_an_acceptance_that_was_killed_between_its_two_steps_is_finished(tmp_path):
    """The version's folder is superseded already, and the candidate still stands beside: neither may be lost."""
    data_set = describe(tmp_path / "first", "d", Edition("1.0", scored("1")))
    describe(tmp_path / "later", "d", Edition("1.0", scored("2")))
    with Sandbox(tmp_path / "first") as sandbox:
        assert load(pipeline_for(tmp_path / "data", sandbox.url, data_set)).exit_code == 0
    version = VersionNumber(1, 0)
    with Sandbox(tmp_path / "later") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        with pipeline.client() as client:
            refetched = pipeline.refetch(client, data_set, version)
    landed = refetched.landed.folder
    superseded = landed.with_name("superseded") / f"1.0-{refetched.landed.manifest.csv.sha256[:12]}"
    superseded.parent.mkdir()
    landed.rename(superseded)
    assert rebuild(pipeline).exit_code == 0
    assert pipeline.republished(data_set) == {}
    with pipeline.warehouse.read() as connection:
        assert connection.execute("SELECT score FROM d.latest").fetchall() == [(2.0,)]


def test_a_candidate_is_not_accepted_because_somebody_moved_the_version_away(tmp_path):
    data_set = describe(tmp_path / "published", "d", Edition("1.0", scored("1")))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        landed = tmp_path / "data" / "landing" / "d" / "1.0"
        landed.with_name("republished").mkdir()
        landed.rename(landed.with_name("republished") / "1.0-0123456789ab")
        pipeline.tidy()
        assert not landed.exists()
