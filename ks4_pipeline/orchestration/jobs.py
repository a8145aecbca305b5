"""Jobs: loading one version of one data set from landing to the published table, and fetching the newest ones again."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ks4_pipeline.settings import DataSet

REFETCH = "refetch"


def load_job_name(data_set: DataSet) -> str:
    """``load_<name>``."""
    return f"load_{data_set.name}"


def load_job(data_set: DataSet, not_of_it: Sequence[dg.AssetChecksDefinition] = ()) -> UnresolvedAssetJobDefinition:
    """The job that loads a version: choose the version as its partition.

    Args:
        data_set: whose versions.
        not_of_it: checks of its assets that are no part of loading.
    """
    of_it: dg.AssetSelection = dg.AssetSelection.groups(data_set.name)
    return dg.define_asset_job(
        load_job_name(data_set),
        selection=of_it - dg.AssetSelection.checks(*not_of_it) if not_of_it else of_it,
        description=f"Load one version of {data_set.name}: fetch, type, publish.",
    )


def refetch_job(checks: Sequence[dg.AssetChecksDefinition]) -> UnresolvedAssetJobDefinition:
    """The job that fetches the newest versions of all data sets again, to see whether they are still the same bytes."""
    return dg.define_asset_job(
        REFETCH,
        selection=dg.AssetSelection.checks(*checks),
        description="Fetch the newest versions again and compare them with what landed. Changes nothing but landing.",
    )
