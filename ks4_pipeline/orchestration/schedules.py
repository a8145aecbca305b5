"""Schedules: the daily reconciliation, which leaves nothing to chance, and the weekly fetch that finds silent changes.

(No deferred annotations here: Dagster reads them.)
"""

from collections.abc import Collection

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.scheduler.instigation import InstigatorStatus, InstigatorType

from ks4_pipeline import poll
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.orchestration.listing import listing_event
from ks4_pipeline.orchestration.partitions import versions_of
from ks4_pipeline.orchestration.runs import attempts_at
from ks4_pipeline.orchestration.sensors import bump_sensor_name, new_partitions, run_tags
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import Bump, VersionNumber
from ks4_pipeline.watch import watch

RECONCILE = "daily_reconcile"
REFETCH = "weekly_refetch"
LONDON = "Europe/London"
RECONCILE_CRON = "45 9 * * 1-5"
REFETCH_CRON = "0 4 * * 0"
# A schedule has one job, and our load jobs differ in their partitions; this one of Dagster's own has all assets.
_ANY_ASSET = "__ASSET_JOB"


def build_schedules(
    settings: Settings, assets: Collection[dg.AssetsDefinition], refetch: UnresolvedAssetJobDefinition
) -> list[dg.ScheduleDefinition]:
    """All schedules.

    Args:
        settings: which data sets, and whether schedules begin as running.
        assets: the assets of all data sets.
        refetch: the job of the weekly one.
    """
    running = settings.sensors == "running"
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    weekly = dg.ScheduleDefinition(
        name=REFETCH,
        job=refetch,
        cron_schedule=REFETCH_CRON,
        execution_timezone=LONDON,
        default_status=status,
        description="Fetches the newest versions again: the publisher must not change bytes under a known number.",
    )
    return [_daily_reconcile(settings, assets, status), weekly]


def _daily_reconcile(
    settings: Settings, assets: Collection[dg.AssetsDefinition], status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=RECONCILE,
        job_name=_ANY_ASSET,
        cron_schedule=RECONCILE_CRON,
        execution_timezone=LONDON,
        default_status=status,
        description=(
            "On weekdays a quarter of an hour after the publisher's releases: reads whole version lists and loads "
            "whatever is missing, whatever the sensors did. Only what a person holds back by switching a version "
            "sensor off stays held back."
        ),
    )
    def daily_reconcile(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        held = held_back(context.instance)
        requests: list[dg.RunRequest] = []
        told = []
        for sight in watch(pipeline, settings.data_sets, whole=True):
            if sight.problem:
                told.append(f"{sight.data_set.name}: {sight.problem}")
            try:
                found, remarks = _missing_of(context.instance, pipeline, sight.data_set, held)
            except Ks4Error as error:
                found, remarks = [], [f"{sight.data_set.name}: {error}"]
            requests += [_request(assets, sight.data_set, version) for version in found]
            told += remarks
        for line in told:
            context.log.info(line)
        return requests or dg.SkipReason("\n".join(told) or "Every version listed is loaded.")

    return daily_reconcile


def held_back(instance: dg.DagsterInstance) -> set[Bump]:
    """The bumps whose sensor a person has switched off: only an act of a person is stored as stopped."""
    stopped = {
        state.instigator_name
        for state in instance.all_instigator_state(
            instigator_type=InstigatorType.SENSOR, instigator_statuses={InstigatorStatus.STOPPED}
        )
    }
    return {bump for bump in Bump if bump_sensor_name(bump) in stopped}


def _missing_of(
    instance: dg.DagsterInstance, pipeline: Pipeline, data_set: DataSet, held: Collection[Bump]
) -> tuple[list[VersionNumber], list[str]]:
    """The versions to load now, and what is to be said; the look is put on record, and partitions are added."""
    listing = pipeline.landing.listing(data_set)
    if listing is None:
        return [], []
    in_force = pipeline.in_force().get(data_set.name, {})
    instance.report_runless_asset_event(listing_event(data_set, listing, len(in_force)))
    missing = poll.missing(listing, in_force)
    added = new_partitions(instance, data_set, sorted({*missing, *in_force}))
    if added:
        instance.add_dynamic_partitions(versions_of(data_set).name or "", list(added.partition_keys))
    attempts = attempts_at(instance, data_set, missing)
    remarks = [
        f"{data_set.name} {version} is held back: {bump_sensor_name(version.bump)} is switched off."
        for version in missing
        if version.bump in held
    ]
    running = {version for version, earlier in attempts.items() if earlier.running}
    return [version for version in missing if version.bump not in held and version not in running], remarks


def _request(assets: Collection[dg.AssetsDefinition], data_set: DataSet, version: VersionNumber) -> dg.RunRequest:
    own = [definition for definition in assets if any(key.path[0] == data_set.name for key in definition.keys)]
    return dg.RunRequest(
        run_key=f"{data_set.name}@{version}",  # several requests of one tick need one; it counts within the tick only
        partition_key=str(version),
        tags=run_tags(data_set, version),
        asset_selection=[key for definition in own for key in definition.keys],
        asset_check_keys=[key for definition in own for key in definition.check_keys],
    )
