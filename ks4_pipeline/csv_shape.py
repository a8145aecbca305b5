"""The outward shape of a CSV, learned from its bytes as they stream by: rows, cells, quoting, encoding.

A parser may repair what it reads: polars fills a short row with nulls, drops a lone carriage return and keeps a NUL.
Here nothing is parsed and nothing judged; what is counted lets others tell whether every row is as wide as the header,
without a second reading. Pure: bytes in, facts out.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ks4_pipeline.csv_exact import LONGEST_ROW
from ks4_pipeline.csv_width import Stretches

_BOM = codecs.BOM_UTF8
_QUOTE = b'"'

_Places = npt.NDArray[np.intp]
_NONE: _Places = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class CsvShape:
    r"""What the bytes of a CSV say about its shape.

    Attributes:
        rows: data rows, the header not counted; None when the text is not ``regular`` and so cannot be counted here.
        header: text of the first line as it stands, without BOM and line end; None when it is not UTF-8.
        utf8: whether all of it is UTF-8.
        regular: whether it is plain RFC 4180: no NUL, quotes only around whole fields, line ends ``\\n`` or ``\\r\\n``,
            and every row, empty lines included, as wide as the header *if* none is wider (which the parser refuses).
        rows_in_a_stretch: see :attr:`ks4_pipeline.csv_width.Stretches.fewest`.
    """

    rows: int | None
    header: str | None
    utf8: bool
    regular: bool
    rows_in_a_stretch: int | None = None


class ShapeReader:
    """Takes a CSV's bytes in any portions and tells its shape at the end.

    Memory: one portion and the longest row, at most 16 MiB.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._utf8 = True
        self._mid_character = False
        self._held = b""
        self._started = self._looked = False
        self.header = b""
        """The first record as it stands, without BOM and line end, once it came."""
        self._is_narrow = False  # an empty line of a wider file lacks commas, which are counted
        self._commas = 0
        self._lines = 0
        self._stretches = Stretches()
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
        quotes = _places_of_quotes(text)
        end = _end_of_records(text, quotes) if self._started else 0
        lines, self._held = text[:end], text[end:]
        if len(self._held) > LONGEST_ROW:
            self._strange = True
        self._look(lines, quotes[: quotes.searchsorted(end)])
        return b"" if self._strange else lines

    def last(self) -> bytes:
        """There is nothing more: give back the last record, if it lacks its line end and the text is regular."""
        rest = self._held if self._started else self._held.removeprefix(_BOM)
        self._held = b""
        self._decode(b"", final=True)
        quotes = _places_of_quotes(rest)
        if len(quotes) % 2:
            self._strange = True
            quotes = quotes[:-1]
        self._look(rest, quotes)
        return b"" if self._strange else rest

    def finish(self) -> CsvShape:
        """The shape of all that was fed."""
        self.last()
        records = self._lines + (self._last != b"\n")
        width = _without_quoted(self.header).count(b",") + 1
        regular = self._utf8 and not self._strange and records > 0 and self._commas == records * (width - 1)
        return CsvShape(
            rows=records - 1 if regular else None,
            header=self.header.decode() if self._utf8 else None,
            utf8=self._utf8,
            regular=regular,
            rows_in_a_stretch=self._stretches.fewest,
        )

    def _decode(self, portion: bytes, *, final: bool = False) -> None:
        if not self._utf8 or (portion.isascii() and not self._mid_character):
            return
        try:
            self._decoder.decode(portion, final)
        except UnicodeDecodeError:
            self._utf8 = False
        self._mid_character = bool(self._decoder.getstate()[0])

    def _look(self, lines: bytes, quotes: _Places) -> None:
        """Count what stands outside quotes in whole lines (the last one of a file may lack its end).

        Args:
            lines: as they stand.
            quotes: the places of the quotes in them, an even number.
        """
        if not lines:
            return
        if not self._looked:
            self._looked = True
            self.header = _first_record(lines)
            self._is_narrow = b"," not in _without_quoted(self.header)
        opening, closing = quotes[::2], quotes[1::2]
        # Each with its opening quote: what ends one and what begins the next do not meet.
        quoted = b"".join(lines[start:end] for start, end in zip(opening.tolist(), closing.tolist(), strict=True))
        self._commas += _count(lines, b",") - quoted.count(b",")
        ends = _count(lines, b"\n") - quoted.count(b"\n")
        self._lines += ends
        self._stretches.add(ends, len(lines))
        self._strange = (
            self._strange
            or not _are_at_edges(lines, opening, closing)
            or b"\0" in lines
            or (b"\r" in lines and _lone_returns(lines) != _lone_returns(quoted))
            or (self._is_narrow and _has_empty_line(_without_quoted(lines)))
        )
        self._last = lines[-1:]


def _codes(text: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text, np.uint8)


def _count(text: bytes, byte: bytes) -> int:
    """As ``bytes.count``, six times faster where there are many."""
    return int(np.count_nonzero(_codes(text) == ord(byte)))


def _places_of_quotes(text: bytes) -> _Places:
    if _QUOTE not in text:  # as in nearly all portions of most files; ten times as fast to find out
        return _NONE
    return np.flatnonzero(_codes(text) == ord(_QUOTE))


def _end_of_records(text: bytes, quotes: _Places) -> int:
    """Where the last line ends that does not end inside quotes; 0 when none does."""
    end = text.rfind(b"\n") + 1
    while end and (before := int(quotes.searchsorted(end))) % 2:
        end = text.rfind(b"\n", 0, int(quotes[before - 1])) + 1
    return end


def _are_at_edges(lines: bytes, opening: _Places, closing: _Places) -> bool:
    """Whether quotes stand at the edges of fields only, or are doubled in a field."""
    codes = _codes(lines)
    before = codes[opening[opening > 0] - 1]
    behind = codes[closing[closing < len(lines) - 1] + 1]
    return bool(np.isin(before, _codes(b',\n"')).all() and np.isin(behind, _codes(b',\r\n"')).all())


def _lone_returns(text: bytes) -> int:
    return text.count(b"\r") - text.count(b"\r\n")


def _without_quoted(text: bytes) -> bytes:
    """The text with what is inside quotes taken out, and one quote left of every two."""
    return _QUOTE.join(text.split(_QUOTE)[::2])


def _has_empty_line(text: bytes) -> bool:
    return text.startswith((b"\n", b"\r\n")) or b"\n\n" in text or b"\n\r\n" in text


def _first_record(lines: bytes) -> bytes:
    """The first record: a line end inside quotes belongs to it."""
    end = lines.find(b"\n")
    while end >= 0 and lines.count(_QUOTE, 0, end) % 2:
        end = lines.find(b"\n", end + 1)
    return lines[:end].removesuffix(b"\r") if end >= 0 else lines
