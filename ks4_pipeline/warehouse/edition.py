"""An edition: the next state of the warehouse, made from finished observations and the publisher's lists.

Tells the other modules of this package in which order to work; loading several versions makes one edition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import duckdb

from ks4_pipeline.audit import Seen, audit
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.landing import Landed, Listing
from ks4_pipeline.notes import Note
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality.judging import Judgement
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import catalogue, channels, counts, history, keeping, long, notes, revisions, schema, tables
from ks4_pipeline.warehouse.comparison import Comparison
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.keeping import Kept
from ks4_pipeline.warehouse.reading import data_set_ids
from ks4_pipeline.warehouse.sql import take_threads_for


class ForeignSchemaError(ConfigurationError):
    """A schema of the warehouse that belongs to another data set than the one now followed under its name."""


@dataclass(frozen=True)
class Attempt:
    """One version tried, for the log of loads.

    ``outcome`` is ``loaded``, ``refused`` or ``failed``; ``reason`` says why it was not loaded.
    """

    data_set: str
    version: VersionNumber
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str | None = None
    rows: int | None = None


class Finished(NamedTuple):
    """A version ready for an edition: landed, typed and judged."""

    landed: Landed
    observations: Observations
    judgement: Judgement


@dataclass(frozen=True)
class Addition:
    """What an edition brings for one data set.

    Attributes:
        data_set: which.
        listing: the publisher's list.
        versions: to load, perhaps none.
        rejudged: new results of versions that are loaded already.
        notes: the configuration's notes.
    """

    data_set: DataSet
    listing: Listing
    versions: Sequence[Finished] = ()
    rejudged: Mapping[VersionNumber, Judgement] = field(default_factory=dict)
    notes: Sequence[Note] = ()


def refuse_foreign(warehouse: WarehouseFile, data_sets: Iterable[DataSet]) -> None:
    """Make sure that the published warehouse has no name in use for another data set than the one now followed.

    Raises:
        ForeignSchemaError: when it has: its versions would pass for those of the other.
    """
    if not warehouse.exists():
        return
    known = data_set_ids(warehouse)
    for data_set in data_sets:
        _refuse_foreign(data_set, known.get(data_set.name))


def publish(
    warehouse: WarehouseFile,
    additions: Sequence[Addition],
    attempts: Sequence[Attempt],
    loaded_at: datetime,
    *,
    newest: Callable[[DataSet], Listing | None],
    anew: bool = False,
    keep: Callable[[], Kept] | None = None,
) -> None:
    """Publish one edition with all additions; on any error the published warehouse stays as it is.

    Args:
        warehouse: where it is published.
        additions: what is new, by data set.
        attempts: the versions tried, for the log of loads.
        loaded_at: the time to write beside what is loaded.
        newest: the publisher's list as last seen by any process: it goes before an addition's own, which may have grown
            old while another process was publishing.
        anew: begin with an empty warehouse instead of the published one.
        keep: reads what the new edition takes over of an earlier one, once no other process can publish any more.

    Raises:
        ForeignSchemaError: when a name is already used for another data set.
        WarehouseError: when the file cannot be built or put in place.
    """
    with warehouse.rewrite(anew=anew) as connection:
        kept = keep() if keep else Kept()
        connection.execute("BEGIN")
        schema.create(connection)
        for addition in additions:
            _refuse_foreign(addition.data_set, _known_id(connection, addition.data_set))
            take_threads_for(connection, _most_rows(connection, addition))
            _add(connection, addition, newest(addition.data_set) or addition.listing, loaded_at, kept)
        counts.complete(connection)
        known = keeping.put_back(connection, kept)
        if anew:
            keeping.put_back_loads(connection, kept)
        new = (attempt for attempt in attempts if (attempt.data_set, str(attempt.version)) not in known)
        schema.insert(connection, schema.LOADS, map(_attempt_row, new))
        connection.execute("COMMIT")


def _add(
    connection: duckdb.DuckDBPyConnection, addition: Addition, listing: Listing, loaded_at: datetime, kept: Kept
) -> None:
    data_set = addition.data_set
    title_before = catalogue.title(connection, data_set.name)
    columns_before = history.stored_columns(connection, data_set.name)
    followed_before = catalogue.predecessors(connection, data_set.name)
    for landed, observations, judgement in addition.versions:
        tables.replace_table(connection, data_set.name, listing.summary.title, landed.record, observations)
        catalogue.replace_version(connection, data_set, landed, observations)
        catalogue.replace_checks(connection, data_set.name, landed.version, judgement)
    for version, judgement in addition.rejudged.items():
        catalogue.replace_checks(connection, data_set.name, version, judgement)
    landed_now = {landed.version: landed for landed, *_ in addition.versions}
    catalogue.replace_listing(connection, data_set, listing, landed_now, loaded_at, unlisted=kept.unlisted)
    is_retitled = title_before not in {None, listing.summary.title}
    if title_before is not None and is_retitled:
        tables.retitle(connection, data_set.name, title_before, listing.summary.title)
    chosen = channels.choose(listing.versions, _with_tables(connection, data_set))
    described = channels.Comments(connection, data_set.name)
    channels.update_views(connection, data_set.name, chosen, described, anew=is_retitled)
    catalogue.mark_channels(connection, data_set, chosen)
    columns = history.stored_columns(connection, data_set.name)
    history.create(connection, data_set.name, columns, described)
    follows = catalogue.predecessors(connection, data_set.name)
    overtaken = {version for version in columns_before if followed_before.get(version) != follows.get(version)}
    replaced = landed_now.keys() | overtaken
    made = revisions.update(
        connection, data_set.name, columns, columns_before, described, replaced=replaced, compared_at=loaded_at
    )
    for found in made:
        _audit(connection, data_set.name, found, is_announced=follows.get(found.new) == found.old)
    compared = {found.new for found in made}
    notes.replace(connection, data_set.name, columns, addition.notes, compared=compared)
    if "latest" in chosen:
        not_comparable = notes.not_comparable(connection, data_set.name, columns, chosen["latest"])
        long.create_view(connection, data_set.name, chosen["latest"], not_comparable, described)
        notes.create_view(connection, data_set.name, columns, chosen["latest"], described)
    else:
        long.drop_view(connection, data_set.name)
        notes.drop_view(connection, data_set.name)


def _audit(connection: duckdb.DuckDBPyConnection, name: str, found: Comparison, *, is_announced: bool) -> None:
    """Hold a version against its number and, where that is about the same pair of versions, its change log."""
    announced = catalogue.announced(connection, name, found.new) if is_announced else None
    seen = Seen(found.new, found.structure, found.counts, found.key_is_unique, found.imputed)
    catalogue.replace_audit(connection, name, found.new, audit(seen, announced))


def _with_tables(connection: duckdb.DuckDBPyConnection, data_set: DataSet) -> set[VersionNumber]:
    rows = connection.execute(
        f'SELECT version FROM {schema.VERSIONS.qualified} WHERE data_set = ? AND "table" IS NOT NULL', [data_set.name]
    ).fetchall()
    return {VersionNumber.parse(number) for (number,) in rows}


def _most_rows(connection: duckdb.DuckDBPyConnection, addition: Addition) -> int:
    """Of all versions of a data set, those to be loaded among them, the rows of the largest."""
    (loaded,) = connection.execute(
        f"SELECT coalesce(max(rows), 0) FROM {schema.VERSIONS.qualified} WHERE data_set = ?", [addition.data_set.name]
    ).fetchone() or (0,)
    return max(int(loaded), 0, *(finished.observations.facts.rows for finished in addition.versions))


def _known_id(connection: duckdb.DuckDBPyConnection, data_set: DataSet) -> str | None:
    row = connection.execute(
        f"SELECT id FROM {schema.DATA_SETS.qualified} WHERE data_set = ?", [data_set.name]
    ).fetchone()
    return row[0] if row else None


def _refuse_foreign(data_set: DataSet, known_id: str | None) -> None:
    if known_id not in {None, data_set.id}:
        raise ForeignSchemaError(
            f"The warehouse holds data set {known_id} under the name {data_set.name!r}, and the configuration follows "
            f"{data_set.id} under it now. Follow the new one under another name."
        )


def _attempt_row(attempt: Attempt) -> Mapping[str, object]:
    return {
        "data_set": attempt.data_set,
        "version": str(attempt.version),
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "rows": attempt.rows,
    }
