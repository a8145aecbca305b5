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
# A quoted field, its doubled quotes included; possessive, so that hostile text cannot make it try again and again.
# Every quote left over after it is one that RFC 4180 does not allow.
_QUOTED = re.compile(rb'(?<![^,\n])"[^"]*+(?:""[^"]*+)*+"(?![^,\r\n])')
_LONGEST_FIELD = 16 << 20


@dataclass(frozen=True, slots=True)
class CsvShape:
    r"""What the bytes of a CSV say about its shape.

    Attributes:
        rows: data rows, the header not counted; None when the text is not ``regular`` and so cannot be counted here.
        header: text of the first line as it stands, without BOM and line end; None when it is not UTF-8.
        utf8: whether all of it is UTF-8.
        regular: whether it is plain RFC 4180: no NUL, quotes only around whole fields, line ends ``\\n`` or ``\\r\\n``,
            no empty line, and every row as wide as the header *if* none is wider (which the parser refuses).
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
        self._held = b""
        self._started = False
        self._header: bytes | None = None
        self._commas = 0
        self._lines = 0
        self._strange = False
        self._last = b"\n"

    def feed(self, portion: bytes) -> None:
        """Take the next bytes."""
        self._decode(portion)
        if self._strange:
            return  # the exact reading will be somebody else's; only the encoding is still of interest
        text = self._held + portion
        if not self._started and len(text) >= len(_BOM):
            text = text.removeprefix(_BOM)
            self._started = True
        cut = _last_line_end(text) if self._started else 0
        self._held = text[cut:]
        if len(self._held) > _LONGEST_FIELD:
            self._strange = True
        self._look(text[:cut])

    def finish(self) -> CsvShape:
        """The shape of all that was fed."""
        self._decode(b"", final=True)
        rest = self._held if self._started else self._held.removeprefix(_BOM)
        self._look(rest)
        records = self._lines + (self._last != b"\n")
        header = self._header or b""
        width = _QUOTED.sub(b"", header).count(b",") + 1
        regular = self._utf8 and not self._strange and records > 0 and self._commas == records * (width - 1)
        return CsvShape(
            rows=records - 1 if regular else None,
            header=header.decode() if self._utf8 else None,
            utf8=self._utf8,
            regular=regular,
        )

    def _decode(self, portion: bytes, *, final: bool = False) -> None:
        if self._utf8:
            try:
                self._decoder.decode(portion, final)
            except UnicodeDecodeError:
                self._utf8 = False

    def _look(self, lines: bytes) -> None:
        """Count what stands outside quotes in whole lines (the last one of a file may lack its end)."""
        if not lines:
            return
        if self._header is None:
            self._header = _first_line(lines)
        bare = _QUOTED.sub(b"x", lines) if _QUOTE in lines else lines
        self._commas += bare.count(b",")
        self._lines += bare.count(b"\n")
        self._strange = (
            self._strange
            or _QUOTE in bare
            or b"\0" in lines
            or bare.count(b"\r") != bare.count(b"\r\n")
            or b"\n\n" in bare
            or b"\n\r\n" in bare
            or bare.startswith((b"\n", b"\r\n"))
        )
        self._last = lines[-1:]


def _last_line_end(text: bytes) -> int:
    """Where the last whole line that ends outside quotes ends; 0 when none does for sure."""
    cut = text.rfind(b"\n") + 1
    if text.count(_QUOTE, 0, cut) % 2:  # inside a quoted field: go back before the quote that opened it
        opening = text.rfind(_QUOTE, 0, cut)
        cut = text.rfind(b"\n", 0, opening) + 1
    return 0 if text.count(_QUOTE, 0, cut) % 2 else cut


def _first_line(lines: bytes) -> bytes:
    """The first record: a line end inside quotes belongs to it."""
    end = lines.find(b"\n")
    while end >= 0 and lines.count(_QUOTE, 0, end) % 2:
        end = lines.find(b"\n", end + 1)
    return lines[:end].removesuffix(b"\r") if end >= 0 else lines
