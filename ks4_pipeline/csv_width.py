"""How wide the rows of a CSV are where they are widest: what is held of them at once must not grow with their width."""

from __future__ import annotations

from typing import Final

STRETCH: Final = 128 << 20
"""Bytes of rows that follow one another, of which somebody has to hold as many as that in memory."""


class Stretches:
    """Told of rows as they go by, knows how many of them a stretch has at least.

    No run of so many rows has more than two stretches' bytes and one row's.
    """

    def __init__(self) -> None:
        self.fewest: int | None = None
        """Rows of the stretch that has the fewest; None before there was a whole one."""
        self._rows = self._bytes = 0

    def add(self, rows: int, size: int) -> None:
        """So many more rows, of so many bytes together."""
        self._rows += rows
        self._bytes += size
        if self._bytes >= STRETCH:
            self.fewest = self._rows if self.fewest is None else min(self.fewest, self._rows)
            self._rows = self._bytes = 0
