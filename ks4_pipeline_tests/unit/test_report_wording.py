"""Numbers, shares and sentences of a change report, and the lines of its charts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.report import charts, headline, wording
from ks4_pipeline.report.content import Caveat, Cell, Gap, Headline, Indicator, Measure, Note, Point, together
from ks4_pipeline.versions import VersionNumber

SCORE = Indicator("score", "Average score", None, 1)
PERIODS = tuple(f"20{year}/{year + 1}" for year in range(15, 25))


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (17.0, None, 1, "17.0"),
        (-1.28, None, 2, "−1.28"),  # noqa: RUF001 - a real minus sign
        (-0.001, None, 2, "0.00"),
        (606920.0, None, 0, "606,920"),
        (7.9, "%", 1, "7.9%"),
        (1.5, "pp", 1, "1.5 pp"),
        (-1234.5, "£", 2, "−£1,234.50"),  # noqa: RUF001
        (3.25, "£m", 1, "£3.2 million"),
        (12.0, None, None, "12"),
        (0.12345, None, None, "0.12345"),
        (0.0000004, None, None, "4e-07"),
        (105938.88, None, None, "105,938.88"),
    ],
)
def test_a_figure_has_its_unit_and_the_publishers_decimals(
    value: float, unit: str | None, decimals: int | None, text: str
) -> None:
    assert wording.figure(value, Indicator("x", "x", unit, decimals)) == text


def _caveat(indicator: str, period: str, text: str = "no exams") -> Caveat:
    about = tuple((part,) if part else () for part in (indicator, "", "", period))
    return Caveat(about, "not_comparable", comparable=False, text=text, source="footnotes")


def test_notes_that_say_the_same_are_one_about_every_combination() -> None:
    found = together(
        _caveat(indicator, period) for period in ("2019/20", "2020/21") for indicator in ("score", "pupils")
    )
    assert [caveat.about for caveat in found] == [(("score", "pupils"), (), (), ("2019/20", "2020/21"))]


def test_notes_are_never_put_together_into_more_than_they_say() -> None:
    said = [
        _caveat("score", "2019/20"),
        _caveat("pupils", "2020/21"),
        _caveat("", "2020/21"),
        _caveat("score", "", "x"),
    ]
    assert together(said) == said


def test_a_percentage_moves_by_points() -> None:
    percentage = Indicator("x", "x", "%", 1)
    assert wording.difference(12.5, 18.6, percentage) == "+6.1 pp"
    assert wording.difference(18.6, 12.5, percentage) == "−6.1 pp"  # noqa: RUF001


@pytest.mark.parametrize(
    ("cells", "markers", "text"),
    [(0, 0, "–"), (10, 0, "0%"), (10, 10, "100%"), (100_000, 1, "<0.1%"), (100_000, 99_999, ">99.9%"), (8, 1, "12.5%")],  # noqa: RUF001
)
def test_nought_and_all_are_said_only_where_it_is_so(cells: int, markers: int, text: str) -> None:
    assert wording.share(Gap(cells, markers)) == text


def test_the_first_version_is_called_so() -> None:
    assert wording.meaning(VersionNumber(1, 0)) == "the first version"
    assert "removed" in wording.meaning(VersionNumber(2, 0))


def _series(values: list[float | None], lone: set[str]) -> tuple[Headline, Measure]:
    measure = Measure(SCORE, breaks=dict.fromkeys(lone, "made otherwise"))
    points = {
        ("score", "CLA", period): Point(Cell(value, None if value is not None else "x"))
        for period, value in zip(PERIODS, values, strict=True)
    }
    return Headline("England", (), "Group", ("CLA",), 1, PERIODS, (measure,), points), measure


@given(
    st.lists(st.one_of(st.none(), st.floats(-5, 50)), min_size=len(PERIODS), max_size=len(PERIODS)),
    st.sets(st.sampled_from(PERIODS)),
)
def test_no_line_crosses_a_missing_figure_or_a_year_that_stands_alone(
    values: list[float | None], lone: set[str]
) -> None:
    found, measure = _series(values, lone)
    drawn = list(charts.segments(found, measure, "CLA"))
    assert [(period, value) for period, value, _ in drawn] == [
        (period, value) for period, value in zip(PERIODS, values, strict=True) if value is not None
    ]
    for (first, _, line), (second, _, other) in pairwise(drawn):
        adjacent = PERIODS.index(second) == PERIODS.index(first) + 1
        assert (line == other) == (adjacent and first not in lone and second not in lone)


def test_years_of_which_a_note_says_so_stand_alone() -> None:
    attainment = Indicator("attainment8_average", "Attainment 8", None, 1)
    periods = [("201819", "2018/19"), ("201920", "2019/20"), ("202021", "2020/21"), ("202122", "2021/22")]
    notes = [
        Note(indicator, period, "", "", "break", False, "Exams cancelled.", "DfE")
        for indicator, period in (("", "201920"), ("attainment8_average", "202021"), ("ebacc_aps_average", "202122"))
    ]
    (measure,) = headline.measures([attainment, SCORE], notes, periods)
    assert measure.breaks == {"2019/20": "Exams cancelled.", "2020/21": "Exams cancelled."}


def test_the_groups_people_ask_for_stand_out() -> None:
    groups = ["CLA at any point", *"abcdef", "CLA 12 months at 31 March", "All pupils comparison"]
    names, highlighted = headline.ordered_series(groups)
    assert names[:highlighted] == ("All pupils comparison", "CLA 12 months at 31 March")
    assert sorted(names) == sorted(groups)


def test_a_chart_is_read_out_with_its_figures_and_its_breaks() -> None:
    found, measure = _series([1.0, 2.0, *[None] * 7, 3.5], {"2016/17"})
    told = charts.described(found, measure)
    assert "CLA: 1.0 in 2015/16, 3.5 in 2024/25." in told
    assert "not comparable: 2016/17." in told


def test_a_chart_keeps_what_a_label_says_inert() -> None:
    found, measure = _series([1.0, *[None] * 9], set())
    hostile = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
    indicator = replace(SCORE, label=hostile)
    points = {("score", hostile, period): point for (_, _, period), point in found.points.items()}
    drawn = charts.svg(
        replace(found, series=(hostile,), points=points, place=hostile), replace(measure, indicator=indicator), "c"
    )
    assert "<img" not in drawn
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
