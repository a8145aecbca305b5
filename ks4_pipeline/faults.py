"""Faults found in a version's content, collected and counted, and the refusal they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ks4_pipeline.errors import Ks4Error, shown

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: what, and where. Row 1 is the first below the header, row 0 the header itself."""

    what: str
    column: str | None = None
    row: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        where = [] if self.column is None else [f"column {shown(self.column)}"]
        if self.row is not None:
            where.append(f"row {self.row}" if self.row else "the header")
        place = f"{', '.join(where)}: " if where else ""
        return f"{place}{self.what}" + ("" if self.text is None else f": {shown(self.text)}")


@dataclass(slots=True)
class Faults:
    """The first faults, and how many there are in all."""

    first: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, fault: Fault, *, times: int = 1) -> None:
        """Count a fault; ``times`` when it stands for several alike."""
        self.count += times
        if len(self.first) < SHOWN:
            self.first.append(fault)

    def __bool__(self) -> bool:
        return self.count > 0


class RefusedVersionError(Ks4Error):
    """A version that arrived whole and whose content cannot be trusted. What was published before stays as it is.

    Attributes:
        faults: the first faults.
        count: how many there are in all.
    """

    def __init__(self, what: str, faults: Faults, advice: str = "") -> None:
        self.faults = tuple(faults.first)
        self.count = faults.count
        more = f"\n  … and {self.count - len(self.faults)} more" if self.count > len(self.faults) else ""
        listed = "".join(f"\n  {fault}" for fault in self.faults)
        noun = "fault" if self.count == 1 else "faults"
        what_to_do = f"\n{advice}" if advice else ""
        super().__init__(f"{what} is refused, {self.count} {noun}:{listed}{more}{what_to_do}")
