"""How names and texts get into SQL: quoted here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import duckdb

IN_DIGITS = 2**63
"""Whole numbers below are written in digits: as files have them, and every one that a DOUBLE holds exactly is then its
published text again. What it does not hold exactly, no text gives back."""
ROW_GROUP = 122_880
"""Rows that DuckDB keeps, works on, and skips together."""


def identifier(name: str) -> str:
    """A name, quoted so that any text is safe as one."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """``"schema"."name"``."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str | None) -> str:
    """A text as an SQL string, or NULL; for statements that take no parameters, such as COMMENT."""
    return "NULL" if text is None else "'" + text.replace("\0", "").replace("'", "''") + "'"


def free_name(name: str, taken: Iterable[str]) -> str:
    """A name of ours, with underscores behind it until no other is called so, whatever its capitals."""
    lowered = {other.lower() for other in taken}
    while name.lower() in lowered:
        name += "_"
    return name


def figure_text(figure: str) -> str:
    """A DOUBLE as the text a publisher writes: whole numbers in digits, without ``.0`` and without an exponent."""
    whole = f"{figure} = trunc({figure}) AND abs({figure}) < {IN_DIGITS}"
    return f"CASE WHEN {whole} THEN CAST(CAST({figure} AS BIGINT) AS VARCHAR) ELSE CAST({figure} AS VARCHAR) END"


def exactly(path: Path) -> str:
    """The pattern that matches this path alone."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def parquet(*paths: Path) -> str:
    """Parquet files of the same columns as a table: exactly these files, with exactly their own columns.

    Left alone, DuckDB reads ``*?[`` in a path as a pattern for other files' names, and a folder called ``year=2024``
    as a column that overrules the file's.
    """
    exact = ", ".join(literal(exactly(path)) for path in paths)
    return f"read_parquet([{exact}], hive_partitioning = false)"


def column_names(connection: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    """The columns of a table in their order, without the walk through all others that DuckDB's own list of them is."""
    return [name for name, *_ in connection.execute(f"SELECT * FROM {source} LIMIT 0").description or ()]


def comment_on(
    connection: duckdb.DuckDBPyConnection,
    kind: Literal["TABLE", "VIEW"],
    relation: str,
    about: str,
    columns: Mapping[str, str],
) -> None:
    """Say what a table or view is, and what its columns are.

    There is nothing to optimise in a comment, and DuckDB sets its optimiser up for each, which takes a third of its
    time: of a small edition, a tenth is for comments.

    Args:
        connection: to the build.
        kind: what it is.
        relation: its name, quoted.
        about: the comment on it.
        columns: the comments on its columns, by their names.
    """
    statements = [
        "PRAGMA disable_optimizer",
        f"COMMENT ON {kind} {relation} IS {literal(about)}",
        *(f"COMMENT ON COLUMN {relation}.{identifier(name)} IS {literal(text)}" for name, text in columns.items()),
        "PRAGMA enable_optimizer",
    ]
    connection.execute(";\n".join(statements))


def take_threads_for(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Take one thread for work on tables of at most so many rows where one row group holds them, else all.

    DuckDB gives a row group to one thread in any case; waking another for each statement takes a fifth of the time of a
    small edition (measured).
    """
    connection.execute("SET threads = 1" if rows <= ROW_GROUP else "RESET threads")


@contextmanager
def in_any_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let DuckDB write rows in the order in which its threads come to them: half the time, a third of the memory.

    After an error it stays so: a transaction that failed takes no more statements, and its error must be told.
    """
    connection.execute("SET preserve_insertion_order = false")
    yield
    connection.execute("RESET preserve_insertion_order")
