"""Reads a query from a request: GET's query string, or POST's JSON body (contract §2.0, §7.2, §7.3).

Both give a :class:`QueryRequest` and the version asked for, or are refused with 400 before anything is looked up.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from ks4_pipeline.sandbox import problems
from ks4_pipeline.sandbox import query_faults as faults
from ks4_pipeline.sandbox.parameters import ParameterReader
from ks4_pipeline.sandbox.problems import Fault, ProblemError
from ks4_pipeline.sandbox.query_request import (
    DEFAULT_PAGE_SIZE,
    MOST_PER_PAGE,
    AnyLocation,
    Comparisons,
    Facets,
    PeriodComparisons,
    QueryRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_Parsed = TypeVar("_Parsed")
_SINGLE, _LISTS = ("eq", "notEq"), ("in", "notIn")
_ORDERED = ("gt", "gte", "lt", "lte")
_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)


def read_get(items: Iterable[tuple[str, str]]) -> tuple[str | None, QueryRequest]:
    """The version asked for, and the query.

    Raises:
        ProblemError: 400 for whatever is wrong with the query string.
    """
    parameters = ParameterReader(items)
    wanted = parameters.text("dataSetVersion")
    filters = _facet(parameters, "filters", faults.of_option)
    levels = _facet(parameters, "geographicLevels", faults.of_level)
    locations = _facet(parameters, "locations", faults.of_location_text)
    periods = _facet(parameters, "timePeriods", faults.of_period_text, _ORDERED)
    indicators = _list(parameters, "indicators", lambda at, text: faults.of_text(at, text, faults.LONGEST_FIELD))
    sorts = _list(parameters, "sorts", faults.of_sort_text)
    debug = parameters.flag("debug")
    page, size = parameters.page(), parameters.page_size(DEFAULT_PAGE_SIZE, MOST_PER_PAGE)
    parameters.finish()
    return wanted, QueryRequest(
        criteria=Facets(
            filters=Comparisons[str].model_validate(filters) if filters else None,
            geographic_levels=Comparisons[str].model_validate(levels) if levels else None,
            locations=(
                Comparisons[AnyLocation].model_validate(_each(locations, faults.location_from)) if locations else None
            ),
            time_periods=PeriodComparisons.model_validate(_each(periods, faults.period_from)) if periods else None,
        ),
        indicators=indicators,
        sorts=None if sorts is None else tuple(map(faults.sort_from, sorts)),
        debug=debug,
        page=page,
        page_size=size,
    )


def read_post(items: Iterable[tuple[str, str]], body: bytes) -> tuple[str | None, QueryRequest]:
    """The same for a POST; no body asks for everything.

    Raises:
        ProblemError: 400 for whatever is wrong with the body, or for a parameter other than the version.
    """
    parameters = ParameterReader(items)
    wanted = parameters.text("dataSetVersion")
    parameters.finish()
    request = _body(body)
    found = [request] if isinstance(request, Fault) else faults.faults_of(request)
    if found or isinstance(request, Fault):
        raise ProblemError(HTTPStatus.BAD_REQUEST, tuple(found))
    return wanted, request


def _body(body: bytes) -> QueryRequest | Fault:
    """The body read, or the first fault: the service's JSON reader stops there."""
    try:
        text = _STRING_OR_COMMENT.sub(lambda match: match[1] or " ", body.decode("utf-8-sig"))
        given = from_json(text, allow_inf_nan=False) if text.strip() else None
        return QueryRequest() if given is None else QueryRequest.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = _path(first["loc"])
        match first["type"]:
            case "extra_forbidden":
                return problems.unknown_field(path)
            case "missing":
                return Fault(message="A value is required for this field.", path=path, code="RequiredValue")
        return problems.invalid_value(path)
    except ValueError:  # not UTF-8, or not JSON
        return problems.invalid_value("$")


def _path(location: Sequence[str | int]) -> str:
    """``criteria.and[0].filters.eq``; what is in angle brackets is a tag of ours."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if not str(part).startswith("<"))
    return "".join(parts).removeprefix(".") or "$"


def _facet(
    parameters: ParameterReader,
    facet: str,
    check: Callable[[str, str], Iterable[Fault]],
    more: Sequence[str] = (),
) -> dict[str, str | tuple[str, ...]]:
    """The comparisons of a facet that are given, as texts."""
    given: dict[str, str | tuple[str, ...]] = {}
    for name in (*_SINGLE, *more):
        text = parameters.text(f"{facet}.{name}")
        if text is not None:
            given[name] = text
            parameters.refuse(check(f"{facet}.{name}", text))
    for name in _LISTS:
        texts = _list(parameters, f"{facet}.{name}", check)
        if texts is not None:
            given[name] = texts
    return given


def _list(
    parameters: ParameterReader, name: str, check: Callable[[str, str], Iterable[Fault]]
) -> tuple[str, ...] | None:
    texts = parameters.many(name)
    if texts is not None:
        parameters.refuse(faults.of_list(name, texts, check))
    return texts


def _each(
    given: dict[str, str | tuple[str, ...]], parse: Callable[[str], _Parsed]
) -> dict[str, _Parsed | tuple[_Parsed, ...]]:
    return {name: parse(value) if isinstance(value, str) else tuple(map(parse, value)) for name, value in given.items()}
