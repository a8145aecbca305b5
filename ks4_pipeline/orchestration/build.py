"""Definitions from settings: fresh ones at each call, every resource replaceable."""

from __future__ import annotations

import dagster as dg

from ks4_pipeline.orchestration.assets import build_assets
from ks4_pipeline.orchestration.jobs import load_job, refetch_job
from ks4_pipeline.orchestration.listing import listing_asset
from ks4_pipeline.orchestration.republishing import republishing_check
from ks4_pipeline.orchestration.schedules import build_schedules
from ks4_pipeline.orchestration.sensors import build_sensors
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality.book import rules_in_force
from ks4_pipeline.settings import Settings


def build_definitions(settings: Settings, *, pipeline: Pipeline | None = None) -> dg.Definitions:
    """All definitions for the followed data sets.

    Args:
        settings: which data sets, where, and how often.
        pipeline: the steps to run; made from the settings when None.
    """
    assets = [
        asset
        for data_set in settings.data_sets
        for asset in build_assets(data_set, rules_in_force(settings.rules, data_set.name))
    ]
    checks = {data_set.name: republishing_check(data_set) for data_set in settings.data_sets}
    loads = [load_job(data_set, [checks[data_set.name]]) for data_set in settings.data_sets]
    refetch = refetch_job(list(checks.values()))
    return dg.Definitions(
        assets=[*assets, *(listing_asset(settings, data_set) for data_set in settings.data_sets)],
        asset_checks=list(checks.values()),
        jobs=[*loads, refetch],
        sensors=build_sensors(settings, loads),
        schedules=build_schedules(settings, assets, refetch),
        resources={"pipeline": pipeline or Pipeline(settings)},
        # A process per step costs seconds, and a second writer would only wait for the first (design §5.7).
        executor=dg.in_process_executor,
    )
