"""The log of requests the stand-in API has received, for tests that count them or look at what was asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class RequestRecord(NamedTuple):
    """One request: method, decoded path, and the query string as it came."""

    method: str
    path: str
    query: str


class RequestLog:
    """Remembers every request, whatever was answered; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[RequestRecord] = []

    def requests(self) -> list[RequestRecord]:
        """A copy, oldest first."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._records.clear()

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, with each request noted before it is served."""

        async def logged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                record = RequestRecord(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
                with self._lock:
                    self._records.append(record)
            await app(scope, receive, send)

        return logged
