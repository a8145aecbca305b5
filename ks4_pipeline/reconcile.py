"""A version's table held against ``/query``: two ways from the publisher to the same figures, which must agree.

``/csv`` is the publisher's file; ``/query`` is what the publisher's service made of it. The table came by the first
way. Here the second is read, whole or in a sample, laid down page by page, and compared with the table in DuckDB.
Rows are compared as a multiset, so that rows ``/query`` cannot tell apart (an empty filter, a repeated key) are right
when as many are alike; what is left over is matched by key and named cell by cell. Nothing is written but to a
temporary folder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import polars as pl

from ks4_pipeline.ees import query
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesError, EesStatusError, EesUnavailableError
from ks4_pipeline.errors import ConfigurationError, Ks4Error
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.reconcile_sampling import batches, sampled_keys
from ks4_pipeline.reconcile_sides import Disagreement, Sides
from ks4_pipeline.second_route import Vocabulary
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.history import stored_columns

__all__ = ["Disagreement", "Outcome", "ReconcileReport", "Reconciliation", "reconcile", "reconcile_all"]

LISTED = 1000
_CELLS_PER_PAGE = 400_000  # some 20 MB of JSON; the client takes three times as much
_WITHDRAWN = "Withdrawn"
Progress = Callable[[int, int], None]
"""Called with the rows read so far and those due."""


class Outcome(StrEnum):
    """What came of comparing one version."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"
    """The version is withdrawn, and ``/query`` does not open such a one (contract §3.4): no fault of anybody's."""
    FAILED = "failed"
    """It could not be compared."""
    UNREACHABLE = "unreachable"
    """The API gave no answer."""


@dataclass(frozen=True)
class Reconciliation:
    """What came of comparing one version.

    Attributes:
        data_set, version: which.
        outcome: what came of it.
        message: why it could not be compared.
        sample: how many rows were drawn; None for the whole version.
        rows: rows of the table that were compared.
        query_rows: rows ``/query`` gave.
        cells: cells of figures compared.
        sharing_key: rows of the table that ``/query`` cannot tell from others; compared as a multiset.
        untold: columns that ``/query`` does not have, so that nothing can be said of them.
        disagreements: how many cells and rows differ.
        listed: the first of them, in order of key.
        warnings: what the API remarked.
    """

    data_set: str
    version: VersionNumber
    outcome: Outcome
    message: str = ""
    sample: int | None = None
    rows: int = 0
    query_rows: int = 0
    cells: int = 0
    sharing_key: int = 0
    untold: tuple[str, ...] = ()
    disagreements: int = 0
    listed: tuple[Disagreement, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class ReconcileReport:
    """What came of all versions."""

    versions: list[Reconciliation] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all agree, as far as they can be read; 1 something differs or failed; 3 the API is out of reach."""
        found = {version.outcome for version in self.versions}
        if Outcome.UNREACHABLE in found:
            return 3
        return 1 if found & {Outcome.DIFFERS, Outcome.FAILED} else 0


def reconcile_all(
    pipeline: Pipeline,
    data_sets: Sequence[DataSet],
    *,
    only: Collection[VersionNumber] | None = None,
    sample: int | None = None,
    on_version: Callable[[Reconciliation], None] = lambda _: None,
) -> ReconcileReport:
    """Compare every loaded version of some data sets, or only some of them, oldest first.

    Stops at the first version for which the API cannot be reached.

    Raises:
        ConfigurationError: when a version named is not loaded.
    """
    loaded = pipeline.in_force()
    chosen = [
        (data_set, version)
        for data_set in data_sets
        for version in sorted(loaded.get(data_set.name, {}))
        if only is None or version in only
    ]
    for version in only or ():
        if version not in {number for _, number in chosen}:
            raise ConfigurationError(f"Version {version} is not in the warehouse, so there is nothing to compare.")
    report = ReconcileReport()
    with pipeline.client() as client:
        for data_set, version in chosen:
            report.versions.append(reconcile(pipeline, client, data_set, version, sample=sample))
            on_version(report.versions[-1])
            if report.versions[-1].outcome is Outcome.UNREACHABLE:
                break
    return report


def reconcile(
    pipeline: Pipeline,
    client: EesClient,
    data_set: DataSet,
    version: VersionNumber,
    *,
    sample: int | None = None,
    on_rows: Progress = lambda _rows, _of: None,
) -> Reconciliation:
    """Compare one loaded version with what ``/query`` says of it.

    Args:
        pipeline: where landing and warehouse are.
        client: to ask with.
        data_set: which data set.
        version: which version.
        sample: draw so many rows of the table, always the same ones, and ask for these only; None compares everything.
        on_rows: told how far it is.
    """
    try:
        return _compared(pipeline, client, data_set, version, sample=sample, on_rows=on_rows)
    except EesUnavailableError as error:
        outcome, message = Outcome.UNREACHABLE, str(error)
    except EesStatusError as error:
        outcome, message = _refused(client, data_set, version, error)
    except (EesError, Ks4Error) as error:
        outcome, message = Outcome.FAILED, str(error)
    return Reconciliation(data_set.name, version, outcome, message, sample)


def _compared(
    pipeline: Pipeline,
    client: EesClient,
    data_set: DataSet,
    version: VersionNumber,
    *,
    sample: int | None,
    on_rows: Progress,
) -> Reconciliation:
    meta = pipeline.landed(data_set, version).meta
    with pipeline.warehouse.read() as connection:
        columns = stored_columns(connection, data_set.name).get(version)
        if columns is None:
            raise ConfigurationError(f"{data_set.name} {version} is not in the warehouse: there is nothing to compare.")
        vocabulary = Vocabulary(meta, columns)
        keys = [] if sample is None else sampled_keys(connection, data_set.name, version, vocabulary, sample)
    drawn = batches(keys, vocabulary) if sample is not None else None
    warnings: dict[str, None] = {}
    with TemporaryDirectory(prefix="ks4-reconcile-") as made:
        folder = Path(made)
        queries = [None] if drawn is None else [batch.query for batch in drawn]
        size = _page_size(vocabulary)
        _put(vocabulary.frame([], 0), folder, 0)  # so that there is one, even when nothing is asked
        pages = _pages(client, data_set, version, queries, size=size, on_rows=on_rows)
        for index, (number, page) in enumerate(pages, 1):
            warnings |= dict.fromkeys(str(warning) for warning in page.warnings if warning.code != "QueryNoResults")
            _put(vocabulary.frame(page.results, number), folder, index)
        # Only now, for a short time: a reader that stays would see an old edition for as long as it stays.
        with pipeline.warehouse.read() as connection:
            sides = Sides(connection, data_set.name, version, vocabulary, folder=folder, drawn=drawn)
            found = sides.compared(LISTED)
    return Reconciliation(
        data_set.name,
        version,
        Outcome.DIFFERS if found.disagreements else Outcome.AGREES,
        "",
        sample,
        found.rows,
        found.query_rows,
        found.rows * len(vocabulary.indicators),
        found.sharing_key,
        vocabulary.untold,
        found.disagreements,
        found.listed,
        tuple(warnings),
    )


def _pages(
    client: EesClient,
    data_set: DataSet,
    version: VersionNumber,
    queries: Sequence[query.Query | None],
    *,
    size: int,
    on_rows: Progress,
) -> Iterator[tuple[int, query.QueryPage]]:
    """The pages of all queries, with the number of the query."""
    read = due = 0
    for number, asked in enumerate(queries):
        for index, page in enumerate(query.pages(client, data_set.id, version, asked, page_size=size)):
            due += 0 if index else page.paging.total_results
            read += len(page.results)
            yield number, page
            on_rows(read, due)


def _put(rows: pl.DataFrame, folder: Path, number: int) -> None:
    rows.write_parquet(folder / f"{number:06}.parquet", compression="lz4")


def _page_size(vocabulary: Vocabulary) -> int:
    """Rows per page, fewer where rows are wide: an answer has to come in time, and the client takes only so much."""
    width = len(vocabulary.indicators) + len(vocabulary.filters) + len(vocabulary.levels) + 1
    return max(1, min(query.MOST_PER_PAGE, _CELLS_PER_PAGE // width))


def _refused(
    client: EesClient, data_set: DataSet, version: VersionNumber, error: EesStatusError
) -> tuple[Outcome, str]:
    """What a refusal means: for a withdrawn version a 403 is as it should be."""
    if error.status != httpx.codes.FORBIDDEN:
        return Outcome.FAILED, str(error)
    try:
        status = client.version(data_set.id, version).model.status
    except EesUnavailableError as again:
        return Outcome.UNREACHABLE, str(again)
    except EesError:
        return Outcome.FAILED, str(error)
    if status != _WITHDRAWN:
        return Outcome.FAILED, f"{error} The publisher lists the version as {status}."
    return Outcome.UNREADABLE, "The publisher has withdrawn this version; /query does not open it any more."
