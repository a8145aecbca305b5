"""Metadata of a version with its public ids: filters, indicators, levels, locations, time periods.

Made from the description and what the CSV holds. Ids are Sqids of counters, one counter per kind, so the same text is
at once a filter, an indicator and a place, as with the publisher (contract §5.6); from one version to the next they
are kept by the publisher's mapping rules and by the renames a description declares.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from sqids import Sqids

from ks4_pipeline.ees.vocabulary import GEOGRAPHIC_LEVELS_BY_CODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ks4_pipeline.ees.vocabulary import GeographicLevel
    from ks4_pipeline.sandbox.contents import Contents, Place, TimePeriod
    from ks4_pipeline.sandbox.history import Version

_SQIDS = Sqids(alphabet="UjIo1rQXDHTmNsy6p4SlAtO0uqhfCiexFMVc5nG3v2Bbz8dKgWJRa79PZYwkEL", min_length=5)


@dataclass(frozen=True, slots=True)
class Option:
    """A filter option."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter and its options, sorted by label."""

    id: str
    column: str
    label: str
    hint: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator."""

    id: str
    column: str
    label: str
    unit: str | None
    decimal_places: int | None


@dataclass(frozen=True, slots=True)
class Location:
    """A place with its id."""

    id: str
    place: Place


@dataclass(frozen=True, slots=True)
class LocationGroup:
    """The places of one level, sorted by label."""

    level: GeographicLevel
    options: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """All that ``/meta`` and the version object tell of a version, in the publisher's order.

    ``time_periods`` stand in the text order of code, then period, as ``/meta`` gives them (contract §5.5).
    """

    total_results: int
    filters: tuple[Filter, ...]
    indicators: tuple[Indicator, ...]
    levels: tuple[GeographicLevel, ...]
    locations: tuple[LocationGroup, ...]
    time_periods: tuple[TimePeriod, ...]

    @property
    def chronology(self) -> tuple[TimePeriod, ...]:
        """The time periods in order of period text, then code order (contract §3.1)."""
        return tuple(sorted(self.time_periods, key=lambda time: time.identifier.sort_key(time.period)))


class IdSource:
    """Where new ids come from: one counter per kind, and one table of places for all data sets (contract §5.6)."""

    def __init__(self) -> None:
        self._counters: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        self._places: dict[tuple[tuple[str, ...], Place], str] = {}

    def new(self, kind: str) -> str:
        """The next id of a kind."""
        return _SQIDS.encode([next(self._counters[kind])])

    def of_place(self, level: GeographicLevel, place: Place) -> str:
        """The id of a place, the same wherever it appears; places of unlike option kinds are never the same."""
        key = (level.option_fields, place)
        if key not in self._places:
            self._places[key] = self.new("location")
        return self._places[key]


def metadata_of(version: Version, contents: Contents, before: Metadata | None, ids: IdSource) -> Metadata:
    """Make the metadata of a version; ``before`` are those of its predecessor, from which it keeps ids.

    Filters need their column in the file (contract §5.2). Indicators are taken as described, so that a description
    can name one that the file lacks.
    """
    given = version.entry.total_results
    return Metadata(
        total_results=contents.rows if given is None else given,
        filters=_filters(version, contents, before, ids),
        indicators=_indicators(version, before, ids),
        levels=contents.levels,
        locations=_locations(version, contents, before, ids),
        time_periods=contents.periods,
    )


def label_order(label: str) -> tuple[str, str, str]:
    """A sort key near to .NET's culture order: letters without accents or case, then accents, then small first."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
    return (plain.casefold(), label.casefold(), label.swapcase())


def _filters(version: Version, contents: Contents, before: Metadata | None, ids: IdSource) -> tuple[Filter, ...]:
    earlier = {known.column: known for known in before.filters} if before else {}
    filters = []
    for entry in version.filters:
        if entry.column not in contents.options:
            continue
        known = earlier.get(entry.column) or earlier.get(entry.was or "")
        names = {entry.column, entry.was}
        renamed = {r.new: r.old for r in version.entry.renamed_options if r.filter in names}
        filters.append(
            Filter(
                id=known.id if known else ids.new("filter"),
                column=entry.column,
                label=entry.label,
                hint=entry.hint,
                options=_options(contents.options[entry.column], known, renamed, ids),
            )
        )
    return tuple(sorted(filters, key=lambda made: label_order(made.label)))


def _options(
    labels: Iterable[str], known: Filter | None, renamed: Mapping[str, str], ids: IdSource
) -> tuple[Option, ...]:
    earlier = {option.label: option.id for option in known.options} if known else {}
    return tuple(
        Option(earlier.get(label) or earlier.get(renamed.get(label, "")) or ids.new("option"), label)
        for label in sorted(labels, key=label_order)
    )


def _indicators(version: Version, before: Metadata | None, ids: IdSource) -> tuple[Indicator, ...]:
    earlier = {known.column: known.id for known in before.indicators} if before else {}
    indicators = (
        Indicator(
            id=earlier.get(entry.column) or earlier.get(entry.was or "") or ids.new("indicator"),
            column=entry.column,
            label=entry.label,
            unit=entry.unit,
            decimal_places=entry.decimal_places,
        )
        for entry in version.indicators
    )
    return tuple(sorted(indicators, key=lambda made: label_order(made.label)))


def _locations(
    version: Version, contents: Contents, before: Metadata | None, ids: IdSource
) -> tuple[LocationGroup, ...]:
    earlier = {group.level: group.options for group in before.locations} if before else {}
    renames: defaultdict[GeographicLevel | None, dict[str, str]] = defaultdict(dict)
    for renamed in version.entry.renamed_locations:
        level = GEOGRAPHIC_LEVELS_BY_CODE.get(renamed.level.upper())
        renames[level][renamed.new] = renamed.old
    groups = (
        LocationGroup(level, _places(level, places, earlier.get(level, ()), renames[level], ids))
        for level, places in contents.places.items()
    )
    return tuple(sorted(groups, key=lambda group: label_order(group.level.label)))


def _places(
    level: GeographicLevel,
    places: Iterable[Place],
    earlier: Iterable[Location],
    renamed: Mapping[str, str],
    ids: IdSource,
) -> tuple[Location, ...]:
    """Give ids to the places of a level: the one before for the same name and codes, or as renamed, or their own."""
    places = sorted(places, key=lambda place: (label_order(place.name), place.codes))
    same = {location.place: location.id for location in earlier}
    by_code = {_first_code(location.place): location for location in reversed(tuple(earlier))}
    taken = {same[place] for place in places if place in same}
    located = []
    for place in places:
        old = by_code.get(renamed.get(_first_code(place), ""))
        if place in same:
            identity = same[place]
        elif old and old.id not in taken:
            identity = old.id
        else:
            identity = ids.of_place(level, place)
            if identity in taken:  # the place's own id lives on in another one that was renamed
                identity = ids.new("location")
        taken.add(identity)
        located.append(Location(identity, place))
    return tuple(located)


def _first_code(place: Place) -> str:
    return place.codes[0] if place.codes else place.name
