"""How persistent a client is, on a clock that only sleeping moves."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from ks4_pipeline.ees.answers import retry_after
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import (
    ANY,
    ONCE_MORE,
    EesAnswerError,
    EesError,
    EesStatusError,
    EesTooLargeError,
    EesTransferError,
    EesUnavailableError,
)
from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.ees.pace import BURST, Pace
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.versions import VersionNumber

URL = "https://api.example/statistics/v1/data-sets/x"
ID = "019d4320-2bde-7059-8d7a-b685013eb1e6"


class Time:
    """A clock, and the pauses that moved it."""

    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def policy(time, **more):
    return RetryPolicy(**{"clock": time.clock, "sleep": time.sleep, "dice": lambda: 1.0, **more})


def failing(error, times=10**9, cost=0.0, time=None):
    """An attempt that fails so many times, taking some seconds each; it counts itself in ``made``."""
    made = []

    def attempt(left):
        made.append(left)
        if time:
            time.now += cost
        if len(made) <= times:
            raise error()
        return "answer"

    return attempt, made


def unavailable(**more):
    return lambda: EesUnavailableError(URL, "HTTP 503.", **more)


def test_a_fault_that_passes_is_cured_and_the_pauses_grow_up_to_a_bound():
    time = Time()
    attempt, made = failing(unavailable(), times=6)
    assert policy(time, attempts=7, base=1, longest_wait=9).run(attempt, 100) == "answer"
    assert time.pauses == [1, 2, 4, 8, 9, 9]
    assert made == [100, 99, 97, 93, 85, 76, 67], "each attempt is told what is left"


def test_the_pause_is_fully_random():
    for dice in (0.0, 0.25, 0.999):
        time = Time()
        attempt, _ = failing(unavailable(), times=3)
        policy(time, dice=lambda dice=dice: dice).run(attempt, 100)
        assert time.pauses == [dice * longest for longest in (1, 2, 4)]


def test_one_that_stays_is_given_up_and_the_error_says_what_was_tried():
    time = Time()
    attempt, made = failing(unavailable(), cost=2, time=time)
    with pytest.raises(EesUnavailableError) as caught:
        policy(time, attempts=3).run(attempt, 100)
    assert len(made) == 3
    assert str(caught.value) == f"{URL}: HTTP 503. Tried 3 times in 9.0 s."


def test_no_attempt_begins_and_no_pause_is_made_after_the_deadline():
    time = Time()
    attempt, made = failing(unavailable(), cost=3, time=time)
    with pytest.raises(EesUnavailableError, match=r"Tried 3 times in 12\.0 s"):
        policy(time, attempts=99).run(attempt, 15)
    assert (len(made), time.pauses) == (3, [1, 2]), "the next pause would have been 4 s, and 3 were left"


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (EesUnavailableError(URL, "."), 5),
        (EesTransferError(URL, "."), 5),
        (EesAnswerError(URL, ".", worth=ANY), 5),
        (EesTransferError(URL, ".", worth=ONCE_MORE), 2),
        (EesAnswerError(URL, "."), 1),
        (EesTooLargeError(URL, "."), 1),
        (EesStatusError(URL, 404, "."), 1),
        (KeyError("a bug"), 1),
    ],
)
def test_each_fault_is_worth_as_many_attempts_as_can_help(error, attempts):
    attempt, made = failing(lambda: error)
    with pytest.raises(type(error)) as caught:
        policy(Time()).run(attempt, 100)
    assert len(made) == attempts
    assert ("Tried" in str(caught.value)) == (attempts > 1)


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, 1), (0, 1), (0.5, 1), (7, 7), (60, 60), (61, 60), (31_536_000, 60)],
)
def test_a_server_that_asks_for_time_gets_it_within_bounds(asked, pause):
    time = Time()
    attempt, _ = failing(unavailable(retry_after=asked), times=1)
    policy(time).run(attempt, 1000)
    assert time.pauses == [pause]


def test_a_pause_longer_than_the_time_left_is_not_made():
    time = Time()
    attempt, made = failing(unavailable(retry_after=30))
    with pytest.raises(EesUnavailableError, match="Tried once"):
        policy(time).run(attempt, 20)
    assert (len(made), time.pauses) == (1, [])


def test_every_attempt_is_logged_with_its_reason(caplog):
    attempt, _ = failing(unavailable(), times=2)
    policy(Time()).run(attempt, 100)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ks4_pipeline.ees.retrying", "WARNING", f"{URL}: HTTP 503. Attempt {number} of 5; the next in {pause} s.")
        for number, pause in ((1, "1.0"), (2, "2.0"))
    ]


NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("0", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("Wed, 01 Jul 2026 12:00:30 -0000", 30),
        ("Wed, 01 Jul 2026 13:00:30 +0100", 30),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("\u0661", None),
        ("9" * 400, None),
        ("Wed, 99 Jul 2026 12:00:30 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(value, seconds):
    headers = httpx.Headers([(b"retry-after", value.encode()), (b"date", format_datetime(NOW, usegmt=True).encode())])
    assert retry_after(headers) == seconds


def test_a_date_is_by_our_clock_where_the_server_tells_none():
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    assert 590 < retry_after(httpx.Headers({"Retry-After": until})) <= 600


def test_a_client_asks_in_a_burst_and_then_at_its_pace():
    time = Time()
    pace = Pace(4, time.clock, time.sleep)
    for _ in range(BURST):
        pace.wait()
    assert time.pauses == []
    for _ in range(40):
        pace.wait()
    assert time.now == pytest.approx(1000 + 40 / 4)
    time.now += 1
    before = len(time.pauses)
    for _ in range(4):
        pace.wait()
    assert len(time.pauses) == before, "a second of silence is four requests"


class TestTheClient:
    """What it makes of time, limits and bodies that no honest server sends."""

    def client(self, time, answer, **limits):
        def respond(request):
            given = answer(request)
            return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)

        return EesClient(
            "https://api.example/statistics",
            transport=httpx.MockTransport(respond),
            policy=policy(time),
            limits=Limits.model_validate(limits),
        )

    def test_an_answer_that_comes_too_slowly_is_broken_off_and_asked_again(self):
        time = Time()

        class Slow(httpx.SyncByteStream):
            def __iter__(self):
                for _ in range(1000):
                    time.now += 1
                    yield b" "

        with (
            self.client(time, lambda _: httpx.Response(200, stream=Slow()), answer_seconds=10) as client,
            pytest.raises(EesUnavailableError, match=r"came too slowly: 11 bytes .* Tried 5 times in 70\.0 s"),
        ):
            client.data_set(ID)

    def test_a_hurried_client_tries_twice_then_once_and_stops_when_the_round_is_over(self):
        time = Time()

        def answer(_):
            time.now += 5
            return httpx.Response(503)

        with self.client(time, answer) as client:
            client.hurry(answer_seconds=8, in_all_seconds=20)
            with pytest.raises(EesUnavailableError, match=r"Tried 2 times in 11\.0 s"):
                client.data_set(ID)
            for _ in range(2):  # nothing has answered since
                with pytest.raises(EesUnavailableError, match=r"Tried once in 5\.0 s"):
                    client.data_set(ID)
            with pytest.raises(EesUnavailableError, match="not asked any more"):
                client.data_set(ID)

    @pytest.mark.parametrize(
        ("body", "headers", "said"),
        [
            (b"{}" + b" " * 2000, {}, "is announced with 2,002 bytes"),
            (b"{}" + b" " * 2000, {"transfer-encoding": "chunked"}, "has more than 1,000 bytes"),
            (b"{}", {"content-length": "9" * 300}, "is announced with 999,999,999,999,999,999 bytes"),
        ],
    )
    def test_a_large_answer_is_refused_at_once(self, body, headers, said):
        time = Time()
        sent = {"content-length": str(len(body)), **headers}
        if "transfer-encoding" in sent:
            del sent["content-length"]

        def answer(_):
            return httpx.Response(200, headers=sent, stream=httpx.ByteStream(body))

        with (
            self.client(time, answer, max_json_bytes=1000) as client,
            pytest.raises(EesTooLargeError, match=f"{said}.* raise max_json_bytes in \\[limits\\]"),
        ):
            client.data_set(ID)
        assert time.pauses == []

    def test_an_explanation_is_read_no_further_than_it_is_shown(self):
        read = []

        class Endless(httpx.SyncByteStream):
            def __iter__(self):
                while True:
                    read.append(1)
                    yield b"<p>no</p>" * 1000

        with (
            self.client(Time(), lambda _: httpx.Response(404, stream=Endless())) as client,
            pytest.raises(EesStatusError, match=r"HTTP 404 .*no no no"),
        ):
            client.data_set(ID)
        assert len(read) < 20

    def test_a_body_in_an_encoding_nobody_asked_for_is_a_broken_transfer(self):
        def answer(_):
            return httpx.Response(200, headers={"content-encoding": "br"}, stream=httpx.ByteStream(b"\x0b\x02\x80{}"))

        with self.client(Time(), answer) as client, pytest.raises(EesTransferError, match="Content-Encoding 'br'"):
            client.data_set(ID)

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 1_000_000,
            b'{"a":' * 200_000,
            b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"id": ' + b"9" * 100_000 + b"}",
            b'{"id": "\\ud800"}',
            b"\x00" * 1000,
            b'"' + b"x" * 1_000_000,
            b'[{"' + b"k" * 1_000_000 + b'": 1}]',
            b"[" + b"{}," * 200_000 + b"{}]",
        ],
        ids=range(9),
    )
    def test_no_json_makes_it_crash(self, body):
        def answer(_):
            return httpx.Response(200, stream=httpx.ByteStream(body))

        with self.client(Time(), answer) as client:
            for ask in (
                lambda: client.data_set(ID),
                lambda: client.versions(ID),
                lambda: client.meta(ID, VersionNumber(1, 0)),
                lambda: client.changes(ID, VersionNumber(1, 0)),
            ):
                with pytest.raises(EesError) as caught:
                    ask()
                assert isinstance(caught.value, EesAnswerError)
                assert len(str(caught.value)) < 1000
