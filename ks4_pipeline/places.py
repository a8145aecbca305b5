"""Which place of one version is which of another, when its codes or its name changed. Pure.

A place is the cells of its level's columns, codes and name, None where a cell is empty. Codes are restated for all
years when an authority is reorganised (Somerset, North Yorkshire): it is the same place and has the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ks4_pipeline.structure import Action, Item, Kind

Place = tuple[str | None, ...]


@dataclass(frozen=True)
class LevelPlaces:
    """The places of one level in two versions.

    Attributes:
        columns: the level's columns, in the order of the cells of each place.
        name_column: which of them is the name, if there is one.
        before, after: the places of the older and the newer version.
        ids_before, ids_after: the publisher's id of a place, by :func:`cells_of`.
    """

    columns: Sequence[str]
    name_column: str | None
    before: AbstractSet[Place]
    after: AbstractSet[Place]
    ids_before: Mapping[Place, str]
    ids_after: Mapping[Place, str]

    def matched(self) -> dict[Place, Place]:
        """Places that went, and what they are now: by the publisher's id, else by a name, else by codes.

        A name or codes count only where no other place of the same version has them.
        """
        same: dict[Place, Place] = {}
        for candidates in (self._by_id(), self._by(self._name), self._by(self._codes)):
            for was, now in candidates:
                if was not in same and now not in same.values():
                    same[was] = now
        return same

    @property
    def gone(self) -> set[Place]:
        """Places only the older version has, as they are written there."""
        return set(self.before - self.after)

    @property
    def come(self) -> set[Place]:
        """Places only the newer version has."""
        return set(self.after - self.before)

    def items(self, level: str, matched: Mapping[Place, Place]) -> list[Item]:
        """Each place that changed, went or came, once.

        A place with an empty cell is none to the API (contract §5.4): that it came or went is not said.
        """
        items = []
        for was, now in matched.items():
            old_name, name = self._text(self._name(was)), self._text(self._name(now))
            old_codes, codes = self._text(self._codes(was)), self._text(self._codes(now))
            items.append(
                Item(
                    Kind.LOCATION,
                    Action.CHANGED,
                    level,
                    name or codes,
                    old_name if old_name != name else "",
                    f"{codes}, was {old_codes}" if old_codes != codes else codes,
                )
            )
        for action, places in (
            (Action.REMOVED, self.gone - matched.keys()),
            (Action.ADDED, self.come - set(matched.values())),
        ):
            for place in places:
                if all(place):
                    name, codes = self._text(self._name(place)), self._text(self._codes(place))
                    items.append(Item(Kind.LOCATION, action, level, name or codes, codes=codes))
        return items

    def _by_id(self) -> Iterable[tuple[Place, Place]]:
        now_by_id = {place_id: now for now in self.come if (place_id := self.ids_after.get(cells_of(now)))}
        for was in sorted(self.gone, key=str):
            now = now_by_id.get(self.ids_before.get(cells_of(was), ""))
            if now is not None:
                yield was, now

    def _by(self, key: Callable[[Place], Place]) -> Iterable[tuple[Place, Place]]:
        if self.name_column is None:
            return
        before, after = _unshared(self.before, key), _unshared(self.after, key)
        for value, was in before.items():
            now = after.get(value)
            if was in self.gone and now is not None and now in self.come:
                yield was, now

    @staticmethod
    def _text(cells: Place) -> str:
        return " ".join(part for part in cells if part)

    def _name(self, place: Place) -> Place:
        return tuple(part for column, part in zip(self.columns, place, strict=True) if column == self.name_column)

    def _codes(self, place: Place) -> Place:
        return tuple(part for column, part in zip(self.columns, place, strict=True) if column != self.name_column)


def cells_of(place: Iterable[str | None]) -> Place:
    """A place's filled cells without their order, since ``/meta`` and the file arrange them differently."""
    return tuple(sorted(part for part in place if part))


def _unshared(places: Iterable[Place], key: Callable[[Place], Place]) -> dict[Place, Place]:
    """Places by a key that no other place has; those without the key are left out."""
    found: dict[Place, list[Place]] = {}
    for place in places:
        value = key(place)
        if any(part is not None for part in value):
            found.setdefault(value, []).append(place)
    return {value: sharing[0] for value, sharing in found.items() if len(sharing) == 1}
