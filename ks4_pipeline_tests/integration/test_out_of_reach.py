"""An API that goes away in mid run, answers too slowly to begin, or is hidden by something in front of it."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter

import pytest

from ks4_pipeline.cli import app
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesStatusError, EesUnavailableError
from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.run import Outcome, Reporter, run
from ks4_pipeline.sandbox import Fault, Sandbox
from ks4_pipeline_tests.publisher import Edition, answering, describe, id_of, load, pipeline_for, scored

EVERYWHERE = Fault.model_validate({"kind": "reset", "path": "*"})
FIREWALL = b"<html><head><title>403 Forbidden</title></head><body>Blocked</body></html>"


@pytest.fixture
def dripping():
    """The address of a server that sends its headers a byte at a time, for ever."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip(connection):
        with connection:
            connection.recv(1 << 16)
            for byte in b"HTTP/1.1 200 OK\r\nX-Drip: " + b"x" * 10_000:
                if ended.wait(0.02):
                    return
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    return

    def serve():
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    ended.set()
    listening.close()


def test_headers_that_drip_are_given_up_at_the_deadline(dripping):
    policy = RetryPolicy(attempts=2, sleep=lambda _: None)
    with EesClient(dripping, policy=policy, limits=Limits(answer_seconds=0.4)) as client:
        begun = time.monotonic()
        with pytest.raises(EesUnavailableError, match=r"no answer \(ReadTimeout: .*Tried 2 times"):
            client.data_set(id_of("d"))
        assert time.monotonic() - begun < 20  # it drips for ever, and no pause is long enough for a read to time out


class TestAnOutageInMidRun:
    """It begins after the look at the first data set; there are more versions, and another data set."""

    @pytest.fixture
    def world(self, tmp_path):
        root = tmp_path / "published"
        versions = [Edition(f"1.{minor}", scored(str(minor))) for minor in range(4)]
        data_sets = [describe(root, name, *versions) for name in ("d", "e")]
        with Sandbox(root) as sandbox:
            yield sandbox, pipeline_for(tmp_path / "data", sandbox.url, *data_sets)

    def test_it_is_not_waited_for_at_each_version_and_the_run_says_that_the_api_is_out_of_reach(self, world):
        sandbox, pipeline = world

        class Outage(Reporter):
            def looked(self, data_set, listing, missing):
                sandbox.clear_requests()
                sandbox.fail(EVERYWHERE)

        report = run(pipeline, pipeline.settings.data_sets, reporter=Outage())
        assert report.exit_code == 3
        assert [(str(found.version), found.outcome) for found in report.outcomes] == [
            (f"1.{minor}", Outcome.UNREACHABLE) for _ in ("d", "e") for minor in range(4)
        ]
        messages = [found.message for found in report.outcomes]
        assert "Tried " in messages[0], "once, where one that was fetched ahead found out before"
        assert messages[1:4] == messages[5:] == ["Not tried: the API could not be reached any more at 1.0."] * 3
        assert "Tried once" in messages[4], "of the other data set"
        asked = Counter(request.path.rpartition("/data-sets/")[2] for request in sandbox.requests)
        assert len(asked) <= 7, "four versions at once, whether anything answers, and the same of the other data set"
        assert max(asked.values()) == 5, "one was tried as often as may be, and none in vain for ever"

        sandbox.heal()
        assert load(pipeline).exit_code == 0
        assert {name: len(found) for name, found in pipeline.in_force().items()} == {"d": 4, "e": 4}

    def test_what_was_loaded_before_it_is_published(self, world):
        sandbox, pipeline = world

        class Outage(Reporter):
            def finished(self, outcome):
                if str(outcome.version) == "1.1":
                    sandbox.fail(EVERYWHERE)

        assert run(pipeline, pipeline.settings.data_sets, reporter=Outage()).exit_code == 3
        assert {"1.0", "1.1"} <= {str(version) for version in pipeline.in_force()["d"]}, "and what had come ahead"

    def test_one_version_that_fails_alone_is_no_outage(self, world):
        sandbox, pipeline = world
        sandbox.fail(Fault.model_validate({"kind": "status", "status": 503, "path": "*/versions/1.1"}))
        report = load(pipeline)
        assert report.exit_code == 1
        failed = [found for found in report.outcomes if found.outcome is not Outcome.LOADED]
        assert [(found.data_set, str(found.version), found.outcome) for found in failed] == [
            ("d", "1.1", Outcome.FAILED),
            ("e", "1.1", Outcome.FAILED),
        ]
        assert all("Tried 5 times" in found.message for found in failed), "an answer in between, and it is asked fully"


class TestAForbidden:
    @pytest.fixture
    def ask(self, tmp_path):
        describe(tmp_path / "published", "d", Edition("1.0", scored("1")))

        def asked(body, headers):
            answer = answering(id_of("d"), 403, body, headers)
            with Sandbox(tmp_path / "published", middleware=[answer]) as sandbox, EesClient(sandbox.url) as client:
                client.data_set(id_of("d"))

        return asked

    def test_of_a_firewall_is_told_apart_from_the_apis_own(self, ask):
        with pytest.raises(EesUnavailableError, match=r"HTTP 403 Forbidden.*Blocked.*such as a firewall or proxy"):
            ask(FIREWALL, {"Content-Type": "text/html"})
        with pytest.raises(EesStatusError, match="HTTP 403 Forbidden - Forbidden"):
            ask(b'{"type": "https://x", "title": "Forbidden", "status": 403}', {"Content-Type": "application/json"})
        with pytest.raises(EesStatusError, match="the server sent no explanation"):
            ask(b"", {})

    def test_of_a_firewall_ends_the_command_as_out_of_reach(self, tmp_path, monkeypatch, capsys):
        describe(tmp_path / "published", "d", Edition("1.0", scored("1")))
        blocked = answering("", 403, FIREWALL, {"Content-Type": "text/html"})
        with Sandbox(tmp_path / "published", middleware=[blocked]) as sandbox:
            monkeypatch.setenv("KS4_API_URL", sandbox.url)
            monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path / "data"))
            with pytest.raises(SystemExit) as ended:
                app(["run"])
        assert ended.value.code == 3
        assert "such as a firewall or proxy, refused" in capsys.readouterr().err
