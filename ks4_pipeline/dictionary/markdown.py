"""The data dictionary as GitHub-flavoured Markdown. No text of the publisher can become markup, HTML or a new cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ks4_pipeline.dictionary.document import Block, Bullets, Cell, Code, Document, Inline, Paragraph, Query, Table

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # where a backslash before < is no escape, an entity still is
_MARKUP = re.compile(r"[\\`*\[\]|~$#]|(?<![^\W_])_|_(?![^\W_])")
_BEGINS_BLOCK = re.compile(r"^ ?(\d*)([-+=.)])")
_SIMPLE_CODE = re.compile(r"[^`|\\<>&\s]+( [^`|\\<>&\s]+)*")
_FENCE = re.compile(r"`{3,}")


def render(document: Document) -> str:
    """The document as Markdown, with a line end behind it."""
    lines = [f"# {_text(document.title)}", ""]
    for block in document.opening:
        lines += [*_block(block), ""]
    for section in document.sections:
        lines += [f"{'#' * section.level} {_inlines(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join([*lines, _text(document.licence), ""])


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(parts):
            return [_line(parts)]
        case Bullets(items):
            return [f"- {_line(item)}" for item in items]
        case Query(sql):
            fence = "`" * max([3, *(len(run) + 1 for run in _FENCE.findall(sql))])
            return [f"{fence}sql", *sql.splitlines(), fence]
        case Table(_, headers, rows, numeric):
            rules = ["---:" if place in numeric else "---" for place in range(len(headers))]
            return [_row(headers), _row(rules), *map(_row, rows)]


def _line(parts: Sequence[Inline]) -> str:
    """A line that begins no list and no rule, whatever its first words are."""
    return _BEGINS_BLOCK.sub(r"\1\\\2", _inlines(parts))


def _row(cells: Sequence[Cell]) -> str:
    texts = (_inlines(cell if isinstance(cell, tuple) else (cell,)) for cell in cells)
    return f"| {' | '.join(texts)} |"


def _inlines(parts: Sequence[Inline]) -> str:
    return "".join(_code(part.text) if isinstance(part, Code) else _text(part) for part in parts)


def _text(text: str) -> str:
    """Running text: on one line, with nothing in it that means something in Markdown or HTML."""
    one_line = re.sub(r"\s+", " ", text)
    escaped = _MARKUP.sub(r"\\\g<0>", one_line)
    return "".join(_ENTITIES.get(character, character) for character in escaped)


def _code(text: str) -> str:
    """A code span; of a text that cannot stand in one, ``<code>`` with all but letters and digits as entities."""
    if _SIMPLE_CODE.fullmatch(text):
        return f"`{text}`"
    inert = "".join(c if c.isalnum() and c.isascii() else f"&#{ord(c)};" for c in text)
    return f"<code>{inert}</code>"
