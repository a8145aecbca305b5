"""The publisher's closed word lists: time identifiers and geographic levels, and the texts the API makes of them.

These are facts of the service (contract §9), the same for every data set, so they live here once: the sandbox
speaks them and the pipeline's catalogue explains them. Nothing here reads a file or knows a particular data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class YearFormat(StrEnum):
    """How a year is written: academic 2020/21, fiscal 2020-21, default 2020 (contract §9.1: A, F, D)."""

    ACADEMIC = "Academic"
    FISCAL = "Fiscal"
    DEFAULT = "Default"


class TimeCategory(StrEnum):
    """The family a time identifier belongs to."""

    TERM = "Term"
    ACADEMIC_YEAR = "AcademicYear"
    CALENDAR_YEAR = "CalendarYear"
    FINANCIAL_YEAR_PART = "FinancialYearPart"
    FINANCIAL_YEAR = "FinancialYear"
    TAX_YEAR = "TaxYear"
    REPORTING_YEAR = "ReportingYear"
    WEEK = "Week"
    MONTH = "Month"


def period_text(time_period: str) -> str:
    """Write a CSV ``time_period`` as the API's ``period``: ``202021`` as ``2020/2021``, ``2020`` as it is.

    The form follows the digits in the file, not the identifier (contract §5.5). The second year is the one after
    the first, so ``199900`` gives ``1999/2000``. Anything but six digits is given back unchanged.
    """
    if len(time_period) == _SIX_DIGITS and time_period.isascii() and time_period.isdigit():
        first = int(time_period[:4])
        return f"{first:04}/{first + 1:04}"
    return time_period


def csv_time_period(period: str) -> str:
    """Write the API's ``period`` as the CSV's ``time_period``: ``2020/2021`` as ``202021``, ``2020`` as it is."""
    first, _, second = period.partition("/")
    return first + second[2:]


_SIX_DIGITS = 6


@dataclass(frozen=True, slots=True)
class TimeIdentifier:
    """One kind of time period.

    Attributes:
        order: place in the publisher's list; decides chronology inside one period text.
        code: the API's code, e.g. ``AY``.
        label: the text of the CSV's ``time_identifier`` column, e.g. ``Academic year``.
        category: its family.
        year_format: how its year is written in a label.
        suffix: what follows the year in a label, e.g. ``Q1``; empty for whole years.
    """

    order: int
    code: str
    label: str
    category: TimeCategory
    year_format: YearFormat
    suffix: str

    def period_label(self, time_period: str) -> str:
        """Write the label of a period: for ``AY``, ``202021`` (or ``2020``, or ``2020/2021``) gives ``2020/21``.

        Labels do not tell identifiers apart (``FY`` and ``TY``, ``CY`` and ``RY`` share them): keep the code.
        """
        year = time_period[:4]
        if self.year_format is not YearFormat.DEFAULT and year.isascii() and year.isdigit():
            joint = "/" if self.year_format is YearFormat.ACADEMIC else "-"
            year = f"{year}{joint}{(int(year) + 1) % 100:02}"
        return f"{year} {self.suffix}" if self.suffix else year

    def sort_key(self, time_period: str) -> tuple[str, int]:
        """Chronological order: period text, then the identifier's place in the list (contract §5.5)."""
        return (period_text(time_period), self.order)


@dataclass(frozen=True, slots=True)
class GeographicLevel:
    """One geographic level and where its places stand in a CSV.

    Attributes:
        code: the API's code, e.g. ``LA``.
        label: the text of the CSV's ``geographic_level`` column, e.g. ``Local authority``.
        code_columns: CSV columns that hold a place's codes; none for RSC regions.
        name_column: CSV column that holds a place's name.
        option_fields: the members of an API location option that hold those codes, one per code column.
    """

    code: str
    label: str
    code_columns: tuple[str, ...]
    name_column: str
    option_fields: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All CSV columns of the level, codes first."""
        return (*self.code_columns, self.name_column)

    @property
    def query_properties(self) -> tuple[str, ...]:
        """The properties by which ``/query`` finds a place of this level."""
        return ("id", *self.option_fields)


def _time_identifiers() -> Iterator[TimeIdentifier]:
    """Give the 91 identifiers in the publisher's order."""
    category, year = TimeCategory, YearFormat
    quarters = tuple((f"Q{n}", f"Q{n}") for n in range(1, 5))
    months = (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    )  # fmt: skip
    rows: list[tuple[str, str, TimeCategory, YearFormat, str]] = [
        ("T1", "Autumn term", category.TERM, year.ACADEMIC, "Autumn term"),
        ("T2", "Spring term", category.TERM, year.ACADEMIC, "Spring term"),
        ("T1T2", "Autumn and spring term", category.TERM, year.ACADEMIC, "Autumn and spring term"),
        ("T3", "Summer term", category.TERM, year.ACADEMIC, "Summer term"),
    ]

    def whole_year(code: str, label: str, family: TimeCategory, form: YearFormat) -> None:
        rows.append((code, label, family, form, ""))
        rows.extend((f"{code}{short}", f"{label} {short}", family, form, text) for short, text in quarters)

    whole_year("AY", "Academic year", category.ACADEMIC_YEAR, year.ACADEMIC)
    whole_year("CY", "Calendar year", category.CALENDAR_YEAR, year.DEFAULT)
    part = category.FINANCIAL_YEAR_PART
    rows.append(("P1", "Part 1 (April to September)", part, year.FISCAL, "Part 1 (Apr to Sep)"))
    rows.append(("P2", "Part 2 (October to March)", part, year.FISCAL, "Part 2 (Oct to Mar)"))
    whole_year("FY", "Financial year", category.FINANCIAL_YEAR, year.FISCAL)
    whole_year("TY", "Tax year", category.TAX_YEAR, year.FISCAL)
    rows.append(("RY", "Reporting year", category.REPORTING_YEAR, year.DEFAULT, ""))
    rows.extend((f"W{n}", f"Week {n}", category.WEEK, year.DEFAULT, f"Week {n}") for n in range(1, 53))
    rows.extend((f"M{n}", name, category.MONTH, year.DEFAULT, name) for n, name in enumerate(months, start=1))
    return (TimeIdentifier(order, *row) for order, row in enumerate(rows))


def _coded(code: str, label: str, code_column: str, name_column: str, option_field: str = "code") -> GeographicLevel:
    return GeographicLevel(code, label, (code_column,), name_column, (option_field,))


def _geographic_levels() -> Iterator[GeographicLevel]:
    """Give the 19 levels in order of label."""

    def plain(code: str, label: str, stem: str, code_suffix: str = "code") -> GeographicLevel:
        return _coded(code, label, f"{stem}_{code_suffix}", f"{stem}_name")

    yield plain("EDA", "English devolved area", "english_devolved_area")
    yield plain("INST", "Institution", "institution", "id")
    yield GeographicLevel("LA", "Local authority", ("new_la_code", "old_la_code"), "la_name", ("code", "oldCode"))
    yield plain("LAD", "Local authority district", "lad")
    yield plain("LEP", "Local enterprise partnership", "local_enterprise_partnership")
    yield plain("LSIP", "Local skills improvement plan area", "lsip")
    yield plain("MAT", "MAT", "trust", "id")
    yield plain("MCA", "Mayoral combined authority", "mayoral_combined_authority")
    yield plain("NAT", "National", "country")
    yield plain("OA", "Opportunity area", "opportunity_area")
    yield plain("PCON", "Parliamentary constituency", "pcon")
    yield plain("PA", "Planning area", "planning_area")
    yield plain("PFA", "Police force area", "pfa")
    yield _coded("PROV", "Provider", "provider_ukprn", "provider_name", "ukprn")
    yield plain("REG", "Regional", "region")
    yield GeographicLevel("RSC", "RSC region", (), "rsc_region_lead_name", ())
    yield GeographicLevel("SCH", "School", ("school_urn", "school_laestab"), "school_name", ("urn", "laEstab"))
    yield plain("SPON", "Sponsor", "sponsor", "id")
    yield plain("WARD", "Ward", "ward")


_Word = TypeVar("_Word")


def _index(words: tuple[_Word, ...], key: Callable[[_Word], str]) -> Mapping[str, _Word]:
    return MappingProxyType({key(word): word for word in words})


TIME_IDENTIFIERS: tuple[TimeIdentifier, ...] = tuple(_time_identifiers())
GEOGRAPHIC_LEVELS: tuple[GeographicLevel, ...] = tuple(_geographic_levels())

TIME_IDENTIFIERS_BY_CODE = _index(TIME_IDENTIFIERS, lambda word: word.code)
TIME_IDENTIFIERS_BY_LABEL = _index(TIME_IDENTIFIERS, lambda word: word.label)
GEOGRAPHIC_LEVELS_BY_CODE = _index(GEOGRAPHIC_LEVELS, lambda word: word.code)
GEOGRAPHIC_LEVELS_BY_LABEL = _index(GEOGRAPHIC_LEVELS, lambda word: word.label)


def time_identifier_of(label: str) -> TimeIdentifier | None:
    """Find the identifier of a CSV ``time_identifier`` cell, whatever its capitals (contract §7.4, at the end)."""
    return TIME_IDENTIFIERS_BY_LABEL.get(label) or _TIME_FOLDED.get(label.casefold())


def geographic_level_of(label: str) -> GeographicLevel | None:
    """Find the level of a CSV ``geographic_level`` cell, whatever its capitals (contract §7.4, at the end)."""
    return GEOGRAPHIC_LEVELS_BY_LABEL.get(label) or _LEVELS_FOLDED.get(label.casefold())


_TIME_FOLDED = _index(TIME_IDENTIFIERS, lambda word: word.label.casefold())
_LEVELS_FOLDED = _index(GEOGRAPHIC_LEVELS, lambda word: word.label.casefold())
