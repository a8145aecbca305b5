"""The sandbox's own HTTP API under ``/admin``: what is published, which faults are on order, what was requested.

It is no part of the stand-in: it lies outside the API's prefix, is not logged, suffers no faults, and always answers in
JSON. Faults are described in :mod:`ks4_pipeline.sandbox.faults`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from ks4_pipeline.errors import VersionNumberError
from ks4_pipeline.sandbox.errors import SandboxError, UnknownInSandboxError
from ks4_pipeline.sandbox.faults import Fault, FaultBook
from ks4_pipeline.sandbox.views import View, moment
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ks4_pipeline.sandbox.publisher import DataSetState, Publisher, VersionState
    from ks4_pipeline.sandbox.requests import RequestLog


class AdminError(View):
    """What was wrong with an admin call."""

    error: str


class VersionStanding(View):
    """A version's state; a held one does not exist for the API yet."""

    version: str
    status: str
    held: bool
    published: str | None
    withdrawn: str | None
    file: str


class DataSetStanding(View):
    """A data set's state."""

    id: str
    title: str
    status: str
    latest_live: str | None
    versions: tuple[VersionStanding, ...]


class Standings(View):
    """All data sets."""

    data_sets: tuple[DataSetStanding, ...]


class PublishedNext(View):
    """Which version was published; ``version`` is left out when none was held."""

    version: str | None
    data_set: DataSetStanding


class LoggedRequest(View):
    """One request the API served."""

    method: str
    path: str
    query: str


class LoggedRequests(View):
    """All of them, oldest first."""

    requests: tuple[LoggedRequest, ...]


class OrderedFault(View):
    """A fault on order, how many requests were its own, and how many of them it struck."""

    number: int
    seen: int
    struck: int
    fault: Fault


class OrderedFaults(View):
    """All of them, oldest first."""

    faults: tuple[OrderedFault, ...]


class Admin:
    """The handlers."""

    def __init__(self, publisher: Publisher, log: RequestLog, faults: FaultBook) -> None:
        self._publisher = publisher
        self._log = log
        self._faults = faults

    def application(self) -> Starlette:
        """The ASGI application."""
        version = "/admin/data-sets/{data_set_id}/versions/{version}"
        publisher = self._publisher
        moves: dict[str, Callable[[UUID, VersionNumber], None]] = {
            "publish": publisher.publish,
            "withdraw": publisher.withdraw,
            "deprecate": publisher.deprecate,
            "restore": publisher.restore,
            "hold": publisher.hold,
        }
        return Starlette(
            routes=[
                Route("/admin/data-sets", _endpoint(self._standings)),
                Route("/admin/data-sets/{data_set_id}/publish-next", _endpoint(self._publish_next), methods=["POST"]),
                *(
                    Route(f"{version}/{name}", _endpoint(self._move(move)), methods=["POST"])
                    for name, move in moves.items()
                ),
                Route("/admin/faults", self._order, methods=["POST"]),
                Route("/admin/faults", _endpoint(self._orders), methods=["GET", "DELETE"]),
                Route("/admin/faults/{number:int}", _endpoint(self._orders), methods=["DELETE"]),
                Route("/admin/requests", _endpoint(self._requests), methods=["GET", "DELETE"]),
            ],
            exception_handlers={HTTPException: _routing_error},
        )

    def _standings(self, _: Request) -> View:
        return Standings(data_sets=tuple(map(_standing, self._publisher.states())))

    def _move(self, move: Callable[[UUID, VersionNumber], None]) -> Callable[[Request], View]:
        def handler(request: Request) -> View:
            data_set_id = _data_set_id(request)
            move(data_set_id, VersionNumber.parse(request.path_params["version"]))
            return self._standing_of(data_set_id)

        return handler

    def _publish_next(self, request: Request) -> View:
        data_set_id = _data_set_id(request)
        number = self._publisher.publish_next(data_set_id)
        standing = self._standing_of(data_set_id)
        return PublishedNext(version=str(number) if number else None, data_set=standing)

    async def _order(self, request: Request) -> Response:
        """The body is a fault; the answer is all that are on order then."""
        body = await request.body()

        def order(request: Request) -> View:
            self._faults.order(Fault.model_validate_json(body))
            return self._orders(request)

        return _endpoint(order)(request)

    def _orders(self, request: Request) -> View:
        if request.method == "DELETE":
            self._faults.cancel(request.path_params.get("number"))
        return OrderedFaults(
            faults=tuple(
                OrderedFault(number=known.number, seen=known.seen, struck=known.struck, fault=known.fault)
                for known in self._faults.orders()
            )
        )

    def _requests(self, request: Request) -> View:
        if request.method == "DELETE":
            self._log.clear()
        return LoggedRequests(
            requests=tuple(LoggedRequest(method=m, path=p, query=q) for m, p, q in self._log.requests())
        )

    def _standing_of(self, data_set_id: UUID) -> DataSetStanding:
        state = self._publisher.find(data_set_id)
        if state is None:
            raise UnknownInSandboxError(f"The sandbox serves no data set {data_set_id}.")
        return _standing(state)


def _endpoint(handler: Callable[[Request], View]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        status = HTTPStatus.OK
        try:
            body = handler(request)
        except UnknownInSandboxError as error:
            body, status = AdminError(error=str(error)), HTTPStatus.NOT_FOUND
        except SandboxError as error:
            body, status = AdminError(error=str(error)), HTTPStatus.CONFLICT
        except (VersionNumberError, ValidationError) as error:
            body, status = AdminError(error=str(error)), HTTPStatus.BAD_REQUEST
        return Response(body.as_json(), status, media_type="application/json")

    return endpoint


async def _routing_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    phrase = AdminError(error=f"{HTTPStatus(status).phrase}: see the admin API in ks4_pipeline/sandbox/admin.py.")
    return Response(phrase.as_json(), status, media_type="application/json")


def _data_set_id(request: Request) -> UUID:
    text = request.path_params["data_set_id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise UnknownInSandboxError(f"{text!r} is not the id of a data set.") from error


def _standing(state: DataSetState) -> DataSetStanding:
    return DataSetStanding(
        id=str(state.data_set.id),
        title=state.data_set.title,
        status=state.status,
        latest_live=str(state.live.number) if state.live else None,
        versions=tuple(map(_version_standing, state.versions)),
    )


def _version_standing(state: VersionState) -> VersionStanding:
    return VersionStanding(
        version=str(state.number),
        status=state.status,
        held=state.held,
        published=moment(state.published) if state.published and not state.held else None,
        withdrawn=moment(state.withdrawn) if state.withdrawn else None,
        file=str(state.version.file),
    )
