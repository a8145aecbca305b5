"""The publisher's side of a running sandbox: which versions are out, in which state, and which one is live.

State is a frozen record per data set, replaced as a whole under a lock: a request that has taken one sees one moment,
whatever is published meanwhile. Only this module changes state; it knows nothing of HTTP.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.description import DataSetStatus, VersionStatus
from ks4_pipeline.sandbox.errors import UnknownInSandboxError, WrongStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from ks4_pipeline.sandbox.history import DataSet, Version
    from ks4_pipeline.versions import VersionNumber


@dataclass(frozen=True, slots=True)
class VersionState:
    """A version and how it stands now; a held one does not exist for the API."""

    version: Version
    status: VersionStatus
    published: datetime | None
    withdrawn: datetime | None
    held: bool

    @property
    def number(self) -> VersionNumber:
        """The version's number."""
        return self.version.number


@dataclass(frozen=True, slots=True)
class DataSetState:
    """A data set at one moment: all versions ascending, and those that went live, in order of publication."""

    data_set: DataSet
    versions: tuple[VersionState, ...]
    went_live: tuple[VersionNumber, ...]

    @property
    def status(self) -> DataSetStatus:
        """As described; a data set of which nothing went live yet is a draft (contract §1.3, §2.3)."""
        return self.data_set.status if self.went_live else DataSetStatus.DRAFT

    @property
    def out(self) -> tuple[VersionState, ...]:
        """The versions that exist for the API, whatever their status."""
        return tuple(state for state in self.versions if not state.held)

    @property
    def live(self) -> VersionState | None:
        """The version published last, whatever its number or present status (contract §3.5)."""
        return self.find(self.went_live[-1]) if self.went_live else None

    def find(self, number: VersionNumber) -> VersionState | None:
        """The version of that number, if it is out."""
        return next((state for state in self.out if state.number == number), None)


class Publisher:
    """All data sets of a sandbox and the changes of state that may befall them; safe to use from any thread."""

    def __init__(self, data_sets: Iterable[DataSet], clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self._lock = threading.Lock()
        self._states = {data_set.id: _initial(data_set) for data_set in data_sets}

    def states(self) -> tuple[DataSetState, ...]:
        """All data sets, in order of folder name."""
        with self._lock:
            return tuple(self._states.values())

    def find(self, data_set_id: UUID) -> DataSetState | None:
        """One data set as it stands now."""
        return self._states.get(data_set_id)

    def publish(self, data_set_id: UUID, number: VersionNumber) -> None:
        """Let a held or a not yet public version go live now; it becomes the latest live version."""
        with self._lock:
            self._publish(data_set_id, number)

    def publish_next(self, data_set_id: UUID) -> VersionNumber | None:
        """Publish the lowest held version; None if there is none."""
        with self._lock:
            held = [state.number for state in self._known(data_set_id).versions if state.held]
            if not held:
                return None
            self._publish(data_set_id, min(held))
            return min(held)

    def withdraw(self, data_set_id: UUID, number: VersionNumber) -> None:
        """Withdraw a version: it stays listed and downloadable (contract §3.4)."""
        with self._lock:
            state = self._known_version(data_set_id, number, (VersionStatus.PUBLISHED, VersionStatus.DEPRECATED))
            self._put(data_set_id, replace(state, status=VersionStatus.WITHDRAWN, withdrawn=self._clock()))

    def deprecate(self, data_set_id: UUID, number: VersionNumber) -> None:
        """Mark a published version as deprecated."""
        with self._lock:
            state = self._known_version(data_set_id, number, (VersionStatus.PUBLISHED,))
            self._put(data_set_id, replace(state, status=VersionStatus.DEPRECATED))

    def restore(self, data_set_id: UUID, number: VersionNumber) -> None:
        """Make a withdrawn or deprecated version an ordinary published one again."""
        with self._lock:
            state = self._known_version(data_set_id, number, (VersionStatus.WITHDRAWN, VersionStatus.DEPRECATED))
            self._put(data_set_id, replace(state, status=VersionStatus.PUBLISHED, withdrawn=None))

    def hold(self, data_set_id: UUID, number: VersionNumber) -> None:
        """Take a version out as if it had never been; the one published before it is live again."""
        with self._lock:
            state = self._known_version(data_set_id, number)
            went_live = tuple(other for other in self._states[data_set_id].went_live if other != number)
            self._put(data_set_id, replace(state, held=True), went_live)

    def _publish(self, data_set_id: UUID, number: VersionNumber) -> None:
        state = self._known_version(data_set_id, number, held_too=True)
        if state.status.is_public and not state.held:
            raise WrongStateError(f"Version {number} of {data_set_id} is already out ({state.status}).")
        live = replace(
            state,
            held=False,
            status=VersionStatus.PUBLISHED,
            published=state.version.entry.published or self._clock(),
            withdrawn=None,
        )
        self._put(data_set_id, live, (*self._states[data_set_id].went_live, number))

    def _put(
        self, data_set_id: UUID, changed: VersionState, went_live: tuple[VersionNumber, ...] | None = None
    ) -> None:
        """Replace a data set's record by one in which a version is changed, and perhaps what went live."""
        state = self._states[data_set_id]
        versions = tuple(changed if known.number == changed.number else known for known in state.versions)
        went_live = state.went_live if went_live is None else went_live
        self._states[data_set_id] = replace(state, versions=versions, went_live=went_live)

    def _known(self, data_set_id: UUID) -> DataSetState:
        state = self._states.get(data_set_id)
        if state is None:
            raise UnknownInSandboxError(f"The sandbox serves no data set {data_set_id}.")
        return state

    def _known_version(
        self,
        data_set_id: UUID,
        number: VersionNumber,
        allowed: tuple[VersionStatus, ...] = tuple(VersionStatus),
        *,
        held_too: bool = False,
    ) -> VersionState:
        known = self._known(data_set_id)
        state = next((state for state in known.versions if state.number == number), None)
        if state is None:
            raise UnknownInSandboxError(f"Data set {data_set_id} has no version {number} in its description.")
        if state.held and not held_too:
            raise WrongStateError(f"Version {number} of {data_set_id} is held: publish it first.")
        if state.status not in allowed:
            raise WrongStateError(
                f"Version {number} of {data_set_id} is {state.status}; this needs {' or '.join(allowed)}."
            )
        return state


def _initial(data_set: DataSet) -> DataSetState:
    versions = tuple(
        VersionState(
            version=version,
            status=version.entry.status,
            published=version.published if version.entry.status.is_public else None,
            withdrawn=_withdrawn(version),
            held=version.entry.held,
        )
        for version in data_set.versions
    )
    went_live = sorted(
        (state.version.published, state.number) for state in versions if state.status.is_public and not state.held
    )
    return DataSetState(data_set, versions, tuple(number for _, number in went_live))


def _withdrawn(version: Version) -> datetime | None:
    if version.entry.status is not VersionStatus.WITHDRAWN:
        return None
    return version.entry.withdrawn or version.published
