"""Sensors: one that looks at the publisher, one per kind of bump that starts loads, one that tells of failures.

They only translate: what a look means and which versions are due is decided in the core. The state is what is loaded,
what is running and what failed; there is no cursor and no run key, so nothing can be lost or blocked for ever.
(No deferred annotations here: Dagster reads them.)
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.events import DagsterEventType
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.storage.tags import PARTITION_NAME_TAG

from ks4_pipeline import alert, poll
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.landing import LandingError
from ks4_pipeline.orchestration.jobs import load_job_name
from ks4_pipeline.orchestration.listing import listing_event
from ks4_pipeline.orchestration.loaded_elsewhere import Event, reports
from ks4_pipeline.orchestration.partitions import known_versions, versions_of
from ks4_pipeline.orchestration.runs import attempts_at, is_about
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import Bump, VersionNumber
from ks4_pipeline.watch import Sight, watch

POLL_SENSOR = "poll_sensor"
FAILURE_SENSOR = "load_failure_sensor"
_EVERY_SECONDS = 30
# Of a tick's 60; the looks before take 40 at most. A version takes 0.2 s here, and as long again in the daemon.
_REPORTING_SECONDS = 2.0
_LOOKING_AND_REPORTING_SECONDS = 15.0  # where the looks were quick, as they mostly are, there is more time to report

AddRequests = list[dg.AddDynamicPartitionsRequest]


def bump_sensor_name(bump: Bump) -> str:
    """``major_version_sensor`` and so on."""
    return f"{bump}_version_sensor"


def build_sensors(settings: Settings, jobs: Sequence[UnresolvedAssetJobDefinition]) -> list[dg.SensorDefinition]:
    """All sensors.

    Args:
        settings: which data sets, how often, and whether they begin as running.
        jobs: the load jobs of the data sets.
    """
    return [
        _poll_sensor(settings),
        *(_bump_sensor(settings, jobs, bump) for bump in Bump),
        _failure_sensor(settings),
    ]


def new_partitions(
    instance: dg.DagsterInstance, data_set: DataSet, versions: Sequence[VersionNumber]
) -> dg.AddDynamicPartitionsRequest | None:
    """The request to add the partitions of versions that have none; None when all have one."""
    known = known_versions(instance, data_set)
    new = [str(version) for version in versions if version not in known]
    return versions_of(data_set).build_add_request(new) if new else None


def _poll_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name=POLL_SENSOR,
        minimum_interval_seconds=_seconds(settings.poll_minutes),
        default_status=_status(settings),
        description=(
            "Looks at the publisher's list of versions: adds partitions, brings status, withdrawal, notes and channels "
            "up to date, and reports what was loaded from the command line. Downloads no data and starts no run."
        ),
    )
    def poll_sensor(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
        requests: AddRequests = []
        events: list[Event] = []
        started = time.monotonic()
        sights = watch(pipeline, settings.data_sets)
        until = max(time.monotonic() + _REPORTING_SECONDS, started + _LOOKING_AND_REPORTING_SECONDS)
        told = [_told(sight) for sight in sights]
        try:
            loaded = pipeline.in_force()
        except Ks4Error as error:  # the look counts all the same
            loaded = {}
            told.append(str(error))
        for sight in sights:
            if sight.listing is None:
                continue
            numbers = [record.version for record in sight.listing.versions]
            in_force = loaded.get(sight.data_set.name, {})
            added = new_partitions(context.instance, sight.data_set, sorted({*numbers, *in_force}))
            requests += [added] if added else []
            events.append(listing_event(sight.data_set, sight.listing, len(in_force)))
            events += reports(context.instance, pipeline, sight.data_set, in_force, until)
        for line in told:
            context.log.info(line)
        return dg.SensorResult(
            skip_reason="\n".join(told), dynamic_partitions_requests=requests, asset_events=list(events)
        )

    return poll_sensor


def _told(sight: Sight) -> str:
    """One look in one line."""
    name = sight.data_set.name
    if sight.listing is None:
        return f"{name}: {sight.problem}"
    line = f"{name}: {len(sight.listing.versions)} versions listed, last news {_clock(sight.listing.news_at)}."
    if sight.refreshed:
        line += f" Status, withdrawal, notes or release changed: {_listed(sight.refreshed)}."
    return line if sight.problem is None else f"{line} {sight.problem}"


def _bump_sensor(settings: Settings, jobs: Sequence[UnresolvedAssetJobDefinition], bump: Bump) -> dg.SensorDefinition:
    @dg.sensor(
        name=bump_sensor_name(bump),
        jobs=jobs,
        minimum_interval_seconds=min(_EVERY_SECONDS, _seconds(settings.poll_minutes)),
        default_status=_status(settings),
        description=(
            f"Loads every {bump} version that the publisher lists and that is neither in the warehouse nor being "
            f"loaded. Switched off, it holds {bump} versions back. A version that failed {settings.max_attempts} times "
            "is left to a person and to the daily reconciliation."
        ),
    )
    def version_sensor(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
        runs: list[dg.RunRequest] = []
        requests: AddRequests = []
        told = []
        try:
            in_force = pipeline.in_force()
        except Ks4Error as error:
            return dg.SensorResult(skip_reason=str(error))
        for data_set in settings.data_sets:
            missing = _missing(pipeline, data_set, in_force.get(data_set.name, {}))
            if isinstance(missing, str):
                told.append(f"{data_set.name}: {missing}")
                continue
            versions = poll.of_bump(missing, bump)
            due = poll.due(
                versions,
                attempts_at(context.instance, data_set, versions),
                max_attempts=settings.max_attempts,
                pause=timedelta(minutes=settings.poll_minutes),
                now=pipeline.now(),
            )
            if due.start:
                added = new_partitions(context.instance, data_set, due.start)
                requests += [added] if added else []
                runs += [run_request(data_set, version) for version in due.start]
            told += _due_told(data_set, bump, due)
        for line in told:
            context.log.info(line)
        return dg.SensorResult(
            run_requests=runs,
            skip_reason=None if runs else "\n".join(told),
            dynamic_partitions_requests=requests,
        )

    return version_sensor


def run_request(data_set: DataSet, version: VersionNumber) -> dg.RunRequest:
    """The request to load a version."""
    return dg.RunRequest(job_name=load_job_name(data_set), partition_key=str(version), tags=run_tags(data_set, version))


def run_tags(data_set: DataSet, version: VersionNumber) -> dict[str, str]:
    """By which runs can be found in the UI."""
    return {"ks4/data_set": data_set.name, "ks4/bump": str(version.bump)}


def _missing(pipeline: Pipeline, data_set: DataSet, in_force: Collection[VersionNumber]) -> list[VersionNumber] | str:
    """The versions to be loaded, or why that is not known."""
    try:
        listing = pipeline.landing.listing(data_set)
    except LandingError as error:
        return str(error)
    if listing is None:
        return f"the publisher's list has not been read yet; {POLL_SENSOR} does it."
    return poll.missing(listing, in_force)


def _due_told(data_set: DataSet, bump: Bump, due: poll.Due) -> list[str]:
    """What there is to say of a data set's missing versions of one bump."""
    name = data_set.name
    told = []
    if due.start:
        told.append(f"{name}: loading {_listed(due.start)}.")
    if due.running:
        told.append(f"{name}: {_listed(due.running)} is being loaded.")
    for version, again in due.waiting.items():
        told.append(f"{name} {version} failed and is tried again after {_clock(again)}.")
    for version, failures in due.given_up.items():
        told.append(
            f"{name} {version} failed {failures} times and is not tried again by this sensor. Its runs say why. To try "
            f"again: materialize partition {version} of {name} in the UI, or ks4 run --data-set {name} --version "
            f"{version}."
        )
    return told or [f"{name}: every {bump} version listed is loaded."]


def _failure_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name=FAILURE_SENSOR,
        minimum_interval_seconds=min(_EVERY_SECONDS, _seconds(settings.poll_minutes)),
        default_status=_status(settings),
        description="Says in one line which version was not loaded and why, and posts it to the alert webhook, if any.",
    )
    def load_failure_sensor(context: dg.RunFailureSensorContext) -> None:
        line = failure_line(settings, context)
        context.log.error(line)
        if settings.alert_webhook:
            problem = alert.post(settings.alert_webhook, line)
            if problem:
                context.log.warning(problem)

    return load_failure_sensor


def failure_line(settings: Settings, context: dg.RunFailureSensorContext) -> str:
    """Which version was not loaded, and why."""
    run = context.dagster_run
    name = next((data_set.name for data_set in settings.data_sets if is_about(run, data_set)), None)
    version = run.tags.get(PARTITION_NAME_TAG)
    what = f"{name} {version} was not loaded" if name and version else f"The job {run.job_name} failed"
    reasons = _reasons(context) or [context.failure_event.message or "no reason given"]
    return f"{what}: {' | '.join(reasons)} (run {run.run_id[:8]})"


def _reasons(context: dg.RunFailureSensorContext) -> list[str]:
    """What failed checks and failed steps say, each on one line."""
    found = []
    records = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in records:
        evaluation = record.event_log_entry.get_dagster_event().event_specific_data
        if isinstance(evaluation, dg.AssetCheckEvaluation) and evaluation.blocking and not evaluation.passed:
            found.append(evaluation.description or "")
    for event in context.get_step_failure_events():
        data = event.event_specific_data
        if not isinstance(data, StepFailureData):
            continue
        if data.user_failure_data:
            found.append(data.user_failure_data.description or "")
        elif data.error:
            error = data.error.cause or data.error
            found.append(error.message.removeprefix(f"{error.cls_name}: "))
    return list(dict.fromkeys(" ".join(reason.split()) for reason in found if reason.strip()))


def _listed(versions: Sequence[VersionNumber]) -> str:
    return ", ".join(map(str, versions))


def _clock(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _seconds(minutes: float) -> int:
    return max(1, round(minutes * 60))


def _status(settings: Settings) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if settings.sensors == "running" else dg.DefaultSensorStatus.STOPPED
