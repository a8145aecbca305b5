"""The client against answers no sandbox gives: lists that shift, repeat, lie or never end, and wires that break."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import (
    EesAnswerError,
    EesBlockedError,
    EesStatusError,
    EesTransferError,
    EesUnavailableError,
)
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.versions import VersionNumber

ID = "019d4320-2bde-7059-8d7a-b685013eb1e6"
BASE = "https://api.example/statistics"


def record(number, **more):
    return {"version": number, "type": "Major", "status": "Published", "totalResults": 1, **more}


def page(numbers, *, total, pages=1):
    return {
        "paging": {"page": 1, "pageSize": 20, "totalResults": total, "totalPages": pages},
        "results": [record(number) for number in numbers],
    }


def client(answer):
    """A client whose requests are answered by a function of the request."""

    def respond(request):
        given = answer(request)
        if not isinstance(given, httpx.Response):
            given = httpx.Response(200, content=json.dumps(given))
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)  # nobody has read it yet

    return EesClient(BASE, transport=httpx.MockTransport(respond), policy=RetryPolicy(sleep=lambda _seconds: None))


def listed(pages_by_walk):
    """The numbers a client makes of a list that gives other pages at each reading of it."""
    walk = [-1]

    def answer(request):
        number = int(request.url.params["page"])
        walk[0] += number == 1
        pages = pages_by_walk[min(walk[0], len(pages_by_walk) - 1)]
        return page(pages[number - 1], total=sum(map(len, pages_by_walk[-1])), pages=len(pages))

    with client(answer) as asked:
        return [str(found.version) for found in asked.versions(ID)], walk[0] + 1


class TestTheVersionList:
    def test_all_pages_are_read_and_put_in_order(self):
        assert listed([[["2.0", "1.10"], ["1.9", "1.0.1"], ["1.0"]]]) == (["1.0", "1.0.1", "1.9", "1.10", "2.0"], 1)

    def test_an_empty_list(self):
        assert listed([[[]]]) == ([], 1)

    def test_a_patch_repeated_on_the_next_page_and_another_one_lost_is_read_again(self):
        shifted = [["2.0", "1.0.2"], ["1.0.2", "1.0"]]
        whole = [["2.0", "1.0.2"], ["1.0.1", "1.0"]]
        assert listed([shifted, shifted, whole]) == (["1.0", "1.0.1", "1.0.2", "2.0"], 3)

    def test_a_list_that_stays_incomplete_is_an_error(self):
        with client(lambda _: page(["1.0", "1.0"], total=2)) as asked, pytest.raises(EesAnswerError) as caught:
            asked.versions(ID)
        assert "announces 2 versions, and 3 readings gave 1" in str(caught.value)

    def test_a_list_that_never_ends_is_an_error(self):
        with (
            client(lambda request: page([f"1.{request.url.params['page']}"], total=9, pages=10**9)) as asked,
            pytest.raises(EesAnswerError, match=r"does not end: 1,000,000,000 pages .* for 9 versions, 1 were read"),
        ):
            asked.versions(ID)

    def test_an_empty_page_ends_it_whatever_is_announced(self):
        with client(lambda _: page([], total=3, pages=99)) as asked, pytest.raises(EesAnswerError, match="gave 0"):
            asked.versions(ID)

    def test_one_number_in_two_spellings_is_one_version(self):
        with client(lambda _: page(["1.0", "1.0.0"], total=1)) as asked:
            assert [str(found.version) for found in asked.versions(ID)] == ["1.0"]

    @pytest.mark.parametrize("number", ["", "latest", "1", "v1.0", "1.0-draft", 1.0, None])
    def test_a_number_that_is_none_is_an_error_that_says_where(self, number):
        with (
            client(lambda _: page([number], total=1)) as asked,
            pytest.raises(EesAnswerError, match=r"results\.0\.version"),
        ):
            asked.versions(ID)

    def test_fields_that_are_new_do_no_harm_and_those_left_out_have_defaults(self):
        answer = page([], total=1)
        answer["results"] = [record("1.0", somethingNew={"a": [1]})]
        with client(lambda _: answer) as asked:
            (found,) = asked.versions(ID)
        assert (found.notes, found.withdrawn, found.file, found.release, found.published) == (
            "",
            None,
            None,
            None,
            None,
        )

    def test_a_negative_number_of_rows_is_an_error(self):
        answer = page([], total=1)
        answer["results"] = [record("1.0", totalResults=-1)]
        with client(lambda _: answer) as asked, pytest.raises(EesAnswerError, match="totalResults"):
            asked.versions(ID)


@pytest.mark.parametrize(
    ("response", "kind", "said"),
    [
        (httpx.Response(308, headers={"location": "http://internal/"}), EesStatusError, "HTTP 308"),
        (httpx.Response(403, html="<b>Request blocked</b>"), EesBlockedError, "no JSON but: 'Request blocked'"),
        (httpx.Response(500), EesUnavailableError, "HTTP 500 Internal Server Error - the server sent no explanation"),
        (httpx.Response(204), EesStatusError, "HTTP 204"),
        (httpx.Response(200, html="<html>hello</html>"), EesAnswerError, "expected JSON, found text/html"),
        (httpx.Response(200), EesAnswerError, "expected JSON"),
        (httpx.Response(200, json=[]), EesAnswerError, "does not fit the contract"),
        (httpx.Response(404, json={"title": "Not Found"}), EesStatusError, "HTTP 404 Not Found - Not Found"),
        (httpx.Response(404, json={}), EesStatusError, "the server sent no explanation"),
        (httpx.Response(404, json=[1]), EesStatusError, "no JSON but: '[1]'"),
        (httpx.Response(404, content=b"\xff\xfe\x00"), EesStatusError, "HTTP 404"),
        (httpx.Response(418, text="x" * 10_000), EesStatusError, "HTTP 418"),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else None,
)
def test_what_an_answer_means(response, kind, said):
    with client(lambda _: response) as asked, pytest.raises(kind) as caught:
        asked.data_set(ID)
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{BASE}/v1/data-sets/{ID}")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("gone"), httpx.ReadError("reset")],
    ids=lambda error: type(error).__name__,
)
def test_a_wire_that_breaks_is_an_api_out_of_reach(error):
    def fail(_):
        raise error

    with client(fail) as asked:
        with pytest.raises(EesUnavailableError, match=type(error).__name__):
            asked.data_set(ID)
        with pytest.raises(EesUnavailableError, match=type(error).__name__):
            asked.download(ID, VersionNumber(1, 0), lambda stream: stream)


def test_json_that_cannot_be_decompressed_is_a_broken_transfer():
    def broken(_):
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    with client(broken) as asked, pytest.raises(EesTransferError, match="the gzip body is damaged"):
        asked.data_set(ID)


@pytest.mark.parametrize(("version", "query"), [("1.0", ""), ("1.1", ""), ("1.0.1", "includePatchHistory=true")])
def test_the_history_of_patches_is_asked_for_only_where_there_can_be_one(version, query):
    asked_for = []

    def answer(request):
        asked_for.append(request.url.query.decode())
        return {"versionNumber": version}

    with client(answer) as asked:
        asked.changes(ID, VersionNumber.parse(version))
    assert asked_for == [query]


def test_a_record_of_another_version_is_an_error():
    with (
        client(lambda _: record("1.1")) as asked,
        pytest.raises(EesAnswerError, match=r"asked for version 1\.0, and .* 1\.1"),
    ):
        asked.version(ID, VersionNumber(1, 0))


@pytest.mark.parametrize("answer", [503, httpx.ReadError("the connection is gone")])
def test_closing_it_ends_what_another_thread_asks_and_nothing_is_said_of_the_api(answer, caplog):
    is_asked, may_answer = threading.Event(), threading.Event()

    def respond(_):
        is_asked.set()
        if isinstance(answer, int):  # and then a pause
            return httpx.Response(answer, headers={"retry-after": "60"}, stream=httpx.ByteStream(b""))
        may_answer.wait(20)
        raise answer

    client = EesClient(BASE, transport=httpx.MockTransport(respond))
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.data_set, ID)
        assert is_asked.wait(20)
        while isinstance(answer, int) and not caplog.messages:  # until it pauses
            assert not asking.done()
            time.sleep(0.01)
        caplog.clear()
        client.close()
        may_answer.set()
        with pytest.raises(RuntimeError, match="closed"):
            asking.result(20)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=a_v1.0.csv; filename*=UTF-8''a_v1.0.csv", "a_v1.0.csv"),
        ('attachment; filename="a_v1.0.csv"', "a_v1.0.csv"),
        ("attachment;FileName=a_v1.0.csv", "a_v1.0.csv"),
        ("attachment; filename= a_v1.0.csv ", "a_v1.0.csv"),
        ("attachment; filename*=UTF-8''a_v1.0.csv", None),
        ("attachment", None),
        ("", None),
    ],
)
def test_the_file_name_of_a_csv(disposition, name):
    headers = {"content-encoding": "gzip", "content-disposition": disposition}

    def receive(stream):
        return stream.file_name, stream.length, b"".join(stream.chunks)

    with client(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(b""))) as asked:
        assert asked.download(ID, VersionNumber(1, 0), receive) == (name, None, b"")
