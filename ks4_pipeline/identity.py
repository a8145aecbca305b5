"""Which columns of different versions are the same column: by the publisher's id where there is one, else by name.

A patch may rename a column while its id stays (contract §8.2); ids are unique only among filters and among indicators
(§5.6). A column that was dropped and came back has a new id and the old name: it is the same column too, since no
version has both; but figures are never what tells rows apart, though the name may be one. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ks4_pipeline.columns import FLAG_SUFFIX, Role
from ks4_pipeline.versions import VersionNumber


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a version's table, as the catalogue has it.

    ``id`` is the publisher's id of the filter or indicator, None for all other columns.
    """

    name: str
    role: Role
    is_numeric: bool
    id: str | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it the same column in another version."""
        return ("name", self.name) if self.id is None else (str(self.role), self.id)


@dataclass(frozen=True, slots=True)
class UnifiedColumn:
    """One column across versions.

    Attributes:
        name: its newest name; unique without regard to case.
        role: its newest role.
        is_numeric: whether every version has it as a number; a text otherwise.
        names: its name in each version that has it.
        numeric_in: the versions that have it as a number, and so have a flag column for it.
        roles: its role in each version that has it.
    """

    name: str
    role: Role
    is_numeric: bool
    names: Mapping[VersionNumber, str]
    numeric_in: frozenset[VersionNumber]
    roles: Mapping[VersionNumber, Role]

    def among(self, *versions: VersionNumber) -> UnifiedColumn:
        """The same column, under the same name, as some of its versions have it: what others make of it is left out.

        What one of them describes it is what it is, since metadata leaves out filters with one option.
        """
        having = [version for version in versions if version in self.names]
        roles = {self.roles[version] for version in having}
        numeric_in = self.numeric_in.intersection(having)
        return UnifiedColumn(
            name=self.name,
            role=next(
                role for role in (Role.INDICATOR, Role.FILTER, Role.TIME, Role.GEOGRAPHY, Role.OTHER) if role in roles
            ),
            is_numeric=len(numeric_in) == len(having),
            names={version: self.names[version] for version in having},
            numeric_in=numeric_in,
            roles={version: self.roles[version] for version in having},
        )

    @property
    def has_flag(self) -> bool:
        """Whether a flag column belongs to it."""
        return bool(self.numeric_in)

    @property
    def flag(self) -> str:
        """The name of its flag column."""
        return self.name + FLAG_SUFFIX

    @property
    def newest(self) -> VersionNumber:
        """The newest version that has it."""
        return max(self.names)


def unify(
    versions: Mapping[VersionNumber, Sequence[StoredColumn]], reserved: Collection[str] = ()
) -> tuple[UnifiedColumn, ...]:
    """The columns of several versions, each once, under its newest name.

    Order: that of the newest version, then columns only older versions have.

    Args:
        versions: the columns of each version, without flag columns, in the order of its table.
        reserved: names that are taken by others; a column called so gets ``_in_file`` behind its name.
    """
    uses: dict[tuple[str, str], dict[VersionNumber, StoredColumn]] = {}
    for version in sorted(versions, reverse=True):  # newest first: so are the keys of each use
        for column in versions[version]:
            uses.setdefault(column.identity, {})[version] = column
    merged: dict[str, list[dict[VersionNumber, StoredColumn]]] = {}
    for use in uses.values():
        namesakes = merged.setdefault(_newest(use).name.lower(), [])
        same = next((other for other in namesakes if _may_be_one(other, use)), None)
        if same is None:
            namesakes.append(dict(use))
        else:
            same.update(use)
    in_order = [use for namesakes in merged.values() for use in namesakes]
    taken = {name.lower() for name in reserved}
    return tuple(_unified(use, taken) for use in in_order)


def _unified(use: Mapping[VersionNumber, StoredColumn], taken: set[str]) -> UnifiedColumn:
    newest = _newest(use)
    numeric_in = frozenset(version for version, column in use.items() if column.is_numeric)
    name = _free_name(newest, taken, needs_flag=bool(numeric_in))
    taken.add(name.lower())
    if numeric_in:
        taken.add((name + FLAG_SUFFIX).lower())
    return UnifiedColumn(
        name=name,
        role=newest.role,
        is_numeric=len(numeric_in) == len(use),
        names={version: column.name for version, column in sorted(use.items())},
        numeric_in=numeric_in,
        roles={version: column.role for version, column in sorted(use.items())},
    )


def _may_be_one(one: Mapping[VersionNumber, StoredColumn], other: Mapping[VersionNumber, StoredColumn]) -> bool:
    roles = {column.role for use in (one, other) for column in use.values()}
    return one.keys().isdisjoint(other) and (Role.INDICATOR not in roles or roles <= {Role.INDICATOR, Role.OTHER})


def _newest(use: Mapping[VersionNumber, StoredColumn]) -> StoredColumn:
    return next(iter(use.values()))


def _free_name(column: StoredColumn, taken: Collection[str], *, needs_flag: bool) -> str:
    """The column's name, or one made of it that neither it nor its flag column shares with another."""

    def is_free(name: str) -> bool:
        return name.lower() not in taken and not (needs_flag and (name + FLAG_SUFFIX).lower() in taken)

    candidates = [column.name, *([f"{column.name}_{column.id}"] if column.id else []), f"{column.name}_in_file"]
    name = next(filter(is_free, candidates), candidates[-1])
    while not is_free(name):
        name += "_"
    return name
