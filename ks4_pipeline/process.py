"""How a process of ours begins and ends: for work that takes seconds, where Python and polars provide for days."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading

_OBJECTS_BETWEEN_COLLECTIONS = 500_000
_POLARS_MEMORY = "_RJEM_MALLOC_CONF"
_KEPT_FOR_SECONDS = 3
_NUMPY_THREADS = "OPENBLAS_NUM_THREADS"


class GivingBack(threading.Thread):
    """A thread that only gives back what the system takes back anyway when the process ends.

    :func:`end_at_once` does not wait for it; a Python that ends by itself does, since it takes apart what is used here.
    """


def begin() -> None:
    """Set the process up, before polars and numpy are imported.

    Imports make many objects and no garbage: looked through hundreds of times less often, they take a tenth less time.
    What polars frees it keeps for some seconds before the system gets it back, and mostly needs again by then: over 10
    million rows half as many pages are to be cleared anew. numpy's linear algebra, which nobody here needs, begins with
    a thread for each core, and half of what its import costs is their waiting. Who has set these himself keeps them.
    """
    _open_streams()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    os.environ.setdefault(_POLARS_MEMORY, f"dirty_decay_ms:{_KEPT_FOR_SECONDS * 1000},muzzy_decay_ms:0")
    os.environ.setdefault(_NUMPY_THREADS, "1")


def _open_streams() -> None:
    """Let standard streams lead nowhere that were closed before we began.

    Else the next file opened, such as the warehouse, would get the place of one, and with it all that is written there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their places
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for all its life


def end_at_once(code: int) -> None:
    """End the process, unless others are still at work in it or what it said cannot be written: then nothing is done.

    Python takes every module apart before it ends, which takes 0.2 s after polars and DuckDB; the system takes the
    memory back anyway. What was left to be done at the end is done: see :mod:`atexit`.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if any(not (thread.daemon or isinstance(thread, GivingBack)) for thread in others):
        return
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)
