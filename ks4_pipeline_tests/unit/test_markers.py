"""What is a marker: by the function, and by the expression that reads whole columns."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline import observations
from ks4_pipeline.markers import MARKERS, canonical

SYMBOLS = ("z", "x", "c", "low", "k", "u", ":", "~")
ALMOST = st.text(alphabet="czxlowkuCZXLOWKU:~[] \t\u00a0\u212a\u0441-1", max_size=8)


def by_hand(text: str) -> str | None:
    """Blanks off, one pair of brackets off, blanks off, ASCII capitals made small."""
    bare = text.strip(" \t")
    if len(bare) >= 2 and bare[0] == "[" and bare[-1] == "]":
        bare = bare[1:-1].strip(" \t")
    small = "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in bare)
    return small if small in SYMBOLS else None


def test_the_markers_are_those_of_the_standard() -> None:
    assert tuple(MARKERS) == SYMBOLS


@given(ALMOST)
def test_a_text_is_a_marker_by_the_rule_and_no_other(text: str) -> None:
    assert canonical(text) == by_hand(text)


@given(st.sampled_from(SYMBOLS), st.sampled_from(["", " ", "\t", "  "]), st.booleans(), st.data())
def test_every_spelling_of_a_marker_is_read(symbol: str, blank: str, brackets: bool, data: st.DataObject) -> None:
    spelt = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in symbol)
    text = f"{blank}[{blank}{spelt}{blank}]{blank}" if brackets else f"{blank}{spelt}{blank}"
    assert canonical(text) == symbol


@given(st.lists(ALMOST, min_size=1, max_size=20))
def test_columns_are_read_as_single_texts_are(texts: list[str]) -> None:
    frame = pl.DataFrame({"cell": texts}, schema={"cell": pl.String})
    found = frame.select(observations._marker(observations._bare(pl.col("cell"))))["cell"].to_list()
    assert found == [by_hand(text) for text in texts]
