"""The measures of Key Stage 4 that rules and notes know, under the names the API gives them and older ones.

Rules are written for the standard names; a file that calls a measure otherwise gets them all the same. Source: domain
notes §3.1 and §3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ks4_pipeline.columns import FLAG_SUFFIX, Column, Columns

_EARLIER = {
    "pupil_count": "t_pupils",
    "attainment8_sum": "t_att8",
    "attainment8_average": "avg_att8",
    "engmath_95_total": "t_l2basics_95",
    "engmath_95_percent": "pt_l2basics_95",
    "engmath_94_total": "t_l2basics_94",
    "engmath_94_percent": "pt_l2basics_94",
    "ebacc_entering_total": "t_ebacc_e_ptq_ee",
    "ebacc_entering_percent": "pt_ebacc_e_ptq_ee",
    "ebacc_95_total": "t_ebacc_95",
    "ebacc_95_percent": "pt_ebacc_95",
    "ebacc_94_total": "t_ebacc_94",
    "ebacc_94_percent": "pt_ebacc_94",
    "ebacc_aps_sum": "t_ebaccaps",
    "ebacc_aps_average": "avg_ebaccaps",
    "progress8_pupil_count": "t_inp8calc",
    "progress8_sum": "t_p8score",
    "progress8_average": "avg_p8score",
    "progress8_lower_95_ci": "p8score_ci_low",
    "progress8_upper_95_ci": "p8score_ci_upp",
}
STANDARD_NAMES = MappingProxyType({name: name for name in _EARLIER} | {old: name for name, old in _EARLIER.items()})
"""A column's name in lower case, and the standard name of the measure it holds."""


def measures_of(columns: Columns) -> Mapping[str, Column]:
    """The measures of a version by their standard names; a name that another column bears is not given away."""
    taken = {column.name.lower(): column for column in columns.observations}
    found = {}
    for column in columns.numeric:
        standard = STANDARD_NAMES.get(column.name.lower())
        if standard and {standard, standard + FLAG_SUFFIX}.isdisjoint(taken.keys() - _own_names(column)):
            found[standard] = column
    return found


def _own_names(column: Column) -> set[str]:
    return {column.name.lower(), column.flag.lower()}


PUPILS = "pupil_count"
SUCCESSES = ("engmath_95", "engmath_94", "ebacc_entering", "ebacc_95", "ebacc_94")
"""Measures with a ``_total`` and a ``_percent`` of all pupils."""
PROGRESS8_PUPILS = "progress8_pupil_count"
PROGRESS8 = tuple(name for name in _EARLIER if name.startswith("progress8_"))
SCORES = tuple(name for name in _EARLIER if name != PUPILS and name not in PROGRESS8)
"""What depends on grades, Progress 8 left out."""
COUNTS = (PUPILS, *(f"{success}_total" for success in SUCCESSES), PROGRESS8_PUPILS)
QUOTIENTS = (
    # sum, pupils it is of, average, decimal places
    ("attainment8_sum", PUPILS, "attainment8_average", 1),
    ("ebacc_aps_sum", PUPILS, "ebacc_aps_average", 2),
    ("progress8_sum", PROGRESS8_PUPILS, "progress8_average", 2),
)

CANCELLED = ("201920", "202021")
"""Academic years without exams."""
WITHOUT_PRIOR_ATTAINMENT = ("202425", "202526")
"""Academic years whose pupils took no tests at the end of Key Stage 2."""
WITHOUT_PROGRESS8 = (*CANCELLED, *WITHOUT_PRIOR_ATTAINMENT)

OVERLAPPING = frozenset({"social_care_group"})
"""Filters whose options overlap and that have no total of them all."""
STATUS = frozenset({"version"})
"""Filters that say how far the figures are final; no option of theirs is a total."""
