"""What a description means: data sets with their whole version history, every default filled in.

Descriptions may leave much out; here the gaps are closed, always in the same way for the same file, and each version
learns which one it followed. Nothing here changes while the sandbox runs: what does is in ``publisher.py``.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.description import ReleaseEntry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from uuid import UUID

    from ks4_pipeline.sandbox.description import (
        DataSetDescription,
        DataSetStatus,
        FilterEntry,
        IndicatorEntry,
        VersionEntry,
    )
    from ks4_pipeline.versions import VersionNumber

_FIRST_PUBLICATION = datetime(2025, 3, 20, 9, 30, 5, tzinfo=UTC)
_BETWEEN_PUBLICATIONS = timedelta(days=30)
_MADE_UP = uuid.UUID("6f0f7b66-8f43-5d5b-9d0e-2f6f2c3a7a10")


@dataclass(frozen=True, slots=True)
class Publication:
    """The publication of one or more data sets (contract §2.2)."""

    id: UUID
    title: str
    slug: str
    summary: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version as described.

    Attributes:
        number: its number.
        entry: its entry in the description.
        published: the moment given, or one made up that is later than that of the version before.
        file_id: the EES file id; patches share that of the version they patch (contract §3.1).
        release: the statistical release; patches share it too.
        filters, indicators: those in force, given here or by an earlier version or by the data set.
        predecessor: the version it was compared with and takes ids from; None for the first.
    """

    number: VersionNumber
    entry: VersionEntry
    published: datetime
    file_id: UUID
    release: ReleaseEntry
    filters: tuple[FilterEntry, ...]
    indicators: tuple[IndicatorEntry, ...]
    predecessor: VersionNumber | None

    @property
    def file(self) -> Path:
        """The CSV, plain or gzipped."""
        return self.entry.file


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set as described, versions in ascending order of number."""

    id: UUID
    title: str
    summary: str
    status: DataSetStatus
    superseding_data_set_id: UUID | None
    publication: Publication
    versions: tuple[Version, ...]


def data_set_from(description: DataSetDescription) -> DataSet:
    """Fill in all that the description leaves out."""
    return DataSet(
        id=description.id,
        title=description.title,
        summary=description.summary,
        status=description.status,
        superseding_data_set_id=description.superseding_data_set_id,
        publication=_publication(description),
        versions=_versions(description),
    )


def _publication(description: DataSetDescription) -> Publication:
    entry = description.publication
    title = entry.title or f"Publication of {description.title}"
    slug = entry.slug or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "publication"
    return Publication(entry.id or uuid.uuid5(_MADE_UP, slug), title, slug, entry.summary)


def _versions(description: DataSetDescription) -> tuple[Version, ...]:
    filters, indicators = description.filters, description.indicators
    done: list[Version] = []
    for entry in sorted(description.versions, key=lambda entry: entry.version):
        number = entry.version
        filters = filters if entry.filters is None else entry.filters
        indicators = indicators if entry.indicators is None else entry.indicators
        line = f"{number.major}.{number.minor}"
        patched = next((v for v in reversed(done) if number.patch and _same_line(v.number, number)), None)
        published = entry.published or _made_up_moment(description.id, number, done)
        done.append(
            Version(
                number=number,
                entry=entry,
                published=published,
                file_id=entry.file_id
                or (patched.file_id if patched else uuid.uuid5(_MADE_UP, f"{description.id} {line}")),
                release=entry.release
                or (patched.release if patched else ReleaseEntry(title=f"Release {line}", slug=f"release-{line}")),
                filters=filters,
                indicators=indicators,
                predecessor=_predecessor(number, published, done),
            )
        )
    return tuple(done)


def _predecessor(number: VersionNumber, published: datetime, earlier: Iterable[Version]) -> VersionNumber | None:
    """Find the version that a new one is compared with (contract §3.5, §4.3, §8.2).

    A patch follows the highest lower patch of its own line. Any other version follows the highest lower number that
    ever was public and not published after it.
    """
    public = [v for v in earlier if v.entry.status.is_public]
    if number.patch and (line := [v.number for v in public if _same_line(v.number, number)]):
        return max(line)
    return max((v.number for v in public if v.published <= published), default=None)


def _same_line(one: VersionNumber, other: VersionNumber) -> bool:
    return (one.major, one.minor) == (other.major, other.minor)


def _made_up_moment(data_set_id: UUID, number: VersionNumber, earlier: list[Version]) -> datetime:
    """A moment a month after the version before, with 0 to 6 digits of a second as PostgreSQL gives (§2.0)."""
    last = earlier[-1].published.replace(microsecond=0) + _BETWEEN_PUBLICATIONS if earlier else _FIRST_PUBLICATION
    digest = int.from_bytes(hashlib.blake2b(f"{data_set_id} {number}".encode(), digest_size=8).digest())
    digits = digest % 7
    return last.replace(microsecond=digest // 7 % 10**digits * 10 ** (6 - digits))
