"""How the synthetic publisher turns true pupils into cells: the one place of rounding, trailing zeros and markers.

Counts go to the nearest 10, averages and percentages come from the unrounded numbers, everything is rounded half away
from zero (domain.md §3.3). Small groups are ``c``, what cannot exist is ``z``, what was not produced is ``x``, and a
number that is not zero but rounds to it is ``low``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.synthetic.population import HEADLINE, LABELS, Cut, Slices

if TYPE_CHECKING:
    from ks4_pipeline.sandbox.synthetic.cohorts import Cohort

CONFIDENTIAL, NOT_APPLICABLE, NOT_AVAILABLE, ROUNDS_TO_ZERO = "c", "z", "x", "low"

PROGRESS8_COLUMNS = (
    "progress8_pupil_count",
    "progress8_sum",
    "progress8_average",
    "progress8_lower_95_ci",
    "progress8_upper_95_ci",
)
SUCCESSES = ("engmath_95", "engmath_94", "ebacc_entering", "ebacc_95", "ebacc_94")
INDICATOR_COLUMNS = (
    "pupil_count",
    "attainment8_sum",
    "attainment8_average",
    *(f"{success}_{figure}" for success in SUCCESSES for figure in ("total", "percent")),
    "ebacc_aps_sum",
    "ebacc_aps_average",
    *PROGRESS8_COLUMNS,
)
_SCORE_COLUMNS = (
    "attainment8_sum",
    "attainment8_average",
    "ebacc_aps_sum",
    "ebacc_aps_average",
    *PROGRESS8_COLUMNS,
)

# National spread of pupils' Progress 8 scores, in thousandths; the years not named have no Progress 8 (domain.md §3.2).
PROGRESS8_SIGMA = {"201819": 1283, "202122": 1407, "202223": 1414, "202324": 1416}

_COUNT_BASE = 10
_SMALL = 5  # groups of 1 to 5 pupils are confidential

Cells = Mapping[str, str]  # by indicator column


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the publisher's practice changes from version to version."""

    disclosive_below: int = 100  # in a group smaller than this, successes of 1 to 5 pupils are confidential too
    unprotected: frozenset[str] = frozenset()  # breakdown columns whose secondary suppression is forgotten


def publish(slices: Slices, year: str, rules: Rules) -> dict[Cut, Cells]:
    """The cells of one group in one year, by slice.

    Args:
        slices: the true pupils, all slices of the group.
        year: as in ``time_period``; says whether Progress 8 was produced.
        rules: how much is withheld.
    """
    published = {cut: cells_of(cohort, year, rules) for cut, cohort in slices.items()}
    for column in {cut.column for cut in slices} - {HEADLINE.column} - rules.unprotected:
        _protect(column, slices, published)
    return published


@lru_cache(maxsize=10_000)
def cells_of(cohort: Cohort, year: str, rules: Rules) -> Cells:
    """The cells of one row before secondary suppression; most rows stay as they are from version to version."""
    pupils = cohort.pupils
    if pupils == 0:
        return _progress8_in({**_all(NOT_APPLICABLE), "pupil_count": "0", "progress8_pupil_count": "0"}, year)
    if pupils <= _SMALL:
        return _progress8_in(_all(CONFIDENTIAL), year)
    cells = {
        "pupil_count": rounded(pupils, 1, base=_COUNT_BASE),
        "attainment8_sum": rounded(cohort.attainment8, 4, places=2),
        "attainment8_average": rounded(cohort.attainment8, 4 * pupils, places=1),
        "ebacc_aps_sum": rounded(cohort.ebacc_points, 100, places=2),
        "ebacc_aps_average": rounded(cohort.ebacc_points, 100 * pupils, places=2),
    }
    successes = (cohort.engmath(5), cohort.engmath(4), cohort.ebacc(1), cohort.ebacc(5), cohort.ebacc(4))
    for success, count in zip(SUCCESSES, successes, strict=True):
        hidden = 0 < count <= _SMALL and pupils < rules.disclosive_below
        cells[f"{success}_total"] = CONFIDENTIAL if hidden else rounded(count, 1, base=_COUNT_BASE)
        cells[f"{success}_percent"] = CONFIDENTIAL if hidden else rounded(100 * count, pupils, places=1)
    return _progress8_in({**cells, **_progress8_cells(cohort, year)}, year)


def rounded(numerator: int, denominator: int, *, places: int = 0, base: int = 1) -> str:
    """``numerator / denominator`` as printed: half away from zero, no trailing zeros, ``low`` for a lost number."""
    scaled = abs(numerator) * 10**places
    units = (2 * scaled + denominator * base) // (2 * denominator * base) * base
    if units == 0:
        return ROUNDS_TO_ZERO if numerator else "0"
    whole, fraction = divmod(units, 10**places)
    decimals = f"{fraction:0{places}d}".rstrip("0") if places else ""
    return f"{'-' if numerator < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"


def withheld(cells: Cells, columns: tuple[str, ...]) -> Cells:
    """The same row with these columns confidential; what was not available or did not exist stays so."""
    keep = {NOT_AVAILABLE, NOT_APPLICABLE}
    return {name: CONFIDENTIAL if name in columns and cell not in keep else cell for name, cell in cells.items()}


def _all(marker: str) -> Cells:
    return dict.fromkeys(INDICATOR_COLUMNS, marker)


def _progress8_in(cells: Cells, year: str) -> Cells:
    """The row in the publisher's column order, without Progress 8 in a year that has none."""
    if year not in PROGRESS8_SIGMA:
        cells = {**cells, **dict.fromkeys(PROGRESS8_COLUMNS, NOT_AVAILABLE)}
    return {column: cells[column] for column in INDICATOR_COLUMNS}


def _progress8_cells(cohort: Cohort, year: str) -> Cells:
    counted, total = cohort.progress8_pupils, cohort.progress8
    if counted == 0:
        return {**dict.fromkeys(PROGRESS8_COLUMNS, NOT_APPLICABLE), "progress8_pupil_count": "0"}
    if counted <= _SMALL:
        return dict.fromkeys(PROGRESS8_COLUMNS, CONFIDENTIAL)
    margin = _margin_of_sum(counted, PROGRESS8_SIGMA.get(year, 0))
    millions = 1_000_000 * total
    return {
        "progress8_pupil_count": rounded(counted, 1, base=_COUNT_BASE),
        "progress8_sum": rounded(total, 1000, places=3),
        "progress8_average": rounded(total, 1000 * counted, places=2),
        "progress8_lower_95_ci": rounded(millions - margin, 1_000_000_000 * counted, places=2),
        "progress8_upper_95_ci": rounded(millions + margin, 1_000_000_000 * counted, places=2),
    }


def _margin_of_sum(pupils: int, sigma: int) -> int:
    """1.96 sigma/sqrt(n) of the average, times n: in thousand-millionths, by integer square root."""
    return math.isqrt((196 * sigma) ** 2 * pupils * 10**8)


def _protect(column: str, slices: Slices, published: dict[Cut, Cells]) -> None:
    """Secondary suppression: one hidden slice alone could be worked out from the total, so another loses its scores."""
    cuts = [Cut(column, label) for label in LABELS[column]]
    hidden = [cut for cut in cuts if 0 < slices[cut].pupils <= _SMALL]
    shown = [cut for cut in cuts if slices[cut].pupils > _SMALL]
    if len(hidden) == 1 and shown:
        smallest = min(shown, key=lambda cut: slices[cut].pupils)
        published[smallest] = withheld(published[smallest], _SCORE_COLUMNS)
