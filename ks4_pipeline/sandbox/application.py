"""Puts the sandbox's HTTP side together: routes, the rules that act on every request, and the way to ``/admin``.

From the outside in: the request log, the faults on order, the middleware a caller adds, the lower-case rule, routes.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.sandbox.faulty_wire import struck_by
from ks4_pipeline.sandbox.query_endpoint import query_endpoint
from ks4_pipeline.sandbox.responses import file_endpoint, json_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ks4_pipeline.sandbox.api import Api
    from ks4_pipeline.sandbox.faults import FaultBook
    from ks4_pipeline.sandbox.requests import RequestLog

ADMIN = "/admin"


class _GuidConvertor(Convertor[UUID]):
    """An id in the path; what is not a GUID matches no route, so the answer is an empty 404 (contract §1.2)."""

    regex = "[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"

    def convert(self, value: str) -> UUID:
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        return str(value)


register_url_convertor("guid", _GuidConvertor())


def checked_prefix(prefix: str) -> str:
    """The path before ``/v1``.

    Raises:
        ConfigurationError: it is not lower-case path segments, or it is that of the admin API.
    """
    if not re.fullmatch(r"(/[a-z0-9._-]+)*", prefix) or prefix.startswith(ADMIN):
        raise ConfigurationError(
            f"prefix: {prefix!r} cannot stand before /v1. Give lower-case segments such as '/statistics', or ''."
        )
    return prefix


def sandbox_application(
    api: Api,
    admin: ASGIApp,
    log: RequestLog,
    faults: FaultBook,
    *,
    prefix: str,
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
) -> ASGIApp:
    """The whole application; the first of ``middleware`` is the outermost."""
    public = _lower_case_paths(_routes(api, prefix))
    for wrap in reversed(middleware):
        public = wrap(public)
    public = log.around(struck_by(faults, public, prefix))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{ADMIN}/")
        await (admin if is_admin else public)(scope, receive, send)

    return application


def _routes(api: Api, prefix: str) -> Starlette:
    routes = []
    for version in ("v1", "v1.0"):
        publications, data_set = (
            f"{prefix}/{version}/publications",
            f"{prefix}/{version}/data-sets/{{data_set_id:guid}}",
        )
        routes += [
            Route(publications, json_endpoint(api.publications)),
            Route(f"{publications}/{{publication_id:guid}}", json_endpoint(api.publication)),
            Route(f"{publications}/{{publication_id:guid}}/data-sets", json_endpoint(api.data_sets)),
            Route(data_set, json_endpoint(api.data_set)),
            Route(f"{data_set}/versions", json_endpoint(api.versions)),
            Route(f"{data_set}/versions/{{version}}", json_endpoint(api.version)),
            Route(f"{data_set}/versions/{{version}}/changes", json_endpoint(api.changes)),
            Route(f"{data_set}/meta", json_endpoint(api.meta)),
            Route(f"{data_set}/csv", file_endpoint(api.csv)),
            Route(f"{data_set}/query", query_endpoint(api.query), methods=["GET", "POST"]),
        ]
    for route in routes:
        route.methods = (route.methods or set()) - {"HEAD"}  # the service maps none: 405 (contract §1.6)
    application = Starlette(routes=routes, exception_handlers={HTTPException: _empty, Exception: _empty})
    application.router.redirect_slashes = False
    return application


async def _empty(_: Request, error: Exception) -> Response:
    """No route, a wrong method or a fault of our own: a status and nothing else (contract §2.4)."""
    if isinstance(error, HTTPException):
        return Response(status_code=error.status_code, headers=error.headers)
    return Response(status_code=HTTPStatus.INTERNAL_SERVER_ERROR)


def _lower_case_paths(app: ASGIApp) -> ASGIApp:
    """A path with an upper-case letter is answered 308 to its lower-cased form; a slash at the end is ignored.

    The query string is left alone, and the target is absolute, built from what the server itself sees (contract §1.2).
    """

    async def lowered(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] == "http" and path != path.lower():
            host = dict(scope["headers"]).get(b"host", b"127.0.0.1").decode("latin-1")
            query = scope["query_string"].decode("latin-1")
            target = f"{scope['scheme']}://{host}{quote(path.lower(), safe='/:@!$&()*+,;=~-._')}"
            location = f"{target}?{query}" if query else target
            response = Response(status_code=HTTPStatus.PERMANENT_REDIRECT, headers={"location": location})
            await response(scope, receive, send)
            return
        if path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/")}
        await app(scope, receive, send)

    return lowered
