"""How a failed command ends: one clean message on standard error and the exit code that design.md §3 gives it."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ks4_pipeline.cli.interruption import interruptible
from ks4_pipeline.errors import ConfigurationError, Ks4Error, VersionNumberError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_LOADED = 1
WRONG_USE = 2
UNREACHABLE = 3
INTERRUPTED = 130
READER_GONE = 141
"""As for any program of a pipe whose reader has had enough: 128 + SIGPIPE."""


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a command may fail of into a message and an exit code; anything else is a bug and stays one."""
    try:
        with interruptible():
            yield
            sys.stdout.flush()
    except KeyboardInterrupt:
        _end("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        from ks4_pipeline.cli.console import close

        close(sys.stdout)
        raise typer.Exit(READER_GONE) from None
    except Ks4Error as error:
        _end(str(error), _exit_code(error))
    except OSError as error:
        _end(_explained(error), NOT_LOADED)
    except Exception as error:
        message = _engine_failure(error)
        if message is None:
            raise
        _end(message, NOT_LOADED)


def _end(message: str, code: int) -> None:
    from ks4_pipeline.cli.console import complain

    complain(message)
    raise typer.Exit(code)


def _exit_code(error: Ks4Error) -> int:
    """Wrong use 2, out of reach 3, everything else 1. Errors of the API are known only where it was asked."""
    if isinstance(error, ConfigurationError | VersionNumberError):
        return WRONG_USE
    if "ks4_pipeline.ees.errors" in sys.modules:
        from ks4_pipeline.ees.errors import EesStatusError, EesUnavailableError

        if isinstance(error, EesUnavailableError):
            return UNREACHABLE
        if isinstance(error, EesStatusError):
            return WRONG_USE
    if "ks4_pipeline.sandbox.errors" in sys.modules:
        from ks4_pipeline.sandbox.errors import SandboxError

        if isinstance(error, SandboxError):
            return WRONG_USE
    return NOT_LOADED


def _explained(error: OSError) -> str:
    what = error.strerror or str(error)
    where = f" ({os.fspath(error.filename)!r})" if error.filename is not None else ""
    hints = {
        errno.ENOSPC: " Make room, then run again.",
        errno.EDQUOT: " Make room, then run again.",
        errno.EACCES: " Check who may read and write there.",
        errno.EPERM: " Check who may read and write there.",
        errno.EROFS: " Choose another folder by KS4_DATA_DIR.",
    }
    return f"{what}{where}.{hints.get(error.errno or 0, '')}"


def _engine_failure(error: Exception) -> str | None:
    """The words of DuckDB for what is not our fault: the disk, the memory."""
    duckdb = sys.modules.get("duckdb")
    if duckdb is None or not isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
        return None
    return f"DuckDB could not do its work; what was published before stays as it is. {error}"
