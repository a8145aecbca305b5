"""The slow, exact reading of a CSV, row by row with Python's ``csv`` module: for files that are not plain.

Used only when the bytes' shape is not regular. It either names what is wrong, with row and text, or shows that the
file is odd but unambiguous (a stray quote inside a cell, empty lines at the end) and writes it again in plain form.
"""

from __future__ import annotations

import csv
import gzip
import io
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Self

from ks4_pipeline.csv_width import Stretches
from ks4_pipeline.faults import Fault, Faults

LONGEST_ROW = 16 << 20
"""Characters, or bytes, of one row: its cells take many times the memory."""
_READING = threading.Lock()


def write_plain(source: Path, target: Path, faults: Faults) -> tuple[int, str, int | None]:
    r"""Write a gzipped CSV again as plain RFC 4180: UTF-8 without BOM, ``\\n``, every cell quoted, no empty lines.

    Quoted, since a cell that ends in a carriage return would else lose it at the end of a line.

    Args:
        source: gzipped CSV.
        target: the plain CSV, not compressed; incomplete when faults were found.
        faults: takes what is wrong: rows of another width or too long, bytes that are not UTF-8, NUL bytes,
            broken quoting.

    Returns:
        The number of data rows, the header line, and how many rows a stretch of the plain CSV has at least (see
        :attr:`ks4_pipeline.csv_width.Stretches.fewest`); to be used only when no fault was found.
    """
    before = faults.count
    rows = 0
    stretches = Stretches()
    with (
        gzip.open(source, "rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
        target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out,
        closing(_records(text, faults)) as records,
    ):
        writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        header: list[str] | None = None
        for number, row in records:
            if header is None:
                header = row
            _check(number, row, header, faults)
            stretches.add(1, writer.writerow(row))
            rows = number
    if header is None and faults.count == before:
        faults.add(Fault("the file is empty: it has no header"))
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="", quoting=csv.QUOTE_ALL).writerow(header or [])
    return rows, line.getvalue(), stretches.fewest


def _records(text: io.TextIOWrapper, faults: Faults) -> Generator[tuple[int, list[str]]]:
    """Rows with their numbers, the header being row 0; empty lines at the end of the file are passed over.

    To be closed: until then the longest cell that the ``csv`` module takes in this process is ours.
    """
    _READING.acquire()
    earlier = csv.field_size_limit(LONGEST_ROW)
    number = -1
    empty = 0
    lines = _Lines(text)
    try:
        for row in csv.reader(lines, strict=True):
            lines.begin_row()
            if not row:
                empty += 1
                continue
            for _ in range(empty):
                number += 1
                yield number, []
            empty = 0
            number += 1
            yield number, row
    except _TooLongError:
        faults.add(Fault(f"longer than {LONGEST_ROW:,} characters", row=number + empty + 1))
    except csv.Error as error:
        faults.add(Fault(f"quoting is broken: {error}", row=number + empty + 1))
    finally:
        csv.field_size_limit(earlier)
        _READING.release()


class _TooLongError(Exception):
    """A row that would take far more memory than any row should."""


class _Lines:
    """The lines of a text, of which no row may be longer than is taken: cells take many times the memory of a text."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._length = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_ROW - self._length + 1)
        self._length += len(line)
        if self._length > LONGEST_ROW:
            raise _TooLongError
        if not line:
            raise StopIteration
        return line

    def begin_row(self) -> None:
        """What comes belongs to another row."""
        self._length = 0


def _check(number: int, row: list[str], header: list[str], faults: Faults) -> None:
    if len(row) != len(header):
        shown = ",".join(row)
        faults.add(Fault(f"{len(row)} cells where the header has {len(header)}", row=number, text=shown))
    for index, cell in enumerate(row):
        column = header[index] if index < len(header) else None
        if not cell.isascii() and any("\udc80" <= character <= "\udcff" for character in cell):
            faults.add(Fault("bytes that are not UTF-8", column=column, row=number, text=cell))
        if "\0" in cell:
            faults.add(Fault("a NUL character", column=column, row=number, text=cell))
