"""What each column of a file is and becomes, and which headers cannot become a table."""

import pytest

from ks4_pipeline.columns import Role, assign, parse_header, with_few_texts
from ks4_pipeline.ees.models import (
    Filter,
    FilterOption,
    GeographicLevel,
    Indicator,
    Location,
    LocationGroup,
    Meta,
    TimePeriod,
)
from ks4_pipeline.faults import Faults

META = Meta(
    filters=(Filter(id="f", column="grp", label="Group"),),
    indicators=(
        Indicator(id="p", column="pupils", label="Pupils"),
        Indicator(id="n", column="note", label="Note", unit="string"),
    ),
)
GOOD = ["time_period", "new_la_code", "grp", "pupils", "note", "extra"]


def faults_of(header, meta=META):
    faults = Faults()
    assign(header, meta, faults)
    return [str(fault) for fault in faults.first]


def test_roles_and_the_flag_right_behind_each_number():
    columns = assign(GOOD, META, faults := Faults())
    assert not faults
    assert [(column.name, column.role) for column in columns.observations] == [
        ("time_period", Role.TIME),
        ("new_la_code", Role.GEOGRAPHY),
        ("grp", Role.FILTER),
        ("pupils", Role.INDICATOR),
        ("pupils_flag", Role.FLAG),
        ("note", Role.INDICATOR),
        ("extra", Role.OTHER),
    ]
    assert [column.name for column in columns.numeric] == ["pupils"]
    assert [column.name for column in columns.textual_indicators] == ["note"]
    assert [column.name for column in columns.descriptive] == ["time_period", "new_la_code", "grp", "extra"]


def test_indicators_are_found_by_name_wherever_they_stand():
    columns = assign(GOOD[::-1], META, faults := Faults())
    assert not faults
    assert [column.name for column in columns.of_file] == GOOD[::-1]
    assert [column.described.id for column in columns.of_file if column.described] == ["n", "p", "f"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["grp", "pupils"], ["column 'note': the file has no such column, and /meta names it as indicator 'Note'"]),
        (["pupils", "note"], ["column 'grp': the file has no such column, and /meta names it as filter 'Group'"]),
        ([*GOOD, "pupils_flag"], ["column 'pupils_flag', the header: this name is needed for the flags of 'pupils'"]),
        ([*GOOD, "PUPILS_FLAG"], ["column 'PUPILS_FLAG', the header: this name is needed for the flags of 'pupils'"]),
        ([*GOOD, "note_flag"], []),
        ([*GOOD, "extra"], ["column 'extra', the header: stands twice"]),
        ([*GOOD, "Extra"], ["column 'Extra', the header: stands beside 'extra', differing only by case"]),
        ([*GOOD, ""], ["the header: column 7 has no name"]),
        ([*GOOD, " ", "\t"], ["the header: column 7 has no name", "the header: column 8 has no name"]),
        (["\ufefftime_period", *GOOD[1:]], [
            "column '\\ufefftime_period', the header: begins with a byte order mark: the file has more than one"]),
    ],
)  # fmt: skip
def test_a_header_that_cannot_become_a_table(header, said):
    assert faults_of(header) == said


def test_a_column_that_differs_from_meta_by_case_only_is_pointed_out():
    (said,) = faults_of([name.replace("note", "Note") for name in GOOD])
    assert said.endswith("indicator 'Note'; the file has 'Note'")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a,b", ("a", "b")), ('"a","b"', ("a", "b")), ('"a""b",c', ('a"b', "c")), ('"a,b",c', ("a,b", "c")),
        ('"a\nb",c', ("a\nb", "c")), ("a,", ("a", "")), (" a , b", (" a ", " b")), ("a", ("a",)),
    ],
)  # fmt: skip
def test_names_of_a_header_line(line, names):
    faults = Faults()
    assert parse_header(line, faults) == names
    assert not faults


@pytest.mark.parametrize(
    "name",
    ["time_period", "time_identifier", "geographic_level", "la_name", "Time_Period", " Region_Name "],
)
def test_a_column_of_time_or_place_cannot_be_an_indicator(name):
    as_indicator = Meta(indicators=(Indicator(id="i", column=name, label="Figures"),))
    as_filter = Meta(filters=(Filter(id="f", column=name, label="Places", options=()),))
    assign([name, "pupils"], as_indicator, faults := Faults())
    assert [str(fault) for fault in faults.first] == [
        f"column {name!r}: tells time or place by the file standard, and /meta calls it an indicator"
    ]
    assign([name, "pupils"], as_filter, faults := Faults())
    assert not faults


def test_a_name_too_long_to_be_read_is_a_fault_and_not_a_crash():
    faults = Faults()
    assert parse_header("a," + "b" * 200_000, faults) == ()
    assert "the header: cannot be read" in str(faults.first[0])


def test_the_columns_of_the_fewest_texts_are_told_from_what_the_publisher_lists(monkeypatch):
    level = GeographicLevel(code="LA", label="Local authority")
    meta = Meta(
        filters=(Filter(id="f", column="grp", label="Group", options=[FilterOption(id="o", label="o")] * 3),),
        indicators=META.indicators,
        geographic_levels=(level,),
        locations=(LocationGroup(level=level, options=[Location(id="l", label="l")] * 5),),
        time_periods=[TimePeriod(code="AY", period="2024/2025", label="2024/25")] * 2,
    )
    header = ["time_period", "geographic_level", "region_name", "la_name", "grp", "pupils", "note", "extra"]
    columns = assign(header, meta, Faults())
    assert [len(with_few_texts(columns, meta, most)) for most in (99, 100, 250, 399, 400)] == [0, 1, 2, 3, 4]
    monkeypatch.setattr("ks4_pipeline.columns._LEAST_TEXTS", 0)
    found = [with_few_texts(columns, meta, most) for most in range(12)]
    one, two, three = (
        {"geographic_level"},
        {"geographic_level", "time_period"},
        {"geographic_level", "time_period", "grp"},
    )
    assert found == [set(), one, one, *[two] * 3, *[three] * 5, {*three, "la_name"}]
