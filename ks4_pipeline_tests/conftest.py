"""What all tests share: the hypothesis profile, the published real files, and one sandbox per module that wants one."""

from __future__ import annotations

import csv
import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ks4", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("ks4")


_CSV_LIMIT = csv.field_size_limit()
_COLLECTIONS = gc.get_threshold()


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    """Undo what code changes for its whole process, which tests share.

    frictionless, once imported, takes away the csv module's limit. Our commands let garbage lie, and Dagster, which
    never is in their process, has what it forgot to close closed by a collection.
    """
    csv.field_size_limit(_CSV_LIMIT)
    gc.set_threshold(*_COLLECTIONS)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The published files: ``KS4_REAL_DATA``, which must then be there, or ``../shared/real`` beside the project."""
    beside = Path(__file__).parents[2] / "shared" / "real"
    named = os.environ.get("KS4_REAL_DATA")
    folder = Path(named or beside)
    if not (folder / "ks4_la").is_dir():
        if named:
            pytest.fail(f"KS4_REAL_DATA names {folder}, and it has no ks4_la/")
        pytest.skip(f"no published files at {folder}; set KS4_REAL_DATA to the folder that has ks4_la/")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what came of the fuzzer's inputs and of the fault matrix, a line per fault and the total, if they ran."""
    told = [
        (name, value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
    ]
    for line in (value for name, value in told if name == "fuzz"):
        terminalreporter.line(f"fuzz: {line}")
    played = [value for name, value in told if name == "fault_matrix"]
    if played:
        terminalreporter.section("fault matrix")
        for line, _lost, _wrong in played:
            terminalreporter.line(line)
        lost, wrong = sum(lost for _, lost, _ in played), sum(wrong for _, _, wrong in played)
        terminalreporter.line(f"{len(played)} faults, {lost} lost, {wrong} wrong cells")
