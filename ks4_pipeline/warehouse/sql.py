"""How names and texts get into SQL: quoted here and nowhere else."""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name, quoted so that any text is safe as one."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """``"schema"."name"``."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str | None) -> str:
    """A text as an SQL string, or NULL; for statements that take no parameters, such as COMMENT."""
    return "NULL" if text is None else "'" + text.replace("\0", "").replace("'", "''") + "'"
