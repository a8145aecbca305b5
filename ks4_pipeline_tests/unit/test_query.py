"""The query client without a server: what it sends, and which answers it does not take for a whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from ks4_pipeline.ees import query
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesAnswerError
from ks4_pipeline.ees.query import And, Comparisons, Facets, Not, Or, Period, PeriodComparisons, Place, Query, Sort
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.versions import VersionNumber

ROWS = 25
VERSION = VersionNumber(1, 0)
Answer = dict[str, object]


def row(number: int) -> Answer:
    return {
        "timePeriod": {"code": "AY", "period": "2023/2024"},
        "geographicLevel": "NAT",
        "locations": {"NAT": "dP0Zw"},
        "filters": {},
        "values": {"dP0Zw": str(number)},
    }


def streamed(answer: Answer) -> httpx.Response:
    """An answer as a server sends it: the client reads the bytes as they come."""
    return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))


def client_of(change: Callable[[int, Answer], Answer], asked: list[dict[str, object]] | None = None) -> EesClient:
    """A client of a server that has :data:`ROWS` rows and changes each page in some way."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if asked is not None:
            asked.append(body | {"method": request.method, "version": request.url.params["dataSetVersion"]})
        page, size = body["page"], body["pageSize"]
        whole: Answer = {
            "paging": {"page": page, "pageSize": size, "totalResults": ROWS, "totalPages": -(-ROWS // size)},
            "results": [row(number) for number in range(ROWS)][(page - 1) * size : page * size],
            "warnings": [],
        }
        return streamed(change(page, whole))

    return EesClient("http://test", policy=RetryPolicy(attempts=1), transport=httpx.MockTransport(answer))


def read(client: EesClient, size: int = 10) -> list[str]:
    with client:
        return [found.values["dP0Zw"] for found in query.rows(client, "d", VERSION, page_size=size)]


@pytest.mark.parametrize(("size", "pages"), [(10, 3), (25, 1), (1, 25), (24, 2), (10_000, 1)])
def test_all_pages_are_read_and_no_more(size, pages):
    asked: list[dict[str, object]] = []
    assert read(client_of(lambda _, whole: whole, asked), size) == [str(number) for number in range(ROWS)]
    assert [(one["method"], one["version"], one["page"]) for one in asked] == [
        ("POST", "1.0", number) for number in range(1, pages + 1)
    ]


def paging(**more: object) -> Callable[[int, Answer], Answer]:
    return lambda page, whole: whole | {"paging": whole["paging"] | (more if page == 2 else {})}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (paging(totalResults=ROWS + 1), "26 rows in all, and 25 before"),
        (paging(page=1), "page 1 of size 10"),
        (paging(pageSize=20), "page 2 of size 20"),
        (lambda page, whole: whole | {"results": whole["results"][: 10 - page]}, "9 rows where 10 are due"),
        (lambda page, whole: whole | {"results": whole["results"] * 2}, "20 rows where 10 are due"),
        (lambda _, whole: whole | {"results": []}, "0 rows where 10 are due"),
    ],
)
def test_pages_that_do_not_make_a_whole_are_not_taken(change, said):
    with pytest.raises(EesAnswerError, match=said):
        read(client_of(change))


def test_a_long_page_that_comes_twice_is_not_taken():
    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        meta = {"page": body["page"], "pageSize": body["pageSize"], "totalResults": 200, "totalPages": 2}
        return streamed({"paging": meta, "results": [row(n) for n in range(100)], "warnings": []})

    client = EesClient("http://test", transport=httpx.MockTransport(answer))
    with pytest.raises(EesAnswerError, match="the same rows as an earlier page"):
        read(client, 100)


def test_warnings_come_with_the_first_page_even_when_there_are_no_rows():
    warned = {
        "paging": {"page": 1, "pageSize": 10_000, "totalResults": 0, "totalPages": 1},
        "results": [],
        "warnings": [{"code": "FiltersNotFound", "message": "One or more.", "path": "criteria.filters.eq"}],
    }
    with client_of(lambda _page, _whole: warned) as client:
        (page,) = query.pages(client, "d", VERSION)
    assert [str(warning) for warning in page.warnings] == ["FiltersNotFound: One or more. (criteria.filters.eq)"]


AY = Period(code="AY", period="2023/2024")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (Query(), {}),
        (Query(indicators=()), {"indicators": []}),
        (Query(sorts=(Sort(field="timePeriod"),)), {"sorts": [{"field": "timePeriod", "direction": "Asc"}]}),
        (
            Query(criteria=Facets(filters=Comparisons[str](in_=("a",), not_in=("b",), not_eq="c"))),
            {"criteria": {"filters": {"notEq": "c", "in": ["a"], "notIn": ["b"]}}},
        ),
        (
            Query(criteria=Facets(locations=Comparisons[Place](eq=Place(level="LA", id="x")))),
            {"criteria": {"locations": {"eq": {"level": "LA", "id": "x"}}}},
        ),
        (
            Query(
                criteria=And(
                    and_=(
                        Or(or_=(Facets(geographic_levels=Comparisons[str](eq="LA")),)),
                        Not(not_=Facets(time_periods=PeriodComparisons(gte=AY))),
                    )
                )
            ),
            {
                "criteria": {
                    "and": [
                        {"or": [{"geographicLevels": {"eq": "LA"}}]},
                        {"not": {"timePeriods": {"gte": {"code": "AY", "period": "2023/2024"}}}},
                    ]
                }
            },
        ),
    ],
)
def test_a_query_is_written_as_the_api_reads_it(asked, sent):
    assert json.loads(asked.body(2, 5)) == {**sent, "page": 2, "pageSize": 5}


def test_a_query_longer_than_the_api_takes_is_not_sent():
    long = Query(criteria=Facets(filters=Comparisons[str](in_=("abcdefgh",) * 12_000)))
    with pytest.raises(query.QueryTooLargeError, match="132,0"):
        long.body(1, 10)
