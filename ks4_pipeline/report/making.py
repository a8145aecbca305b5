"""Change reports as files: ``reports/<name>/<version>.html``, with the key chart beside it as a picture.

A report tells of a load and is no part of it: whoever loads asks for reports afterwards, and one that cannot be made is
a warning (:func:`make_all`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ks4_pipeline import durable
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.report import charts, page
from ks4_pipeline.report.content import Report
from ks4_pipeline.report.reading import read
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

_LEAD = re.compile(r'<p class="lead" id="lead">(.*?)</p>', re.DOTALL)
_POINTS = re.compile(r'<ul class="points">(.*?)</ul>', re.DOTALL)
_POINT = re.compile(r"<li>(.*?)</li>", re.DOTALL)


@dataclass(frozen=True)
class Attempt:
    """A report that was made, or could not be; ``problem`` says why."""

    data_set: str
    version: VersionNumber
    path: Path
    problem: str = ""


@dataclass(frozen=True)
class Summary:
    """What a report that was made says first."""

    lead: str
    points: tuple[str, ...]


def report_path(pipeline: Pipeline, data_set: DataSet, version: VersionNumber) -> Path:
    """Where a version's report belongs."""
    return pipeline.settings.reports_dir / data_set.name / f"{version}.html"


def picture_path(report: Path) -> Path:
    """Where the key chart of a report belongs; not every report has one."""
    return report.with_suffix(".png")


def page_of(pipeline: Pipeline, data_set: DataSet, version: VersionNumber) -> str:
    """A version's report, without putting it anywhere.

    Raises:
        NotLoadedError: when it has no table in the warehouse.
    """
    return page.html(read(pipeline.warehouse, data_set.name, version), pipeline.now())


def make(pipeline: Pipeline, data_set: DataSet, version: VersionNumber) -> Path:
    """Make a version's report and put it into its place, where it replaces an earlier one.

    Raises:
        NotLoadedError: when it has no table in the warehouse.
    """
    report = read(pipeline.warehouse, data_set.name, version)
    path = report_path(pipeline, data_set, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = _key_chart(report)
    if picture is None:
        picture_path(path).unlink(missing_ok=True)
    else:
        durable.write_atomically(picture_path(path), picture)
    durable.write_atomically(path, page.html(report, pipeline.now()).encode())
    return path


def make_all(pipeline: Pipeline, loaded: Mapping[str, Iterable[VersionNumber]]) -> list[Attempt]:
    """Make the reports of versions that were loaded now, and of those that are compared with them.

    Args:
        pipeline: what is followed, and where.
        loaded: by data set, the versions.
    """
    in_force = pipeline.in_force()
    made = []
    for name, versions in loaded.items():
        data_set = pipeline.settings.data_set(name)
        for version in _concerned(in_force.get(name, ()), set(versions)):
            path, problem = report_path(pipeline, data_set, version), ""
            try:
                make(pipeline, data_set, version)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a report, what was loaded is loaded
                problem = f"{type(error).__name__}: {error}"
            made.append(Attempt(name, version, path, problem))
    return made


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
