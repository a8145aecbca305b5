"""The command line ``ks4``: what a person or a script may ask of the pipeline, and how the answers look.

No work of the pipeline is done here. :mod:`.app` declares the commands; each has a module of its own, which is imported
only when the command is used, so that ``ks4 status`` does not wait for what ``ks4 run`` needs. None imports Dagster.
"""

from ks4_pipeline.cli.app import app, main

__all__ = ["app", "main"]
