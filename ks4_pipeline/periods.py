"""What is counted of a time period, by itself: who reads a warehouse needs the counts and not what counts them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

PERIOD = ("time_identifier", "time_period")


class PeriodCounts(BaseModel):
    """What there is of one time period.

    Attributes:
        time_identifier, time_period: as in the columns of these names; None where they are empty or not there.
        rows: of the period.
        markers: by numeric indicator that has any, how many of its cells hold which canonical marker; all others hold
            numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_identifier: str | None
    time_period: str | None
    rows: int
    markers: dict[str, dict[str, int]]

    def marked(self, indicator: str) -> int:
        """How many cells of an indicator hold a marker."""
        return sum(self.markers.get(indicator, {}).values())


def by_indicator(periods: Iterable[PeriodCounts], indicators: Iterable[str]) -> dict[str, dict[str, int]]:
    """For each of the indicators, how many cells of all periods hold which marker, most frequent first."""
    found: dict[str, dict[str, int]] = {name: {} for name in indicators}
    for period in periods:
        for name, markers in period.markers.items():
            for marker, cells in markers.items():
                found[name][marker] = found[name].get(marker, 0) + cells
    return {
        name: dict(sorted(markers.items(), key=lambda counted: (-counted[1], counted[0])))
        for name, markers in found.items()
    }
