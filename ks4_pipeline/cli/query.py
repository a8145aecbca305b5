"""``ks4 sql``: one question to the published warehouse, which it cannot change, reach beyond, or hold up for long."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from itertools import chain, islice
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import duckdb

from ks4_pipeline import memory
from ks4_pipeline.cli.cells import csv_line, json_rows, shown
from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import command, counted, say, say_lines, warn, width, write
from ks4_pipeline.cli.tables import Align, Column, TextTable
from ks4_pipeline.errors import ConfigurationError, Ks4Error
from ks4_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_AT_A_TIME = 1000
_IN_A_TABLE = 10_000
_ENDS_WITHIN = 10.0
_WHOLE_NUMBERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)

Row = tuple[object, ...]
Result = TypeVar("Result")


class QueryError(ConfigurationError):
    """SQL that DuckDB does not understand, may not run here, or cannot finish within the limits."""


def sql(text: str, *, as_json: bool, as_csv: bool, seconds: float, rows: int) -> None:
    """Print the answer to a query; the query itself is read from standard input when it is ``-``.

    Args:
        text: DuckDB's SQL; of several statements the last one's answer is printed.
        as_json: an array of objects.
        as_csv: CSV that a spreadsheet opens without running formulas.
        seconds: when to give up.
        rows: how many rows a table shows at most; 0 for all. CSV and JSON always have all.

    Raises:
        QueryError: when the query cannot be answered.
    """
    if as_json and as_csv:
        raise ConfigurationError("Give --json or --csv, not both.")
    text = sys.stdin.read() if text == "-" else text
    if not text.strip().strip(";").strip():
        raise QueryError("There is no SQL. Give a query, or - and send it to standard input.")
    with read_only(existing_warehouse(settings_for_reading())) as connection:
        answer = ask(connection, text, seconds)
        if not answer.columns:
            return
        if as_json:
            _print_json(answer)
        elif as_csv:
            _print_csv(answer)
        else:
            _print_table(answer, rows)


@contextmanager
def read_only(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads this one file and nothing else; settings that say so cannot be changed by a query."""
    with TemporaryDirectory(prefix="ks4-sql-") as scratch:
        try:
            connection = duckdb.connect(
                warehouse,
                read_only=True,
                config={
                    "memory_limit": memory.limit(memory.QUESTION),
                    "python_enable_replacements": "false",
                    "autoload_known_extensions": "false",
                    "autoinstall_known_extensions": "false",
                },
            )
        except duckdb.Error as error:
            raise Ks4Error(f"{warehouse} cannot be opened: {error}") from error
        try:
            # In this order: the scratch folder cannot be named once outside access is off.
            connection.execute(f"SET temp_directory = {literal(scratch)}")
            connection.execute(f"SET max_temp_directory_size = {literal(memory.ON_DISK)}")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


class Answer:
    """What a query gives, row by row as DuckDB works it out.

    Attributes:
        columns: names and types.
        rows: those that nobody has taken yet.
    """

    def __init__(self, result: duckdb.DuckDBPyConnection | None, patience: _Patience) -> None:
        self._result = result
        self._patience = patience
        described = (result.description if result else None) or []
        self.columns = [(str(name), str(kind)) for name, kind, *_ in described]
        self.rows: Iterator[Row] = chain.from_iterable(self._chunks())

    def print(self, limit: int = 0) -> int:
        """Print the next rows, or all that are left, as a table for people; gives how many."""
        columns = [Column(name, _align(kind)) for name, kind in self.columns]
        return print_rows(columns, (list(map(shown, row)) for row in islice(self.rows, limit or None)))

    def _chunks(self) -> Iterator[list[Row]]:
        result = self._result
        while result and (chunk := self._patience.wait_for(lambda: result.fetchmany(_AT_A_TIME))):
            yield chunk


def ask(connection: duckdb.DuckDBPyConnection, text: str, seconds: float) -> Answer:
    """Put a query to the warehouse.

    Raises:
        QueryError: for every failure of a query, here or when its rows are read.
    """
    patience = _Patience(connection, seconds)
    return Answer(patience.wait_for(lambda: connection.execute(text)), patience)


class _Patience:
    """The seconds a query may take in all; the time its reader takes does not count.

    DuckDB works in a thread of its own, since a call into it lets neither a clock nor Ctrl-C through.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seconds: float) -> None:
        self._connection = connection
        self._seconds = self._left = seconds

    def wait_for(self, work: Callable[[], Result]) -> Result:
        """What the work gives.

        Raises:
            QueryError: when it fails, or the time is up.
        """
        future: Future[Result] = Future()
        began = time.monotonic()
        threading.Thread(target=_do, args=(work, future), daemon=True).start()
        try:
            return future.result(max(self._left, 0.0))
        except TimeoutError as error:
            raise QueryError(f"No answer within {self._seconds:g} s; allow more with --seconds.") from error
        except duckdb.Error as error:
            raise QueryError(_in_words(error)) from error
        finally:
            self._left -= time.monotonic() - began
            self._stop(future)

    def _stop(self, future: Future[Result]) -> None:
        """End work that is still going on; without this, closing the connection would wait for it."""
        until = time.monotonic() + _ENDS_WITHIN
        while not future.done() and time.monotonic() < until:
            self._connection.interrupt()
            wait([future], 0.1)


def _do(work: Callable[[], Result], future: Future[Result]) -> None:
    try:
        future.set_result(work())
    except duckdb.Error as error:
        future.set_exception(error)


def _in_words(error: duckdb.Error) -> str:
    """DuckDB's message, with what the reader can do."""
    match error:
        case duckdb.OutOfMemoryException():
            granted = memory.granted(memory.QUESTION) / 1e9
            return f"The query needs more than {granted:.2g} GB of memory. Ask for less at a time."
        case duckdb.PermissionException():
            return f"{error}\nA query may read the warehouse here, and nothing else."
        case duckdb.CatalogException():
            everything = command({}, "sql", "select table_schema, table_name from information_schema.tables")
            return f"{error}\nTables are named <data set>.<version or channel>; all there are: {everything}"
        case duckdb.BinderException():
            return f"{error}\nThe columns of a table: {command({}, 'sql', 'describe <data set>.latest')}"
    return str(error)


def print_table(table: TextTable, first: int = 1) -> None:
    """Print it as a table, or one row below the other, numbered from the first, where the terminal is too narrow."""
    room = width()
    head = table.head(room)
    if head is None:
        say_lines(table.records(first))
        return
    say_lines(head, "bold")
    say_lines(table.body(room))


def print_rows(columns: Sequence[Column], rows: Iterator[Sequence[str]]) -> int:
    """Print rows as a table, or where they are many as tables one after the other, so that few are held at a time.

    Returns:
        How many there were.
    """
    printed = 0
    while some := list(islice(rows, _IN_A_TABLE)):
        print_table(TextTable(columns, some), printed + 1)
        printed += len(some)
    if not printed:
        print_table(TextTable(columns, []))
    return printed


def _print_table(answer: Answer, limit: int) -> None:
    printed = answer.print(limit)
    if limit and next(answer.rows, None) is not None:
        warn(f"The first {counted(limit, 'row')}; there are more. All of them: --rows 0, --csv or --json.")
    elif not printed:
        say("(no rows)", "dim")


def _print_csv(answer: Answer) -> None:
    write(csv_line(name for name, _ in answer.columns) + "\n")
    for row in answer.rows:
        write(csv_line(row) + "\n")


def _print_json(answer: Answer) -> None:
    names = [name for name, _ in answer.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise QueryError(
            f"Two columns are called {twice[0]!r}, which JSON cannot tell apart: name one of them with AS."
        )
    sys.stdout.writelines(json_rows(names, answer.rows))
    sys.stdout.write("\n")


def _align(kind: str) -> Align:
    if kind in _WHOLE_NUMBERS:
        return Align.RIGHT
    return Align.DECIMAL if kind in {"DOUBLE", "FLOAT"} or kind.startswith("DECIMAL") else Align.LEFT
