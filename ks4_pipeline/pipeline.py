"""The steps of the main job: look, land, observe, publish.

Each takes what the last one left on disk and may be run again. The command line runs them in one go
(:mod:`ks4_pipeline.run`), Dagster runs them as assets; neither knows anything that the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from ks4_pipeline import poll, unfinished
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.errors import ConfigurationError, Ks4Error
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.landing import Landed, Landing, LandingError, Listing, Progress, Refetched, Refusal
from ks4_pipeline.notes import Note, as_note
from ks4_pipeline.observations import Ahead, Observations, ObservationsStore
from ks4_pipeline.quality.book import basis_of, rules_in_force
from ks4_pipeline.quality.evaluation import EvaluationError
from ks4_pipeline.quality.judging import Judgement, is_accepted, judge, kept, refuse_errors
from ks4_pipeline.settings import DataSet, Settings, source_of
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.edition import Addition, Attempt, Finished, publish
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline.warehouse.reading import InForce, count_rows, judged_on, loaded_versions


class NotLandedError(Ks4Error):
    """A step was asked for a version on which the step before has not been run."""


class NothingToAcceptError(Ks4Error):
    """A version was to be accepted whose publisher serves what is in force."""


class Pipeline:
    """The steps of the main job on one data directory.

    Args:
        settings: where things are and which data sets are followed.
        connect: makes the API client; replaceable in tests. By default one with the limits of the settings.
        clock: tells the time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connect: Callable[[str], EesClient] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.landing = Landing(settings.landing_dir)
        self.observations = ObservationsStore(settings.observations_dir)
        self.warehouse = WarehouseFile(settings.warehouse)
        self._connect = connect or partial(EesClient, limits=settings.limits)
        self._clock = clock

    def client(self) -> EesClient:
        """A new client of the configured API; the caller closes it."""
        return self._connect(self.settings.api_url)

    def tidy(self) -> None:
        """Finish or remove what was left by processes that were killed; what others are at work on stays."""
        self.landing.finish_accepting()
        unfinished.clean(self.settings.data_dir)
        for folder in (self.settings.landing_dir, self.settings.observations_dir, self.settings.reports_dir):
            unfinished.clean_below(folder)
        self.warehouse.tidy()

    def look(self, client: EesClient, data_set: DataSet, *, whole: bool = False) -> Listing:
        """See what the publisher lists now, and remember it: see :meth:`ask`.

        Raises:
            EesError: when the API gives no usable answer; what was remembered stays.
            ConfigurationError: as for :meth:`ask`.
        """
        listing = self.ask(client, data_set, whole=whole)
        self.landing.remember(data_set, listing)
        return listing

    def ask(self, client: EesClient, data_set: DataSet, *, whole: bool = False) -> Listing:
        """See what the publisher lists now, and leave everything here as it is.

        Two requests, unless it is the first look or versions were added or removed: then everything is read. The two
        are the first page, where the newest versions are, and in turn one of the others or the data set's summary, so
        that a status that changes on an old page is found within as many looks as there are pages.

        Args:
            client: to ask with.
            data_set: which.
            whole: read everything in any case.

        Raises:
            EesError: when the API gives no usable answer.
            ConfigurationError: when what is here is another data set's, or came from another API: test data must not
                stand beside live ones.
        """
        known = self.landing.known(data_set)
        source = known.source if known else self._landed_from(data_set)
        if source not in {None, self.settings.source}:
            raise ConfigurationError(
                f"{self.settings.data_dir} holds {data_set.name} from {source}, and the configuration asks "
                f"{self.settings.source}. Two sources must not stand in one warehouse: give another KS4_DATA_DIR."
            )
        listing = self._glance(client, data_set, known) if known and not whole else None
        if listing is None:
            summary, versions = client.data_set(data_set.id).model, client.versions(data_set.id)
            listing = poll.dated(
                known, summary, versions, turn=poll.SUMMARY, now=self._clock(), source=self.settings.source
            )
        return listing

    def refresh(self, data_set: DataSet, *, wait_seconds: float) -> list[VersionNumber]:
        """Bring catalogue and channels up to date with the list as last seen, without loading anything.

        Args:
            data_set: which.
            wait_seconds: how long to wait for another publisher.

        Returns:
            The loaded versions of which the publisher says something else than the warehouse did; none: no new edition.

        Raises:
            WarehouseError: when another publisher holds on for longer.
        """
        listing = self.landing.listing(data_set)
        moved = poll.moved(listing, self.in_force().get(data_set.name, {})) if listing else []
        if listing and moved:
            warehouse = WarehouseFile(self.settings.warehouse, wait_seconds=wait_seconds)
            addition = Addition(data_set, listing, notes=self.notes(data_set))
            publish(warehouse, [addition], [], self._clock(), newest=self.landing.listing)
        return moved

    def land(
        self, client: EesClient, data_set: DataSet, version: VersionNumber, on_progress: Progress | None = None
    ) -> Landed:
        """Bring a version here, unless it is here already: see :meth:`ks4_pipeline.landing.Landing.fetch`."""
        return self.landing.fetch(client, data_set, version, on_progress)

    def load(
        self,
        client: EesClient,
        data_set: DataSet,
        version: VersionNumber,
        *,
        on_progress: Progress | None = None,
        on_landed: Callable[[], None] = lambda: None,
    ) -> Finished:
        """Land, type and judge a version: what :meth:`land` and :meth:`observe` do, typed while it arrives.

        Raises:
            RefusedVersionError: when its content cannot be trusted, or breaks a rule of severity error.
            EesError: when it cannot be fetched.
        """
        with self.observations.ahead(data_set) as ahead:
            landed = self.landing.fetch(client, data_set, version, on_progress, ahead.read)
            on_landed()
            return self.observe(data_set, landed, ahead)

    def observe(self, data_set: DataSet, landed: Landed, ahead: Ahead | None = None) -> Finished:
        """Type and judge a landed version; one that is refused is set aside, and the next attempt fetches it anew.

        Args:
            data_set: which.
            landed: the version.
            ahead: what was typed of it while it arrived.

        Raises:
            RefusedVersionError: when its content cannot be trusted, or breaks a rule of severity error.
        """
        try:
            return self.finish(data_set, landed, ahead)
        except RefusedVersionError as error:
            self.landing.refuse(data_set, landed, str(error))
            self.observations.remove(data_set, landed.version)
            raise

    def finish(self, data_set: DataSet, landed: Landed, ahead: Ahead | None = None, *, anew: bool = False) -> Finished:
        """A landed version typed and judged, whatever of it has been done before.

        Args:
            data_set: which.
            landed: the version.
            ahead: what was typed of it while it arrived.
            anew: type it whatever is there.

        Raises:
            RefusedVersionError: as for :meth:`observe`; the landing stays where it is.
        """
        observations = self.observations.make(data_set, landed, ahead, anew=anew)
        return self._judged(data_set, landed, observations)

    def judge(
        self, data_set: DataSet, landed: Landed, observations: Observations, store: ObservationsStore | None = None
    ) -> Judgement:
        """What the rules in force say of a version, by the one before it: see :meth:`_before`.

        Args:
            data_set: whose version.
            landed: the version.
            observations: its cells.
            store: where those of the version before are, or will be; the data directory's when None.
        """
        before = self._before(data_set, landed.version, self.landing.versions(data_set))
        basis = self._basis(data_set, landed.manifest.csv.sha256, before)
        known = kept(observations, basis)
        if known is not None:
            return known
        previous = None
        if before is not None:
            with suppress(RefusedVersionError, LandingError):  # then there is nothing to compare with
                previous = (store or self.observations).make(data_set, before)
        if previous is None:
            basis = self._basis(data_set, landed.manifest.csv.sha256, None)
        return judge(observations, previous, rules_in_force(self.settings.rules, data_set.name), basis)

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
            for landed, observations, _ in finished
        ]
        addition = self.addition(data_set, listing, finished)
        publish(self.warehouse, [addition], attempts, now, newest=self.landing.listing)

    def addition(
        self,
        data_set: DataSet,
        listing: Listing,
        finished: Sequence[Finished],
        *,
        on_judging: Callable[[VersionNumber], None] = lambda _: None,
    ) -> Addition:
        """What the next edition has to say of a data set: these versions, and new judgements of those in force.

        A version in force is judged anew when rules, or the version before it, are others than they were, and typed
        anew where an older program typed it. It keeps its table whatever comes.

        Args:
            data_set: which.
            listing: the publisher's list.
            finished: the versions to load.
            on_judging: told of each version that is judged anew.
        """
        new = {landed.version for landed, *_ in finished}
        in_force = self.in_force().get(data_set.name, {})
        judged = judged_on(self.warehouse, data_set.name) if in_force else {}
        landed_versions = self.landing.versions(data_set) if in_force else ()
        rejudged = {}
        for version in sorted(in_force.keys() - new):
            # Its landing may be damaged or gone; what was said of it stays then.
            with suppress(EvaluationError, LandingError, NotLandedError, RefusedVersionError):
                before = self._before(data_set, version, landed_versions)
                if judged.get(version) != self._basis(data_set, in_force[version].csv_sha256, before):
                    on_judging(version)
                    landed = self.landed(data_set, version)
                    rejudged[version] = self.judge(data_set, landed, self.observations.make(data_set, landed))
        return Addition(data_set, listing, finished, rejudged, self.notes(data_set))

    def notes(self, data_set: DataSet) -> tuple[Note, ...]:
        """The configuration's notes on a data set."""
        return tuple(
            as_note(setting)
            for setting in self.settings.notes
            if setting.data_sets is None or data_set.name in setting.data_sets
        )

    def refetch(
        self, client: EesClient, data_set: DataSet, version: VersionNumber, on_progress: Progress | None = None
    ) -> Refetched:
        """Fetch a landed version again and compare: see :meth:`ks4_pipeline.landing.Landing.refetch`.

        The warehouse stays as it is, whatever comes.
        """
        return self.landing.refetch(client, data_set, self.landed(data_set, version), on_progress)

    def republished(self, data_set: DataSet) -> dict[VersionNumber, Landed]:
        """The versions under whose number the publisher now serves other bytes, waiting for a person to accept them."""
        return self.landing.republished(data_set)

    def accept(self, data_set: DataSet, version: VersionNumber) -> Observations:
        """Put what the publisher now serves under a known number in place of what we had, and publish it.

        What was in force is kept as superseded. Breaking off at any point leaves either the old or the new landing in
        place, and accepting again finishes the rest.

        Raises:
            NothingToAcceptError: when no other bytes are known for the version: fetch it again first.
            RefusedVersionError: when the new content cannot be trusted; the old stays in force.
        """
        candidate = self.landing.republished(data_set).get(version)
        if candidate is None:
            landed = self.landing.get(data_set, version)
            in_force = self.in_force().get(data_set.name, {}).get(version)
            if landed is None or in_force is None or landed.manifest.csv.sha256 == in_force.csv_sha256:
                raise NothingToAcceptError(
                    f"{data_set.name} {version}: the publisher is not known to serve anything else than what is in "
                    "force. The weekly check fetches the newest versions again; only what it finds can be accepted."
                )
        else:
            landed = self._accept(data_set, candidate)
        finished = self.finish(data_set, landed)
        self.publish(data_set, [version])
        return finished.observations

    def in_force(self) -> Mapping[str, Mapping[VersionNumber, InForce]]:
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

    def _landed_from(self, data_set: DataSet) -> str | None:
        """Which publisher the newest version here came from, where there is no list to say it."""
        for version in reversed(self.landing.versions(data_set)):
            with suppress(LandingError):
                landed = self.landing.get(data_set, version)
                if landed:
                    return source_of(landed.manifest.url.partition("/v1/data-sets/")[0])
        return None

    def _glance(self, client: EesClient, data_set: DataSet, known: Listing) -> Listing | None:
        """The list after at most two requests; None when it must be read as a whole."""
        first = client.versions_page(data_set.id, 1)
        if not poll.same_members(known, first):
            return None
        turn = poll.next_turn(known.turn, first.paging.total_pages)
        pages, summary = [first], known.summary
        if turn == poll.SUMMARY:
            summary = client.data_set(data_set.id).model
        else:
            pages.append(client.versions_page(data_set.id, turn))
        return poll.noted(known, summary, pages, turn, self._clock())

    def _accept(self, data_set: DataSet, candidate: Landed) -> Landed:
        """Make sure that the candidate can be typed before it takes the place of what is in force."""
        try:
            self.finish(data_set, candidate)
        except RefusedVersionError:
            in_force = self.landing.get(data_set, candidate.version)
            if in_force:
                self.observations.make(data_set, in_force)
            raise
        return self.landing.accept(data_set, candidate)

    def _before(self, data_set: DataSet, version: VersionNumber, landed: Sequence[VersionNumber]) -> Landed | None:
        """The version before another, of those that have landed and are in force or accepted for the next edition.

        One that has only landed may yet be refused, or never be loaded: what is said of a version must not depend on
        the order in which they came. None when there is none, or it cannot be read.
        """
        earlier = sorted((other for other in landed if other < version), reverse=True)
        with suppress(LandingError):
            before = next((other for other in earlier if self._stands(data_set, other)), None)
            return self.landing.get(data_set, before) if before else None
        return None

    def _stands(self, data_set: DataSet, version: VersionNumber) -> bool:
        """Whether a version is in force, or is going to be as far as its rules are concerned."""
        return is_accepted(self.observations.path(data_set, version)) or version in self._in_force(data_set)

    def _basis(self, data_set: DataSet, csv_sha256: str, before: Landed | None) -> str:
        """What a judgement of a version's bytes, compared with the version before it, is based on now."""
        fingerprint = before.manifest.csv.sha256 if before else None
        return basis_of(self.settings.rules, data_set.name, csv_sha256, fingerprint)

    def _finished(self, data_set: DataSet, version: VersionNumber) -> Finished:
        landed = self.landed(data_set, version)
        observations = self.observations.get(data_set, landed)
        if observations is None:
            raise NotLandedError(f"{data_set.name} {version} has no observations; run the observations step first.")
        return self._judged(data_set, landed, observations)

    def _judged(self, data_set: DataSet, landed: Landed, observations: Observations) -> Finished:
        """A typed version with its judgement. What is in force keeps its table whatever the rules say by now.

        Raises:
            FailedRulesError: when another breaks a rule of severity error.
        """
        judgement = self.judge(data_set, landed, observations)
        if not self._is_in_force(data_set, landed):
            refuse_errors(f"{data_set.name} {landed.version}", judgement)
        return Finished(landed, observations, judgement)

    def _is_in_force(self, data_set: DataSet, landed: Landed) -> bool:
        """Whether the published warehouse has a table of these very bytes."""
        in_force = self._in_force(data_set).get(landed.version)
        return in_force is not None and in_force.csv_sha256 == landed.manifest.csv.sha256

    def _in_force(self, data_set: DataSet) -> Mapping[VersionNumber, InForce]:
        with suppress(WarehouseError):  # one that cannot be read is being made anew
            return self.in_force().get(data_set.name, {})
        return {}
