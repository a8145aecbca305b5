"""Revisions, history and channels of any two versions: applied to the old version, revisions give the new one.

Versions are made up by hypothesis with all that columns can do between two versions: come, go, swap names, change
between figure and text, become a filter, be called what our own columns are called; with options relabelled in a
circle, rows that share their key, empty keys, and no rows at all. What has to come out is worked out here by
dictionaries alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ks4_pipeline.audit import Seen, audit
from ks4_pipeline.cli import difference
from ks4_pipeline.columns import Role
from ks4_pipeline.identity import StoredColumn, UnifiedColumn, unify
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import history, long, revisions, schema
from ks4_pipeline.warehouse.channels import Comments
from ks4_pipeline.warehouse.comparison import Comparison, compare

OLD, NEW = VersionNumber(1, 0), VersionNumber(1, 0, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STANDARD = ("time_period", "time_identifier", "geographic_level", "la_name", "new_la_code")
NAMES = (
    *("x", "X", "y", "x_flag", "a b", 'q"t', "select", "class", "indicator", "cell", "o", "n", "version", "value"),
    *("from_version", "old_value", "new_text", "data_set_version", "published", "ks4_here", "ks4_pair", "found"),
    *STANDARD,
    *("version_table", "markers"),
)
FIGURES = ("1", "2", "2.5", "-3", "1000000", "c", "z", "low")
TEXTS = ("1", "2", "2.5", "A", "c", None)


@dataclass(frozen=True)
class Made:
    """One version: its columns, what each option of each filter is called, and its rows of published cells."""

    columns: tuple[StoredColumn, ...]
    labels: dict[str, dict[str, str]]
    rows: tuple[tuple[str | None, ...], ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


IDENTITIES = (
    (Role.FILTER, "f1"), (Role.FILTER, "f2"), (Role.INDICATOR, "i1"), (Role.INDICATOR, "i2"), (Role.INDICATOR, "i3"),
    (Role.OTHER, None), (Role.TIME, None), (Role.GEOGRAPHY, None),
)  # fmt: skip


@st.composite
def versions(draw: st.DrawFn, pool: Sequence[str]) -> Made:
    chosen = draw(st.lists(st.sampled_from(IDENTITIES), min_size=1, max_size=5, unique=True))
    names = draw(
        st.lists(st.sampled_from(pool), min_size=len(chosen), max_size=len(chosen), unique_by=lambda name: name.lower())
    )
    columns = []
    for (role, column_id), name in zip(chosen, names, strict=True):
        numeric = role is Role.INDICATOR and draw(st.booleans() if column_id == "i2" else st.just(True))
        assume(not (role is Role.INDICATOR and name in STANDARD))  # refused: see :func:`ks4_pipeline.columns.assign`
        columns.append(StoredColumn(name, role, numeric, column_id))
    taken = {name.lower() for name in names}
    assume(not any(column.is_numeric and f"{column.name}_flag".lower() in taken for column in columns))
    labels = {
        column.id: dict(zip(("1", "2", "3"), draw(st.permutations(("A", "B", "Total"))), strict=True))
        for column in columns
        if column.role is Role.FILTER and column.id
    }
    cells = [
        st.sampled_from(FIGURES)
        if column.is_numeric
        else st.sampled_from((*labels[column.id].values(), None))
        if column.role is Role.FILTER and column.id
        else st.sampled_from(TEXTS[:-1])
        if column.role is Role.INDICATOR
        else st.sampled_from(("p", "q", None))
        for column in columns
    ]
    return Made(tuple(columns), labels, tuple(draw(st.lists(st.tuples(*cells), max_size=5))))


POOLS = st.lists(st.sampled_from(NAMES), min_size=5, max_size=7, unique_by=lambda name: name.lower())
PAIRS = POOLS.flatmap(lambda pool: st.tuples(versions(pool), versions(pool)))  # few names, so that they meet again


def figure(cell: str) -> tuple[float | None, str | None]:
    return (None, cell) if cell in MARKERS else (float(cell), None)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        schema.create(made)
        made.execute("CREATE SCHEMA d")
        yield made


def store(connection: duckdb.DuckDBPyConnection, number: VersionNumber, made: Made, data_set: str = "d") -> None:
    """A version as an edition leaves it, new or in place of another: its table, and what the catalogue says of it."""
    for table in (*schema.OF_A_VERSION, schema.VERSIONS):
        connection.execute(f"DELETE FROM {table.qualified} WHERE data_set = ? AND version = ?", [data_set, str(number)])
    values: list[list[object]] = [[] for _ in made.rows]
    described: list[tuple[str, Role, str, str | None]] = []
    for place, column in enumerate(made.columns):
        if column.is_numeric:
            described += [(column.name, column.role, "DOUBLE", column.id)]
            described += [(f"{column.name}_flag", Role.FLAG, "VARCHAR", column.id)]
        else:
            described.append((column.name, column.role, "VARCHAR", column.id))
        for row, target in zip(made.rows, values, strict=True):
            cell = row[place]
            target.extend(figure(str(cell)) if column.is_numeric else [cell])
    definitions = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, _, kind, _ in described)
    connection.execute(f"CREATE OR REPLACE TABLE {data_set}.{number.table} ({definitions})")
    for row in values:
        connection.execute(f"INSERT INTO {data_set}.{number.table} VALUES ({', '.join('?' * len(row))})", row)
    about = [data_set, str(number)]
    for position, (name, role, kind, column_id) in enumerate(described, 1):
        connection.execute(
            "INSERT INTO catalogue.columns (data_set, version, position, column_name, role, data_type, id, label) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [*about, position, name, str(role), kind, column_id, name],
        )
    for filter_id, labels in made.labels.items():
        (name,) = [column.name for column in made.columns if column.id == filter_id]
        for option, label in labels.items():
            connection.execute(
                "INSERT INTO catalogue.filter_options VALUES (?, ?, ?, ?, ?, ?)",
                [*about, name, filter_id, option, label],
            )
    connection.execute(
        'INSERT INTO catalogue.versions (data_set, version, major, minor, patch, published, "table", channels) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, '')",
        [*about, number.major, number.minor, number.patch, NOW.replace(day=1 + number.patch), number.table],
    )


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def unified_rows(
    number: VersionNumber, made: Made, other: Made, unified: Sequence[UnifiedColumn], found: Comparison
) -> list[tuple[tuple[str | None, ...], dict[str, object]]]:
    """A version's rows as key and cells under the newest names, its options under their newest labels."""
    rows = []
    for row in made.rows:
        cells = dict(zip(made.names, row, strict=True))
        key: dict[str, str | None] = {}
        compared: dict[str, object] = {}
        for column in unified:
            own = column.names.get(number)
            if column.name in found.keys:
                cell = cells[own] if own else found.imputed.get(column.name)
                stored = next((c for c in made.columns if c.name == own), None)
                its = next((c for c in other.columns if c.id and stored and c.identity == stored.identity), None)
                if number == OLD and stored and its and stored.role is Role.FILTER and stored.id:
                    option = {label: option for option, label in made.labels[stored.id].items()}.get(str(cell))
                    cell = other.labels[stored.id].get(option or "", cell)
                key[column.name] = cell
            elif column.name in found.indicators and own:
                compared[column.name] = figure(str(cells[own])) if column.is_numeric else cells[own]
        rows.append((tuple(key[name] for name in found.keys), compared))
    return rows


CYCLE = (
    Made((StoredColumn("x", Role.FILTER, False, "f1"), StoredColumn("y", Role.INDICATOR, True, "i1")),
         {"f1": {"1": "A", "2": "B", "3": "Total"}}, (("A", "1"), ("B", "c"))),
    Made((StoredColumn("y", Role.FILTER, False, "f1"), StoredColumn("x", Role.INDICATOR, True, "i1")),
         {"f1": {"1": "B", "2": "A", "3": "Total"}}, (("B", "1"), ("A", "2"))),
)  # fmt: skip
CELL_IS_A_KEY = Made(
    (StoredColumn("cell", Role.FILTER, False, "f1"), StoredColumn("class", Role.INDICATOR, True, "i1")),
    {"f1": {"1": "A", "2": "B", "3": "Total"}}, (("A", "1"),),
)  # fmt: skip


def number_to_text(numeric: bool, *cells: str) -> Made:
    return Made(
        (StoredColumn("x", Role.FILTER, False, "f1"), StoredColumn("y", Role.INDICATOR, numeric, "i2")),
        {"f1": {"1": "A", "2": "B", "3": "Total"}}, tuple(zip(("A", "B", "Total"), cells, strict=True)),
    )  # fmt: skip


NOTHING_IN_COMMON = tuple(
    Made((StoredColumn(name, Role.INDICATOR, True, name),), {}, (("1",),)) for name in ("i1", "i2")
)
FILTER_NOW_FIGURE = (
    Made((StoredColumn("x", Role.FILTER, False, "f1"), StoredColumn("y", Role.OTHER, False)),
         {"f1": {"1": "A", "2": "B", "3": "Total"}}, (("A", "p"), ("B", "p"))),
    Made((StoredColumn("x", Role.INDICATOR, True, "i1"), StoredColumn("y", Role.OTHER, False)), {},
         (("1", "p"), ("c", "q"))),
)  # fmt: skip


def two_figures(first: str, second: str) -> Made:
    columns = (StoredColumn(first, Role.INDICATOR, True, "i1"), StoredColumn(second, Role.INDICATOR, True, "i3"))
    places = sorted(range(2), key=lambda place: columns[place].name)
    row = ("1", "2")
    return Made(tuple(columns[place] for place in places), {}, (tuple(row[place] for place in places),))


@settings(max_examples=120)
@example(pair=(CYCLE[0], CYCLE[1]))
@example(
    pair=(two_figures("x", "y"), two_figures("y", "x"))
)  # the file looks the same, and the ids have changed places
@example(pair=(CELL_IS_A_KEY, CELL_IS_A_KEY))
@example(pair=(number_to_text(True, "1", "c", "2.5"), number_to_text(False, "1", "c", "A")))
@example(pair=(number_to_text(False, "1", "c", "A"), number_to_text(True, "1", "c", "2.5")))
@example(pair=(NOTHING_IN_COMMON[0], NOTHING_IN_COMMON[1]))
@example(pair=(FILTER_NOW_FIGURE[0], FILTER_NOW_FIGURE[1]))
@example(pair=(FILTER_NOW_FIGURE[1], FILTER_NOW_FIGURE[0]))
@given(pair=PAIRS)
def test_revisions_applied_to_the_old_version_give_the_new_one(
    connection: duckdb.DuckDBPyConnection, pair: tuple[Made, Made]
) -> None:
    old, new = pair
    connection.execute("BEGIN")
    try:
        for number, made in ((OLD, old), (NEW, new)):
            store(connection, number, made)
        columns = history.stored_columns(connection, "d")
        assert columns == {OLD: list(old.columns), NEW: list(new.columns)}
        described = Comments(connection, "d")
        (found,) = revisions.update(connection, "d", columns, {}, described, replaced=[OLD, NEW], compared_at=NOW)
        unified = revisions.names_of(columns)
        check_revisions(connection, found, old, new, unified)
        history.create(connection, "d", columns, described)
        check_history(connection, old, new)
        long.create_view(connection, "d", NEW, {}, described)
        cells = connection.execute("SELECT count(*) FROM d.latest_long").fetchone()
        assert cells == (len(new.rows) * sum(column.role is Role.INDICATOR for column in new.columns),)
    finally:
        connection.execute("ROLLBACK")


@settings(max_examples=40)
@example(pair=(CELL_IS_A_KEY, CELL_IS_A_KEY))
@example(pair=(NOTHING_IN_COMMON[0], NOTHING_IN_COMMON[1]))
@given(pair=PAIRS)
def test_any_difference_can_be_told_and_audited(
    connection: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str], pair: tuple[Made, Made]
) -> None:
    old, new = pair
    connection.execute("BEGIN")
    try:
        for number, made in ((OLD, old), (NEW, new)):
            store(connection, number, made)
        found = compare(connection, "d", OLD, NEW, revisions.names_of(history.stored_columns(connection, "d")))
        told = difference._Difference("d", found, connection)
        capsys.readouterr()
        difference._print(told, 0)
        shown = capsys.readouterr().out
        difference._print_json(told)
        document = json.loads(capsys.readouterr().out)
        checks = audit(Seen(NEW, found.structure, found.counts, found.key_is_unique, found.imputed), found.structure)
    finally:
        connection.execute("ROLLBACK")
    cells, by_indicator = document["rows"], document["summary"]["by_indicator"]
    assert Counter(row["class"] for row in cells) == Counter({name: n for name, n in found.counts.items() if n})
    assert sum(map(sum, (counts.values() for counts in by_indicator.values()))) == sum(
        row["indicator"] is not None for row in cells
    )
    assert shown.startswith("d 1.0 -> 1.0.1: ")
    assert all(str(item) in shown for item in found.structure)
    by_name = {check.name: check for check in checks}
    assert by_name["seen_was_announced"].passed
    assert by_name["announced_was_seen"].passed
    assert by_name["rows_kept"].affected == found.counts["removed"]
    assert by_name["something_changed"].passed == bool(cells or found.structure)


NUMBERS = (OLD, NEW, VersionNumber(1, 1), VersionNumber(2, 0))
STEPS = POOLS.flatmap(
    lambda pool: st.lists(st.tuples(st.sampled_from(NUMBERS), versions(pool)), min_size=2, max_size=5)
)
WITH_A_FILTER, WITHOUT = CELL_IS_A_KEY, Made(CELL_IS_A_KEY.columns[1:], {}, (("1",),))


def filters(**ids: str) -> Made:
    columns = tuple(StoredColumn(name, Role.FILTER, False, column_id) for name, column_id in ids.items())
    labels = {column_id: {"1": "A", "2": "B", "3": "Total"} for column_id in ids.values()}
    return Made(columns, labels, (("A",) * len(columns),))


@settings(max_examples=25)
@example(  # the version that told x from x is replaced
    steps=[
        (NEW, filters(x="f1")),
        (OLD, filters(x="f1", y="f2")),
        (VersionNumber(1, 1), filters(x="f2")),
        (OLD, WITHOUT),
    ]
)
@example(  # a later version has the same columns in another order
    steps=[
        (OLD, filters(x="f1", y="f2")),
        (NEW, filters(x="f1", y="f2")),
        (VersionNumber(1, 1), filters(y="f2", x="f1")),
    ]
)
@example(  # a catalogue may hold a place's column that the vocabulary of this program does not know
    steps=[(OLD, CELL_IS_A_KEY), (NEW, Made((StoredColumn("x", Role.GEOGRAPHY, False),), {}, (("1",),)))]
)
@example(steps=[(OLD, WITHOUT), (NEW, WITH_A_FILTER), (NEW, WITHOUT)])  # a column goes when its version is replaced
@given(steps=STEPS)
def test_revisions_kept_up_to_date_are_those_made_anew(
    connection: duckdb.DuckDBPyConnection, steps: list[tuple[VersionNumber, Made]]
) -> None:
    """Whatever came in which order, and whichever version was replaced."""
    connection.execute("BEGIN")
    try:
        connection.execute("CREATE SCHEMA kept; CREATE SCHEMA anew")
        columns: Mapping[VersionNumber, Sequence[StoredColumn]] = {}
        for number, made in steps:
            store(connection, number, made, "kept")
            before, columns = columns, history.stored_columns(connection, "kept")
            described = Comments(connection, "kept")
            revisions.update(connection, "kept", columns, before, described, replaced=[number], compared_at=NOW)
        for number, made in dict(steps).items():
            store(connection, number, made, "anew")
        described = Comments(connection, "anew")
        revisions.update(connection, "anew", columns, {}, described, replaced=list(columns), compared_at=NOW)
        for table in ("{}.revisions", "(SELECT * EXCLUDE (data_set) FROM catalogue.comparisons WHERE data_set = '{}')"):
            found = []
            for name in ("kept", "anew"):
                result = connection.execute(f"SELECT * FROM {table.format(name)}")
                columns_found = [column for column, *_ in result.description]
                found.append((columns_found, Counter(map(repr, result.fetchall()))))
            assert found[0] == found[1]
    finally:
        connection.execute("ROLLBACK")


def check_revisions(
    connection: duckdb.DuckDBPyConnection, found: Comparison, old: Made, new: Made, unified: Sequence[UnifiedColumn]
) -> None:
    telling = {Role.TIME, Role.GEOGRAPHY, Role.FILTER}
    assert {c.name for c in unified if c.role in telling and c.name != "version"} <= set(found.keys)
    before = unified_rows(OLD, old, new, unified, found)
    after = unified_rows(NEW, new, old, unified, found)
    result = connection.execute("SELECT * FROM d.revisions")
    names = [str(name) for name, *_ in result.description]
    changes = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    assert Counter(change["class"] for change in changes) == Counter(
        {name: count for name, count in found.counts.items() if count}
    )

    def key(change: dict[str, Any]) -> tuple[str | None, ...]:
        return tuple(change[name] for name in found.keys)

    numeric = {column.name for column in unified if column.is_numeric}
    cells: dict[tuple[str | None, ...], dict[str, tuple[object, object]]] = {}
    for change in changes:
        if change["indicator"] is not None:
            was, now = (
                (change[f"{side}_value"], change[f"{side}_flag"])
                if change["indicator"] in numeric
                else change[f"{side}_text"]
                for side in ("old", "new")
            )
            assert was != now, change
            assert change["indicator"] not in cells.setdefault(key(change), {}), change
            cells[key(change)][change["indicator"]] = was, now
    removed = Counter(key(change) for change in changes if change["class"] == "removed")
    added = Counter(key(change) for change in changes if change["class"] == "added")
    if found.key_is_unique:
        assert not removed.keys() & added.keys()
    left = Counter((its_key, repr(sorted(its.items()))) for its_key, its in after)
    rest = []
    for its_key, its in before:  # rows that both have
        whole = its_key, repr(sorted(its.items()))
        if left[whole]:
            left[whole] -= 1
        else:
            rest.append((its_key, its))
    for its_key, its in rest:
        changed = cells.pop(its_key, None)
        if changed is None:
            assert removed[its_key], (its_key, its, changes)
            removed[its_key] -= 1
            continue
        assert all(its[name] == was for name, (was, _) in changed.items()), (its, changed)
        whole = its_key, repr(sorted((its | {name: now for name, (_, now) in changed.items()}).items()))
        assert left[whole], (whole, left)
        left[whole] -= 1
    assert not cells, cells
    assert not +removed
    assert Counter(its_key for its_key, _ in left.elements()) == added


def check_history(connection: duckdb.DuckDBPyConnection, old: Made, new: Made) -> None:
    """history has every row of every version, as_of those of one, and each cell is where its column is."""
    counts = connection.execute("SELECT data_set_version, count(*) FROM d.history GROUP BY 1").fetchall()
    assert dict(counts) == {str(number): len(made.rows) for number, made in ((OLD, old), (NEW, new)) if made.rows}
    columns = {OLD: list(old.columns), NEW: list(new.columns)}
    for number, made, moment in ((OLD, old, "2026-01-01T12:00:00Z"), (NEW, new, "2026-01-03")):
        unified = unify(columns, reserved=("data_set_version", "published"))
        parts = [(column.names[number], column) for column in unified if number in column.names]
        selected = ", ".join(
            f"{quoted(c.name)}, {quoted(c.flag) if number in c.numeric_in else 'NULL'}" for _, c in parts
        )
        rows = connection.execute(
            f"SELECT {selected} FROM d.as_of('{moment}') WHERE data_set_version = '{number}'"
        ).fetchall()
        wanted = []
        for row in made.rows:
            cells = dict(zip(made.names, row, strict=True))
            expected: list[object] = []
            for own, column in parts:
                cell = cells[own]
                if number not in column.numeric_in:
                    expected += [cell, None]
                else:
                    value, flag = figure(str(cell))
                    shown = value if column.is_numeric else None if flag else cell
                    expected += [shown, flag]
            wanted.append(tuple(expected))
        assert Counter(rows) == Counter(wanted)
