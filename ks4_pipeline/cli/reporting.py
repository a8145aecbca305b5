"""``ks4 report``, and the reports that ``ks4 run``, ``ks4 demo`` and ``ks4 accept`` make of what they have loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import say_wrapped, warn
from ks4_pipeline.cli.export import STANDARD_OUTPUT, beside, find
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.reading import data_set_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ks4_pipeline.report.making import Attempt


def report(name: str | None, wanted: str, *, output: str | None) -> None:
    """Make the report of a version, in its place or in a file of the caller's choice.

    Raises:
        ConfigurationError: when the version is not in the warehouse.
    """
    from ks4_pipeline.report.making import make, page_of

    settings = settings_for_reading()
    warehouse = WarehouseFile(existing_warehouse(settings))
    with warehouse.read() as connection:
        source = find(connection, name, wanted)
    data_set = DataSet(name=source.data_set, id=data_set_ids(warehouse)[source.data_set])
    pipeline, version = Pipeline(settings), VersionNumber.parse(source.version)
    if output is None:
        written = str(make(pipeline, data_set, version))
    else:
        written = output
        page = page_of(pipeline, data_set, version)
        with beside(output) as part:
            part.write_text(page, encoding="utf-8")
    if written != STANDARD_OUTPUT:
        say_wrapped(f"The change report of {data_set.name} {version}: {written}")


def report_on(pipeline: Pipeline, loaded: Mapping[str, Iterable[VersionNumber]]) -> list[Attempt]:
    """Make the reports of what was loaded; what hinders one is a warning, since the load itself is done."""
    if not loaded:
        return []
    from ks4_pipeline.report.making import make_all

    made = make_all(pipeline, loaded)
    for attempt in made:
        if attempt.problem:
            what = f"{attempt.data_set} {attempt.version}"
            warn(f"{what} is loaded, and its change report could not be made: {attempt.problem}")
    return made


def say_where(made: Sequence[Attempt]) -> None:
    """Where the newest report is."""
    paths = [attempt.path for attempt in made if not attempt.problem]
    if paths:
        others = f" and {len(paths) - 1} beside it" if len(paths) > 1 else ""
        say_wrapped(f"What changed, to read: {paths[-1]}{others}.")
