"""The steps of the main job: look, land, observe, publish.

Each takes what the last one left on disk and may be run again. The command line runs them in one go
(:mod:`ks4_pipeline.run`), Dagster runs them as assets; neither knows anything that the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.landing import Landed, Landing, Listing, Progress, Refusal
from ks4_pipeline.observations import Observations, ObservationsStore
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.edition import Addition, Attempt, InForce, count_rows, loaded_versions, publish
from ks4_pipeline.warehouse.file import WarehouseFile


class NotLandedError(Ks4Error):
    """A step was asked for a version on which the step before has not been run."""


class Pipeline:
    """The steps of the main job on one data directory.

    Args:
        settings: where things are and which data sets are followed.
        connect: makes the API client; replaceable in tests.
        clock: tells the time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connect: Callable[[str], EesClient] = EesClient,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.landing = Landing(settings.landing_dir)
        self.observations = ObservationsStore(settings.observations_dir)
        self.warehouse = WarehouseFile(settings.warehouse)
        self._connect = connect
        self._clock = clock

    def client(self) -> EesClient:
        """A new client of the configured API; the caller closes it."""
        return self._connect(self.settings.api_url)

    def look(self, client: EesClient, data_set: DataSet) -> Listing:
        """Read the publisher's version list and remember it."""
        summary = client.data_set(data_set.id).model
        listing = Listing(seen_at=self._clock(), summary=summary, versions=client.versions(data_set.id))
        self.landing.remember(data_set, listing)
        return listing

    def land(
        self, client: EesClient, data_set: DataSet, version: VersionNumber, on_progress: Progress | None = None
    ) -> Landed:
        """Bring a version here, unless it is here already: see :meth:`ks4_pipeline.landing.Landing.fetch`."""
        return self.landing.fetch(client, data_set, version, on_progress)

    def observe(self, data_set: DataSet, landed: Landed) -> Observations:
        """Type a landed version; one that is refused is set aside, so that the next attempt fetches it anew.

        Raises:
            RefusedVersionError: when its content cannot be trusted.
        """
        try:
            return self.observations.make(data_set, landed)
        except RefusedVersionError as error:
            self.landing.refuse(data_set, landed, str(error))
            raise

    def publish(self, data_set: DataSet, versions: Iterable[VersionNumber]) -> None:
        """Publish an edition with versions that have landed and been typed, and the list as last seen.

        Raises:
            NotLandedError: when one of them has not.
        """
        finished = [self._finished(data_set, version) for version in versions]
        listing = self.landing.listing(data_set)
        if listing is None:
            raise NotLandedError(f"{data_set.name}: the publisher's list has not been read yet; run the landing step.")
        now = self._clock()
        attempts = [
            Attempt(data_set.name, landed.version, now, now, "loaded", rows=observations.facts.rows)
            for landed, observations in finished
        ]
        publish(self.warehouse, [Addition(data_set, listing, finished)], attempts, now)

    def in_force(self) -> dict[str, dict[VersionNumber, InForce]]:
        """By data set, the versions with a table in the published warehouse."""
        return loaded_versions(self.warehouse)

    def refusals(self, data_set: DataSet) -> dict[VersionNumber, Refusal]:
        """The versions whose last attempt was refused, with the reason."""
        in_force = self.in_force().get(data_set.name, {})
        return {
            version: refusal for version, refusal in self.landing.refusals(data_set).items() if version not in in_force
        }

    def now(self) -> datetime:
        """The time in UTC, by this pipeline's clock."""
        return self._clock()

    def count_rows(self, data_set: DataSet, version: VersionNumber) -> int:
        """Rows of a version's table in the published warehouse."""
        return count_rows(self.warehouse, data_set.name, version)

    def landed(self, data_set: DataSet, version: VersionNumber) -> Landed:
        """A version that has landed.

        Raises:
            NotLandedError: when it has not.
        """
        landed = self.landing.get(data_set, version)
        if landed is None:
            raise NotLandedError(f"{data_set.name} {version} has not landed; run the landing step first.")
        return landed

    def _finished(self, data_set: DataSet, version: VersionNumber) -> tuple[Landed, Observations]:
        landed = self.landed(data_set, version)
        observations = self.observations.get(data_set, landed)
        if observations is None:
            raise NotLandedError(f"{data_set.name} {version} has no observations; run the observations step first.")
        return landed, observations
