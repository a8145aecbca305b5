"""The fault matrix as tests, one per fault; its lines and its total are printed at the end of the test run."""

import re

import pytest

from ks4_pipeline.sandbox import FaultKind
from ks4_pipeline_tests.fault_matrix import ENDPOINTS, FAULTS, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("matrix")) as stage:
        yield stage


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: re.sub(r"\W+", "-", row.name))
def test_a_fault_is_cured_or_ends_in_a_clear_failure(stage, row, record_property):
    verdicts = stage.play(row)
    for verdict in verdicts:
        record_property("fault_matrix", (str(verdict), verdict.lost, verdict.wrong))
    assert [str(verdict) for verdict in verdicts if not verdict.is_right] == []


def test_the_matrix_has_every_kind_of_fault_and_every_address():
    assert {row.fault["kind"] for row in FAULTS} == set(FaultKind)
    everywhere = [row for row in FAULTS if tuple(row.at) == tuple(ENDPOINTS)]
    assert len(everywhere) >= 20
