"""What the API answers, as typed, frozen models: ``/v1`` as of contract §2.3, §3.1, §4.1 and §5.1.

The API leaves null properties out and may add new ones: every field it may omit has a default, unknown fields are
ignored. Ids are unique within their kind only (contract §5.6).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from ks4_pipeline.versions import VersionNumber


class EesModel(BaseModel):
    """camelCase outside, snake_case here; frozen; new fields of the API do no harm."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        arbitrary_types_allowed=True,
    )


def _version_number(value: object) -> object:
    return VersionNumber.parse(value) if isinstance(value, str) else value


def _moment(value: object) -> object:
    """A text by the standard alone: pydantic would read bare digits as seconds."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _of_an_era(value: datetime) -> datetime:
    if not _ERA[0] <= value.year <= _ERA[1]:
        raise ValueError("a year that is not of our era")
    return value


_ERA = (1900, 2999)  # near the ends of the calendar a change of time zone is an error
Number = Annotated[VersionNumber, BeforeValidator(_version_number), PlainSerializer(str)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_of_an_era)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Model = TypeVar("Model", bound=EesModel)


class Paging(EesModel):
    """Where a page stands. ``total_pages`` is 1 when there are no results."""

    page: Count
    page_size: Count
    total_results: Count
    total_pages: Count


class Page(EesModel, Generic[Model]):
    """One page of a list."""

    paging: Paging
    results: tuple[Model, ...]


class File(EesModel):
    """The publisher's data file; patches inherit its id, so it does not identify a version."""

    id: str


class Release(EesModel):
    """The statistical release a version belongs to; its title can be edited after publication."""

    title: str
    slug: str


class TimeRange(EesModel):
    """First and last time period, as labels."""

    start: str
    end: str


class LatestVersion(EesModel):
    """The version published last, as the data-set summary tells it: without status, type, notes or release."""

    version: Number
    published: Moment | None = None
    total_results: Count


class DataSetSummary(EesModel):
    """A data set as ``GET /data-sets/{id}`` tells it."""

    id: str
    title: str
    summary: str = ""
    status: str
    superseding_data_set_id: str | None = None
    latest_version: LatestVersion | None = None


class VersionRecord(EesModel):
    """One published version, as the versions list and ``/versions/{version}`` tell it.

    ``status`` is Published, Deprecated or Withdrawn (Draft with a preview token); only the first is eligible for a
    channel. ``total_results`` is the number of rows of the version's CSV.
    """

    version: Number
    type: str
    status: str
    published: Moment | None = None
    withdrawn: Moment | None = None
    notes: str = ""
    total_results: Count
    file: File | None = None
    release: Release | None = None
    time_periods: TimeRange | None = None
    geographic_levels: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether wildcards, and so our channels, may choose it (contract §3.3)."""
        return self.status == "Published"


class FilterOption(EesModel):
    """A value a filter's cells may have."""

    id: str
    label: str


class Filter(EesModel):
    """A column that breaks the figures down."""

    id: str
    column: str
    label: str
    hint: str = ""
    options: tuple[FilterOption, ...] = ()


class Indicator(EesModel):
    """A column of figures. ``unit`` absent or empty: none; ``string``: text, not a number (contract §5.3)."""

    id: str
    column: str
    label: str
    unit: str | None = None
    decimal_places: Annotated[int, Field(ge=-99, le=99)] | None = None

    @property
    def is_text(self) -> bool:
        """Whether the publisher means its cells as text."""
        return self.unit == "string"


class GeographicLevel(EesModel):
    """A level such as ``NAT`` National."""

    code: str
    label: str


class Location(EesModel):
    """A place. Which codes it has depends on its level (contract §5.4)."""

    id: str
    label: str
    code: str | None = None
    old_code: str | None = None
    urn: str | None = None
    la_estab: str | None = None
    ukprn: str | None = None


class LocationGroup(EesModel):
    """The places of one level."""

    level: GeographicLevel
    options: tuple[Location, ...] = ()


class TimePeriod(EesModel):
    """A period such as code ``AY``, period ``2020/2021``, label ``2020/21``. ``/meta`` does not order them by time."""

    code: str
    period: str
    label: str


class Meta(EesModel):
    """What a version's columns, options, places and periods are: ``/meta`` of an exact version."""

    filters: tuple[Filter, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    geographic_levels: tuple[GeographicLevel, ...] = ()
    locations: tuple[LocationGroup, ...] = ()
    time_periods: tuple[TimePeriod, ...] = ()


class State(EesModel):
    """One side of a change. The kinds differ in their fields, so all of them are kept as the API sent them."""

    model_config = ConfigDict(extra="allow")


class Change(EesModel):
    """An addition (only ``current_state``), a deletion (only ``previous_state``) or an update (both)."""

    current_state: State | None = None
    previous_state: State | None = None

    @property
    def action(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.previous_state is None:
            return "added"
        return "changed" if self.current_state is not None else "removed"


class FilterOptionChanges(EesModel):
    """Changes among the options of one filter."""

    filter: State
    options: tuple[Change, ...] = ()


class LocationOptionChanges(EesModel):
    """Changes among the places of one level."""

    level: State
    options: tuple[Change, ...] = ()


class ChangeSet(EesModel):
    """The seven lists of changes; each is absent when empty."""

    filters: tuple[Change, ...] = ()
    filter_options: tuple[FilterOptionChanges, ...] = ()
    geographic_levels: tuple[Change, ...] = ()
    indicators: tuple[Change, ...] = ()
    location_groups: tuple[Change, ...] = ()
    location_options: tuple[LocationOptionChanges, ...] = ()
    time_periods: tuple[Change, ...] = ()


class VersionChanges(EesModel):
    """What the publisher says a version changed in the *metadata*; never anything about values (contract §4.3)."""

    version_number: Number
    notes: str = ""
    major_changes: ChangeSet = ChangeSet()
    minor_changes: ChangeSet = ChangeSet()


class Changes(VersionChanges):
    """``/changes`` of a version, with those of the patches before it when it is a patch."""

    patch_history: tuple[VersionChanges, ...] = ()


class ErrorItem(EesModel):
    """One entry of a validation problem."""

    message: str = ""
    path: str | None = None
    code: str | None = None


class Problem(EesModel):
    """The body of an error, when the server sent one."""

    title: str = ""
    errors: tuple[ErrorItem, ...] = ()
