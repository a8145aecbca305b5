"""The client of the publisher's API: what it asks, how it reads the answers, and what it makes of failures.

Every request names an exact version, sends no parameter the contract does not know (any other is a 400) and accepts any
media type (asking for CSV only turns a 404 into a bare 406). Nothing is kept here; callers get models together with the
bytes they came from.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import httpx
from pydantic import ValidationError

from ks4_pipeline import __version__
from ks4_pipeline.ees.errors import EesAnswerError, EesStatusError, EesTransferError, EesUnavailableError
from ks4_pipeline.ees.models import Changes, DataSetSummary, EesModel, Meta, Page, Problem, VersionRecord
from ks4_pipeline.versions import VersionNumber

USER_AGENT = f"ks4_pipeline/{__version__} (DfE explore education statistics to DuckDB)"
PAGE_SIZE = 20  # the most the versions list allows; more is a 400, not a clamp (contract §2.1)
_MAX_PAGES = 500
_WALKS = 3
_TIMEOUT = httpx.Timeout(connect=10, read=35, write=10, pool=10)  # the server itself gives up at 30 s (contract §1.4)
_UNAVAILABLE = frozenset({408, 429, 500, 502, 503, 504})
_CHUNK = 1 << 18

Model = TypeVar("Model", bound=EesModel)


@dataclass(frozen=True, slots=True)
class Served(Generic[Model]):
    """An answer, read and as it was served."""

    model: Model
    body: bytes


@dataclass(frozen=True, slots=True)
class CsvStream:
    """A CSV on its way: gzip bytes exactly as the server sends them.

    Attributes:
        url: where it came from.
        file_name: what ``Content-Disposition`` calls it, the only place that tells which version was served.
        length: the announced number of gzip bytes, when the server announced it.
        chunks: the bytes; iterating raises :class:`EesTransferError` when the body ends early.
    """

    url: str
    file_name: str | None
    length: int | None
    chunks: Iterator[bytes]


class EesClient:
    """Asks the API of one base URL; a context manager that closes its connections.

    Args:
        base_url: the API's base without ``/v1``, such as ``https://api.education.gov.uk/statistics``.
        transport: another way to send requests; for tests.
    """

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
            timeout=_TIMEOUT,
            follow_redirects=False,  # the API's own redirect can point at a host outsiders cannot use (contract §1.2)
            transport=transport,
        )
        self._answer_seconds: float | None = None
        self._until: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._http.close()

    def hurry(self, *, answer_seconds: float, in_all_seconds: float) -> None:
        """From now on wait only so long for an answer, and so long for all answers together.

        Requests that would begin later than that raise :class:`EesUnavailableError`.
        """
        self._answer_seconds = answer_seconds
        self._until = time.monotonic() + in_all_seconds

    def data_set(self, data_set_id: str) -> Served[DataSetSummary]:
        """The data set's title, summary, status and the version published last."""
        return self._get(f"/data-sets/{data_set_id}", DataSetSummary)

    def versions(self, data_set_id: str) -> tuple[VersionRecord, ...]:
        """Every version the publisher lists, oldest number first; withdrawn and deprecated ones are ordinary members.

        The server orders by major and minor only, so that an offset walk can skip one patch and repeat another
        (contract §3.2): what was read is keyed by number, and read again when the count is not the announced one.

        Raises:
            EesAnswerError: when the list stays incomplete, or does not end.
        """
        path = f"/data-sets/{data_set_id}/versions"
        for _ in range(_WALKS):
            found, announced = self._walk(path)
            if len(found) == announced:
                return tuple(found[number] for number in sorted(found))
        raise EesAnswerError(
            self._url(path),
            f"the list announces {announced} versions, and {_WALKS} readings gave {len(found)}.",
        )

    def versions_page(self, data_set_id: str, number: int) -> Page[VersionRecord]:
        """One page of the versions list, newest major and minor first; page 1 exists even for an empty list."""
        return self._page(f"/data-sets/{data_set_id}/versions", number)

    def version(self, data_set_id: str, version: VersionNumber) -> Served[VersionRecord]:
        """One version's record."""
        served = self._get(f"/data-sets/{data_set_id}/versions/{version}", VersionRecord)
        self._expect(version, served.model.version, f"/data-sets/{data_set_id}/versions/{version}")
        return served

    def changes(self, data_set_id: str, version: VersionNumber) -> Served[Changes]:
        """What the publisher says the version changed.

        The history of patches is asked for only when there can be one: for ``1.0`` the server answers 500 to the
        question (contract §4.5). It also answers 403 where one of the earlier patches is not open to us, so the
        version's own changes are then asked for alone.
        """
        path = f"/data-sets/{data_set_id}/versions/{version}/changes"
        try:
            served = self._get(path, Changes, {"includePatchHistory": "true"} if version.patch else {})
        except EesStatusError as error:
            if not version.patch or error.status != httpx.codes.FORBIDDEN:
                raise
            served = self._get(path, Changes)
        self._expect(version, served.model.version_number, path)
        return served

    def meta(self, data_set_id: str, version: VersionNumber) -> Served[Meta]:
        """The version's filters, indicators, places and periods."""
        return self._get(f"/data-sets/{data_set_id}/meta", Meta, {"dataSetVersion": str(version)})

    @contextmanager
    def csv(self, data_set_id: str, version: VersionNumber) -> Iterator[CsvStream]:
        """The version's CSV, streamed as the gzip bytes the server holds.

        Raises:
            EesTransferError: when the answer is not gzip, or the body ends early.
        """
        path = f"/data-sets/{data_set_id}/csv"
        url = self._url(path)
        try:
            with self._http.stream("GET", url, params={"dataSetVersion": str(version)}) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise _failure(response)
                encoding = response.headers.get("Content-Encoding", "")
                if encoding.lower() != "gzip":
                    raise EesTransferError(
                        str(response.url),
                        f"expected a gzip body, found Content-Encoding {encoding or 'none'!r}.",
                    )
                length = response.headers.get("Content-Length", "")
                yield CsvStream(
                    url=str(response.url),
                    file_name=_file_name(response.headers.get("Content-Disposition", "")),
                    length=int(length) if length.isdecimal() else None,
                    chunks=_raw_chunks(response),
                )
        except httpx.TransportError as error:
            raise _unreachable(url, error) from error
        except httpx.DecodingError as error:  # of an error's body: a CSV is never decoded here
            raise EesTransferError(url, f"the answer could not be decoded ({error}).") from error

    def _walk(self, path: str) -> tuple[dict[VersionNumber, VersionRecord], int]:
        found: dict[VersionNumber, VersionRecord] = {}
        for number in range(1, _MAX_PAGES + 1):
            page = self._page(path, number)
            found.update({record.version: record for record in page.results})
            if not page.results or number >= page.paging.total_pages:
                return found, page.paging.total_results
        raise EesAnswerError(self._url(path), f"the list did not end after {_MAX_PAGES} pages.")

    def _page(self, path: str, number: int) -> Page[VersionRecord]:
        return self._get(path, Page[VersionRecord], {"page": str(number), "pageSize": str(PAGE_SIZE)}).model

    def _get(self, path: str, model: type[Model], params: dict[str, str] | None = None) -> Served[Model]:
        url = self._url(path)
        try:
            response = self._http.get(url, params=params or None, timeout=self._timeout(url))
        except httpx.TransportError as error:
            raise _unreachable(url, error) from error
        except httpx.DecodingError as error:
            raise EesTransferError(url, f"the answer could not be decoded ({error}).") from error
        if response.status_code != httpx.codes.OK:
            raise _failure(response)
        try:
            return Served(model.model_validate_json(response.content), response.content)
        except ValidationError as error:
            raise EesAnswerError(str(response.url), _misfit(response, error)) from None

    def _timeout(self, url: str) -> httpx.Timeout:
        if self._until is None or self._answer_seconds is None:
            return _TIMEOUT
        left = self._until - time.monotonic()
        if left <= 0:
            raise EesUnavailableError(url, "not asked any more: earlier answers took all the time there was.")
        return httpx.Timeout(min(self._answer_seconds, left))

    def _url(self, path: str) -> str:
        return f"{self.base_url}/v1{path}"

    def _expect(self, asked: VersionNumber, answered: VersionNumber, path: str) -> None:
        if asked != answered:
            raise EesAnswerError(self._url(path), f"asked for version {asked}, and the answer is about {answered}.")


def _raw_chunks(response: httpx.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_raw(_CHUNK)
    except httpx.TransportError as error:
        raise EesTransferError(str(response.url), f"the download broke off ({_named(error)}).") from error


def _failure(response: httpx.Response) -> EesStatusError | EesUnavailableError:
    """The error for an answer that is not 200, with the server's own words where it sent any."""
    status = response.status_code
    message = f"HTTP {status} {response.reason_phrase}".rstrip() + f" - {_own_words(response)}"
    if status in _UNAVAILABLE:
        return EesUnavailableError(str(response.url), message)
    return EesStatusError(str(response.url), status, message)


def _own_words(response: httpx.Response) -> str:
    """The problem's message; error bodies may also be empty or HTML from a gateway (contract §2.4)."""
    if not response.content.strip():
        return "the server sent no explanation."
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        text = re.sub(r"<[^>]*>|\s+", " ", response.text[:2000])
        return f"the server sent no JSON but: {' '.join(text.split())[:200]!r}"
    details = "; ".join(f"{item.path}: {item.message}" if item.path else item.message for item in problem.errors)
    return details or problem.title or "the server sent no explanation."


def _misfit(response: httpx.Response, error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        kind = response.headers.get("Content-Type", "no media type")
        return f"expected JSON, found {kind}: {response.text[:80]!r}."
    where = ".".join(map(str, first["loc"])) or "the answer"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"the answer does not fit the contract: {where}: {first['msg']}{more}."


def _unreachable(url: str, error: httpx.TransportError) -> EesUnavailableError:
    return EesUnavailableError(url, f"no answer ({_named(error)}). Is the address right, and is the network up?")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _file_name(disposition: str) -> str | None:
    """The plain ``filename`` of a Content-Disposition; names of this API are plain ASCII (contract §1.5)."""
    match = re.search(r';\s*filename="?([^";]+)"?', disposition, re.IGNORECASE)
    return match.group(1).strip() if match else None
