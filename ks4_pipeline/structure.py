"""What differs between two versions besides figures: columns, options, periods, levels and places.

The same kind of item describes what we saw in the files and what the publisher announced in ``/changes``, so that the
two can be compared. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ks4_pipeline.errors import one_line


class Kind(StrEnum):
    """What a structural change is about; the publisher's own words where it has one."""

    FILTER = "filters"
    FILTER_OPTION = "filter_options"
    INDICATOR = "indicators"
    COLUMN = "columns"
    """A column the publisher's metadata does not describe."""
    GEOGRAPHIC_LEVEL = "geographic_levels"
    LOCATION_GROUP = "location_groups"
    """The columns of a level's places."""
    LOCATION = "location_options"
    TIME_PERIOD = "time_periods"


class Action(StrEnum):
    """What happened to it."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One structural change.

    Attributes:
        kind: what it is about.
        action: what happened.
        within: the filter's column for an option, the level's label for a place, else empty.
        name: column, option label, ``identifier period``, level or name of a place; the new one where it was changed.
        was: the old name, where it is another.
        codes: a place's codes; the old ones are named where they are others.
    """

    kind: Kind
    action: Action
    within: str
    name: str
    was: str = ""
    codes: str = ""

    def __str__(self) -> str:
        """For people, on one line whatever the names hold: ``filter_options added: ethnicity_major: Unknown``."""
        within = f"{self.within}: " if self.within else ""
        was = f" (was {self.was})" if self.was else ""
        codes = f" [{self.codes}]" if self.codes else ""
        return one_line(f"{self.kind.replace('_', ' ')} {self.action}: {within}{self.name}{was}{codes}")
