"""The four versions of the synthetic data set and how each differs from the one before.

What a version shows is an *edition*: a population, the slips its publisher made, and what is shown of it. The next
version changes some of these and its notes say so; the cells follow from :mod:`.publishing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ks4_pipeline.sandbox.synthetic.cohorts import OUTCOMES, Cohort, draw, draw_below
from ks4_pipeline.sandbox.synthetic.description import Release, VersionEntry
from ks4_pipeline.sandbox.synthetic.population import (
    CARE_LENGTH,
    CPPO_LEFT,
    ETHNICITY,
    GROUPS,
    GUARDIAN,
    HEADLINE,
    LABELS,
    NEVER_IN_NEED,
    PLACEMENT,
    SEN,
    STOCKS,
    UNDER_12_MONTHS,
    UNKNOWN,
    YEARS,
    Cut,
    Population,
    Slices,
    Stock,
    cuts_of,
    draw_population,
    slices_of,
)
from ks4_pipeline.sandbox.synthetic.publishing import CONFIDENTIAL, INDICATOR_COLUMNS, Rules, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

BREAKDOWN_COLUMNS = (SEN, ETHNICITY, PLACEMENT, CARE_LENGTH)
KEY_COLUMNS = (
    "time_period",
    "time_identifier",
    "geographic_level",
    "country_code",
    "country_name",
    "social_care_group",
    *BREAKDOWN_COLUMNS,
)
COLUMNS = (*KEY_COLUMNS, "version", *INDICATOR_COLUMNS)

_FIRST_WINDOW, _SECOND_WINDOW = YEARS[:-1], YEARS[1:]
_NEVER_FINAL = frozenset({"201920", "202021"})  # the publisher left these years Revised for good (domain.md §4)


@dataclass(frozen=True, slots=True)
class Slips:
    """What the publisher got wrong in an edition."""

    ebacc_undercounted: frozenset[tuple[str, str]] = frozenset()  # year, group
    unprotected: frozenset[tuple[str, str, str]] = frozenset()  # year, group, breakdown column
    hidden: tuple[tuple[str, str, Cut, tuple[str, ...]], ...] = ()  # year, group, slice, indicator columns


_USUAL = Rules()


@dataclass(frozen=True, slots=True)
class Edition:
    """What one version shows: of whom, which years, and with which mistakes."""

    years: tuple[str, ...]
    population: Population
    unknown_ethnicity: bool = False
    rules: Rules = _USUAL
    slips: Slips = Slips()

    def status(self, year: str) -> str:
        """The ``version`` column of a year: the latest year is not final yet."""
        return "Revised" if year == self.years[-1] or year in _NEVER_FINAL else "Final"


_NOTES_1_0_1 = (
    "Synthetic data. Correction: the English Baccalaureate figures of CPPO at any point were too low in 2018/19 and "
    "2021/22, because some entries had not been counted. In 2022/23 the scores of one placement of CLA 12 months at 31 "
    "March should have been confidential and now are. Figures withheld by mistake are now given: for 2019/20, English "
    "and maths of CLA at any point in independent living; for 2023/24, CLA 12 months at 31 March with less than 12 "
    "months in care, which has no pupils. Rows and columns are the same."
)
_NOTES_1_1 = (
    "Synthetic data. Added: pupils whose ethnicity is unknown, as rows of their own for every care group and year. "
    "They were always part of the All pupils rows, so totals do not change by this. Pupils matched late to CPPO at any "
    "point and to PLAA - SGO change a few figures of 2024/25 for these groups and for those that contain them."
)
_NOTES_2_0 = (
    "Synthetic data. Added: academic year 2025/26, without Progress 8, as these pupils have no key stage 2 results. "
    "Removed: academic year 2018/19. The years in between are restated after pupils were matched again to their care "
    "records. Achievements of 1 to 5 pupils are now withheld in groups of fewer than 60 pupils only (before: 100). "
    "2024/25 is now final."
)
_RELEASE_2025 = Release("Academic year 2024/25", "2024-25")
_RELEASE_2025_MORE = Release("Academic year 2024/25 Additional breakdowns", "2024-25-additional-breakdowns")
_RELEASE_2026 = Release("Academic year 2025/26", "2025-26")

VERSIONS = (
    VersionEntry("1.0", "2026-04-16T08:30:00.123456Z", "", _RELEASE_2025),  # the API never has notes on 1.0
    VersionEntry("1.0.1", "2026-05-21T08:30:00.204518Z", _NOTES_1_0_1, _RELEASE_2025),
    VersionEntry("1.1", "2026-07-16T08:30:00.318227Z", _NOTES_1_1, _RELEASE_2025_MORE),
    VersionEntry("2.0", "2026-11-12T09:30:00.441902Z", _NOTES_2_0, _RELEASE_2026),
)

_SLIPS_OF_1_0 = Slips(
    ebacc_undercounted=frozenset({("201819", "CPPO at any point"), ("202122", "CPPO at any point")}),
    unprotected=frozenset({("202223", "CLA 12 months at 31 March", PLACEMENT)}),
    hidden=(
        (
            "201920",
            "CLA at any point",
            Cut(PLACEMENT, LABELS[PLACEMENT][1]),
            ("engmath_95_total", "engmath_95_percent"),
        ),
        # No pupil can be in this slice; the publisher's own preview shows it as confidential all the same.
        ("202324", "CLA 12 months at 31 March", Cut(CARE_LENGTH, UNDER_12_MONTHS), INDICATOR_COLUMNS),
    ),
)


def editions() -> Iterator[tuple[VersionEntry, Edition]]:
    """Each version with what it shows, oldest first."""
    everyone = draw_population(YEARS)
    first = Edition(_FIRST_WINDOW, everyone, slips=_SLIPS_OF_1_0)
    corrected = replace(first, slips=Slips())
    late = (_Match("202425", CPPO_LEFT, "1.1", 14), _Match("202425", GUARDIAN, "1.1", 9))
    added = replace(corrected, population=_rematched(everyone, late), unknown_ethnicity=True)
    rolled = replace(
        added,
        years=_SECOND_WINDOW,
        population=_rematched(added.population, _yearly_matches()),
        rules=Rules(disclosive_below=60),
    )
    yield from zip(VERSIONS, (first, corrected, added, rolled), strict=True)


def rows_of(edition: Edition) -> list[tuple[str, ...]]:
    """All rows of an edition in the publisher's order: by breakdown, then newest year first, then care group."""
    rows = [row for year in reversed(edition.years) for group in GROUPS for row in _rows(edition, year, group)]
    at_breakdowns = slice(COLUMNS.index(SEN), COLUMNS.index("version"))
    return sorted(rows, key=lambda row: row[at_breakdowns])  # stable: years and groups stay in order


def _rows(edition: Edition, year: str, group: str) -> Iterator[tuple[str, ...]]:
    slips = edition.slips
    slices = slices_of(edition.population, year, group)
    if (year, group) in slips.ebacc_undercounted:
        slices = {cut: _without_some_entries(cohort) for cut, cohort in slices.items()}
    unprotected = frozenset(at[2] for at in slips.unprotected if at[:2] == (year, group))
    published = publish(slices, year, replace(edition.rules, unprotected=unprotected))
    for slip_year, slip_group, cut, columns in slips.hidden:
        if (slip_year, slip_group) == (year, group):
            published[cut] = {**published[cut], **dict.fromkeys(columns, CONFIDENTIAL)}
    for cut in cuts_of(group):
        if edition.unknown_ethnicity or cut != Cut(ETHNICITY, UNKNOWN):
            labels = (cut.label if cut.column == column else HEADLINE.label for column in BREAKDOWN_COLUMNS)
            where = (year, "Academic year", "National", "E92000001", "England", group, *labels)
            yield (*where, edition.status(year), *published[cut].values())


def _without_some_entries(cohort: Cohort) -> Cohort:
    """The cohort as counted when a third of the EBacc entries is forgotten: the slip of version 1.0."""
    counts = dict(zip(OUTCOMES, cohort.outcomes, strict=True))
    for outcome in OUTCOMES:
        if outcome.ebacc:
            forgotten = counts[outcome] // 3
            counts[outcome] -= forgotten
            counts[outcome._replace(ebacc=0)] += forgotten
    return replace(cohort, outcomes=tuple(counts.values()), ebacc_points=cohort.ebacc_points * 5 // 6)


class _Match(NamedTuple):
    """Pupils who turn out to belong to a stock, or (negative) not to."""

    year: str
    stock: str
    version: str
    pupils: int


_RESTATED = 570  # per mille of stocks and years in which the yearly release finds pupils to match again


def _yearly_matches() -> tuple[_Match, ...]:
    """What the yearly release restates in the years it keeps."""
    pairs = ((year, stock.name) for year in _SECOND_WINDOW[:-1] for stock in STOCKS)
    return tuple(
        _Match(year, stock, "2.0", sign * (5 + draw_below(12, "2.0", year, stock)))
        for year, stock in pairs
        if draw_below(1000, "2.0 restated", year, stock) < _RESTATED
        for sign in ((1, 1, -1)[draw_below(3, year, stock)],)  # more are found than lost
    )


def _rematched(population: Population, matches: tuple[_Match, ...]) -> Population:
    """The population after the matches; the one given stays as it is."""
    restated = dict(population)
    for match in matches:
        stock = next(stock for stock in STOCKS if stock.name == match.stock)
        pupils = _matched_pupils(match, stock)
        cuts = _cuts_touched(restated[match.year, stock.name], match, pupils)
        _move(restated, (match.year, stock.name), cuts, pupils, joining=match.pupils > 0)
        # A child found to be in need was a pupil before: all pupils together stay the same.
        if stock.name != NEVER_IN_NEED and stock.name in GROUPS["All pupils comparison"]:
            known = [cut for cut in cuts if cut.column not in {PLACEMENT, CARE_LENGTH}]
            _move(restated, (match.year, NEVER_IN_NEED), known, pupils, joining=match.pupils < 0)
    return restated


def _matched_pupils(match: _Match, stock: Stock) -> Cohort:
    """A few pupils like those of the stock; most have no pass in both English and maths."""
    pupils = abs(match.pupils)
    counted = pupils * stock.progress8_cover // 1000
    outcomes = [0] * len(OUTCOMES)
    outcomes[0] = pupils
    for at in range(pupils // 6):
        outcomes[0] -= 1
        outcomes[(0, 2, 2, 5, 3)[draw_below(5, *map(str, match), str(at))]] += 1
    variation = 1000 + draw(*map(str, match)) // 5
    return Cohort(
        tuple(outcomes),
        stock.attainment8 * pupils * variation // 25_000,
        stock.ebacc_points * pupils * variation // 1000,
        counted,
        stock.progress8 * counted * variation // 1000,
    )


def _cuts_touched(slices: Slices, match: _Match, pupils: Cohort) -> list[Cut]:
    """The headline and one slice of each breakdown that can gain or lose the pupils."""

    def fits(cohort: Cohort) -> bool:
        if match.pupils > 0:
            return cohort.pupils > 0
        return cohort.pupils > 8 * pupils.pupils and cohort.contains(pupils)  # small slices lose nobody

    cuts = [HEADLINE]
    for column in {cut.column: None for cut in slices if cut != HEADLINE}:
        fit = [cut for cut, cohort in slices.items() if cut.column == column and fits(cohort)]
        cuts.append(fit[draw_below(len(fit), *map(str, match), column)])
    return cuts


def _move(population: Population, at: tuple[str, str], cuts: list[Cut], pupils: Cohort, *, joining: bool) -> None:
    slices = dict(population[at])
    for cut in cuts:
        slices[cut] = slices[cut] + pupils if joining else slices[cut] - pupils
    population[at] = slices
