"""The promises of the automation, with ``ks4 dev`` really running and nothing in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest
from filelock import FileLock

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline_tests.dagster_dev import DagsterDev, wait_for
from ks4_pipeline_tests.publisher import Edition, describe, scored


def held(number: str, *scores: str) -> Edition:
    return Edition(number, scored(*scores), {"held": True})


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[tuple[Sandbox, DataSet]]:
    data_set = describe(
        tmp_path / "publisher",
        "scores",
        Edition("1.0", scored("1.0", "c")),
        held("1.0.1", "1.5", "c"),
        held("1.1", "1.6", "c", "3"),
        held("2.0", "4"),
        held("2.0.1", "5"),
        held("3.0", "6"),
    )
    with Sandbox(tmp_path / "publisher") as running:
        yield running, data_set


def dev_for(tmp_path: Path, sandbox: Sandbox, data_set: DataSet) -> DagsterDev:
    return DagsterDev(Settings(api_url=sandbox.url, data_dir=tmp_path / "data", data_sets=(data_set,)))


def test_versions_load_by_themselves_channels_follow_the_publisher_and_a_sensor_switched_off_holds_back(
    tmp_path: Path, sandbox: tuple[Sandbox, DataSet]
) -> None:
    publisher, data_set = sandbox
    with dev_for(tmp_path, *sandbox) as dev:
        dev.wait_for_versions(v1_0="latest,v1,v1_0")
        before: dict[str, str] = {"v1_0": ""}

        publish(publisher, data_set, "1.0.1")
        dev.wait_for_versions(**before, v1_0_1="latest,v1,v1_0")
        publish(publisher, data_set, "1.1")
        dev.wait_for_versions(**before, v1_0_1="v1_0", v1_1="latest,v1,v1_1")
        publish(publisher, data_set, "2.0")
        before |= {"v1_0_1": "v1_0", "v1_1": "v1,v1_1"}
        dev.wait_for_versions(**before, v2_0="latest,v2,v2_0")

        dev.switch("major_version_sensor", on=False)
        publish(publisher, data_set, "3.0")
        publish(publisher, data_set, "2.0.1")
        before |= {"v2_0": ""}
        dev.wait_for_versions(**before, v2_0_1="latest,v2,v2_0")
        assert dev.runs("3.0") == []
        dev.switch("major_version_sensor", on=True)
        before |= {"v2_0_1": "v2,v2_0"}
        dev.wait_for_versions(**before, v3_0="latest,v3,v3_0")

        publisher.withdraw(data_set.id, "3.0")
        dev.wait_for_versions(**{**before, "v2_0_1": "latest,v2,v2_0"}, v3_0="")
        publisher.restore(data_set.id, "3.0")
        dev.wait_for_versions(**before, v3_0="latest,v3,v3_0")

        for version in ("1.0", "1.0.1", "1.1", "2.0", "2.0.1", "3.0"):
            run = wait_for(f"the end of the run of {version}", lambda version=version: ended(dev, version))
            assert run.status is dg.DagsterRunStatus.SUCCESS
        with dev.pipeline.warehouse.read() as connection:
            revised = connection.execute("SELECT DISTINCT to_version FROM scores.revisions ORDER BY 1").fetchall()
        assert revised == [("1.0.1",), ("1.1",), ("2.0",), ("2.0.1",), ("3.0",)]


def publish(publisher: Sandbox, data_set: DataSet, version: str) -> None:
    """The sandbox's admin call, as a person would make it."""
    url = f"{publisher.admin_url}/data-sets/{data_set.id}/versions/{version}/publish"
    httpx.post(url).raise_for_status()


def ended(dev: DagsterDev, version: str) -> dg.DagsterRun | None:
    """The one run of a version, once it has ended."""
    (run,) = dev.runs(version)
    return run if run.is_finished else None


def test_a_power_cut_in_the_middle_of_a_run_costs_nothing_but_time(
    tmp_path: Path, sandbox: tuple[Sandbox, DataSet]
) -> None:
    dev = dev_for(tmp_path, *sandbox)
    with dev:
        with FileLock(dev.settings.data_dir / "warehouse.duckdb.lock"):  # so that the run stops where it has the slot
            wait_for("a run with the pool's slot", dev.slot_is_taken)
            dev.kill()
        assert [run.status for run in dev.runs("1.0")] == [dg.DagsterRunStatus.STARTED]
        assert dev.slot_is_taken()

        dev.start()
        dev.wait_for_versions(v1_0="latest,v1,v1_0")
        wait_for("the end of the new run", lambda: all(run.is_finished for run in dev.runs("1.0")))
        wait_for("the pool's slot to be free", lambda: not dev.slot_is_taken())
        statuses = [run.status for run in dev.runs("1.0")]
        assert statuses == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
