"""How answers go over the wire: JSON with content negotiation, and the gzipped CSV as a stream from disk.

JSON is compressed when the client accepts gzip; ``/csv`` is gzip whatever the client says (contract §1.5). There is no
ETag, no range and no cache header anywhere (contract §1.6).
"""

from __future__ import annotations

import gzip
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from starlette.responses import Response

from ks4_pipeline.sandbox.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ks4_pipeline.sandbox.views import View

JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"
_SUPPORTED = {"api-supported-versions": "1"}
_CHUNK = 1 << 18
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def json_endpoint(handler: Callable[[Request], View]) -> Callable[[Request], Response]:
    """Make an endpoint of a handler that gives a body or raises a :class:`ProblemError`."""

    def endpoint(request: Request) -> Response:
        try:
            body: View | None = handler(request)
            status = HTTPStatus.OK
        except ProblemError as problem:
            body, status = problem.body(), problem.status
        return _json(request, body, status, JSON)

    return endpoint


def file_endpoint(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The same for ``/csv``: success ignores ``Accept``, problems are JSON and need it (contract §1.6)."""

    def endpoint(request: Request) -> Response:
        try:
            return handler(request)
        except ProblemError as problem:
            return _json(request, problem.body(), problem.status, _PROBLEM_JSON)

    return endpoint


def _json(request: Request, body: View | None, status: HTTPStatus, media_type: str) -> Response:
    if body is None:
        return Response(status_code=status)
    if not _accepts_json(request.headers.getlist("accept")):
        return Response(status_code=HTTPStatus.NOT_ACCEPTABLE, headers=_SUPPORTED)
    content = body.as_json()
    headers = {**_SUPPORTED, "content-type": f"{media_type}; charset=utf-8"}
    if media_type == JSON:  # problem JSON is not in the service's list of compressible types
        headers["vary"] = "Accept-Encoding"
        if _accepts(request.headers.getlist("accept-encoding"), ("gzip", "*")):
            headers["content-encoding"] = "gzip"
            content = gzip.compress(content, compresslevel=5, mtime=0)
    return Response(content, status, headers)


def _accepts_json(accept: list[str]) -> bool:
    return not "".join(accept).strip() or _accepts(accept, (JSON, "application/*", "*/*"))


def _accepts(header: list[str], wanted: tuple[str, ...]) -> bool:
    """Whether a list header names one of the wanted values, the most telling first, without ``q=0``."""
    weights: dict[str, float] = {}
    for item in ",".join(header).split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weights[name] = min((_weight(p) for p in parameters if p.startswith("q=")), default=1.0)
    return next((weights[name] > 0 for name in wanted if name in weights), False)


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0


class CsvResponse(Response):
    """A gzipped CSV streamed from disk."""

    def __init__(self, packed: Path, file_name: str) -> None:
        self._packed = packed
        super().__init__(
            headers={
                **_SUPPORTED,
                "content-type": "text/csv",
                "content-encoding": "gzip",
                "content-length": str(packed.stat().st_size),
                "content-disposition": content_disposition(file_name),
                "x-robots-tag": "noindex",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the headers, then the file in pieces."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with await anyio.open_file(self._packed, "rb") as file:
            while piece := await file.read(_CHUNK):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def content_disposition(file_name: str) -> str:
    """The layout of ASP.NET: the plain name, quoted only where it must be, and the name in UTF-8 (contract §1.5)."""
    ascii_name = "".join(c if " " <= c <= "~" else "_" for c in file_name)
    if not _TOKEN.issuperset(ascii_name) or not ascii_name:
        escaped = ascii_name.replace("\\", "\\\\").replace('"', '\\"')
        ascii_name = f'"{escaped}"'
    return f"attachment; filename={ascii_name}; filename*=UTF-8''{quote(file_name, safe='!#$&+-.^_`|~')}"
