"""Answers queries: criteria to rows of a version, rows to the page as the service writes it (contract §7.1).

Who may ask is decided in ``api.py``; what a request may look like, in ``query_reading.py``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from pydantic import SkipValidation
from typing_extensions import TypedDict

from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS_BY_LABEL
from ks4_pipeline.sandbox import views
from ks4_pipeline.sandbox.problems import ProblemError, server_error
from ks4_pipeline.sandbox.query_criteria import CriteriaReader, Warned
from ks4_pipeline.sandbox.query_faults import not_found
from ks4_pipeline.sandbox.query_table import LEVEL, TIME, Layout, StoredVersions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from pydantic import JsonValue

    from ks4_pipeline.sandbox.history import Version
    from ks4_pipeline.sandbox.metadata import Location, Metadata
    from ks4_pipeline.sandbox.problems import Fault
    from ks4_pipeline.sandbox.query_request import QueryRequest, Sort

_DEBUG = Warned(
    message="Debug mode is enabled. Do not enable debug mode in a production environment.", code="DebugEnabled"
)
_NO_RESULTS = Warned(
    message="The query did not match any results. You may need to refine your criteria.", code="QueryNoResults"
)


class Result(TypedDict):
    """One row."""

    timePeriod: dict[str, str]
    geographicLevel: str
    locations: dict[str, str]
    filters: dict[str, str]
    values: dict[str, str]


class QueryPage(views.View):
    """The body of an answer; the rows are ours, so they are not looked at again."""

    warnings: tuple[Warned, ...]
    paging: views.Paging
    results: SkipValidation[list[Result]]


class Queries:
    """Answers queries, and keeps what it has imported for the next one."""

    def __init__(self) -> None:
        self._versions = StoredVersions()

    def answer(
        self, data_set_id: UUID, version: Version, metadata: Metadata, asked: QueryRequest, *, is_post: bool
    ) -> QueryPage:
        """The page asked for.

        Raises:
            ProblemError: 400 for unknown indicators or sort fields; 500 for a file the service could not have imported.
        """
        layout = Layout(metadata)
        criteria = CriteriaReader(layout, as_texts=not is_post)
        where = criteria.condition(asked.criteria, "criteria" if is_post else "") if asked.criteria else ""
        wanted = _indicators(layout, asked)
        order = _order(layout, wanted, asked.sorts)
        if faults := [*_unknown(layout, asked), *_unsortable(asked.sorts, order, is_post=is_post)]:
            raise ProblemError(HTTPStatus.BAD_REQUEST, tuple(faults))
        stored = self._versions.of(data_set_id, version, layout)
        total = stored.count(where)
        columns = [TIME, LEVEL, *layout.places, *layout.filters, *wanted]
        sorts = [sql for sql in order.values() if sql] or [f"{TIME} DESC"]
        rows = stored.page(columns, where, sorts, asked.page, asked.page_size)
        warnings = [*criteria.warnings, *([_DEBUG] if asked.debug else []), *([] if total else [_NO_RESULTS])]
        size = asked.page_size
        return QueryPage(
            warnings=tuple(warnings),
            paging=views.Paging(
                page=asked.page, page_size=size, total_results=total, total_pages=int((total - 1) / size) + 1
            ),
            results=list(_Writer(layout, wanted, debug=asked.debug).results(rows)),
        )


def _indicators(layout: Layout, asked: QueryRequest) -> list[str]:
    """The columns of the indicators asked for; all of them when none is named, none for an empty list."""
    if asked.indicators is None:
        return list(layout.indicators)
    return [column for column, known in layout.indicators.items() if known.id in asked.indicators]


def _unknown(layout: Layout, asked: QueryRequest) -> Iterable[Fault]:
    known = {indicator.id for indicator in layout.indicators.values()}
    if missing := [identity for identity in dict.fromkeys(asked.indicators or ()) if identity not in known]:
        message = "One or more indicators could not be found."
        yield not_found("indicators", "IndicatorsNotFound", message, missing)


def _order(layout: Layout, wanted: Sequence[str], sorts: Sequence[Sort] | None) -> dict[Sort, str | None]:
    """The sorts as SQL; None for a field there is not, such as an indicator that is not asked for."""
    fields = {"timePeriod": TIME, "geographicLevel": LEVEL}
    fields |= {f"filter|{known.id}": column for column, known in layout.filters.items()}
    fields |= {f"location|{group.level.code}": column for column, group in layout.places.items()}
    fields |= {f"indicator|{layout.indicators[column].id}": column for column in wanted}
    return {sort: f"{fields[sort.field]} {sort.direction}" if sort.field in fields else None for sort in sorts or ()}


def _unsortable(sorts: Sequence[Sort] | None, order: Mapping[Sort, str | None], *, is_post: bool) -> Iterable[Fault]:
    missing = [sort for sort in dict.fromkeys(sorts or ()) if order[sort] is None]
    if missing:
        items: list[JsonValue] = [
            {"field": sort.field, "direction": sort.direction} if is_post else str(sort) for sort in missing
        ]
        yield not_found("sorts", "SortFieldsNotFound", "One or more sort fields could not be found.", items)


class _Writer:
    """Makes results of stored rows; in debug mode ids are followed by what they stand for."""

    def __init__(self, layout: Layout, wanted: Sequence[str], *, debug: bool) -> None:
        self._periods = [{"code": time.identifier.code, "period": time.period} for time in layout.metadata.chronology]
        self._places = [
            (
                group.level.code,
                ["", *(_place_id(group.level.option_fields, known, debug=debug) for known in group.options)],
            )
            for group in layout.places.values()
        ]
        self._filters = [
            (
                f"{known.id} :: {known.column}" if debug else known.id,
                ["", *(f"{option.id} :: {option.label}" if debug else option.id for option in known.options)],
            )
            for known in layout.filters.values()
        ]
        indicators = [layout.indicators[column] for column in wanted]
        self._values = [f"{known.id} :: {known.column}" if debug else known.id for known in indicators]

    def results(self, rows: Iterable[Sequence[object]]) -> Iterable[Result]:
        """The rows of a page."""
        first_filter = 2 + len(self._places)
        first_value = first_filter + len(self._filters)
        for row in rows:
            level = GEOGRAPHIC_LEVELS_BY_LABEL.get(str(row[1]))
            if level is None:  # capitals of their own: the service fails on them (contract §7.4, at the end)
                raise server_error()
            yield {
                "timePeriod": self._periods[int(str(row[0])) - 1],
                "geographicLevel": level.code,
                "locations": _named(self._places, row[2:first_filter]),
                "filters": _named(self._filters, row[first_filter:first_value]),
                "values": dict(zip(self._values, map(str, row[first_value:]), strict=True)),
            }


def _named(known: Sequence[tuple[str, Sequence[str]]], numbers: Sequence[object]) -> dict[str, str]:
    """What numbers stand for; 0 is left out."""
    return {
        name: ids[number]
        for (name, ids), number in zip(known, numbers, strict=True)
        if isinstance(number, int) and number
    }


def _place_id(fields: Sequence[str], known: Location, *, debug: bool) -> str:
    if not debug:
        return known.id
    codes = ", ".join(f"{field} = {code}" for field, code in zip(fields, known.place.codes, strict=True))
    return f"{known.id} :: {known.place.name}" + (f" ({codes})" if codes else "")
