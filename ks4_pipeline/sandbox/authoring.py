"""Writes data set folders a sandbox can serve: for tests and for whoever wants to show a file as the publisher would.

Takes the same models that reading gives (``description.py``), so what is written can be read back as it was.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.description import DESCRIPTION_FILE, DataSetDescription

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NOTHING: Mapping[str, str | bytes] = {}


def write_data_set(
    folder: Path, description: DataSetDescription | Mapping[str, object], files: Mapping[str, str | bytes] = _NOTHING
) -> Path:
    """Write ``data_set.toml`` and the CSV files beside it; text becomes UTF-8, bytes are kept.

    Args:
        folder: the data set's folder, made if need be; its parent is what a sandbox serves.
        description: the model, or the plain values it is made of, as they would stand in the TOML file.
        files: contents by file name; files that lie elsewhere are named by their path in the description.

    Raises:
        pydantic.ValidationError: the description cannot be used.
    """
    if not isinstance(description, DataSetDescription):
        description = DataSetDescription.model_validate(description)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    entries = description.model_dump(by_alias=True, exclude_defaults=True, exclude_none=True)
    lines = [f"{key} = {_toml(value)}\n" for key, value in entries.items()]
    path = folder / DESCRIPTION_FILE
    path.write_text("".join(lines), "utf-8")
    return path


def _toml(value: object) -> str:
    """A value as TOML writes it on one line; ids, versions, paths and states as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
