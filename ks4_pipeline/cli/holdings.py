"""What the data directory holds, read without the network. Says nothing; gives facts.

Three sources: the publisher's lists as last seen, the catalogue of the published warehouse, and what was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ks4_pipeline.landing import Landing, Listing, Refusal
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import Bump, VersionNumber
from ks4_pipeline.warehouse.file import WarehouseFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

    from ks4_pipeline.ees.models import VersionRecord


@dataclass(frozen=True)
class HeldVersion:
    """One version the publisher lists, or that is loaded.

    Attributes:
        status: by the publisher's list as last seen; ``Unlisted`` when it is loaded and no longer there.
        rows: of its table; of the publisher's announcement while it is not loaded.
        loaded_at: None while it has no table.
        channels: those that show it in the published warehouse.
        refused: why its content was refused, when it is not loaded for that reason.
    """

    number: VersionNumber
    status: str
    published: datetime | None = None
    withdrawn: datetime | None = None
    release: str | None = None
    notes: str = ""
    rows: int | None = None
    loaded_at: datetime | None = None
    channels: tuple[str, ...] = ()
    refused: Refusal | None = None

    @property
    def bump(self) -> Bump:
        """What its number says it is."""
        return self.number.bump

    @property
    def is_loaded(self) -> bool:
        """Whether it has a table."""
        return self.loaded_at is not None


@dataclass(frozen=True)
class HeldDataSet:
    """What is known of one data set; ``seen_at`` is None before the first look."""

    name: str
    id: str
    followed: bool
    title: str | None = None
    status: str | None = None
    seen_at: datetime | None = None
    versions: tuple[HeldVersion, ...] = ()

    @property
    def latest(self) -> HeldVersion | None:
        """The version that the channel ``latest`` shows."""
        return next((version for version in self.versions if "latest" in version.channels), None)

    @property
    def newest_published(self) -> HeldVersion | None:
        """The version that ``latest`` would show if all were loaded."""
        return max(
            (version for version in self.versions if version.status == "Published"),
            key=lambda version: version.number,
            default=None,
        )

    @property
    def ahead_of_latest(self) -> HeldVersion | None:
        """The publisher's newest version when ``latest`` does not show it."""
        newest = self.newest_published
        return newest if newest and newest is not self.latest else None

    @property
    def empty_channels(self) -> dict[str, tuple[HeldVersion, ...]]:
        """Channels with no version left, each with its loaded versions, none of which may be shown."""
        in_force = {channel for version in self.versions for channel in version.channels}
        found: dict[str, tuple[HeldVersion, ...]] = {}
        for version in self.versions:
            for channel in version.number.channels:
                if version.is_loaded and channel not in in_force:
                    found[channel] = (*found.get(channel, ()), version)
        return found


@dataclass(frozen=True)
class Holdings:
    """Everything held: the warehouse's file (size and time None before the first edition) and the data sets."""

    warehouse: Path
    bytes: int | None
    written_at: datetime | None
    data_sets: tuple[HeldDataSet, ...]


@dataclass(frozen=True)
class _Catalogued:
    """What the published warehouse says of one data set."""

    id: str
    title: str
    status: str
    versions: Mapping[VersionNumber, HeldVersion] = field(default_factory=dict)


def read(settings: Settings) -> Holdings:
    """Read what is held of all data sets: those followed, in the order of the configuration, then the others.

    Raises:
        LandingError: when a list cannot be read.
        WarehouseError: when the warehouse cannot be opened.
    """
    landing = Landing(settings.landing_dir)
    catalogued = _catalogue(WarehouseFile(settings.warehouse))
    listings = {data_set.name: listing for data_set, listing in landing.data_sets()}
    followed = {data_set.name: data_set for data_set in settings.data_sets}
    others = {name: listing.summary.id for name, listing in listings.items()}
    others |= {name: found.id for name, found in catalogued.items()}
    every = [*settings.data_sets]
    every += [DataSet(name=name, id=data_set_id) for name, data_set_id in others.items() if name not in followed]
    held = tuple(
        _held(
            data_set,
            data_set.name in followed,
            listings.get(data_set.name),
            catalogued.get(data_set.name),
            landing.refusals(data_set),
        )
        for data_set in every
    )
    try:
        stat = settings.warehouse.stat()
    except FileNotFoundError:
        return Holdings(settings.warehouse, None, None, held)
    return Holdings(settings.warehouse, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC), held)


def _held(
    data_set: DataSet,
    followed: bool,
    listing: Listing | None,
    catalogued: _Catalogued | None,
    refusals: Mapping[VersionNumber, Refusal],
) -> HeldDataSet:
    known = catalogued.versions if catalogued else {}
    versions = _merged(listing.versions if listing else None, known, refusals)
    title = listing.summary.title if listing else catalogued.title if catalogued else None
    status = listing.summary.status if listing else catalogued.status if catalogued else None
    seen_at = listing.seen_at if listing else None
    return HeldDataSet(data_set.name, data_set.id, followed, title, status, seen_at, versions)


def _merged(
    listed: Iterable[VersionRecord] | None,
    known: Mapping[VersionNumber, HeldVersion],
    refusals: Mapping[VersionNumber, Refusal],
) -> tuple[HeldVersion, ...]:
    """Status and notes by the newer source, which is the list; everything else by the warehouse."""
    if listed is None:
        return tuple(known[number] for number in sorted(known))
    merged = {number: replace(held, status="Unlisted") for number, held in known.items() if held.is_loaded}
    for record in listed:
        held = known.get(record.version)
        loaded = held is not None and held.is_loaded
        merged[record.version] = HeldVersion(
            number=record.version,
            status=record.status,
            published=record.published,
            withdrawn=record.withdrawn,
            release=record.release.title if record.release else None,
            notes=record.notes,
            rows=held.rows if held and loaded else record.total_results,
            loaded_at=held.loaded_at if held else None,
            channels=held.channels if held else (),
            refused=None if loaded else refusals.get(record.version),
        )
    return tuple(merged[number] for number in sorted(merged))


def _catalogue(warehouse: WarehouseFile) -> dict[str, _Catalogued]:
    if not warehouse.exists():
        return {}
    with warehouse.read() as connection:
        data_sets = connection.execute(
            "SELECT data_set, id, title, status FROM catalogue.data_sets ORDER BY data_set"
        ).fetchall()
        versions = _catalogued_versions(connection)
    return {
        name: _Catalogued(data_set_id, title, status, versions.get(name, {}))
        for name, data_set_id, title, status in data_sets
    }


def _catalogued_versions(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[VersionNumber, HeldVersion]]:
    found: dict[str, dict[VersionNumber, HeldVersion]] = {}
    for name, number, *facts, channels in connection.execute(
        "SELECT data_set, version, status, published, withdrawn, release, notes, rows, "
        'CASE WHEN "table" IS NOT NULL THEN loaded_at END, channels FROM catalogue.versions'
    ).fetchall():
        version = VersionNumber.parse(number)
        status, published, withdrawn, release, notes, rows, loaded_at = facts
        found.setdefault(name, {})[version] = HeldVersion(
            number=version,
            status=status,
            published=published,
            withdrawn=withdrawn,
            release=release,
            notes=notes or "",
            rows=rows,
            loaded_at=loaded_at,
            channels=tuple(filter(None, channels.split(","))),
        )
    return found
