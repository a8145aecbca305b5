"""Can the publisher be reached from here? One request per followed data set, and plain words for what is in the way.

Asks and tells; keeps nothing and tries nothing twice.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesBlockedError, EesError, EesStatusError, EesUnavailableError
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.settings import DataSet, Settings

_ANSWER_SECONDS = 10.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


_OBSTACLES: Mapping[type[BaseException], str] = {
    httpx.ProxyError: "The proxy refuses{through}. Check its address and whether it wants a login.",
    socket.gaierror: (
        "The name {host} cannot be looked up (DNS){through}. Check the network, api_url and, in an office, the proxy."
    ),
    ssl.SSLError: (
        "The server's certificate is not trusted, or it does not speak TLS. A proxy that looks into traffic puts in a "
        "certificate of its own: let SSL_CERT_FILE name the file with your organisation's certificates."
    ),
    httpx.TimeoutException: (
        "No answer in time{through}. A firewall may drop the packets, or the server is very busy."
    ),
    OSError: "Nobody takes the connection{through}. Check api_url, the network and the firewall.",
}
"""What an error comes from, in the order in which it is looked for: the later kinds contain the earlier."""


@dataclass(frozen=True)
class Answered:
    """What became of one question.

    Attributes:
        data_set: the data set asked about.
        seconds: how long the answer took.
        ahead: how many seconds our clock is ahead of the publisher's; None where he does not tell the time.
        error: why there was no usable answer; None when there was.
    """

    data_set: DataSet
    seconds: float
    ahead: float | None = None
    error: EesError | None = None

    @property
    def is_out_of_reach(self) -> bool:
        """Whether nobody answered, so that the others need not be asked."""
        return isinstance(self.error, EesUnavailableError) and not isinstance(self.error, EesBlockedError)


def ask(settings: Settings, now: Callable[[], datetime]) -> Iterator[Answered]:
    """Ask about each followed data set once, until nobody answers; ``now`` is our clock."""
    dates: list[float] = []

    def note_time(response: httpx.Response) -> None:
        ahead = _ahead(response.headers.get("Date", ""), now())
        dates.extend([] if ahead is None else [ahead])

    limits = settings.limits.model_copy(update={"answer_seconds": _ANSWER_SECONDS})
    policy = RetryPolicy(attempts=1)
    with EesClient(settings.api_url, policy=policy, limits=limits, on_answer=note_time) as client:
        for data_set in settings.data_sets:
            dates.clear()
            begun = time.monotonic()
            error: EesError | None = None
            try:
                client.data_set(data_set.id)
            except EesError as failed:
                error = failed
            answered = Answered(data_set, time.monotonic() - begun, dates[-1] if dates else None, error)
            yield answered
            if answered.is_out_of_reach:
                return


def explain(error: EesError, environ: Mapping[str, str]) -> str:
    """What stands in the way, in words for the person who has to remove it."""
    through = _proxy(environ)
    if isinstance(error, EesStatusError):
        return _refused(error.status, through)
    if isinstance(error, EesBlockedError):
        return f"A firewall between here and the API forbids the request{through}. Have the address opened."
    causes = list(_causes(error))
    for kind, words in _OBSTACLES.items():
        if any(isinstance(cause, kind) for cause in causes):
            return words.format(through=through, host=urlsplit(error.url).hostname)
    if isinstance(error, EesUnavailableError):
        return "The server is there and cannot answer now. Try again later."
    return "What answers is not the publisher's API. Check api_url; a login page of the network answers so, too."


def _refused(status: int, through: str) -> str:
    match status:
        case httpx.codes.FORBIDDEN:
            return "The publisher does not open this data set to everybody. Check its id."
        case httpx.codes.NOT_FOUND | httpx.codes.BAD_REQUEST:
            return "The publisher has no such data set. Check its id on the data set's page, and api_url."
        case httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            return f"The proxy wants a login{through}."
    return "The server refuses the request. Check api_url."


def _proxy(environ: Mapping[str, str]) -> str:
    """Which proxy is in use, without its password."""
    for name in _PROXIES:
        if environ.get(name):
            parts = urlsplit(environ[name])
            where = parts.hostname or "?"
            return f" (through the proxy {where}{f':{parts.port}' if parts.port else ''} of {name})"
    return ""


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _ahead(date: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()
