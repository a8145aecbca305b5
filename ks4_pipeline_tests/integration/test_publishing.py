"""Editions of the warehouse: how they take each other's place, what channels show, and what the catalogue says."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

import duckdb
import pytest

from ks4_pipeline.errors import ConfigurationError, Ks4Error
from ks4_pipeline.integrity import verify
from ks4_pipeline.run import rebuild
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import equality, file, tables
from ks4_pipeline.warehouse.file import WarehouseError, WarehouseFile
from ks4_pipeline_tests.publisher import (
    HEADER,
    KEY_CELLS,
    KEYS,
    Edition,
    describe,
    id_of,
    load,
    pipeline_for,
    rows,
    scored,
)

READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall(), flush=True)
"""
DECOYS = {"a*b": "axb", "my [data]": "my d"}
READ = "SELECT score FROM d.latest ORDER BY ALL"


@pytest.fixture
def publisher(tmp_path):
    """A sandbox with data set ``d`` (1.0 out, 1.1 and 2.0 held) and a pipeline that follows it."""
    data_set = describe(
        tmp_path / "published",
        "d",
        Edition("1.0", scored("1", "c"), {"notes": ""}),
        Edition("1.1", scored("2", "c"), {"held": True, "notes": "Corrected."}),
        Edition("2.0", scored("3", "c"), {"held": True}),
    )
    with Sandbox(tmp_path / "published") as sandbox:
        yield sandbox, data_set, pipeline_for(tmp_path / "data", sandbox.url, data_set)


def ask(pipeline, query, parameters=()):
    with pipeline.warehouse.read() as connection:
        return connection.execute(query, list(parameters)).fetchall()


def no_thread():
    raise RuntimeError("can't start new thread")


def state(path: Path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()


class TestTheFile:
    def test_a_reader_from_before_keeps_the_old_edition_and_a_later_one_sees_the_new(self, publisher):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        reader = subprocess.Popen(
            [
                sys.executable, "-c", READER, str(pipeline.warehouse.path),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert tell(reader, READ) == "[(1.0,), (None,)]"
            sandbox.publish(data_set.id, "1.1")
            assert load(pipeline).published
            assert tell(reader, READ) == "[(1.0,), (None,)]"
            assert tell(reader, "SELECT count(*) FROM catalogue.versions") == "[(1,)]"
        finally:
            reader.stdin.close()
            reader.wait(20)
            reader.stdout.close()
        assert ask(pipeline, READ) == [(2.0,), (None,)]

    def test_what_is_in_force_is_read_once_per_edition(self, publisher):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        first = pipeline.in_force()
        assert pipeline.in_force() is first
        sandbox.publish(data_set.id, "1.1")
        load(pipeline_for(pipeline.settings.data_dir, sandbox.url, data_set))  # as another process would
        assert sorted(map(str, pipeline.in_force()["d"])) == ["1.0", "1.1"]
        pipeline.warehouse.path.unlink()
        assert pipeline.in_force() == {}

    @pytest.mark.parametrize("has_threads", [True, False])
    def test_the_next_reader_waits_until_one_is_closed_that_nobody_waits_for(self, publisher, monkeypatch, has_threads):
        _, _, pipeline = publisher
        load(pipeline)
        may_close, closed = threading.Event(), []

        def open_slowly(path):
            connection = duckdb.connect(path, read_only=True)

            @contextmanager
            def closing():
                yield connection
                may_close.wait(20)
                connection.close()
                closed.append(threading.current_thread().name)

            return closing()

        monkeypatch.setattr(file, "_open_read_only", open_slowly)
        if not has_threads:
            may_close.set()
            monkeypatch.setattr(file, "GivingBack", lambda **_: no_thread())
        with pipeline.warehouse.read(leaves_closing=True) as connection:
            assert connection.execute(READ).fetchall() == [(1.0,), (None,)]
        assert closed == ([] if has_threads else ["MainThread"])
        threading.Timer(0.2, may_close.set).start()
        with pipeline.warehouse.read() as connection:
            assert closed == ["ks4-close" if has_threads else "MainThread"]

    def test_an_interruption_where_its_closing_begins_lets_the_next_reader_in(self, publisher, monkeypatch):
        _, _, pipeline = publisher
        load(pipeline)

        def interrupted():
            raise KeyboardInterrupt

        monkeypatch.setattr(file.GivingBack, "start", lambda _: interrupted())
        with pytest.raises(KeyboardInterrupt), pipeline.warehouse.read(leaves_closing=True):
            pass
        assert ask(pipeline, READ) == [(1.0,), (None,)]

    def test_it_is_closed_at_once_after_an_error(self, publisher):
        _, _, pipeline = publisher
        load(pipeline)
        with pytest.raises(ZeroDivisionError), pipeline.warehouse.read(leaves_closing=True) as connection:
            1 / 0  # noqa: B018
        with pytest.raises(duckdb.ConnectionException):
            connection.execute(READ)

    def test_it_can_only_be_read(self, publisher):
        _, _, pipeline = publisher
        load(pipeline)
        assert stat.S_IMODE(pipeline.warehouse.path.stat().st_mode) == 0o444

    def test_a_stray_wal_is_set_aside_and_what_was_not_finished_is_removed(self, publisher, tmp_path):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        stray = tmp_path / "data" / "warehouse.duckdb.wal"
        stray.write_bytes(b"left by somebody who opened the file to write")
        for name in ("warehouse.build-99999.duckdb", "warehouse.build-99999.duckdb.wal"):
            (tmp_path / "data" / name).write_bytes(b"left by a process that was killed")
        sandbox.publish(data_set.id, "1.1")
        load(pipeline)
        names = sorted(path.name for path in (tmp_path / "data").iterdir())
        assert [name for name in names if name.startswith("warehouse.duckdb.wal.stray-")]
        assert not stray.exists()
        assert not [name for name in names if "build" in name]
        assert ask(pipeline, READ) == [(2.0,), (None,)]

    def test_several_versions_make_one_edition(self, publisher, monkeypatch):
        sandbox, data_set, pipeline = publisher
        sandbox.publish(data_set.id, "1.1")
        sandbox.publish(data_set.id, "2.0")
        editions = []
        put = WarehouseFile._put_in_place
        monkeypatch.setattr(
            WarehouseFile, "_put_in_place", lambda self, build: (editions.append(build), put(self, build))
        )
        load(pipeline)
        assert len(editions) == 1
        assert sorted(map(str, pipeline.in_force()["d"])) == ["1.0", "1.1", "2.0"]

    def test_an_edition_that_fails_leaves_the_published_one_as_it_is(self, publisher):
        _, _, pipeline = publisher
        load(pipeline)
        before = state(pipeline.warehouse.path)
        with pytest.raises(WarehouseError, match="could not be made"), pipeline.warehouse.rewrite() as connection:
            connection.execute("CREATE TABLE d.half AS SELECT 1; SELECT * FROM nowhere")
        with pytest.raises(ZeroDivisionError), pipeline.warehouse.rewrite():
            _ = 1 / 0
        assert state(pipeline.warehouse.path) == before
        assert not list(pipeline.warehouse.path.parent.glob("*build*"))

    def test_it_can_be_attached_under_another_name(self, publisher):
        _, _, pipeline = publisher
        load(pipeline)
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{pipeline.warehouse.path}' AS other (READ_ONLY)")
            assert connection.execute("SELECT score FROM other.d.v1_0_0 ORDER BY ALL").fetchall() == [(1.0,), (None,)]
            assert connection.execute("SELECT score FROM other.d.latest ORDER BY ALL").fetchall() == [(1.0,), (None,)]
            assert connection.execute("SELECT count(*) FROM other.d.latest_long").fetchall() == [(4,)]
            for schema, name in connection.execute(
                "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'other' AND NOT internal"
            ).fetchall():
                connection.execute(f"SELECT * FROM other.{schema}.{name}").fetchall()

    def test_a_copy_under_another_name_answers_too(self, publisher, tmp_path):
        _, _, pipeline = publisher
        load(pipeline)
        shutil.copy(pipeline.warehouse.path, tmp_path / "my copy.duckdb")
        with duckdb.connect(tmp_path / "my copy.duckdb", read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM d.latest_long").fetchall() == [(4,)]

    @pytest.mark.parametrize("content", [b"", b"not a database", None], ids=["empty", "text", "without catalogue"])
    def test_a_file_that_is_no_warehouse_is_named_in_the_error(self, publisher, content):
        _, _, pipeline = publisher
        path = pipeline.warehouse.path
        path.parent.mkdir()
        if content is None:
            duckdb.connect(path).close()
        else:
            path.write_bytes(content)
        with pytest.raises(WarehouseError, match=r"warehouse\.duckdb"):
            load(pipeline)

    @pytest.mark.skipif(os.name == "nt", reason="no such folder names there")
    @pytest.mark.parametrize(
        "folder", ["grp=other", "pupils=3", "year=2024", "a*b", "my [data]", "it's", "ünï 😀", "50%"]
    )
    def test_the_name_of_the_data_directory_never_reaches_the_data(self, publisher, tmp_path, folder):
        """DuckDB reads ``grp=other`` in a path as a column, and ``[data]`` as a pattern for other folders' names."""
        sandbox, data_set, _ = publisher
        if folder in DECOYS:  # it matches the folder's name, read as a pattern
            load(pipeline_for(tmp_path / DECOYS[folder], sandbox.url, data_set))
        pipeline = pipeline_for(tmp_path / folder, sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
        assert ask(pipeline, "SELECT grp, pupils, score, score_flag FROM d.v1_0_0 ORDER BY rowid") == [
            ("group 1", 10.0, 1.0, None),
            ("group 2", 10.0, None, "c"),
        ]


def tell(reader: subprocess.Popen, query: str) -> str:
    reader.stdin.write(query + "\n")
    reader.stdin.flush()
    return reader.stdout.readline().strip()


class TestChannels:
    def shown(self, pipeline):
        with pipeline.warehouse.read() as connection:
            views = connection.execute(
                "SELECT view_name FROM duckdb_views() WHERE schema_name = 'd' AND view_name SIMILAR TO 'latest|v\\d.*'"
            ).fetchall()
            return {
                name: connection.execute(f"SELECT max(score) FROM d.{name}").fetchone()[0] for (name,) in sorted(views)
            }

    def test_they_follow_new_versions_and_step_back_when_one_is_withdrawn(self, publisher):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        assert self.shown(pipeline) == {"latest": 1, "v1": 1, "v1_0": 1}
        sandbox.publish(data_set.id, "1.1")
        sandbox.publish(data_set.id, "2.0")
        load(pipeline)
        assert self.shown(pipeline) == {"latest": 3, "v1": 2, "v1_0": 1, "v1_1": 2, "v2": 3, "v2_0": 3}

        sandbox.withdraw(data_set.id, "2.0")
        report = load(pipeline)
        assert (report.outcomes, report.published) == ([], True)
        assert self.shown(pipeline) == {"latest": 2, "v1": 2, "v1_0": 1, "v1_1": 2}
        assert ask(pipeline, "SELECT count(*) FROM d.v2_0_0") == [(2,)], "its table stays"
        ((status, withdrawn),) = ask(
            pipeline, "SELECT status, withdrawn IS NOT NULL FROM catalogue.versions WHERE version = '2.0'"
        )
        assert (status, withdrawn) == ("Withdrawn", True)

        sandbox.deprecate(data_set.id, "1.1")
        load(pipeline)
        assert self.shown(pipeline) == {"latest": 1, "v1": 1, "v1_0": 1}
        assert ask(pipeline, "SELECT version, channels FROM catalogue.versions ORDER BY version") == [
            ("1.0", "latest,v1,v1_0"), ("1.1", ""), ("2.0", ""),
        ]  # fmt: skip

        sandbox.restore(data_set.id, "2.0")
        load(pipeline)
        assert self.shown(pipeline)["latest"] == 3
        assert not load(pipeline).published

    def test_without_an_eligible_version_there_is_no_channel(self, publisher):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        sandbox.withdraw(data_set.id, "1.0")
        load(pipeline)
        assert self.shown(pipeline) == {}
        assert ask(pipeline, "SELECT count(*) FROM d.v1_0_0") == [(2,)]

    def test_a_version_the_publisher_no_longer_lists_stays_and_is_said_to_be_unlisted_once(self, publisher):
        sandbox, data_set, pipeline = publisher
        sandbox.publish(data_set.id, "1.1")
        load(pipeline)
        sandbox.hold(data_set.id, "1.1")
        assert load(pipeline).published
        assert self.shown(pipeline)["latest"] == 1
        unlisted = "SELECT version, status, \"table\" FROM catalogue.versions WHERE status = 'Unlisted'"
        assert ask(pipeline, unlisted) == [("1.1", "Unlisted", "v1_1_0")]
        assert not load(pipeline).published, "that is no news any more"
        assert rebuild(pipeline).exit_code == 0
        assert ask(pipeline, unlisted) == [("1.1", "Unlisted", "v1_1_0")]
        assert not load(pipeline).published


class TestIdentity:
    def test_another_data_set_under_a_used_name_is_an_error_even_when_its_versions_look_the_same(self, tmp_path):
        ours = describe(tmp_path / "published", "d", Edition("1.0", scored("1")))
        other = describe(tmp_path / "published", "other", Edition("1.0", scored("9")))
        with Sandbox(tmp_path / "published") as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, ours)
            load(pipeline)
            before = state(pipeline.warehouse.path), (tmp_path / "data/landing/d/listing.json").read_bytes()
            sandbox.clear_requests()
            confused = pipeline_for(tmp_path / "data", sandbox.url, DataSet(name="d", id=other.id))
            with pytest.raises(ConfigurationError, match=f"{ours.id}.*{other.id}"):
                load(confused)
            assert sandbox.requests == []
            after = state(pipeline.warehouse.path), (tmp_path / "data/landing/d/listing.json").read_bytes()
            assert after == before
            (tmp_path / "data/landing/d/listing.json").unlink()
            with pytest.raises(ConfigurationError, match=f"{ours.id}.*{other.id}"):
                load(confused)  # the warehouse alone is enough to know it, and the folder stays ours
            assert not (tmp_path / "data/landing/d/listing.json").exists()
            assert load(pipeline).exit_code == 0
            pipeline.warehouse.path.unlink()
            with pytest.raises(ConfigurationError, match=f"{ours.id}.*{other.id}"):
                load(confused)  # the landing folder alone is enough to know it
            assert load(pipeline).exit_code == 0

    def test_a_run_that_is_refused_for_one_data_set_leaves_the_lists_of_the_others(self, tmp_path):
        first, ours, other = (
            describe(tmp_path / "published", name, Edition("1.0", scored("1"))) for name in ("a", "b", "other")
        )
        with Sandbox(tmp_path / "published") as sandbox:
            load(pipeline_for(tmp_path / "data", sandbox.url, first, ours))
            lists = [tmp_path / "data" / "landing" / name / "listing.json" for name in ("a", "b")]
            lists[1].write_text(lists[1].read_text().replace(ours.id, other.id))
            before = [path.read_bytes() for path in lists]
            with pytest.raises(ConfigurationError, match=other.id):
                load(pipeline_for(tmp_path / "data", sandbox.url, first, ours))
            assert [path.read_bytes() for path in lists] == before

    @pytest.mark.parametrize("name", ["warehouse", "memory", "main", "catalogue", "temp"])
    def test_names_that_databases_or_schemas_of_ours_have_are_reserved(self, name):
        with pytest.raises(ValueError, match="reserved"):
            DataSet(name=name, id=id_of("d"))

    @pytest.mark.parametrize("name", ["select", "table", "latest", "v1", "user", "default"])
    def test_names_that_sql_reserves_will_do(self, tmp_path, name):
        data_set = describe(tmp_path / "published", name, Edition("1.0", scored("1")))
        with Sandbox(tmp_path / "published") as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
            assert load(pipeline).exit_code == 0
        assert ask(pipeline, f'SELECT score FROM "{name}".latest') == [(1.0,)]


def run_in_a_process(data_dir, url, data_set, barrier, answers):
    pipeline = pipeline_for(data_dir, url, data_set)
    barrier.wait(30)
    try:
        answers.put((load(pipeline).exit_code, ""))
    except Ks4Error as error:
        answers.put((None, str(error)))


@pytest.mark.parametrize("names", [("d", "d"), ("d", "e")], ids=["one data set", "two data sets"])
def test_two_processes_at_once_both_end_well(tmp_path, names):
    root = tmp_path / "published"
    data_sets = {
        name: describe(root, name, *(Edition(f"1.{minor}", scored(str(minor), "c")) for minor in range(4)))
        for name in names
    }
    context = multiprocessing.get_context("spawn")
    with Sandbox(root) as sandbox:
        barrier, answers = context.Barrier(2), context.Queue()
        processes = [
            context.Process(
                target=run_in_a_process,
                args=(tmp_path / "data", sandbox.url, data_sets[name], barrier, answers),
            )
            for name in names
        ]
        for process in processes:
            process.start()
        assert [answers.get(timeout=60) for _ in processes] == [(0, ""), (0, "")]
        for process in processes:
            process.join(30)
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, *data_sets.values())
        assert {name: len(versions) for name, versions in pipeline.in_force().items()} == dict.fromkeys(names, 4)
        assert not load(pipeline).published
        for name in data_sets:
            assert ask(pipeline, f"SELECT score, score_flag FROM {name}.latest ORDER BY ALL") == [
                (3.0, None),
                (None, "c"),
            ]
            assert ask(pipeline, "SELECT count(*) FROM catalogue.versions WHERE data_set = ?", [name]) == [(4,)]
            assert ask(pipeline, "SELECT count(*) FROM catalogue.columns WHERE data_set = ?", [name]) == [(4 * 10,)]
        assert not list((tmp_path / "data").rglob(".*"))


WEEKS = [("2023", "Week 10"), ("2023", "Week 2"), ("2024", "Week 1"), ("2023", "Week 52")]
PLACES = [("Local authority", "E08000001", "350", "Bolton"), ("National", "", "", "")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    header = [*KEYS, "new_la_code", "old_la_code", "la_name", "grp", "pupils", "score", "note", "extra"]

    def table(groups, *, score="score"):
        cells = product(WEEKS, PLACES, groups)
        lines = [
            f"{period},{kind},{level},E92000001,England,{code},{old},{place},{group},10,c,words,"
            for (period, kind), (level, code, old, place), group in cells
        ]
        return "\n".join([",".join([*header[:10], score, *header[11:]]), *lines]) + "\n"

    text = {"column": "note", "label": "Remark", "unit": "string"}
    pupils = {"column": "pupils", "label": "Number of pupils", "decimal_places": 0}
    score = {"column": "score", "label": "Average score", "unit": "%", "decimal_places": 1}
    renamed = {**score, "column": "mean_score", "was": "score"}
    data_set = describe(
        root,
        "d",
        Edition("1.0", table("AB"), {"published": datetime(2025, 3, 1, 9, 30, tzinfo=UTC)}),
        Edition(
            "1.0.1",
            table("AB", score="mean_score"),
            {"notes": 'Renamed a column.\nIt\'s "better" so.', "indicators": [pupils, renamed, text]},
        ),
        Edition(
            "2.0",
            table("AC", score="mean_score"),
            {
                "release": {"title": "Year 2024", "slug": "2024"},
                "indicators": [pupils, renamed, text],
            },
        ),
        indicators=[pupils, score, text],
        summary="What it is about.",
    )
    with Sandbox(root) as sandbox:
        pipeline = pipeline_for(tmp_path_factory.mktemp("data"), sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
        yield pipeline, data_set


class TestTheCatalogue:
    @pytest.fixture
    def ask(self, world):
        return lambda query, parameters=(): ask(world[0], query, parameters)

    def test_versions(self, ask, world):
        pipeline, data_set = world
        found = ask(
            'SELECT version, major, minor, patch, bump, status, notes, release, rows, "table", channels,'
            " sha256, csv_bytes, published FROM catalogue.versions ORDER BY major, minor, patch"
        )
        assert [row[:11] for row in found] == [
            ("1.0", 1, 0, 0, "major", "Published", "", "Release 1.0", 16, "v1_0_0", ""),
            ("1.0.1", 1, 0, 1, "patch", "Published", "Renamed a column.\nIt's \"better\" so.", "Release 1.0", 16,
             "v1_0_1", "v1,v1_0"),
            ("2.0", 2, 0, 0, "major", "Published", "", "Year 2024", 16, "v2_0_0", "latest,v2,v2_0"),
        ]  # fmt: skip
        for version, *_, sha256, csv_bytes, _published in found:
            landed = pipeline.landing.get(data_set, VersionNumber.parse(version))
            assert (sha256, csv_bytes) == (landed.manifest.served.sha256, landed.manifest.csv.bytes)
            assert hashlib.sha256(landed.csv.read_bytes()).hexdigest() == sha256
        assert found[0][-1] == datetime(2025, 3, 1, 9, 30, tzinfo=UTC)

    def test_data_sets(self, ask, world):
        assert ask("SELECT data_set, id, title, summary, status, latest_version FROM catalogue.data_sets") == [
            ("d", world[1].id, "Test data set d", "What it is about.", "Published", "2.0")
        ]

    def test_columns_are_those_of_meta_and_of_the_table(self, ask, world):
        pipeline, data_set = world
        for version, score in (("1.0", "score"), ("2.0", "mean_score")):
            meta = pipeline.landing.get(data_set, VersionNumber.parse(version)).meta
            ids = {item.column: item.id for item in (*meta.filters, *meta.indicators)}
            found = ask(
                "SELECT column_name, role, data_type, id, label, unit, decimal_places FROM catalogue.columns"
                " WHERE version = ? ORDER BY position",
                [version],
            )
            assert found == [
                ("time_period", "time", "VARCHAR", None, None, None, None),
                ("time_identifier", "time", "VARCHAR", None, None, None, None),
                *((n, "geography", "VARCHAR", None, None, None, None) for n in (*KEYS[2:], *PLACE_COLUMNS)),
                ("grp", "filter", "VARCHAR", ids["grp"], "Social care group", None, None),
                ("pupils", "indicator", "DOUBLE", ids["pupils"], "Number of pupils", None, 0),
                ("pupils_flag", "flag", "VARCHAR", ids["pupils"], "Number of pupils", None, 0),
                (score, "indicator", "DOUBLE", ids[score], "Average score", "%", 1),
                (f"{score}_flag", "flag", "VARCHAR", ids[score], "Average score", "%", 1),
                ("note", "indicator", "VARCHAR", ids["note"], "Remark", "string", None),
                ("extra", "other", "VARCHAR", None, None, None, None),
            ]
            table = f"v{version.replace('.', '_')}_0"
            assert [(row[0], row[2]) for row in found] == ask(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'd' AND table_name = ?"
                " ORDER BY column_index",
                [table],
            )

    def test_an_indicator_keeps_its_id_under_a_new_name(self, ask):
        ids = ask("SELECT DISTINCT id FROM catalogue.columns WHERE column_name IN ('score', 'mean_score')")
        assert len(ids) == 1

    def test_filter_options_locations_and_markers(self, ask, world):
        pipeline, data_set = world
        meta = pipeline.landing.get(data_set, VersionNumber(2, 0)).meta
        assert ask(
            "SELECT filter_id, option_id, label FROM catalogue.filter_options WHERE version = '2.0' ORDER BY label"
        ) == [(meta.filters[0].id, option.id, option.label) for option in meta.filters[0].options]
        places = ask(
            "SELECT level, level_code, label, code, old_code FROM catalogue.locations WHERE version = '2.0' ORDER BY 1"
        )
        assert places == [
            ("Local authority", "LA", "Bolton", "E08000001", "350"),
            ("National", "NAT", "England", "E92000001", None),
        ]
        assert ask("SELECT marker, reason FROM catalogue.markers WHERE marker IN ('c', 'low', '~') ORDER BY ALL") == [
            ("c", "confidential"), ("low", "rounds_to_zero"), ("~", "rounds_to_zero"),
        ]  # fmt: skip

    def test_time_periods_stand_in_order_of_time_and_lead_back_to_the_table(self, ask):
        assert ask(
            "SELECT position, time_period, time_identifier, code FROM catalogue.time_periods WHERE version = '2.0'"
            " ORDER BY position"
        ) == [
            (1, "2023", "Week 2", "W2"), (2, "2023", "Week 10", "W10"), (3, "2023", "Week 52", "W52"),
            (4, "2024", "Week 1", "W1"),
        ]  # fmt: skip
        assert ask(
            "SELECT count(*) FROM d.v2_0_0 JOIN catalogue.time_periods AS p USING (time_period, time_identifier)"
            " WHERE p.version = '2.0'"
        ) == [(16,)]

    def test_changes_are_what_the_publisher_says(self, ask):
        found = ask("SELECT version, severity, kind, action, within, label FROM catalogue.changes ORDER BY ALL")
        assert ("1.0.1", "minor", "indicators", "changed", None, "Average score") in found
        assert ("2.0", "major", "filter_options", "removed", "grp", "B") in found
        assert ("2.0", "minor", "filter_options", "added", "grp", "C") in found
        assert not [row for row in found if row[0] == "1.0"]

    def test_loads_and_checks(self, ask):
        assert ask("SELECT version, outcome, reason, rows FROM catalogue.loads ORDER BY version") == [
            (version, "loaded", None, 16) for version in ("1.0", "1.0.1", "2.0")
        ]
        names = {"rows_unique", "canonical_cells", "current_markers"}
        for version in ("1.0", "1.0.1", "2.0"):
            found = ask("SELECT check_name, severity FROM catalogue.checks WHERE version = ?", [version])
            assert names <= {name for name, _ in found}

    def test_every_table_view_and_column_has_a_comment(self, ask):
        internal = "schema_name IN ('d', 'catalogue')"
        assert ask(f"SELECT schema_name, table_name FROM duckdb_tables() WHERE {internal} AND comment IS NULL") == []
        assert ask(f"SELECT schema_name, view_name FROM duckdb_views() WHERE {internal} AND comment IS NULL") == []
        nothing = ask(
            f"SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE {internal} AND comment IS NULL"
        )
        assert nothing == []

    def test_comments_say_label_unit_and_notes(self, ask):
        def comment(column):
            return ask(
                "SELECT comment FROM duckdb_columns() WHERE schema_name = 'd' AND table_name = 'latest'"
                " AND column_name = ?",
                [column],
            )[0][0]

        assert comment("mean_score").startswith("Average score. Unit: %. Published to 1 decimal place.")
        assert "mean_score_flag" in comment("mean_score")
        assert "c confidential" in comment("mean_score_flag")
        assert comment("grp").startswith("Social care group. Groups overlap. 2 options.")
        ((table,),) = ask("SELECT comment FROM duckdb_tables() WHERE schema_name = 'd' AND table_name = 'v1_0_1'")
        assert 'Renamed a column.\nIt\'s "better" so.' in table

    def test_latest_long_is_the_unpivoted_table(self, ask):
        wide = ask("SELECT * FROM d.v2_0_0")
        names = ["pupils", "pupils_flag", "mean_score", "mean_score_flag", "note"]
        reasons = dict(ask("SELECT marker, reason FROM catalogue.markers"))
        labels = {"pupils": "Number of pupils", "mean_score": "Average score", "note": "Remark"}
        units = {"pupils": None, "mean_score": "%", "note": "string"}
        expected = []
        for row in wide:
            cells = dict(zip(names, row[9:14], strict=True))
            keys = (*row[:9], row[14])
            for name in ("pupils", "mean_score"):
                flag = cells[f"{name}_flag"]
                expected.append(
                    (*keys, name, labels[name], units[name], cells[name], flag, reasons.get(flag), True, None)
                )
            expected.append((*keys, "note", labels["note"], units["note"], None, None, None, True, cells["note"]))
        assert sorted(ask("SELECT * FROM d.latest_long"), key=repr) == sorted(expected, key=repr)


PLACE_COLUMNS = ("new_la_code", "old_la_code", "la_name")


BY_NATURE = ("loaded_at", "compared_at", "seen_at")


class TestRebuild:
    def everything(self, pipeline):
        """Every table's rows; what differs from run to run by its nature is left out."""
        found = {}
        with pipeline.warehouse.read() as connection:
            tables = connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() UNION "
                "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
            for schema, table in tables:
                if (schema, table) == ("catalogue", "loads"):
                    continue
                rows_found = connection.execute(
                    f'SELECT COLUMNS(lambda name: name NOT IN {BY_NATURE}) FROM "{schema}"."{table}"'
                ).fetchall()
                found[schema, table] = sorted(rows_found, key=repr)
        return found

    def test_from_landing_alone_it_gives_equal_tables_without_the_network(self, publisher, tmp_path):
        sandbox, data_set, pipeline = publisher
        load(pipeline)
        for version in ("1.1", "2.0"):
            sandbox.publish(data_set.id, version)
            load(pipeline)
        sandbox.withdraw(data_set.id, "2.0")
        load(pipeline)
        before = self.everything(pipeline)
        sandbox.clear_requests()
        pipeline.warehouse.path.unlink()
        shutil.rmtree(tmp_path / "data" / "observations")
        report = rebuild(pipeline)
        assert (report.exit_code, report.published, sandbox.requests) == (0, True, [])
        assert self.everything(pipeline) == before
        assert not load(pipeline).published

    def test_with_nothing_landed_it_does_nothing(self, publisher):
        _, _, pipeline = publisher
        report = rebuild(pipeline)
        assert (report.exit_code, report.published) == (0, False)
        assert not pipeline.warehouse.exists()

    def test_copies_somebody_made_in_the_landing_folder_are_passed_over(self, publisher, tmp_path):
        _, _, pipeline = publisher
        load(pipeline)
        landing = tmp_path / "data" / "landing"
        shutil.copytree(landing / "d" / "1.0", landing / "d" / "1.0 (copy)")
        shutil.copytree(landing / "d" / "1.0", landing / "d" / ".unfinished-0123456789abcdef")
        shutil.copytree(landing / "d", landing / "d (copy)")
        assert rebuild(pipeline).exit_code == 0
        assert list(pipeline.in_force()) == ["d"]
        assert list(pipeline.in_force()["d"]) == [VersionNumber(1, 0)]

    @pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "removed"])
    def test_observations_that_were_harmed_are_made_anew(self, publisher, tmp_path, harm):
        _, _, pipeline = publisher
        load(pipeline)
        before = self.everything(pipeline)
        harmed = tmp_path / "data" / "observations" / "d" / "1.0.parquet"
        whole = harmed.read_bytes()
        match harm:
            case "cut":
                harmed.write_bytes(whole[:-20])
            case "changed":
                harmed.write_bytes(whole.replace(b"group 1", b"group 9"))
            case "emptied":
                harmed.write_bytes(b"")
            case "removed":
                harmed.unlink()
        assert rebuild(pipeline).exit_code == 0
        assert self.everything(pipeline) == before

    def test_a_version_that_cannot_be_rebuilt_leaves_the_warehouse_as_it_is(self, publisher, tmp_path):
        _, _, pipeline = publisher
        load(pipeline)
        before = state(pipeline.warehouse.path)
        landed = tmp_path / "data" / "landing" / "d" / "1.0" / "data.csv.gz"
        landed.write_bytes(landed.read_bytes()[:-1])
        report = rebuild(pipeline)
        assert (report.exit_code, report.published) == (1, False)
        assert "is not what landed" in report.outcomes[0].message
        assert state(pipeline.warehouse.path) == before


def test_the_order_of_rows_is_that_of_the_file_also_in_a_large_one(tmp_path):
    """More rows than one row group of Parquet, of DuckDB, and more than one thread's portion."""
    count = 300_000
    csv_text = rows(*(f"g{n % 7},{(n * 7919) % count},{n}" for n in range(count)))
    data_set = describe(tmp_path / "published", "d", Edition("1.0", csv_text))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    assert ask(
        pipeline, "SELECT count(*) FROM d.v1_0_0 WHERE score <> rowid OR pupils <> (rowid * 7919) % ?", [count]
    ) == [(0,)]
    assert ask(pipeline, "SELECT count(*), max(score) FROM d.v1_0_0") == [(count, count - 1.0)]
    assert HEADER.endswith("score")


def test_figures_of_another_publisher_are_never_put_beside_those_that_are_here(tmp_path: Path) -> None:
    data_set = describe(tmp_path / "published", "d", Edition("1.0", scored("1")))
    with Sandbox(tmp_path / "published") as sandbox:
        load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
    before = (tmp_path / "data" / "warehouse.duckdb").read_bytes()
    with Sandbox(tmp_path / "published") as sandbox:  # the same stand-in on another port is the same publisher
        assert load(pipeline_for(tmp_path / "data", sandbox.url, data_set)).exit_code == 0
    with pytest.raises(ConfigurationError, match=r"holds d from a stand-in.*give another KS4_DATA_DIR"):
        load(pipeline_for(tmp_path / "data", "https://api.example.org/statistics", data_set))
    listing = tmp_path / "data" / "landing" / "d" / "listing.json"
    for harm in (listing.unlink, partial(listing.write_text, "{")):  # then what has landed says it
        harm()
        with pytest.raises(ConfigurationError, match=r"holds d from a stand-in.*give another KS4_DATA_DIR"):
            load(pipeline_for(tmp_path / "data", "https://api.example.org/statistics", data_set))
    assert (tmp_path / "data" / "warehouse.duckdb").read_bytes() == before


class TestALargeTable:
    """Tables above a bound stand in no order; all else is as for small ones."""

    @pytest.fixture(autouse=True)
    def few_rows_are_many(self, monkeypatch):
        monkeypatch.setattr(tables, "IN_ORDER_UP_TO", 3)
        monkeypatch.setattr(equality, "IN_ORDER_UP_TO", 3)

    def test_it_has_all_rows_and_is_found_whole(self, tmp_path):
        rows = [f"{KEY_CELLS},g{number},{number},{number / 4}" for number in range(500)]
        root = tmp_path / "publisher"
        data_set = describe(root, "d", Edition("1.0", "\n".join([HEADER, *rows])))
        with Sandbox(root) as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
            assert load(pipeline).exit_code == 0
        with pipeline.warehouse.read() as connection:
            found = connection.execute("SELECT grp, pupils, score FROM d.v1_0_0").fetchall()
        assert sorted(found) == sorted((f"g{number}", number, number / 4) for number in range(500))
        assert verify(pipeline).findings == []

    def test_a_changed_cell_is_found(self, tmp_path):
        root = tmp_path / "publisher"
        rows = [f"{KEY_CELLS},g{number},{number},1" for number in range(9)]
        data_set = describe(root, "d", Edition("1.0", "\n".join([HEADER, *rows])))
        with Sandbox(root) as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
            load(pipeline)
        pipeline.warehouse.path.chmod(0o644)
        with duckdb.connect(pipeline.warehouse.path) as connection:
            connection.execute("UPDATE d.v1_0_0 SET score = 2 WHERE grp = 'g7'")
        assert any("score" in finding.what for finding in verify(pipeline).findings)
