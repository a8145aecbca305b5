"""What a query asks, as the service's request objects have it (contract §7.2, §7.3): shape only, nothing checked yet.

GET builds these from its query string, POST's JSON is read straight into them. A shape that does not fit is told by
pydantic; lengths, known codes and the like are :mod:`ks4_pipeline.sandbox.query_faults`' business.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StrictBool, StrictStr, Tag
from pydantic.alias_generators import to_camel

DEFAULT_PAGE_SIZE = 1000
MOST_PER_PAGE = 10_000


def _name(field: str) -> str:
    return to_camel(field.rstrip("_"))


class Asked(BaseModel):
    """Base of all parts of a query: camelCase outside; unknown members are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_name,
        populate_by_name=True,
        defer_build=True,  # most sandboxes are never asked, and start sooner
    )


class Period(Asked):
    """A time period: ``2020`` or ``2020/2021`` and a code."""

    period: StrictStr
    code: StrictStr

    def __str__(self) -> str:
        return f"{self.period}|{self.code}"


class Location(Asked):
    """A place by its id or one of its codes; which one is the only other field of a subclass."""

    level: StrictStr

    @property
    def named_by(self) -> str:
        """``id``, ``code``, ``oldCode``, ``urn``, ``laEstab`` or ``ukprn``."""
        return next(_name(field) for field in type(self).model_fields if field != "level")

    @property
    def value(self) -> str:
        """The id or code."""
        return str(next(value for field, value in self if field != "level"))

    def __str__(self) -> str:
        return f"{self.level}|{self.named_by}|{self.value}"


class ById(Location):
    """By id, which means one place."""

    id: StrictStr


class ByCode(Location):
    """By code."""

    code: StrictStr


class ByOldCode(Location):
    """A local authority by its old code."""

    old_code: StrictStr


class ByUrn(Location):
    """A school by its reference number."""

    urn: StrictStr


class ByLaEstab(Location):
    """A school by its authority's number for it."""

    la_estab: StrictStr


class ByUkprn(Location):
    """A provider by its reference number."""

    ukprn: StrictStr


LOCATIONS: dict[str, type[Location]] = {
    "id": ById,
    "code": ByCode,
    "oldCode": ByOldCode,
    "urn": ByUrn,
    "laEstab": ByLaEstab,
    "ukprn": ByUkprn,
}
_OWN_CODES = {"LA": ("code", "oldCode"), "SCH": ("laEstab", "urn"), "PROV": ("ukprn",)}


def _location_kind(value: object) -> str | None:
    """Which of the kinds an object is read as: the service looks at the level, then for its codes, then for ``code``.

    Without a level it gives up (contract §7.3).
    """
    if isinstance(value, Location):
        return f"<{value.named_by}>"
    if not isinstance(value, dict) or not isinstance(value.get("level"), str):
        return None
    names = (*_OWN_CODES.get(value["level"], ()), "code")
    return f"<{next((name for name in names if name in value), 'id')}>"


AnyLocation = Annotated[
    Annotated[ById, Tag("<id>")]
    | Annotated[ByCode, Tag("<code>")]
    | Annotated[ByOldCode, Tag("<oldCode>")]
    | Annotated[ByUrn, Tag("<urn>")]
    | Annotated[ByLaEstab, Tag("<laEstab>")]
    | Annotated[ByUkprn, Tag("<ukprn>")],
    Discriminator(_location_kind),
]
Item = TypeVar("Item")


class Comparisons(Asked, Generic[Item]):
    """What a facet may be compared with; all that are given must hold."""

    eq: Item | None = None
    not_eq: Item | None = None
    in_: tuple[Item, ...] | None = None
    not_in: tuple[Item, ...] | None = None

    def single(self) -> tuple[tuple[str, Item], ...]:
        """The comparisons with one item that are given, by name."""
        return tuple((name, item) for name, item in (("eq", self.eq), ("notEq", self.not_eq)) if item is not None)

    def lists(self) -> tuple[tuple[str, tuple[Item, ...]], ...]:
        """Those with several."""
        return tuple((name, items) for name, items in (("in", self.in_), ("notIn", self.not_in)) if items is not None)


class PeriodComparisons(Comparisons[Period]):
    """Periods have an order as well."""

    gt: Period | None = None
    gte: Period | None = None
    lt: Period | None = None
    lte: Period | None = None

    def single(self) -> tuple[tuple[str, Period], ...]:
        """See :meth:`Comparisons.single`."""
        ordered = (("gt", self.gt), ("gte", self.gte), ("lt", self.lt), ("lte", self.lte))
        return (*super().single(), *((name, item) for name, item in ordered if item is not None))


class Facets(Asked):
    """The plain criteria."""

    filters: Comparisons[StrictStr] | None = None
    geographic_levels: Comparisons[StrictStr] | None = None
    locations: Comparisons[AnyLocation] | None = None
    time_periods: PeriodComparisons | None = None


class And(Asked):
    """All of them."""

    and_: tuple[Criteria, ...]


class Or(Asked):
    """Any of them."""

    or_: tuple[Criteria, ...]


class Not(Asked):
    """None of it."""

    not_: Criteria


def _criteria_kind(value: object) -> str | None:
    """The service looks for ``and``, then ``or``, then ``not``; anything else is facets (contract §7.3)."""
    if isinstance(value, Asked):
        return f"<{type(value).__name__.lower()}>"
    if not isinstance(value, dict):
        return None
    return f"<{next((name for name in ('and', 'or', 'not') if name in value), 'facets')}>"


Criteria: TypeAlias = Annotated[
    Annotated[And, Tag("<and>")]
    | Annotated[Or, Tag("<or>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[Facets, Tag("<facets>")],
    Discriminator(_criteria_kind),
]


class Sort(Asked):
    """By what to sort, ``Asc`` or ``Desc``."""

    field: StrictStr
    direction: StrictStr

    def __str__(self) -> str:
        return f"{self.field}|{self.direction}"


def _whole_number(value: object) -> object:
    """Whole numbers may come as texts; booleans and fractions are none (contract §7.3)."""
    if isinstance(value, bool | float):
        raise ValueError("not a whole number")  # noqa: TRY004 - pydantic takes only this one
    return value


Number = Annotated[int, BeforeValidator(_whole_number), Field(ge=-(2**31), lt=2**31)]


class QueryRequest(Asked):
    """A whole query. ``indicators`` left out means all of them; an empty list means none."""

    criteria: Criteria | None = None
    indicators: tuple[StrictStr, ...] | None = None
    sorts: tuple[Sort, ...] | None = None
    debug: StrictBool = False
    page: Number = 1
    page_size: Number = DEFAULT_PAGE_SIZE


Direction = Literal["Asc", "Desc"]
DIRECTIONS: tuple[Direction, ...] = ("Asc", "Desc")
And.model_rebuild()
Or.model_rebuild()
Not.model_rebuild()
