"""Tables as plain text: aligned columns, numbers by their decimal point, long headings folded where there is no room.

Knows nothing of where the cells come from; gives lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.cells import cell_len

from ks4_pipeline.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GAP = "  "
_LONGEST_RULE = 60


class Align(StrEnum):
    """How the cells of a column stand under each other."""

    LEFT = "left"
    RIGHT = "right"
    DECIMAL = "decimal"
    """Right, with decimal points under each other."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and how its cells stand."""

    heading: str
    align: Align = Align.LEFT


@dataclass(frozen=True)
class TextTable:
    """Cells to be printed; all safe, each on one line."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        columns = [Column(_single(column.heading), column.align) for column in self.columns]
        cells = [_aligned(column, [_single(row[index]) for row in self.rows]) for index, column in enumerate(columns)]
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", list(zip(*cells, strict=True)))

    def head(self, width: int | None = None) -> list[str] | None:
        """The heading's lines and the rule below; None when the table does not fit, however its headings are folded."""
        widths = self._widths(width)
        if widths is None:
            return None
        folded = [_folded(column.heading, size) for column, size in zip(self.columns, widths, strict=True)]
        height = max(map(len, folded), default=0)
        lines = []
        for number in range(height):
            parts = [part[number - height + len(part)] if number >= height - len(part) else "" for part in folded]
            lines.append(self._line(parts, widths))
        return [*lines, GAP.join(("─" * min(size, _LONGEST_RULE)).ljust(size) for size in widths).rstrip()]

    def body(self, width: int | None = None) -> Iterator[str]:
        """The rows' lines."""
        widths = self._widths(width) or self._widths(None) or []
        for row in self.rows:
            yield self._line(row, widths)

    def records(self, first: int = 1) -> Iterator[str]:
        """The rows one below the other, a line per cell, numbered from the first: for what is too wide for a table."""
        size = max((cell_len(column.heading) for column in self.columns), default=0)
        for number, row in enumerate(self.rows, first):
            yield f"── row {number} ".ljust(size + 12, "─")
            for column, cell in zip(self.columns, row, strict=True):
                yield (column.heading + " " * (size - cell_len(column.heading)) + GAP + cell.strip()).rstrip()

    def _widths(self, width: int | None) -> list[int] | None:
        cells = [max((cell_len(row[index]) for row in self.rows), default=0) for index in range(len(self.columns))]
        widths = [max(size, cell_len(column.heading)) for size, column in zip(cells, self.columns, strict=True)]
        if width is None or _total(widths) <= width:
            return widths
        narrow = [
            max(size, max((cell_len(piece) for piece in _pieces(column.heading)), default=0))
            for size, column in zip(cells, self.columns, strict=True)
        ]
        if _total(narrow) > width:
            return None
        spare = width - _total(narrow)
        for index, size in enumerate(widths):
            more = min(size - narrow[index], spare)
            narrow[index] += more
            spare -= more
        return narrow

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        parts = []
        for column, cell, size in zip(self.columns, cells, widths, strict=True):
            blank = " " * (size - cell_len(cell))
            parts.append(cell + blank if column.align is Align.LEFT else blank + cell)
        return GAP.join(parts).rstrip()


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _single(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _aligned(column: Column, cells: list[str]) -> list[str]:
    if column.align is not Align.DECIMAL:
        return cells
    behind = [len(cell) - cell.rindex(".") if re.fullmatch(r"-?\d+\.\d+", cell) else 0 for cell in cells]
    longest = max(behind, default=0)
    return [
        cell + " " * (longest - size) if size or cell.removeprefix("-").isdecimal() else cell
        for cell, size in zip(cells, behind, strict=True)
    ]


def _pieces(heading: str) -> list[str]:
    """Where a heading may be broken: behind an underscore or a blank."""
    return re.findall(r"[^_ ]*[_ ]+|[^_ ]+$", heading) or [heading]


def _folded(heading: str, size: int) -> list[str]:
    lines: list[str] = [""]
    for piece in _pieces(heading):
        if lines[-1] and cell_len((lines[-1] + piece).rstrip(" ")) > size:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip(" ") for line in lines]
