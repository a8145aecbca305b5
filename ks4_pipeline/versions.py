"""Version numbers of EES data sets: parsing, order, and the names they give to tables and channels.

A version number says what its publisher *calls* a change (major, minor, patch), never what really changed. Nothing
here asks the API or the disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ks4_pipeline.errors import VersionNumberError

# The server keeps each part in 32 bits; ASCII digits only, no sign, no leading zero (contract §3.1, §3.3).
_PART = r"(0|[1-9][0-9]{0,8})"
_EXACT = re.compile(rf"{_PART}\.{_PART}(?:\.{_PART})?", re.ASCII)


class Bump(StrEnum):
    """What a version number says it is: the API's ``type`` in lower case (contract §3.1)."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, order=True, slots=True)
class VersionNumber:
    """An exact version of a data set, ordered as numbers: ``1.9 < 1.10`` and ``1.0 < 1.0.1 < 1.1``."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> VersionNumber:
        """Read ``1.0``, ``1.0.1`` or ``1.0.0`` (the same as ``1.0``).

        Raises:
            VersionNumberError: for anything else. The API would read ``1`` as 1.0, drop suffixes such as ``1.0-x`` and
                answer 404 to the rest (contract §3.3); an identity must not depend on such readings.
        """
        match = _EXACT.fullmatch(text)
        if match is None:
            raise VersionNumberError(text)
        major, minor, patch = match.groups(default="0")
        return cls(int(major), int(minor), int(patch))

    def __str__(self) -> str:
        """As the API prints it: three parts only when the patch is not 0."""
        return f"{self.major}.{self.minor}.{self.patch}" if self.patch else f"{self.major}.{self.minor}"

    @property
    def bump(self) -> Bump:
        """The kind of change the number announces; 1.0 is major."""
        if self.patch:
            return Bump.PATCH
        return Bump.MINOR if self.minor else Bump.MAJOR

    @property
    def table(self) -> str:
        """The name of its table: always three numbers, ``v1_0_0``."""
        return f"v{self.major}_{self.minor}_{self.patch}"

    @property
    def channels(self) -> tuple[str, str, str]:
        """The channels it can stand in, widest first: ``latest``, ``v1``, ``v1_0``."""
        return ("latest", f"v{self.major}", f"v{self.major}_{self.minor}")
