"""What came of making a report; by itself, since who only asks for reports need not import what makes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ks4_pipeline.versions import VersionNumber


@dataclass(frozen=True)
class Attempt:
    """A report that was made, or could not be; ``problem`` says why."""

    data_set: str
    version: VersionNumber
    path: Path
    problem: str = ""


def why(error: Exception) -> str:
    """A problem in words."""
    return f"{type(error).__name__}: {error}"


def report_path(folder: Path, data_set: str, version: VersionNumber) -> Path:
    """Where a version's report belongs in the folder of all reports."""
    return folder / data_set / f"{version}.html"
