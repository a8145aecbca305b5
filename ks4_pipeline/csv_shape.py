"""The outward shape of a CSV, learned from its bytes as they stream by: rows, cells, quoting, encoding.

A parser may repair what it reads: polars fills a short row with nulls, drops a lone carriage return and keeps a NUL.
Here nothing is parsed and nothing judged; what is counted lets others tell whether every row is as wide as the header,
without a second reading. Pure: bytes in, facts out.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOM = codecs.BOM_UTF8
_QUOTE = b'"'
# In a text without what is inside quotes: a quote that is not at the edges of a field. It begins with the quote itself
# since the search for a plain byte is many times faster than one for a class of bytes.
_STRAY_QUOTE = re.compile(rb'"(?:(?<=[^,\n"]")|(?=[^,\r\n"]))')
_LONGEST_FIELD = 16 << 20


@dataclass(frozen=True, slots=True)
class CsvShape:
    r"""What the bytes of a CSV say about its shape.

    Attributes:
        rows: data rows, the header not counted; None when the text is not ``regular`` and so cannot be counted here.
        header: text of the first line as it stands, without BOM and line end; None when it is not UTF-8.
        utf8: whether all of it is UTF-8.
        regular: whether it is plain RFC 4180: no NUL, quotes only around whole fields, line ends ``\\n`` or ``\\r\\n``,
            and every row, empty lines included, as wide as the header *if* none is wider (which the parser refuses).
    """

    rows: int | None
    header: str | None
    utf8: bool
    regular: bool


class ShapeReader:
    """Takes a CSV's bytes in any portions and tells its shape at the end.

    Memory: one portion and the longest quoted field, at most 16 MiB.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._utf8 = True
        self._mid_character = False
        self._held = b""
        self._started = False
        self._header: bytes | None = None
        self._is_narrow = False  # an empty line of a wider file lacks commas, which are counted
        self._commas = 0
        self._lines = 0
        self._strange = False
        self._last = b"\n"

    def feed(self, portion: bytes) -> bytes:
        """Take the next bytes, and give back the whole records they complete, the header among the first.

        Nothing is given back of a text that is known not to be regular, nor what stands behind the last line end.
        """
        self._decode(portion)
        if self._strange:
            return b""  # the exact reading will be somebody else's; only the encoding is still of interest
        text = self._held + portion
        if not self._started and len(text) >= len(_BOM):
            text = text.removeprefix(_BOM)
            self._started = True
        lines, bare = _whole_lines(text) if self._started else (b"", b"")
        self._held = text[len(lines) :]
        if len(self._held) > _LONGEST_FIELD:
            self._strange = True
        self._look(lines, bare)
        return b"" if self._strange else lines

    def last(self) -> bytes:
        """There is nothing more: give back the last record, if it lacks its line end and the text is regular."""
        rest = self._held if self._started else self._held.removeprefix(_BOM)
        self._held = b""
        self._decode(b"", final=True)
        if rest.count(_QUOTE) % 2:
            self._strange = True
        self._look(rest, _without_quoted(rest))
        return b"" if self._strange else rest

    def finish(self) -> CsvShape:
        """The shape of all that was fed."""
        self.last()
        records = self._lines + (self._last != b"\n")
        header = self._header or b""
        width = _without_quoted(header).count(b",") + 1
        regular = self._utf8 and not self._strange and records > 0 and self._commas == records * (width - 1)
        return CsvShape(
            rows=records - 1 if regular else None,
            header=header.decode() if self._utf8 else None,
            utf8=self._utf8,
            regular=regular,
        )

    def _decode(self, portion: bytes, *, final: bool = False) -> None:
        if not self._utf8 or (portion.isascii() and not self._mid_character):
            return
        try:
            self._decoder.decode(portion, final)
        except UnicodeDecodeError:
            self._utf8 = False
        self._mid_character = bool(self._decoder.getstate()[0])

    def _look(self, lines: bytes, bare: bytes) -> None:
        """Count what stands outside quotes in whole lines (the last one of a file may lack its end).

        Args:
            lines: as they stand.
            bare: the same without what is inside quotes.
        """
        if not lines:
            return
        if self._header is None:
            self._header = first_record(lines)
            self._is_narrow = b"," not in _without_quoted(self._header)
        self._commas += bare.count(b",")
        self._lines += bare.count(b"\n")
        self._strange = (
            self._strange
            or _STRAY_QUOTE.search(bare) is not None
            or b"\0" in lines
            or (b"\r" in bare and bare.count(b"\r") != bare.count(b"\r\n"))
            or (self._is_narrow and _has_empty_line(bare))
        )
        self._last = lines[-1:]


def _without_quoted(text: bytes) -> bytes:
    """The text with what is inside quotes taken out, and one quote left of every two.

    So a whole quoted field becomes one quote, or several in a row when it has doubled quotes in it.
    """
    return _QUOTE.join(text.split(_QUOTE)[::2]) if _QUOTE in text else text


def _whole_lines(text: bytes) -> tuple[bytes, bytes]:
    """The text up to the last line end outside quotes, as it stands and without what is inside quotes."""
    if _QUOTE not in text:
        lines = text[: text.rfind(b"\n") + 1]
        return lines, lines
    parts = text.split(_QUOTE)
    behind = 0
    for number in reversed(range(len(parts))):
        if number % 2 == 0 and (end := parts[number].rfind(b"\n") + 1):
            cut = len(text) - behind - len(parts[number]) + end
            return text[:cut], _QUOTE.join([*parts[:number:2], parts[number][:end]])
        behind += len(parts[number]) + len(_QUOTE)
    return b"", b""


def _has_empty_line(text: bytes) -> bool:
    return text.startswith((b"\n", b"\r\n")) or b"\n\n" in text or b"\n\r\n" in text


def first_record(lines: bytes) -> bytes:
    """The first record: a line end inside quotes belongs to it."""
    end = lines.find(b"\n")
    while end >= 0 and lines.count(_QUOTE, 0, end) % 2:
        end = lines.find(b"\n", end + 1)
    return lines[:end].removesuffix(b"\r") if end >= 0 else lines
