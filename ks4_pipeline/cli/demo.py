"""``ks4 demo``: the whole job on synthetic figures, with no network and no configuration, told in a few lines.

It works in a folder of its own, marked as the demo's, so that synthetic figures never stand beside live ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ks4_pipeline.cli.choosing import DEMO_FOLDER, DEMO_MARK
from ks4_pipeline.cli.console import command, counted, say, say_lines, say_wrapped
from ks4_pipeline.cli.holdings import read
from ks4_pipeline.cli.loading import sentence
from ks4_pipeline.cli.query import ask, read_only
from ks4_pipeline.cli.reporting import collect, reports_beside
from ks4_pipeline.cli.standing import versions_table
from ks4_pipeline.errors import ConfigurationError, Ks4Error
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import Outcome, run
from ks4_pipeline.sandbox import DEFAULT_PORT, Sandbox
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER
from ks4_pipeline.settings import DataSet, Settings, faults_of
from ks4_pipeline.versions import Bump, VersionNumber

_MADE_HERE = ("landing", "observations", "reports", "warehouse.duckdb")
_SECONDS = 60.0
_MEANING = {
    Bump.MAJOR: "rows or columns went",
    Bump.MINOR: "something was added",
    Bump.PATCH: "figures were corrected",
}
QUERY = (
    f"select time_period, social_care_group, attainment8_average, attainment8_average_flag from {FOLDER}.latest limit 5"
)

_MARK = """\
# The demo's folder

Everything here is synthetic: figures made up by `ks4 demo`, in the shape of the publisher's. None of them is about real
pupils. The demo makes it anew each time; delete the folder whenever you like.
"""
_CONFIGURATION = f"""\
# Written by ks4 demo. The figures in this folder are synthetic, so nothing here asks the real publisher:
# this is the address of `ks4 sandbox`, the stand-in API, for when it runs.
api_url = "http://127.0.0.1:{DEFAULT_PORT}/statistics"

[data_sets.{FOLDER}]
id = "{DATA_SET_ID}"
"""


def demo(data_dir: Path | None, figures: Callable[[], Path]) -> None:
    """Load 1.0, let three more versions appear and load each, then show what a user can ask.

    Args:
        data_dir: where to work; ``KS4_DATA_DIR`` when None, and ``data/demo`` when that is not set either.
        figures: waits for the folder to serve.

    Raises:
        ConfigurationError: when the folder holds something that is not the demo's.
    """
    folder = data_dir or _own_folder()
    try:
        settings = Settings(data_dir=folder, data_sets=(DataSet(name=FOLDER, id=DATA_SET_ID),))
    except ValidationError as error:
        raise ConfigurationError(faults_of(error)) from None
    _take(folder)
    with reports_beside(settings) as reports:
        reports.start()
        with Sandbox(figures()) as sandbox:
            say_wrapped(f"A stand-in for the publisher's API serves synthetic figures at {sandbox.url}")
            say()
            pipeline = Pipeline(settings.model_copy(update={"api_url": sandbox.url}))
            published: str | None = "1.0"
            while published:
                reports.order(_load(pipeline, VersionNumber.parse(published)))
                published = sandbox.publish_next(DATA_SET_ID)
        _show(settings)
        collect(reports)


def _own_folder() -> Path:
    """The folder that ``KS4_DATA_DIR`` names, else one beside what will be live."""
    named = os.environ.get("KS4_DATA_DIR")
    return Path(named) if named else Path("data") / DEMO_FOLDER


def _take(folder: Path) -> None:
    """Make the folder the demo's, and empty it of what an earlier demo made.

    Raises:
        ConfigurationError: when it holds something else.
    """
    mark = folder / DEMO_MARK
    if folder.exists() and not mark.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} is not empty, and the demo did not make it. Synthetic figures must not stand beside live ones: "
            f"give an empty folder, {command({}, 'demo', '--data-dir', 'FOLDER')}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(_MARK, encoding="utf-8")
    (folder / "ks4.toml").write_text(_CONFIGURATION, encoding="utf-8")
    for name in _MADE_HERE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _load(pipeline: Pipeline, published: VersionNumber) -> Mapping[str, Sequence[VersionNumber]]:
    """Load what has appeared, say so in one line, and tell which versions of which data set it was."""
    report = run(pipeline, pipeline.settings.data_sets)
    loaded = [outcome for outcome in report.outcomes if outcome.outcome is Outcome.LOADED]
    if report.exit_code or [outcome.version for outcome in loaded] != [published]:
        reasons = "\n".join(outcome.message for outcome in report.outcomes)
        raise Ks4Error(
            f"The demo could not load {published}. {sentence(report, pipeline.settings.warehouse)}\n{reasons}"
        )
    outcome = loaded[0]
    what = "the first version" if published == VersionNumber(1, 0) else f"{published.bump}: {_MEANING[published.bump]}"
    figures = f"{counted(outcome.rows or 0, 'row')} and {counted(outcome.markers or 0, 'marker')}"
    say(f"{published!s:<6} {what:<31} {figures} loaded")
    return report.loaded


def _show(settings: Settings) -> None:
    """What there is now, one question with its answer, and where to go from here."""
    held = next(found for found in read(settings).data_sets if found.name == FOLDER)
    say()
    table = versions_table(held.versions)
    say_lines(table.head() or [], "bold")
    say_lines(table.body())
    here = {name: "" for name in ("KS4_API_URL", "KS4_CONFIG") if os.environ.get(name)}
    here |= {"KS4_DATA_DIR": str(settings.data_dir)}
    say()
    say(f"$ {command(here, 'sql', QUERY)}", "bold")
    with read_only(settings.warehouse) as connection:
        ask(connection, QUERY, _SECONDS).print()
    say()
    say(f"The warehouse   {settings.warehouse}")
    if held.latest:
        say(f"What changed    {settings.reports_dir / FOLDER / f'{held.latest.number}.html'}")
    say(f"Open the UI     {command(here, 'dev')}")
    say(f"How it stands   {command(here, 'status')}")
    say(f"The live data   {command({}, 'run')}")
