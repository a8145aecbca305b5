"""Versions that are in the warehouse and that this instance never materialised: loaded from the command line, say.

They are reported as events without a run, checks included, so that the UI shows what there is.
"""

import time
from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.landing import Landed
from ks4_pipeline.observations import FORMAT
from ks4_pipeline.orchestration.assets import (
    Results,
    asset_key,
    landing_result,
    observation_results,
    report_results,
    revision_results,
    table_results,
)
from ks4_pipeline.orchestration.runs import attempts_at
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality.book import rules_in_force
from ks4_pipeline.report.making import Reports
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.reading import InForce, checks_of

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


def reports(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    data_set: DataSet,
    in_force: Mapping[VersionNumber, InForce],
    until: float,
) -> Iterator[Event]:
    """The events of versions loaded elsewhere; those not reported by ``until`` (monotonic) come in the next tick."""
    reported = instance.get_materialized_partitions(asset_key(data_set, "table"))
    unknown = [version for version in in_force if str(version) not in reported]
    attempts = attempts_at(instance, data_set, unknown)
    for version in unknown:
        if time.monotonic() > until:
            return
        if version in attempts and attempts[version].running:
            continue  # published just now, and its run is about to say so
        try:
            landed = pipeline.landed(data_set, version)
            yield from [_event(result, landed, data_set) for result in _results(pipeline, data_set, landed)]
        except Ks4Error:
            continue  # its landing is damaged or gone: there is nothing true to show


def _results(pipeline: Pipeline, data_set: DataSet, landed: Landed) -> Results:
    yield landing_result(data_set, landed)
    observations = pipeline.observations.get(data_set, landed)
    if observations:
        rules = rules_in_force(pipeline.settings.rules, data_set.name)
        results = checks_of(pipeline.warehouse, data_set.name, landed.version).values()
        yield from observation_results(data_set, landed.version, observations, rules, results)
    yield from table_results(pipeline, data_set, landed.version)
    yield from revision_results(pipeline, data_set, landed.version)
    if Reports.of(pipeline).path(data_set.name, landed.version).is_file():
        yield from report_results(pipeline, data_set, landed.version)


def _event(result: dg.MaterializeResult[None] | dg.AssetCheckResult, landed: Landed, data_set: DataSet) -> Event:
    key = result.asset_key
    if key is None:
        raise ValueError("our results always name their asset")
    if isinstance(result, dg.AssetCheckResult):
        return dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey.from_coercible(key),
            check_name=str(result.check_name),
            passed=result.passed,
            metadata=result.metadata,
            severity=result.severity,
            description=result.description,
        )
    tags = {}
    if key == asset_key(data_set, "observations"):
        tags[CODE_VERSION_TAG] = str(FORMAT)
        # With a code version and without what it was made from, Dagster would call it out of date.
        source = asset_key(data_set, "landing")
        tags[get_input_data_version_tag(source)] = landed.manifest.served.sha256
        tags[get_input_event_pointer_tag(source)] = NULL_EVENT_POINTER
    if result.data_version:
        tags[DATA_VERSION_TAG] = result.data_version.value
    return dg.AssetMaterialization(key, metadata=result.metadata, partition=str(landed.version), tags=tags)
