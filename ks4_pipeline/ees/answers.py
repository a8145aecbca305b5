"""What an answer means when it is not the one hoped for: statuses, the server's own words, JSON that does not fit."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from ks4_pipeline.ees.errors import ANY, EesAnswerError, EesBlockedError, EesStatusError, EesUnavailableError
from ks4_pipeline.ees.models import Problem

_UNAVAILABLE = frozenset({408, 429, 500, 502, 503, 504})
_SILENT = "the server sent no explanation."
_SHORT = re.compile(r"\d{1,15}(\.\d{1,15})?", re.ASCII)


def failure(response: httpx.Response, body: bytes) -> EesStatusError | EesUnavailableError:
    """The error for an answer that is not 200, with the server's own words where it sent any."""
    status = response.status_code
    message = f"HTTP {status} {response.reason_phrase}".rstrip() + f" - {_own_words(body)}"
    if status == httpx.codes.FORBIDDEN and body.strip() and _problem(body) is None:
        # The API's own 403 is JSON; any other is a firewall's or proxy's (contract §1.4), and says nothing of what we
        # asked for.
        return EesBlockedError(
            str(response.url),
            f"{message}. This is no answer of the API: something before it, such as a firewall or proxy, refused.",
        )
    if status in _UNAVAILABLE:
        return EesUnavailableError(str(response.url), message, retry_after=retry_after(response.headers))
    return EesStatusError(str(response.url), status, message)


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds a server asks to be left alone: ``Retry-After`` as a number, or as a date by the server's clock."""
    text = headers.get("Retry-After", "").strip()
    if _SHORT.fullmatch(text):
        return float(text)
    until = _moment(text)
    if until is None:
        return None
    now = _moment(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def misfit(response: httpx.Response, body: bytes, error: ValidationError) -> EesAnswerError:
    """The error for a body that is no JSON (another attempt may give some), or not the JSON of the contract."""
    faults = error.errors(include_url=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        if "recursion limit" in first["msg"]:
            return EesAnswerError(str(response.url), "the answer is nested too deeply to be read.")
        kind = response.headers.get("Content-Type", "no media type")
        begins = body[:320].decode("utf-8", "replace")[:80]
        return EesAnswerError(
            str(response.url),
            f"expected JSON, found {kind[:80]} that begins {begins!r}: {first['msg'].removeprefix('Invalid JSON: ')}.",
            worth=ANY,
        )
    where = ".".join(map(str, first["loc"]))[:200] or "the answer"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return EesAnswerError(
        str(response.url), f"the answer does not fit the contract: {where}: {first['msg'][:200]}{more}."
    )


def unreachable(url: str, error: httpx.TransportError) -> EesUnavailableError:
    """The error for a connection that failed before the whole answer had come."""
    return EesUnavailableError(url, f"no answer ({named(error)}). Is the address right, and is the network up?")


def named(error: Exception) -> str:
    """An error's kind, and its words where it has any."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _own_words(body: bytes) -> str:
    """The problem's message; error bodies may also be empty or HTML from a gateway (contract §2.4)."""
    if not body.strip():
        return _SILENT
    problem = _problem(body)
    if problem is None:
        text = re.sub(r"<[^>]*>|\s+", " ", body[:2000].decode("utf-8", "replace"))
        return f"the server sent no JSON but: {' '.join(text.split())[:200]!r}"
    details = "; ".join(f"{item.path}: {item.message}" if item.path else item.message for item in problem.errors)
    return (details or problem.title or _SILENT)[:1000]


def _problem(body: bytes) -> Problem | None:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return None


def _moment(text: str) -> datetime | None:
    """An HTTP date; one without a zone is in UTC."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
