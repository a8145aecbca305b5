"""Partitions: one dynamic set per data set, one partition per exact version, the key as the API prints it."""

from __future__ import annotations

import dagster as dg

from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber


def versions_of(data_set: DataSet) -> dg.DynamicPartitionsDefinition:
    """The partitions of a data set."""
    return dg.DynamicPartitionsDefinition(name=f"{data_set.name}_versions")


def known_versions(instance: dg.DagsterInstance, data_set: DataSet) -> set[VersionNumber]:
    """The versions that have a partition."""
    keys = instance.get_dynamic_partitions(f"{data_set.name}_versions")
    return {VersionNumber.parse(key) for key in keys}
