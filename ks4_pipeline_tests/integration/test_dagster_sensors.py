"""Sensors and schedules tick by tick, on a real instance, a real warehouse and a sandbox over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.definitions.repository_definition import RepositoryDefinition
from dagster._core.loader import LoadingContextForTest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, SensorInstigatorData
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from filelock import FileLock

from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.orchestration.instance import prepare
from ks4_pipeline.pipeline import NothingToAcceptError, Pipeline
from ks4_pipeline.report.making import Reports
from ks4_pipeline.run import run as load_from_the_command_line
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, answering, describe, packed, scored

STEPS = ("landing", "observations", "table", "revisions", "report")
ALL = ("major_version_sensor", "minor_version_sensor", "patch_version_sensor")


class Shell:
    """Definitions on an instance, and a hand that does what the daemon would do with a tick's result."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.pipeline = Pipeline(settings)
        self.definitions = build_definitions(settings, pipeline=self.pipeline)
        self.instance = dg.DagsterInstance.from_config(str(home))

    @property
    def repository(self) -> RepositoryDefinition:
        return self.definitions.get_repository_def()

    def tick(self, sensor: str) -> dg.SensorResult:
        context = dg.build_sensor_context(
            self.instance, repository_def=self.repository, resources={"pipeline": self.pipeline}, sensor_name=sensor
        )
        result = self.repository.get_sensor_def(sensor)(context)
        assert isinstance(result, dg.SensorResult)
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return result

    def reconcile(self) -> list[dg.RunRequest] | dg.SkipReason:
        context = dg.build_schedule_context(
            self.instance, repository_def=self.repository, resources={"pipeline": self.pipeline}
        )
        found = self.repository.get_schedule_def("daily_reconcile")(context)
        assert isinstance(found, list | dg.SkipReason)
        return found

    def load(self, data_set: DataSet, version: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(f"load_{data_set.name}")
        return job.execute_in_process(instance=self.instance, partition_key=version, raise_on_error=False)

    def refetch(self) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("refetch")
        return job.execute_in_process(instance=self.instance, raise_on_error=False)

    def materialized(self, *key: str) -> set[str]:
        return set(self.instance.get_materialized_partitions(dg.AssetKey(key)))

    def channels(self, data_set: DataSet) -> dict[str, str]:
        found = self.pipeline.in_force().get(data_set.name, {})
        return {str(version): ",".join(loaded.channels) for version, loaded in found.items()}


def requested(result: dg.SensorResult) -> list[str]:
    return [str(request.partition_key) for request in result.run_requests or ()]


def why(result: dg.SensorResult) -> str:
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


Start = Callable[..., Shell]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes shells on one data directory; settings may be given."""
    shells = []

    def make(url: str, *data_sets: DataSet, **more: Any) -> Shell:
        settings = Settings(api_url=url, data_dir=tmp_path / "data", data_sets=data_sets, **more)
        shells.append(Shell(settings, prepare(settings)))
        return shells[-1]

    yield make
    for shell in shells:
        shell.instance.dispose()


def history(tmp_path: Path, *numbers: str, name: str = "scores") -> DataSet:
    editions = [Edition(number, scored(str(place), "c")) for place, number in enumerate(numbers, 1)]
    return describe(tmp_path / "publisher", name, *editions)


def hold(publisher: Sandbox, data_set: DataSet, *numbers: str) -> None:
    for number in numbers:
        publisher.hold(data_set.id, number)


def test_each_sensor_asks_for_the_versions_of_its_bump_and_only_until_they_are_there(
    tmp_path: Path, start: Start
) -> None:
    data_set = history(tmp_path, "1.0", "1.0.1", "1.1", "1.9", "1.10", "2.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        assert "has not been read yet" in why(shell.tick("minor_version_sensor"))
        shell.tick("poll_sensor")
        assert [requested(shell.tick(sensor)) for sensor in ALL] == [
            ["1.0", "2.0"],
            ["1.1", "1.9", "1.10"],
            ["1.0.1"],
        ]
        assert shell.load(data_set, "1.9").success
        assert requested(shell.tick("minor_version_sensor")) == ["1.1", "1.10"]


def test_a_version_and_its_partition_come_in_the_same_tick(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        with shell.pipeline.client() as client:  # the list is known, and no partition is: ks4 run was broken off
            shell.pipeline.look(client, data_set)
        result = shell.tick("major_version_sensor")
        (request,) = result.dynamic_partitions_requests or ()
        assert requested(result) == list(request.partition_keys) == ["1.0"]


def test_no_version_is_asked_for_while_it_is_being_loaded(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
        for status in (
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ):
            run = create_run_for_test(shell.instance, "load_scores", status=status, tags={"dagster/partition": "1.0"})
            assert "1.0 is being loaded" in why(shell.tick("major_version_sensor")), status
            shell.instance.delete_run(run.run_id)
        by_hand = {"asset_selection": frozenset({dg.AssetKey(["scores", "table"])})}
        of_another = {"asset_selection": frozenset({dg.AssetKey(["others", "table"])})}
        started = {"status": dg.DagsterRunStatus.STARTED, "tags": {"dagster/partition": "1.0"}}
        create_run_for_test(shell.instance, "__ASSET_JOB", **started, **of_another)
        assert requested(shell.tick("major_version_sensor")) == ["1.0"]
        create_run_for_test(shell.instance, "__ASSET_JOB", **started, **by_hand)
        assert "1.0 is being loaded" in why(shell.tick("major_version_sensor"))


def test_a_version_that_keeps_failing_is_left_to_a_person_and_to_the_daily_reconciliation(
    tmp_path: Path, start: Start
) -> None:
    data_set = describe(tmp_path / "publisher", "scores", Edition("1.0", scored("neither number nor marker")))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set, max_attempts=3, poll_minutes=0.001)
        shell.tick("poll_sensor")
        for _ in range(3):
            time.sleep(0.3)  # more than the longest pause between attempts
            assert requested(shell.tick("major_version_sensor")) == ["1.0"]
            assert not shell.load(data_set, "1.0").success
        reason = why(shell.tick("major_version_sensor"))
        assert "scores 1.0 failed 3 times" in reason
        assert "ks4 run --data-set scores --version 1.0" in reason
        assert "partition 1.0 of scores in the UI" in reason
        found = shell.reconcile()
        assert isinstance(found, list)
        assert [request.partition_key for request in found] == ["1.0"]


def test_after_a_second_failure_there_is_a_pause(tmp_path: Path, start: Start) -> None:
    data_set = describe(tmp_path / "publisher", "scores", Edition("1.0", scored("neither number nor marker")))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
        for _ in range(2):
            assert requested(shell.tick("major_version_sensor")) == ["1.0"]
            shell.load(data_set, "1.0")
        assert "scores 1.0 failed and is tried again after" in why(shell.tick("major_version_sensor"))


def test_a_poll_without_news_costs_two_requests_and_says_when_news_came(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, *(f"1.{minor}" for minor in range(45)))
    with Sandbox(tmp_path / "publisher", patch_order_per_request=True) as publisher:
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
        assert len(publisher.requests) == 4  # the summary and three pages
        asked = []
        for _ in range(4):
            publisher.clear_requests()
            assert "45 versions listed" in why(shell.tick("poll_sensor"))
            asked.append([(request.path.rpartition("/")[2], request.query) for request in publisher.requests])
        assert all(len(requests) == 2 for requests in asked)
        assert [requests[1][1] for requests in asked] == [
            "page=2&pageSize=20",
            "page=3&pageSize=20",
            "",
            "page=2&pageSize=20",
        ]
        assert not any(request.path.endswith("/csv") for request in publisher.requests)


def test_partitions_follow_the_list_and_stay(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0", "1.0.1")
    with Sandbox(tmp_path / "publisher") as publisher:
        hold(publisher, data_set, "1.0.1")
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
        assert shell.instance.get_dynamic_partitions("scores_versions") == ["1.0"]
        publisher.publish(data_set.id, "1.0.1")
        shell.tick("poll_sensor")
        publisher.hold(data_set.id, "1.0")
        assert "1 versions listed" in why(shell.tick("poll_sensor"))
        assert shell.instance.get_dynamic_partitions("scores_versions") == ["1.0", "1.0.1"]


def test_a_withdrawal_moves_the_channels_at_the_next_poll_and_loads_nothing(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0", "1.0.1")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
        publisher.clear_requests()
        publisher.withdraw(data_set.id, "1.0.1")
        assert "release changed: 1.0.1" in why(shell.tick("poll_sensor"))
        assert shell.channels(data_set) == {"1.0": "latest,v1,v1_0", "1.0.1": ""}
        publisher.restore(data_set.id, "1.0.1")
        shell.tick("poll_sensor")
        assert shell.channels(data_set) == {"1.0": "", "1.0.1": "latest,v1,v1_0"}
        edition = shell.pipeline.warehouse.path.stat().st_mtime_ns
        shell.tick("poll_sensor")
        assert shell.pipeline.warehouse.path.stat().st_mtime_ns == edition
        assert not any(request.path.endswith("/csv") for request in publisher.requests)


def test_a_poll_does_not_wait_for_long_while_another_process_publishes(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ks4_pipeline.watch._PUBLISHER_SECONDS", 0.1)
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
        publisher.withdraw(data_set.id, "1.0")
        with FileLock(tmp_path / "data" / "warehouse.duckdb.lock"):
            assert "the catalogue could not follow" in why(shell.tick("poll_sensor"))
        shell.tick("poll_sensor")
        assert shell.channels(data_set) == {"1.0": ""}


def test_an_api_that_is_down_is_a_reason_and_no_failure_and_other_data_sets_go_on(tmp_path: Path, start: Start) -> None:
    one, two = history(tmp_path, "1.0", name="one"), history(tmp_path, "1.0", name="two")
    down = answering(f"{one.id}/versions", 503, b"<html>Service Unavailable</html>")
    with Sandbox(tmp_path / "publisher", middleware=[down]) as publisher:
        shell = start(publisher.url, one, two)
        reason = why(shell.tick("poll_sensor"))
        assert "one: " in reason
        assert "HTTP 503" in reason
        assert "two: 1 versions listed" in reason
        assert shell.instance.get_dynamic_partitions("two_versions") == ["1.0"]
    assert "no answer" in why(shell.tick("poll_sensor"))


def test_the_look_is_on_record_with_its_freshness(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set, poll_minutes=15)
        shell.tick("poll_sensor")
        shell.tick("poll_sensor")
    event = shell.instance.get_latest_materialization_event(dg.AssetKey(["scores", "listing"]))
    assert event is not None
    assert event.asset_materialization is not None
    told = {key: value.value for key, value in event.asset_materialization.metadata.items()}
    assert (told["versions listed"], told["versions loaded"], told["newest"]) == (1, 0, "1.0")
    assert float(str(told["last news at"])) < float(str(told["seen at"]))
    specs = {spec.key: spec for spec in shell.definitions.resolve_all_asset_specs()}
    policy = specs[dg.AssetKey(["scores", "listing"])].freshness_policy
    assert policy == dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=45), fail_window=timedelta(hours=3))


def test_what_the_command_line_loaded_shows_in_the_ui_once(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0", "1.0.1")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        assert shell.tick("poll_sensor")
        assert shell.load(data_set, "1.0").success
        load_from_the_command_line(shell.pipeline, [data_set])
        assert not any(
            made.problem for made in Reports.of(shell.pipeline).make_all({"scores": [VersionNumber(1, 0, 1)]})
        )
        reported = shell.tick("poll_sensor").asset_events
        again = shell.tick("poll_sensor").asset_events
    for step in STEPS:
        assert shell.materialized("scores", step) == {"1.0", "1.0.1"}
    partitions = [event.partition for event in reported if isinstance(event, dg.AssetMaterialization)]
    assert partitions == [None, *["1.0.1"] * len(STEPS)]
    assert any(isinstance(event, dg.AssetCheckEvaluation) for event in reported)
    assert [event.asset_key.path[-1] for event in again] == ["listing"]
    stale = CachingStaleStatusResolver(
        shell.instance, shell.repository.asset_graph, LoadingContextForTest(shell.instance)
    )
    for step in STEPS:
        assert stale.get_stale_causes(dg.AssetKey(["scores", step]), "1.0.1") == [], f"{step} is called out of date"


def test_the_reconciliation_loads_what_is_missing_but_not_what_a_person_holds_back(
    tmp_path: Path, start: Start
) -> None:
    one, two = history(tmp_path, "1.0", "1.0.1", "1.1", name="one"), history(tmp_path, "1.0", name="two")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, one, two)
        shell.tick("poll_sensor")
        assert shell.load(one, "1.0").success
        create_run_for_test(
            shell.instance, "load_two", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "1.0"}
        )
        stop(shell, "minor_version_sensor")
        found = shell.reconcile()
    assert isinstance(found, list)
    (request,) = found
    assert (request.partition_key, request.run_key) == ("1.0.1", "one@1.0.1")
    assert {key.to_user_string() for key in request.asset_selection or ()} == {f"one/{step}" for step in STEPS}
    assert "served_bytes_unchanged" not in {key.name for key in request.asset_check_keys or ()}
    assert request.asset_check_keys


def test_the_reconciliation_goes_on_with_what_is_known_when_the_api_is_down(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
    found = shell.reconcile()
    assert isinstance(found, list)
    assert [request.partition_key for request in found] == ["1.0"]


def test_other_bytes_under_the_same_number_are_found_kept_and_taken_over_only_when_accepted(
    tmp_path: Path, start: Start
) -> None:
    data_set = history(tmp_path, "1.0", "1.1")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
        same = shell.refetch()
        assert same.success
        assert [evaluation.passed for evaluation in same.get_asset_check_evaluations()] == [True]
    old = shell.pipeline.landing.get(data_set, VersionNumber(1, 1))
    assert old is not None
    describe(tmp_path / "publisher", "scores", Edition("1.0", scored("1", "c")), Edition("1.1", scored("9", "c")))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        found = shell.refetch()
        assert not found.success  # so that the failure sensor tells people
        (evaluation,) = found.get_asset_check_evaluations()
        assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert "ks4 accept 1.1 --data-set scores" in (evaluation.description or "")
    landing = tmp_path / "data" / "landing" / "scores"
    (candidate,) = shell.pipeline.republished(data_set).values()
    assert candidate.folder.parent == landing / "republished"
    candidate.verify()
    assert scores(shell, "v1_1_0") == [2.0, None]

    shell.pipeline.accept(data_set, VersionNumber(1, 1))
    assert scores(shell, "v1_1_0") == scores(shell, "latest") == [9.0, None]
    assert shell.pipeline.republished(data_set) == {}
    (superseded,) = (landing / "superseded").iterdir()
    assert superseded.name == f"1.1-{old.manifest.csv.sha256[:12]}"
    with pytest.raises(NothingToAcceptError):
        shell.pipeline.accept(data_set, VersionNumber(1, 1))


def test_materialized_by_hand_a_version_is_fetched_again_and_no_other(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0", "1.1")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
        shell.tick("poll_sensor")
        publisher.clear_requests()
        job = shell.definitions.resolve_implicit_global_asset_job_def()
        by_hand = job.execute_in_process(instance=shell.instance, partition_key="1.0")
        fetched = [request.query for request in publisher.requests if request.path.endswith("/csv")]
    assert fetched == ["dataSetVersion=1.0"]
    passed = {found.check_name: found.passed for found in by_hand.get_asset_check_evaluations()}
    assert passed["served_bytes_unchanged"]


def test_new_bytes_that_cannot_be_trusted_are_not_accepted(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
    describe(tmp_path / "publisher", "scores", Edition("1.0", scored("nonsense", "c")))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        shell.refetch()
        with pytest.raises(Exception, match="nonsense"):
            shell.pipeline.accept(data_set, VersionNumber(1, 0))
        assert scores(shell, "v1_0_0") == [1.0, None]
        assert shell.pipeline.republished(data_set)
        shell.pipeline.publish(data_set, [VersionNumber(1, 0)])  # the old observations are whole again
        assert scores(shell, "v1_0_0") == [1.0, None]


def test_bytes_that_the_publisher_took_back_are_no_longer_to_be_accepted(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, "1.0")
    for text, candidates in (("1", 0), ("5", 1), ("6", 1), ("1", 0)):
        describe(tmp_path / "publisher", "scores", Edition("1.0", scored(text, "c")))
        with Sandbox(tmp_path / "publisher") as publisher:
            shell = start(publisher.url, data_set)
            load_from_the_command_line(shell.pipeline, [data_set])
            with shell.pipeline.client() as client:
                refetched = shell.pipeline.refetch(client, data_set, VersionNumber(1, 0))
        assert refetched.is_same is not bool(candidates)
        assert len(shell.pipeline.republished(data_set)) == candidates
    assert len(list((tmp_path / "data" / "landing" / "scores" / "superseded").iterdir())) == 2


def test_another_gzip_around_the_same_csv_is_the_same(tmp_path: Path, start: Start) -> None:
    text = scored("1", "c")
    data_set = describe(tmp_path / "publisher", "scores", Edition("1.0", packed(text), gzipped=True))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        load_from_the_command_line(shell.pipeline, [data_set])
    middle = len(text) // 2
    describe(
        tmp_path / "publisher", "scores", Edition("1.0", packed(text[:middle]) + packed(text[middle:]), gzipped=True)
    )
    with Sandbox(tmp_path / "publisher") as publisher:
        assert start(publisher.url, data_set).refetch().success


def test_a_failed_run_is_told_in_one_line_and_posted(tmp_path: Path, start: Start) -> None:
    data_set = describe(tmp_path / "publisher", "scores", Edition("1.0", scored("nonsense")))
    posted: list[dict[str, str]] = []
    with Sandbox(tmp_path / "publisher") as publisher, listening(posted) as webhook:
        shell = start(publisher.url, data_set, alert_webhook=webhook)
        shell.tick("poll_sensor")
        failure_told(shell, shell.load(data_set, "1.0"))
    (message,) = posted
    assert message["text"].startswith("scores 1.0 was not loaded: ")
    assert "column 'score', row 1" in message["text"]
    assert "nonsense" in message["text"]
    assert "\n" not in message["text"]


def test_an_alert_that_cannot_be_delivered_does_no_harm(tmp_path: Path, start: Start) -> None:
    data_set = describe(tmp_path / "publisher", "scores", Edition("1.0", scored("nonsense")))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set, alert_webhook="http://127.0.0.1:9/secret")
        shell.tick("poll_sensor")
        failure_told(shell, shell.load(data_set, "1.0"))


def test_fifty_versions_take_a_tick_less_than_a_second(tmp_path: Path, start: Start) -> None:
    data_set = history(tmp_path, *(f"1.{minor}" for minor in range(50)))
    with Sandbox(tmp_path / "publisher") as publisher:
        shell = start(publisher.url, data_set)
        shell.tick("poll_sensor")
        some = {VersionNumber(1, minor) for minor in range(5)}
        load_from_the_command_line(shell.pipeline, [data_set], only=some)
        for minor in range(5, 50):
            for _ in range(2):
                create_run_for_test(
                    shell.instance,
                    "load_scores",
                    status=dg.DagsterRunStatus.FAILURE,
                    tags={"dagster/partition": f"1.{minor}"},
                )
        shell.tick("poll_sensor")
        for sensor in ("poll_sensor", *ALL):
            begun = time.process_time()  # what it works, not what it waits for a busy machine
            shell.tick(sensor)
            assert time.process_time() - begun < 1, sensor


def stop(shell: Shell, sensor: str) -> None:
    """Store what the UI stores when a person switches a sensor off."""
    target = LoadableTargetOrigin(module_name="ks4_pipeline.definitions")
    location = InProcessCodeLocationOrigin(loadable_target_origin=target, location_name="ks4_pipeline")
    origin = RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin(sensor)
    data = SensorInstigatorData(sensor_type=None)
    shell.instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, data))


def failure_told(shell: Shell, failed: dg.ExecuteInProcessResult) -> None:
    run = failed.dagster_run
    event = next(event for event in failed.all_events if event.is_run_failure)
    context = dg.build_run_status_sensor_context("load_failure_sensor", event, shell.instance, run)
    shell.repository.get_sensor_def("load_failure_sensor")(context.for_run_failure())


def scores(shell: Shell, table: str) -> list[float | None]:
    with shell.pipeline.warehouse.read() as connection:
        return [value for (value,) in connection.execute(f"SELECT score FROM scores.{table}").fetchall()]


class listening:  # noqa: N801 - reads as a verb where it is used
    """A chat service's address that keeps what is posted to it."""

    def __init__(self, posted: list[dict[str, str]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/hook?key=secret"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
