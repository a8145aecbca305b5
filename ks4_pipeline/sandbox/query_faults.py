"""What may be wrong with a query whose shape is right, told in the service's words (contract §2.4, §7.2, §7.3).

In a POST an object's member is named (``criteria.locations.eq.code``); in a GET places and periods are texts, so the
parameter is. Nothing here looks at a data set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from ks4_pipeline.ees.vocabulary import (
    GEOGRAPHIC_LEVELS_BY_CODE,
    TIME_IDENTIFIERS,
    TIME_IDENTIFIERS_BY_CODE,
    YearFormat,
)
from ks4_pipeline.sandbox import problems
from ks4_pipeline.sandbox.problems import Fault
from ks4_pipeline.sandbox.query_request import (
    DIRECTIONS,
    LOCATIONS,
    MOST_PER_PAGE,
    And,
    Comparisons,
    Facets,
    Location,
    Not,
    Or,
    Period,
    QueryRequest,
    Sort,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic import JsonValue

    from ks4_pipeline.sandbox.query_request import Criteria

Item = TypeVar("Item")

LONGEST_FIELD = 40
_LONGEST = {"id": 10, "code": 30, "oldCode": 20, "urn": 20, "laEstab": 20, "ukprn": 20}
_LEVELS = tuple(sorted(GEOGRAPHIC_LEVELS_BY_CODE))
_CODES = tuple(sorted(TIME_IDENTIFIERS_BY_CODE))
_RANGE_CODES = tuple(
    sorted(known.code for known in TIME_IDENTIFIERS if known.year_format in {YearFormat.ACADEMIC, YearFormat.FISCAL})
)
_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_LOCATION = re.compile(r"[^|]*\|[^|]*\|[^|]*")
_PERIOD = re.compile(r"[^|]*\|[^|]*")
_SORT = re.compile(r"[^|]*(\|[^|]*)?\|[A-Za-z]+", re.ASCII)


def faults_of(request: QueryRequest) -> list[Fault]:
    """All faults of a POST's body."""
    found = list(faults_of_criteria(request.criteria, "criteria")) if request.criteria else []
    for index, identity in enumerate(request.indicators or ()):
        found += of_text(f"indicators[{index}]", identity, LONGEST_FIELD)
    if request.sorts is not None:
        found += of_list("sorts", request.sorts, _of_sort)
    if request.page < 1:
        found.append(problems.too_small("page", request.page, 1))
    if not 1 <= request.page_size <= MOST_PER_PAGE:
        found.append(problems.not_between("pageSize", request.page_size, 1, MOST_PER_PAGE))
    return found


def faults_of_criteria(criteria: Criteria, path: str) -> Iterator[Fault]:
    """The faults of criteria at a path such as ``criteria.and[0]``."""
    match criteria:
        case And():
            yield from of_list(f"{path}.and", criteria.and_, lambda at, part: faults_of_criteria(part, at))
        case Or():
            yield from of_list(f"{path}.or", criteria.or_, lambda at, part: faults_of_criteria(part, at))
        case Not():
            yield from faults_of_criteria(criteria.not_, f"{path}.not")
        case Facets():
            yield from of_comparisons(f"{path}.filters", criteria.filters, of_option)
            yield from of_comparisons(f"{path}.geographicLevels", criteria.geographic_levels, of_level)
            yield from of_comparisons(f"{path}.locations", criteria.locations, _of_location)
            yield from of_comparisons(f"{path}.timePeriods", criteria.time_periods, _of_period)


def of_comparisons(
    path: str, comparisons: Comparisons[Item] | None, check: Callable[[str, Item], Iterable[Fault]]
) -> Iterator[Fault]:
    """The faults of one facet."""
    if comparisons is None:
        return
    for name, item in comparisons.single():
        yield from check(f"{path}.{name}", item)
    for name, items in comparisons.lists():
        yield from of_list(f"{path}.{name}", items, check)


def of_list(path: str, items: tuple[Item, ...], check: Callable[[str, Item], Iterable[Fault]]) -> Iterator[Fault]:
    """An empty list is a fault; so is what is wrong with its items."""
    if not items:
        yield _not_empty(path, [])
    for index, item in enumerate(items):
        yield from check(f"{path}[{index}]", item)


def of_text(path: str, value: str, most: int) -> Iterator[Fault]:
    """A text that must be there and have no more than so many characters."""
    if not value.strip():
        yield _not_empty(path, value)
    if len(value) > most:
        message = f"Must be {most} characters or fewer (was {len(value)})."
        yield _fault(path, "MaximumLength", message, maxLength=most, totalLength=len(value), value=value)


def of_option(path: str, value: str) -> Iterator[Fault]:
    """The id of a filter option."""
    return of_text(path, value, _LONGEST["id"])


def of_level(path: str, value: str) -> Iterator[Fault]:
    """The code of a level."""
    if value not in GEOGRAPHIC_LEVELS_BY_CODE:
        yield problems.not_allowed(path, value, _LEVELS)


def _of_location(path: str, location: Location) -> Iterator[Fault]:
    yield from of_level(f"{path}.level", location.level)
    yield from of_text(f"{path}.{location.named_by}", location.value, _LONGEST[location.named_by])


def of_location_text(path: str, text: str) -> Iterator[Fault]:
    """A GET's ``LEVEL|property|value``."""
    if not _LOCATION.fullmatch(text):
        expected = "{level}|{property}|{value}"
        yield _fault(
            path, "LocationFormat", "Must be a location in the correct format.", value=text, expectedFormat=expected
        )
        return
    level, name, value = text.split("|")
    known = GEOGRAPHIC_LEVELS_BY_CODE.get(level)
    if known is None:
        message = "Must be a location with an allowed level."
        yield _fault(path, "LocationAllowedLevel", message, value=level, allowedLevels=list(_LEVELS))
    elif name not in known.query_properties:
        message = "Must be a location with an allowed identifying property."
        allowed: list[JsonValue] = list(known.query_properties)
        yield _fault(path, "LocationAllowedProperty", message, value=name, allowedProperties=allowed)
    elif not value.strip():
        message = f"Must be a location with '{name}' that is not empty."
        yield _fault(path, "LocationValueNotEmpty", message, property=name, value=value)
    elif len(value) > _LONGEST[name]:
        message = f"Must be a location with '{name}' that is {_LONGEST[name]} characters or fewer."
        yield _fault(path, "LocationValueMaxLength", message, property=name, maxLength=_LONGEST[name], value=value)


def location_from(text: str) -> Location:
    """A GET's location that has no faults."""
    level, name, value = text.split("|")
    return LOCATIONS[name].model_validate({"level": level, name: value})


def _of_period(path: str, period: Period) -> Iterator[Fault]:
    return _period_faults(f"{path}.code", f"{path}.period", period)


def of_period_text(path: str, text: str) -> Iterator[Fault]:
    """A GET's ``period|code``."""
    if _PERIOD.fullmatch(text):
        yield from _period_faults(path, path, period_from(text))
    else:
        message = "Must be a time period in the correct format."
        yield _fault(path, "TimePeriodFormat", message, value=text, expectedFormat="{period}|{code}")


def period_from(text: str) -> Period:
    """A GET's period in the right format."""
    period, _, code = text.partition("|")
    return Period(period=period, code=code)


def _period_faults(code_path: str, period_path: str, asked: Period) -> Iterator[Fault]:
    """The code first; only a right one has the years looked at. A range needs a code whose years span two."""
    first, slash, second = asked.period.partition("/")
    allowed = _RANGE_CODES if slash else _CODES
    if asked.code not in allowed:
        message = "Must be a time period with an allowed code."
        yield _fault(code_path, "TimePeriodAllowedCode", message, value=asked.code, allowedCodes=list(allowed))
    elif not slash and not _YEAR.fullmatch(first):
        message = "Must be a time period for a valid year."
        yield _fault(period_path, "TimePeriodInvalidYear", message, value=asked.period)
    elif slash and not (_YEAR.fullmatch(first) and _YEAR.fullmatch(second) and int(first) + 1 == int(second)):
        message = "Must be a valid time period range where the start year is one year before the end year."
        yield _fault(period_path, "TimePeriodInvalidYearRange", message, value=asked.period)


def _of_sort(path: str, sort: Sort) -> Iterator[Fault]:
    yield from of_text(f"{path}.field", sort.field, LONGEST_FIELD)
    if sort.direction not in DIRECTIONS:
        yield problems.not_allowed(f"{path}.direction", sort.direction, DIRECTIONS)


def of_sort_text(path: str, text: str) -> Iterator[Fault]:
    """A GET's ``field|Asc``."""
    if not _SORT.fullmatch(text):
        message = "Must be a sort in the correct format."
        yield _fault(path, "SortFormat", message, value=text, expectedFormat="{field}|{direction}")
        return
    sort = sort_from(text)
    if not sort.field:
        yield _fault(path, "SortFieldNotEmpty", "Must be a sort with a field that is not empty.", value=text)
    elif len(sort.field) > LONGEST_FIELD:
        message = f"Must be a sort with a field that is {LONGEST_FIELD} characters or fewer."
        yield _fault(path, "SortFieldMaxLength", message, value=sort.field, maxLength=LONGEST_FIELD)
    if sort.direction not in DIRECTIONS:
        message = "Must be a sort in an allowed direction."
        yield _fault(path, "SortDirection", message, value=sort.direction, allowedDirections=list(DIRECTIONS))


def sort_from(text: str) -> Sort:
    """A GET's sort in the right format."""
    field, _, direction = text.rpartition("|")
    return Sort(field=field, direction=direction)


def not_found(path: str, code: str, message: str, items: Iterable[JsonValue]) -> Fault:
    """Indicators or sort fields that the version does not have."""
    return _fault(path, code, message, items=list(items))


def _not_empty(path: str, value: JsonValue) -> Fault:
    return _fault(path, "NotEmpty", "Must not be empty.", value=value)


def _fault(path: str, code: str, message: str, **detail: JsonValue) -> Fault:
    return Fault(message=message, path=path, code=code, detail=dict(detail))
