"""How ``/query`` goes over the wire: GET as any other endpoint; POST with its body, which must be JSON (contract §2.0).

A body of more than 128 KB does not pass the publisher's firewall (contract §1.4); which status a client then sees is
not known, so 413 without a body is our choice.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ks4_pipeline.sandbox.responses import JSON, json_endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from ks4_pipeline.sandbox.views import View

MOST_BYTES = 128 * 1024


def query_endpoint(handler: Callable[[Request, bytes | None], View]) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of a handler that takes the body of a POST, or None for a GET."""

    async def endpoint(request: Request) -> Response:
        body: bytes | None = None
        if request.method == "POST":
            body = await request.body()
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != JSON and (media_type or body):
                return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            if len(body) > MOST_BYTES:
                return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await run_in_threadpool(json_endpoint(partial(_with_body, handler, body)), request)

    return endpoint


def _with_body(handler: Callable[[Request, bytes | None], View], body: bytes | None, request: Request) -> View:
    return handler(request, body)
