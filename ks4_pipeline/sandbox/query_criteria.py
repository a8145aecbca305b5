"""Criteria as SQL over a version's stored rows, and the warnings about what the version does not have.

The rules that surprise are the service's (contract §7.4): ``in`` over two filters means either, parts of facets inside
``not`` are joined by OR, a code means the first place that has it, what is not found makes its comparison false, or
true when it is a negation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import JsonValue

from ks4_pipeline.ees.vocabulary import TIME_IDENTIFIERS_BY_CODE, YearFormat
from ks4_pipeline.sandbox.problems import server_error
from ks4_pipeline.sandbox.query_request import And, Comparisons, Facets, Location, Not, Or, Period
from ks4_pipeline.sandbox.query_table import LEVEL, TIME
from ks4_pipeline.sandbox.views import View
from ks4_pipeline.warehouse.sql import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from ks4_pipeline.sandbox.query_request import Criteria
    from ks4_pipeline.sandbox.query_table import Layout

    _Item = TypeVar("_Item")

_COMPARISONS = {"eq": "=", "notEq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEGATIONS = ("notEq", "notIn")
Place = tuple[str, str]
"""A column of the stored rows, and the value in it, as SQL."""


class Warned(View):
    """One entry of an answer's ``warnings``."""

    message: str
    path: str | None = None
    code: str
    detail: dict[str, JsonValue] | None = None


class CriteriaReader:
    """Turns criteria into a condition, and gathers warnings.

    Args:
        layout: of the version's rows.
        as_texts: whether warnings name places and periods as a GET spells them.
    """

    def __init__(self, layout: Layout, *, as_texts: bool) -> None:
        self.warnings: list[Warned] = []
        self._layout = layout
        self._as_texts = as_texts
        self._options: dict[str, Place] = {
            option.id: (column, str(number))
            for column, known in layout.filters.items()
            for number, option in enumerate(known.options, 1)
        }
        self._places: dict[tuple[str, str], dict[str, Place]] = {}
        self._levels = {level.code: (LEVEL, literal(level.label)) for level in layout.metadata.levels}

    def condition(self, criteria: Criteria, path: str, joint: str = "AND") -> str:
        """The condition; an empty text for criteria that say nothing.

        Raises:
            ProblemError: 500 where nothing is to be combined with something: the service makes ``()`` of it.
        """
        match criteria:
            case Facets():
                return f" {joint} ".join(filter(None, self._facets(criteria, path)))
            case And():
                return self._combined(criteria.and_, f"{path}.and" if path else "and", "AND")
            case Or():
                return self._combined(criteria.or_, f"{path}.or" if path else "or", "OR")
            case Not():
                return "NOT " + _wrapped(self.condition(criteria.not_, f"{path}.not" if path else "not", "OR"))

    def _combined(self, parts: Sequence[Criteria], path: str, joint: str) -> str:
        conditions = [self.condition(part, f"{path}[{index}]") for index, part in enumerate(parts)]
        return conditions[0] if len(conditions) == 1 else f" {joint} ".join(map(_wrapped, conditions))

    def _facets(self, facets: Facets, path: str) -> Iterable[str]:
        prefix = f"{path}." if path else ""
        yield self._facet(f"{prefix}filters", facets.filters, self._options.get, "Filters", "filters")
        yield self._facet(
            f"{prefix}geographicLevels", facets.geographic_levels, self._levels.get, "GeographicLevels",
            "geographic levels",
        )  # fmt: skip
        yield self._facet(f"{prefix}locations", facets.locations, self._place, "Locations", "locations")
        yield self._facet(f"{prefix}timePeriods", facets.time_periods, self._period, "TimePeriods", "time periods")

    def _facet(
        self,
        path: str,
        comparisons: Comparisons[_Item] | None,
        find: Callable[[_Item], Place | None],
        kind: str,
        words: str,
    ) -> str:
        """The comparisons of one facet, which must all hold."""
        if comparisons is None:
            return ""
        parts = []
        for name, items in [(n, (item,)) for n, item in comparisons.single()] + list(comparisons.lists()):
            distinct = tuple(dict.fromkeys(items))
            found = [place for item in distinct if (place := find(item))]
            missing = [item for item in distinct if find(item) is None]
            if missing:
                message = f"One or more {words} could not be found."
                detail: dict[str, JsonValue] = {"items": [self._shown(item) for item in missing]}
                self.warnings.append(
                    Warned(message=message, path=f"{path}.{name}", code=f"{kind}NotFound", detail=detail)
                )
            parts.append(_comparison(name, found))
        return " AND ".join(parts)

    def _place(self, asked: Location) -> Place | None:
        """The first place that has the id or code; codes need not be unique, and only one is taken (contract §7.4)."""
        by = (asked.level, asked.named_by)
        if by not in self._places:
            self._places[by] = self._indexed(*by)
        return self._places[by].get(asked.value)

    def _indexed(self, level: str, named_by: str) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for column, group in self._layout.places.items():
            if group.level.code != level:
                continue
            fields = group.level.option_fields
            for number, known in enumerate(group.options, 1):
                own = dict(zip(fields, known.place.codes, strict=True)) | {"id": known.id}
                if named_by in own:
                    found.setdefault(own[named_by], (column, str(number)))
        return found

    def _period(self, asked: Period) -> Place | None:
        """A bare year of a kind that spans two means that year and the next (contract §7.4)."""
        period = asked.period
        if "/" not in period and TIME_IDENTIFIERS_BY_CODE[asked.code].year_format is not YearFormat.DEFAULT:
            period = f"{period}/{int(period) + 1:04}"
        number = self._layout.periods.get((asked.code, period))
        return (TIME, str(number)) if number else None

    def _shown(self, item: object) -> JsonValue:
        match item:
            case Location():
                return str(item) if self._as_texts else {"level": item.level, item.named_by: item.value}
            case Period():
                return str(item) if self._as_texts else {"period": item.period, "code": item.code}
        return str(item)


def _comparison(name: str, found: Sequence[Place]) -> str:
    negation = name in _NEGATIONS
    if not found:
        return "true" if negation else "false"
    if name in _COMPARISONS:
        ((column, value),) = found
        return f"{column} {_COMPARISONS[name]} {value}"
    by_column: dict[str, list[str]] = {}
    for column, value in found:
        by_column.setdefault(column, []).append(value)
    operator, joint = ("NOT IN", " AND ") if negation else ("IN", " OR ")
    parts = [f"{column} {operator} ({', '.join(values)})" for column, values in by_column.items()]
    return f"({joint.join(parts)})"


def _wrapped(condition: str) -> str:
    if not condition:
        raise server_error()
    return f"({condition})"
