"""What ``workspace.yaml`` loads: all Dagster definitions, made from the settings of this process."""

from __future__ import annotations

import dagster as dg

from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the followed data sets."""
    return build_definitions(load_settings())
