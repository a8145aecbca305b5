"""``ks4 rebuild`` after a long life: the new warehouse is the old one, in everything a reader can see.

Compared by a dump of its own, in Python, which shares no code with ``ks4 verify``; and by ``ks4 verify`` as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ks4_pipeline.integrity import verify
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import rebuild, run
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, write_synthetic_ks4
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import (
    HEADER,
    INDICATORS,
    KEY_CELLS,
    Edition,
    describe,
    id_of,
    load,
    pipeline_for,
    rows,
)

V = VersionNumber.parse
TEXT_SCORE = {"indicators": [INDICATORS[0], {**INDICATORS[1], "unit": "string"}]}
NOTE_IS_A_FILTER = {"filters": [{"column": "grp", "label": "Group"}, {"column": "note", "label": "Note"}]}


def noted(*cells: str) -> str:
    """A CSV with a column more, which ``/meta`` knows only once it is a filter."""
    return "\n".join([f"{HEADER},note", *(f"{KEY_CELLS},{text}" for text in cells)]) + "\n"


def dump(path: Path) -> dict[str, object]:
    """Everything in a warehouse file: objects, their descriptions, and all rows; those of versions in their order."""
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def ask(query: str) -> list[tuple]:
            return connection.execute(query).fetchall()

        found: dict[str, object] = {
            "schemas": sorted(ask("SELECT schema_name, comment FROM duckdb_schemas() WHERE NOT internal"), key=repr),
            "columns": ask(
                "SELECT schema_name, table_name, column_name, column_index, data_type, is_nullable, column_default, "
                "comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
            ),
            "views": ask(
                "SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
            ),
            "macros": ask(
                "SELECT schema_name, function_name, parameters, macro_definition, comment FROM duckdb_functions() "
                "WHERE NOT internal ORDER BY ALL"
            ),
        }
        for schema, table, comment in ask("SELECT schema_name, table_name, comment FROM duckdb_tables()"):
            chosen = "* EXCLUDE (seen_at)" if table == "data_sets" else "*"  # each edition looks at a list of its own
            in_order = ask(f'SELECT {chosen} FROM "{schema}"."{table}" ORDER BY rowid')
            found[f"{schema}.{table}"] = (
                comment,
                in_order if table.startswith("v") and schema != "catalogue" else sorted(in_order, key=repr),
            )
        return found


@dataclass
class Life:
    """A data directory, and the publisher's states it saw one after the other."""

    folder: Path
    stage: int = 0

    def serve(self, publish: Callable[[Path], list[DataSet]], then: Callable[[Pipeline, Sandbox], object]) -> None:
        """Publish a new state, and do something with the pipeline that sees it."""
        self.stage += 1
        root = self.folder / f"published {self.stage}"
        data_sets = publish(root)
        with Sandbox(root) as sandbox:
            then(pipeline_for(self.folder / "data", sandbox.url, *data_sets), sandbox)

    def pipeline(self) -> Pipeline:
        """A pipeline that follows ``d`` alone, and whose publisher is out of reach."""
        return pipeline_for(self.folder / "data", "http://127.0.0.1:9/nobody", DataSet(name="d", id=id_of("d")))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data set ``d`` with everything that can happen to one, ``gone`` no longer followed, ``bad`` always refused."""
    life = Life(tmp_path_factory.mktemp("life"))
    one = Edition("1.0", noted("a,1,1,p", "b,c,2,p", "b,3,2,q"))
    patch = Edition("1.0.1", rows("a,*,1"))
    minor = Edition("1.1", noted("a,1,1.5,p", "b,4,2,p", "b,3,z,q"), {"notes": "First words."})
    minor_later = Edition("1.1", minor.csv, {"notes": "Other words, long after."})
    third = Edition("1.2", noted("a,1,1.5,p", "b,4,2,q"))
    major = Edition("2.0", noted("a,1,one,p", "b,4,two,q", "b,4,two,p"), {**TEXT_SCORE, **NOTE_IS_A_FILTER})
    withdrawn = Edition("2.0", major.csv, {**major.more, "status": "Withdrawn", "withdrawn": "2026-05-01T08:30:00Z"})
    again = Edition("1.0", noted("a,1,7,p", "b,c,2,p"))
    third_again = Edition("1.2", noted("a,1,1.5,p", "b,4,2,q", "c,4,2,q"))

    def publish(*editions: Edition, title: str = "A title", with_gone: bool = False) -> Callable[[Path], list[DataSet]]:
        def describe_all(root: Path) -> list[DataSet]:
            found = [describe(root, "d", *editions, title=title)]
            if with_gone:
                found.append(describe(root, "gone", Edition("1.0", rows("a,1,1")), Edition("1.0.1", rows("a,1,c"))))
                found.append(describe(root, "bad", Edition("1.0", rows("a,1,*"))))
            return found

        return describe_all

    def loads(pipeline: Pipeline, _sandbox: Sandbox) -> None:
        assert load(pipeline).published

    def accepts_one_and_lets_another_wait(pipeline: Pipeline, _sandbox: Sandbox) -> None:
        (data_set,) = pipeline.settings.data_sets
        load(pipeline)
        with pipeline.client() as client:
            for version in ("1.0", "1.2"):
                assert not pipeline.refetch(client, data_set, V(version)).is_same
        pipeline.accept(data_set, V("1.0"))

    def unlists(pipeline: Pipeline, sandbox: Sandbox) -> None:
        sandbox.hold(pipeline.settings.data_sets[0].id, "1.1")
        loads(pipeline, sandbox)

    life.serve(publish(one, with_gone=True), loads)
    life.serve(publish(one, minor), loads)
    life.serve(publish(one, patch, minor, third, title="A better title"), loads)
    life.serve(publish(one, patch, minor, third, major, title="A better title"), loads)
    life.serve(publish(one, patch, minor_later, third, withdrawn, title="A better title"), loads)
    life.serve(publish(one, patch, minor_later, third, withdrawn, title="A better title"), unlists)
    held = Edition("1.1", minor.csv, {"held": True})
    life.serve(
        publish(again, patch, held, third_again, withdrawn, title="The best title"), accepts_one_and_lets_another_wait
    )
    return life.folder


@pytest.fixture
def life(lived: Path, tmp_path: Path) -> Life:
    """A copy of that life, for one test to harm."""
    shutil.copytree(lived / "data", tmp_path / "data")
    return Life(tmp_path)


def test_after_a_long_life_it_is_equal_in_everything(life: Life) -> None:
    pipeline = life.pipeline()
    before = dump(pipeline.warehouse.path)
    assert len(before["d.revisions"][1]) > 5
    assert {row[1] for row in before["catalogue.loads"][1]} >= {"1.0", "1.0.1", "1.1", "1.2", "2.0"}
    assert rebuild(pipeline).exit_code == 0
    after = dump(pipeline.warehouse.path)
    assert after.keys() == before.keys()
    for name, content in before.items():
        assert after[name] == content, name


def test_verify_finds_all_of_it_whole_before_and_after(life: Life) -> None:
    pipeline = life.pipeline()
    for _ in range(2):
        report = verify(pipeline)
        assert report.findings == []
        assert [(v.data_set, str(v.version)) for v in report.versions] == [
            ("d", "1.0"), ("d", "1.1"), ("d", "1.2"), ("d", "2.0"), ("gone", "1.0"), ("gone", "1.0.1"),
        ]  # fmt: skip
        assert all(v.cells for v in report.versions)
        assert rebuild(pipeline).exit_code == 0


def test_without_the_old_one_only_times_and_the_log_of_loads_are_new(life: Life) -> None:
    pipeline = life.pipeline()
    before = dump(pipeline.warehouse.path)
    pipeline.warehouse.path.unlink()
    assert rebuild(pipeline).exit_code == 0
    after = dump(pipeline.warehouse.path)
    assert after.keys() == before.keys()
    unequal = {name for name, content in before.items() if after[name] != content}
    # What was last said of a version that is not listed any more is nowhere in landing: its date is in `history`, too.
    assert unequal <= {"catalogue.loads", "catalogue.versions", "catalogue.comparisons", "views"}
    unlike = set(map(repr, before["views"])) ^ set(map(repr, after["views"]))
    assert all(view.startswith("('d', 'history'") for view in unlike)
    assert len(after["catalogue.loads"][1]) == 6


@pytest.mark.parametrize("harm", ["emptied", "cut", "no warehouse"])
def test_a_warehouse_that_cannot_be_read_is_no_obstacle(life: Life, harm: str) -> None:
    path = life.pipeline().warehouse.path
    content = path.read_bytes()
    path.unlink()
    match harm:
        case "emptied":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 3])
        case "no warehouse":
            duckdb.connect(path).close()
    pipeline = life.pipeline()
    assert rebuild(pipeline).exit_code == 0
    assert sorted(pipeline.in_force()) == ["d", "gone"]
    assert verify(pipeline).findings == []


def test_a_version_whose_landing_is_gone_is_not_lost_but_named(life: Life) -> None:
    pipeline = life.pipeline()
    before = pipeline.warehouse.path.read_bytes()
    shutil.rmtree(pipeline.settings.landing_dir / "gone" / "1.0.1")
    report = rebuild(pipeline)
    assert (report.exit_code, report.published) == (1, False)
    (told,) = [outcome.message for outcome in report.outcomes if outcome.message]
    assert "ks4 run --data-set gone --version 1.0.1" in told
    assert pipeline.warehouse.path.read_bytes() == before


def test_a_version_named_to_run_is_fetched_anew_when_its_landing_is_gone(tmp_path: Path) -> None:
    data_set = describe(tmp_path / "published", "d", Edition("1.0", rows("a,1,1")), Edition("1.1", rows("a,1,2")))
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        shutil.rmtree(pipeline.settings.landing_dir / "d" / "1.0")
        assert [finding.remedy.partition("then: ")[2] for finding in verify(pipeline).findings] == [
            "ks4 run --data-set d --version 1.0"
        ]
        assert load(pipeline).outcomes == [], "nobody has asked for it"
        sandbox.clear_requests()
        assert run(pipeline, [data_set], only=[V("1.0")]).exit_code == 0
        assert sum(request.path.endswith("/csv") for request in sandbox.requests) == 1
        assert run(pipeline, [data_set], only=[V("1.0")]).outcomes == [], "it is here again"
        assert verify(pipeline).findings == []
        assert rebuild(pipeline).exit_code == 0


def test_the_demo_history_is_rebuilt_as_it_was(tmp_path: Path) -> None:
    data_set = DataSet(name=FOLDER, id=DATA_SET_ID)
    write_synthetic_ks4(tmp_path / "published", held=True)
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        while sandbox.publish_next(DATA_SET_ID):
            load(pipeline)
    before = dump(pipeline.warehouse.path)
    assert rebuild(pipeline).exit_code == 0
    assert dump(pipeline.warehouse.path) == before


@pytest.mark.real
def test_real_releases_are_rebuilt_as_they_were(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "ks4_la").glob("release_*.csv"))
    header = files[0].read_text(encoding="utf-8-sig").splitlines()[0].split(",")
    plain = {"time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code"}
    plain |= {"region_name", "old_la_code", "la_name", "new_la_code", "social_care_group", "version"}
    data_set = describe(
        tmp_path / "published",
        "ks4_la",
        *(Edition(f"{n}.0", file) for n, file in enumerate(files, 1)),
        filters=[{"column": "social_care_group", "label": "Group"}, {"column": "version", "label": "Version"}],
        indicators=[{"column": name, "label": name} for name in header if name not in plain],
    )
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        for n in range(1, len(files) + 1):
            assert run(pipeline, [data_set], only=[VersionNumber(n, 0)]).exit_code == 0
        sandbox.withdraw(data_set.id, f"{len(files)}.0")
        load(pipeline)
    before = dump(pipeline.warehouse.path)
    assert len(before["ks4_la.revisions"][1]) > 1000
    assert rebuild(pipeline).exit_code == 0
    assert dump(pipeline.warehouse.path) == before
    assert verify(pipeline).findings == []
