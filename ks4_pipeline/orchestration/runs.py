"""What the instance knows of runs: which data set a run is about, and what became of the attempts at a version."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from ks4_pipeline.orchestration.jobs import load_job_name
from ks4_pipeline.poll import Attempts
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

_FAILED = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def is_about(run: dg.DagsterRun, data_set: DataSet) -> bool:
    """Whether a run is of the data set's load job, or materialises assets of it."""
    keys = run.asset_selection or ()
    return run.job_name == load_job_name(data_set) or any(key.path[0] == data_set.name for key in keys)


def attempts_at(
    instance: dg.DagsterInstance, data_set: DataSet, versions: Collection[VersionNumber]
) -> dict[VersionNumber, Attempts]:
    """What became of the runs of these versions, by version; one query, none when there is nothing to ask."""
    if not versions:
        return {}
    partitions = [str(version) for version in versions]
    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_NAME_TAG: partitions}))
    found: dict[str, list[dg.RunRecord]] = {}
    for record in records:
        if is_about(record.dagster_run, data_set):
            found.setdefault(record.dagster_run.tags[PARTITION_NAME_TAG], []).append(record)
    return {VersionNumber.parse(number): _attempts(newest_first) for number, newest_first in found.items()}


def _attempts(newest_first: list[dg.RunRecord]) -> Attempts:
    running, failures, last_failed_at = False, 0, None
    since_success = True
    for record in newest_first:
        run = record.dagster_run
        running |= not run.is_finished
        since_success &= run.status is not dg.DagsterRunStatus.SUCCESS
        if since_success and run.status in _FAILED:
            failures += 1
            last_failed_at = last_failed_at or _ended_at(record)
    return Attempts(running, failures, last_failed_at)


def _ended_at(record: dg.RunRecord) -> datetime:
    # A run that never started has no end time.
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
