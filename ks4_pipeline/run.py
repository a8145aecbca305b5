"""A whole run: every data set looked at, every missing version loaded, one edition published.

One version's failure leaves the others alone; what failed, and why, is in the report. The steps themselves are
:class:`ks4_pipeline.pipeline.Pipeline`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from ks4_pipeline import poll
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesError, EesStatusError, EesUnavailableError
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.landing import Landed, LandingError, Listing
from ks4_pipeline.observations import Observations
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality.evaluation import EvaluationError
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import keeping
from ks4_pipeline.warehouse.edition import Addition, Attempt, Finished, publish, refuse_foreign
from ks4_pipeline.warehouse.reading import InForce

_AT_ONCE = 4
"""Questions to the API under way at the same time, within what the client's pace allows."""
_AHEAD = 3
"""Versions fetched ahead of the one being typed: fetching is waiting, typing is work."""


class Outcome(StrEnum):
    """What became of one version, or of the look at a whole data set."""

    LOADED = "loaded"
    REFUSED = "refused"
    """It arrived whole and its content cannot be trusted."""
    FAILED = "failed"
    """It did not arrive, or what had arrived cannot be read."""
    UNREACHABLE = "unreachable"
    """The API gave no answer to the look at the data set, or none any more when the version was to be fetched."""
    UNKNOWN = "unknown"
    """The API opens no such data set, or lists no such version."""


@dataclass(frozen=True, slots=True)
class VersionOutcome:
    """What became of one version; ``version`` is None when the data set itself could not be looked at."""

    data_set: str
    version: VersionNumber | None
    outcome: Outcome
    message: str = ""
    rows: int | None = None
    markers: int | None = None


@dataclass
class RunReport:
    """What a run did.

    Attributes:
        outcomes: one per version tried, and one per data set that could not be looked at.
        up_to_date: by data set, how many versions were in the warehouse before.
        published: whether a new edition stands in place.
    """

    outcomes: list[VersionOutcome] = field(default_factory=list)
    up_to_date: dict[str, int] = field(default_factory=dict)
    published: bool = False

    @property
    def loaded(self) -> dict[str, list[VersionNumber]]:
        """By data set, the versions that the new edition has and the old one had not, or had otherwise."""
        found: dict[str, list[VersionNumber]] = {}
        for outcome in self.outcomes:
            if self.published and outcome.outcome is Outcome.LOADED and outcome.version:
                found.setdefault(outcome.data_set, []).append(outcome.version)
        return found

    @property
    def exit_code(self) -> int:
        """0 all is well; 1 a version could not be loaded; 2 wrong data set or version; 3 the API is out of reach."""
        found = {outcome.outcome for outcome in self.outcomes}
        if Outcome.UNREACHABLE in found:
            return 3
        if Outcome.UNKNOWN in found:
            return 2
        return 1 if found & {Outcome.REFUSED, Outcome.FAILED} else 0


class Reporter:
    """Told what a run is doing, as it does it; says nothing itself."""

    def looked(self, data_set: DataSet, listing: Listing, missing: Sequence[VersionNumber]) -> None:
        """The publisher's list is read; ``missing`` are the versions to load."""

    def downloading(self, data_set: DataSet, version: VersionNumber, received: int, total: int | None) -> None:
        """Bytes of a CSV have come."""

    def typing(self, data_set: DataSet, version: VersionNumber) -> None:
        """A landed CSV is being made into observations, or a version in force is judged anew."""

    def finished(self, outcome: VersionOutcome) -> None:
        """A version is ready for the next edition, or is not to be."""

    def publishing(self, versions: int) -> None:
        """The next edition is being made."""


def run(
    pipeline: Pipeline,
    data_sets: Sequence[DataSet],
    *,
    only: Collection[VersionNumber] | None = None,
    whole: bool = False,
    reporter: Reporter | None = None,
    on_work: Callable[[], None] = lambda: None,
) -> RunReport:
    """Load every version the publisher lists that is not in the warehouse, and publish once.

    Versions whose status, notes or release changed at the publisher's are brought up to date even when nothing is to be
    loaded; without any news nothing is published.

    Args:
        pipeline: the steps.
        data_sets: which to look at.
        only: load only these versions; one that is loaded is fetched anew when its landing is gone.
        whole: read whole version lists, even when nothing seems to be new.
        reporter: told of every step.
        on_work: called once before the first version is loaded, if there is one to load.

    Raises:
        ConfigurationError: when the data directory holds another data set under one of the names; nothing here changes.
    """
    this = _Run(pipeline, reporter or Reporter())
    pipeline.tidy()
    # The pool outlives the client: where the run is broken off, what is still under way fails at once.
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ks4-fetch") as pool, pipeline.client() as client:
        reading = pool.submit(_in_force, pipeline, data_sets)  # of thousands of tables it takes as long as the asking
        asked = pool.map(partial(_ask, pipeline, client, whole=whole), data_sets)
        in_force = reading.result()
        looks = list(zip(data_sets, asked, strict=True))  # whole, before anything here changes
        for data_set, listing in looks:
            if not isinstance(listing, EesError):
                pipeline.landing.remember(data_set, listing)
        found = [
            (data_set, listing, this.missing(data_set, listing, in_force.get(data_set.name, {}), only))
            for data_set, listing in looks
        ]
        wanted = [(data_set, version) for data_set, _, versions in found for version in versions]
        if wanted:
            on_work()
        this.fetching = Fetching(pipeline, client, pool, wanted)
        additions = [
            addition
            for data_set, listing, versions in found
            if not isinstance(listing, EesError)
            for addition in this.load(client, data_set, listing, versions, in_force.get(data_set.name, {}))
        ]
    this.publish(additions)
    return this.report


def _in_force(pipeline: Pipeline, data_sets: Sequence[DataSet]) -> Mapping[str, Mapping[VersionNumber, InForce]]:
    refuse_foreign(pipeline.warehouse, data_sets)
    return pipeline.in_force()


def _ask(pipeline: Pipeline, client: EesClient, data_set: DataSet, *, whole: bool) -> Listing | EesError:
    try:
        return pipeline.ask(client, data_set, whole=whole)
    except EesError as error:
        return error


def _outcome_of(error: EesError) -> Outcome:
    """What a look at a data set came to that failed."""
    if isinstance(error, EesUnavailableError):
        return Outcome.UNREACHABLE
    return Outcome.UNKNOWN if isinstance(error, EesStatusError) else Outcome.FAILED


class Fetching:
    """Versions landing in the background while earlier ones are typed, a few ahead and in the order they are wanted.

    The first one wanted is not fetched here: whoever wants it now types it while it arrives.

    Args:
        pipeline: lands them.
        client: to ask with.
        pool: whose threads do it.
        wanted: all that will be loaded, in that order.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        client: EesClient,
        pool: ThreadPoolExecutor,
        wanted: Sequence[tuple[DataSet, VersionNumber]],
    ) -> None:
        self._land = partial(pipeline.land, client)
        self._pool = pool
        self._ahead = deque(wanted)
        self._under_way: dict[tuple[str, VersionNumber], Future[Landed]] = {}

    def wait_for(self, data_set: DataSet, version: VersionNumber) -> None:
        """Let a version land that is under way, and begin with those behind it.

        Raises:
            EesError: when it could not be fetched.
        """
        under_way = self._under_way.pop((data_set.name, version), None)
        if under_way is None:
            with suppress(ValueError):
                self._ahead.remove((data_set, version))
        while self._ahead and len(self._under_way) < _AHEAD:
            next_data_set, next_version = self._ahead.popleft()
            self._under_way[next_data_set.name, next_version] = self._pool.submit(
                self._land, next_data_set, next_version
            )
        if under_way is not None:
            under_way.result()

    def give_up(self) -> None:
        """Begin with no more versions: the API is gone, and whoever wants one finds out whether it is back."""
        self._ahead.clear()


def rebuild(pipeline: Pipeline, *, reporter: Reporter | None = None) -> RunReport:
    """Make the warehouse anew from landing alone, without the network.

    It takes the old one's place only when every landed version could be loaded, and every version of the old one has
    landed. What the old one alone knows, such as when things were loaded, is kept where the bytes are the same.
    """
    this = _Run(pipeline, reporter or Reporter())
    pipeline.tidy()
    additions: list[Addition] = []
    for data_set, listing in pipeline.landing.data_sets():
        versions = pipeline.landing.versions(data_set)
        if versions:  # one of which nothing could ever be loaded is not in the warehouse either
            this.reporter.looked(data_set, listing, versions)
            finished, notes = this.reload(data_set, versions), pipeline.notes(data_set)
            additions.append(Addition(data_set, listing, finished, notes=notes))
    this.refuse_loss(additions)
    if this.report.exit_code == 0:
        this.publish(additions, anew=True)
    return this.report


class _Run:
    """Collects what became of each version."""

    def __init__(self, pipeline: Pipeline, reporter: Reporter) -> None:
        self.reporter = reporter
        self.report = RunReport()
        self.fetching: Fetching | None = None
        self._pipeline = pipeline
        self._attempts: list[Attempt] = []
        self._left_over: set[tuple[str, VersionNumber]] = set()
        """What an earlier run had fetched and did not load, before anything is fetched ahead."""

    def missing(
        self,
        data_set: DataSet,
        listing: Listing | EesError,
        in_force: Mapping[VersionNumber, InForce],
        only: Collection[VersionNumber] | None,
    ) -> list[VersionNumber]:
        """The versions of a data set to load; none where the look at it failed."""
        self.report.up_to_date[data_set.name] = len(in_force)
        if isinstance(listing, EesError):
            self._finish(VersionOutcome(data_set.name, None, _outcome_of(listing), str(listing)))
            return []
        listed = {record.version for record in listing.versions}
        for version in sorted(set(only or ()) - listed):
            self._finish(
                VersionOutcome(data_set.name, version, Outcome.UNKNOWN, "The publisher lists no such version.")
            )
        missing = [version for version in poll.missing(listing, in_force) if only is None or version in only]
        missing += [
            version for version in sorted(listed & set(only or ()) & set(in_force)) if self._is_gone(data_set, version)
        ]
        landed = self._pipeline.landing.versions(data_set) if missing else ()
        self._left_over.update((data_set.name, version) for version in missing if version in landed)
        self.reporter.looked(data_set, listing, missing)
        return missing

    def load(
        self,
        client: EesClient,
        data_set: DataSet,
        listing: Listing,
        versions: Sequence[VersionNumber],
        in_force: Mapping[VersionNumber, InForce],
    ) -> Iterable[Addition]:
        """What the next edition has to say of a data set; nothing when there is no news."""
        loaded = self._load(client, data_set, versions)
        if not loaded and not poll.moved(listing, in_force):
            return []
        on_judging = partial(self.reporter.typing, data_set)
        return [self._pipeline.addition(data_set, listing, loaded, on_judging=on_judging)]

    def _is_gone(self, data_set: DataSet, version: VersionNumber) -> bool:
        """Whether a loaded version's landing is not there: named by somebody, it is fetched anew."""
        return version not in self._pipeline.landing.versions(data_set)

    def reload(self, data_set: DataSet, versions: Iterable[VersionNumber]) -> list[Finished]:
        """Observations of landed versions, made anew; what cannot be loaded stays where it is."""
        loaded: list[Finished] = []
        for version in versions:
            started_at = self._pipeline.now()
            self.reporter.typing(data_set, version)
            try:
                finished = self._pipeline.finish(data_set, self._pipeline.landed(data_set, version), anew=True)
            except Ks4Error as error:
                self._fail(data_set, version, started_at, Outcome.FAILED, error)
            else:
                self._succeed(data_set, started_at, finished.observations)
                loaded.append(finished)
        return loaded

    def refuse_loss(self, additions: Iterable[Addition]) -> None:
        """Fail the versions that only the published warehouse has: without their landing they would be lost."""
        try:
            in_force = self._pipeline.in_force()
        except Ks4Error:  # it cannot be read: whatever can be made anew is a gain
            return
        landed = {(addition.data_set.name, version) for addition in additions for version in self._versions(addition)}
        for name, versions in in_force.items():
            for version in versions:
                if (name, version) not in landed:
                    self._finish(VersionOutcome(name, version, Outcome.FAILED, _lost(name, version)))

    def _versions(self, addition: Addition) -> Iterable[VersionNumber]:
        return self._pipeline.landing.versions(addition.data_set)

    def publish(self, additions: Sequence[Addition], *, anew: bool = False) -> None:
        """One edition for everything; none when there is no news."""
        if additions:
            self.reporter.publishing(sum(len(addition.versions) for addition in additions))
            publish(
                self._pipeline.warehouse,
                additions,
                self._attempts,
                self._pipeline.now(),
                newest=self._pipeline.landing.listing,
                anew=anew,
                keep=partial(keeping.read, self._pipeline.warehouse) if anew else None,
            )
            self.report.published = True

    def _load(self, client: EesClient, data_set: DataSet, versions: Iterable[VersionNumber]) -> list[Finished]:
        loaded: list[Finished] = []
        gone_at: VersionNumber | None = None
        for version in versions:
            if gone_at:
                message = f"Not tried: the API could not be reached any more at {gone_at}."
                self._finish(VersionOutcome(data_set.name, version, Outcome.UNREACHABLE, message))
                continue
            started_at = self._pipeline.now()
            try:
                finished = self._land_and_observe(client, data_set, version)
            except RefusedVersionError as error:
                self._fail(data_set, version, started_at, Outcome.REFUSED, error)
            except EesUnavailableError as error:
                # Either the API is gone, and all else would wait for it in vain, or it fails at this version alone.
                gone_at = None if client.answers(data_set.id) else version
                if gone_at and self.fetching:
                    self.fetching.give_up()
                outcome = Outcome.UNREACHABLE if gone_at else Outcome.FAILED
                self._fail(data_set, version, started_at, outcome, error)
            except (EesError, LandingError, EvaluationError) as error:
                self._fail(data_set, version, started_at, Outcome.FAILED, error)
            else:
                self._succeed(data_set, started_at, finished.observations)
                loaded.append(finished)
        return loaded

    def _land_and_observe(self, client: EesClient, data_set: DataSet, version: VersionNumber) -> Finished:
        """A version typed; what a run that was killed had fetched, and is refused now, is fetched anew at once."""
        if self.fetching:
            self.fetching.wait_for(data_set, version)
        try:
            return self._attempt(client, data_set, version)
        except RefusedVersionError:
            if (data_set.name, version) not in self._left_over:
                raise
        return self._attempt(client, data_set, version)

    def _attempt(self, client: EesClient, data_set: DataSet, version: VersionNumber) -> Finished:
        return self._pipeline.load(
            client,
            data_set,
            version,
            on_progress=partial(self.reporter.downloading, data_set, version),
            on_landed=partial(self.reporter.typing, data_set, version),
        )

    def _succeed(self, data_set: DataSet, started_at: datetime, observations: Observations) -> None:
        facts = observations.facts
        self._attempts.append(
            Attempt(data_set.name, facts.version, started_at, self._pipeline.now(), Outcome.LOADED, rows=facts.rows)
        )
        self._finish(
            VersionOutcome(
                data_set.name, facts.version, Outcome.LOADED, rows=facts.rows, markers=observations.marker_cells
            )
        )

    def _fail(
        self, data_set: DataSet, version: VersionNumber, started_at: datetime, outcome: Outcome, error: Ks4Error
    ) -> None:
        logged = Outcome.FAILED if outcome is Outcome.UNREACHABLE else outcome
        self._attempts.append(
            Attempt(data_set.name, version, started_at, self._pipeline.now(), logged, reason=str(error))
        )
        self._finish(VersionOutcome(data_set.name, version, outcome, str(error)))

    def _finish(self, outcome: VersionOutcome) -> None:
        self.report.outcomes.append(outcome)
        self.reporter.finished(outcome)


def _lost(name: str, version: VersionNumber) -> str:
    return (
        f"{name} {version} is in the warehouse, and its landing is not there: a rebuild would lose it. Fetch it anew: "
        f"ks4 run --data-set {name} --version {version}."
    )
