"""How the command line writes: safe texts, aligned tables, CSV no spreadsheet runs, commands that can be pasted."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import math
import shlex
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.cli import query
from ks4_pipeline.cli.cells import csv_line, guarded, json_rows, json_value, shown
from ks4_pipeline.cli.console import command, counted, size
from ks4_pipeline.cli.following import with_data_set
from ks4_pipeline.cli.tables import Align, Column, TextTable
from ks4_pipeline.errors import ConfigurationError, one_line, printable
from ks4_pipeline.settings import DEFAULT_ID, DataSet, Settings

OTHER = DataSet(name="other", id="11111111-1111-1111-1111-111111111111")


@given(st.text())
def test_what_is_printed_holds_no_character_that_could_move_the_cursor(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in printable(text))
    assert "\n" not in one_line(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_escape_sequences_and_text_direction_marks_are_shown_and_not_obeyed() -> None:
    assert printable("\x1b[31mred\x07 \u202eabc\r\tx\nnext") == "\\x1b[31mred\\x07 \\u202eabc\\r\\tx\nnext"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        ("NULL", '"NULL"'),
        ("", ""),
        (60.0, "60"),
        (11.4, "11.4"),
        (-0.25, "-0.25"),
        (4.75e-05, "4.75e-05"),
        (1e300, "1e+300"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        ([1, None, "a"], '[1, null, "a"]'),
        (dt.date(2026, 4, 16), "2026-04-16"),
        (b"\x00\xff", "00ff"),
        (math.nan, "nan"),
    ],
)
def test_a_value_is_shown_for_people(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "=", "-x"]
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+3", "-0.25", "+.5", "-1e-05", "5", "c", "", "a=b", "z", ":", "~", "1-2"])
def test_numbers_and_plain_texts_are_left_alone(text: str) -> None:
    assert guarded(text) == text


def test_numbers_are_not_harmed_by_the_guard_against_formulas() -> None:
    assert csv_line([-5, -0.25, Decimal("-1.50"), "-7", "-7a"]) == "-5,-0.25,-1.50,-7,'-7a"


def test_csv_tells_null_from_an_empty_text() -> None:
    assert csv_line([None, "", "a"]) == ',"",a'


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1))
def test_csv_is_read_back_as_it_was_but_for_the_guard(values: list[str]) -> None:
    text = csv_line(values) + "\n"
    assert next(csv.reader(io.StringIO(text, newline=""))) == [guarded(value) for value in values]


def test_json_has_no_nan_and_keeps_structure() -> None:
    value = json_value({"a": [math.nan, math.inf, 1.5], "b": Decimal("2.5"), "c": dt.date(2026, 1, 2), "d": None})
    assert json.loads(json.dumps(value, allow_nan=False)) == {
        "a": [None, None, 1.5],
        "b": 2.5,
        "c": "2026-01-02",
        "d": None,
    }


def test_decimal_points_stand_below_each_other() -> None:
    table = TextTable(
        [Column("x", Align.DECIMAL), Column("y")], [["11.4", "a"], ["60", "b"], ["NULL", "c"], ["5.25", "d"]]
    )
    assert list(table.body()) == ["11.4   a", "60     b", " NULL  c", " 5.25  d"]


def test_wide_characters_count_as_two() -> None:
    table = TextTable([Column("name"), Column("n", Align.RIGHT)], [["日本", "1"], ["abcd", "22"]])
    assert list(table.body()) == ["日本   1", "abcd  22"]


def test_long_headings_are_folded_at_underscores_where_there_is_no_room() -> None:
    table = TextTable([Column("attainment8_average"), Column("attainment8_average_flag")], [["11.3", "NULL"]])
    head = table.head(30)
    assert head is not None
    assert max(map(len, head)) <= 30
    assert "".join(line.strip() for line in [part[:12] for part in head[:-1]]).startswith("attainment8_")


def test_what_fits_no_terminal_is_shown_row_by_row() -> None:
    table = TextTable([Column("name"), Column("text")], [["a", "x" * 100]])
    assert table.head(80) is None
    assert list(table.records())[1:] == ["name  a", f"text  {'x' * 100}"]


def test_cells_cannot_break_a_table() -> None:
    table = TextTable([Column("a\nb")], [["line\nline\x1b[2J"]])
    assert [*(table.head() or []), *table.body()] == ["a\\nb", "─" * 17, "line\\nline\\x1b[2J"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (37_200, "37.2 kB"), (439_000_000, "439.0 MB"), (5 * 10**12, "5000.0 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_counts() -> None:
    assert [counted(number, "row") for number in (0, 1, 1400)] == ["0 rows", "1 row", "1,400 rows"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1))
def test_a_printed_command_is_what_a_shell_would_read(argument: str) -> None:
    words = shlex.split(command({"KS4_DATA_DIR": argument}, "sql", argument))
    assert words[0] == f"KS4_DATA_DIR={argument}"
    assert words[-1] == argument


FOLLOWS_DEFAULT = f"[data_sets.ks4_national]\nid = '{DEFAULT_ID}'\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "api_url = 'http://127.0.0.1:1/x' # mine\n",
        FOLLOWS_DEFAULT,
        FOLLOWS_DEFAULT + "\n# the end\n",
        FOLLOWS_DEFAULT.replace("\n", "\r\n"),
        f"[data_sets]\nks4_national = {{ id = '{DEFAULT_ID}' }}\n",
        f"data_sets.ks4_national.id = '{DEFAULT_ID.upper()}'\n",
    ],
)
def test_a_data_set_is_added_and_everything_else_stays(text: str) -> None:
    default = Settings().data_sets
    written = with_data_set(text, OTHER, "A title", default, Path("ks4.toml"))
    assert Settings.model_validate(tomllib.loads(written)).data_sets == (*default, OTHER)
    assert written.startswith(text.rstrip())


def test_a_title_cannot_write_configuration() -> None:
    title = 'x\n[data_sets.evil]\nid = "22222222-2222-2222-2222-222222222222"'
    written = with_data_set("", OTHER, title, Settings().data_sets, Path("ks4.toml"))
    assert set(tomllib.loads(written)["data_sets"]) == {"ks4_national", "other"}


def test_a_file_that_cannot_be_added_to_is_left_alone_with_advice() -> None:
    text = f"data_sets = {{ ks4_national = {{ id = '{DEFAULT_ID}' }} }}\n"
    with pytest.raises(ConfigurationError, match=r"by hand:\n\[data_sets\.other\]"):
        with_data_set(text, OTHER, "A title", Settings().data_sets, Path("ks4.toml"))


def test_json_is_written_while_the_rows_come() -> None:
    endless = json_rows(["n"], ((n,) for n in itertools.count()))
    assert [next(endless) for _ in range(2)] == ['[\n{"n": 0}', ',\n{"n": 1}']
    for count in (0, 1, 3):
        assert json.loads("".join(json_rows(["n"], ((n,) for n in range(count))))) == [{"n": n} for n in range(count)]


def test_of_many_rows_few_are_held_and_each_table_is_aligned_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(query, "_IN_A_TABLE", 2)
    printed = ""

    def rows() -> Iterator[list[str]]:
        nonlocal printed
        for number in (1, 20, 300, 4000):
            printed += capsys.readouterr().out
            assert len(printed.splitlines()) == {1: 0, 20: 0, 300: 4, 4000: 4}[number]
            yield [str(number)]

    assert query.print_rows([Column("n", Align.RIGHT)], rows()) == 4
    printed += capsys.readouterr().out
    assert printed.splitlines() == [" n", "──", " 1", "20", "   n", "────", " 300", "4000"]


def test_rows_of_a_second_table_go_on_in_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(query, "_IN_A_TABLE", 1)
    monkeypatch.setattr(query, "width", lambda: 3)  # too narrow for a table
    query.print_rows([Column("name")], iter([["a"], ["b"]]))
    assert [line for line in capsys.readouterr().out.splitlines() if "row" in line] == [
        "── row 1 ───────",
        "── row 2 ───────",
    ]
