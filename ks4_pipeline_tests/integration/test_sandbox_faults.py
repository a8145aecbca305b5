"""The sandbox's faults as a client sees them, ordered in Python and over HTTP."""

import gzip
import json
import time

import httpx
import pytest
from pydantic import ValidationError

from ks4_pipeline.sandbox import Fault, FaultKind, Sandbox, SandboxError
from ks4_pipeline.sandbox.authoring import write_data_set

HTTP = httpx.Client(trust_env=False, timeout=10)
ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
CONTENT = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(200))
DATA_SET = f"/v1/data-sets/{ID}"
CSV = f"{DATA_SET}/csv"
VERSIONS = f"{DATA_SET}/versions"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    versions = [{"version": version, "file": "data.csv"} for version in ("1.0", "1.1")]
    write_data_set(root / "set", {"id": ID, "title": "A set", "versions": versions}, {"data.csv": CONTENT})
    with Sandbox(root) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    yield running
    running.heal()


def get(sandbox, path=VERSIONS, **params):
    return HTTP.get(f"{sandbox.url}{path}", params=params)


def raw(sandbox, path=CSV):
    """Headers, the bytes that came, and the error that ended them."""
    received = b""
    with HTTP.stream("GET", f"{sandbox.url}{path}") as response:
        try:
            for piece in response.iter_raw():
                received += piece
        except httpx.TransportError as error:
            return response, received, type(error)
    return response, received, None


def order(sandbox, kind, **more):
    return sandbox.fail(Fault(kind=kind, **more))


class TestWhoseTurnItIs:
    def statuses(self, sandbox, *paths):
        return [get(sandbox, path).status_code for path in paths]

    def test_every_request_unless_it_says_otherwise(self, sandbox):
        order(sandbox, FaultKind.STATUS)
        assert self.statuses(sandbox, DATA_SET, VERSIONS, CSV, "/v1/nowhere") == [503] * 4

    def test_only_the_path_and_the_query_it_names(self, sandbox):
        order(sandbox, FaultKind.STATUS, path="*/csv", query="*Version=1.1", status=500)
        assert get(sandbox, CSV, dataSetVersion="1.1").status_code == 500
        assert get(sandbox, CSV, dataSetVersion="1.0").status_code == 200
        assert get(sandbox, f"{DATA_SET}/meta", dataSetVersion="1.1").status_code == 200

    def test_a_path_without_a_star_is_that_path(self, sandbox):
        order(sandbox, FaultKind.STATUS, path=f"/data-sets/{ID}")
        assert self.statuses(sandbox, DATA_SET, VERSIONS, "/v1.0/publications") == [503, 200, 200]

    def test_from_the_nth_request_and_so_many_times(self, sandbox):
        order(sandbox, FaultKind.STATUS, nth=3, times=2)
        assert self.statuses(sandbox, *[VERSIONS] * 6) == [200, 200, 503, 503, 200, 200]

    def test_the_oldest_that_is_due(self, sandbox):
        order(sandbox, FaultKind.STATUS, status=500, times=1)
        order(sandbox, FaultKind.STATUS, status=502, nth=2, times=1)
        order(sandbox, FaultKind.STATUS, status=504, nth=3, times=1)
        assert self.statuses(sandbox, *[VERSIONS] * 4) == [500, 502, 504, 200]
        assert [(known.seen, known.struck) for known in sandbox.faults] == [(4, 1)] * 3

    def test_one_or_all_can_be_healed(self, sandbox):
        first = order(sandbox, FaultKind.STATUS, status=500)
        order(sandbox, FaultKind.STATUS, status=502)
        sandbox.heal(first)
        assert self.statuses(sandbox, VERSIONS) == [502]
        with pytest.raises(SandboxError, match=f"no fault {first}"):
            sandbox.heal(first)
        sandbox.heal()
        assert self.statuses(sandbox, VERSIONS) == [200]

    def test_faults_may_be_on_order_from_the_start(self, tmp_path):
        described = {"id": ID, "title": "A", "versions": [{"version": "1.0", "file": "a.csv"}]}
        write_data_set(tmp_path / "set", described, {"a.csv": "a\n"})
        with Sandbox(tmp_path, faults=[Fault(kind=FaultKind.STATUS, status=429)]) as sandbox:
            assert get(sandbox).status_code == 429
            assert len(sandbox.requests) == 1
            assert HTTP.get(f"{sandbox.admin_url}/data-sets").status_code == 200


class TestOverHttp:
    def test_faults_are_ordered_looked_at_and_healed(self, sandbox):
        url = f"{sandbox.admin_url}/faults"
        asked = {"kind": "status", "status": 429, "retryAfter": "7", "path": "*/versions", "times": 1}
        (shown,) = HTTP.post(url, json=asked).json()["faults"]
        assert shown["fault"].items() >= asked.items()
        response = get(sandbox)
        assert (response.status_code, response.headers["retry-after"], response.content) == (429, "7", b"")
        assert get(sandbox).status_code == 200
        (shown,) = HTTP.get(url).json()["faults"]
        assert (shown["seen"], shown["struck"]) == (2, 1)
        assert HTTP.delete(f"{url}/{shown['number']}").json() == {"faults": []}
        HTTP.post(url, json={"kind": "reset"})
        assert HTTP.delete(url).json() == {"faults": []}
        assert get(sandbox).status_code == 200

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"kind": "earthquake"}, "kind"),
            ({}, "kind"),
            ({"kind": "cut", "status": 500}, "status is no parameter of the fault cut"),
            ({"kind": "status", "status": 99}, "status"),
            ({"kind": "status", "retryAfter": "1\r\nx: y"}, "retryAfter"),
            ({"kind": "cut", "times": 0}, "times"),
            ({"kind": "cut", "unknown": 1}, "unknown"),
            ([1], "Fault"),
            (None, "Fault"),
        ],
    )
    def test_what_cannot_be_done_is_told(self, sandbox, body, says):
        response = HTTP.post(f"{sandbox.admin_url}/faults", json=body)
        assert response.status_code == 400
        assert says in response.json()["error"]
        assert HTTP.get(f"{sandbox.admin_url}/faults").json() == {"faults": []}

    def test_no_such_fault(self, sandbox):
        assert HTTP.delete(f"{sandbox.admin_url}/faults/99999").status_code == 404


def test_a_parameter_of_another_kind_is_refused_in_python_too():
    with pytest.raises(ValidationError, match="seconds is no parameter of the fault reset"):
        Fault(kind=FaultKind.RESET, seconds=1)


class TestWhatHappens:
    def test_a_gateways_page(self, sandbox):
        order(sandbox, FaultKind.STATUS, status=403, html=True)
        response = get(sandbox, CSV)
        assert (response.status_code, response.headers["content-type"]) == (403, "text/html")
        assert response.content.startswith(b"<!DOCTYPE html>")

    def test_html_with_200(self, sandbox):
        order(sandbox, FaultKind.HTML)
        response = get(sandbox, CSV)
        assert (response.status_code, response.headers["content-type"]) == (200, "text/html")
        assert "content-encoding" not in response.headers

    def test_a_reset_is_an_error_and_not_an_end(self, sandbox):
        order(sandbox, FaultKind.RESET)
        with pytest.raises(httpx.ReadError, match="reset"):
            get(sandbox)

    def test_other_connections_outlive_a_reset(self, sandbox):
        order(sandbox, FaultKind.RESET, path="*/csv")
        assert get(sandbox).status_code == 200
        with pytest.raises(httpx.ReadError):
            get(sandbox, CSV)
        assert get(sandbox).status_code == 200

    @pytest.mark.parametrize(("more", "came"), [({"after_bytes": 20}, 20), ({"after_bytes": 0}, 0), ({}, None)])
    def test_a_cut_body(self, sandbox, more, came):
        order(sandbox, FaultKind.CUT, **more)
        response, received, error = raw(sandbox)
        length = int(response.headers["content-length"])
        assert (len(received), error) == (length // 2 if came is None else came, httpx.RemoteProtocolError)
        assert length == len(gzip.compress(CONTENT, 6, mtime=0))

    def test_a_cut_beyond_the_end_is_none(self, sandbox):
        order(sandbox, FaultKind.CUT, after_bytes=10_000_000)
        assert gzip.decompress(raw(sandbox)[1]) == CONTENT

    def test_a_drip(self, sandbox):
        order(sandbox, FaultKind.DRIP, seconds=0.001, path="*/versions/1.0")
        began = time.monotonic()
        assert get(sandbox, f"{VERSIONS}/1.0").json()["version"] == "1.0"
        assert time.monotonic() - began > 0.1

    def test_a_stall_before_the_answer_and_within(self, sandbox):
        order(sandbox, FaultKind.STALL, times=1)
        with pytest.raises(httpx.ReadTimeout):
            HTTP.get(f"{sandbox.url}{VERSIONS}", timeout=0.2)
        order(sandbox, FaultKind.STALL, after_bytes=10, seconds=0.1)
        _, received, error = raw(sandbox)
        assert (received[:3], len(received), error) == (b"\x1f\x8b\x08", 10, httpx.RemoteProtocolError)

    def test_a_stall_that_ends_without_an_answer(self, sandbox):
        order(sandbox, FaultKind.STALL, seconds=0.1)
        with pytest.raises(httpx.TransportError):
            get(sandbox)

    @pytest.mark.parametrize("path", [CSV, VERSIONS])
    @pytest.mark.parametrize("kind", [FaultKind.TRUNCATED_GZIP, FaultKind.BAD_CRC])
    def test_a_damaged_gzip_of_the_right_length(self, sandbox, path, kind):
        order(sandbox, kind, times=1)
        _, received, error = raw(sandbox, path)
        assert error is None
        with pytest.raises(EOFError if kind is FaultKind.TRUNCATED_GZIP else gzip.BadGzipFile):
            gzip.decompress(received)

    def test_a_text_that_stops_in_the_middle(self, sandbox):
        order(sandbox, FaultKind.CUT_TEXT)
        assert gzip.decompress(raw(sandbox)[1]) == CONTENT[: len(CONTENT) // 2]
        with pytest.raises(json.JSONDecodeError):
            get(sandbox).json()

    def test_another_version(self, sandbox):
        order(sandbox, FaultKind.WRONG_VERSION)
        disposition = get(sandbox, CSV).headers["content-disposition"]
        assert disposition == f"attachment; filename={ID}_v99.0.csv; filename*=UTF-8''{ID}_v99.0.csv"
        assert get(sandbox, f"{VERSIONS}/1.1").json()["version"] == "99.0"
        assert get(sandbox, f"{VERSIONS}/1.1/changes").json()["versionNumber"] == "99.0"

    def test_a_wrong_row_count(self, sandbox):
        order(sandbox, FaultKind.WRONG_ROW_COUNT)
        assert gzip.decompress(raw(sandbox)[1]) == CONTENT[: CONTENT.rindex(b"\n", 0, -1) + 1]
        assert get(sandbox, f"{VERSIONS}/1.1").json()["totalResults"] == 201
        assert [item["totalResults"] for item in get(sandbox).json()["results"]] == [201, 201]
        assert get(sandbox).json()["paging"]["totalResults"] == 2
        assert get(sandbox, DATA_SET).json()["latestVersion"]["totalResults"] == 201

    def test_pages_without_end(self, sandbox):
        order(sandbox, FaultKind.ENDLESS_PAGES)
        for page in (1, 2, 7000):
            said = get(sandbox, VERSIONS, page=page).json()
            assert (said["paging"]["page"], said["paging"]["totalPages"]) == (page, page + 1)
            assert said["results"]

    def test_a_length_nobody_sends(self, sandbox):
        order(sandbox, FaultKind.HUGE_LENGTH)
        response, received, error = raw(sandbox)
        assert (response.headers["content-length"], error) == ("5000000000", httpx.RemoteProtocolError)
        assert gzip.decompress(received) == CONTENT

    def test_a_bomb(self, sandbox):
        order(sandbox, FaultKind.GZIP_BOMB, size=10_000_001)
        _, received, error = raw(sandbox)
        assert (error, len(received) < 20_000) == (None, True)
        assert gzip.decompress(received) == bytes(10_000_001)

    def test_deep_json(self, sandbox):
        order(sandbox, FaultKind.DEEP_JSON, size=3)
        assert get(sandbox).json() == {"more": [[[]]]}

    def test_what_a_kind_cannot_be_done_to_stays_as_it_is(self, sandbox):
        usual = [get(sandbox, CSV).content, get(sandbox).json(), b""]
        order(sandbox, FaultKind.DEEP_JSON, path="*/csv")
        order(sandbox, FaultKind.ENDLESS_PAGES, path="*/csv")
        order(sandbox, FaultKind.WRONG_VERSION, path="*/versions")
        order(sandbox, FaultKind.HTML, path="*/nowhere")
        assert [get(sandbox, CSV).content, get(sandbox).json(), get(sandbox, "/v1/nowhere").content] == usual


def test_faults_leave_no_noise_in_the_log(sandbox, caplog):
    for kind in (FaultKind.RESET, FaultKind.CUT, FaultKind.HUGE_LENGTH):
        order(sandbox, kind, times=1)
        with pytest.raises(httpx.TransportError):
            get(sandbox, CSV)
    order(sandbox, FaultKind.STALL, times=1)
    with pytest.raises(httpx.TransportError):
        HTTP.get(f"{sandbox.url}{VERSIONS}", timeout=0.1)
    assert get(sandbox).status_code == 200
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
