"""The errors this package raises: one small family, so that a caller can tell ours from a bug.

Each message says what, where, what was found, and what the reader can do. Errors of the publisher's API are in
:mod:`ks4_pipeline.ees.errors`; they belong to the same family.
"""

from __future__ import annotations


class Ks4Error(Exception):
    """Base of every error this package raises on purpose."""


class VersionNumberError(Ks4Error, ValueError):
    """A text that is not an exact version number."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{shown(text)} is not an exact version number. Give two or three numbers with dots, as the API prints "
            "them: 1.0 or 1.0.1."
        )


class ConfigurationError(Ks4Error):
    """A configuration, an environment variable or a command-line value that cannot be used."""


def shown(text: str, limit: int = 60) -> str:
    """Foreign text made safe to print: escaped, and cut when it is long."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
