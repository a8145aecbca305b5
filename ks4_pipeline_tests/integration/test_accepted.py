"""What may look odd and is loaded as it is: each case a data set of its own, all loaded by one run.

``{K}`` in a case stands for the key columns; a case without a header has the usual one.
"""

from __future__ import annotations

import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline_tests.publisher import (
    HEADER,
    INDICATORS,
    KEY_CELLS,
    Edition,
    describe,
    load,
    pipeline_for,
    quoted,
    rows,
    scored,
)

K = KEY_CELLS
KEY_ROW = tuple(K.split(","))


def with_header(header: str, *lines: str, end: str = "\n") -> str:
    return end.join([header, *lines]) + end


def quoted_throughout(text: str) -> str:
    return "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines())


WIDE = f"{HEADER},note"
NUMBERS = {
    "4.75E-05": 4.75e-05, "-7.45058E-09": -7.45058e-09, ".5": 0.5, "+3": 3.0, "5.": 5.0, "-.5e3": -500.0,
    "  9.0909": 9.0909, " 96.72": 96.72, "\t7 ": 7.0, "113.51": 113.51, "0": 0.0, "-0": -0.0, "007": 7.0,
    "1e308": 1e308,    "5e-324": 5e-324, "0.1": 0.1, "2.2250738585072011e-308": 2.2250738585072011e-308,
    "123456789.123456789": 123456789.123456789,
}  # fmt: skip
SPELLINGS = {"[c]": "c", "C": "c", " c ": "c", "LOW": "low", "[ Low ]": "low", "[Z]": "z", "\tK": "k", " : ": ":"}
CANONICAL = ["c", "z", "x", "low", "k", "u", ":", "~"]
LABELS = [
    "c", "007", "NULL", "NaN", "1e5", "x", "low", "N/A", "nan", "true", " padded ", "tab\there", "line\nbreak",
    "line\r\nbreak", "return\r", 'say "hi"', '"', "a,b", "😀 ünï", "\u2028", "\x85", "\x0b\x0c\x1c", "#", "'", "\\",
    "-",    "=1+1", "2024-01-01", "\ufeffmark", "e\u0301", "  ", "0", "[c]",
]  # fmt: skip
ODD_NAMES = ["select", "weird name", 'a"b', "😀", "new\nline", "a,b", "from", "rowid", "cell"]
MANY = [f"indicator {n}" for n in range(292)]

# name: (csv, description) -- description: keys of the data set, and "announced" for totalResults
CASES: dict[str, tuple[str | bytes, dict]] = {
    "numbers": (quoted([HEADER.split(","), *([*KEY_ROW, f"g{i}", "1", t] for i, t in enumerate(NUMBERS))]), {}),
    "markers": (scored(*CANONICAL), {}),
    "spellings": (scored(*SPELLINGS), {}),
    "labels": (quoted([HEADER.split(","), *([*KEY_ROW, label, "1", "2"] for label in LABELS)]), {}),
    "duplicates": (rows("a,1,2", "b,1,2", "a,1,2", "a,1,3"), {}),
    "blanks": (with_header(HEADER, "202324,,,,,,1,2", '202324,"","","","","",1,2'), {}),
    "no_rows": (HEADER + "\n", {"announced": 0}),
    "no_rows_no_end": (HEADER, {"announced": 0}),
    "no_end": (rows("a,1,2", "b,3,c")[:-1], {}),
    "crlf": (rows("a,1,2", "b,3,c", end="\r\n"), {}),
    "mixed_ends": (f"{HEADER}\r\n{K},a,1,2\n{K},b,3,c\r\n", {}),
    "bom": ("\ufeff" + rows("a,1,2", "b,3,c"), {}),
    "bom_crlf_quoted": ("\ufeff" + ",".join(f'"{n}"' for n in HEADER.split(",")) + f'\r\n{K},"a",1,2\r\n{K},b,3,c', {}),
    "trailing_lines": (rows("a,1,2", "b,3,c") + "\n\r\n\n", {"announced": 2}),
    "carriage_returns": (rows("a,1,2", "b,3,c", end="\r"), {"announced": 2}),
    "all_quoted": (quoted_throughout(rows("a,1,2", "b,3,c")), {}),
    "stray_quote": (with_header(WIDE, f'{K},5" pipe,1,2,"kept\r"', f'{K},b"b",3,c,6"'), {}),
    "odd_names": (
        quoted([[*HEADER.split(",")[:5], *ODD_NAMES],
                [*KEY_ROW, "s", "w", "7", "c", "n", "5", "f", "r", "z"]]),
        {"filters": [{"column": n, "label": n} for n in ("select", "weird name", "new\nline", "from")],
         "indicators": [{"column": n, "label": n} for n in ('a"b', "😀", "a,b", "cell")]},
    ),
    "text_indicator": (
        with_header(HEADER, f"{K},a,1,two", f"{K},b,2,c", f"{K},c,3,NaN", f"{K},d,4, 5 "),
        {"indicators": [INDICATORS[0], {**INDICATORS[1], "unit": "string"}]},
    ),
    "unknown_columns": (with_header(f"extra,{HEADER},value,indicator", f"1,{K},a,1,2,c,*", f",{K},b,3,c,,"), {}),
    "no_indicators": (rows("a,1,c", "b,,*"), {"indicators": []}),
    "many": (
        quoted([[*HEADER.split(",")[:5], "grp", *MANY], [*KEY_ROW, "a", *(str(n) for n in range(291)), "c"]]),
        {"indicators": [{"column": n, "label": n.title()} for n in MANY]},
    ),
    "old_markers": (scored(":", "~", ":"), {}),
    "long_cell": (with_header(WIDE, f"{K},a,1,2,{'y' * 300_000}"), {}),
    "percent": (scored("100", "113.51", "-5", "1e3"), {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    followed = []
    for name, (csv_text, more) in CASES.items():
        described = dict(more)
        announced = described.pop("announced", None)
        edition = Edition("1.0", csv_text, {} if announced is None else {"total_results": announced})
        followed.append(describe(root, name, edition, **described))
    with Sandbox(root) as sandbox:
        pipeline = pipeline_for(tmp_path_factory.mktemp("data"), sandbox.url, *followed)
        yield pipeline, load(pipeline)


@pytest.fixture
def ask(world):
    pipeline, _ = world

    def execute(query, parameters=()):
        with pipeline.warehouse.read() as connection:
            return connection.execute(query, list(parameters)).fetchall()

    return execute


@pytest.mark.parametrize("name", CASES)
def test_it_loads(world, name):
    _, report = world
    (outcome,) = [outcome for outcome in report.outcomes if outcome.data_set == name]
    assert (outcome.outcome, outcome.message) == ("loaded", "")


def scores(ask, name):
    return ask(f"SELECT score, score_flag FROM {name}.v1_0_0 ORDER BY rowid")


def check(ask, name, check_name):
    ((severity, passed, affected, detail),) = ask(
        "SELECT severity, passed, affected, detail FROM catalogue.checks WHERE data_set = ? AND check_name = ?",
        [name, check_name],
    )
    assert severity == "warn"
    return passed, affected, detail


def test_every_way_of_writing_a_number_is_read(ask):
    found = scores(ask, "numbers")
    assert found == [(value, None) for value in NUMBERS.values()]
    assert str(found[list(NUMBERS).index("-0")][0]) == "-0.0"


def test_numbers_with_blanks_around_them_are_counted_in_a_warning(ask):
    passed, affected, detail = check(ask, "numbers", "canonical_cells")
    assert (passed, affected) == (False, 3)
    assert "3 numbers with blanks around them" in detail


def test_markers_stand_beside_an_empty_value(ask):
    assert scores(ask, "markers") == [(None, marker) for marker in CANONICAL]
    assert check(ask, "markers", "canonical_cells")[:2] == (True, 0)


def test_other_spellings_become_canonical_and_are_counted_in_a_warning(ask):
    assert scores(ask, "spellings") == [(None, marker) for marker in SPELLINGS.values()]
    passed, affected, detail = check(ask, "spellings", "canonical_cells")
    assert (passed, affected) == (False, len(SPELLINGS))
    for spelling in SPELLINGS:
        assert f"{spelling!r} 1 times" in detail


def test_labels_that_look_like_markers_or_numbers_or_trouble_stay_as_they_are(ask):
    assert ask("SELECT grp FROM labels.v1_0_0 ORDER BY rowid") == [(label,) for label in LABELS]


def test_duplicate_rows_are_kept_and_counted_in_a_warning(ask):
    assert ask("SELECT grp, score FROM duplicates.v1_0_0 ORDER BY rowid") == [
        ("a", 2.0), ("b", 2.0), ("a", 2.0), ("a", 3.0),
    ]  # fmt: skip
    passed, affected, detail = check(ask, "duplicates", "rows_unique")
    assert (passed, affected) == (False, 3)
    assert "1 of them repeat an earlier row entirely" in detail
    assert check(ask, "labels", "rows_unique")[:2] == (True, 0)


def test_blank_filters_and_places_are_null_whether_quoted_or_not(ask):
    first, second = ask("SELECT * FROM blanks.latest")
    assert first == second == ("202324", None, None, None, None, None, 1.0, None, 2.0, None)


@pytest.mark.parametrize("name", ["no_rows", "no_rows_no_end"])
def test_a_header_without_rows_is_an_empty_table(ask, name):
    assert ask(f"SELECT count(*) FROM {name}.v1_0_0") == [(0,)]
    assert ask(f"SELECT count(*) FROM {name}.latest_long") == [(0,)]
    assert ask('SELECT rows, "table" FROM catalogue.versions WHERE data_set = ?', [name]) == [(0, "v1_0_0")]


@pytest.mark.parametrize(
    "name",
    [
        "no_end", "crlf", "mixed_ends", "bom", "bom_crlf_quoted", "trailing_lines", "carriage_returns", "all_quoted",
    ],
)  # fmt: skip
def test_line_ends_marks_and_quoting_do_not_matter(ask, name):
    assert ask(f"SELECT * FROM {name}.v1_0_0 ORDER BY rowid") == [
        (*KEY_ROW, "a", 1.0, None, 2.0, None),
        (*KEY_ROW, "b", 3.0, None, None, "c"),
    ]
    assert column_names(ask, name)[0] == "time_period"


def column_names(ask, name):
    query = "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index"
    return [column for (column,) in ask(query, [name, "v1_0_0"])]


def test_a_stray_quote_inside_a_cell_is_a_character_and_nothing_else_changes(ask):
    assert ask("SELECT grp, pupils, score, score_flag, note FROM stray_quote.v1_0_0 ORDER BY rowid") == [
        ('5" pipe', 1.0, 2.0, None, "kept\r"),
        ('b"b"', 3.0, None, "c", '6"'),
    ]


def test_column_names_that_need_quotes_survive(ask):
    assert column_names(ask, "odd_names")[5:] == [
        "select", "weird name", 'a"b', 'a"b_flag', "😀", "😀_flag", "new\nline", "a,b", "a,b_flag", "from", "rowid",
        "cell", "cell_flag",
    ]  # fmt: skip
    assert ask(
        'SELECT "select", "weird name", "a""b", "a""b_flag", "😀_flag", "a,b", "cell_flag" FROM odd_names.v1'
    ) == [("s", "w", 7.0, None, "c", 5.0, "z")]
    assert ask("SELECT indicator, value, marker FROM odd_names.latest_long ORDER BY ALL") == [
        ('a"b', 7.0, None), ("a,b", 5.0, None), ("cell", None, "z"), ("😀", None, "c"),
    ]  # fmt: skip


def test_an_indicator_that_is_text_stays_text_and_has_no_flag(ask):
    assert column_names(ask, "text_indicator")[-3:] == ["pupils", "pupils_flag", "score"]
    assert ask("SELECT score FROM text_indicator.v1_0_0 ORDER BY rowid") == [("two",), ("c",), ("NaN",), (" 5 ",)]
    assert ask("SELECT text, value, marker FROM text_indicator.latest_long WHERE indicator = 'score' ORDER BY grp") == [
        ("two", None, None), ("c", None, None), ("NaN", None, None), (" 5 ", None, None),
    ]  # fmt: skip


def test_columns_that_meta_does_not_know_stay_where_they_stand_as_text(ask):
    assert ask("SELECT extra, grp, score_flag, value, indicator FROM unknown_columns.v1_0_0 ORDER BY rowid") == [
        ("1", "a", None, "c", "*"),
        (None, "b", "c", None, None),
    ]
    assert ask(
        "SELECT column_name, role FROM catalogue.columns WHERE data_set = 'unknown_columns' AND role = 'other'"
        " ORDER BY position"
    ) == [("extra", "other"), ("value", "other"), ("indicator", "other")]
    in_long = "SELECT value, indicator, indicator_, value_ FROM unknown_columns.latest_long WHERE grp = 'a' ORDER BY 3"
    assert ask(in_long) == [
        ("c", "*", "pupils", 1.0), ("c", "*", "score", 2.0),
    ]  # fmt: skip


def test_a_data_set_without_indicators_is_text_throughout(ask):
    assert ask("SELECT pupils, score FROM no_indicators.v1_0_0 ORDER BY rowid") == [("1", "c"), (None, "*")]
    assert ask("SELECT count(*) FROM no_indicators.latest_long") == [(0,)]


def test_three_hundred_columns_are_no_trouble(ask):
    (row,) = ask("SELECT * FROM many.latest")
    assert len(row) == 6 + 2 * len(MANY)
    assert row[6::2] == (*map(float, range(291)), None)
    assert row[7::2] == (*[None] * 291, "c")
    assert ask("SELECT count(*), count(value), count(marker) FROM many.latest_long") == [(292, 291, 1)]


def test_markers_of_older_files_are_named_in_a_warning(ask):
    passed, affected, detail = check(ask, "old_markers", "current_markers")
    assert (passed, affected) == (False, 3)
    assert "':' in 2 cells" in detail
    assert check(ask, "numbers", "current_markers")[:2] == (True, 0)


def test_a_very_long_cell_is_kept_whole(ask):
    assert ask("SELECT note FROM long_cell.latest") == [("y" * 300_000,)]


def test_percentages_out_of_range_are_kept_and_counted_in_a_warning(ask):
    assert scores(ask, "percent") == [(100.0, None), (113.51, None), (-5.0, None), (1000.0, None)]
    assert check(ask, "percent", "percentages_in_range")[:2] == (False, 3)
