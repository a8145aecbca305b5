"""What a benchmark found, as a table for people and as JSON for the next comparison.

Times on a shared machine mean little by themselves: what counts are ratios of things measured in turn in one run. A
ratio is the median of the runs' own ratios, so that a machine that slows down slows both sides. Bounds are told, held
or not; only :attr:`Findings.wrong` makes the suite fail.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ks4_pipeline_tests.benchmarks.processes import Took

FORMAT = 1
_CPU = ", CPU"
_MEGA = 1 << 20
_LIBRARIES = ("ks4_pipeline", "duckdb", "polars", "dagster", "pandas", "pyarrow", "dlt")


@dataclass(frozen=True)
class Bound:
    """What must hold: ``found`` is at most ``limit``, or at least, if ``at_least``."""

    what: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit


@dataclass
class Findings:
    """What one benchmark found.

    Attributes:
        name: as ``--only`` takes it.
        title: what was measured, in a line.
        took: by what was measured, one entry per run.
        ratios: by what they say.
        numbers: sizes, counts and seconds that are no run of a process.
        grid: the same where there are many, by row and column.
        bounds: what must hold.
        remarks: whatever else there is to say.
        wrong: results that are not what they must be.
    """

    name: str
    title: str
    took: dict[str, list[Took]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    grid: dict[str, dict[str, float]] = field(default_factory=dict)
    bounds: list[Bound] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, what: str, took: Took) -> None:
        """Note a run."""
        self.took.setdefault(what, []).append(took)

    def wall(self, what: str) -> float:
        """The median of its seconds."""
        return median(took.wall for took in self.took[what])

    def peak(self, what: str) -> int:
        """The largest memory of any run, in bytes."""
        return max(took.peak or 0 for took in self.took[what])

    def ratio(self, what: str, by: str) -> float:
        """How many times as long ``what`` takes as ``by``: of the runs that have both, the median."""
        return median(one.wall / other.wall for one, other in self._pairs(what, by))

    def say_ratio(self, what: str, by: str, name: str = "") -> None:
        """Note the same among the ratios, and that of the CPU's time, which other processes move less."""
        name = name or f"{what} / {by}"
        self.ratios[name] = self.ratio(what, by)
        cpu = [one.cpu / other.cpu for one, other in self._pairs(what, by) if one.cpu and other.cpu]
        if cpu:
            self.ratios[name + _CPU] = median(cpu)

    def _pairs(self, what: str, by: str) -> Iterator[tuple[Took, Took]]:
        return zip(self.took[what], self.took[by], strict=False)


def table(findings: Findings) -> Iterator[str]:
    """The lines to print."""
    yield ""
    yield f"{findings.name}: {findings.title}"
    if findings.took:
        width = max(map(len, findings.took))
        yield f"  {'':<{width}}  runs   wall s    CPU s  peak MB  disk MB  kept MB"
        for what, runs in findings.took.items():
            cells = [
                f"{median(took.wall for took in runs):8.3f}",
                _cell([took.cpu for took in runs], 1, "8.3f"),
                _cell([took.peak for took in runs], _MEGA, "8.0f"),
                _cell([took.disk for took in runs], _MEGA, "8.0f"),
                _cell([took.kept for took in runs], _MEGA, "8.0f"),
            ]
            yield f"  {what:<{width}}  {len(runs):>4} {' '.join(cells)}".rstrip()
    for what, ratio in findings.ratios.items():
        if not what.endswith(_CPU):
            cpu = findings.ratios.get(what + _CPU)
            yield f"  {what}: {ratio:.2f}" + (f" (CPU {cpu:.2f})" if cpu else "")
    yield from _grid(findings.grid)
    for what, number in findings.numbers.items():
        yield f"  {what}: {number:,.3f}".removesuffix(".000")
    for bound in findings.bounds:
        side = "at least" if bound.at_least else "at most"
        verdict = "holds" if bound.holds else "DOES NOT HOLD"
        yield f"  {verdict}: {bound.what}: {bound.found:.2f}, {side} {bound.limit:.2f}"
    for remark in findings.remarks:
        yield f"  {remark}"
    for wrong in findings.wrong:
        yield f"  WRONG: {wrong}"


def document(rows: int, found: list[Findings]) -> dict[str, Any]:
    """What ``--json`` writes and ``--compare`` reads."""
    return {
        "format": FORMAT,
        "rows": rows,
        "machine": machine(),
        "benchmarks": {
            findings.name: {
                **{key: value for key, value in asdict(findings).items() if key != "took"},
                "took": {
                    what: [{key: value for key, value in asdict(took).items() if key != "said"} for took in runs]
                    for what, runs in findings.took.items()
                },
                "medians": {what: findings.wall(what) for what in findings.took},
            }
            for findings in found
        },
    }


def machine() -> dict[str, Any]:
    """Where it was measured, and with which libraries."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": os.getloadavg()[0],
        "libraries": {name: found for name in _LIBRARIES if (found := _installed(name))},
    }


def comparison(found: list[Findings], rows: int, earlier: dict[str, Any]) -> Iterator[str]:
    """Lines that hold this run's ratios and medians against an earlier one's."""
    yield ""
    yield f"against an earlier run ({earlier['rows']:,} rows then, {rows:,} now): then -> now"
    for findings in found:
        known = earlier["benchmarks"].get(findings.name)
        if known is None:
            yield f"  {findings.name}: not measured then"
            continue
        ratios = [(f"{what}, ratio", known["ratios"].get(what), now) for what, now in findings.ratios.items()]
        walls = [(f"{what}, median s", known["medians"].get(what), findings.wall(what)) for what in findings.took]
        grid = [
            (f"{row}: {column}", known["grid"].get(row, {}).get(column), now)
            for row, cells in findings.grid.items()
            for column, now in cells.items()
        ]
        for what, then, now in (*ratios, *walls, *grid):
            if then is not None:
                change = f"{(now / then - 1) * 100:+.0f} %" if then else ""
                yield f"  {findings.name}: {what}: {then:.3f} -> {now:.3f}  {change}"


def _grid(grid: dict[str, dict[str, float]]) -> Iterator[str]:
    if grid:
        columns = list(dict.fromkeys(column for cells in grid.values() for column in cells))
        width = max(map(len, grid))
        yield f"  {'':<{width}}  {'  '.join(columns)}"
        for row, cells in grid.items():
            texts = (f"{cells[column]:.2f}" if column in cells else "" for column in columns)
            places = (f"{text:>{len(column)}}" for text, column in zip(texts, columns, strict=True))
            yield f"  {row:<{width}}  {'  '.join(places)}".rstrip()


def _cell(values: list[Any], unit: int, form: str) -> str:
    known = [value / unit for value in values if value is not None]
    return format(median(known), form) if known else " " * 8


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
