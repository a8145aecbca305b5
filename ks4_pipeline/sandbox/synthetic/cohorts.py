"""What a group of pupils is before anything is rounded or hidden, and how such a group is split exactly into parts.

A cohort holds whole pupils and true sums; cohorts add up. Nothing here knows the care groups, the years or what is
published. All arithmetic is on integers and every draw depends on its name alone, so that each machine and each run
gives the same pupils.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, pairwise
from operator import add, sub
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DRAW_LIMIT = 1000


def draw(*name: str) -> int:
    """A number from -1,000 to 1,000, bell-shaped around 0, that depends on its name alone."""
    digest = hashlib.sha256("|".join(name).encode()).digest()
    words = [int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8, 12)]
    return sum(words) * DRAW_LIMIT // (2 * 0xFFFFFFFF) - DRAW_LIMIT


def draw_below(limit: int, *name: str) -> int:
    """A number from 0 to ``limit - 1``, all as likely, that depends on its name alone."""
    return int.from_bytes(hashlib.sha256("|".join(name).encode()).digest()[16:24], "big") % limit


class Outcome(NamedTuple):
    """How far a pupil came: the grade reached in English *and* maths, and in the EBacc."""

    engmath: int  # 0, 4 or 5
    ebacc: int  # 0 not entered, 1 entered, 4 or 5

    @property
    def level(self) -> int:
        """How strong the outcome is, 0 to 3: what parts of a group differ in."""
        return (0, 0, 0, 0, 1, 2)[self.engmath] + (self.ebacc > 0)


# Disjoint, and only those the definitions allow: an EBacc at grade 4 or 5 includes English and maths at that grade.
# The order of grades and the inclusions of domain.md §3.4 therefore hold in every cohort and every part of one.
OUTCOMES = tuple(Outcome(*pair) for pair in ((0, 0), (0, 1), (4, 0), (4, 1), (4, 4), (5, 0), (5, 1), (5, 4), (5, 5)))
_ATTAINMENT8_POINTS = (10, 18, 38, 42, 46, 50, 54, 56, 64)
_EBACC_POINTS = (8, 18, 30, 39, 44, 42, 50, 53, 62)
# Lower than any group's Progress 8, in thousandths: added to every pupil, it keeps sums positive while they are shared.
_PROGRESS8_FLOOR = 6000


@dataclass(frozen=True, slots=True)
class Cohort:
    """A group of pupils as the publisher counts it before rounding."""

    outcomes: tuple[int, ...]  # pupils with each of OUTCOMES
    attainment8: int  # quarters of a point, summed over pupils
    ebacc_points: int  # hundredths of a point, summed over pupils
    progress8_pupils: int
    progress8: int  # thousandths, summed over the pupils counted in Progress 8

    def __add__(self, other: Cohort) -> Cohort:
        """Both groups together; they must have no pupil in common."""
        return self._combined(other, add)

    def __sub__(self, other: Cohort) -> Cohort:
        """This group without the pupils of another, all of whom belong to it."""
        return self._combined(other, sub)

    def _combined(self, other: Cohort, how: Callable[[int, int], int]) -> Cohort:
        return Cohort(
            tuple(map(how, self.outcomes, other.outcomes)),
            how(self.attainment8, other.attainment8),
            how(self.ebacc_points, other.ebacc_points),
            how(self.progress8_pupils, other.progress8_pupils),
            how(self.progress8, other.progress8),
        )

    @property
    def pupils(self) -> int:
        """All pupils."""
        return sum(self.outcomes)

    def engmath(self, grade: int) -> int:
        """Pupils with this grade or above in English and maths."""
        return sum(n for n, outcome in zip(self.outcomes, OUTCOMES, strict=True) if outcome.engmath >= grade)

    def ebacc(self, grade: int) -> int:
        """Pupils with this grade or above in the EBacc; grade 1 counts all who entered."""
        return sum(n for n, outcome in zip(self.outcomes, OUTCOMES, strict=True) if outcome.ebacc >= grade)

    def contains(self, other: Cohort) -> bool:
        """Whether the other group's pupils can be taken out of this one."""
        rest = self - other
        return min(*rest.outcomes, rest.attainment8, rest.ebacc_points) >= 0 and (
            0 <= rest.progress8_pupils <= rest.pupils
        )


NOBODY = Cohort((0,) * len(OUTCOMES), 0, 0, 0, 0)


def together(cohorts: Sequence[Cohort]) -> Cohort:
    """All of these groups, which must have no pupil in common."""
    return reduce(add, cohorts) if cohorts else NOBODY


class Passes(NamedTuple):
    """Counts (or rates) of the five published successes; each includes the next stronger one."""

    engmath_94: int
    engmath_95: int
    entering: int
    ebacc_94: int
    ebacc_95: int


def outcomes_of(pupils: int, passes: Passes) -> tuple[int, ...]:
    """Pupils with each outcome, such that the five published counts come out exactly."""
    ebacc_4 = passes.ebacc_94 - passes.ebacc_95
    strong_4 = min(ebacc_4 * 2 // 3, passes.engmath_95 - passes.ebacc_95)
    left_95 = passes.engmath_95 - passes.ebacc_95 - strong_4
    left_94 = passes.engmath_94 - passes.engmath_95 - (ebacc_4 - strong_4)
    entered = passes.entering - passes.ebacc_94
    entered_95 = min(entered // 3, left_95)
    entered_94 = min(entered // 3, left_94)
    entered_0 = entered - entered_95 - entered_94
    return (
        pupils - passes.engmath_94 - entered_0,
        entered_0,
        left_94 - entered_94,
        entered_94,
        ebacc_4 - strong_4,
        left_95 - entered_95,
        entered_95,
        strong_4,
        passes.ebacc_95,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One label of a breakdown: how large it is and how its pupils differ from the whole group."""

    label: str
    share: int  # relative to the other parts
    strength: int = 100  # per cent; below 100 means fewer strong outcomes
    progress8: int = 0  # thousandths above the other parts


def apportion(total: int, weights: Sequence[int], offset: int) -> list[int]:
    """Share a whole number out by weight, exactly; ``offset`` (0 to 999) says where the rounding starts.

    Each share is within one of its exact value, and small totals land now here, now there, as small counts do.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    cuts = [(total * at * 1000 + offset * whole) // (1000 * whole) for at in accumulate(weights, initial=0)]
    return [end - start for start, end in pairwise(cuts)]


def split(cohort: Cohort, parts: Sequence[Part], name: str) -> list[Cohort]:
    """Split a cohort into parts that add up to it again in every count and every sum."""
    outcomes = _split_outcomes(cohort, parts, name)
    pupils = [sum(counts) for counts in outcomes]
    attainment8 = apportion(
        cohort.attainment8, _points(outcomes, parts, _ATTAINMENT8_POINTS), draw_below(1000, name, "a8")
    )
    ebacc_points = apportion(
        cohort.ebacc_points, _points(outcomes, parts, _EBACC_POINTS), draw_below(1000, name, "aps")
    )
    uncounted = apportion(cohort.pupils - cohort.progress8_pupils, pupils, draw_below(1000, name, "p8 pupils"))
    counted = [n - without for n, without in zip(pupils, uncounted, strict=True)]
    progress8 = _split_progress8(cohort, counted, parts, name)
    return [Cohort(*values) for values in zip(outcomes, attainment8, ebacc_points, counted, progress8, strict=True)]


def _split_outcomes(cohort: Cohort, parts: Sequence[Part], name: str) -> list[tuple[int, ...]]:
    weights = [_outcome_weights(cohort, part, name) for part in parts]
    shared = [
        apportion(count, [weight[at] for weight in weights], draw_below(1000, name, "outcome", str(at)))
        for at, count in enumerate(cohort.outcomes)
    ]
    return list(zip(*shared, strict=True))


def _outcome_weights(cohort: Cohort, part: Part, name: str) -> list[int]:
    """Weights of one part by outcome; divided by their mean, so that ``share`` stays the part's share of pupils."""
    lean = [part.strength**outcome.level * 100 ** (3 - outcome.level) for outcome in OUTCOMES]
    mean = sum(n * weight for n, weight in zip(cohort.outcomes, lean, strict=True))
    share = part.share * (20 * DRAW_LIMIT + draw(name, part.label, "share"))
    return [share * weight * cohort.pupils * 1000 // mean if mean else 0 for weight in lean]


def _points(outcomes: Sequence[Sequence[int]], parts: Sequence[Part], points: Sequence[int]) -> list[int]:
    return [
        sum(n * each for n, each in zip(counts, points, strict=True)) * (100 + part.strength)
        for counts, part in zip(outcomes, parts, strict=True)
    ]


def _split_progress8(cohort: Cohort, counted: Sequence[int], parts: Sequence[Part], name: str) -> list[int]:
    if cohort.progress8_pupils == 0:
        return [0] * len(parts)
    lifted = cohort.progress8 + _PROGRESS8_FLOOR * cohort.progress8_pupils
    mean = lifted // cohort.progress8_pupils
    weights = [
        n * (mean + part.progress8 + draw(name, part.label, "p8") // 10) for n, part in zip(counted, parts, strict=True)
    ]
    shares = apportion(lifted, weights, draw_below(1000, name, "p8"))
    return [share - _PROGRESS8_FLOOR * n for share, n in zip(shares, counted, strict=True)]
