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
# Dagster's default launcher, and able to tell when a run's process is gone: such a run fails within seconds, frees its
# pool slot, and its version is loaded by a new run of the version sensors (which is why run_retries is not needed).
run_launcher:
  module: ks4_pipeline.orchestration.launcher
  class: WatchfulRunLauncher
run_monitoring:
  enabled: true
  poll_interval_seconds: 10
  start_timeout_seconds: 60
  max_resume_run_attempts: 0
  max_runtime_seconds: 7200
  free_slots_after_run_end_seconds: 10
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
