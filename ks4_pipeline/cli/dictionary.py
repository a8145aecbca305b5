"""``ks4 dictionary``: what every table and column of a data set is, for people and for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ks4_pipeline.cli.cells import document as json_document
from ks4_pipeline.cli.choosing import existing_warehouse, settings_for_reading
from ks4_pipeline.cli.console import say_wrapped, size
from ks4_pipeline.cli.export import STANDARD_OUTPUT, beside, find
from ks4_pipeline.dictionary.reading import read
from ks4_pipeline.errors import printable
from ks4_pipeline.warehouse.file import WarehouseFile

if TYPE_CHECKING:
    from ks4_pipeline.dictionary.model import Dictionary

Format = Literal["markdown", "html", "frictionless"]
_BY_SUFFIX: dict[str, Format] = {".html": "html", ".htm": "html", ".json": "frictionless"}


def dictionary(name: str | None, version: str, *, form: Format | None, output: str) -> None:
    """Write the data dictionary of a data set, one version of it described in depth.

    Args:
        name: the data set; None where there is only one.
        version: a version or channel.
        form: how to write it; None: as the name of the file says, else Markdown.
        output: a path; ``-`` for standard output.

    Raises:
        ConfigurationError: when what is asked for is not there.
    """
    with WarehouseFile(existing_warehouse(settings_for_reading())).read() as connection:
        source = find(connection, name, version)
        found = read(connection, source.data_set, source.version)
    text = _rendered(found, form or _BY_SUFFIX.get(Path(output).suffix.lower(), "markdown"))
    if output == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    with beside(output) as part:
        part.write_text(text, encoding="utf-8")
        written = part.stat().st_size
    say_wrapped(f"Wrote the data dictionary of {source.data_set} {source.version} to {output}, {size(written)}.")


def _rendered(found: Dictionary, form: Format) -> str:
    """The dictionary in a form; only what that form needs is imported."""
    if form == "frictionless":
        from ks4_pipeline.dictionary.frictionless import package

        return json_document(package(found)) + "\n"
    from ks4_pipeline.dictionary.document import document

    if form == "html":
        from ks4_pipeline.dictionary.html import render
    else:
        from ks4_pipeline.dictionary.markdown import render
    return printable(render(document(found)))
