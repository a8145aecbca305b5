"""Jobs: loading one version of one data set, from landing to the published table."""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ks4_pipeline.settings import DataSet


def load_job_name(data_set: DataSet) -> str:
    """``load_<name>``."""
    return f"load_{data_set.name}"


def load_job(data_set: DataSet) -> UnresolvedAssetJobDefinition:
    """The job that loads a version: choose the version as its partition."""
    return dg.define_asset_job(
        load_job_name(data_set),
        selection=dg.AssetSelection.groups(data_set.name),
        description=f"Load one version of {data_set.name}: fetch, type, publish.",
    )
