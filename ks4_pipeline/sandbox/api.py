"""The endpoints of the stand-in API under ``/v1`` (contract §2.1): who may see what, and the order of lists.

Each handler takes a request and gives a body or raises a :class:`ProblemError`. Parameters are checked before
anything is looked up. What ``/query`` may ask and how it is answered is in the modules ``query*.py``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from ks4_pipeline.sandbox import views
from ks4_pipeline.sandbox.changes import ChangesView, VersionChanges, change_set
from ks4_pipeline.sandbox.description import DataSetStatus, VersionStatus
from ks4_pipeline.sandbox.metadata import label_order
from ks4_pipeline.sandbox.parameters import ParameterReader
from ks4_pipeline.sandbox.problems import forbidden, not_found, server_error
from ks4_pipeline.sandbox.query import Queries
from ks4_pipeline.sandbox.query_reading import read_get, read_post
from ks4_pipeline.sandbox.references import OverflowInServerError, find_version
from ks4_pipeline.sandbox.responses import CsvResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from starlette.requests import Request

    from ks4_pipeline.sandbox.archive import Archive
    from ks4_pipeline.sandbox.delivery import Delivery
    from ks4_pipeline.sandbox.history import Publication
    from ks4_pipeline.sandbox.metadata import Metadata
    from ks4_pipeline.sandbox.publisher import DataSetState, Publisher, VersionState

_Result = TypeVar("_Result", bound=views.View)
_OPEN_DATA_SETS = (DataSetStatus.PUBLISHED, DataSetStatus.DEPRECATED)
_META_SECTIONS = ("Filters", "Indicators", "Locations", "TimePeriods")


@dataclass(frozen=True)
class PatchOrder:
    """The order of patches in the versions list, which the service leaves to its database (contract §3.2).

    With ``per_request`` it is another one each time, so that a walk over pages may skip or repeat a version.
    """

    seed: int
    per_request: bool = False
    _requests: Iterator[int] = field(default_factory=count)

    def arranged(self, data_set_id: UUID, versions: Sequence[VersionState]) -> list[VersionState]:
        """Major and minor descending, patches as the seed has it."""
        turn = next(self._requests) if self.per_request else 0
        shuffled = sorted(versions, key=lambda state: state.number)
        random.Random(f"{self.seed} {data_set_id} {turn}").shuffle(shuffled)  # noqa: S311 - no secret
        return sorted(shuffled, key=lambda state: (-state.number.major, -state.number.minor))


class Api:
    """The handlers, over the state of a sandbox."""

    def __init__(self, publisher: Publisher, archive: Archive, delivery: Delivery, patch_order: PatchOrder) -> None:
        self._publisher = publisher
        self._archive = archive
        self._delivery = delivery
        self._patch_order = patch_order
        self._queries = Queries()

    def publications(self, request: Request) -> views.View:
        """GET /publications."""
        parameters = ParameterReader(request.query_params.multi_items())
        search = parameters.text("search", least=3)
        page, size = parameters.page(), parameters.page_size(20, 40)
        parameters.finish()
        words = (search or "").replace("-", " ").casefold().split()
        found = [
            views.publication_view(publication, last)
            for publication, last in self._open_publications().values()
            if all(word in f"{publication.title} {publication.summary}".casefold() for word in words)
        ]
        return _page(sorted(found, key=lambda view: label_order(view.title)), page, size)

    def publication(self, request: Request) -> views.View:
        """GET /publications/{publicationId}."""
        ParameterReader(request.query_params.multi_items()).finish()
        found = self._open_publications().get(request.path_params["publication_id"])
        if found is None:
            raise not_found()
        return views.publication_view(*found)

    def data_sets(self, request: Request) -> views.View:
        """GET /publications/{publicationId}/data-sets; an unknown publication has none."""
        parameters = ParameterReader(request.query_params.multi_items())
        page, size = parameters.page(), parameters.page_size(10, 20)
        parameters.finish()
        publication_id = request.path_params["publication_id"]
        live = [
            (state, state.live.published)
            for state in self._publisher.states()
            if state.data_set.publication.id == publication_id
            and state.status in _OPEN_DATA_SETS
            and state.live
            and state.live.published
        ]
        live.sort(key=lambda found: (-found[1].timestamp(), found[0].data_set.title, str(found[0].data_set.id)))
        return _page([self._data_set_view(state) for state, _ in live], page, size)

    def data_set(self, request: Request) -> views.View:
        """GET /data-sets/{dataSetId}."""
        ParameterReader(request.query_params.multi_items()).finish()
        return self._data_set_view(self._open_data_set(request))

    def versions(self, request: Request) -> views.View:
        """GET /data-sets/{dataSetId}/versions: Published, Deprecated, Withdrawn, and a draft for its token."""
        parameters = ParameterReader(request.query_params.multi_items())
        page, size = parameters.page(), parameters.page_size(10, 20)
        parameters.finish()
        state = self._open_data_set(request)
        seen = [found for found in state.out if _may_see(request, found)]
        arranged = self._patch_order.arranged(state.data_set.id, seen)
        return _page([self._version_view(state, found) for found in arranged], page, size)

    def version(self, request: Request) -> views.View:
        """GET /data-sets/{dataSetId}/versions/{dataSetVersion}."""
        ParameterReader(request.query_params.multi_items()).finish()
        state = self._data_set(request)
        return self._version_view(state, _seen(request, _version_in_path(request, state)))

    def changes(self, request: Request) -> views.View:
        """GET /data-sets/{dataSetId}/versions/{dataSetVersion}/changes (contract §4)."""
        parameters = ParameterReader(request.query_params.multi_items())
        with_history = parameters.flag("includePatchHistory")
        parameters.finish()
        state = self._data_set(request)
        found = _seen(request, _version_in_path(request, state))
        number = found.number
        if with_history and not number.patch:
            raise server_error()  # contract §4.5: the service throws
        patched = [
            _seen(request, other)
            for other in state.out
            if with_history
            and (other.number.major, other.number.minor) == (number.major, number.minor)
            and other.number < number
        ]
        own = self._changes_of(state, found)
        return ChangesView(
            version_number=own.version_number,
            notes=own.notes,
            major_changes=own.major_changes,
            minor_changes=own.minor_changes,
            patch_history=tuple(self._changes_of(state, other) for other in patched),
        )

    def meta(self, request: Request) -> views.View:
        """GET /data-sets/{dataSetId}/meta."""
        parameters = ParameterReader(request.query_params.multi_items())
        wanted = parameters.text("dataSetVersion")
        sections = parameters.choices("types", _META_SECTIONS)
        parameters.finish()
        state = self._data_set(request)
        found = _seen(request, _version_in_query(state, wanted))
        return views.meta_view(self._metadata(state, found), sections)

    def csv(self, request: Request) -> CsvResponse:
        """GET /data-sets/{dataSetId}/csv: the publisher's file, gzipped, byte for byte (contract §6)."""
        parameters = ParameterReader(request.query_params.multi_items())
        wanted = parameters.text("dataSetVersion")
        parameters.finish()
        state = self._data_set(request)
        found = _seen(request, _version_in_query(state, wanted))
        data_set_id = state.data_set.id
        return CsvResponse(
            self._delivery.packed(found.version.file),
            found.version.entry.file_name or f"{data_set_id}_v{found.number}.csv",
        )

    def query(self, request: Request, body: bytes | None) -> views.View:
        """GET and POST /data-sets/{dataSetId}/query, shut for a withdrawn version (contract §3.4)."""
        items = request.query_params.multi_items()
        wanted, asked = read_get(items) if body is None else read_post(items, body)
        state = self._data_set(request)
        found = _seen(request, _version_in_query(state, wanted))
        if found.status is VersionStatus.WITHDRAWN:
            raise forbidden()
        metadata = self._metadata(state, found)
        return self._queries.answer(state.data_set.id, found.version, metadata, asked, is_post=body is not None)

    def _data_set(self, request: Request) -> DataSetState:
        """The data set of the path, whatever its own status: versions are judged by theirs (contract §2.3)."""
        state = self._publisher.find(request.path_params["data_set_id"])
        if state is None:
            raise not_found()
        return state

    def _open_data_set(self, request: Request) -> DataSetState:
        state = self._data_set(request)
        if state.status in _OPEN_DATA_SETS or (
            state.status is DataSetStatus.DRAFT and any(_has_token(request, found) for found in state.out)
        ):
            return state
        raise forbidden()

    def _open_publications(self) -> dict[UUID, tuple[Publication, datetime]]:
        """Publications with a published data set, and when one was last published (contract §2.2)."""
        found: dict[UUID, tuple[Publication, datetime]] = {}
        for state in self._publisher.states():
            live = state.live
            if state.status is not DataSetStatus.PUBLISHED or live is None or live.published is None:
                continue
            publication, last = found.get(state.data_set.publication.id, (state.data_set.publication, live.published))
            found[publication.id] = (publication, max(last, live.published))
        return found

    def _data_set_view(self, state: DataSetState) -> views.DataSetView:
        live = state.live
        shown = views.latest_version_view(live, self._metadata(state, live)) if live else None
        return views.data_set_view(state, shown)

    def _version_view(self, state: DataSetState, found: VersionState) -> views.VersionView:
        return views.version_view(found, self._metadata(state, found))

    def _changes_of(self, state: DataSetState, found: VersionState) -> VersionChanges:
        before = found.version.predecessor
        old = self._archive.of(state.data_set.id, before) if before else None
        new = self._metadata(state, found)
        return VersionChanges(
            version_number=str(found.number),
            notes=found.version.entry.notes,
            major_changes=change_set(old, new, major=True),
            minor_changes=change_set(old, new, major=False),
        )

    def _metadata(self, state: DataSetState, found: VersionState) -> Metadata:
        return self._archive.of(state.data_set.id, found.number)


def _version_in_path(request: Request, state: DataSetState) -> VersionState:
    return _found(state, request.path_params["version"], star_is_live=False)


def _version_in_query(state: DataSetState, wanted: str | None) -> VersionState:
    return _found(state, wanted, star_is_live=True)


def _found(state: DataSetState, wanted: str | None, *, star_is_live: bool) -> VersionState:
    try:
        found = find_version(state, wanted, star_is_live=star_is_live)
    except OverflowInServerError as error:
        raise server_error() from error
    if found is None:
        raise not_found()
    return found


def _seen(request: Request, found: VersionState) -> VersionState:
    """The version, if the caller may see it (contract §3.4)."""
    if not _may_see(request, found):
        raise forbidden()
    return found


def _may_see(request: Request, found: VersionState) -> bool:
    return found.status.is_public or _has_token(request, found)


def _has_token(request: Request, found: VersionState) -> bool:
    """Whether the request carries the draft's preview token; a wrong or malformed one is ignored (contract §1.3)."""
    expected = found.version.entry.preview_token
    given = request.headers.get("preview-token", "").strip()
    if expected is None or found.status is not VersionStatus.DRAFT:
        return False
    try:
        return UUID(given) == expected
    except ValueError:
        return False


def _page(results: Sequence[_Result], page: int, size: int) -> views.Page[_Result]:
    """One page; past the end it is empty, and no results are one page, or none of size 1 (contract §2.0)."""
    total = len(results)
    paging = views.Paging(page=page, page_size=size, total_results=total, total_pages=int((total - 1) / size) + 1)
    start = (page - 1) * size
    return views.Page(paging=paging, results=tuple(results[start : start + size]))
