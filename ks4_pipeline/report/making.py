"""Change reports as files: ``reports/<name>/<version>.html``, with the key chart beside it as a picture.

A report tells of a load and is no part of it: whoever loads asks for reports afterwards, and one that cannot be made is
a warning (:meth:`Reports.make_all`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ks4_pipeline import durable
from ks4_pipeline.report import charts, page
from ks4_pipeline.report.attempt import Attempt, report_path, why
from ks4_pipeline.report.content import Report
from ks4_pipeline.report.reading import read
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.file import WarehouseFile
from ks4_pipeline.warehouse.reading import loaded_versions

if TYPE_CHECKING:
    from ks4_pipeline.pipeline import Pipeline

_LEAD = re.compile(r'<p class="lead" id="lead">(.*?)</p>', re.DOTALL)
_POINTS = re.compile(r'<ul class="points">(.*?)</ul>', re.DOTALL)
_POINT = re.compile(r"<li>(.*?)</li>", re.DOTALL)


@dataclass(frozen=True)
class Summary:
    """What a report that was made says first."""

    lead: str
    points: tuple[str, ...]


@dataclass(frozen=True)
class Reports:
    """The change reports of one data directory.

    Attributes:
        warehouse: what they are made from.
        folder: where they belong.
        clock: tells the time.
    """

    warehouse: WarehouseFile
    folder: Path
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Reports:
        """Those of a pipeline's data directory."""
        return cls(pipeline.warehouse, pipeline.settings.reports_dir, pipeline.now)

    def path(self, data_set: str, version: VersionNumber) -> Path:
        """Where a version's report belongs."""
        return report_path(self.folder, data_set, version)

    def page(self, data_set: str, version: VersionNumber) -> str:
        """A version's report, without putting it anywhere.

        Raises:
            NotLoadedError: when it has no table in the warehouse.
        """
        return page.html(read(self.warehouse, data_set, version), self.clock())

    def make(self, data_set: str, version: VersionNumber) -> Path:
        """Make a version's report and put it into its place, where it replaces an earlier one.

        Raises:
            NotLoadedError: when it has no table in the warehouse.
        """
        report = read(self.warehouse, data_set, version)
        path = self.path(data_set, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = _key_chart(report)
        if picture is None:
            picture_path(path).unlink(missing_ok=True)
        else:
            durable.write_atomically(picture_path(path), picture)
        durable.write_atomically(path, page.html(report, self.clock()).encode())
        return path

    def make_all(self, loaded: Mapping[str, Iterable[VersionNumber]]) -> list[Attempt]:
        """Make the reports of versions that were loaded now, and of those that are compared with them.

        Args:
            loaded: by data set, the versions.
        """
        in_force = loaded_versions(self.warehouse)
        made = []
        for name, versions in loaded.items():
            for version in _concerned(in_force.get(name, ()), set(versions)):
                problem = ""
                try:
                    self.make(name, version)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with a report, what was loaded is loaded
                    problem = why(error)
                made.append(Attempt(name, version, self.path(name, version), problem))
        return made


def picture_path(report: Path) -> Path:
    """Where the key chart of a report belongs; not every report has one."""
    return report.with_suffix(".png")


def summary_of(report: Path) -> Summary:
    """What a report says first, read from its page."""
    text = report.read_text(encoding="utf-8")
    lead, points = _LEAD.search(text), _POINTS.search(text)
    return Summary(
        html.unescape(lead[1]) if lead else "",
        tuple(html.unescape(point) for point in _POINT.findall(points[1])) if points else (),
    )


def _concerned(in_force: Iterable[VersionNumber], loaded: set[VersionNumber]) -> list[VersionNumber]:
    """The loaded versions, and each that now has one of them before it."""
    return sorted(loaded | {after for before, after in pairwise(sorted(in_force)) if before in loaded})


def _key_chart(report: Report) -> bytes | None:
    """The first headline measure with a figure, as a picture."""
    if report.headline:
        for measure in report.headline.measures:
            if any(True for name in report.headline.series for _ in charts.segments(report.headline, measure, name)):
                return charts.png(report.headline, measure)
    return None
