"""Rules that hold of the Key Stage 4 measures: ranges, orders, quotients with the publisher's rounding, and markers.

A rule belongs to a data set by its columns. Orders and definitions are errors where they are broken; what was only seen
to hold on published releases is worth a warning. Sources: domain notes §3, tested on four real releases.

Quotients: averages and percentages are made of unrounded numbers and then rounded half up. Counts of local authorities
are unrounded; all others are taken as rounded to the nearest 10, so that a printed 1,350 is anything from 1,345 to
1,354, and a quotient is right when some such number gives it: 15461.5 / 1350 may print as 11.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ks4_pipeline.quality.measures import (
    COUNTS,
    PROGRESS8,
    PROGRESS8_PUPILS,
    PUPILS,
    QUOTIENTS,
    SCORES,
    SUCCESSES,
    WITHOUT_PROGRESS8,
)
from ks4_pipeline.quality.results import Family, Severity
from ks4_pipeline.quality.rules import ROUNDED, Case, Has, Rule
from ks4_pipeline.warehouse.sql import identifier, literal

_DEFINITION = "definition of the measure (DfE, Key Stage 4 performance measures)"
_MEASURED = "measured on four releases of the local authority file"
_BOTH = f"{_DEFINITION}; {_MEASURED}"
_SYMBOLS = f"DfE analysts' guide: data symbols; {_MEASURED}"

TOLERATED = 0.01
"""Share of quotients that may be off, as published releases have them, before it is an error."""
_RANGES = (
    # columns, least, greatest
    (("attainment8_sum", "ebacc_aps_sum"), 0, None),
    (("attainment8_average",), 0, 90),
    (("ebacc_aps_average",), 0, 9),
    (("progress8_average",), -5, 5),
    (("progress8_lower_95_ci", "progress8_upper_95_ci"), -7, 7),
)
_PERCENT = 100
_SLACK = 1e-6
"""For what binary fractions lack, far less than a unit of any product."""
_ROUNDS_TO_ZERO = ("low", "k", "~")
_NO_NUMBER = "('c', 'x', 'z', 'u', ':')"


def _in_range(column: str, least: float, greatest: float | None) -> Case:
    name = identifier(column)
    above = "" if greatest is None else f" OR {name} > {greatest}"
    return Case(f"{name} < {least}{above}", (column,))


def _percentages_in_range(has: Has) -> list[Case]:
    return [
        _in_range(name, 0, _PERCENT) for name, unit in has.units if unit == "%" or name.lower().endswith("_percent")
    ]


def _scores_in_range(has: Has) -> list[Case]:
    return [
        _in_range(name, least, greatest) for names, least, greatest in _RANGES for name in names if has.all_of(name)
    ]


def _counts_are_whole(has: Has) -> list[Case]:
    return [
        Case(f"{name} < 0 OR {name} <> floor({name})", (name,), of_figures=True) for name in COUNTS if has.all_of(name)
    ]


def _ordered(has: Has, chains: Iterable[Sequence[str]]) -> list[Case]:
    """Neighbours in a chain must not fall; a chain's columns that the version lacks are stepped over."""
    return [
        Case(f"{low} > {high}", (low, high), of_figures=True)
        for chain in chains
        for low, high in pairwise([name for name in chain if has.all_of(name)])
    ]


def _quotient(total: str, pupils: str, places: int, *, percent: bool) -> tuple[str, str, str]:
    """The least and the greatest printed result that the numbers behind two printed ones allow, as SQL conditions.

    Returns:
        Of a result ``{}`` in units of its last digit: that it is too small, that it is too great; and where to ask.
        Multiplied out, since a division costs more than all the rest.
    """
    factor = 10**places * (_PERCENT if percent else 1)
    least = f"({total} - 5 * {ROUNDED})" if percent else f"abs({total})"
    greatest = f"({total} + 4 * {ROUNDED})" if percent else f"abs({total})"
    too_small = f"({{}} + 0.5) * ({pupils} + 4 * {ROUNDED}) <= {least} * {factor} + {_SLACK}"
    too_great = f"({{}} - 0.5) * ({pupils} - 5 * {ROUNDED}) > {greatest} * {factor} + {_SLACK}"
    # Of 10 and fewer nothing can be said once they are rounded: there may be anything from 5 to 14 of them.
    return too_small, too_great, f"{total} IS NOT NULL AND {pupils} > 10 * {ROUNDED}"


def _agrees(total: str, pupils: str, result: str, places: int, *, percent: bool = False) -> Case:
    too_small, too_great, asked = _quotient(total, pupils, places, percent=percent)
    printed = f"{result} * {10**places}" if percent else f"abs({result} * {10**places})"
    fails = f"{too_small.format(printed)} OR {too_great.format(printed)}"
    if not percent:
        fails += f" OR {result} * {total} < 0"
    return Case(fails, (total, pupils, result), f"{asked} AND {result} IS NOT NULL", of_figures=True)


def _averages(has: Has) -> list[Case]:
    return [
        _agrees(total, pupils, average, places)
        for total, pupils, average, places in QUOTIENTS
        if has.all_of(total, pupils, average)
    ]


def _percentages(has: Has) -> list[Case]:
    return [
        _agrees(f"{success}_total", PUPILS, f"{success}_percent", 1, percent=True)
        for success in SUCCESSES
        if has.all_of(f"{success}_total", PUPILS, f"{success}_percent")
    ]


def _rounds_to_zero(has: Has) -> list[Case]:
    """``low`` and ``k`` say that it is not zero and rounds to zero; the numbers beside it must not say otherwise."""
    quotients = [(*quotient, False) for quotient in QUOTIENTS]
    quotients += [(f"{success}_total", PUPILS, f"{success}_percent", 1, True) for success in SUCCESSES]
    cases = []
    for total, pupils, result, places, percent in quotients:
        if has.all_of(total, pupils, result):
            too_small, _, asked = _quotient(total, pupils, places, percent=percent)
            marked = " OR ".join(f"{result}_flag = {literal(marker)}" for marker in _ROUNDS_TO_ZERO)
            cases.append(
                Case(
                    f"{too_small.format(0)} OR {total} = 0",
                    (total, pupils, result),
                    f"({marked}) AND {asked}",
                    of_figures=True,
                    only_with=(result, _ROUNDS_TO_ZERO),
                )
            )
    return cases


def _multiples_of_ten(has: Has) -> list[Case]:
    if not {"social_care_group", "geographic_level"} <= has.descriptive:  # other publications do not round
        return []
    where = "geographic_level IN ('National', 'Regional')"
    # Times 0.1: polars makes a division by a number into one anyway; both are right of whole numbers below 2^53.
    return [
        Case(f"floor({name} * 0.1) * 10 <> {name}", (name,), where, of_figures=True)
        for name in COUNTS
        if has.all_of(name)
    ]


def _where_pupils(
    has: Has, condition: str, fails: str, names: Sequence[str], *, of_figures: bool = False
) -> list[Case]:
    """Cells that do not go with what stands for the number of pupils; ``{}`` in ``fails`` is the cell's column."""
    return [
        Case(fails.format(name), (PUPILS, name), condition, of_figures=of_figures)
        for name in names
        if has.all_of(PUPILS, name)
    ]


def _nobody_scores(has: Has) -> list[Case]:
    cases = _where_pupils(has, f"{PUPILS} = 0", "{} IS NOT NULL", SCORES, of_figures=True)
    return cases + _where_pupils(has, f"{PUPILS} = 0", "{} > 0", [PROGRESS8_PUPILS], of_figures=True)


def _hidden_with_pupils(has: Has) -> list[Case]:
    return _where_pupils(
        has, f"{PUPILS}_flag = 'c'", "{0}_flag IS DISTINCT FROM 'c' AND {0}_flag IS DISTINCT FROM 'x'", SCORES
    )


def _missing_with_pupils(has: Has) -> list[Case]:
    return _where_pupils(has, f"{PUPILS}_flag = 'x'", "{}_flag IS DISTINCT FROM 'x'", (*SCORES, *PROGRESS8))


def _alike(one: str, other: str, markers: str) -> Case:
    return Case(
        f"{one}_flag IN {markers} OR {other}_flag IN {markers}",
        (one, other),
        f"{one}_flag IS DISTINCT FROM {other}_flag",
    )


def _totals_and_percentages_hidden(has: Has) -> list[Case]:
    pairs = [(f"{success}_total", f"{success}_percent") for success in SUCCESSES]
    return [_alike(*pair, "('c')") for pair in pairs if has.all_of(*pair)]


def _sums_and_averages_marked(has: Has) -> list[Case]:
    return [_alike(total, average, _NO_NUMBER) for total, _, average, _ in QUOTIENTS if has.all_of(total, average)]


def _progress8_together(has: Has) -> list[Case]:
    if not has.all_of(*PROGRESS8):
        return []
    missing = [f"coalesce({name}_flag = 'x', false)" for name in PROGRESS8]
    return [Case(f"NOT ({' AND '.join(missing)})", PROGRESS8, " OR ".join(missing))]


def _progress8_absent(has: Has) -> list[Case]:
    where = f"time_period IN ({', '.join(map(literal, WITHOUT_PROGRESS8))})"
    return [Case(f"{name}_flag IS NULL", (name,), where) for name in PROGRESS8 if has.all_of(name)]


MEASURE_RULES: tuple[Rule, ...] = (
    Rule(
        "percentages_in_range",
        "A percentage is between 0 and 100.",
        Family.MEASURE,
        Severity.WARN,
        _DEFINITION,
        cases=_percentages_in_range,
        counted="cells",
    ),
    Rule(
        "scores_in_range",
        "Attainment 8 is between 0 and 90, EBacc APS between 0 and 9, Progress 8 between -5 and 5, its interval "
        "between -7 and 7; sums of points are not negative.",
        Family.MEASURE,
        Severity.WARN,
        _BOTH,
        cases=_scores_in_range,
        counted="cells",
    ),
    Rule(
        "counts_are_whole",
        "A count of pupils is a whole number, 0 or more.",
        Family.MEASURE,
        Severity.WARN,
        _DEFINITION,
        cases=_counts_are_whole,
        counted="cells",
    ),
    Rule(
        "english_maths_ordered",
        "English and maths: no more pupils reach grade 5 than grade 4, nor grade 4 than there are pupils.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=lambda has: _ordered(
            has, (("engmath_95_total", "engmath_94_total", PUPILS), ("engmath_95_percent", "engmath_94_percent"))
        ),
        counted="cells",
    ),
    Rule(
        "ebacc_ordered",
        "EBacc: no more pupils reach grade 5 than grade 4, nor grade 4 than enter, nor enter than there are.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=lambda has: _ordered(
            has,
            (
                ("ebacc_95_total", "ebacc_94_total", "ebacc_entering_total", PUPILS),
                ("ebacc_95_percent", "ebacc_94_percent", "ebacc_entering_percent"),
            ),
        ),
        counted="cells",
    ),
    Rule(
        "ebacc_within_english_maths",
        "No more pupils reach a grade in the EBacc than in English and maths, which are part of it.",
        Family.MEASURE,
        Severity.WARN,
        _DEFINITION,
        cases=lambda has: _ordered(
            has,
            [
                (f"ebacc_{grade}_{kind}", f"engmath_{grade}_{kind}")
                for grade in (95, 94)
                for kind in ("total", "percent")
            ],
        ),
        counted="cells",
    ),
    Rule(
        "progress8_interval_ordered",
        "Progress 8 lies within its confidence interval.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=lambda has: _ordered(has, [("progress8_lower_95_ci", "progress8_average", "progress8_upper_95_ci")]),
        counted="cells",
    ),
    Rule(
        "progress8_pupils_among_pupils",
        "No more pupils are counted in Progress 8 than there are.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=lambda has: _ordered(has, [(PROGRESS8_PUPILS, PUPILS)]),
        counted="cells",
    ),
    Rule(
        "averages_match_sums",
        "An average is its sum by its pupils, with the publisher's rounding.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=_averages,
        counted="cells",
        tolerated=TOLERATED,
    ),
    Rule(
        "percentages_match_totals",
        "A percentage is its total by all pupils, with the publisher's rounding.",
        Family.MEASURE,
        Severity.ERROR,
        _BOTH,
        cases=_percentages,
        counted="cells",
        tolerated=TOLERATED,
    ),
    Rule(
        "rounds_to_zero_agrees",
        "Where low or k stands for an average or a percentage, the sum or total beside it rounds to zero too.",
        Family.MEASURE,
        Severity.WARN,
        _SYMBOLS,
        cases=_rounds_to_zero,
        counted="cells",
    ),
    Rule(
        "counts_rounded_to_ten",
        "National and regional counts are multiples of 10.",
        Family.MEASURE,
        Severity.WARN,
        f"methodology of the publication; {_MEASURED}",
        cases=_multiples_of_ten,
        counted="cells",
    ),
    Rule(
        "nobody_has_no_scores",
        "Where there are no pupils there is no number of theirs.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_nobody_scores,
        counted="cells",
    ),
    Rule(
        "hidden_pupils_hide_scores",
        "Where the number of pupils is confidential, their results are confidential or not available.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_hidden_with_pupils,
        counted="cells",
    ),
    Rule(
        "missing_pupils_miss_scores",
        "Where the number of pupils is not available, nothing else is.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_missing_with_pupils,
        counted="cells",
    ),
    Rule(
        "totals_and_percentages_hidden_alike",
        "A total is confidential where its percentage is, and the other way round: each gives the other away.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_totals_and_percentages_hidden,
        counted="cells",
    ),
    Rule(
        "sums_and_averages_marked_alike",
        "A sum and its average have the same marker where one of them has no number.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_sums_and_averages_marked,
        counted="cells",
    ),
    Rule(
        "progress8_missing_together",
        "The columns of Progress 8 are all not available, or none of them is.",
        Family.MEASURE,
        Severity.WARN,
        _MEASURED,
        cases=_progress8_together,
        counted="rows",
    ),
    Rule(
        "progress8_only_where_produced",
        "There is no Progress 8 for 2019/20, 2020/21, 2024/25 and 2025/26.",
        Family.MEASURE,
        Severity.WARN,
        "DfE, Progress 8 guidance: no exams in 2020 and 2021, no tests at the end of Key Stage 2 in those years",
        cases=_progress8_absent,
        counted="cells",
    ),
)
