"""When a request is made again, after which pause, and when it is given up.

By tenacity rather than stamina: here clock, sleep and dice belong to one client and can be replaced one by one, the
pause is fully random (stamina adds at most a second of jitter), and the deadline counts the pause that lies ahead.
What is worth another attempt is the errors' to say (:mod:`ks4_pipeline.ees.errors`).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from ks4_pipeline.ees.errors import ONCE, EesError

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How persistent a client is.

    Attributes:
        attempts: for one resource, the first included.
        deadline: seconds for one JSON resource, all attempts and pauses together.
        download_deadline: the same for one CSV.
        base: the first pause is at most this long, in seconds; each later one at most twice the one before.
        longest_wait: no pause is longer, whatever the server asks for.
        clock: tells seconds; it must not go back.
        sleep: lets seconds pass; a client's pauses end with the client where this is None.
        dice: gives a number from 0 up to 1.
    """

    attempts: int = 5
    deadline: float = 180.0
    download_deadline: float = 1800.0
    base: float = 1.0
    longest_wait: float = 60.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] | None = field(default=None, repr=False)
    dice: Callable[[], float] = field(default=random.random, repr=False)

    def run(self, attempt: Callable[[float], Answer], seconds: float) -> Answer:
        """Make attempts until one gives an answer, none is worth making any more, or time is up.

        Args:
            attempt: told how many seconds are left; raises :class:`EesError`.
            seconds: for all attempts and the pauses between them.

        Raises:
            EesError: the last attempt's; it says how many there were and how long they took.
        """
        begun = self.clock()

        def left() -> float:
            return seconds - (self.clock() - begun)

        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, EesError) and error.worth > ONCE),
            wait=self._pause,
            stop=lambda state: self._enough(state) or state.upcoming_sleep >= left(),
            before_sleep=self._tell,
            sleep=self.sleep or time.sleep,
            reraise=True,
        )
        try:
            return retrying(lambda: attempt(left()))
        except EesError as error:
            made = retrying.statistics["attempt_number"]
            if error.worth > ONCE:
                times = "once" if made == 1 else f"{made} times"
                error.add(f"Tried {times} in {self.clock() - begun:.1f} s.")
            raise

    def _enough(self, state: RetryCallState) -> bool:
        return state.attempt_number >= min(self.attempts, _error(state).worth)

    def _pause(self, state: RetryCallState) -> float:
        """Anything from nothing to twice the longest pause before; longer when the server asks for it."""
        at_most = min(self.longest_wait, self.base * 2.0 ** min(state.attempt_number - 1, 60))
        asked = _error(state).retry_after or 0.0
        return min(self.longest_wait, max(asked, self.dice() * at_most))

    def _tell(self, state: RetryCallState) -> None:
        error = _error(state)
        of = min(self.attempts, error.worth)
        _log.warning("%s Attempt %d of %d; the next in %.1f s.", error, state.attempt_number, of, state.upcoming_sleep)


def _error(state: RetryCallState) -> EesError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, EesError):
        raise TypeError(f"only errors of the API are retried, and this is {error!r}")
    return error
