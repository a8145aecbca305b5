"""Runs a sandbox: reads the folder, binds to a port of this machine only, and serves in a thread.

:class:`Sandbox` is what tests and the demo use; :func:`serve` is the same for a command that stays in the foreground.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import UUID

import uvicorn

from ks4_pipeline.sandbox.admin import Admin
from ks4_pipeline.sandbox.api import Api, PatchOrder
from ks4_pipeline.sandbox.application import checked_prefix, sandbox_application
from ks4_pipeline.sandbox.archive import Archive
from ks4_pipeline.sandbox.delivery import Delivery
from ks4_pipeline.sandbox.description import read_descriptions
from ks4_pipeline.sandbox.errors import SandboxError, UnknownInSandboxError
from ks4_pipeline.sandbox.faults import Fault, FaultBook, Ordered
from ks4_pipeline.sandbox.faulty_wire import Wire
from ks4_pipeline.sandbox.history import data_set_from
from ks4_pipeline.sandbox.publisher import Publisher
from ks4_pipeline.sandbox.requests import RequestLog, RequestRecord
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType, TracebackType
    from typing import Self

    from starlette.types import ASGIApp

HOST = "127.0.0.1"
DEFAULT_PORT = 5050
_READY_WITHIN = 20.0
_STOPPED_WITHIN = 10.0
_ANSWERS_END_WITHIN = 1.0


class Sandbox:
    """The stand-in EES API over a folder of descriptions, served while the ``with`` block runs.

    Attributes:
        url: the base to which clients append ``/v1/...``; known once the block is entered.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        port: int = 0,
        prefix: str = "/statistics",
        patch_order_seed: int = 0,
        patch_order_per_request: bool = False,
        cache: Path | None = None,
        faults: Iterable[Fault] = (),
        middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    ) -> None:
        """Read the descriptions; no CSV is opened yet.

        Args:
            root: the folder whose sub-folders hold ``data_set.toml`` files.
            port: 0 takes a free one.
            prefix: what stands before ``/v1``.
            patch_order_seed: decides the order of patches in the versions list.
            patch_order_per_request: another order at each request.
            cache: keeps packed CSVs there for the next run; without it they lie in a temporary folder.
            faults: on order from the start; see :mod:`ks4_pipeline.sandbox.faults`.
            middleware: wrapped around the API (not around ``/admin``), first outermost.

        Raises:
            ConfigurationError: a description or the prefix cannot be used.
        """
        self._data_sets = tuple(data_set_from(entry) for _, entry in read_descriptions(Path(root)))
        self._prefix = checked_prefix(prefix)
        self._port = port
        self._patch_order = PatchOrder(patch_order_seed, patch_order_per_request)
        self._cache = cache
        self._middleware = middleware
        self._publisher = Publisher(self._data_sets)
        self._archive = Archive(self._data_sets)
        self._log = RequestLog()
        self._faults = FaultBook()
        for fault in faults:
            self._faults.order(fault)
        self._running = ExitStack()
        self._server: _Server | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Bind and serve; when this returns the API answers.

        Raises:
            SandboxError: the port is taken, or the server did not start.
        """
        with ExitStack() as starting:
            cache = self._cache or Path(starting.enter_context(TemporaryDirectory(prefix="ks4-sandbox-")))
            listening = starting.enter_context(_bound(self._port))
            api = Api(self._publisher, self._archive, Delivery(cache), self._patch_order)
            admin = Admin(self._publisher, self._log, self._faults).application()
            application = sandbox_application(
                api, admin, self._log, self._faults, prefix=self._prefix, middleware=self._middleware
            )
            self._server = _Server(application, listening)
            starting.callback(self._server.stop)
            self._server.start()
            self.url = f"http://{HOST}:{listening.getsockname()[1]}{self._prefix}"
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and remove what was temporary."""
        self._running.close()

    @property
    def admin_url(self) -> str:
        """The base of the admin API."""
        return f"{self.url.removesuffix(self._prefix)}/admin"

    @property
    def requests(self) -> list[RequestRecord]:
        """What the API was asked so far, oldest first: (method, path, query); admin calls are not in it."""
        return self._log.requests()

    def clear_requests(self) -> None:
        """Forget them."""
        self._log.clear()

    def publish(self, data_set_id: UUID | str, version: VersionNumber | str) -> None:
        """Let a held version appear; it becomes the latest live one."""
        self._publisher.publish(_id(data_set_id), _number(version))

    def publish_next(self, data_set_id: UUID | str) -> str | None:
        """Publish the lowest held version and tell which; None if none is held."""
        number = self._publisher.publish_next(_id(data_set_id))
        return str(number) if number else None

    def withdraw(self, data_set_id: UUID | str, version: VersionNumber | str) -> None:
        """Withdraw a version; it stays listed and downloadable."""
        self._publisher.withdraw(_id(data_set_id), _number(version))

    def deprecate(self, data_set_id: UUID | str, version: VersionNumber | str) -> None:
        """Mark a version as deprecated."""
        self._publisher.deprecate(_id(data_set_id), _number(version))

    def restore(self, data_set_id: UUID | str, version: VersionNumber | str) -> None:
        """Make a withdrawn or deprecated version an ordinary one again."""
        self._publisher.restore(_id(data_set_id), _number(version))

    def hold(self, data_set_id: UUID | str, version: VersionNumber | str) -> None:
        """Take a version out as if it had never been."""
        self._publisher.hold(_id(data_set_id), _number(version))

    def fail(self, fault: Fault) -> int:
        """Put a fault on order; the number to heal it by."""
        return self._faults.order(fault)

    def heal(self, number: int | None = None) -> None:
        """Cancel a fault, or all.

        Raises:
            UnknownInSandboxError: when none has that number.
        """
        self._faults.cancel(number)

    @property
    def faults(self) -> tuple[Ordered, ...]:
        """The faults on order, and how often each has struck."""
        return self._faults.orders()

    def wait(self) -> None:
        """Block until the server stops by itself, which it does only on a fault."""
        while self._server is not None and self._server.runs(1.0):
            pass


def serve(
    root: Path | str,
    port: int = DEFAULT_PORT,
    *,
    announce: Callable[[Sandbox], None] | None = None,
    prefix: str = "/statistics",
    patch_order_seed: int = 0,
    cache: Path | None = None,
) -> None:
    """Serve a folder until the process is interrupted (Ctrl-C or SIGTERM).

    Args:
        root: the folder of descriptions.
        port: the port; 0 takes a free one.
        announce: called once, when the sandbox is ready.
        prefix: as for :class:`Sandbox`.
        patch_order_seed: as for :class:`Sandbox`.
        cache: as for :class:`Sandbox`.

    Raises:
        ConfigurationError: a description cannot be used.
        SandboxError: the port is taken.
    """

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupted) if in_main else None
    try:
        with Sandbox(root, port=port, prefix=prefix, patch_order_seed=patch_order_seed, cache=cache) as sandbox:
            if announce:
                announce(sandbox)
            sandbox.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _bound(port: int) -> socket.socket:
    """A listening socket: clients may connect from now on, whoever accepts later."""
    # Named TCP, so that asyncio lets each part of an answer go at once: else the body waits 40 ms behind its head.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise SandboxError(f"Port {port} of {HOST} cannot be used: {error}. Give another, or 0.") from error
    return listening


class _Server:
    """Uvicorn in a thread, which ends as soon as it is told to, and with it every answer that is not finished.

    Uvicorn looks ten times a second whether it is to end, and then waits for as long again: 0.2 s for each sandbox.
    """

    def __init__(self, application: ASGIApp, listening: socket.socket) -> None:
        config = uvicorn.Config(
            application,
            http=Wire,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
        )
        self._uvicorn = uvicorn.Server(config)
        self._listening = listening
        self._thread = threading.Thread(target=self._run, name="ks4-sandbox", daemon=True)
        self._ended = threading.Event()  # and not the thread's join, which believes it ended when Ctrl-C comes
        self._end: Callable[[], object] = lambda: None
        self._is_told = False

    def start(self) -> None:
        """Let it serve; when this returns it answers.

        Raises:
            SandboxError: it did not start.
        """
        self._thread.start()
        deadline = time.monotonic() + _READY_WITHIN
        while not self._uvicorn.started:
            if self._ended.is_set() or time.monotonic() > deadline:
                raise SandboxError("The sandbox's server did not start.")
            time.sleep(0.002)

    def runs(self, seconds: float) -> bool:
        """Whether it still serves after so many seconds, or what is left of them when it ends."""
        return not self._ended.wait(seconds)

    def stop(self) -> None:
        """End it, however far it has come."""
        self._is_told = True
        with suppress(RuntimeError):  # it has ended by itself
            self._end()
        if self._thread.ident is not None:
            self._ended.wait(_STOPPED_WITHIN)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        """Serve until told to end; who is being answered then is cut off, and what still answers cancelled."""
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._listening]))
        self._end = partial(asyncio.get_running_loop().call_soon_threadsafe, serving.cancel)
        if not self._is_told:
            await asyncio.wait([serving])
        for listener in self._uvicorn.servers if self._uvicorn.started else ():
            listener.close()
        state = self._uvicorn.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_ANSWERS_END_WITHIN)
        if serving.done() and not serving.cancelled():
            serving.result()  # the error it ended of, if it did


def _id(data_set_id: UUID | str) -> UUID:
    try:
        return data_set_id if isinstance(data_set_id, UUID) else UUID(data_set_id)
    except ValueError as error:
        raise UnknownInSandboxError(f"{data_set_id!r} is not the id of a data set.") from error


def _number(version: VersionNumber | str) -> VersionNumber:
    return version if isinstance(version, VersionNumber) else VersionNumber.parse(version)


class _CutAnswers(logging.Filter):
    """Keeps uvicorn quiet about answers that were cut on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.getMessage() != "ASGI callable returned without completing response."


logging.getLogger("uvicorn.error").addFilter(_CutAnswers())
