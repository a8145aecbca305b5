"""``ks4 accept``: a person's word that other bytes under a known version number shall take the place of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline.cli.choosing import data_sets, settings_for_loading
from ks4_pipeline.cli.console import counted, say, say_wrapped, size
from ks4_pipeline.cli.reporting import collect, reports_beside, say_where
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from ks4_pipeline.settings import DataSet


def accept(name: str | None, version: str | None) -> None:
    """Accept what the publisher now serves under a version number, or list what waits.

    Args:
        name: the data set; needed when several are followed and a version is given.
        version: the version to accept; None to list.

    Raises:
        ConfigurationError: when it is not clear whose version is meant.
        NothingToAcceptError: when no other bytes are known for it.
        RefusedVersionError: when the new content cannot be trusted; the old stays in force.
    """
    settings = settings_for_loading()
    pipeline = Pipeline(settings)
    chosen = data_sets(settings, [name] if name else [])
    if version is None:
        _list(pipeline, chosen)
        return
    if len(chosen) > 1:
        followed = ", ".join(data_set.name for data_set in chosen)
        raise ConfigurationError(f"Say which data set with --data-set: {followed}.")
    number = VersionNumber.parse(version)
    with reports_beside(settings) as reports:
        observations = pipeline.accept(chosen[0], number)
        reports.order({chosen[0].name: [number]})
        made = collect(reports)
    say_wrapped(
        f"{chosen[0].name} {number}: the new bytes are in force, {counted(observations.facts.rows, 'row')}. "
        f"The earlier ones are kept in {settings.landing_dir / chosen[0].name / 'superseded'}."
    )
    say_where(made)


def _list(pipeline: Pipeline, chosen: tuple[DataSet, ...]) -> None:
    found = [(data_set, landed) for data_set in chosen for landed in pipeline.republished(data_set).values()]
    if not found:
        say_wrapped("Nothing waits: no version is known to be served with other bytes than those in force.")
    for data_set, landed in found:
        manifest = landed.manifest
        say(
            f"{data_set.name} {landed.version}: "
            f"{size(manifest.csv.bytes)} of CSV, fetched {manifest.fetched_at:%Y-%m-%d}"
        )
        say(f"  sha256 {manifest.csv.sha256}")
        say(f"  {landed.folder}")
