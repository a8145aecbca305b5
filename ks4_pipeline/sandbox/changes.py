"""What changed between two versions' metadata, as ``/changes`` tells it (contract §4).

Only metadata are compared, by id; data values never show. Deletions are major, additions minor, and an update is
minor unless it changes a code of a place. Lists hold deletions, then updates, then additions, each by label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import SerializeAsAny

from ks4_pipeline.sandbox.views import (
    FilterState,
    LevelView,
    LocationGroupState,
    LocationView,
    View,
    filter_state,
    indicator_view,
    level_view,
    location_view,
    option_views,
    time_period_view,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from ks4_pipeline.sandbox.metadata import Metadata

_State = TypeVar("_State", bound=View)


class Change(View):
    """One change: an addition has only a current state, a deletion only a previous one."""

    current_state: SerializeAsAny[View] | None = None
    previous_state: SerializeAsAny[View] | None = None

    @property
    def is_major(self) -> bool:
        """Contract §4.2: deletions, and places with another code."""
        before, after = self.previous_state, self.current_state
        if isinstance(before, LocationView) and isinstance(after, LocationView):
            return before.codes != after.codes
        return after is None


class FilterOptionChanges(View):
    """Changed options of one filter."""

    filter: FilterState
    options: tuple[Change, ...]


class LocationOptionChanges(View):
    """Changed places of one level."""

    level: LevelView
    options: tuple[Change, ...]


class ChangeSet(View):
    """The seven lists; an empty one is None and so left out."""

    filters: tuple[Change, ...] | None = None
    filter_options: tuple[FilterOptionChanges, ...] | None = None
    geographic_levels: tuple[Change, ...] | None = None
    indicators: tuple[Change, ...] | None = None
    location_groups: tuple[Change, ...] | None = None
    location_options: tuple[LocationOptionChanges, ...] | None = None
    time_periods: tuple[Change, ...] | None = None


class VersionChanges(View):
    """The changes of one version."""

    version_number: str
    notes: str
    major_changes: ChangeSet
    minor_changes: ChangeSet


class ChangesView(VersionChanges):
    """The whole answer."""

    patch_history: tuple[VersionChanges, ...]


def change_set(before: Metadata | None, after: Metadata, *, major: bool) -> ChangeSet:
    """The major or the minor changes; none for a version without a predecessor (contract §4.4)."""
    if before is None:
        return ChangeSet()

    def wanted(
        old: Iterable[_State], new: Iterable[_State], key: Callable[[_State], Hashable]
    ) -> tuple[Change, ...] | None:
        return _only(_compare(old, new, key), major=major) or None

    return ChangeSet(
        filters=wanted(map(filter_state, before.filters), map(filter_state, after.filters), lambda f: f.id),
        filter_options=tuple(_filter_options(before, after, major=major)) or None,
        geographic_levels=wanted(
            map(level_view, before.levels), map(level_view, after.levels), lambda level: level.code
        ),
        indicators=wanted(
            map(indicator_view, before.indicators), map(indicator_view, after.indicators), lambda i: i.id
        ),
        location_groups=wanted(_groups(before), _groups(after), lambda group: group.level.code),
        location_options=tuple(_location_options(before, after, major=major)) or None,
        time_periods=wanted(
            map(time_period_view, before.chronology),
            map(time_period_view, after.chronology),
            lambda time: (time.code, time.period),
        ),
    )


def _filter_options(before: Metadata, after: Metadata, *, major: bool) -> Iterator[FilterOptionChanges]:
    """Options of the filters that both versions have; a whole filter that came or went is told once (§4.3)."""
    old = {known.id: known for known in before.filters}
    for new in after.filters:
        if new.id not in old:
            continue
        changes = _compare(option_views(old[new.id]), option_views(new), lambda option: option.id)
        if wanted := _only(changes, major=major):
            # Major changes of options are all deletions: they belong to the filter as it was.
            shown = filter_state(old[new.id] if major else new, hint=False)
            yield FilterOptionChanges(filter=shown, options=wanted)


def _location_options(before: Metadata, after: Metadata, *, major: bool) -> Iterator[LocationOptionChanges]:
    """Places of the levels that both versions have."""
    old = {group.level: group.options for group in before.locations}
    for group in after.locations:
        level = group.level
        if level not in old:
            continue
        changes = _compare(
            [location_view(level, location) for location in old[level]],
            [location_view(level, location) for location in group.options],
            lambda location: location.id,
        )
        if wanted := _only(changes, major=major):
            yield LocationOptionChanges(level=level_view(level), options=wanted)


def _groups(metadata: Metadata) -> Iterator[LocationGroupState]:
    return (LocationGroupState(level=level_view(group.level)) for group in metadata.locations)


def _only(changes: Iterable[Change], *, major: bool) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.is_major is major)


def _compare(before: Iterable[_State], after: Iterable[_State], key: Callable[[_State], Hashable]) -> Iterator[Change]:
    old, new = {key(state): state for state in before}, {key(state): state for state in after}
    yield from (Change(previous_state=state) for known, state in old.items() if known not in new)
    for known, state in old.items():
        if known in new and state != new[known]:
            yield Change(current_state=new[known], previous_state=state)
    yield from (Change(current_state=state) for known, state in new.items() if known not in old)
