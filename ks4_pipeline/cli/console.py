"""Words for people: on standard output what was asked for, on standard error what went wrong.

Everything printed goes through :func:`printable`, so that no text of the API or of a file can move the cursor, colour
the screen or forge a line. Colours and widths are for terminals only; a pipe gets plain text.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ks4_pipeline.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_INDENT = "  "


class _Console(Console):
    """A console whose reader may go; rich alone would end the process then, with 1."""

    def on_broken_pipe(self) -> None:
        """Tell it as every other write to a pipe does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def is_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a person is looking: at standard output, or at another stream."""
    return (stream or sys.stdout).isatty()


def console(stream: IO[str] | None = None) -> Console:
    """Where to print. Only a terminal gets colours and a width, whatever ``FORCE_COLOR`` says: pipes stay plain."""
    stream = stream or sys.stdout
    terminal = is_terminal(stream)
    return _Console(
        file=stream,
        force_terminal=terminal,
        width=None if terminal else 1 << 20,
        no_color=None if terminal else True,
        markup=False,
        highlight=False,
        emoji=False,
    )


def width() -> int | None:
    """Columns of the terminal; None when there is none and lines may be as long as they like."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def say(text: str = "", style: str = "") -> None:
    """Print lines on standard output, as long as they are."""
    console().print(Text(printable(text), style), soft_wrap=True)


def say_wrapped(text: str, style: str = "", *, indent: int = 0) -> None:
    """Print prose: on a terminal broken between words to its width, in a pipe one line."""
    screen = console()
    for line in Text(printable(text), style).wrap(screen, max(screen.width - indent, 20)):
        line.rstrip()
        screen.print(Text(" " * indent).append(line), soft_wrap=True)


def say_lines(lines: Iterable[str], style: str = "") -> None:
    """Print many lines that are safe already."""
    if is_terminal():
        screen = console()
        for line in lines:
            screen.print(Text(line, style), soft_wrap=True)
    else:
        sys.stdout.writelines(line + "\n" for line in lines)


def write(text: str) -> None:
    """Write data on standard output: as it is for a file or a pipe, printable on a terminal."""
    sys.stdout.write(printable(text) if is_terminal() else text)


def warn(text: str) -> None:
    """Print a remark on standard error."""
    _remark(Text(printable(text), "yellow"))


def complain(text: str) -> None:
    """Print what went wrong on standard error."""
    _remark(Text("Error: ", "bold red").append(printable(text), "default not bold"))


def _remark(text: Text) -> None:
    """Say it on standard error; where that takes nothing any more, the work that is remarked on goes on."""
    try:
        console(sys.stderr).print(text, soft_wrap=True)
    except OSError:
        close(sys.stderr)


def command(environ: Mapping[str, object], *arguments: str) -> str:
    """A command line to paste into a shell, with this program named as the reader called it."""
    variables = [f"{name}={shlex.quote(str(value))}" for name, value in environ.items()]
    return " ".join([*variables, _called_as(), *map(_quoted, arguments)])


def _quoted(argument: str) -> str:
    """An argument for a shell: SQL reads best between double quotes, where nothing in it means something there."""
    if " " in argument and not set(argument) & set('"$`\\!'):
        return f'"{argument}"'
    return shlex.quote(argument)


def _called_as() -> str:
    called = Path(sys.argv[0])
    if called.stem != "ks4":
        return "ks4"
    found = shutil.which("ks4")
    if found and Path(found).resolve() == called.resolve():
        return "ks4"
    with suppress(ValueError):
        called = called.resolve().relative_to(Path.cwd())
    return shlex.quote(str(called))


def close(stream: IO[str]) -> None:
    """Let nothing more be written to a standard stream whose reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def size(count: int) -> str:
    """A number of bytes for people: ``812 bytes``, ``37.2 kB``."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":  # noqa: PLR2004 - a thousand of one is one of the next
            return f"{count} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def counted(count: int, noun: str) -> str:
    """``1 version``, ``1,234 versions``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
