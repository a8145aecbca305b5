"""The pupils behind the synthetic data set: which care groups there are, how large and how strong, year by year.

Pupils are drawn in *stocks* that have no pupil in common; a published care group is a sum of stocks, so CIN holds CINO,
CPPO and CLA, and CLA at 31 March is "12 months" plus "less than 12 months", in every count and every breakdown. Levels
follow the publisher's national figures roughly (domain.md §3.6); rounding and hiding are in :mod:`.publishing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ks4_pipeline.sandbox.synthetic.cohorts import (
    DRAW_LIMIT,
    Cohort,
    Part,
    Passes,
    draw,
    outcomes_of,
    split,
    together,
)

ALL_PUPILS = "All pupils"
UNKNOWN = "Unknown"
SEN, ETHNICITY, PLACEMENT, CARE_LENGTH = "sen_provision", "ethnicity_major", "placement", "period_of_care_length"


class Cut(NamedTuple):
    """One slice of a group: a label of one breakdown. The data set has one-way breakdowns only."""

    column: str
    label: str


HEADLINE = Cut("", ALL_PUPILS)

_ASIAN, _BLACK = "Asian / Asian British", "Black / African / Caribbean / Black British"
_MIXED, _OTHER, _WHITE = "Mixed / Multiple ethnic groups", "Other ethnic group", "White"
_EHC_PLAN = "Education, health and care plan"
_SEN_SUPPORT = "SEN support / SEN without an EHC plan"
_NO_SEN = "No SEN provision"
UNDER_12_MONTHS = "1. Less than 12 months (0-11 months looked after)"


def _ethnicities(*shares: int) -> tuple[Part, ...]:
    labels = (_ASIAN, _BLACK, _MIXED, _OTHER, _WHITE, UNKNOWN)
    strengths, progress = (125, 104, 100, 106, 97, 90), (450, 120, 0, 380, -90, -150)
    return tuple(Part(*row) for row in zip(labels, shares, strengths, progress, strict=True))


def _provisions(*shares: int) -> tuple[Part, ...]:
    labels, strengths, progress = (_EHC_PLAN, _SEN_SUPPORT, _NO_SEN), (30, 55, 100), (-500, -250, 150)
    return tuple(Part(*row) for row in zip(labels, shares, strengths, progress, strict=True))


_PLACEMENTS = (
    Part("Foster placements", 5900, 120, 250),
    Part("Independent and semi-independent living arrangements / supported accommodation", 800, 75, -450),
    Part("Other placements", 160, 70, -500),
    Part("Placed for adoption", 5, 90, 0),
    Part("Placed with parents or other person with parental responsibility", 800, 70, -300),
    Part("Secure homes and children's homes", 2200, 45, -600),
)
_LONGER_CARE = (
    Part("2. 12 to 17 months inclusive (12-18 months looked after)", 90, 75, -350),
    Part("3. 18 to 23 months inclusive (18 months - 2 years looked after)", 80, 80, -300),
    Part("4. 24 to 35 months inclusive (2 years - 3 years looked after)", 140, 85, -200),
    Part("5. 36 to 47 months inclusive (3 years - 4 years looked after)", 120, 90, -100),
    Part("6. 48 to 59 months inclusive (4 years - 5 years looked after)", 100, 95, 0),
    Part("7. 60 to 71 months inclusive (5 years - 6 years looked after)", 80, 100, 50),
    Part("8. More than 71 months (6 years or more looked after)", 390, 115, 200),
)
_SHORT_CARE = (Part(UNDER_12_MONTHS, 1),)


@dataclass(frozen=True, slots=True)
class Mix:
    """How a kind of pupil divides into breakdowns, and how its results moved over the years (per mille of 2022/23)."""

    breakdowns: dict[str, tuple[Part, ...]]
    scores: dict[str, int]
    passes: dict[str, int]

    def with_care(self, lengths: tuple[Part, ...]) -> Mix:
        """The same with placements and lengths of care: looked-after pupils only."""
        care = {PLACEMENT: _PLACEMENTS, CARE_LENGTH: lengths}
        return Mix({**self.breakdowns, **care}, self.scores, self.passes)


YEARS = ("201819", "201920", "202021", "202122", "202223", "202324", "202425", "202526")


def _by_year(*values: int) -> dict[str, int]:
    return dict(zip(YEARS, values, strict=True))


# Grades were assessed by schools in 2019/20 and 2020/21 and came back to the usual standard in steps (domain.md §3.2).
_ALL_SCORES = _by_year(1008, 1084, 1100, 1054, 1000, 992, 991, 989)
_ALL_PASSES = _by_year(997, 1094, 1109, 1060, 1000, 1003, 1001, 998)
_CARE_SCORES = _by_year(985, 1104, 1195, 1060, 1000, 945, 905, 899)
_CARE_PASSES = _by_year(895, 1225, 1440, 1115, 1000, 910, 880, 872)

_GENERAL = Mix(
    {ETHNICITY: _ethnicities(1250, 600, 600, 230, 7180, 140), SEN: _provisions(40, 125, 835)},
    _ALL_SCORES,
    _ALL_PASSES,
)
_IN_NEED = Mix(
    {ETHNICITY: _ethnicities(720, 800, 900, 310, 7180, 90), SEN: _provisions(270, 260, 470)},
    _CARE_SCORES,
    _CARE_PASSES,
)
_LOOKED_AFTER = Mix(
    {ETHNICITY: _ethnicities(450, 800, 1000, 550, 7140, 60), SEN: _provisions(290, 270, 440)},
    _CARE_SCORES,
    _CARE_PASSES,
)
_LEFT_CARE = Mix(
    {ETHNICITY: _ethnicities(250, 310, 1020, 110, 8240, 70), SEN: _provisions(190, 290, 520)},
    _ALL_SCORES,
    _ALL_PASSES,
)


@dataclass(frozen=True, slots=True)
class Stock:
    """Pupils no other stock holds: how many in 2018/19 and 2024/25, and how they do in a usual year (2022/23)."""

    name: str
    mix: Mix
    pupils: tuple[int, int]
    attainment8: int  # hundredths, average
    ebacc_points: int  # hundredths, average
    passes: Passes  # per mille of pupils
    progress8_cover: int  # per mille of pupils with a key stage 2 result
    progress8: int  # thousandths, average


_SHORT = _LOOKED_AFTER.with_care(_SHORT_CARE)
_LONG = _LOOKED_AFTER.with_care(_LONGER_CARE)
NEVER_IN_NEED, _EVER = "never in need", "in need earlier"
_CINO, _CINO_LEFT = "CINO at 31 March", "CINO before 31 March"
_CPPO, CPPO_LEFT = "CPPO at 31 March", "CPPO before 31 March"
_CLA_12, _CLA_SHORT = "CLA 12 months", "CLA under 12 months"
_CLA_12_LEFT, _CLA_SHORT_LEFT = "CLA 12 months, left", "CLA under 12 months, left"
_ADOPTED, _ARRANGED, GUARDIAN = "adopted", "child arrangements order", "special guardianship"

STOCKS = (
    Stock(NEVER_IN_NEED, _GENERAL, (459_000, 549_000), 4925, 438, Passes(701, 489, 423, 296, 201), 955, 115),
    Stock(_EVER, _GENERAL, (44_200, 48_300), 2870, 249, Passes(372, 216, 212, 112, 66), 930, -905),
    Stock(_CINO, _IN_NEED, (12_300, 13_200), 1865, 153, Passes(196, 103, 119, 63, 35), 866, -1570),
    Stock(_CINO_LEFT, _IN_NEED, (9_800, 10_400), 2240, 186, Passes(264, 146, 151, 81, 45), 890, -1310),
    Stock(_CPPO, _IN_NEED, (1_850, 2_140), 1785, 146, Passes(170, 82, 108, 52, 27), 896, -1780),
    Stock(CPPO_LEFT, _IN_NEED, (2_510, 2_890), 1940, 160, Passes(204, 106, 117, 57, 30), 898, -1605),
    Stock(_CLA_12, _LONG, (5_520, 6_150), 1925, 157, Passes(198, 93, 106, 55, 28), 764, -1270),
    Stock(_CLA_SHORT, _SHORT, (1_275, 1_353), 1263, 104, Passes(105, 48, 55, 16, 9), 702, -1940),
    Stock(_CLA_12_LEFT, _LONG, (385, 432), 1755, 144, Passes(176, 86, 95, 45, 22), 741, -1460),
    Stock(_CLA_SHORT_LEFT, _SHORT, (452, 477), 1876, 155, Passes(200, 121, 103, 43, 26), 750, -1510),
    Stock(_ADOPTED, _LEFT_CARE, (1_760, 2_150), 3310, 284, Passes(452, 266, 242, 141, 86), 931, -610),
    Stock(_ARRANGED, _LEFT_CARE, (485, 618), 3015, 256, Passes(396, 226, 206, 105, 62), 926, -780),
    Stock(GUARDIAN, _LEFT_CARE, (1_520, 2_290), 3090, 264, Passes(411, 236, 216, 116, 69), 932, -700),
)

_CLA = (_CLA_12, _CLA_SHORT)
_CLA_ANY = (*_CLA, _CLA_12_LEFT, _CLA_SHORT_LEFT)
_CIN_ANY = (_CINO, _CINO_LEFT, _CPPO, CPPO_LEFT, *_CLA_ANY)

GROUPS: dict[str, tuple[str, ...]] = {
    "All pupils comparison": (NEVER_IN_NEED, _EVER, *_CIN_ANY),
    "CIN at 31 March": (_CINO, _CPPO, *_CLA),
    "CIN at any point": _CIN_ANY,
    "CINO at 31 March": (_CINO,),
    "CINO at any point": (_CINO, _CINO_LEFT),
    "CLA 12 months at 31 March": (_CLA_12,),
    "CLA at 31 March": _CLA,
    "CLA at any point": _CLA_ANY,
    "CLA less than 12 months at 31 March": (_CLA_SHORT,),
    "CPPO at 31 March": (_CPPO,),
    "CPPO at any point": (_CPPO, CPPO_LEFT),
    "Ever CIN - last 6 years": (_EVER, *_CIN_ANY),
    "PLAA - Adoption (Official Statistics)": (_ADOPTED,),
    "PLAA - CAO (Official Statistics)": (_ARRANGED,),
    "PLAA - SGO (Official Statistics)": (GUARDIAN,),
    "PLAA - Total (Official Statistics)": (_ADOPTED, _ARRANGED, GUARDIAN),
}

# Every label of every breakdown, in the publisher's order. Ethnicity, SEN, placement and length each cover all pupils.
LABELS: dict[str, tuple[str, ...]] = {
    SEN: (_EHC_PLAN, _SEN_SUPPORT, _NO_SEN),
    ETHNICITY: (_ASIAN, _BLACK, _MIXED, _OTHER, _WHITE, UNKNOWN),
    PLACEMENT: tuple(part.label for part in _PLACEMENTS),
    CARE_LENGTH: (UNDER_12_MONTHS, *(part.label for part in _LONGER_CARE)),
}

# The pupils behind the publisher's own preview rows of version 1.0: the only true counts that give exactly those cells
# (domain.md §3.4 works the first one out). Progress 8 was not produced that year; those two numbers are never shown.
_PINNED = {
    ("202425", _CLA_SHORT): Cohort(outcomes_of(1353, Passes(125, 57, 72, 19, 11)), 61_846, 127_042, 947, -1_837_180),
    ("202425", _CLA_SHORT_LEFT): Cohort(outcomes_of(477, Passes(84, 51, 49, 18, 11)), 32_390, 66_768, 358, -540_580),
}

Slices = dict[Cut, Cohort]
Population = dict[tuple[str, str], Slices]  # by year and stock


def draw_population(years: tuple[str, ...]) -> Population:
    """All stocks of these years with their breakdowns; a year does not depend on which others are asked for."""
    return {(year, stock.name): _draw_slices(stock, year) for year in years for stock in STOCKS}


def slices_of(population: Population, year: str, group: str) -> Slices:
    """The headline and the breakdowns of a published group, summed over its stocks; a slice may have no pupils."""
    stocks = [population[year, stock] for stock in GROUPS[group]]
    return {cut: together([slices[cut] for slices in stocks if cut in slices]) for cut in cuts_of(group)}


def cuts_of(group: str) -> list[Cut]:
    """The slices a group is published in: placement and length of care for looked-after pupils only."""
    columns = (SEN, ETHNICITY, PLACEMENT, CARE_LENGTH) if group.startswith("CLA") else (SEN, ETHNICITY)
    return [HEADLINE, *(Cut(column, label) for column in columns for label in LABELS[column])]


def _draw_slices(stock: Stock, year: str) -> Slices:
    whole = _PINNED.get((year, stock.name)) or _draw_cohort(stock, year)
    slices = {HEADLINE: whole}
    for column, parts in stock.mix.breakdowns.items():
        for part, cohort in zip(parts, split(whole, parts, f"{year} {stock.name} {column}"), strict=True):
            slices[Cut(column, part.label)] = cohort
    return slices


def _draw_cohort(stock: Stock, year: str) -> Cohort:
    first, last = stock.pupils
    pupils = _vary(first + (last - first) * YEARS.index(year) // 6, 30, stock, year, "pupils")
    score = stock.mix.scores[year]
    counted = _vary(stock.progress8_cover, 12, stock, year, "progress8 pupils") * pupils // 1000
    return Cohort(
        outcomes_of(pupils, _draw_passes(stock, year, pupils)),
        _vary(stock.attainment8 * score * pupils // 25_000, 25, stock, year, "attainment8"),
        _vary(stock.ebacc_points * score * pupils // 1000, 25, stock, year, "ebacc points"),
        counted,
        _vary(stock.progress8, 60, stock, year, "progress8") * counted,
    )


def _draw_passes(stock: Stock, year: str, pupils: int) -> Passes:
    """Counts of the five successes; entering the EBacc did not move with the grades, achieving it did."""
    trend, steady = stock.mix.passes[year], 1000
    trends = Passes(engmath_94=trend, engmath_95=trend, entering=steady, ebacc_94=trend, ebacc_95=trend)
    counts = (
        _vary(pupils * rate * moved // 1_000_000, 40, stock, year, name)
        for name, rate, moved in zip(Passes._fields, stock.passes, trends, strict=True)
    )
    return Passes(*counts)


def _vary(value: int, spread: int, stock: Stock, year: str, name: str) -> int:
    """The value moved by at most ``spread`` per mille, mostly by much less."""
    return value + value * spread * draw(year, stock.name, name) // (1000 * DRAW_LIMIT)
