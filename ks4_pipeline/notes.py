"""What to know before figures are quoted or compared: facts of the field as data, and which of them concern a data set.

A fact belongs to a data set by its columns, options and periods, so that sister data sets get it too. Sources: the
footnotes and the methodology of the publication, DfE's guidance on Progress 8; gathered in the domain notes §3.2, §3.3
and §4. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ks4_pipeline.quality.measures import (
    CANCELLED,
    OVERLAPPING,
    PROGRESS8,
    PUPILS,
    SCORES,
    STANDARD_NAMES,
    WITHOUT_PRIOR_ATTAINMENT,
)

if TYPE_CHECKING:
    from ks4_pipeline.settings import NoteSetting

BREAK = "break"
NOT_COMPARABLE = "not_comparable"
NOT_COMPARED = "not_compared"
NOT_PUBLISHED = "not_published"
COVERAGE = "coverage"
OVERLAP = "overlap"
ROUNDING = "rounding"
RESTATED = "restated"

KINDS: Mapping[str, str] = {
    BREAK: "the series begins anew here",
    NOT_COMPARABLE: "not to be compared with other periods",
    NOT_COMPARED: "the publisher does not compare with this period",
    NOT_PUBLISHED: "there is no figure, and why",
    COVERAGE: "who is missing",
    OVERLAP: "never to be added up",
    ROUNDING: "how far the figure is rounded",
    RESTATED: "changed by a later version",
}


@dataclass(frozen=True, slots=True)
class Note:
    """One note; what is None means all: see the columns of ``catalogue.notes``."""

    kind: str
    text: str
    source: str
    indicator: str | None = None
    time_period: str | None = None
    geographic_level: str | None = None
    location_code: str | None = None
    location: str | None = None
    filter_column: str | None = None
    filter_option: str | None = None
    version: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether the figures may be compared over time."""
        return self.kind not in {BREAK, NOT_COMPARABLE}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a data set has, in any of its versions.

    Attributes:
        indicators: names of the indicators.
        periods: texts of ``time_period``.
        levels: texts of ``geographic_level``.
        options: by filter column, its options.
    """

    indicators: Collection[str]
    periods: Collection[str]
    levels: Collection[str]
    options: Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class _Fact:
    """A note, and what a data set must have to get it.

    Attributes:
        note: what it says; its period and its level must be in the data set.
        measures: standard names of those it is about, a note each; none: it is about all.
        groups: beginnings of the options of the care group it is about, a note each; none: it is about all.
        needs: standard names of measures the data set must have.
    """

    note: Note
    measures: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_PUBLICATION = "footnotes of the publication"
_METHODOLOGY = "methodology of the publication"
_PROGRESS8 = "DfE, Progress 8 guidance"
_RETURNS = "methodology of the publication: children in need census"
_GROUP = "social_care_group"
# Groups of the year's children in need census; those of looked-after children come from another return.
_CENSUS_GROUPS = ("CIN ", "CINO ", "CPPO ")
_COMPARED = "Its footnotes compare with 2023/24 and 2018/19 only."

_EXAMS = {
    "201920": "Exams were cancelled; grades are centres' assessments or calculated ones, whichever was higher.",
    "202021": "Exams were cancelled; grades are teachers' assessments, on other evidence than the year before.",
}


class _Missing(NamedTuple):
    """An authority without a usable return for some periods."""

    place: str
    code: str
    region: str
    region_code: str
    periods: tuple[str, ...]
    what: str


_MISSING = (
    _Missing("Hackney", "E09000012", "London", "E12000007", ("202021", "202122"), "gave no return"),
    _Missing("Hampshire", "E10000014", "South East", "E12000008", ("202324",), "gave no usable return"),
)


def _no_return(missing: _Missing, period: str) -> Iterator[_Fact]:
    """The authority's own rows have no figures, and the totals above lack its children."""
    what = f"{missing.place} {missing.what} of children in need for this year"
    at = Note(COVERAGE, "", _RETURNS, time_period=period)
    own = {"geographic_level": "Local authority", "location_code": missing.code, "location": missing.place}
    region = {"geographic_level": "Regional", "location_code": missing.region_code, "location": missing.region}
    for where, text in (
        (own, f"{what}: there are no figures."),
        (region, f"{what}: they are in no total."),
        ({"geographic_level": "National"}, f"{what}: they are in no total."),
    ):
        yield _Fact(replace(at, text=text, **where), groups=_CENSUS_GROUPS)


def _facts() -> Iterator[_Fact]:
    for period, how in _EXAMS.items():
        note = Note(NOT_COMPARABLE, f"{how} Not to be compared with any other year.", _PUBLICATION, time_period=period)
        yield _Fact(note, SCORES)
    for period in ("202122", "202223"):
        text = f"The publisher does not compare with this year. {_COMPARED}"
        yield _Fact(Note(NOT_COMPARED, text, _PUBLICATION, time_period=period), (*SCORES, *PROGRESS8))
    for period in CANCELLED:
        text = "There is no Progress 8: exams were cancelled."
        yield _Fact(Note(NOT_PUBLISHED, text, _PROGRESS8, time_period=period), PROGRESS8)
    for period in WITHOUT_PRIOR_ATTAINMENT:
        text = "There is no Progress 8 and nothing in its place: these pupils took no tests at the end of Key Stage 2."
        yield _Fact(Note(NOT_PUBLISHED, text, _PROGRESS8, time_period=period), PROGRESS8)
    for missing in _MISSING:
        for period in missing.periods:
            yield from _no_return(missing, period)
    for level in ("National", "Regional"):
        text = (
            "Counts are rounded to the nearest 10; averages and percentages are made of unrounded numbers, so what you "
            "divide yourself may differ."
        )
        yield _Fact(Note(ROUNDING, text, _METHODOLOGY, geographic_level=level), needs=(PUPILS,))


_FACTS = tuple(_facts())


def facts_about(contents: Contents) -> tuple[Note, ...]:
    """The facts that concern a data set, one note per indicator, period and option where a fact is about some."""
    standard = {STANDARD_NAMES[name.lower()]: name for name in contents.indicators if name.lower() in STANDARD_NAMES}
    facts = _FACTS
    if _GROUP not in contents.options:  # another publication of these measures: only grades and tests are the same
        facts = tuple(fact for fact in _FACTS if fact.note.kind in {NOT_COMPARABLE, NOT_PUBLISHED})
    notes = [note for fact in facts for note in _applied(fact, contents, standard)]
    for column in sorted(OVERLAPPING & contents.options.keys()):
        text = "Groups overlap: a child in one may be in others too. Never add them up; choose one."
        notes.append(Note(OVERLAP, text, _METHODOLOGY, filter_column=column))
    return tuple(notes)


def as_note(setting: NoteSetting) -> Note:
    """A note of the configuration."""
    return Note(**setting.model_dump(exclude={"data_sets"}))


def _applied(fact: _Fact, contents: Contents, standard: Mapping[str, str]) -> list[Note]:
    """The notes that a fact comes to in a data set; ``standard``: its indicators by the standard names."""
    note = fact.note
    if note.time_period not in {None, *contents.periods} or note.geographic_level not in {None, *contents.levels}:
        return []
    if not standard.keys() >= set(fact.needs):
        return []
    notes = [note]
    if fact.groups:
        options = [option for option in contents.options.get(_GROUP, ()) if option.startswith(fact.groups)]
        notes = [replace(note, filter_column=_GROUP, filter_option=option) for option in options]
    if fact.measures:
        names = [standard[measure] for measure in fact.measures if measure in standard]
        notes = [replace(one, indicator=name) for one in notes for name in names]
    return notes
