"""A change report as one HTML page that needs nothing but itself: no script, no file beside it, no network.

Whatever the publisher says is escaped by the template; the page's own policy forbids scripts and requests besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from jinja2 import Template
from markupsafe import Markup

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.quality import columns_of
from ks4_pipeline.report import charts, wording
from ks4_pipeline.report.content import CELL_CLASSES, Gap, Gaps, Headline, Indicator, Measure, Report
from ks4_pipeline.templates import environment

_INDICATORS, _PERIODS, _HEAT_PERIODS, _SERIES, _ITEMS, _MOVED = 60, 40, 12, 24, 20, 24
_DETAIL = 240  # characters of what a check found, where a table of it follows
_FINDINGS = 12
_DEEPEST = 0.4  # of the shade behind a share: dark text keeps its contrast


@dataclass(frozen=True)
class _Chart:
    """A measure's chart and the figures behind it."""

    measure: Measure
    svg: Markup
    has_figures: bool
    table: list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class _Moved:
    """A headline figure that the version before gave otherwise."""

    measure: str
    series: str
    period: str
    was: str
    now: str


@dataclass(frozen=True)
class _Share:
    """A cell of the table of shares; ``was`` is empty where it was the same."""

    now: str
    was: str
    depth: float


def make_ready() -> None:
    """Do now what the first page would wait for."""
    _template()


def html(report: Report, made_at: datetime) -> str:
    """The page."""
    template, style = _template()
    headline, changed = report.headline, report.changed
    drawn = _charts(headline) if headline else []
    latest = _latest(headline, drawn) if headline else []
    moved = _moved_points(headline, drawn) if headline else []
    checks = sorted(report.checks, key=lambda check: (check.passed, check.severity != "error"))
    heat_periods, heat, left_out = _heat(report.gaps)
    return template.render(
        style=style,
        wording=wording,
        about=report.about,
        periods=report.periods,
        lead=wording.lead(report),
        points=wording.points(report),
        changed=changed,
        classes=wording.class_headings(changed.counts) if changed else [],
        cell_classes=[name for name in CELL_CLASSES if changed and changed.counts[name]],
        announced=report.announced,
        announced_count=report.announced_count,
        headline=headline,
        no_headline=report.no_headline,
        legend=charts.legend(headline) if headline else [],
        charts=drawn,
        latest=latest,
        moved=moved[:_MOVED],
        moved_count=len(moved),
        was_other=any(was for _, cells in latest for _, was in cells),
        headline_markers=[(symbol, MARKERS[symbol].meaning) for symbol in MARKERS if symbol in _markers(latest)],
        breaks=_breaks(headline) if headline else [],
        gaps=report.gaps,
        heat=heat,
        heat_periods=heat_periods,
        left_out=left_out,
        checks=checks,
        failed=sum(not check.passed for check in checks),
        caveats=report.caveats,
        made_at=made_at,
        max_periods=_PERIODS,
        max_series=_SERIES,
        max_items=_ITEMS,
        max_detail=_DETAIL,
        max_findings=_FINDINGS,
        columns_of=columns_of,
    )


@cache
def _template() -> tuple[Template, Markup]:
    """The page's template and its style sheet, compiled once: that takes longer than to fill them in."""
    templates = environment("ks4_pipeline.report")
    templates.filters |= {"day": _day, "sentence": lambda text: text[:1].upper() + text[1:]}
    style, *_ = templates.loader.get_source(templates, "page.css") if templates.loader else ("",)
    return templates.get_template("page.html.j2"), Markup(style)  # noqa: S704 - our own file


def _charts(headline: Headline) -> list[_Chart]:
    found = []
    for number, measure in enumerate(headline.measures, 1):
        has_figures = any(True for name in headline.series for _ in charts.segments(headline, measure, name))
        drawn = charts.svg(headline, measure, f"chart-{number}") if has_figures else Markup()
        found.append(_Chart(measure, drawn, has_figures, charts.table(headline, measure)))
    return found


def _latest(headline: Headline, drawn: Sequence[_Chart]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each series with its figures of the last period, measure by measure."""
    return [(name, [chart.table[row][1][-1] for chart in drawn]) for row, name in enumerate(headline.series)]


def _moved_points(headline: Headline, drawn: Sequence[_Chart]) -> list[_Moved]:
    """In the order of measures and series, newest period first."""
    return [
        _Moved(chart.measure.indicator.label, name, period, was, now)
        for chart in drawn
        for name, cells in chart.table
        for period, (now, was) in reversed(list(zip(headline.periods, cells, strict=True)))
        if was
    ]


def _markers(rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> set[str]:
    """All cells of a table of figures, those before too: among them the markers that have to be explained."""
    return {part for _, cells in rows for cell in cells for part in cell}


def _breaks(headline: Headline) -> list[tuple[str, str]]:
    """The years that stand alone, each reason once."""
    found = {
        (period, measure.breaks[period])
        for measure in headline.measures
        for period in headline.periods
        if period in measure.breaks
    }
    return sorted(found, key=lambda one: (headline.periods.index(one[0]), one[1]))


def _heat(gaps: Gaps) -> tuple[tuple[str, ...], list[tuple[Indicator, list[_Share]]], str]:
    """The table of shares: its periods, its rows, and what had to be left out."""
    periods = gaps.periods[-_HEAT_PERIODS:]
    indicators = list(gaps.indicators)
    left_out = []
    if len(gaps.periods) > len(periods):
        left_out.append(f"the last {len(periods)} of {len(gaps.periods)} periods")
    if len(indicators) > _INDICATORS:
        left_out.append(f"the {_INDICATORS} indicators whose share moved most, of {len(indicators)}")
        moved = sorted(indicators, key=lambda indicator: -_share_moved(gaps, indicator, periods))[:_INDICATORS]
        indicators = [indicator for indicator in indicators if indicator in moved]
    rows = [(indicator, [_share(gaps, indicator, period) for period in periods]) for indicator in indicators]
    return periods, rows, "; ".join(left_out)


def _share_moved(gaps: Gaps, indicator: Indicator, periods: Sequence[str]) -> float:
    keys = [(indicator.column, period) for period in periods]
    pairs = [(gaps.now.get(key, Gap()).share, gaps.before.get(key, Gap()).share) for key in keys]
    return max((abs(now - was) for now, was in pairs if now is not None and was is not None), default=0.0)


def _share(gaps: Gaps, indicator: Indicator, period: str) -> _Share:
    key = indicator.column, period
    now, was = wording.share(gaps.now.get(key)), wording.share(gaps.before.get(key))
    depth = _DEEPEST * (gaps.now.get(key, Gap()).share or 0.0) / 100
    known = was not in {now, wording.NOTHING}
    return _Share(now, was if known else "", depth)


def _day(moment: datetime | None) -> str:
    return f"{moment:%-d %B %Y}" if moment else "not said"
