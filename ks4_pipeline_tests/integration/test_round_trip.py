"""From the published CSV through observations and the warehouse to ``ks4 export --as-published``, and back."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ks4_pipeline.cli.cells import guarded, shown
from ks4_pipeline.cli.export import Source, _csv_columns
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.observations import ObservationsStore
from ks4_pipeline.warehouse import catalogue, schema, tables
from ks4_pipeline.warehouse.sql import figure_text
from ks4_pipeline_tests.publisher import quoted
from ks4_pipeline_tests.unit.test_observations import DATA_SET, landed

AS_PUBLISHED = st.one_of(
    st.integers(-(2**53), 2**53).map(str),
    st.integers(0, 2**10 - 1).map(lambda n: str(n * 2**53)),  # beyond 2**53 and exact all the same
    st.decimals(-10000, 10000, places=1).map(lambda d: str(d).removesuffix(".0")).filter(lambda text: text != "-0"),
    st.decimals(0, 1, places=4).map(lambda d: str(d).rstrip("0").rstrip(".")),
    st.sampled_from(sorted(MARKERS)),
)
SPELT_OTHERWISE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["+3", ".5", "5.", "007", "1.50", "4.75E-05", "-0", "1e3", "9007199254740993", "1e300", "5e-324"]),
)
LABEL = st.text(alphabet='ac1=+-@x ,"\n\r\té\x1b\u202e', min_size=1, max_size=5)
ROWS = st.lists(st.tuples(LABEL, AS_PUBLISHED, SPELT_OTHERWISE), max_size=10)


def exported(folder: Path, rows: list[tuple[str, str, str]]) -> list[list[str]]:
    """The rows that come out again."""
    table = quoted([("grp", "pupils", "score"), *rows])
    version = landed(folder / "l", table, len(rows))
    (version.folder / "changes.json").write_text('{"versionNumber": "1.0"}')
    made = ObservationsStore(folder / "o").make(DATA_SET, version)
    with duckdb.connect() as connection:
        schema.create(connection)
        tables.replace_table(connection, "d", "title", version.record, made)
        catalogue.replace_version(connection, DATA_SET, version, made)
        cells = _csv_columns(connection, Source("d", "v1_0_0", "1.0"), as_published=True)
        connection.execute(f"COPY (SELECT {cells} FROM d.v1_0_0) TO '{folder}/out.csv' (FORMAT csv, HEADER)")
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *found = csv.reader(file)
    assert header == ["grp", "pupils", "score"]
    return found


@settings(max_examples=25)
@given(rows=ROWS)
def test_the_published_cells_come_out_again(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    found = exported(tmp_path, rows)
    assert len(found) == len(rows)
    for (label, cell, other), row in zip(rows, found, strict=True):
        assert row[:2] == [guarded(label), cell]
        assert float(row[2]) == float(other)  # another spelling, never another number


@pytest.mark.parametrize(
    ("published", "text"),
    [
        ("0", "0"), ("17.3", "17.3"), ("999999999999999", "999999999999999"), ("1000000000000000", "1000000000000000"),
        ("9007199254740992", "9007199254740992"), ("-9007199254740994", "-9007199254740994"),
        ("10000000000000000", "10000000000000000"), ("9223372036854774784", "9223372036854774784"),
        ("0.1", "0.1"), ("-5", "-5"), ("1234567.25", "1234567.25"),
    ],
)  # fmt: skip
def test_a_figure_is_written_as_it_was_published(published: str, text: str) -> None:
    """By all who write one: SQL, and the command line for CSV and tables."""
    query = f"SELECT {figure_text('figure')} FROM (SELECT CAST('{published}' AS DOUBLE) AS figure)"
    assert duckdb.execute(query).fetchall() == [(text,)]
    assert shown(float(published)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_figure_is_that_figure(figure: float) -> None:
    found = duckdb.execute(f"SELECT {figure_text('figure')} FROM (SELECT CAST(? AS DOUBLE) AS figure)", [figure])
    ((text,),) = found.fetchall()
    assert float(text) == figure == float(shown(figure))
    assert not re.search(r"\.0$", text) or abs(figure) >= 2**63
