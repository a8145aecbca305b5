"""A synthetic stand-in for *National - Key Stage 4 (KS4) - API*: four versions, always the same bytes.

:func:`write_synthetic_ks4` writes the folder that the sandbox serves. Pupils are drawn in :mod:`.population`, turned
into published cells in :mod:`.publishing`, and changed from version to version in :mod:`.history`.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.synthetic.description import DATA_SET_ID, FILTERS, VersionEntry, description
from ks4_pipeline.sandbox.synthetic.history import COLUMNS, KEY_COLUMNS, VERSIONS, editions, rows_of
from ks4_pipeline.sandbox.synthetic.publishing import INDICATOR_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "COLUMNS",
    "DATA_SET_ID",
    "FILTER_COLUMNS",
    "FOLDER",
    "INDICATOR_COLUMNS",
    "KEY_COLUMNS",
    "PREVIEW_ROWS",
    "VERSIONS",
    "VersionEntry",
    "write_synthetic_ks4",
]

FOLDER = "ks4_national"
FILTER_COLUMNS = tuple(entry.column for entry in FILTERS)

_LESS_THAN_12_MONTHS_AT_31_MARCH = "1350,15461.5,11.4,60,4.2,130,9.2,70,5.3,10,0.8,20,1.4,1270.42,0.94,x,x,x,x,x"
_PREVIEW = (  # year, care group, status, indicators
    ("202425", "CLA 12 months at 31 March", "Revised", "0,z,z,z,z,z,z,z,z,z,z,z,z,z,z,x,x,x,x,x"),
    ("202425", "CLA at 31 March", "Revised", _LESS_THAN_12_MONTHS_AT_31_MARCH),
    (
        "202425",
        "CLA at any point",
        "Revised",
        "1830,23559,12.9,110,5.9,210,11.4,120,6.6,20,1.2,40,2,1938.1,1.06,x,x,x,x,x",
    ),
    ("202425", "CLA less than 12 months at 31 March", "Revised", _LESS_THAN_12_MONTHS_AT_31_MARCH),
    ("202324", "CLA 12 months at 31 March", "Final", "c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c,c"),
)
# The only rows of the real version 1.0 to be had, as CSV lines: the publisher's preview. They open the synthetic 1.0
# too, because the pinned pupils of `population` and the slips of `history` lead to just these cells.
PREVIEW_ROWS = tuple(
    f"{year},Academic year,National,E92000001,England,{group},All pupils,All pupils,All pupils,"
    f"1. Less than 12 months (0-11 months looked after),{status},{indicators}"
    for year, group, status, indicators in _PREVIEW
)


def write_synthetic_ks4(root: Path, *, held: bool = False) -> Path:
    """Write the synthetic data set: ``data_set.toml`` and one CSV file per version, the same bytes on every machine.

    Args:
        root: the folder of data sets; made if need be. Files of an earlier call are overwritten.
        held: mark every version but 1.0 as held back, for the sandbox to release later.

    Returns:
        The folder of the data set, ``<root>/ks4_national``.
    """
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for entry, edition in editions():
        (folder / entry.file).write_bytes(_csv_bytes(rows_of(edition)))
    (folder / "data_set.toml").write_bytes(description(VERSIONS, held=held).encode())
    return folder


def _csv_bytes(rows: Iterable[tuple[str, ...]]) -> bytes:
    """The file as the publisher saves it: UTF-8 without a mark, CRLF, quotes only where a comma needs them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()
