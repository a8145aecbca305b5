"""A deadline for the beginning of an answer: a read time-out alone lets a server drip its headers for ever.

httpx knows no deadline, and its time-outs begin anew with each byte. So the streams of the network itself, below HTTP
and TLS, wait no longer than until the deadline of the request that reads from them.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import httpx


class Deadline:
    """The moment by which an answer has to have begun, for each thread its own; none most of the time.

    Args:
        clock: tells seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_thread = threading.local()

    @contextmanager
    def at(self, until: float) -> Iterator[Callable[[], None]]:
        """Hold this thread to a moment, until it calls what it is given, or leaves the block."""
        self._of_thread.until = until
        try:
            yield self.lift
        finally:
            self.lift()

    def lift(self) -> None:
        """Hold this thread to nothing."""
        self._of_thread.until = math.inf

    def bind(self, client: httpx.Client) -> None:
        """Make all connections of a client, those by proxies included, keep to the deadline."""
        # httpx lets nobody replace the network alone; another transport would not see the environment's proxies.
        for transport in (client._transport, *client._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                pool = transport._pool
                pool._network_backend = _Network(pool._network_backend, self)

    def within(self, timeout: float | None) -> float | None:
        """A time-out cut to what is left.

        Raises:
            httpcore.ReadTimeout: when nothing is.
        """
        left = getattr(self._of_thread, "until", math.inf) - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("the headers came too slowly")
        return timeout if left == math.inf else min(left, math.inf if timeout is None else timeout)


class _Network(httpcore.NetworkBackend):
    """The network with streams that keep to a deadline."""

    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads end at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        # Closing alone wakes no other thread that waits for bytes: a run broken off would last until its time-out.
        connected = self._inner.get_extra_info("socket")
        if isinstance(connected, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # of the connection itself, below TLS
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore has it
        return self._inner.get_extra_info(info)
