"""``served_bytes_unchanged``: whether the publisher still serves what we have under the newest version numbers.

A number is a promise; a file replaced under the same number would otherwise never be noticed. (No deferred annotations
here: Dagster reads them.)
"""

from collections.abc import Iterable

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from ks4_pipeline.ees.errors import EesError
from ks4_pipeline.landing import Refetched
from ks4_pipeline.orchestration.assets import asset_key
from ks4_pipeline.pipeline import NotLandedError, Pipeline
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

SERVED_BYTES_UNCHANGED = "served_bytes_unchanged"


def republishing_check(data_set: DataSet) -> dg.AssetChecksDefinition:
    """The check of one data set; it is no part of the load job."""

    @dg.asset_check(
        asset=asset_key(data_set, "table"),
        name=SERVED_BYTES_UNCHANGED,
        blocking=True,  # so that its run fails too, and the failure sensor tells people
        description=(
            "The CSV of every version that a channel shows, fetched again, is byte for byte what landed. Where it is "
            "not, the new bytes are kept beside the old, and the table stays until a person accepts them."
        ),
    )
    def served_bytes_unchanged(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.AssetCheckResult:
        # Materialised by hand together with the table, it runs for that version.
        partition = context.run.tags.get(PARTITION_NAME_TAG)
        versions = [VersionNumber.parse(partition)] if partition else _newest(pipeline, data_set)
        found, unknown = _refetch(pipeline, data_set, versions)
        result = _result(data_set, found, unknown)
        if unknown and result.passed:
            raise dg.Failure(f"{data_set.name}: not every version could be fetched again.", metadata=result.metadata)
        return result

    return served_bytes_unchanged


def _newest(pipeline: Pipeline, data_set: DataSet) -> list[VersionNumber]:
    """The versions that some channel shows: the newest published one of each line."""
    in_force = pipeline.in_force().get(data_set.name, {})
    return [version for version, loaded in in_force.items() if loaded.channels]


def _refetch(
    pipeline: Pipeline, data_set: DataSet, versions: Iterable[VersionNumber]
) -> tuple[list[Refetched], dict[VersionNumber, str]]:
    """What each version is now, and why some could not be fetched or compared."""
    found, unknown = [], {}
    with pipeline.client() as client:
        for version in versions:
            try:
                found.append(pipeline.refetch(client, data_set, version))
            except (EesError, NotLandedError) as error:
                unknown[version] = str(error)
    return found, unknown


def _result(data_set: DataSet, found: list[Refetched], unknown: dict[VersionNumber, str]) -> dg.AssetCheckResult:
    changed = [refetched for refetched in found if not refetched.is_same]
    detail = (
        " ".join(_told(data_set, refetched) for refetched in changed)
        or f"{len(found)} versions fetched again: the same bytes as when they landed."
    )
    records = [
        dg.TableRecord(
            {
                "version": str(refetched.landed.version),
                "what": "same" if refetched.is_same else "OTHER BYTES",
                "landed": refetched.landed.manifest.csv.sha256,
                "served now": refetched.found.manifest.csv.sha256,
                "kept in": "" if refetched.is_same else str(refetched.found.folder),
            }
        )
        for refetched in found
    ]
    records += [
        dg.TableRecord({"version": str(version), "what": why, "landed": "", "served now": "", "kept in": ""})
        for version, why in unknown.items()
    ]
    columns = [dg.TableColumn(name, "string") for name in ("version", "what", "landed", "served now", "kept in")]
    return dg.AssetCheckResult(
        passed=not changed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=detail,
        metadata={
            "fetched again": len(found),
            "changed": len(changed),
            "versions": dg.MetadataValue.table(records, dg.TableSchema(columns)),
        },
    )


def _told(data_set: DataSet, refetched: Refetched) -> str:
    version = refetched.landed.version
    return (
        f"{data_set.name} {version}: the publisher now serves other bytes under the same number. Both are kept, the "
        f"new ones in {refetched.found.folder}; the table stays as it was. To take them over: "
        f"ks4 accept {version} --data-set {data_set.name}."
    )
