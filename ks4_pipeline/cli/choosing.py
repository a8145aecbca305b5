"""What a command works on: the settings in force, and the data sets and versions its options name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ks4_pipeline.cli.console import warn
from ks4_pipeline.errors import ConfigurationError
from ks4_pipeline.settings import STAND_IN, DataSet, Settings, load_settings
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DEMO_FOLDER = "demo"
"""Where the demo works, in the default data directory."""
DEMO_MARK = "DEMO.md"
"""The page in a folder of the demo's: it says that everything there is synthetic."""


def settings_for_loading() -> Settings:
    """The settings in force, when loading by them does not put live figures beside the demo's synthetic ones.

    Raises:
        ConfigurationError: when they cannot be used.
    """
    settings = load_settings()
    mark = settings.data_dir / DEMO_MARK
    if mark.exists() and settings.source != STAND_IN:
        raise ConfigurationError(
            f"{settings.data_dir} holds the demo's synthetic figures, and {settings.api_url} serves others: they must "
            "not stand in one warehouse. Give another KS4_DATA_DIR."
        )
    return settings


def settings_for_reading() -> Settings:
    """The settings in force; those of the demo's folder, and a word about it, while nothing else was ever loaded.

    So that who has just run the demo can ask its warehouse without naming a folder.

    Raises:
        ConfigurationError: when they cannot be used.
    """
    settings = load_settings()
    demo = settings.data_dir / DEMO_FOLDER
    if os.environ.get("KS4_DATA_DIR") or settings.landing_dir.exists() or not (demo / DEMO_MARK).exists():
        return settings
    warn(f"Nothing is loaded in {settings.data_dir} yet: this is the demo's, synthetic, in {demo}.")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KS4_")}
    return load_settings({**environ, "KS4_DATA_DIR": str(demo)})


def data_sets(settings: Settings, names: Iterable[str]) -> tuple[DataSet, ...]:
    """The followed data sets of these names, in the order of the configuration; all of them when none is named.

    Raises:
        ConfigurationError: when one is not followed.
    """
    named = {settings.data_set(name) for name in names}
    return tuple(data_set for data_set in settings.data_sets if not named or data_set in named)


def versions(texts: Iterable[str], chosen: Sequence[DataSet]) -> frozenset[VersionNumber] | None:
    """The versions named; None when none is, which means all.

    Raises:
        VersionNumberError: for what is not an exact number.
        ConfigurationError: when it is not clear whose versions they are.
    """
    numbers = frozenset(map(VersionNumber.parse, texts))
    if numbers and len(chosen) > 1:
        followed = ", ".join(data_set.name for data_set in chosen)
        raise ConfigurationError(f"--version needs --data-set: more than one data set is followed ({followed}).")
    return numbers or None


def existing_warehouse(settings: Settings) -> Path:
    """The published warehouse.

    Raises:
        ConfigurationError: when nothing is published yet.
    """
    if not settings.warehouse.is_file():
        raise ConfigurationError(f"There is no warehouse at {settings.warehouse} yet. Load something first: ks4 run.")
    return settings.warehouse
