"""The API's error answers: which status carries which body (contract §2.4).

A handler raises a :class:`ProblemError`; how it is written depends on endpoint and request, see ``responses.py``.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from pydantic import JsonValue

from ks4_pipeline.sandbox.views import View

_TYPES = {
    HTTPStatus.BAD_REQUEST: "https://tools.ietf.org/html/rfc9110#section-15.5.1",
    HTTPStatus.FORBIDDEN: "https://tools.ietf.org/html/rfc9110#section-15.5.4",
    HTTPStatus.NOT_FOUND: "https://tools.ietf.org/html/rfc9110#section-15.5.5",
}
_TITLES = {
    HTTPStatus.BAD_REQUEST: "One or more validation errors occurred.",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "Not Found",
}


class Fault(View):
    """One entry of a 400's ``errors``; nulls inside ``detail`` are written (contract §2.4)."""

    message: str
    path: str | None = None
    code: str
    detail: dict[str, JsonValue] | None = None


class ProblemView(View):
    """The body of a 400, 403 or 404."""

    type: str
    title: str
    status: int
    errors: tuple[Fault, ...] | None
    trace_id: str


class ProblemError(Exception):
    """An answer other than 200; a server error has an empty body, as the service's unhandled ones have."""

    def __init__(self, status: HTTPStatus, errors: tuple[Fault, ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.errors = errors

    def body(self) -> ProblemView | None:
        """The body; None means an empty one."""
        if self.status not in _TYPES:
            return None
        return ProblemView(
            type=_TYPES[self.status],
            title=_TITLES[self.status],
            status=self.status,
            errors=self.errors or None,
            trace_id=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00",
        )


def not_found() -> ProblemError:
    """A data set or version that does not exist, or a text that is not a version."""
    return ProblemError(HTTPStatus.NOT_FOUND)


def forbidden() -> ProblemError:
    """Something that exists but is not open to the caller."""
    return ProblemError(HTTPStatus.FORBIDDEN)


def server_error() -> ProblemError:
    """What the service does not handle: 500 with an empty body."""
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR)


def unknown_field(path: str) -> Fault:
    """A query parameter that the endpoint does not know."""
    message = "The field was not expected in the request and should be removed."
    return Fault(message=message, path=path, code="UnknownField")


def invalid_value(path: str) -> Fault:
    """A value of the wrong type."""
    message = "Must be a valid value. Check that the type and format are correct."
    return Fault(message=message, path=path, code="InvalidValue")


def not_allowed(path: str, value: str, allowed: tuple[str, ...]) -> Fault:
    """A value that is not one of a fixed list."""
    return _fault("Must be one of the allowed values.", path, "AllowedValue", value=value, allowed=list(allowed))


def too_small(path: str, value: int, least: int) -> Fault:
    """A number below its bound."""
    message = f"Must be greater than or equal to '{least}'."
    return _fault(message, path, "GreaterThanOrEqual", comparisonValue=least, value=value)


def not_between(path: str, value: int, least: int, most: int) -> Fault:
    """A number out of its bounds."""
    message = f"Must be between {least} and {most} (inclusive)."
    return _fault(message, path, "InclusiveBetween", **{"from": least, "to": most, "value": value})


def too_short(path: str, value: str, least: int) -> Fault:
    """A text with too few characters."""
    message = f"Must be at least {least} characters (was {len(value)})."
    return _fault(message, path, "MinimumLength", minLength=least, totalLength=len(value), value=value)


def _fault(message: str, path: str, code: str, **detail: JsonValue) -> Fault:
    return Fault(message=message, path=path, code=code, detail=dict(detail))
