"""What a look at the publisher means, and which versions are due: decided here from facts, without any effect.

Told the list as last seen, pages just read, the warehouse's state and what became of earlier runs. Knows no Dagster, no
network, no disk and no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ks4_pipeline.ees.models import DataSetSummary, Page, VersionRecord
from ks4_pipeline.landing import Listing
from ks4_pipeline.versions import Bump, VersionNumber
from ks4_pipeline.warehouse.reading import InForce

SUMMARY = 1
"""The turn of the data set's summary: page 1 of the versions list is read at every look and needs no turn."""


def next_turn(turn: int, pages: int) -> int:
    """What a look reads beside page 1: the pages from 2 on one after another, then the summary, and again."""
    return turn + 1 if turn < pages else SUMMARY


def same_members(known: Listing, page: Page[VersionRecord]) -> bool:
    """Whether a page shows neither another number of versions nor one that is not known."""
    numbers = {record.version for record in known.versions}
    return page.paging.total_results == len(numbers) and all(record.version in numbers for record in page.results)


def noted(
    known: Listing, summary: DataSetSummary, pages: Iterable[Page[VersionRecord]], turn: int, now: datetime
) -> Listing | None:
    """The list after a cheap look; None when versions were added or removed, so that all of it must be read."""
    records = {record.version: record for record in known.versions}
    for page in pages:
        if not same_members(known, page):
            return None
        records.update({record.version: record for record in page.results})
    return dated(known, summary, tuple(records.values()), turn=turn, now=now, source=known.source)


def dated(
    known: Listing | None,
    summary: DataSetSummary,
    versions: tuple[VersionRecord, ...],
    *,
    turn: int,
    now: datetime,
    source: str,
) -> Listing:
    """The list as seen now, with the time when anything last differed."""
    is_news = known is None or (summary, versions) != (known.summary, known.versions)
    news_at = now if known is None or is_news else known.news_at
    return Listing(seen_at=now, news_at=news_at, turn=turn, source=source, summary=summary, versions=versions)


def missing(listing: Listing, in_force: Collection[VersionNumber]) -> list[VersionNumber]:
    """The versions the publisher lists that are not in the warehouse, oldest number first."""
    return sorted({record.version for record in listing.versions} - set(in_force))


def moved(listing: Listing, in_force: Mapping[VersionNumber, InForce]) -> list[VersionNumber]:
    """The versions in the warehouse of which the publisher now says something else, oldest number first."""
    records = {record.version: record for record in listing.versions}
    return sorted(version for version, loaded in in_force.items() if not loaded.agrees_with(records.get(version)))


@dataclass(frozen=True, slots=True)
class Attempts:
    """What became of the runs of one version since the last that succeeded.

    Attributes:
        running: whether one is waiting or at work.
        failures: how many failed or were cancelled.
        last_failed_at: when the last of them ended.
    """

    running: bool = False
    failures: int = 0
    last_failed_at: datetime | None = None


@dataclass
class Due:
    """The missing versions, by what is to be done about each.

    Attributes:
        start: to be loaded now, oldest number first.
        running: being loaded.
        waiting: failed, and tried again at that time.
        given_up: failed that many times, and left to a person.
    """

    start: list[VersionNumber] = field(default_factory=list)
    running: list[VersionNumber] = field(default_factory=list)
    waiting: dict[VersionNumber, datetime] = field(default_factory=dict)
    given_up: dict[VersionNumber, int] = field(default_factory=dict)


def due(
    versions: Iterable[VersionNumber],
    attempts: Mapping[VersionNumber, Attempts],
    *,
    max_attempts: int,
    pause: timedelta,
    now: datetime,
) -> Due:
    """Which of the missing versions to load now.

    The first failure is followed by another attempt at once, since a run that was killed needs no rest; each later one
    by a pause that doubles, so that an hour without the API does not use up all attempts.
    """
    found = Due()
    for version in versions:
        earlier = attempts.get(version, Attempts())
        if earlier.running:
            found.running.append(version)
        elif earlier.failures >= max_attempts:
            found.given_up[version] = earlier.failures
        elif earlier.last_failed_at and (again := _again_at(earlier.last_failed_at, earlier.failures, pause)) > now:
            found.waiting[version] = again
        else:
            found.start.append(version)
    return found


def of_bump(versions: Iterable[VersionNumber], bump: Bump) -> list[VersionNumber]:
    """Those whose number announces that kind of change."""
    return [version for version in versions if version.bump is bump]


def _again_at(failed_at: datetime, failures: int, pause: timedelta) -> datetime:
    return failed_at if failures <= 1 else failed_at + pause * 2 ** (failures - 2)
