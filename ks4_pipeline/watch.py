"""A round of looks at all followed data sets, in little time: what the publisher lists, and the catalogue after it.

Downloads no data. One data set that cannot be looked at leaves the others alone; what came of each is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.landing import LandingError, Listing
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

ANSWER_SECONDS = 8.0
ROUND_SECONDS = 40.0
_PUBLISHER_SECONDS = 5.0
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Sight:
    """What one look came to.

    Attributes:
        data_set: which data set.
        listing: its list as seen now; None when it could not be looked at.
        refreshed: the loaded versions whose catalogue rows and channels were brought up to date.
        problem: why there was no look, or why the catalogue could not follow.
    """

    data_set: DataSet
    listing: Listing | None = None
    refreshed: tuple[VersionNumber, ...] = ()
    problem: str | None = None


def watch(
    pipeline: Pipeline, data_sets: Iterable[DataSet], *, whole: bool = False, seconds: float = ROUND_SECONDS
) -> list[Sight]:
    """Look at each data set, the one that was not looked at for longest first, and let the catalogue follow.

    Args:
        pipeline: the steps.
        data_sets: which.
        whole: read whole lists.
        seconds: after this time no further look is begun; those left out come first in the next round.
    """
    until = time.monotonic() + seconds
    sights = []
    with pipeline.client() as client:
        client.hurry(answer_seconds=ANSWER_SECONDS, in_all_seconds=seconds)
        for data_set in sorted(data_sets, key=lambda data_set: _seen_at(pipeline, data_set)):
            if time.monotonic() > until:
                sights.append(Sight(data_set, problem="not looked at: the others took all the time of this round."))
            else:
                sights.append(_look(pipeline, client, data_set, whole=whole))
    return sights


def _look(pipeline: Pipeline, client: EesClient, data_set: DataSet, *, whole: bool) -> Sight:
    try:
        listing = pipeline.look(client, data_set, whole=whole)
    except Ks4Error as error:
        return Sight(data_set, problem=str(error))
    try:
        refreshed = pipeline.refresh(data_set, wait_seconds=_PUBLISHER_SECONDS)
    except Ks4Error as error:
        return Sight(data_set, listing, problem=f"the catalogue could not follow: {error}")
    return Sight(data_set, listing, tuple(refreshed))


def _seen_at(pipeline: Pipeline, data_set: DataSet) -> datetime:
    try:
        listing = pipeline.landing.listing(data_set)
    except LandingError:
        return _NEVER
    return listing.seen_at if listing else _NEVER
