"""Which version a request means: the readings of contract §3.3, row by row.

Only text is read here; what is published is asked of the state that is handed in. An answer of None is the API's 404.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.description import VersionStatus
from ks4_pipeline.versions import VersionNumber

if TYPE_CHECKING:
    from ks4_pipeline.sandbox.publisher import DataSetState, VersionState

_BIGGEST = 2**31 - 1

_NUMBER = r"0|[1-9][0-9]*"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = r"[0-9A-Za-z-]+"
_EXACT = re.compile(
    rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?"
    rf"(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(?:\+{_BUILD}(?:\.{_BUILD})*)?",
    re.ASCII,
)
_WILDCARD = re.compile(r"v?(?:([0-9]+)\.)?(?:([0-9]+)\.)?\*(?:\.\*)*", re.ASCII)
_MOST_PARTS = 3


class OverflowInServerError(Exception):
    """A number too big for 32 bits beside a wildcard: the service does not handle it and answers 500."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """The highest published version whose number begins so; None stands for any."""

    major: int | None
    minor: int | None

    def covers(self, number: VersionNumber) -> bool:
        """Whether the number begins so."""
        return self.major in (None, number.major) and self.minor in (None, number.minor)


def parse_reference(text: str) -> VersionNumber | Wildcard | None:
    """Read what a request gives as version; None is not a version.

    Raises:
        OverflowInServerError: see there.
    """
    text = text.strip()
    if "*" in text:
        return _wildcard(text)
    match = _EXACT.fullmatch(text)
    if match is None:
        return None
    parts = [int(part) for part in match.groups(default="0")]
    return VersionNumber(*parts) if max(parts) <= _BIGGEST else None


def find_version(state: DataSetState, text: str | None, *, star_is_live: bool) -> VersionState | None:
    """Find the version a request means.

    Args:
        state: the data set as it stands.
        text: what the request says.
        star_is_live: ``/csv`` and ``/meta`` read nothing and a lone ``*`` as the live version, ``/versions/*`` is
            the highest published number.
    """
    text = (text or "").strip()
    if star_is_live and text in ("", "*"):
        return state.live
    wanted = parse_reference(text)
    if isinstance(wanted, VersionNumber):
        return state.find(wanted)
    if wanted is None:
        return None
    published = (found for found in state.out if found.status is VersionStatus.PUBLISHED)
    return max((v for v in published if wanted.covers(v.number)), key=lambda v: v.number, default=None)


def _wildcard(text: str) -> Wildcard | None:
    match = _WILDCARD.fullmatch(text)
    if match is None or text.count(".") >= _MOST_PARTS:
        return None
    major, minor = (int(part) if part else None for part in match.groups())
    if max(major or 0, minor or 0) > _BIGGEST:
        raise OverflowInServerError(text)
    return Wildcard(major, minor)
