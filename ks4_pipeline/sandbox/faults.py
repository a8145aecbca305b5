"""Faults of the wire, on order: what a gateway, a firewall or a bad line does to the answers of an API.

A :class:`Fault` says what happens (``kind``), to which requests (``path``, ``query``) and to which of those (``nth``,
``times``). It is given to :class:`~ks4_pipeline.sandbox.server.Sandbox` (``faults=[...]``), to a running one
(``sandbox.fail(...)``, ``sandbox.heal()``) or over HTTP::

    curl -X POST .../admin/faults -d '{"kind": "status", "status": 429, "retryAfter": "2", "times": 1}'
    curl -X POST .../admin/faults -d '{"kind": "cut", "path": "*/csv", "query": "*Version=1.1"}'
    curl .../admin/faults                  # what is on order, and how often each has struck
    curl -X DELETE .../admin/faults        # heal everything; /admin/faults/1 heals one

Here is what faults are and whose turn it is; ``faulty_answers.py`` rewrites answers, ``faulty_wire.py`` sends them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from ks4_pipeline.sandbox.errors import UnknownInSandboxError
from ks4_pipeline.sandbox.views import View


class FaultKind(StrEnum):
    """What happens. An answer that a kind cannot be done to (pages, of a CSV) stays as it is."""

    STATUS = "status"
    """An answer of the gateway: ``status`` (503), ``retry_after``, and no body or (``html``) a web page."""
    RESET = "reset"
    """The connection is reset before any answer."""
    CUT = "cut"
    """The full length is announced, and the connection closed ``after_bytes`` (half of them)."""
    DRIP = "drip"
    """The body comes byte by byte, ``seconds`` apart (1)."""
    STALL = "stall"
    """Nothing comes for ``seconds`` (3600), then the connection closes; with ``after_bytes``, some of the body does."""
    TRUNCATED_GZIP = "truncated_gzip"
    """The gzip body lacks its last 12 bytes, and the length announced is that of the rest."""
    BAD_CRC = "bad_crc"
    """The checksum at the end of the gzip body is wrong."""
    CUT_TEXT = "cut_text"
    """The JSON or CSV stops in the middle; length and gzip around it are right."""
    HTML = "html"
    """A web page with status 200."""
    WRONG_VERSION = "wrong_version"
    """The answer is about version 99.0: a CSV by its file name, a record and a list of changes by their number."""
    WRONG_ROW_COUNT = "wrong_row_count"
    """Every ``totalResults`` of a version is one too many; a CSV lacks its last row."""
    ENDLESS_PAGES = "endless_pages"
    """Every page of a list has something new on it and announces one more."""
    HUGE_LENGTH = "huge_length"
    """``size`` bytes are announced (5 GB), and the usual ones come."""
    GZIP_BOMB = "gzip_bomb"
    """The body is ``size`` zeros (1 GB) in a thousandth of that."""
    DEEP_JSON = "deep_json"
    """The JSON is ``size`` lists (100,000), one in the other; a CSV stays as it is."""


_PARAMETERS: dict[FaultKind, frozenset[str]] = {
    FaultKind.STATUS: frozenset({"status", "retry_after", "html"}),
    FaultKind.CUT: frozenset({"after_bytes"}),
    FaultKind.DRIP: frozenset({"seconds"}),
    FaultKind.STALL: frozenset({"seconds", "after_bytes"}),
    FaultKind.HUGE_LENGTH: frozenset({"size"}),
    FaultKind.GZIP_BOMB: frozenset({"size"}),
    FaultKind.DEEP_JSON: frozenset({"size"}),
}
_COMMON = frozenset({"kind", "path", "query", "nth", "times"})


class Fault(View):
    """One fault on order.

    Attributes:
        kind: what happens.
        path: which requests: a pattern with ``*`` for the path behind ``/v1``, such as ``*/csv``.
        query: the same for the query string, such as ``*Version=1.1``.
        nth: the first of those requests it strikes, counted from 1.
        times: how many it strikes from there on; all when None.
        status: of the answer, for ``status``.
        retry_after: the header of that name, as it is to be sent.
        html: whether the answer is a web page.
        after_bytes: how much of the body is sent.
        seconds: how long.
        size: how much of it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    path: str = "*"
    query: str = "*"
    nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    retry_after: Annotated[str, Field(pattern=r"^[ -~]*$")] | None = None
    html: bool | None = None
    after_bytes: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    size: Annotated[int, Field(ge=1, le=10**13)] | None = None

    @model_validator(mode="after")
    def _only_its_own(self) -> Self:
        foreign = sorted(self.model_fields_set - _COMMON - _PARAMETERS.get(self.kind, frozenset()))
        if foreign:
            raise ValueError(f"{foreign[0]} is no parameter of the fault {self.kind}")
        return self

    def is_about(self, path: str, query: str) -> bool:
        """Whether a request is one of those it may strike."""
        return fnmatchcase(path, self.path) and fnmatchcase(query, self.query)


@dataclass
class Ordered:
    """A fault on order, how many requests were its own, and how many of them it struck."""

    number: int
    fault: Fault
    seen: int = 0
    struck: int = 0

    def is_due(self) -> bool:
        """Whether it strikes the request that was just counted."""
        return self.seen >= self.fault.nth and (self.fault.times is None or self.struck < self.fault.times)


class FaultBook:
    """The faults on order, oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[int, Ordered] = {}
        self._last = 0

    def order(self, fault: Fault) -> int:
        """Put a fault on order; the number to cancel it by."""
        with self._lock:
            self._last += 1
            self._orders[self._last] = Ordered(self._last, fault)
            return self._last

    def cancel(self, number: int | None = None) -> None:
        """Cancel one, or all.

        Raises:
            UnknownInSandboxError: when none has that number.
        """
        with self._lock:
            if number is None:
                self._orders.clear()
            elif self._orders.pop(number, None) is None:
                raise UnknownInSandboxError(f"There is no fault {number} on order.")

    def orders(self) -> tuple[Ordered, ...]:
        """All of them as they stand, in order."""
        with self._lock:
            return tuple(
                Ordered(known.number, known.fault, known.seen, known.struck) for known in self._orders.values()
            )

    def strike(self, path: str, query: str) -> Fault | None:
        """Count a request, and tell which fault strikes it: the oldest that is due."""
        with self._lock:
            found: Fault | None = None
            for known in self._orders.values():
                if not known.fault.is_about(path, query):
                    continue
                known.seen += 1
                if found is None and known.is_due():
                    known.struck += 1
                    found = known.fault
            return found
