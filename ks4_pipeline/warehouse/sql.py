"""How names and texts get into SQL: quoted here and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path


def identifier(name: str) -> str:
    """A name, quoted so that any text is safe as one."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """``"schema"."name"``."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str | None) -> str:
    """A text as an SQL string, or NULL; for statements that take no parameters, such as COMMENT."""
    return "NULL" if text is None else "'" + text.replace("\0", "").replace("'", "''") + "'"


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
