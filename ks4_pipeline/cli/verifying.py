"""``ks4 verify``: is everything what it should be? One line per version, then every finding with what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ks4_pipeline.cli.cells import document
from ks4_pipeline.cli.choosing import settings_for_reading
from ks4_pipeline.cli.console import complain, console, counted, is_terminal, say, say_wrapped
from ks4_pipeline.errors import ConfigurationError, printable
from ks4_pipeline.integrity import Watcher, known_names
from ks4_pipeline.integrity import verify as verify_all
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress

    from ks4_pipeline.integrity import Finding, IntegrityReport, VerifiedVersion


def verify(names: Sequence[str], numbers: Sequence[str], *, as_json: bool) -> int:
    """Look, tell, and give the exit code.

    Raises:
        ConfigurationError: when there is nothing to verify, or what is named is not known.
    """
    settings = settings_for_reading()
    pipeline = Pipeline(settings)
    only = frozenset(map(VersionNumber.parse, numbers)) or None
    _check_names(pipeline, names, one=only is not None)
    if as_json:
        report = verify_all(pipeline, names=names, only=only)
    else:
        with _watcher() as watcher:
            report = verify_all(pipeline, names=names, only=only, watcher=watcher)
    missing = sorted((only or frozenset()) - {verified.version for verified in report.versions})
    if missing:
        raise ConfigurationError(f"Nothing is here of version {missing[0]}.")
    if as_json:
        _print_json(report)
    else:
        _conclude(report)
    return report.exit_code


def _check_names(pipeline: Pipeline, names: Sequence[str], *, one: bool) -> None:
    settings = pipeline.settings
    if not settings.landing_dir.is_dir() and not pipeline.warehouse.exists():
        raise ConfigurationError(f"Nothing is in {settings.data_dir} yet. Load something first: ks4 run.")
    known = known_names(pipeline)
    listed = ", ".join(sorted(known))
    for name in names:
        if name not in known:
            raise ConfigurationError(f"Nothing is known of a data set {name!r}. Known: {listed}.")
    if one and len(names or known) > 1:
        raise ConfigurationError(f"--version needs --data-set: more than one data set is known ({listed}).")


@contextmanager
def _watcher() -> Iterator[Watcher]:
    """Lines everywhere; on a terminal also a bar for the data set at work."""
    if not is_terminal():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[state]}", style="dim"))
    with Progress(*columns, console=console(), transient=True) as progress:
        yield _Bars(progress)


class _Lines(Watcher):
    """One line per finished version."""

    def finished(self, verified: VerifiedVersion) -> None:
        """What was found of a version."""
        say(_line(verified))


class _Bars(Watcher):
    """A bar that moves from version to version, and a line above it for each that is finished."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, state="")

    def checking(self, data_set: str, version: VersionNumber, number: int, of: int) -> None:
        """Which version is at work."""
        state = f"reading landing and typing anew, {number} of {of}"
        self._progress.update(
            self._task, description=f"{data_set} {version}", completed=number - 1, total=of, state=state
        )

    def comparing(self, data_set: str) -> None:
        """The last stretch of a data set."""
        self._progress.update(self._task, description=data_set, state="comparing the warehouse with it")

    def finished(self, verified: VerifiedVersion) -> None:
        """What was found of a version."""
        from rich.text import Text

        style = "red" if verified.findings else "green"
        self._progress.console.print(Text(printable(_line(verified)), style), soft_wrap=True)


def _line(verified: VerifiedVersion) -> str:
    verdict = counted(verified.findings, "finding") if verified.findings else "whole" if verified.compared else ""
    extent = f"{counted(verified.rows, 'row')}, {counted(verified.cells, 'cell')} compared"
    parts = [verdict, extent if verified.compared else "its table was not compared"]
    return f"{verified.data_set} {verified.version}: {', '.join(filter(None, parts))}"


def _conclude(report: IntegrityReport) -> None:
    for remark in report.remarks:
        say_wrapped(remark, "yellow")
    for finding in report.findings:
        complain(f"{finding.where}: {finding.what}.")
        say_wrapped(f"What to do: {finding.remedy}", indent=2)
    versions = counted(len(report.versions), "version")
    if report.findings:
        found = counted(len(report.findings), "finding")
        say_wrapped(f"Not everything is whole: {found} in {versions} and what belongs to them.", "bold")
    else:
        say_wrapped(
            f"All whole: {versions}. Landing is what the manifests say; tables with their order, types and comments, "
            "channels, history, revisions, catalogue and Parquet files are what landing gives.",
            "bold",
        )


def _print_json(report: IntegrityReport) -> None:
    versions = [
        {
            "data_set": verified.data_set,
            "version": str(verified.version),
            "compared": verified.compared,
            "rows": verified.rows,
            "cells": verified.cells,
            "findings": verified.findings,
        }
        for verified in report.versions
    ]
    say(
        document(
            {
                "exit_code": report.exit_code,
                "versions": versions,
                "findings": [_finding(finding) for finding in report.findings],
                "remarks": report.remarks,
            }
        )
    )


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "data_set": finding.data_set,
        "version": str(finding.version) if finding.version else None,
        "where": finding.where,
        "what": finding.what,
        "remedy": finding.remedy,
    }
