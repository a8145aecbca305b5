"""The charts of a change report: headline figures over time, drawn by Vega-Lite without browser or network.

A line joins only years that may be compared: it ends before a year that stands alone, and before a missing figure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup, escape

from ks4_pipeline.report.content import Headline, Measure
from ks4_pipeline.report.wording import NOTHING, cell, figure, span

# After the categorical palette of the Government Analysis Function, darkened where needed to 4.5:1 against white, since
# the last figure of a line is written in its colour.
COLOURS = ("#12436D", "#B34700", "#801650", "#1E7F78", "#3D3D3D")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down")
_CONTEXT = "#B1B4B6"
_TEXT = "#0B0C0C"
_MUTED = "#505A5F"
_ALONE = "#F3F2F1"
_FONT = "Arial, Helvetica, sans-serif"
_LINE_HEIGHT = 1.1  # of letters
_SPLIT_YEAR = re.compile(r"\d{4}[/-]\d{2}")
# Vega measures letters of Arial; where a browser has none and takes wider ones, the last label must still be whole.
_LEFT_ROOM, _RIGHT_ROOM = 48, 62

Spec = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """Width and height of the plotting area, and of letters, in pixels."""

    width: int
    height: int
    letters: int


PANEL = Size(300, 220, 12)
WIDE = Size(640, 340, 13)


def make_ready() -> None:
    """Start what draws, which takes as long as drawing twenty charts."""
    vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "point", "encoding": {}})


def svg(headline: Headline, measure: Measure, name: str) -> Markup:
    """A measure's chart as inline SVG with a title and a description that are read out.

    Args:
        headline: the figures.
        measure: which.
        name: begins the ids within the SVG; unique on the page.
    """
    drawn = vl_convert.vegalite_to_svg(_spec(headline, measure, PANEL, legend=False))
    body = re.sub(r"^<svg [^>]*>", "", drawn, count=1)
    width, height = (float(number) for number in re.findall(r'(?:width|height)="([0-9.]+)"', drawn)[:2])
    width = max(width, PANEL.width + _LEFT_ROOM + _RIGHT_ROOM)
    title, about = escape(measure.indicator.label), escape(described(headline, measure))
    return Markup(  # noqa: S704 - Vega escapes what it writes, and the rest is escaped above
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f'<title id="{name}-title">{title}</title><desc id="{name}-desc">{about}</desc>{body}'
    )


def png(headline: Headline, measure: Measure) -> bytes:
    """A measure's chart as a picture that stands by itself, with its title and legend."""
    return bytes(vl_convert.vegalite_to_png(_spec(headline, measure, WIDE, legend=True)))


def described(headline: Headline, measure: Measure) -> str:
    """What a chart shows, in words: the first and last figure of each series that stands out, and the breaks."""
    parts = [f"Line chart, {span(headline.periods)}{f', {headline.place}' if headline.place else ''}."]
    for name in headline.series[: headline.highlighted]:
        known = [
            (period, figure(value, measure.indicator))
            for period in headline.periods
            if (value := _value(headline, measure, name, period)) is not None
        ]
        if known:
            (first, was), (last, now) = known[0], known[-1]
            told = f"{now} in {last}" if first == last else f"{was} in {first}, {now} in {last}"
            parts.append(f"{name or 'All'}: {told}.")
        else:
            parts.append(f"{name or 'All'}: no figure.")
    alone = [period for period in headline.periods if period in measure.breaks]
    if alone:
        parts.append(f"Not joined with other years, because not comparable: {', '.join(alone)}.")
    if len(headline.series) > headline.highlighted:
        parts.append(f"{len(headline.series) - headline.highlighted} other groups in grey.")
    return " ".join(parts)


def segments(headline: Headline, measure: Measure, series: str) -> Iterator[tuple[str, float, int]]:
    """The figures of a series with the number of the line each is on: a missing figure or a lone year ends a line."""
    line = 0
    for period in headline.periods:
        value = _value(headline, measure, series, period)
        alone = period in measure.breaks
        if alone or value is None:
            line += 1
        if value is not None:
            yield period, value, line
        if alone:
            line += 1


def _value(headline: Headline, measure: Measure, series: str, period: str) -> float | None:
    point = headline.points.get((measure.indicator.column, series, period))
    return point.now.value if point else None


def _spec(headline: Headline, measure: Measure, size: Size, *, legend: bool) -> Spec:
    front = headline.series[: headline.highlighted]
    rows = [row for name in headline.series for row in _rows(headline, measure, name)]
    low, high = _domain([row[key] for row in rows for key in ("value", "lower", "upper") if row[key] is not None])
    periods = list(headline.periods)
    full = _upright(periods, size)
    short = not full and all(map(_SPLIT_YEAR.fullmatch, periods))
    upright = full or (short and _upright([period[2:] for period in periods], size))
    x: Spec = {
        "field": "period",
        "type": "ordinal",
        "sort": None,
        "scale": {"domain": periods},
        "axis": {
            "title": None,
            "labelAngle": 0 if upright else -45,
            "labelOverlap": True,
            "grid": False,
            "labelExpr": "slice(datum.label, 2)" if short else "datum.label",
        },
    }
    unit = {"%": "%", "£": "£"}.get(measure.indicator.unit or "", "")
    number = "format(datum.value, ',~r')"  # which writes a real minus sign
    shown = f"'£' + {number}" if unit == "£" else f"{number} + '{unit}'"
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
        "axis": {"title": None, "tickCount": 5, "labelExpr": shown},
    }
    named = {"scale": {"domain": list(front), "range": list(COLOURS[: len(front)])}}
    shaped = {"scale": {"domain": list(front), "range": list(SHAPES[: len(front)])}}
    key: Spec | None = {"title": None, "orient": "top", "columns": 2, "labelLimit": 400} if legend else None
    colour: Spec = {"field": "series", "type": "nominal", **named, "legend": key}
    shape: Spec = {"field": "series", "type": "nominal", **shaped, "legend": key}
    detail = [{"field": "series"}, {"field": "line"}]
    lone, front_rows = "datum.alone", "datum.front"
    layers: list[Spec] = [
        {
            "data": {"values": [{"period": period} for period in periods if period in measure.breaks]},
            "mark": {"type": "rect", "color": _ALONE},
            "encoding": {"x": x},
        },
        {
            "transform": [{"filter": f"!{front_rows} && datum.joined"}],
            "mark": {"type": "line", "color": _CONTEXT, "strokeWidth": 1},
            "encoding": {"x": x, "y": y, "detail": detail},
        },
        {
            "transform": [{"filter": f"!{front_rows}"}],
            "mark": {"type": "point", "color": _CONTEXT, "filled": True, "size": 8, "opacity": 1},
            "encoding": {"x": x, "y": y},
        },
        {
            "transform": [{"filter": f"{front_rows} && datum.lower != null && datum.upper != null"}],
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}, "color": colour},
        },
        {
            "transform": [{"filter": f"{front_rows} && datum.joined"}],
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"x": x, "y": y, "detail": detail, "color": colour},
        },
        {
            "transform": [{"filter": f"{front_rows} && !{lone}"}],
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "shape": shape},
        },
        {
            "transform": [{"filter": f"{front_rows} && {lone}"}],
            "mark": {"type": "point", "filled": True, "fill": "white", "size": 46, "strokeWidth": 1.5, "opacity": 1},
            "encoding": {"x": x, "y": y, "stroke": {**colour, "legend": None}, "shape": {**shape, "legend": None}},
        },
        {
            "data": {"values": list(_end_labels(headline, measure, size, (low, high)))},
            "mark": {"type": "text", "align": "left", "dx": 7, "fontSize": size.letters, "fontWeight": "bold"},
            "encoding": {
                "x": x,
                "y": {**y, "field": "at"},
                "text": {"field": "label"},
                "color": {**colour, "legend": None},
            },
        },
    ]
    title: Spec = {"text": measure.indicator.label, "anchor": "start", "offset": 8, "limit": size.width + 80}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": size.width,
        "height": size.height,
        "data": {"values": rows},
        "layer": layers,
        **({"title": title} if legend else {}),
        "config": {
            "aria": False,
            "font": _FONT,
            "background": "white",
            "padding": {"left": 6, "right": 6, "top": 6, "bottom": 4},
            "view": {"stroke": None},
            "axis": {
                "labelFontSize": size.letters,
                "labelColor": _MUTED,
                "gridColor": "#E3E5E6",
                "domainColor": "#8A9195",
                "tickColor": "#8A9195",
            },
            "legend": {"labelFontSize": size.letters, "labelColor": _TEXT, "symbolSize": 60},
            "title": {"fontSize": size.letters + 3, "color": _TEXT},
        },
    }


def _upright(labels: Sequence[str], size: Size) -> bool:
    """Whether labels fit beside each other, in a browser with wide letters too."""
    longest = max(map(len, labels), default=0)
    return len(labels) * (longest * 0.58 + 0.5) * size.letters <= size.width


def _rows(headline: Headline, measure: Measure, name: str) -> Iterator[Spec]:
    front = name in headline.series[: headline.highlighted]
    drawn = list(segments(headline, measure, name))
    points_of = Counter(line for *_, line in drawn)
    for period, value, line in drawn:
        point = headline.points[measure.indicator.column, name, period]
        yield {
            "period": period,
            "series": name,
            "value": value,
            "lower": point.lower,
            "upper": point.upper,
            "line": line,
            "joined": points_of[line] > 1,  # drawing lines of one point takes longer than all else
            "front": front,
            "alone": period in measure.breaks,
        }


def _domain(values: Sequence[float]) -> tuple[float, float]:
    """From nought, so that heights can be compared, with a little room above and, for minus figures, below."""
    if not values:
        return 0, 1
    low, high = min(0.0, *values), max(0.0, *values)
    room = (high - low or 1) * 0.06
    return low - room if low < 0 else low, high + room


def _end_labels(headline: Headline, measure: Measure, size: Size, domain: tuple[float, float]) -> Iterator[Spec]:
    """The last figure of each series that stands out, to stand beside it, pushed apart where they would touch."""
    ends: dict[str, tuple[str, float]] = {}
    for name in headline.series[: headline.highlighted]:
        for period, value, _ in segments(headline, measure, name):
            ends[name] = period, value
    last = max((headline.periods.index(period) for period, _ in ends.values()), default=0)
    low, high = domain
    apart = _LINE_HEIGHT * size.letters * (high - low) / size.height
    at = math.inf
    for name, (period, value) in sorted(ends.items(), key=lambda end: -end[1][1]):
        if headline.periods.index(period) == last:
            at = min(value, at - apart)
            yield {"period": period, "series": name, "label": figure(value, measure.indicator), "at": at}


def table(headline: Headline, measure: Measure) -> list[tuple[str, list[tuple[str, str]]]]:
    """The figures behind a chart: a row per series, and per period the cell now and, if it was another, before."""
    found = []
    for name in headline.series:
        cells = []
        for period in headline.periods:
            point = headline.points.get((measure.indicator.column, name, period))
            now = cell(point.now, measure.indicator) if point else NOTHING
            was = cell(point.before, measure.indicator) if point and point.before and point.was_other else ""
            cells.append((now, was))
        found.append((name, cells))
    return found


def legend(headline: Headline) -> list[Mapping[str, str]]:
    """Name, colour and shape of each series that stands out."""
    return [
        {"name": name, "colour": colour, "shape": shape}
        for name, colour, shape in zip(headline.series[: headline.highlighted], COLOURS, SHAPES, strict=False)
    ]
