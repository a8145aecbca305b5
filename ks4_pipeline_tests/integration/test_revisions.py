"""What really changed between versions: revisions, history and as_of, each by a real run against the sandbox."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.columns import Role
from ks4_pipeline.identity import StoredColumn, unify
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import schema
from ks4_pipeline.warehouse.comparison import RESULT, compare
from ks4_pipeline_tests.publisher import (
    FILTERS,
    INDICATORS,
    KEYS,
    Edition,
    describe,
    id_of,
    load,
    pipeline_for,
    quoted,
    rows,
)

Rows = list[tuple[object, ...]]
LA_KEY = ("time_period", "time_identifier", "geographic_level", "country_name", "region_name", "la_name")


@contextmanager
def loaded(folder: Path, *editions: Edition, **description: object) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse after loading these editions of a data set called ``d``."""
    data_set = describe(folder / "published", "d", *editions, **description)
    with Sandbox(folder / "published") as sandbox:
        report = load(pipeline_for(folder / "data", sandbox.url, data_set))
    assert report.exit_code == 0, report.outcomes
    with duckdb.connect(folder / "data" / "warehouse.duckdb", read_only=True) as connection:
        yield connection


def cells(connection: duckdb.DuckDBPyConnection, where: str = "true") -> Rows:
    return connection.execute(
        "SELECT class, grp, indicator, old_value, old_flag, new_value, new_flag FROM d.revisions "
        f"WHERE {where} ORDER BY ALL"
    ).fetchall()


def failed_checks(connection: duckdb.DuckDBPyConnection, version: str) -> dict[str, str]:
    found = connection.execute(
        "SELECT check_name, detail FROM catalogue.checks WHERE version = ? AND NOT passed AND family = 'promise'",
        [version],
    ).fetchall()
    return dict(found)


def test_every_class_of_change_is_told_with_old_and_new(tmp_path: Path) -> None:
    before = rows("a,1,1.5", "b,2,2.5", "c,z,c", "d,10,x", "e,5,5")
    after = rows("a,1.0,1.6", "b,c,2.50", "c,3,c", "d,10,z", "f,6,6")
    with loaded(tmp_path, Edition("1.0", before), Edition("1.0.1", after)) as connection:
        assert cells(connection) == [
            ("added", "f", None, None, None, None, None),
            ("reflagged", "d", "score", None, "x", None, "z"),
            ("released", "c", "pupils", None, "z", 3.0, None),
            ("removed", "e", None, None, None, None, None),
            ("revised", "a", "score", 1.5, None, 1.6, None),
            ("suppressed", "b", "pupils", 2.0, None, None, "c"),
        ]


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    with loaded(tmp_path, Edition("1.0", rows("a,1,1")), Edition("1.0.1", rows("a,1,2"))) as connection:
        names = [name for name, *_ in connection.execute("DESCRIBE d.revisions").fetchall()]
    keys = ["time_period", "time_identifier", "geographic_level", "country_code", "country_name", "grp"]
    assert names == [
        *("from_version", "to_version", "class"),
        *keys,
        *("indicator", "old_value", "old_flag", "new_value", "new_flag"),
    ]


def test_a_patch_that_renames_a_column_removes_and_adds_nothing(tmp_path: Path) -> None:
    renamed = [{**INDICATORS[0], "column": "number_of_pupils", "was": "pupils"}, INDICATORS[1]]
    editions = (
        Edition("1.0", rows("a,1,1", "b,2,2")),
        Edition("1.0.1", rows("a,1,1", "b,3,2").replace("pupils", "number_of_pupils"), {"indicators": renamed}),
    )
    with loaded(tmp_path, *editions) as connection:
        assert cells(connection) == [("revised", "b", "number_of_pupils", 2.0, None, 3.0, None)]
        history = connection.execute(
            "SELECT data_set_version, number_of_pupils, number_of_pupils_flag FROM d.history ORDER BY ALL"
        ).fetchall()
        names = [name for name, *_ in connection.execute("DESCRIBE d.history").fetchall()]
        failed = failed_checks(connection, "1.0.1")
    assert history == [("1.0", 1.0, None), ("1.0", 2.0, None), ("1.0.1", 1.0, None), ("1.0.1", 3.0, None)]
    assert "pupils" not in names
    assert "number_of_pupils (was pupils)" in failed.pop("columns_keep_names")
    assert not failed


def test_earlier_revisions_follow_a_later_rename(tmp_path: Path) -> None:
    renamed = [{**INDICATORS[0], "column": "number_of_pupils", "was": "pupils"}, INDICATORS[1]]
    third = Edition("1.0.2", rows("a,2,1").replace("pupils", "number_of_pupils"), {"indicators": renamed, "held": True})
    data_set = describe(tmp_path / "p", "d", Edition("1.0", rows("a,1,1")), Edition("1.0.1", rows("a,2,1")), third)
    with Sandbox(tmp_path / "p") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        sandbox.publish(id_of("d"), "1.0.2")
        load(pipeline)
        with pipeline.warehouse.read() as connection:
            found = connection.execute("SELECT from_version, indicator FROM d.revisions").fetchall()
            noted = connection.execute("SELECT version, indicator FROM catalogue.notes WHERE version <> ''").fetchall()
    assert found == [("1.0", "number_of_pupils")]
    assert noted == [("1.0.1", "number_of_pupils")]


def test_what_versions_restated_is_noted_once_and_left_alone_by_later_ones(tmp_path: Path) -> None:
    editions = [Edition(f"1.{n}", rows(f"a,{n},1"), {"held": n > 1}) for n in range(4)]
    data_set = describe(tmp_path / "p", "d", *editions)
    notes = "SELECT version, rowid, text FROM catalogue.notes WHERE kind = 'restated' ORDER BY rowid"
    with Sandbox(tmp_path / "p") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        found = []
        for number in ("1.2", "1.3"):
            sandbox.publish(id_of("d"), number)
            load(pipeline)
            with pipeline.warehouse.read() as connection:
                found.append(connection.execute(notes).fetchall())
    assert [version for version, *_ in found[1]] == ["1.1", "1.2", "1.3"]
    assert found[0] == found[1][:2], "the rows themselves are those of the edition before"


def test_the_files_own_version_column_is_no_part_of_a_rows_key(tmp_path: Path) -> None:
    filters = [*FILTERS, {"column": "version", "label": "Status"}]
    header = rows().strip().replace("grp,", "grp,version,")
    before, after = rows("a,Revised,1,1", header=header), rows("a,Final,1,2", header=header)
    with loaded(tmp_path, Edition("1.0", before), Edition("1.0.1", after), filters=filters) as connection:
        assert cells(connection) == [("revised", "a", "score", 1.0, None, 2.0, None)]


def test_a_recoded_place_is_the_same_place_and_is_reported_once(tmp_path: Path) -> None:
    header = (
        "time_period",
        "time_identifier",
        "geographic_level",
        "new_la_code",
        "old_la_code",
        "la_name",
        "grp",
        "pupils",
    )

    def table(code: str, figures: Mapping[str, str]) -> str:
        return quoted(
            [
                header,
                *(
                    ("202324", "Academic year", "Local authority", code, "933", "Somerset", g, n)
                    for g, n in figures.items()
                ),
            ]
        )

    editions = (
        Edition("1.0", table("E10000027", {"a": "1", "b": "2", "c": "3"})),
        Edition("2.0", table("E06000066", {"a": "1", "b": "9", "c": "3"})),
    )
    with loaded(tmp_path, *editions, indicators=INDICATORS[:1]) as connection:
        assert cells(connection) == [("revised", "b", "pupils", 2.0, None, 9.0, None)]
        codes = connection.execute("SELECT new_la_code FROM d.revisions").fetchall()
        structure = connection.execute("SELECT structure FROM catalogue.comparisons").fetchone()
    assert codes == [("E06000066",)]
    assert structure == ("location options changed: Local authority: Somerset [E06000066 933, was E10000027 933]",)


def test_a_relabelled_option_keeps_its_rows(tmp_path: Path) -> None:
    relabelled = {"renamed_options": [{"filter": "grp", "from": "PRU", "to": "AP school"}]}
    editions = (Edition("1.0", rows("PRU,1,1", "b,2,2")), Edition("1.1", rows("AP school,1,1", "b,2,3"), relabelled))
    with loaded(tmp_path, *editions) as connection:
        assert cells(connection) == [("revised", "b", "score", 2.0, None, 3.0, None)]
        assert not failed_checks(connection, "1.1")


def test_rows_that_share_their_key_are_matched_as_a_multiset(tmp_path: Path) -> None:
    before = rows("a,1,1", "a,1,1", "a,2,2", "b,1,1", "b,1,1", "c,1,1")
    after = rows("a,1,1", "a,1,1", "a,3,3", "b,1,1", "c,4,1", "d,7,7", "d,8,8")
    with loaded(tmp_path, Edition("1.0", before), Edition("1.0.1", after)) as connection:
        assert cells(connection) == [
            ("added", "d", None, None, None, None, None),
            ("added", "d", None, None, None, None, None),
            ("removed", "b", None, None, None, None, None),
            ("revised", "a", "pupils", 2.0, None, 3.0, None),
            ("revised", "a", "score", 2.0, None, 3.0, None),
            ("revised", "c", "pupils", 1.0, None, 4.0, None),
        ]
        assert "key_unique" in failed_checks(connection, "1.0.1")


def test_a_new_filter_is_told_as_a_change_of_grain(tmp_path: Path) -> None:
    filters = [*FILTERS, {"column": "sen", "label": "SEN"}]
    header = rows().strip().replace("grp,", "grp,sen,")
    after = rows("a,Total,10,1", "a,SEN,4,1", "a,No SEN,6,1", "b,Total,9,2", "b,SEN,9,2", header=header)
    editions = (Edition("1.0", rows("a,10,1", "b,8,2")), Edition("1.1", after, {"filters": filters}))
    with loaded(tmp_path, *editions) as connection:
        assert cells(connection, "indicator IS NOT NULL") == [("revised", "b", "pupils", 8.0, None, 9.0, None)]
        added = connection.execute("SELECT grp, sen FROM d.revisions WHERE class = 'added' ORDER BY ALL").fetchall()
        failed = failed_checks(connection, "1.1")
        severity = connection.execute(
            "SELECT severity FROM catalogue.checks WHERE version = '1.1' AND check_name = 'grain_unchanged'"
        ).fetchone()
    assert added == [("a", "No SEN"), ("a", "SEN"), ("b", "SEN")]
    assert set(failed) == {"grain_unchanged"}
    assert "keep sen = 'Total'" in failed["grain_unchanged"]
    assert severity == ("error",)


def test_a_minor_version_that_removes_breaks_its_promise(tmp_path: Path) -> None:
    editions = (Edition("1.0", rows("a,1,1", "b,2,2")), Edition("1.1", rows("a,1,1")))
    with loaded(tmp_path, *editions) as connection:
        failed = failed_checks(connection, "1.1")
    assert set(failed) == {"nothing_removed", "rows_kept"}
    assert "filter options removed: grp: b" in failed["nothing_removed"]


def test_filters_named_as_we_name_things_do_not_mix_with_ours(tmp_path: Path) -> None:
    filters = ("here", "was_0", "now_0")

    def table(code: str, option: str, figure: str) -> str:
        header = (*KEYS[:3], "region_code", "region_name", *filters, "score")
        place = ("202324", "Academic year", "Regional", code, "North")
        return quoted([header, (*place, option, "a", "b", figure)])

    to_new = {"renamed_options": [{"filter": "here", "from": "old", "to": "new"}]}
    editions = (Edition("1.0", table("E1", "old", "1")), Edition("1.0.1", table("E9", "new", "2"), to_new))
    described = [{"column": name, "label": name} for name in filters]
    with loaded(tmp_path, *editions, filters=described, indicators=[INDICATORS[1]]) as connection:
        found = connection.execute("SELECT class, region_code, here, old_value, new_value FROM d.revisions").fetchall()
    assert found == [("revised", "E9", "new", 1.0, 2.0)]


def test_a_patch_that_changes_nothing_is_told(tmp_path: Path) -> None:
    with loaded(tmp_path, Edition("1.0", rows("a,1,1")), Edition("1.0.1", rows("a,1.0,1"))) as connection:
        assert set(failed_checks(connection, "1.0.1")) == {"something_changed"}


def test_texts_are_compared_as_texts(tmp_path: Path) -> None:
    indicators = [INDICATORS[0], {"column": "score", "label": "Grade", "unit": "string"}]
    editions = (Edition("1.0", rows("a,1,A", "b,1,c")), Edition("1.0.1", rows("a,1,B", "b,1,c")))
    with loaded(tmp_path, *editions, indicators=indicators) as connection:
        found = connection.execute("SELECT class, indicator, old_text, new_text FROM d.revisions").fetchall()
    assert found == [("revised", "score", "A", "B")]


def test_versions_are_compared_in_order_of_number_and_anew_when_one_comes_in_between(tmp_path: Path) -> None:
    numbers = ("1.9", "1.10", "1.0", "1.0.1", "1.1")
    editions = [Edition(number, rows(f"a,{index},1")) for index, number in enumerate(numbers)]
    late = Edition("1.9.1", rows("a,77,1"), {"held": True})
    data_set = describe(tmp_path / "p", "d", *editions, late)
    pairs = "SELECT from_version, to_version, old_value, new_value FROM d.revisions ORDER BY old_value, new_value"
    with Sandbox(tmp_path / "p") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        with pipeline.warehouse.read() as connection:
            first = connection.execute(pairs).fetchall()
        sandbox.publish(id_of("d"), "1.9.1")
        load(pipeline)
        with pipeline.warehouse.read() as connection:
            second = connection.execute(pairs).fetchall()
            compared = connection.execute("SELECT count(*) FROM catalogue.comparisons").fetchone()
            noted = connection.execute(
                "SELECT text FROM catalogue.notes WHERE kind = 'restated' AND version IN ('1.9.1', '1.10') ORDER BY ALL"
            ).fetchall()
    assert first == [
        ("1.9", "1.10", 0.0, 1.0),
        ("1.0", "1.0.1", 2.0, 3.0),
        ("1.0.1", "1.1", 3.0, 4.0),
        ("1.1", "1.9", 4.0, 0.0),
    ]
    assert second == [
        ("1.9", "1.9.1", 0.0, 77.0),
        ("1.0", "1.0.1", 2.0, 3.0),
        ("1.0.1", "1.1", 3.0, 4.0),
        ("1.1", "1.9", 4.0, 0.0),
        ("1.9.1", "1.10", 77.0, 1.0),
    ]
    assert compared == (5,)
    about = "changed 1 figure of this indicator and period that version"
    assert noted == [(f"Version 1.10 {about} 1.9.1 had: revised.",), (f"Version 1.9.1 {about} 1.9 had: revised.",)]


def test_as_of_gives_what_the_publisher_said_at_that_moment(tmp_path: Path) -> None:
    editions = (
        Edition("1.0", rows("a,1,1"), {"published": "2026-01-01T09:30:00Z"}),
        Edition("1.0.1", rows("a,2,1"), {"published": "2026-02-01T09:30:00Z"}),
        Edition(
            "1.1",
            rows("a,3,1"),
            {"published": "2026-03-01T09:30:00Z", "status": "Withdrawn", "withdrawn": "2026-03-10T00:00:00Z"},
        ),
    )
    moments = {"2025-12-31": [], "2026-01-15": [1.0], "2026-02-15": [2.0], "2026-03-05": [3.0], "2026-03-20": [2.0]}
    with loaded(tmp_path, *editions) as connection:
        found = {
            moment: [value for (value,) in connection.execute(f"SELECT pupils FROM d.as_of('{moment}')").fetchall()]
            for moment in moments
        }
    assert found == moments


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _differences(before: Path, after: Path) -> Counter[tuple[object, ...]]:
    """The changed cells of two published files, by Python's csv module alone."""

    def read(path: Path) -> tuple[dict[tuple[str, ...], dict[str, str]], list[str]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            table = {tuple(row[c] for c in (*LA_KEY, "social_care_group")): row for row in reader}
            names = list(reader.fieldnames or [])
        return table, names[names.index("pupil_count") :]

    old, indicators = read(before)
    new, _ = read(after)
    found: Counter[tuple[object, ...]] = Counter()
    for key in old.keys() | new.keys():
        blank_is_null = tuple(part or None for part in key)
        if key not in new or key not in old:
            found["added" if key in new else "removed", *blank_is_null, None, None, None, None, None] += 1
            continue
        for name in indicators:
            was, now = old[key][name], new[key][name]
            was_number, now_number = _number(was), _number(now)
            old_flag, new_flag = None if was_number is not None else was, None if now_number is not None else now
            if (was_number, old_flag) == (now_number, new_flag):
                continue
            kind = {
                (False, False): "revised",
                (False, True): "suppressed",
                (True, False): "released",
                (True, True): "reflagged",
            }[bool(old_flag), bool(new_flag)]
            found[kind, *blank_is_null, name, was_number, old_flag, now_number, new_flag] += 1
    return found


@pytest.mark.real
def test_revisions_of_the_real_releases_equal_an_independent_computation(tmp_path: Path, real_data: Path) -> None:
    files = sorted((real_data / "ks4_la").glob("*.csv"))
    with files[0].open(newline="") as file:
        header = next(csv.reader(file))
    indicators = [{"column": name, "label": name} for name in header[header.index("pupil_count") :]]
    filters = [{"column": name, "label": name} for name in ("social_care_group", "version")]
    editions = [Edition(f"{number}.0", path) for number, path in enumerate(files, 1)]
    with loaded(tmp_path, *editions, indicators=indicators, filters=filters) as connection:
        totals = []
        for number, (before, after) in enumerate(pairwise(files), 1):
            found = Counter(
                connection.execute(
                    f"SELECT class, {', '.join(LA_KEY)}, social_care_group, indicator, old_value, old_flag, "
                    "new_value, new_flag FROM d.revisions WHERE from_version = ? AND to_version = ?",
                    [f"{number}.0", f"{number + 1}.0"],
                ).fetchall()
            )
            assert found == _differences(before, after)
            totals.append(sum(count for row, count in found.items() if row[0] not in {"added", "removed"}))
        recoded = connection.execute("SELECT structure FROM catalogue.comparisons WHERE to_version = '3.0'").fetchone()
    assert totals == [4915, 4027, 3769]
    assert recoded is not None
    assert "Somerset [E06000066 933, was E10000027 933]" in recoded[0]


_CELL = st.sampled_from(["1", "2", "2.0", "2.5", "c", "z", "low"])
_TABLE = st.lists(st.tuples(st.sampled_from("abcd"), _CELL, _CELL), max_size=6)


def _split(cell: str) -> tuple[float | None, str | None]:
    number = _number(cell)
    return number, None if number is not None else cell


def _expected(before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]) -> Counter[tuple[object, ...]]:
    """What :mod:`ks4_pipeline.warehouse.comparison` promises, for rows that share their key too."""
    old = Counter((key, _split(first), _split(second)) for key, first, second in before)
    new = Counter((key, _split(first), _split(second)) for key, first, second in after)
    found: Counter[tuple[object, ...]] = Counter()
    for key in "abcd":
        gone = [row for row in (old - new).elements() if row[0] == key]
        come = [row for row in (new - old).elements() if row[0] == key]
        if len(gone) == len(come) == 1:
            for name, was, now in zip(("pupils", "score"), gone[0][1:], come[0][1:], strict=True):
                if was != now:
                    found[key, name, *was, *now] += 1
        else:
            found["removed", key] += len(gone)
            found["added", key] += len(come)
    return +found


@given(before=_TABLE, after=_TABLE)
def test_every_row_and_cell_is_accounted_for(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    old, new = VersionNumber(1, 0), VersionNumber(1, 0, 1)
    columns = [
        StoredColumn("grp", Role.FILTER, is_numeric=False, id="f"),
        StoredColumn("pupils", Role.INDICATOR, is_numeric=True, id="p"),
        StoredColumn("score", Role.INDICATOR, is_numeric=True, id="s"),
    ]
    with duckdb.connect() as connection:
        schema.create(connection)
        connection.execute("CREATE SCHEMA d")
        for version, table in ((old, before), (new, after)):
            connection.execute(
                f"CREATE TABLE d.{version.table} "
                "(grp VARCHAR, pupils DOUBLE, pupils_flag VARCHAR, score DOUBLE, score_flag VARCHAR)"
            )
            for key, first, second in table:
                connection.execute(
                    f"INSERT INTO d.{version.table} VALUES (?, ?, ?, ?, ?)", [key, *_split(first), *_split(second)]
                )
        compare(connection, "d", old, new, unify({old: columns, new: columns}))
        rows_found = connection.execute(
            f"SELECT class, grp, indicator, old_value, old_flag, new_value, new_flag FROM {RESULT}"
        ).fetchall()
    found = Counter(tuple(row[:2]) if row[2] is None else tuple(row[1:]) for row in rows_found)
    assert found == _expected(before, after)
