"""How one value of a query becomes text: for people, for CSV that a spreadsheet opens without running it, for JSON."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ks4_pipeline.warehouse.sql import IN_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NULL = "NULL"
FORMULA = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet takes for a formula or a command."""
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
"""A text that is a plain number; a sign before it does no harm."""
_FORMULA, _NUMBER = re.compile(FORMULA), re.compile(NUMBER, re.ASCII)


def shown(value: object) -> str:
    """A value for people. NULL is seen, and told from the text NULL, which stands in quotes."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return '"NULL"' if value == NULL else value
    if isinstance(value, datetime):
        local = value.astimezone() if value.tzinfo else value
        return local.isoformat(sep=" ", timespec="seconds" if not value.microsecond else "microseconds")
    return _plain(value)


def csv_line(values: Iterable[object]) -> str:
    """One line of CSV without its end: NULL is nothing, an empty text ``""``, a number as it is, no formula."""
    return ",".join(map(_csv_cell, values))


def guarded(text: str) -> str:
    """A text no spreadsheet takes for a formula: what begins like one gets a ``'`` before it; numbers stay."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def json_value(value: object) -> object:
    """A value as JSON has it; NaN and infinities, which JSON lacks, are null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value) if value.is_finite() else None
        case list() | tuple():
            return [json_value(item) for item in value]
        case dict():
            return {str(key): json_value(item) for key, item in value.items()}
    return _plain(value)


def document(content: Mapping[str, object] | Iterable[object]) -> str:
    """A JSON document, indented."""
    return json_text(content, indent=2)


def json_rows(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A JSON array of objects, a row to a line, in pieces as the rows come."""
    before = "[\n"
    for row in rows:
        yield before + json_text({name: json_value(value) for name, value in zip(names, row, strict=True)})
        before = ",\n"
    yield "[]" if before == "[\n" else "\n]"


def json_text(content: object, indent: int | None = None) -> str:
    """JSON in which letters are themselves, and characters that are not to be seen are escapes."""
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    text = _plain(value)
    if not isinstance(value, bool | int | float | Decimal):
        text = guarded(text)
    if not text or text.strip() != text or any(character in text for character in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < IN_DIGITS else repr(value)
        case bytes():
            return value.hex()
        case list() | tuple() | dict():
            return json.dumps(json_value(value), ensure_ascii=False)
    return str(value)
