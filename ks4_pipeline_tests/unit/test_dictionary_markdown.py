"""Any text, written as Markdown, is read as that text: in a heading, a paragraph, a list, a cell, a code span."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ks4_pipeline.dictionary.document import Bullets, Code, Document, Paragraph, Query, Section, Table
from ks4_pipeline.dictionary.markdown import render

SIGNS = st.sampled_from(list("\\`*_{}[]()<>#+-.!|~&$:;=\"'/@^ \n\t%0123abAB"))
TEXTS = st.lists(SIGNS | st.characters(categories=["L", "N", "P", "S"]), min_size=1).map("".join)
PLAIN = {"text", "code_inline", "text_special", "html_inline"}


def read(text: str) -> list[tuple[str, str]]:
    """What each block with text in it is, and what a reader sees there."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found = []
    tokens = parser.parse(text)
    for before, token in pairwise(tokens):
        if token.type == "inline":
            kinds = {child.type for child in token.children or ()}
            assert kinds <= PLAIN, (text, kinds)
            found.append((before.type, "".join(map(seen, token.children or ()))))
        elif token.type in {"html_block", "code_block", "hr"}:
            found.append((token.type, token.content))
        elif token.type == "fence":
            found.append((token.info, token.content))
    return found


def seen(token: Token) -> str:
    if token.type == "html_inline":
        assert token.content in {"<code>", "</code>"}
        return ""
    return token.content


def written(*blocks: object) -> str:
    return render(Document("Title", (), (Section(2, ("Part",), blocks),), "Licence"))


def on_one_line(text: str) -> str:
    return " ".join(text.split())


@given(TEXTS)
def test_running_text_is_read_as_it_was(text: str) -> None:
    page = written(Paragraph((text, " end")), Bullets(((text, " end"),)), Table("t", ("a", "b"), ((text, "end"),)))
    in_paragraph, in_list, *cells = read(page)[2:-1]
    expected = on_one_line(f"{text} end")
    assert (in_paragraph[0], on_one_line(in_paragraph[1])) == ("paragraph_open", expected)
    assert (in_list[0], on_one_line(in_list[1])) == ("paragraph_open", expected)
    assert [on_one_line(cell) for _, cell in cells] == ["a", "b", on_one_line(text), "end"]


@given(TEXTS)
def test_code_is_read_as_it_was(text: str) -> None:
    page = written(Paragraph((Code(text), " end")), Table("t", ("a", "b"), ((Code(text), "end"),)))
    in_paragraph, *cells = read(page)[2:-1]
    assert in_paragraph == ("paragraph_open", f"{text} end")
    assert [cell for _, cell in cells] == ["a", "b", text, "end"]


@given(TEXTS)
def test_a_heading_is_read_as_it_was(text: str) -> None:
    page = render(Document(f"About {text}", (), (Section(3, (Code(text),), ()),), "Licence"))
    title, heading, _ = read(page)
    assert (title[0], on_one_line(title[1])) == ("heading_open", on_one_line(f"About {text}"))
    assert heading == ("heading_open", text)


@pytest.mark.parametrize("sql", ["SELECT 1\n", 'SELECT "a```b" -- ````\n', "```\n# no heading\n"])
def test_a_query_cannot_end_its_block(sql: str) -> None:
    assert read(written(Query(sql)))[2:-1] == [("sql", sql)]
