"""``ks4 report``, and the reports that ``ks4 run``, ``ks4 demo`` and ``ks4 accept`` make of what they have loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import say_wrapped, warn
from ks4_pipeline.cli.export import STANDARD_OUTPUT, beside, find
from ks4_pipeline.report.beside import ReportsBeside
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import WarehouseFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ks4_pipeline.report.attempt import Attempt
    from ks4_pipeline.settings import Settings


def report(name: str | None, wanted: str, *, output: str | None) -> None:
    """Make the report of a version, in its place or in a file of the caller's choice.

    Raises:
        ConfigurationError: when the version is not in the warehouse.
    """
    from ks4_pipeline.report.making import Reports

    settings = settings_for_reading()
    warehouse = WarehouseFile(existing_warehouse(settings))
    with warehouse.read() as connection:
        source = find(connection, name, wanted)
    reports, version = Reports(warehouse, settings.reports_dir), VersionNumber.parse(source.version)
    if output is None:
        written = str(reports.make(source.data_set, version))
    else:
        written = output
        page = reports.page(source.data_set, version)
        with beside(output) as part:
            part.write_text(page, encoding="utf-8")
    if written != STANDARD_OUTPUT:
        say_wrapped(f"The change report of {source.data_set} {version}: {written}")


def reports_beside(settings: Settings) -> ReportsBeside:
    """What makes the reports of a data directory while it is loaded into."""
    return ReportsBeside(settings.warehouse, settings.reports_dir)


def collect(reports: ReportsBeside) -> list[Attempt]:
    """Wait for the reports that were ordered; what hindered one is a warning, since the load itself is done."""
    made = reports.collect()
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
