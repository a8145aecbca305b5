"""How much memory DuckDB may take, for each kind of work, on this machine.

DuckDB's own limit is four fifths of the machine for every connection, and several of ours may be open at once, in one
process or in many. What does not fit goes to disk.
"""

from __future__ import annotations

import os

EDITION = 600_000_000
"""Of the next edition: tables of any size pass through, and with more it is no faster (10 million rows, 51 columns)."""
RULES = 400_000_000
"""Of rules: what they group by is short; only keys that repeat may be many."""
REPORT = 400_000_000
"""Of the change report: the corrected cells of a version, grouped and sorted."""
COMPARISON = 1_200_000_000
"""Of two versions for people, with its result: with two thirds of it no slower, and without a limit no faster."""
EQUALITY = 2_000_000_000
"""Of two warehouse files held against each other row by row."""
QUESTION = 2_000_000_000
"""Of anybody's SQL."""
ON_DISK = "20GB"
"""What SQL that we did not write may put on disk, so that it cannot fill it."""


def limit(most: int) -> str:
    """DuckDB's ``memory_limit`` for work that may take this many bytes: less on a small machine, two fifths of it."""
    return f"{granted(most)}B"


def granted(most: int) -> int:
    """How many bytes work may take here that may take this many elsewhere."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not say
        return most
    return min(most, machine * 2 // 5)
