"""Many versions of many data sets in one run: fetched a few at a time, loaded in order, each failing for itself."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ks4_pipeline.run import Outcome, Reporter, run
from ks4_pipeline.sandbox import Fault, FaultKind, Sandbox
from ks4_pipeline_tests.publisher import Edition, answering, describe, load, pipeline_for, rows

NUMBERS = ("1.0", "1.0.1", "1.1", "2.0", "2.1", "3.0")


@pytest.fixture
def publisher(tmp_path):
    root = tmp_path / "publisher"
    data_sets = [
        describe(root, name, *(Edition(number, rows(f"a,{place},1")) for place, number in enumerate(NUMBERS)))
        for name in ("first", "second", "third")
    ]
    return root, data_sets


class Meeting:
    """ASGI middleware that holds a CSV's answer until so many CSVs are asked for at once, or a second has passed."""

    def __init__(self, app, parties):
        self._app = app
        self._parties = parties
        self._together = threading.Condition()
        self._waiting = self.most = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].endswith("/csv"):
            self._waiting += 1
            self.most = max(self.most, self._waiting)
            for _ in range(50):
                if self._waiting >= self._parties or self.most >= self._parties:
                    break
                await asyncio.sleep(0.02)
            self._waiting -= 1
        await self._app(scope, receive, send)


def test_all_are_loaded_in_order_and_several_are_fetched_at_once(tmp_path, publisher):
    root, data_sets = publisher
    met = []

    def wrap(app):
        met.append(Meeting(app, 3))
        return met[-1]

    with Sandbox(root, middleware=[wrap]) as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, *data_sets)
        report = load(pipeline)
        asked = [request.path for request in sandbox.requests if request.path.endswith("/csv")]
    assert report.exit_code == 0
    assert [(o.data_set, str(o.version)) for o in report.outcomes] == [
        (data_set.name, number) for data_set in data_sets for number in NUMBERS
    ]
    assert met[0].most >= 3, "fetched one after the other"
    assert len(asked) == len(data_sets) * len(NUMBERS), "each once"
    with pipeline.warehouse.read() as connection:
        for data_set in data_sets:
            for place, number in enumerate(NUMBERS):
                table = f"v{number.replace('.', '_')}" + ("_0" if number.count(".") == 1 else "")
                assert connection.execute(f"SELECT pupils FROM {data_set.name}.{table}").fetchall() == [(place,)]


def test_what_cannot_be_fetched_fails_alone(tmp_path, publisher):
    root, data_sets = publisher
    with Sandbox(root, middleware=[answering("/versions/2.0", 404)]) as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, *data_sets))
    failed = [(o.data_set, str(o.version)) for o in report.outcomes if o.outcome is not Outcome.LOADED]
    assert failed == [(data_set.name, "2.0") for data_set in data_sets]
    assert len(report.outcomes) == len(data_sets) * len(NUMBERS)
    assert report.exit_code == 1


def test_what_was_fetched_ahead_and_is_refused_is_not_fetched_again(tmp_path):
    editions = [Edition(number, rows("a,1,1" if number != "1.0.1" else "a,1,?")) for number in NUMBERS]
    data_set = describe(tmp_path / "publisher", "first", *editions)
    with Sandbox(tmp_path / "publisher") as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
        asked = [request.path for request in sandbox.requests if request.path.endswith("/csv")]
    assert [str(o.version) for o in report.outcomes if o.outcome is Outcome.REFUSED] == ["1.0.1"]
    assert len(asked) == len(NUMBERS)


def test_nothing_runs_on_after_a_run(tmp_path, publisher):
    root, data_sets = publisher
    with Sandbox(root, middleware=[answering("/csv", 503)]) as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, *data_sets))
    assert report.exit_code != 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ks4-")]


def test_a_run_that_is_broken_off_does_not_wait_for_a_server_that_stalls(tmp_path, publisher):
    class Impatient(Reporter):
        def finished(self, outcome):
            for _ in range(100):  # until another version is being fetched, and nothing comes
                if stalled in [request.query for request in sandbox.requests]:
                    break
                time.sleep(0.02)
            raise KeyboardInterrupt

    root, data_sets = publisher
    stalled = "dataSetVersion=1.0.1"
    with Sandbox(root, faults=[Fault(kind=FaultKind.STALL, path="*/csv", query=stalled, seconds=20)]) as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, *data_sets)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(pipeline, data_sets, reporter=Impatient())
        assert time.monotonic() - began < 10
