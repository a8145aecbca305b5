"""Ticks of Dagster's sensors when nothing is new, in one process as the daemon's code server does them; times as JSON.

``python -m ks4_pipeline_tests.benchmarks.ticks DATA_DIR URL``: the instance knows of every loaded version.
"""

from __future__ import annotations

import json
import sys
import time

import dagster as dg

from ks4_pipeline.orchestration.assets import asset_key
from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.orchestration.partitions import versions_of
from ks4_pipeline.orchestration.sensors import POLL_SENSOR, bump_sensor_name
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import load_settings
from ks4_pipeline.versions import Bump

_ROUNDS = ("first", "second", "third")


def main(data_dir: str, url: str) -> None:
    """Tick each sensor some times and print what it took; one that has anything to do breaks off."""
    settings = load_settings({"KS4_DATA_DIR": data_dir, "KS4_API_URL": url})
    pipeline = Pipeline(settings)
    definitions = build_definitions(settings, pipeline=pipeline)
    found: dict[str, dict[str, float]] = {}
    with dg.DagsterInstance.ephemeral() as instance:
        for name, versions in pipeline.in_force().items():
            data_set = settings.data_set(name)
            numbers = [str(version) for version in versions]
            instance.add_dynamic_partitions(versions_of(data_set).name or "", numbers)
            for number in numbers:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(asset_key(data_set, "table"), partition=number)
                )
        repository = definitions.get_repository_def()
        for sensor in (POLL_SENSOR, *map(bump_sensor_name, Bump)):
            for which in _ROUNDS:
                context = dg.build_sensor_context(instance, repository_def=repository, resources={"pipeline": pipeline})
                began = time.perf_counter()
                tick = repository.get_sensor_def(sensor).evaluate_tick(context)
                found.setdefault(sensor, {})[f"{which} tick, ms"] = 1000 * (time.perf_counter() - began)
                if tick.run_requests or tick.dynamic_partitions_requests:
                    raise SystemExit(f"{sensor} has something to do: {tick.skip_message}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
