"""The warehouse file: read by anybody at any time, and replaced as a whole by one publisher at a time.

DuckDB lets one process write or many read. So nothing here ever writes to the published file: a publisher copies it,
changes the copy, closes and flushes it, and puts it in the old one's place. Connections opened before keep the old
file; those opened later see the new one. What is *in* the file is not this module's business.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

import duckdb
from filelock import FileLock, Timeout

from ks4_pipeline import disk, durable, memory
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.process import GivingBack
from ks4_pipeline.warehouse.sql import literal

# Readable by DuckDB 1.4 and later, so that users' R, DBeaver and command-line installations need not be the newest.
STORAGE_VERSION = "v1.4.0"
_ATTACHED = "warehouse"
_READ_ONLY = 0o444
_WAIT_SECONDS = 600
_SILENT_SECONDS = 1.0
_COMMAND_SHOWN = 200

Answer = TypeVar("Answer")
_Edition = tuple[int, int, int]

_log = logging.getLogger(__name__)


class WarehouseError(Ks4Error):
    """The warehouse file cannot be read, built or put in place."""


class WarehouseFile:
    """The published warehouse at one path.

    Args:
        path: ``warehouse.duckdb``; need not exist yet.
        wait_seconds: how long a publisher waits for another one.
    """

    # DuckDB keeps an open file by its path within a process: while one old connection is open, a new one sees the old
    # file. One reader at a time per process means that each sees what is published when it opens.
    _readers = threading.Lock()

    def __init__(self, path: Path, *, wait_seconds: float = _WAIT_SECONDS) -> None:
        self.path = path
        self._wait = wait_seconds
        self._known: tuple[_Edition | None, dict[object, object]] = (None, {})

    def exists(self) -> bool:
        """Whether anything has been published."""
        return self.path.is_file()

    def known(self, ask: Callable[[WarehouseFile], Answer]) -> Answer:
        """The answer to a question to the published file, asked once per edition: opening a large one takes seconds.

        Args:
            ask: the question, which opens the file by itself; nobody may change its answer.
        """
        edition = self._edition()
        known_of, answers = self._known  # one value, since another thread may begin anew with a later edition
        if known_of != edition:
            answers = {}
            self._known = edition, answers
        if ask not in answers:
            answers[ask] = ask(self)
        return cast("Answer", answers[ask])

    def _edition(self) -> _Edition | None:
        """What tells the file published now from those before it; None when there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def read(self, *, leaves_closing: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short read-only connection to what is published now; close it (leave the block) before long work.

        Args:
            leaves_closing: close it in the background, which takes a second where there are thousands of tables.

        Raises:
            WarehouseError: when nothing is published, or the file cannot be opened.
        """
        if not self.exists():
            raise WarehouseError(f"There is no warehouse at {self.path} yet. Load something first: ks4 run.")
        with ExitStack() as open_now:
            open_now.enter_context(self._readers)
            yield open_now.enter_context(_open_read_only(self.path))
            if leaves_closing:
                _close_in_background(open_now.pop_all())

    @contextmanager
    def rewrite(self, *, anew: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Make the next edition: a connection to a private copy, published when the block ends without an error.

        Args:
            anew: begin with an empty file.

        Raises:
            WarehouseError: when another publisher holds on for too long, or the next edition cannot be made or put in
                place.
            DiskFullError: when there is no room for it.
        """
        durable.make_folder(self.path.parent)
        with disk.told(self.path.parent), self._publisher():
            build = self.path.with_name(f"{self.path.stem}.build-{os.getpid()}.duckdb")
            self._remove_builds()
            try:
                if self.exists() and not anew:
                    durable.copy(self.path, build)
                connection = _open_for_edition(build)
                try:
                    _attach(connection, build)
                    yield connection
                    connection.execute(f"CHECKPOINT {_ATTACHED}")
                    connection.execute(f"USE memory; DETACH {_ATTACHED}")
                    _refuse_broken(connection, build)
                finally:
                    connection.close()
                self._put_in_place(build)
            except duckdb.Error as error:
                raise WarehouseError(
                    f"The next edition of {self.path} could not be made: {error}. The published one stays as it is."
                ) from error
            finally:
                self._remove_builds()

    def tidy(self) -> None:
        """Remove what a publisher left that was killed; nothing while one is at work."""
        if not self._unfinished() and not self._note.exists():
            return
        lock = self._lock()
        with suppress(Timeout):
            lock.acquire(timeout=0)
            try:
                self._remove_builds()
                self._note.unlink(missing_ok=True)
            finally:
                lock.release()

    @contextmanager
    def _publisher(self) -> Iterator[None]:
        lock = self._lock()
        try:
            lock.acquire(timeout=min(self._wait, _SILENT_SECONDS))
        except Timeout:
            self._wait_longer(lock)
        try:
            self._sign()
            yield
        finally:
            self._note.unlink(missing_ok=True)
            lock.release()

    def _wait_longer(self, lock: FileLock) -> None:
        left = self._wait - _SILENT_SECONDS
        if left > 0:
            _log.warning(
                "%s is being published by %s. Waiting for it, at most %.0f s.", self.path, self._holder(), self._wait
            )
        try:
            lock.acquire(timeout=max(left, 0))
        except Timeout:
            raise WarehouseError(
                f"{self.path} has been held for more than {self._wait:.0f} s by {self._holder()}. Let it finish, or "
                "end it; then run again. Nothing is lost."
            ) from None

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_name(f"{self.path.name}.lock"))

    @property
    def _note(self) -> Path:
        """Who publishes; beside the lock, since Windows lets nobody read a locked file."""
        return self.path.with_name(f"{self.path.name}.publisher.json")

    def _sign(self) -> None:
        """Tell those who wait for whom; a courtesy, and no reason to fail."""
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:_COMMAND_SHOWN]
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
        }
        with suppress(OSError):
            self._note.write_text(json.dumps(note), encoding="utf-8")

    def _holder(self) -> str:
        """Who has the lock, by its own note; the note of a dead one is written over by the next."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return "process {pid} on {host} ({command}), since {since}".format(**note)
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def _put_in_place(self, build: Path) -> None:
        # Opened read-write by a user, the published file would get a .wal beside it that breaks every later open.
        build.chmod(_READ_ONLY)
        durable.flush(build)
        stray = self.path.with_name(f"{self.path.name}.wal")
        if stray.exists():
            stray.rename(stray.with_name(f"{stray.name}.stray-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"))
        try:
            durable.replace(build, self.path)
        except PermissionError as error:
            raise WarehouseError(
                f"{self.path} cannot be replaced ({error}). Where an open file cannot be replaced, as on Windows, "
                "close the programs that read it; then run again. Nothing is lost."
            ) from error

    def _remove_builds(self) -> None:
        """Remove builds that were never finished; called by the one publisher only."""
        for path in self._unfinished():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _unfinished(self) -> list[Path]:
        return list(self.path.parent.glob(f"{self.path.stem}.build-*"))


def _open_read_only(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(path, read_only=True)
    except duckdb.Error as error:
        raise WarehouseError(f"{path} cannot be opened: {error}") from error


def _close_in_background(open_now: ExitStack) -> None:
    try:
        GivingBack(target=open_now.close, name="ks4-close").start()
    except RuntimeError:  # no thread is to be had
        open_now.close()
    except BaseException:
        open_now.close()
        raise


def _open_for_edition(build: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB that writes large tables once: it keeps its blocks' memory, and nothing of the files it reads.

    Measured over 10 million rows: 6 % of the CPU of a load went into taking and giving back memory.
    """
    granted = memory.limit(memory.EDITION)
    return duckdb.connect(
        config={
            "memory_limit": granted,
            "block_allocator_memory": granted,
            "enable_external_file_cache": "false",
            "fsync_mode": "NONE",  # a build is flushed once, when it is finished
            # What memory does not hold goes where the edition stands, and not to wherever we were called from.
            "temp_directory": str(build.with_suffix(".tmp")),
        }
    )


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write to a build. Without a log of what is written: nobody goes on with a build that was broken off."""
    options = f"STORAGE_VERSION '{STORAGE_VERSION}', RECOVERY_MODE no_wal_writes"
    connection.execute(f"ATTACH {literal(str(path))} AS {_ATTACHED} ({options}); USE {_ATTACHED}")
    connection.execute("SET TimeZone = 'UTC'")  # times in views' texts must not depend on the machine


def _refuse_broken(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Read a finished build from the disk as its readers will: a file that does not open must not be published."""
    connection.execute(f"ATTACH {literal(str(path))} AS {_ATTACHED} (READ_ONLY)")
    connection.execute(f"SELECT count(*) FROM duckdb_tables() WHERE database_name = '{_ATTACHED}'")
    connection.execute(f"DETACH {_ATTACHED}")
