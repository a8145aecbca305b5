"""The metadata of every version a sandbox may ever serve, made when they are first asked for.

Ids come from counters, so they depend on the order in which files are read. To be the same in every run, all are read
together and always in one order: data sets by folder, versions by number, held ones too. A start costs nothing; the
first request for metadata pays for all (about a second for a million rows).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.contents import read_contents
from ks4_pipeline.sandbox.metadata import IdSource, metadata_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ks4_pipeline.sandbox.history import DataSet, Version
    from ks4_pipeline.sandbox.metadata import Metadata
    from ks4_pipeline.versions import VersionNumber


class Archive:
    """Gives the metadata of a version; safe to use from any thread."""

    def __init__(self, data_sets: Sequence[DataSet]) -> None:
        self._data_sets = data_sets
        self._lock = threading.Lock()
        self._metadata: dict[tuple[UUID, VersionNumber], Metadata] = {}

    def of(self, data_set_id: UUID, number: VersionNumber) -> Metadata:
        """The metadata of a version that a description names."""
        with self._lock:
            if not self._metadata:
                self._read_all()
            return self._metadata[data_set_id, number]

    def _read_all(self) -> None:
        ids = IdSource()
        made: dict[tuple[UUID, VersionNumber], Metadata] = {}
        for data_set in self._data_sets:
            for version in data_set.versions:
                before = version.predecessor
                made[data_set.id, version.number] = metadata_of(
                    version,
                    read_contents(version.file, _filter_columns(version)),
                    made[data_set.id, before] if before else None,
                    ids,
                )
        self._metadata = made


def _filter_columns(version: Version) -> tuple[str, ...]:
    return tuple(entry.column for entry in version.filters)
