"""What a cell of an indicator is: a number, a marker, or neither. The frame's reading against plain Python's.

The frame code is polars expressions; here each is held against a few lines of Python that say the same.
"""

import csv
import io
import math
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ks4_pipeline import observations
from ks4_pipeline.columns import Column, Columns, Role
from ks4_pipeline.ees.models import Indicator
from ks4_pipeline.markers import BLANKS, MARKERS, SPELLINGS, Reason, canonical

# The domain notes' grammar of a number, section 1.1.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TEXTS = st.one_of(
    st.text(alphabet="0123456789.eE+-", max_size=12),
    st.text(alphabet="0123456789.eE+-_ xinfNaty,%:\t\n\u0661\uff11[]cZLowk~", max_size=8),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers().map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.from_regex(NUMBER, fullmatch=True),
    st.text(max_size=6),
)
SOUND = st.from_regex(NUMBER, fullmatch=True).filter(lambda text: math.isfinite(float(text))) | st.sampled_from(
    sorted(MARKERS)
)
FIGURE = Indicator(id="figure", column="figure", label="Figure")


def number_by_python(text):
    value = float(text) if NUMBER.fullmatch(text) else None
    return value if value is not None and math.isfinite(value) else None


def through(expression, texts):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(expression(pl.col("text")).alias("text")).to_series().to_list()


@given(st.lists(TEXTS, min_size=1, max_size=40))
def test_a_number_is_what_the_grammar_says_and_the_value_is_the_nearest_double(texts):
    assert through(observations._number, texts) == [number_by_python(text) for text in texts]


NOT_NUMBERS = [
    "", " ", "1 ", " 1", "NaN", "nan", "inf", "-inf", "Infinity", "+infinity", "1e400", "-1e309", "0x10", "1_000",
    "1,000",
    "1.2.3", ".", "+", "-", "e5", ".e5", "1e", "1e+", "1e5.0", "--1", "+-1", "1-", "1f", "1d", "1L", "0b1", "0o7", "1%",
    "01:11", "\u0661", "\uff11", "\u00b2", "\u00bd", "1\u00a0", "\ufeff1", "1\x00", "True", "true", "None", "null",
    "1j",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_NUMBERS, ids=ascii)
def test_not_a_number(text):
    assert through(observations._number, [text]) == [None]


@settings(max_examples=50)
@given(
    st.sampled_from((SOUND, TEXTS)).flatmap(lambda cells: st.lists(st.tuples(TEXTS, cells), min_size=1, max_size=40)),
    st.integers(1, 3),
    st.sampled_from([{}, {"place": pl.Categorical(pl.Categories("places"))}]),
)
def test_cells_that_arrive_in_blocks_are_typed_as_those_from_disk(tmp_path, rows, per_block, few):
    """Numbers and markers are; whatever else stands in a block, infinities or empty cells in quotes, ends it."""
    columns = Columns((Column("place", Role.FILTER), Column("figure", Role.INDICATOR, FIGURE)))
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    lines = []
    for row in [("place", "figure"), *rows]:
        writer.writerow(row)
        lines.append(text.getvalue().encode())
        text.seek(0)
        text.truncate()
    source, typed = tmp_path / "plain.csv", tmp_path / "typed.parquet"
    source.write_bytes(b"".join(lines))
    observations._write(observations._on_disk(source, columns), typed, 100)
    blocks = (b"".join(lines[start : start + per_block]) for start in range(0, len(lines), per_block))
    calls = observations._typed(blocks, columns, few, 1000)
    arriving = observations._arriving((typed() for typed in calls), columns, few)
    if any(number_by_python(cell) is None and cell not in MARKERS for _, cell in rows):
        with pytest.raises((observations._NotAsExpectedError, pl.exceptions.PolarsError)):
            arriving.collect()
        return
    arrived = arriving.collect()
    assert arrived.with_columns(pl.col("place", "figure_flag").cast(pl.String)).equals(pl.read_parquet(typed))
    assert arrived.rows() == [
        (place or None, number := number_by_python(cell), cell if number is None else None) for place, cell in rows
    ]


@given(st.lists(TEXTS, min_size=1, max_size=40))
def test_the_frame_and_python_agree_on_markers(texts):
    def in_frame(column):
        return observations._marker(observations._bare(column))

    assert through(in_frame, texts) == [canonical(text) for text in texts]


SPELT = st.tuples(
    st.sampled_from(sorted(MARKERS)),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.text(alphabet=BLANKS, max_size=2),
    st.text(alphabet=BLANKS, max_size=2),
    st.booleans(),
)


@given(SPELT)
def test_capitals_blanks_and_one_pair_of_brackets_are_other_spellings_of_the_same(spelt):
    symbol, capitals, before, after, bracketed = spelt
    letters = "".join(letter.upper() if capital else letter for letter, capital in zip(symbol, capitals, strict=False))
    inner = f"[{before}{letters}{after}]" if bracketed else letters
    assert canonical(f"{after}{inner}{before}") == symbol
    assert canonical(symbol) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "[", "]", "[[c]]", "[c", "c]", "(c)", "c x", "cx", "c.", "lo", "lowe", "w", "*", "-", "..",
        "c\n", "c\u00a0",
        "\u0441", "\u212a", "\uff43", "1", "[1]", "SUPP", "N/A",
    ],
    ids=ascii,
)  # fmt: skip
def test_no_marker(text):
    assert canonical(text) is None


def test_no_marker_can_be_mistaken_for_a_number():
    assert through(observations._number, sorted(SPELLINGS)) == [None] * len(SPELLINGS)


def test_what_rounds_to_zero_is_neither_missing_nor_zero():
    rounding = {symbol for symbol, marker in MARKERS.items() if marker.reason is Reason.ROUNDS_TO_ZERO}
    assert rounding == {"low", "k", "~"}
    assert {symbol for symbol, marker in MARKERS.items() if not marker.current} == {":", "~"}


def test_every_marker_says_what_it_means():
    assert list(MARKERS) == ["z", "x", "c", "low", "k", "u", ":", "~"]
    for symbol, marker in MARKERS.items():
        assert marker.symbol == symbol
        assert marker.meaning.endswith(".")
        assert marker.sdmx_obs_status.isupper()
        assert re.fullmatch(r"\[[a-z]+\]", marker.gss_shorthand)
