"""What a request's version text means: the table of contract §3.3 as far as text alone decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.sandbox.references import OverflowInServerError, Wildcard, parse_reference
from ks4_pipeline.versions import VersionNumber


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("*", Wildcard(None, None)),
        ("v*", Wildcard(None, None)),
        ("2.*", Wildcard(2, None)),
        ("2.*.*", Wildcard(2, None)),
        ("v2.*", Wildcard(2, None)),
        ("2.1.*", Wildcard(2, 1)),
        ("01.*", Wildcard(1, None)),
        ("1", VersionNumber(1, 0)),
        ("1.0", VersionNumber(1, 0)),
        ("1.1.0", VersionNumber(1, 1)),
        ("1.1.1", VersionNumber(1, 1, 1)),
        ("v1.2", VersionNumber(1, 2)),
        ("  1.0 ", VersionNumber(1, 0)),
        ("1.0-anything", VersionNumber(1, 0)),
        ("1.0.0+x", VersionNumber(1, 0)),
        ("1.0.0-rc.1+build.7", VersionNumber(1, 0)),
        *((text, None) for text in ("1.*.4", "*.1", "2.1*.0", "2.**.*", ".", "v", "01.0", "V1.0", "V*", "1.0.0.0")),
        *(
            (text, None)
            for text in (
                "1.",
                "-1.0",
                "1.0-",
                "1,0",
                "latest",
                "1.2.3.*",
                "\N{ARABIC-INDIC DIGIT ONE}.0",
                "99999999999.0",
            )
        ),
    ],
)
def test_reading_of_a_version_text(text, meaning):
    assert parse_reference(text) == meaning


@pytest.mark.parametrize("text", ["2147483648.*", "1.99999999999.*"])
def test_a_wildcard_beside_a_number_too_big_for_32_bits_breaks_the_service(text):
    with pytest.raises(OverflowInServerError):
        parse_reference(text)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_what_the_api_prints_is_read_as_itself(major, minor, patch):
    number = VersionNumber(major, minor, patch)
    assert parse_reference(str(number)) == number


@given(st.text(alphabet="0123456789.*v-+ ", max_size=8))
def test_no_text_is_anything_but_a_version_a_wildcard_or_nothing(text):
    assert isinstance(parse_reference(text), VersionNumber | Wildcard | None)
