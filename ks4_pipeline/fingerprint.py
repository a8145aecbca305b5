"""Size and SHA-256 of a run of bytes: how we know, later, that they are still the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Bytes(BaseModel):
    """Size and fingerprint of a run of bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Bytes:
        """Those of a file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return cls(bytes=file.tell(), sha256=digest.hexdigest())
