"""The client of the publisher's API: what it asks, how it reads the answers, and what it makes of failures.

Every request names an exact version, sends no parameter the contract does not know (any other is a 400) and accepts any
media type (asking for CSV only turns a 404 into a bare 406). Nothing is kept here; callers get models together with the
bytes they came from. A request that fails in a way that time may heal is made again
(:mod:`ks4_pipeline.ees.retrying`), and nothing is read without bounds (:mod:`ks4_pipeline.ees.limits`).
"""

from __future__ import annotations

import math
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from typing import Generic, Self, TypeVar

import httpx
from pydantic import ValidationError

from ks4_pipeline import __version__
from ks4_pipeline.ees import answers
from ks4_pipeline.ees.deadline import Deadline
from ks4_pipeline.ees.errors import (
    ONCE_MORE,
    EesAnswerError,
    EesError,
    EesStatusError,
    EesTransferError,
    EesUnavailableError,
)
from ks4_pipeline.ees.gunzip import Gunzip, too_large
from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.ees.models import Changes, DataSetSummary, EesModel, Meta, Page, VersionRecord
from ks4_pipeline.ees.pace import Pace
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.errors import shown
from ks4_pipeline.versions import VersionNumber

USER_AGENT = f"ks4_pipeline/{__version__} (DfE explore education statistics to DuckDB)"
PAGE_SIZE = 20  # the most the versions list allows; more is a 400, not a clamp (contract §2.1)
_MAX_PAGES = 100
_PAGES_TO_SPARE = 2  # a list that grows while it is read
_WALKS = 3
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 35.0  # the server itself gives up at 30 s (contract §1.4)
_HURRIED_ATTEMPTS = 2
_HURRIED_PAUSE = 2.0
_EXPLANATION = 1 << 16

Model = TypeVar("Model", bound=EesModel)
Received = TypeVar("Received")


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
        chunks: the bytes; iterating raises :class:`EesTransferError` when the body ends early or comes too slowly, and
            :class:`EesTooLargeError` when there are too many.
        gunzip: unpacks them within the client's limits.
    """

    url: str
    file_name: str | None
    length: int | None
    chunks: Iterator[bytes]
    gunzip: Gunzip


@cache
def _trusted() -> ssl.SSLContext:
    """Whom to trust: read once per process, since that takes as long as ten requests."""
    return httpx.create_ssl_context()


class EesClient:
    """Asks the API of one base URL; a context manager that closes its connections.

    Args:
        base_url: the API's base without ``/v1``, such as ``https://api.education.gov.uk/statistics``.
        policy: how persistently to ask.
        limits: how much to take, and how fast to ask.
        transport: another way to send requests; for tests.
        on_answer: told of each answer as soon as its head is there, whatever its status.
    """

    def __init__(
        self,
        base_url: str,
        *,
        policy: RetryPolicy | None = None,
        limits: Limits | None = None,
        transport: httpx.BaseTransport | None = None,
        on_answer: Callable[[httpx.Response], None] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._closed = threading.Event()
        policy = policy or RetryPolicy()
        sleep = policy.sleep or self._sleep
        self._policy = replace(policy, sleep=sleep)
        self._limits = limits or Limits()
        self._pace = Pace(self._limits.requests_per_second, policy.clock, sleep)
        self._http = httpx.Client(
            # Only gzip, since it is unpacked here within bounds; httpx would unpack whole chunks of anything.
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"},
            follow_redirects=False,  # the API's own redirect can point at a host outsiders cannot use (contract §1.2)
            verify=_trusted(),
            transport=transport,
            event_hooks={"response": [on_answer] if on_answer else []},
        )
        self._deadline = Deadline(self._policy.clock)
        self._deadline.bind(self._http)
        self._until = math.inf
        self._is_out_of_reach = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections, and end what other threads still ask and the pauses between."""
        self._closed.set()
        self._http.close()

    def hurry(self, *, answer_seconds: float, in_all_seconds: float) -> None:
        """From now on try only twice, wait only so long for an answer, and so long for all answers together.

        Requests that would begin later than that raise :class:`EesUnavailableError`.
        """
        self._policy = replace(self._policy, attempts=_HURRIED_ATTEMPTS, longest_wait=_HURRIED_PAUSE)
        self._limits = self._limits.model_copy(update={"answer_seconds": answer_seconds})
        self._until = self._policy.clock() + in_all_seconds

    def answers(self, data_set_id: str) -> bool:
        """Whether the API answers a question about a data set at all; after a failure it is asked only once."""
        try:
            self.versions_page(data_set_id, 1)
        except EesUnavailableError:
            return False
        except EesError:
            return True
        return True

    def data_set(self, data_set_id: str) -> Served[DataSetSummary]:
        """The data set's title, summary, status and the version published last.

        Raises:
            EesAnswerError: when the answer is about another one.
        """
        path = f"/data-sets/{data_set_id}"
        served = self._get(path, DataSetSummary)
        if served.model.id != data_set_id:
            raise EesAnswerError(
                self._url(path), f"asked for this data set, and the answer is about {shown(served.model.id)}."
            )
        return served

    def versions(self, data_set_id: str) -> tuple[VersionRecord, ...]:
        """Every version the publisher lists, oldest number first; withdrawn and deprecated ones are ordinary members.

        The server orders by major and minor only, so that an offset walk can skip one patch and repeat another
        (contract §3.2): what was read is keyed by number, and read again when the count is not the announced one.

        Raises:
            EesAnswerError: when the list stays incomplete, or has more pages than its versions can fill.
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
        path = f"/data-sets/{data_set_id}/versions/{version}"
        return self._get(path, VersionRecord, about=(version, lambda record: record.version))

    def changes(self, data_set_id: str, version: VersionNumber) -> Served[Changes]:
        """What the publisher says the version changed.

        The history of patches is asked for only when there can be one: for ``1.0`` the server answers 500 to the
        question (contract §4.5). It also answers 403 where one of the earlier patches is not open to us, so the
        version's own changes are then asked for alone.
        """
        path = f"/data-sets/{data_set_id}/versions/{version}/changes"
        about: tuple[VersionNumber, Callable[[Changes], VersionNumber]] = version, lambda said: said.version_number
        try:
            return self._get(path, Changes, {"includePatchHistory": "true"} if version.patch else {}, about=about)
        except EesStatusError as error:
            if not version.patch or error.status != httpx.codes.FORBIDDEN:
                raise
            return self._get(path, Changes, about=about)

    def meta(self, data_set_id: str, version: VersionNumber) -> Served[Meta]:
        """The version's filters, indicators, places and periods."""
        return self._get(f"/data-sets/{data_set_id}/meta", Meta, {"dataSetVersion": str(version)})

    def post(self, path: str, model: type[Model], params: dict[str, str], body: bytes) -> Served[Model]:
        """The answer to a question in JSON, which changes nothing, so that it can be asked again like any other."""
        return self._get(path, model, params, body=body)

    def download(self, data_set_id: str, version: VersionNumber, receive: Callable[[CsvStream], Received]) -> Received:
        """Download the version's CSV, from its start again when it does not come whole.

        Args:
            data_set_id: which data set.
            version: which version.
            receive: takes the stream and tells whether it is whole, by raising :class:`EesTransferError` where it is
                not; called once per attempt, each time with a stream from the first byte.

        Raises:
            EesError: the last attempt's.
        """

        def attempt(left: float) -> Received:
            with self._csv(data_set_id, version, left) as stream:
                return receive(stream)

        return self._persist(attempt, self._policy.download_deadline)

    @contextmanager
    def _csv(self, data_set_id: str, version: VersionNumber, left: float) -> Iterator[CsvStream]:
        url = self._url(f"/data-sets/{data_set_id}/csv")
        seconds = min(left, self._limits.download_seconds)
        with self._opened(url, {"dataSetVersion": str(version)}, seconds, EesTransferError) as (response, chunks):
            encoding = response.headers.get("Content-Encoding", "")
            if encoding.lower() != "gzip":
                raise EesTransferError(
                    str(response.url), f"expected a gzip body, found Content-Encoding {encoding[:40] or 'none'!r}."
                )
            limits = self._limits
            length = _length(response)
            if length is not None and length > limits.max_download_bytes:
                raise too_large(str(response.url), f"is announced with {length:,} bytes", "max_download_bytes")
            yield CsvStream(
                url=str(response.url),
                file_name=_file_name(response.headers.get("Content-Disposition", "")),
                length=length,
                chunks=_bounded(str(response.url), chunks, limits.max_download_bytes, "max_download_bytes"),
                gunzip=Gunzip(str(response.url), limits.max_csv_bytes, "max_csv_bytes", limits.max_csv_ratio),
            )

    def _walk(self, path: str) -> tuple[dict[VersionNumber, VersionRecord], int]:
        found: dict[VersionNumber, VersionRecord] = {}
        for number in range(1, _MAX_PAGES + 1):
            page = self._page(path, number)
            found.update({record.version: record for record in page.results})
            announced, pages = page.paging.total_results, page.paging.total_pages
            if not page.results or number >= pages:
                return found, announced
            if max(pages, announced / PAGE_SIZE) > _MAX_PAGES or number >= announced / PAGE_SIZE + _PAGES_TO_SPARE:
                break
        raise EesAnswerError(
            self._url(path),
            f"the list does not end: {pages:,} pages are announced for {announced:,} versions, {number} were read.",
        )

    def _page(self, path: str, number: int) -> Page[VersionRecord]:
        return self._get(path, Page[VersionRecord], {"page": str(number), "pageSize": str(PAGE_SIZE)}).model

    def _get(
        self,
        path: str,
        model: type[Model],
        params: dict[str, str] | None = None,
        about: tuple[VersionNumber, Callable[[Model], VersionNumber]] | None = None,
        *,
        body: bytes | None = None,
    ) -> Served[Model]:
        """An answer in JSON; ``about`` is the version it has to be about, and where it says so; a body is posted."""

        def attempt(left: float) -> Served[Model]:
            served = self._ask(url, model, params, left, body=body)
            if about and about[0] != about[1](served.model):
                answered = about[1](served.model)
                raise EesAnswerError(
                    url, f"asked for version {about[0]}, and the answer is about {answered}.", worth=ONCE_MORE
                )
            return served

        url = self._url(path)
        return self._persist(attempt, self._policy.deadline)

    def _ask(
        self, url: str, model: type[Model], params: dict[str, str] | None, left: float, *, body: bytes | None
    ) -> Served[Model]:
        seconds = min(left, self._limits.answer_seconds)
        with self._opened(url, params, seconds, EesUnavailableError, body=body) as (response, chunks):
            answer = self._unpacked(response, chunks)
        try:
            return Served(model.model_validate_json(answer, strict=True), answer)
        except ValidationError as error:
            raise answers.misfit(response, answer, error) from None

    def _unpacked(self, response: httpx.Response, chunks: Iterator[bytes]) -> bytes:
        """The whole body of an answer in JSON, at most so large."""
        url, most = str(response.url), self._limits.max_json_bytes
        length = _length(response)
        if length is not None and length > most:
            raise too_large(url, f"is announced with {length:,} bytes", "max_json_bytes")
        packed = _bounded(url, chunks, most, "max_json_bytes")
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding == "identity":
            return b"".join(packed)
        if encoding != "gzip":
            raise EesTransferError(url, f"the answer could not be decoded: Content-Encoding {encoding[:40]!r}.")
        gunzip = Gunzip(url, most, "max_json_bytes")
        body = b"".join(portion for chunk in packed for portion in gunzip.feed(chunk))
        gunzip.finish()
        return body

    @contextmanager
    def _opened(
        self,
        url: str,
        params: dict[str, str] | None,
        seconds: float,
        broken: type[EesTransferError | EesUnavailableError],
        *,
        body: bytes | None = None,
    ) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
        """An answer with status 200 and its raw bytes as they come; ``broken`` is raised when they stop coming."""
        if seconds <= 0:
            raise EesUnavailableError(url, "not asked any more: earlier answers took all the time there was.")
        self._pace.wait()
        until = self._policy.clock() + seconds
        read, connect = min(seconds, _READ_SECONDS), min(seconds, _CONNECT_SECONDS)
        timeout = httpx.Timeout(connect=connect, read=read, write=connect, pool=connect)
        try:
            with (
                self._deadline.at(until) as begun,
                self._http.stream(
                    "GET" if body is None else "POST",
                    url,
                    params=params or None,
                    content=body,
                    headers=None if body is None else {"Content-Type": "application/json"},
                    timeout=timeout,
                ) as response,
            ):
                begun()
                chunks = self._chunks(response, until, broken)
                if response.status_code != httpx.codes.OK:
                    raise answers.failure(response, _explanation(chunks, response))
                yield response, chunks
        except httpx.TransportError as error:
            raise answers.unreachable(url, error) from error

    def _chunks(
        self, response: httpx.Response, until: float, broken: type[EesTransferError | EesUnavailableError]
    ) -> Iterator[bytes]:
        """The raw bytes, as they arrive: waiting for more of them to come together would wait without looking up."""
        received = 0
        try:
            for chunk in response.iter_raw():
                received += len(chunk)
                yield chunk
                if self._policy.clock() > until:
                    raise broken(str(response.url), f"came too slowly: {received:,} bytes when the time was up.")
        except httpx.TransportError as error:
            raise broken(str(response.url), f"broke off after {received:,} bytes ({answers.named(error)}).") from error

    def _persist(self, attempt: Callable[[float], Received], seconds: float) -> Received:
        """Ask as the policy says; only once while the API is out of reach: an outage is not waited for again."""
        policy = replace(self._policy, attempts=1) if self._is_out_of_reach else self._policy

        def unless_closed(left: float) -> Received:
            try:
                return attempt(left)
            except EesError as error:
                if self._closed.is_set():  # that was us, and nothing to tell of the API
                    raise RuntimeError("the client has been closed") from error
                raise

        try:
            answer = policy.run(unless_closed, self._left(seconds))
        except EesError as error:
            self._is_out_of_reach = isinstance(error, EesUnavailableError)
            raise
        self._is_out_of_reach = False
        return answer

    def _sleep(self, seconds: float) -> None:
        self._closed.wait(seconds)

    def _left(self, seconds: float) -> float:
        return min(seconds, self._until - self._policy.clock())

    def _url(self, path: str) -> str:
        return f"{self.base_url}/v1{path}"


def _bounded(url: str, chunks: Iterator[bytes], most: int, setting: str) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > most:
            raise too_large(url, f"has more than {most:,} bytes", setting)
        yield chunk


def _explanation(chunks: Iterator[bytes], response: httpx.Response) -> bytes:
    """The beginning of an error's body; none where it cannot be had: what counts is the status."""
    url = str(response.url)
    gunzip = Gunzip(url, _EXPLANATION, "") if response.headers.get("Content-Encoding", "").lower() == "gzip" else None
    body = b""
    with suppress(EesError):
        for chunk in chunks:
            for portion in gunzip.feed(chunk) if gunzip else (chunk,):
                body += portion
            if len(body) > _EXPLANATION:
                break
    return body[:_EXPLANATION]


def _length(response: httpx.Response) -> int | None:
    """The announced number of bytes; one that no disk could hold need not be exact."""
    length = response.headers.get("Content-Length", "")
    return int(length[:18]) if length.isdecimal() and length.isascii() else None


def _file_name(disposition: str) -> str | None:
    """The plain ``filename`` of a Content-Disposition; names of this API are plain ASCII (contract §1.5)."""
    match = re.search(r';\s*filename="?([^";]+)"?', disposition, re.IGNORECASE)
    return match.group(1).strip() if match else None
