"""The Dagster instance of a data directory: where it is, and the ``dagster.yaml`` it starts with."""

from __future__ import annotations

import os
from pathlib import Path

from ks4_pipeline import durable
from ks4_pipeline.settings import Settings

_DAGSTER_YAML = """\
# Written once by ks4_pipeline; yours to change. Dagster's keys: its documentation on dagster.yaml.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1
  runs:
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
  max_runtime_seconds: 7200
run_retries:
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false
retention:
  sensor:
    purge_after_days:
      skipped: 7
      failure: 30
      success: 30
  schedule:
    purge_after_days: 90
sensors:
  use_threads: true
  num_workers: 4
"""


def prepare(settings: Settings) -> Path:
    """The instance's folder: ``DAGSTER_HOME`` where it is set, else ``dagster`` in the data directory.

    A ``dagster.yaml`` is written where there is none; one that is there is never changed.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.data_dir / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        durable.write_atomically(configuration, _DAGSTER_YAML.encode())
    return home
