"""Version numbers: what is one, how they are ordered, and the names they give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.errors import Ks4Error, VersionNumberError
from ks4_pipeline.versions import Bump, VersionNumber

PART = st.integers(0, 999_999_999)
NUMBERS = st.builds(VersionNumber, PART, PART, PART)


@given(NUMBERS)
def test_what_is_printed_is_read_back(number):
    assert VersionNumber.parse(str(number)) == number


@given(PART, PART)
def test_a_patch_of_zero_is_read_and_not_printed(major, minor):
    assert VersionNumber.parse(f"{major}.{minor}.0") == VersionNumber(major, minor)
    assert str(VersionNumber(major, minor, 0)) == f"{major}.{minor}"


@given(NUMBERS, NUMBERS)
def test_the_order_is_that_of_the_three_numbers(one, other):
    def three(number):
        return number.major, number.minor, number.patch

    assert (one < other) == (three(one) < three(other))
    assert (one == other) == (three(one) == three(other))


@given(st.text(alphabet="0123456789.v*-+ _\n\uff11\u0662", max_size=12))
def test_a_text_is_read_only_if_it_is_what_would_be_printed(text):
    try:
        number = VersionNumber.parse(text)
    except VersionNumberError:
        return
    assert text in {str(number), f"{number}.0"}


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.", ".1", "1..0", "1.0.", "1.0.0.0", "*", "1.*", "v1.0", " 1.0", "1.0 ", "1.0\n", "01.0",
        "1.00", "1.0-x",
        "1.0+x", "-1.0", "+1.0", "1,0", "1.0.1.", "latest", "1_0.0", "\u0661.0", "\uff11.0", "1.9999999999", "1e1.0",
    ],
)  # fmt: skip
def test_anything_else_is_an_error_that_shows_it(text):
    with pytest.raises(VersionNumberError) as caught:
        VersionNumber.parse(text)
    assert repr(text) in str(caught.value)
    assert isinstance(caught.value, Ks4Error)


@pytest.mark.parametrize(
    ("text", "bump", "table", "channels"),
    [
        ("1.0", Bump.MAJOR, "v1_0_0", ("latest", "v1", "v1_0")),
        ("2.0", Bump.MAJOR, "v2_0_0", ("latest", "v2", "v2_0")),
        ("1.10", Bump.MINOR, "v1_10_0", ("latest", "v1", "v1_10")),
        ("1.0.1", Bump.PATCH, "v1_0_1", ("latest", "v1", "v1_0")),
        ("2.3.12", Bump.PATCH, "v2_3_12", ("latest", "v2", "v2_3")),
    ],
)
def test_the_names_a_number_gives(text, bump, table, channels):
    number = VersionNumber.parse(text)
    assert (number.bump, number.table, number.channels) == (bump, table, channels)


def test_ten_comes_after_nine():
    texts = ["1.10", "1.9", "2.0", "1.9.1", "1.0", "1.0.10", "1.0.9"]
    in_order = sorted(map(VersionNumber.parse, texts))
    assert list(map(str, in_order)) == ["1.0", "1.0.9", "1.0.10", "1.9", "1.9.1", "1.10", "2.0"]
