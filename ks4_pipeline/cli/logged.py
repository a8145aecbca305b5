"""Shows on standard error what the pipeline logs as a warning, such as a request that is made again."""

from __future__ import annotations

import logging

_PACKAGE = "ks4_pipeline"


def show_warnings() -> None:
    """Let this process show the warnings of the whole package."""
    logging.getLogger(_PACKAGE).addHandler(_Shown(logging.WARNING))


class _Shown(logging.Handler):
    """Prints a record in the way of all other remarks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from ks4_pipeline.cli.console import warn
        from ks4_pipeline.errors import one_line

        warn(one_line(record.getMessage()))
