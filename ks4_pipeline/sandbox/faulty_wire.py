"""Where faults strike: between the sandbox's API and the wire.

A struck answer is held back whole, rewritten, and sent the way its fault wants it sent. Resetting a connection needs
the socket, which ASGI does not give: :class:`Wire` is uvicorn's protocol with the transport in the request's state.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from ks4_pipeline.sandbox.faults import Fault, FaultBook, FaultKind
from ks4_pipeline.sandbox.faulty_answers import Answer, rewritten

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import ASGIApp, Receive, Scope, Send

_TRANSPORT = "ks4.transport"
_ROOT = "/v1"
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)
_PIECE = 1 << 18
_DRIP_SECONDS = 1.0
_STALL_SECONDS = 3600.0
_CLOSED_WITHIN = 5.0
_HUGE = 5_000_000_000


class Wire(H11Protocol):
    """HTTP/1.1 of which a request knows its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


def struck_by(book: FaultBook, app: ASGIApp, prefix: str) -> ASGIApp:
    """The application, with the faults on order striking its answers."""

    async def struck(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        path = scope["path"].removeprefix(prefix).removeprefix(_ROOT)
        fault = book.strike(path, query)
        if fault is None:
            await app(scope, receive, send)
        elif fault.kind is FaultKind.RESET:
            await _ended(scope, receive, reset=True)
        elif fault.kind is FaultKind.STALL and fault.after_bytes is None:
            await _nothing(receive, fault.seconds or _STALL_SECONDS)
            await _ended(scope, receive, reset=False)
        else:
            answer = rewritten(fault, await _captured(app, scope, receive), query)
            await _sent(fault, answer, receive, send)

    return struck


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    starts: list[MutableMapping[str, Any]] = []
    pieces: list[bytes] = []

    async def capture(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            starts.append(message)
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, capture)
    headers = tuple((key.lower(), value) for key, value in starts[0]["headers"] if key.lower() != b"content-length")
    return Answer(starts[0]["status"], headers, b"".join(pieces))


async def _sent(fault: Fault, answer: Answer, receive: Receive, send: Send) -> None:
    """Send an answer as the fault wants it; one that is left unfinished makes uvicorn close the connection."""
    length = (fault.size or _HUGE) if fault.kind is FaultKind.HUGE_LENGTH else len(answer.body)
    headers = [*answer.headers, (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    match fault.kind:
        case FaultKind.CUT:
            half = len(answer.body) // 2 if fault.after_bytes is None else fault.after_bytes
            await _body(send, answer.body[:half], finished=half >= length)
        case FaultKind.STALL:
            await _body(send, answer.body[: fault.after_bytes], finished=False)
            await _nothing(receive, fault.seconds or _STALL_SECONDS)
        case FaultKind.DRIP:
            for byte in answer.body:
                await _body(send, bytes([byte]), finished=False)
                if await _nothing(receive, fault.seconds or _DRIP_SECONDS):
                    return
            await _body(send, b"", finished=True)
        case _:
            await _body(send, answer.body, finished=length == len(answer.body))


async def _body(send: Send, body: bytes, *, finished: bool) -> None:
    for start in range(0, len(body), _PIECE):
        await send({"type": "http.response.body", "body": body[start : start + _PIECE], "more_body": True})
    if finished:
        await send({"type": "http.response.body", "body": b""})


async def _nothing(receive: Receive, seconds: float) -> bool:
    """Let time pass, no longer than the client waits; whether it has gone."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def _ended(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection without an answer; ``reset``: so that the client is told of an error, not of an end."""
    transport: asyncio.Transport = scope["state"][_TRANSPORT]
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
    transport.abort()
    await _nothing(receive, _CLOSED_WITHIN)  # until then uvicorn would answer for us
