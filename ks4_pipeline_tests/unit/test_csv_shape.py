"""The shape of a CSV as told from its bytes, against Python's ``csv`` module and against what polars makes of it."""

import codecs
import csv
import gzip
import io
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ks4_pipeline import csv_arrival, csv_exact, csv_shape, observations
from ks4_pipeline.columns import assign, parse_header
from ks4_pipeline.csv_arrival import Records
from ks4_pipeline.csv_shape import CsvShape, ShapeReader
from ks4_pipeline.ees.gunzip import Gunzip
from ks4_pipeline.ees.models import Meta
from ks4_pipeline.faults import Faults


def shape_of(content: bytes, cuts=()) -> CsvShape:
    reader = ShapeReader()
    places = [0, *sorted(cuts), len(content)]
    for start, end in pairwise(places):
        reader.feed(content[start:end])
    return reader.finish()


def batched(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def records_by_python(content: bytes):
    """The records, header first, empty lines at the end left out; None where the csv module gives up."""
    try:
        text = content.decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    while records and not records[-1]:
        records.pop()
    return records


PIECES = st.sampled_from(
    ["a", "b", "1", ",", '"', '""', "\n", "\r\n", "\r", " ", "\t", "é", "😀", "\ufeff", "\x85", "\u2028", "'", "#",
    "\\",
     '","', '"\n"', '",\n', "x,", "\0"]
)  # fmt: skip
ANY_TEXT = st.lists(PIECES, max_size=30).map("".join)
CELLS = st.lists(PIECES.filter(lambda piece: piece != "\0"), max_size=5).map("".join)


@st.composite
def tables(draw):
    width = draw(st.integers(2, 5))
    header = [
        f"h{number}{draw(st.sampled_from(['', 'x', ' ', chr(34), ',', chr(10), 'é']))}" for number in range(width)
    ]
    records = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    return [header, *records]


@st.composite
def written(draw):
    """A table as some program would write it: line ends, quoting, byte order mark, last line end."""
    table = draw(tables())
    end = draw(st.sampled_from(["\n", "\r\n"]))
    throughout = draw(st.booleans())

    def cell(text):
        must = throughout or any(character in text for character in '",\r\n')
        return '"' + text.replace('"', '""') + '"' if must else text

    text = end.join(",".join(map(cell, record)) for record in table) + draw(st.sampled_from([end, ""]))
    return table, draw(st.sampled_from(["", "\ufeff"])) + text


@given(ANY_TEXT, st.lists(st.integers(0, 60), max_size=6))
def test_the_portions_do_not_matter(text, cuts):
    content = text.encode()
    assert shape_of(content, [cut for cut in cuts if cut <= len(content)]) == shape_of(content)


@given(ANY_TEXT)
def test_what_is_regular_is_read_alike_by_the_csv_module_or_has_a_row_that_is_too_wide(text):
    content = text.encode()
    shape = shape_of(content)
    if not shape.regular:
        assert shape.rows is None
        return
    records = records_by_python(content)
    assert records is not None
    assert shape.rows == len(records) - 1
    assert list(parse_header(shape.header, Faults())) == records[0]
    widths = {len(record) for record in records}
    assert len(widths) == 1 or max(widths) > len(records[0])


@given(written())
def test_whatever_a_sound_program_writes_is_regular(example):
    table, text = example
    shape = shape_of(text.encode())
    assert shape.regular
    assert shape.utf8
    assert shape.rows == len(table) - 1
    assert list(parse_header(shape.header, Faults())) == table[0]


MARKED_CELLS = ([["h", "i"], ["a", "b"], ["\ufeff", "c"], ["\ufeffd", ""]], "h,i\na,b\n\ufeff,c\n\ufeffd,\n")
"""Cells that begin with a byte order mark, as a file may."""


@settings(max_examples=60)
@given(
    example=written(),
    harm=st.lists(st.tuples(st.integers(0, 200), st.sampled_from('"",\n\r a'), st.booleans()), max_size=2),
    block=st.integers(1, 200),
    few=st.booleans(),
)
@example(example=MARKED_CELLS, harm=[], block=1, few=True)
@example(example=MARKED_CELLS, harm=[], block=1, few=False)
def test_a_file_is_read_cell_by_cell_as_the_csv_module_reads_it_or_refused(tmp_path, example, harm, block, *, few):
    """The whole way: shape, exact reading where it is not regular, polars, Parquet."""
    text = example[1]
    for place, character, instead in harm:
        text = text[: place % (len(text) + 1)] + character + text[place % (len(text) + 1) + instead :]
    expected = records_by_python(text.encode())
    served, plain, typed = tmp_path / "data.csv.gz", tmp_path / "plain", tmp_path / "typed"
    served.write_bytes(gzip.compress(text.encode(), 1))
    shape, faults = shape_of(text.encode()), Faults()
    source, rows, header = served, shape.rows, shape.header
    if not shape.regular:
        source = plain
        rows, header, _ = csv_exact.write_plain(served, plain, faults)
    if not faults:
        columns = assign(parse_header(header, faults), Meta(), faults)
    if not faults:
        try:
            observations._write(observations._on_disk(source, columns), typed, 100)
        except pl.exceptions.PolarsError:
            csv_exact.write_plain(served, plain, faults)
            assert faults, "what polars refuses has a fault that can be named"
    if faults:
        names = expected[0] if expected else []
        sound = bool(expected) and len({len(record) for record in expected}) == 1
        named = len({name.lower() for name in names}) == len(names) and all(name.strip() for name in names)
        assert not (sound and named and not any(name.startswith("\ufeff") for name in names))
        return
    assert rows == len(expected) - 1
    assert [column.name for column in columns.of_file] == expected[0]
    assert pl.read_parquet(typed).rows() == [tuple(cell or None for cell in record) for record in expected[1:]]
    if shape.regular:
        arriving, names = tmp_path / "arriving", frozenset(expected[0] if few else ())
        records = Records(batched(served.read_bytes(), 7), Gunzip("url", 1 << 20, "max_csv_bytes"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv_arrival, "_BLOCK", block)
            patch.setattr(observations, "with_few_texts", lambda *_: names)
            observations.Ahead(arriving).read(Meta(), records)
        assert records.finish()[1] == shape
        assert pl.read_parquet(arriving).cast(pl.String).equals(pl.read_parquet(typed))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", 1), (b"a,b\n1,2", 1), (b"a,b\r\n1,2\r\n", 1), (b"a,b\n", 0), (b"a,b", 0),
        (codecs.BOM_UTF8 + b"a,b\n1,2\n", 1), (b'"a\nx",b\n"1\r\n\r\n2","3,4"\n', 1), (b'a,b\n"",""""\n', 1),
        ("a,b\n\u2028,\x85\n".encode(), 1), (b"a\n1\n2\n", 2),
    ],
)  # fmt: skip
def test_regular(content, rows):
    shape = shape_of(content)
    assert (shape.regular, shape.rows, shape.utf8) == (True, rows, True)


@pytest.mark.parametrize(
    "content",
    [
        b"", codecs.BOM_UTF8, b"\n", b"a,b\n\n1,2\n", b"a,b\n1,2\n\n", b"a,b\r\n\r\n1,2\r\n", b"\na,b\n1,2\n",
        b"a,b\n1\n",
        b"a,b\n1,2,3\n", b"a,b\r1,2\r", b"a,b\n1,2\r\r\n", b'a,b\n5" pipe,2\n', b'a,b\n"1"x,2\n', b'a,b\n"1,2\n',
        b"a,b\n1,\0\n",
        b'a,b\n "1",2\n', b'a,b\n"1" ,2\n', b'"\n', b'a,b\n1,"', b"a,b\n1,\xe9\n", b"a,b\n1,\xe2\x82",
        b"a,b\n1,\xed\xa0\x80\n",
    ],
)  # fmt: skip
def test_not_regular(content):
    assert not shape_of(content).regular
    assert not shape_of(content, range(len(content))).regular


@pytest.mark.parametrize(
    "content", [b"a\n\xe9\n", b"a\n\xe2\x82", b"a\n\xc0\x80\n", b"\xff\xfea\x00", b"a\n\xed\xa0\x80"]
)
def test_not_utf8(content):
    assert not shape_of(content).utf8
    assert shape_of(content).header is None


def test_a_character_cut_by_portions_is_whole():
    content = "a,b\n😀,é\n".encode()
    assert shape_of(content, range(len(content))) == CsvShape(rows=1, header="a,b", utf8=True, regular=True)


def test_a_quoted_cell_may_span_many_portions(monkeypatch):
    content = b'a,b\n"' + b'x,\n""' * 5000 + b'",2\n3,4\n'
    assert shape_of(content, range(0, len(content), 97)).rows == 2
    monkeypatch.setattr(csv_shape, "LONGEST_ROW", 1000)
    assert not shape_of(content, range(0, len(content), 97)).regular


def test_short_and_long_rows_in_balance_are_told_by_polars_and_named_by_the_exact_reading(tmp_path):
    content = b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n"
    assert shape_of(content).regular, "commas alone cannot tell"
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(content))
    columns = assign(["a", "b", "c"], Meta(), Faults())
    with pytest.raises(pl.exceptions.PolarsError):
        observations._write(observations._on_disk(tmp_path / "data.csv.gz", columns), tmp_path / "typed", 100)
    faults = Faults()
    csv_exact.write_plain(tmp_path / "data.csv.gz", tmp_path / "plain", faults)
    assert [str(fault) for fault in faults.first] == [
        "row 2: 2 cells where the header has 3: '4,5'",
        "row 3: 4 cells where the header has 3: '6,7,8,9'",
    ]


def test_the_exact_reading_keeps_a_return_at_the_end_of_a_line(tmp_path):
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(b'a,"b\n"\n5" pipe,"kept\r"\n'))
    rows, header, _ = csv_exact.write_plain(tmp_path / "data.csv.gz", tmp_path / "plain", faults := Faults())
    columns = assign(parse_header(header, faults), Meta(), faults)
    observations._write(observations._on_disk(tmp_path / "plain", columns), tmp_path / "typed", 100)
    assert (rows, faults.count) == (1, 0)
    assert pl.read_parquet(tmp_path / "typed").to_dict(as_series=False) == {"a": ['5" pipe'], "b\n": ["kept\r"]}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"1" + b",2" * 600, "row 3: longer than 1,000 characters"),  # a line of a gigabyte took sixteen
        (b"1" + b',"\n"' * 300, "row 3: longer than 1,000 characters"),
        (b"y" * 990 + b",2", None),
        (b'"\n' + b"\r\n" * 490 + b'",2', None),
    ],
    ids=["of one line", "of many lines", "within", "within, of many lines"],
)
def test_a_row_longer_than_is_taken_is_not_read_to_its_end(tmp_path, monkeypatch, row, fault):
    monkeypatch.setattr(csv_exact, "LONGEST_ROW", 1000)
    content = b"a,b\n3,4\n" + b"5" * 900 + b",6\n" + row + b"\n7,8\n"
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(content))
    rows, *_ = csv_exact.write_plain(tmp_path / "data.csv.gz", tmp_path / "plain", faults := Faults())
    assert [str(found) for found in faults.first] == ([fault] if fault else [])
    assert rows == (2 if fault else 4)


def test_broken_quoting_behind_empty_lines_is_found_where_it_is(tmp_path):
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(b'a,b\n1,2\n\n\n"x"y,3\n'))
    csv_exact.write_plain(tmp_path / "data.csv.gz", tmp_path / "plain", faults := Faults())
    assert [fault.row for fault in faults.first] == [4]


def test_the_csv_modules_own_limit_is_left_as_it_was(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(b'a,b\n"1'))
    csv_exact.write_plain(tmp_path / "data.csv.gz", tmp_path / "plain", Faults())
    assert csv.field_size_limit() == before
