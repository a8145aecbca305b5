"""The vocabulary of markers: symbols the publisher puts in place of a number, and what each one means.

This is the only place that knows them. A text that is neither a number nor one of these is never guessed at: the
version that holds it is refused (design §5.9). Sources: DfE analysts' guide, GSS harmonised symbols, SDMX code list
``CL_OBS_STATUS``; gathered in the project's domain notes §1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product


class Reason(StrEnum):
    """Why a number is not there. ``ROUNDS_TO_ZERO`` is neither zero nor missing: a small number exists."""

    NOT_APPLICABLE = "not_applicable"
    NOT_AVAILABLE = "not_available"
    CONFIDENTIAL = "confidential"
    ROUNDS_TO_ZERO = "rounds_to_zero"
    LOW_RELIABILITY = "low_reliability"


@dataclass(frozen=True, slots=True)
class Marker:
    """One symbol.

    Attributes:
        symbol: canonical spelling: lower case, no brackets. This is what a flag column holds.
        meaning: one sentence for people.
        reason: why there is no number, across spellings: ``x`` and the old ``:`` share one.
        sdmx_obs_status: code of SDMX ``CL_OBS_STATUS``.
        gss_shorthand: shorthand of the Government Statistical Service, as it stands in spreadsheets.
        current: whether DfE still lets producers use it; ``:`` and ``~`` stand in older files only.
    """

    symbol: str
    meaning: str
    reason: Reason
    sdmx_obs_status: str
    gss_shorthand: str
    current: bool


_ROUNDS = "Not zero, but rounds to zero: a value exists and is known, smaller than half the last published digit."

MARKERS: dict[str, Marker] = {
    marker.symbol: marker
    for marker in (
        Marker("z", "Not applicable: no value can exist here.", Reason.NOT_APPLICABLE, "M", "[z]", current=True),
        Marker(
            "x",
            "Not available: not collected, not returned or not produced; a value might exist.",
            Reason.NOT_AVAILABLE, "O", "[x]", current=True,
        ),
        Marker(
            "c",
            "Confidential: a value exists and is withheld to protect individuals.",
            Reason.CONFIDENTIAL, "Q", "[c]", current=True,
        ),
        Marker("low", _ROUNDS, Reason.ROUNDS_TO_ZERO, "N", "[low]", current=True),
        Marker(
            "k",
            _ROUNDS + " Used where the word 'low' would be insensitive.",
            Reason.ROUNDS_TO_ZERO, "N", "[low]", current=True,
        ),
        Marker(
            "u",
            "Low reliability: withheld because of its quality.",
            Reason.LOW_RELIABILITY, "U", "[u]", current=True,
        ),
        Marker(":", "Not available (older files; now x).", Reason.NOT_AVAILABLE, "O", "[x]", current=False),
        Marker("~", "Rounds to zero (older files; now low).", Reason.ROUNDS_TO_ZERO, "N", "[low]", current=False),
    )
}  # fmt: skip


BLANKS = " \t"
"""What may stand around a cell's text without being part of it."""


def _spellings(symbol: str) -> set[str]:
    """A symbol in every mixture of capitals; ASCII only, so that look-alikes stay unknown."""
    return {"".join(letters) for letters in product(*({letter, letter.upper()} for letter in symbol))}


SPELLINGS: dict[str, str] = {spelling: symbol for symbol in MARKERS for spelling in sorted(_spellings(symbol))}
"""Every bare spelling of every marker, and the canonical symbol it stands for."""


def canonical(text: str) -> str | None:
    """The canonical symbol a cell's text stands for, or None when it is no known marker.

    Blanks around it, capitals, and one pair of square brackets (the GSS spelling for spreadsheets) are other spellings
    of the same marker: ``[c]``, ``C`` and ``' c '`` all give ``c``.
    """
    bare = text.strip(BLANKS)
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1].strip(BLANKS)
    return SPELLINGS.get(bare)
