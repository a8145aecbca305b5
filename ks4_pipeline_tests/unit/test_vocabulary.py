"""The publisher's closed word lists, against the tables of the contract (§9) as they are printed there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.ees.vocabulary import (
    GEOGRAPHIC_LEVELS,
    GEOGRAPHIC_LEVELS_BY_CODE,
    GEOGRAPHIC_LEVELS_BY_LABEL,
    TIME_IDENTIFIERS,
    TIME_IDENTIFIERS_BY_CODE,
    YearFormat,
    geographic_level_of,
    period_text,
    time_identifier_of,
)


def test_there_are_91_time_identifiers_in_the_order_of_the_publisher():
    assert [word.order for word in TIME_IDENTIFIERS] == list(range(91))
    assert len({word.code for word in TIME_IDENTIFIERS}) == len({word.label for word in TIME_IDENTIFIERS}) == 91


@pytest.mark.parametrize(
    ("order", "code", "label", "digits", "period", "period_label"),
    [
        (0, "T1", "Autumn term", "202021", "2020/2021", "2020/21 Autumn term"),
        (1, "T2", "Spring term", "202021", "2020/2021", "2020/21 Spring term"),
        (2, "T1T2", "Autumn and spring term", "202021", "2020/2021", "2020/21 Autumn and spring term"),
        (3, "T3", "Summer term", "202021", "2020/2021", "2020/21 Summer term"),
        (4, "AY", "Academic year", "202021", "2020/2021", "2020/21"),
        (8, "AYQ4", "Academic year Q4", "202021", "2020/2021", "2020/21 Q4"),
        (9, "CY", "Calendar year", "2020", "2020", "2020"),
        (10, "CYQ1", "Calendar year Q1", "2020", "2020", "2020 Q1"),
        (14, "P1", "Part 1 (April to September)", "202021", "2020/2021", "2020-21 Part 1 (Apr to Sep)"),
        (15, "P2", "Part 2 (October to March)", "202021", "2020/2021", "2020-21 Part 2 (Oct to Mar)"),
        (16, "FY", "Financial year", "202021", "2020/2021", "2020-21"),
        (20, "FYQ4", "Financial year Q4", "202021", "2020/2021", "2020-21 Q4"),
        (21, "TY", "Tax year", "202021", "2020/2021", "2020-21"),
        (25, "TYQ4", "Tax year Q4", "202021", "2020/2021", "2020-21 Q4"),
        (26, "RY", "Reporting year", "2020", "2020", "2020"),
        (27, "W1", "Week 1", "2020", "2020", "2020 Week 1"),
        (78, "W52", "Week 52", "2020", "2020", "2020 Week 52"),
        (79, "M1", "January", "2020", "2020", "2020 January"),
        (90, "M12", "December", "2020", "2020", "2020 December"),
    ],
)
def test_a_time_identifier_knows_its_place_and_its_texts(order, code, label, digits, period, period_label):  # noqa: PLR0917
    word = TIME_IDENTIFIERS_BY_CODE[code]
    assert (word.order, word.label) == (order, label)
    assert time_identifier_of(label) is word
    assert period_text(digits) == period
    assert word.period_label(digits) == period_label
    assert word.period_label(period) == period_label


def test_the_period_follows_the_digits_of_the_file_and_the_label_the_identifier():
    academic = TIME_IDENTIFIERS_BY_CODE["AY"]
    assert (period_text("2020"), academic.period_label("2020")) == ("2020", "2020/21")


@pytest.mark.parametrize(
    ("digits", "period"), [("199900", "1999/2000"), ("", ""), ("20202", "20202"), ("2020xx", "2020xx")]
)
def test_period_text_at_its_edges(digits, period):
    assert period_text(digits) == period


def test_chronology_is_period_text_then_the_publishers_order():
    codes = [("202021", "AY"), ("201920", "T3"), ("202021", "T1"), ("201920", "T1")]
    ordered = sorted(codes, key=lambda pair: TIME_IDENTIFIERS_BY_CODE[pair[1]].sort_key(pair[0]))
    assert ordered == [("201920", "T1"), ("201920", "T3"), ("202021", "T1"), ("202021", "AY")]


@given(st.integers(1000, 9998), st.sampled_from(TIME_IDENTIFIERS))
def test_every_label_begins_with_its_year(year, word):
    label = word.period_label(f"{year}{(year + 1) % 100:02}")
    assert label.startswith(str(year))
    assert label.endswith(word.suffix)
    assert ("/" in label.split(" ")[0]) is (word.year_format is YearFormat.ACADEMIC)


def test_the_19_levels_stand_in_order_of_label():
    labels = [level.label for level in GEOGRAPHIC_LEVELS]
    assert len(labels) == len(GEOGRAPHIC_LEVELS_BY_CODE) == len(GEOGRAPHIC_LEVELS_BY_LABEL) == 19
    assert labels == sorted(labels, key=str.casefold)


@pytest.mark.parametrize(
    ("code", "label", "code_columns", "name_column", "properties"),
    [
        ("EDA", "English devolved area", "english_devolved_area_code", "english_devolved_area_name", "id code"),
        ("INST", "Institution", "institution_id", "institution_name", "id code"),
        ("LA", "Local authority", "new_la_code old_la_code", "la_name", "id code oldCode"),
        ("LSIP", "Local skills improvement plan area", "lsip_code", "lsip_name", "id code"),
        ("MAT", "MAT", "trust_id", "trust_name", "id code"),
        ("NAT", "National", "country_code", "country_name", "id code"),
        ("PFA", "Police force area", "pfa_code", "pfa_name", "id code"),
        ("PROV", "Provider", "provider_ukprn", "provider_name", "id ukprn"),
        ("REG", "Regional", "region_code", "region_name", "id code"),
        ("RSC", "RSC region", "", "rsc_region_lead_name", "id"),
        ("SCH", "School", "school_urn school_laestab", "school_name", "id urn laEstab"),
        ("SPON", "Sponsor", "sponsor_id", "sponsor_name", "id code"),
        ("WARD", "Ward", "ward_code", "ward_name", "id code"),
    ],
)
def test_a_level_knows_its_columns(code, label, code_columns, name_column, properties):
    level = GEOGRAPHIC_LEVELS_BY_CODE[code]
    assert (level.label, level.name_column) == (label, name_column)
    assert (level.code_columns, level.query_properties) == (tuple(code_columns.split()), tuple(properties.split()))
    assert level.columns == (*level.code_columns, name_column)
    assert len(level.code_columns) == len(level.option_fields)


@pytest.mark.parametrize("label", ["Local authority", "LOCAL AUTHORITY", "local Authority"])
def test_levels_and_identifiers_are_found_whatever_their_capitals(label):
    assert geographic_level_of(label) is GEOGRAPHIC_LEVELS_BY_CODE["LA"]
    assert time_identifier_of("ACADEMIC year") is TIME_IDENTIFIERS_BY_CODE["AY"]


def test_unknown_words_are_nothing():
    assert geographic_level_of("Borough") is None
    assert time_identifier_of("Week 53") is None
