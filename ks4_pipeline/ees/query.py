"""The second way to a version's figures: ``POST /query`` (contract §7), as typed models and a reading of all pages.

Criteria are built of frozen models and sent as JSON; answers come back as rows of ids and texts, page by page, checked
for being whole. What ids mean is in the version's ``/meta``; turning them into labels is the reader's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from ks4_pipeline.ees.errors import EesAnswerError
from ks4_pipeline.ees.models import EesModel, Paging
from ks4_pipeline.errors import Ks4Error

if TYPE_CHECKING:
    from ks4_pipeline.ees.client import EesClient
    from ks4_pipeline.versions import VersionNumber

MOST_BYTES = 128 * 1024
"""A larger body does not pass the publisher's firewall (contract §1.4)."""
MOST_PER_PAGE = 10_000
_TELLING = 100  # a full page of so many rows that comes twice is no accident of the data

Item = TypeVar("Item")


def _name(field: str) -> str:
    return to_camel(field.rstrip("_"))


class _Asked(EesModel):
    """Fields whose names are words of Python have an underscore behind them here."""

    model_config = ConfigDict(alias_generator=_name)


class QueryTooLargeError(Ks4Error):
    """A query whose text is more than the API takes."""


class Period(EesModel):
    """A time period, such as ``2020/2021`` of code ``AY``."""

    code: str
    period: str


class Place(EesModel):
    """A place by its level and id. Codes would mean the first place that has them (contract §7.4)."""

    level: str
    id: str


class Comparisons(_Asked, Generic[Item]):
    """What a facet is compared with; all that are given must hold.

    ``in`` with options of several filters means any of them (contract §7.4): use :class:`And` for all.
    """

    eq: Item | None = None
    not_eq: Item | None = None
    in_: tuple[Item, ...] | None = None
    not_in: tuple[Item, ...] | None = None


class PeriodComparisons(Comparisons[Period]):
    """Periods have an order as well; what they are compared with must exist in the version."""

    gt: Period | None = None
    gte: Period | None = None
    lt: Period | None = None
    lte: Period | None = None


class Facets(_Asked):
    """Plain criteria, which must all hold. A place does not limit the level: give that too (contract §7.4)."""

    filters: Comparisons[str] | None = None
    geographic_levels: Comparisons[str] | None = None
    locations: Comparisons[Place] | None = None
    time_periods: PeriodComparisons | None = None


class And(_Asked):
    """All of the criteria."""

    and_: tuple[Criteria, ...] = Field(min_length=1)


class Or(_Asked):
    """Any of the criteria."""

    or_: tuple[Criteria, ...] = Field(min_length=1)


class Not(_Asked):
    """None of what the criteria say, each part for itself."""

    not_: Criteria


Criteria: TypeAlias = And | Or | Not | Facets


class Sort(EesModel):
    """By ``timePeriod``, ``geographicLevel``, ``location|LA``, ``filter|<id>`` or, as text, ``indicator|<id>``."""

    field: str
    direction: str = "Asc"


class Query(EesModel):
    """A query without its page. ``indicators`` None: all of them; empty: none, rows without values."""

    criteria: Criteria | None = None
    indicators: tuple[str, ...] | None = None
    sorts: tuple[Sort, ...] | None = None

    def body(self, page: int, page_size: int) -> bytes:
        """The body of the request for one page.

        Raises:
            QueryTooLargeError: when the API would not take it.
        """
        asked = _Request(
            criteria=self.criteria, indicators=self.indicators, sorts=self.sorts, page=page, page_size=page_size
        )
        body = asked.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(body) > MOST_BYTES:
            raise QueryTooLargeError(
                f"The query is {len(body):,} bytes long, and the API takes {MOST_BYTES:,}. Ask for less at once."
            )
        return body


class _Request(Query):
    page: int
    page_size: int


class QueryWarning(EesModel):
    """What the API remarks: an id it does not know does not fail, it is only named here (contract §7.1)."""

    message: str = ""
    path: str | None = None
    code: str = ""
    detail: JsonValue = None

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return f"{self.code}: {self.message}{where}"


class QueryRow(EesModel):
    """One row of a version.

    Attributes:
        time_period: its period.
        geographic_level: the level's code.
        locations: by level code, the ids of its places; a place without all its codes is not there.
        filters: by filter id, the ids of its options; a filter with an empty cell is not there.
        values: by indicator id, the cells as published.
    """

    time_period: Period
    geographic_level: str
    locations: dict[str, str]
    filters: dict[str, str]
    values: dict[str, str]


class QueryPage(EesModel):
    """One page of rows."""

    paging: Paging
    results: tuple[QueryRow, ...]
    warnings: tuple[QueryWarning, ...] = ()


def pages(
    client: EesClient,
    data_set_id: str,
    version: VersionNumber,
    query: Query | None = None,
    *,
    page_size: int = MOST_PER_PAGE,
) -> Iterator[QueryPage]:
    """All pages of an exact version, as they come; there is always a first one, with the warnings.

    Args:
        client: to ask with.
        data_set_id: which data set.
        version: which version; the answer does not say which one it is of, so it must be exact (contract §3.3).
        query: what to ask; everything when None.
        page_size: rows per page, at most 10,000.

    Raises:
        EesAnswerError: when the pages do not make a whole: another total than before, a page that is short or came
            before, another page than was asked for.
        EesStatusError: 403 for a version that is withdrawn.
        QueryTooLargeError: see :meth:`Query.body`.
    """
    query = query or Query()
    path = f"/data-sets/{data_set_id}/query"
    total: int | None = None
    seen: set[bytes] = set()
    number, rows = 1, 0
    while total is None or rows < total:
        served = client.post(path, QueryPage, {"dataSetVersion": str(version)}, query.body(number, page_size))
        page, paging = served.model, served.model.paging
        total = paging.total_results if total is None else total
        expected = min(page_size, total - rows)
        digest = hashlib.blake2b(page.model_dump_json(include={"results"}).encode()).digest()
        for is_wrong, what in (
            (paging.total_results != total, f"{paging.total_results:,} rows in all, and {total:,} before"),
            ((paging.page, paging.page_size) != (number, page_size), f"page {paging.page} of size {paging.page_size}"),
            (len(page.results) != expected, f"{len(page.results):,} rows where {expected:,} are due"),
            (len(page.results) >= _TELLING and digest in seen, "the same rows as an earlier page"),
        ):
            if is_wrong:
                raise EesAnswerError(
                    f"{client.base_url}/v1{path}",
                    f"page {number} of size {page_size} of version {version} does not fit the others: {what}.",
                )
        seen.add(digest)
        rows += len(page.results)
        yield page
        number += 1


def rows(
    client: EesClient,
    data_set_id: str,
    version: VersionNumber,
    query: Query | None = None,
    *,
    page_size: int = MOST_PER_PAGE,
) -> Iterator[QueryRow]:
    """The rows of :func:`pages`, one by one."""
    for page in pages(client, data_set_id, version, query, page_size=page_size):
        yield from page.results
