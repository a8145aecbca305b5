"""The bodies of the API's answers as models, and how they are made from metadata and state.

Names are camelCase and nulls are left out when a model is written (contract §2.0); a field that must be there even
when empty is not optional here. Nothing here decides who may see what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, SerializeAsAny
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from datetime import datetime

    from ks4_pipeline.ees.vocabulary import GeographicLevel
    from ks4_pipeline.sandbox.contents import TimePeriod
    from ks4_pipeline.sandbox.history import Publication
    from ks4_pipeline.sandbox.metadata import Filter, Indicator, Location, Metadata
    from ks4_pipeline.sandbox.publisher import DataSetState, VersionState


class View(BaseModel):
    """Base of all bodies."""

    # Built when first needed: many are not, in most sandboxes.
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True)

    def as_json(self) -> bytes:
        """The body as sent."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


_Item = TypeVar("_Item", bound=View)


class Paging(View):
    """Contract §2.0."""

    page: int
    page_size: int
    total_results: int
    total_pages: int


class Page(View, Generic[_Item]):
    """One page of results."""

    paging: Paging
    results: tuple[SerializeAsAny[_Item], ...]


class PublicationView(View):
    """Contract §2.2."""

    id: str
    title: str
    slug: str
    summary: str
    last_published: str


class FileView(View):
    """The data set file a version belongs to."""

    id: str


class ReleaseView(View):
    """The statistical release a version came with."""

    title: str
    slug: str


class TimePeriodRange(View):
    """Labels of the first and the last period."""

    start: str
    end: str


class LatestVersionView(View):
    """The live version as a data set's summary shows it (contract §2.3)."""

    version: str
    published: str | None
    total_results: int
    file: FileView
    time_periods: TimePeriodRange
    geographic_levels: tuple[str, ...]
    filters: tuple[str, ...]
    indicators: tuple[str, ...]


class DataSetView(View):
    """Contract §2.3."""

    id: str
    title: str
    summary: str
    status: str
    superseding_data_set_id: str | None
    latest_version: LatestVersionView | None


class VersionView(LatestVersionView):
    """Contract §3.1."""

    type: str
    status: str
    withdrawn: str | None
    notes: str
    release: ReleaseView


class LevelView(View):
    """A geographic level."""

    code: str
    label: str


class OptionView(View):
    """A filter option."""

    id: str
    label: str


class FilterState(View):
    """A filter without its options."""

    id: str
    column: str
    label: str
    hint: str


class FilterView(FilterState):
    """Contract §5.2."""

    options: tuple[OptionView, ...]


class IndicatorView(View):
    """Contract §5.3."""

    id: str
    column: str
    label: str
    unit: str | None
    decimal_places: int | None


class LocationView(View):
    """A location option; which codes it has tells its kind (contract §5.4)."""

    id: str
    label: str
    code: str | None = None
    old_code: str | None = None
    urn: str | None = None
    la_estab: str | None = None
    ukprn: str | None = None

    @property
    def codes(self) -> tuple[str | None, ...]:
        """All its codes."""
        return (self.code, self.old_code, self.urn, self.la_estab, self.ukprn)


class LocationGroupState(View):
    """A level that has locations."""

    level: LevelView


class LocationGroupView(LocationGroupState):
    """Contract §5.4."""

    options: tuple[LocationView, ...]


class TimePeriodView(View):
    """Contract §5.5."""

    code: str
    period: str
    label: str


class MetaView(View):
    """Contract §5.1."""

    filters: tuple[FilterView, ...]
    indicators: tuple[IndicatorView, ...]
    geographic_levels: tuple[LevelView, ...]
    locations: tuple[LocationGroupView, ...]
    time_periods: tuple[TimePeriodView, ...]


def moment(time: datetime, *, seventh_digit: int | None = None) -> str:
    """Write a moment as the service does: UTC as ``+00:00``, no trailing zeros in the fraction (contract §2.0).

    The publisher's own tables hold microseconds; publications have a seventh digit.
    """
    fraction = f"{time.microsecond:06}" + ("" if seventh_digit is None else str(seventh_digit))
    fraction = fraction.rstrip("0")
    return f"{time:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}+00:00"


def publication_view(publication: Publication, last_published: datetime) -> PublicationView:
    """A publication, last published when the newest of its data sets' live versions was."""
    return PublicationView(
        id=str(publication.id),
        title=publication.title,
        slug=publication.slug,
        summary=publication.summary,
        last_published=moment(last_published, seventh_digit=publication.id.int % 10),
    )


def data_set_view(state: DataSetState, live: LatestVersionView | None) -> DataSetView:
    """A data set's summary."""
    data_set = state.data_set
    superseding = data_set.superseding_data_set_id
    return DataSetView(
        id=str(data_set.id),
        title=data_set.title,
        summary=data_set.summary,
        status=state.status,
        superseding_data_set_id=str(superseding) if superseding else None,
        latest_version=live,
    )


def latest_version_view(state: VersionState, metadata: Metadata) -> LatestVersionView:
    """A live version as the summary shows it: without status, type, notes and release."""
    whole = version_view(state, metadata)
    return LatestVersionView(**{name: getattr(whole, name) for name in LatestVersionView.model_fields})


def version_view(state: VersionState, metadata: Metadata) -> VersionView:
    """A version."""
    chronology = [time_period_view(time).label for time in metadata.chronology] or [""]
    return VersionView(
        version=str(state.number),
        type=state.number.bump.capitalize(),
        status=state.status,
        published=moment(state.published) if state.published else None,
        withdrawn=moment(state.withdrawn) if state.withdrawn else None,
        notes=state.version.entry.notes,
        total_results=metadata.total_results,
        file=FileView(id=str(state.version.file_id)),
        release=ReleaseView(title=state.version.release.title, slug=state.version.release.slug),
        time_periods=TimePeriodRange(start=chronology[0], end=chronology[-1]),
        geographic_levels=tuple(level.label for level in metadata.levels),
        filters=tuple(known.label for known in metadata.filters),
        indicators=tuple(indicator.label for indicator in metadata.indicators),
    )


def level_view(level: GeographicLevel) -> LevelView:
    """A geographic level."""
    return LevelView(code=level.code, label=level.label)


def filter_state(known: Filter, *, hint: bool = True) -> FilterState:
    """A filter without its options, and without its hint where the service forgets it (contract §4.1)."""
    return FilterState(id=known.id, column=known.column, label=known.label, hint=known.hint if hint else "")


def option_views(known: Filter) -> tuple[OptionView, ...]:
    """The options of a filter."""
    return tuple(OptionView(id=option.id, label=option.label) for option in known.options)


def indicator_view(indicator: Indicator) -> IndicatorView:
    """An indicator."""
    return IndicatorView(
        id=indicator.id,
        column=indicator.column,
        label=indicator.label,
        unit=indicator.unit,
        decimal_places=indicator.decimal_places,
    )


def location_view(level: GeographicLevel, location: Location) -> LocationView:
    """A location option with the codes of its level's kind."""
    codes = dict(zip(level.option_fields, location.place.codes, strict=True))
    return LocationView.model_validate({"id": location.id, "label": location.place.name, **codes})


def time_period_view(time: TimePeriod) -> TimePeriodView:
    """A time period."""
    label = time.identifier.period_label(time.period)
    return TimePeriodView(code=time.identifier.code, period=time.period, label=label)


def meta_view(metadata: Metadata, sections: frozenset[str]) -> MetaView:
    """The sections asked for; the others are empty, and locations bring the levels along (contract §5.1)."""
    with_locations = "Locations" in sections
    return MetaView(
        filters=tuple(
            FilterView(**dict(filter_state(known)), options=option_views(known)) for known in metadata.filters
        )
        if "Filters" in sections
        else (),
        indicators=tuple(map(indicator_view, metadata.indicators)) if "Indicators" in sections else (),
        geographic_levels=tuple(map(level_view, metadata.levels)) if with_locations else (),
        locations=tuple(
            LocationGroupView(
                level=level_view(group.level),
                options=tuple(location_view(group.level, option) for option in group.options),
            )
            for group in metadata.locations
        )
        if with_locations
        else (),
        time_periods=tuple(map(time_period_view, metadata.time_periods)) if "TimePeriods" in sections else (),
    )
