"""The seams of a job: places where it may be struck down, found by watching it work rather than written in a list.

:func:`watch` makes this process tell every passage by name: before each change of the file system that Python knows of,
before and after ``fsync``, renames and copies, each function of the modules that keep things, and each SQL statement.
Production code has no hooks, and a new step is watched by itself. Watching cannot be undone: it is for forked children.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Self

import duckdb
import polars as pl
from pydantic import BaseModel

Passed = Callable[[str], None]

KEEPING = (
    "durable",
    "unfinished",
    "landing",
    "observations",
    "csv_exact",
    "pipeline",
    "run",
    "warehouse.edition",
    "warehouse.file",
    "warehouse.tables",
)
"""The modules whose functions are steps."""

_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_STATEMENTS = {"execute", "executemany", "query", "sql", "close"}
_VARIABLE = re.compile(r"(?<=\.unfinished-)[0-9a-f]{16}|(?<=\.build-)\d+|\d{8}T\d+Z|'/[^']*/")


def watch(root: Path, passed: Passed) -> None:
    """Tell every passage from now on; ``root`` is the folder whose files count."""
    _watch_files(root, passed)
    os.fsync = _flushed(root, os.fsync, passed)
    for owner, name in (
        (os, "replace"),
        (os, "rename"),
        (shutil, "copyfile"),
        (pl.LazyFrame, "sink_parquet"),
        (pl.DataFrame, "write_parquet"),
    ):
        setattr(owner, name, _stepped(f"{owner.__name__}.{name}", getattr(owner, name), passed))
    for module in KEEPING:
        _watch_module(importlib.import_module(f"ks4_pipeline.{module}"), module, passed)
    connect = duckdb.connect
    duckdb.connect = lambda *args, **more: _Connection(connect(*args, **more), passed)


def fingerprint(root: Path) -> int:
    """What is on the disk: another one after any change that can be seen from outside."""
    found = []
    for folder, _, files in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            try:
                at = path.stat()
            except FileNotFoundError:  # another thread has just taken it away
                continue
            changed = 0 if path.is_dir() else at.st_mtime_ns
            found.append((str(path), at.st_ino, at.st_mode, at.st_size, changed))
    return hash(tuple(sorted(found)))


def is_effect(name: str) -> bool:
    """Whether a passage is at something that changes the disk, and not merely at a function of ours."""
    words = name.split()
    return words[1].split(".")[0] in {"os", "open", "shutil", "LazyFrame", "DataFrame"} or (
        words[1] == "SQL" and words[2] != "SELECT"
    )


def _flushed(root: Path, fsync: Callable[[int], None], passed: Passed) -> Callable[[int], None]:
    """``fsync`` that tells of what, where the system says which file a handle is."""

    def flushed(handle: int) -> None:
        try:
            path = str(Path(f"/proc/self/fd/{handle}").readlink())
        except OSError:
            path = ""
        _stepped(f"os.fsync {_told(root, path)}", fsync, passed)(handle)

    return flushed


def _watch_files(root: Path, passed: Passed) -> None:
    below = f"{root}{os.sep}"

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and args[2] & _WRITES):
            path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ""
            if path.startswith(below):
                passed(f"before {event} {_told(root, path)}")

    sys.addaudithook(hear)


def _told(root: Path, path: str) -> str:
    """A path so that it is the same in every copy of the folder, and for every process."""
    return _VARIABLE.sub("*", "." if path == str(root) else path.removeprefix(f"{root}{os.sep}"))


def _watch_module(module: Any, called: str, passed: Passed) -> None:
    for name, found in list(vars(module).items()):
        if getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(found):
            _put_everywhere(found, _stepped(f"{called}.{name}", found, passed))
        elif inspect.isclass(found) and not issubclass(found, BaseModel | BaseException):
            for inner, function in list(vars(found).items()):
                if inspect.isfunction(function) and not inner.startswith("__"):
                    setattr(found, inner, _stepped(f"{called}.{name}.{inner}", function, passed))


def _put_everywhere(function: Any, stepped: Any) -> None:
    """In place of a function, in every module of the package that has it under any name."""
    for module in [module for name, module in sys.modules.items() if name.startswith("ks4_pipeline.")]:
        for name, found in list(vars(module).items()):
            if found is function:
                setattr(module, name, stepped)


def _stepped(name: str, function: Callable[..., Any], passed: Passed) -> Callable[..., Any]:
    """A function that tells when it begins and when it has ended; a context manager also tells of its block."""
    if inspect.isgeneratorfunction(inspect.unwrap(function)) and not inspect.isgeneratorfunction(function):

        @contextmanager
        def held(*args: Any, **more: Any) -> Iterator[Any]:
            passed(f"before {name}")
            manager: AbstractContextManager[Any] = function(*args, **more)
            with manager as value:
                passed(f"within {name}")
                yield value
                passed(f"at the end of {name}")
            passed(f"after {name}")

        return held

    @wraps(function)
    def stepped(*args: Any, **more: Any) -> Any:
        passed(f"before {name}")
        answer = function(*args, **more)
        passed(f"after {name}")
        return answer

    return stepped


class _Connection:
    """A DuckDB connection that tells of its statements."""

    def __init__(self, real: duckdb.DuckDBPyConnection, passed: Passed) -> None:
        self._real = real
        self._passed = passed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in _STATEMENTS:
            return found

        def statement(*args: Any, **more: Any) -> Any:
            words = " ".join(str(args[0]).split()[:3])[:50] if args else name
            return _stepped(f"SQL {_VARIABLE.sub('*', words)}", found, self._passed)(*args, **more)

        return statement
