"""Ctrl-C, at any instant: it waits until nothing is broken by it, and what fails after it ends as it does."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_AGAIN_AFTER = 0.02
_IMPORTS = "<frozen importlib._bootstrap>"
_AT_LOCKS = {"__enter__", "__exit__"}


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block in ``KeyboardInterrupt``, whatever becomes of it underway.

    DuckDB makes it an error of whatever it was doing. In the midst of an import, or where a ``with`` begins or ends, it
    would leave a lock taken for which other threads, or this one at its end, wait for ever: there it comes again later.
    """
    came = False
    again = threading.Timer(_AGAIN_AFTER, _interrupt)

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal came, again
        came = True
        again.cancel()
        if not _is_delicate(frame):
            signal.default_int_handler(number, frame)
        again = threading.Timer(_AGAIN_AFTER, _interrupt)
        again.daemon = True
        again.start()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    else:
        if again.is_alive():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
        again.cancel()


def _interrupt() -> None:
    """Do what Ctrl-C does, to a wait of the main thread too."""
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_delicate(frame: FrameType | None) -> bool:
    if frame and frame.f_code.co_name in _AT_LOCKS:
        return True
    while frame:
        if frame.f_code.co_filename == _IMPORTS:
            return True
        frame = frame.f_back
    return False
