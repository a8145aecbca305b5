"""How fast one client asks: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

import threading
from collections.abc import Callable

BURST = 200
"""A look at a hundred data sets takes so many requests; one after the other, they are no burden."""


class Pace:
    """Lets a burst through at once and then so many requests per second; safe to use from any thread."""

    def __init__(self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._spacing = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock() - BURST * self._spacing

    def wait(self) -> None:
        """Take a token, as soon as there is one."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - BURST * self._spacing) + self._spacing
            ahead = self._next - now
        if ahead > 0:
            self._sleep(ahead)
