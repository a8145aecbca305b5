"""The errors this package raises: one small family, so that a caller can tell ours from a bug.

Each message says what, where, what was found, and what the reader can do. Errors of the publisher's API are in
:mod:`ks4_pipeline.ees.errors`; they belong to the same family.
"""

from __future__ import annotations


class Ks4Error(Exception):
    """Base of every error this package raises on purpose.

    Its message may quote a server or a file, and ends up in terminals and logs: it is made :func:`printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


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


def printable(text: str) -> str:
    """A text with every character that is not to be seen written as its escape; line ends stay.

    So no text of the API or of a file can move a cursor, colour a screen or turn a line round.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else " "
        if character == "\N{NO-BREAK SPACE}"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """A text made printable and put on one line."""
    return printable(" ".join(text.split("\n")))
