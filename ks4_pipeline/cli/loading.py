"""``ks4 run`` and ``ks4 rebuild``: load, tell what happened, and end with the exit code that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline.cli.cells import document
from ks4_pipeline.cli.choosing import data_sets, settings_for_loading, versions
from ks4_pipeline.cli.console import complain, counted, say, say_wrapped
from ks4_pipeline.cli.progress import reporter
from ks4_pipeline.cli.reporting import collect, reports_beside, say_where
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import Outcome, RunReport, VersionOutcome
from ks4_pipeline.run import rebuild as rebuild_all
from ks4_pipeline.run import run as run_all
from ks4_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ks4_pipeline.report.attempt import Attempt


def run(names: Sequence[str], numbers: Sequence[str], *, as_json: bool) -> int:
    """Load what is new; the exit code."""
    settings = settings_for_loading()
    chosen = data_sets(settings, names)
    only = versions(numbers, chosen)
    pipeline = Pipeline(settings)
    with reports_beside(settings) as reports:
        if as_json:
            report = run_all(pipeline, chosen, only=only, on_work=reports.start)
            reports.order(report.loaded)
            print_json(report, collect(reports))
        else:
            with reporter() as watching:
                report = run_all(pipeline, chosen, only=only, on_work=reports.start, reporter=watching)
            reports.order(report.loaded)
            say_where(collect(reports))
            conclude(report, settings.warehouse)
    return report.exit_code


def rebuild(*, as_json: bool) -> int:
    """Make the warehouse anew from landing; the exit code."""
    settings = load_settings()
    pipeline = Pipeline(settings)
    if not pipeline.landing.data_sets():
        raise ConfigurationError(f"Nothing has landed in {settings.landing_dir} yet. Load something first: ks4 run.")
    if as_json:
        report = rebuild_all(pipeline)
        print_json(report)
        return report.exit_code
    with reporter() as watching:
        report = rebuild_all(pipeline, reporter=watching)
    for outcome in report.outcomes:
        if outcome.outcome is not Outcome.LOADED:
            complain(_reason(outcome))
    if report.published:
        loaded = counted(len(report.outcomes), "version")
        say_wrapped(f"Rebuilt {settings.warehouse} from landing: {loaded}.", "bold")
    else:
        complain("The warehouse was not rebuilt: not every landed version could be loaded. The old one stays.")
    return report.exit_code


def print_json(report: RunReport, made: Sequence[Attempt] = ()) -> None:
    """What a run did as one document, with the change reports that were made."""
    outcomes = [
        {
            "data_set": outcome.data_set,
            "version": str(outcome.version) if outcome.version else None,
            "outcome": str(outcome.outcome),
            "message": outcome.message,
            "rows": outcome.rows,
            "markers": outcome.markers,
        }
        for outcome in report.outcomes
    ]
    say(
        document(
            {
                "exit_code": report.exit_code,
                "published": report.published,
                "up_to_date": report.up_to_date,
                "outcomes": outcomes,
                "reports": [
                    {
                        "data_set": attempt.data_set,
                        "version": str(attempt.version),
                        "path": None if attempt.problem else str(attempt.path),
                        "problem": attempt.problem,
                    }
                    for attempt in made
                ],
            }
        )
    )


def conclude(report: RunReport, warehouse: Path) -> None:
    """What was not loaded and why, on standard error; then one sentence for people."""
    for outcome in report.outcomes:
        if outcome.outcome is not Outcome.LOADED:
            complain(_reason(outcome))
    say_wrapped(sentence(report, warehouse), "bold")


def sentence(report: RunReport, warehouse: Path) -> str:
    """What a run came to."""
    loaded = [outcome for outcome in report.outcomes if outcome.outcome is Outcome.LOADED]
    failed = [
        outcome
        for outcome in report.outcomes
        if outcome.outcome in {Outcome.REFUSED, Outcome.FAILED}
        or (outcome.outcome is Outcome.UNREACHABLE and outcome.version)
    ]
    parts = []
    if loaded:
        parts.append(f"Loaded {_listed(loaded)} into {warehouse}.")
    if failed:
        parts.append(f"Could not load {_listed(failed)}: what was published before stays as it is.")
    if report.published and not loaded:
        parts.append("The publisher changed status, notes or release of a version, and the warehouse now says so.")
    if not report.outcomes and not report.published:
        held = ", ".join(f"{name} has {counted(count, 'version')}" for name, count in report.up_to_date.items())
        parts.append(f"Nothing new: {held}.")
    elif not parts:
        parts.append("Nothing was loaded.")
    return " ".join(parts)


def _listed(outcomes: Sequence[VersionOutcome]) -> str:
    by_data_set: dict[str, list[str]] = {}
    for outcome in outcomes:
        by_data_set.setdefault(outcome.data_set, []).append(str(outcome.version or "(its version list)"))
    return "; ".join(f"{name} {', '.join(numbers)}" for name, numbers in by_data_set.items())


def _reason(outcome: VersionOutcome) -> str:
    """The reason, with what it is about before it unless it says so itself."""
    what = f"{outcome.data_set} {outcome.version}" if outcome.version else outcome.data_set
    return outcome.message if outcome.message.startswith(what) else f"{what}: {outcome.message}"
