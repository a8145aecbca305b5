"""``ks4 verify``: each kind of damage is planted once, found, and named with its place and its remedy."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from ks4_pipeline import integrity
from ks4_pipeline.cli import app
from ks4_pipeline.integrity import Finding, IntegrityReport, verify
from ks4_pipeline.landing import Bytes
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import rebuild
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, id_of, load, pipeline_for, rows

V = VersionNumber.parse


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets: ``d`` with three versions and one refused, ``other`` with one."""
    root, folder = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("life")
    data_sets = [
        describe(
            root,
            "d",
            Edition("1.0", rows("a,10,1.5", "b,20,c", "c,30,0")),
            Edition("1.0.1", rows("a,10,1.6", "b,20,z", "c,30,0")),
            Edition("1.1", rows("a,*,1")),
            Edition("2.0", rows("a,11,1.6", "b,20,2.5", "c,30,0")),
        ),
        describe(root, "other", Edition("1.0", rows("a,1,1"))),
    ]
    with Sandbox(root) as sandbox:
        assert load(pipeline_for(folder / "data", sandbox.url, *data_sets)).published
    return folder / "data"


@pytest.fixture
def pipeline(lived: Path, tmp_path: Path) -> Pipeline:
    """A copy of that data directory, for one test to harm."""
    shutil.copytree(lived, tmp_path / "data")
    followed = [DataSet(name=name, id=id_of(name)) for name in ("d", "other")]
    return pipeline_for(tmp_path / "data", "http://127.0.0.1:9/nobody", *followed)


def alter(pipeline: Pipeline, statement: str) -> None:
    """Change the published file behind everybody's back: copy, open read-write, alter, put back."""
    path = pipeline.warehouse.path
    copy = path.with_name("altered.duckdb")
    shutil.copyfile(path, copy)
    with duckdb.connect(copy) as connection:
        connection.execute(statement)
        connection.execute("CHECKPOINT")
    copy.replace(path)


def on_disk(pipeline: Pipeline) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in pipeline.settings.data_dir.rglob("*") if path.is_file()}


def told(report: IntegrityReport) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in report.findings]


def only_finding(report: IntegrityReport) -> Finding:
    assert len(report.findings) == 1, told(report)
    assert report.exit_code == 1
    return report.findings[0]


def landing(pipeline: Pipeline, *parts: str) -> Path:
    return pipeline.settings.landing_dir.joinpath("d", *parts)


def edit_manifest(pipeline: Pipeline, folder: str, /, **values: object) -> None:
    path = landing(pipeline, folder, "manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_what_is_whole_is_found_whole_and_stays_as_it_is(pipeline: Pipeline) -> None:
    before = on_disk(pipeline)
    report = verify(pipeline)
    assert (report.exit_code, report.findings, report.remarks) == (0, [], [])
    assert [(v.data_set, str(v.version), v.rows, v.cells) for v in report.versions] == [
        ("d", "1.0", 3, 30), ("d", "1.0.1", 3, 30), ("d", "2.0", 3, 30), ("other", "1.0", 1, 10),
    ]  # fmt: skip
    assert before == on_disk(pipeline)


class TestLanding:
    """Damage to what was served."""

    def test_a_flipped_byte(self, pipeline: Pipeline) -> None:
        harmed = {"1.0": "data.csv.gz", "1.0.1": "meta.json", "2.0": "changes.json"}
        for version, name in harmed.items():
            path = landing(pipeline, version, name)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        found = verify(pipeline).findings
        assert [(finding.where, str(finding.version)) for finding in found] == [
            (str(landing(pipeline, version, name)), version) for version, name in harmed.items()
        ]
        assert all("is not what landed" in finding.what for finding in found)
        assert found[1].remedy == f"Move {landing(pipeline, '1.0.1')} away, then: ks4 run --data-set d --version 1.0.1"

    def test_a_missing_file_and_a_missing_manifest(self, pipeline: Pipeline) -> None:
        landing(pipeline, "1.0", "manifest.json").unlink()
        landing(pipeline, "2.0", "data.csv.gz").unlink()
        manifest, csv = verify(pipeline).findings
        assert (manifest.where, manifest.what) == (str(landing(pipeline, "1.0", "manifest.json")), "it is missing")
        assert manifest.remedy.startswith(f"Move {landing(pipeline, '1.0')} away, then: ks4 run")
        assert csv.where == str(landing(pipeline, "2.0", "data.csv.gz"))
        assert "cannot be read" in csv.what

    @pytest.mark.parametrize(
        "edits",
        [
            (
                ("1.0", "version", "1.0.1", "is about version 1.0.1"),
                ("1.0.1", "csv", {"bytes": 7, "sha256": "0" * 64}, "says that the CSV has 7 bytes"),
                ("2.0", "documents", {}, "does not name all of the version's files"),
            ),
            (
                ("1.0", "data_set_id", id_of("other"), "is about version 1.0 of data set"),
                ("1.0.1", "file_name", "another.csv", "says that the server called the file 'another.csv'"),
                ("2.0", "served", {"bytes": 7, "sha256": "0" * 64}, "is not what landed"),
            ),
            (
                ("1.0", "shape", {"rows": 4, "header": "a", "utf8": True, "regular": True}, "of the CSV's rows and"),
                ("1.0.1", "surprise", 1, "cannot be read"),
            ),
        ],
        ids=["first", "second", "third"],
    )
    def test_an_edited_manifest(self, pipeline: Pipeline, edits: tuple[tuple[str, str, object, str], ...]) -> None:
        for version, key, value, _ in edits:
            edit_manifest(pipeline, version, **{key: value})
        found = verify(pipeline).findings
        assert [str(finding.version) for finding in found] == [version for version, *_ in edits], found
        for finding, (*_, expected) in zip(found, edits, strict=True):
            assert expected in f"{finding.where} {finding.what}"

    def test_a_manifest_with_another_time_differs_from_the_catalogue(self, pipeline: Pipeline) -> None:
        edit_manifest(pipeline, "1.0", fetched_at="2020-01-01T00:00:00Z")
        found = only_finding(verify(pipeline))
        assert found.where == "catalogue.versions"
        assert "fetched_at" in found.what

    def test_other_bytes_with_a_manifest_to_match_differ_from_the_warehouse(self, pipeline: Pipeline) -> None:
        """Who edits both cannot edit what the warehouse remembers of them."""
        path = landing(pipeline, "1.0", "data.csv.gz")
        plain = gzip.decompress(path.read_bytes()).replace(b"a,10,1.5", b"a,10,9.9")
        path.write_bytes(gzip.compress(plain))
        inside = path.with_name("plain")
        inside.write_bytes(plain)
        edit_manifest(pipeline, "1.0", served=Bytes.of(path).model_dump(), csv=Bytes.of(inside).model_dump())
        inside.unlink()
        found = told(verify(pipeline))
        assert ("d.v1_0_0", "1 cell differs: in column 'score'; row 1: 1.5, expected 9.9") in found
        assert any(where == "catalogue.versions" and "csv_sha256" in what for where, what in found)

    def test_a_refused_version_that_was_kept_is_read_as_well(self, pipeline: Pipeline) -> None:
        (path,) = landing(pipeline, "refused").glob("1.1-*/data.csv.gz")
        path.write_bytes(path.read_bytes()[:-1])
        found = only_finding(verify(pipeline))
        assert (found.where, found.version) == (str(path), V("1.1"))

    def test_a_version_that_landed_and_is_not_in_the_warehouse(self, pipeline: Pipeline) -> None:
        (refused,) = landing(pipeline, "refused").glob("1.1-*")
        refused.rename(landing(pipeline, "1.1"))
        found = verify(pipeline).findings
        assert any(finding.remedy == "ks4 run" and finding.version == V("1.1") for finding in found)

    def test_a_list_that_cannot_be_read(self, pipeline: Pipeline) -> None:
        landing(pipeline, "listing.json").write_text("{")
        found = only_finding(verify(pipeline))
        assert found.where == str(landing(pipeline, "listing.json"))
        assert found.remedy.endswith("ks4 run")

    def test_news_that_no_edition_has_yet_is_a_remark_and_no_damage(self, pipeline: Pipeline) -> None:
        path = landing(pipeline, "listing.json")
        listing = json.loads(path.read_text())
        listing["versions"][-1]["status"] = "Withdrawn"
        listing["news_at"] = listing["seen_at"] = "2099-01-01T00:00:00Z"
        path.write_text(json.dumps(listing))
        report = verify(pipeline)
        assert (report.exit_code, report.findings) == (0, [])
        assert "the publisher's list has changed" in report.remarks[0]


# Damages that do not touch each other are planted together, so that one look has to find them all.
# Each: what it is, the statement, where it is found, what is said of it.
TOGETHER = (
    (
        ("a cell", "UPDATE d.v1_0_0 SET score = 1.6 WHERE grp = 'a'", "d.v1_0_0", "row 1: 1.6, expected 1.5"),
        ("a flag", "UPDATE d.v1_0_1 SET score_flag = 'c' WHERE grp = 'b'", "d.v1_0_1", "row 2: 'c', expected 'z'"),
        ("a filter", "UPDATE d.v2_0_0 SET grp = NULL WHERE grp = 'b'", "d.v2_0_0", "row 2: NULL, expected 'b'"),
        ("a foreign table", "CREATE TABLE d.mine AS SELECT 1 AS x", "d.mine", "a table that does not belong here"),
        ("a foreign schema", "CREATE SCHEMA mine", "schema mine", "it belongs to no data set"),
        ("a channel", "CREATE OR REPLACE VIEW d.latest AS FROM d.v1_0_0", "d.latest", "its definition is"),
        ("a channel less", "DROP VIEW d.v1_0", "d.v1_0", "the view is missing"),
        ("a channel more", "CREATE VIEW d.v3 AS FROM d.v1_0_0", "d.v3", "a view that does not belong here"),
        ("the macro", "DROP MACRO TABLE d.as_of", "d.as_of", "the macro is missing"),
        ("a revision", "UPDATE d.revisions SET new_value = 7 WHERE class = 'revised'", "d.revisions", "new_value is 7"),
        ("a hash", "UPDATE catalogue.versions SET sha256 = 'feed'", "catalogue.versions", "sha256 is 'feed'"),
        ("a label", "UPDATE catalogue.columns SET label = 'x' WHERE position = 7", "catalogue.columns", "label is 'x'"),
        ("a check", "UPDATE catalogue.checks SET passed = NOT passed", "catalogue.checks", "passed is"),
        ("a count", "UPDATE catalogue.marker_counts SET cells = 9", "catalogue.marker_counts", "cells is 9"),
        ("a marker", "DELETE FROM catalogue.markers WHERE marker = 'c'", "catalogue.markers", "a row is missing"),
        ("a stranger", "INSERT INTO catalogue.checks (data_set) VALUES ('x')", "catalogue.checks", "rows of 'x'"),
        ("a title", "UPDATE catalogue.data_sets SET title = 'x'", "catalogue.data_sets", "title is 'x'"),
        ("the catalogue", "COMMENT ON TABLE catalogue.checks IS NULL", "catalogue.checks", "its comment is NULL"),
    ),
    (
        (
            "a sign of zero",  # an UPDATE would change nothing: SQL holds the two for equal
            """
            CREATE TEMP TABLE last AS FROM d.v1_0_0 WHERE grp = 'c'; DELETE FROM d.v1_0_0 WHERE grp = 'c';
            INSERT INTO d.v1_0_0 SELECT * REPLACE (CAST('-0' AS DOUBLE) AS score) FROM last
            """,
            "d.v1_0_0",
            "row 3: -0.0, expected 0.0",
        ),
        ("a type", "ALTER TABLE d.v1_0_1 ALTER pupils TYPE VARCHAR", "d.v1_0_1", "its columns are"),
        ("a table's comment", "COMMENT ON TABLE d.v2_0_0 IS 'mine'", "d.v2_0_0", "its comment is 'mine'"),
        ("a column's comment", "COMMENT ON COLUMN d.v2_0_0.score IS NULL", "d.v2_0_0", "comment on column 'score'"),
        ("history", "CREATE OR REPLACE VIEW d.history AS FROM d.v1_0_0", "d.history", "its definition is"),
        ("a revision less", "DELETE FROM d.revisions WHERE class = 'reflagged'", "d.revisions", "a row is missing"),
        ("a comparison", "UPDATE catalogue.comparisons SET revised = 9", "catalogue.comparisons", "revised is 9"),
        ("a CSV's hash", "UPDATE catalogue.versions SET csv_sha256 = 'f'", "catalogue.versions", "csv_sha256 is 'f'"),
        ("a status", "UPDATE catalogue.versions SET status = 'Draft'", "catalogue.versions", "status is 'Draft'"),
        ("rows", "UPDATE catalogue.versions SET rows = 7", "catalogue.versions", "rows is 7"),
        ("channels", "UPDATE catalogue.versions SET channels = ''", "catalogue.versions", "channels is ''"),
    ),
    (
        ("a row less", "DELETE FROM d.v1_0_0 WHERE grp = 'b'", "d.v1_0_0", "it has 2 rows; expected 3"),
        (
            "order of columns",
            """
            ALTER TABLE d.v1_0_1 ADD late DOUBLE; UPDATE d.v1_0_1 SET late = score;
            ALTER TABLE d.v1_0_1 DROP score; ALTER TABLE d.v1_0_1 RENAME late TO score
            """,
            "d.v1_0_1",
            "its columns are",
        ),
        (
            "order of rows",
            """
            CREATE TEMP TABLE turned AS FROM d.v2_0_0 ORDER BY grp DESC;
            TRUNCATE d.v2_0_0; INSERT INTO d.v2_0_0 FROM turned
            """,
            "d.v2_0_0",
            "the rows are the same in another order",
        ),
        ("a table more", "CREATE TABLE d.v1_2_0 AS FROM d.v1_0_0", "d.v1_2_0", "does not belong here"),
        (
            "a table's name",
            "UPDATE catalogue.versions SET \"table\" = 'v9_0_0' WHERE version = '2.0'",
            "catalogue.versions",
            "table is 'v9_0_0'",
        ),
    ),
    (
        ("a row more", "INSERT INTO d.v2_0_0 SELECT * FROM d.v2_0_0 LIMIT 1", "d.v2_0_0", "4 rows; expected 3"),
        ("a table less", "DROP TABLE d.v1_0_0", "d.v1_0_0", "the table is missing"),
        (
            "a table of the catalogue less",
            "DROP TABLE catalogue.marker_counts",
            "catalogue.marker_counts",
            "the table is missing",
        ),
    ),
    (("a data set", "DELETE FROM catalogue.data_sets WHERE data_set = 'd'", "catalogue.data_sets", "one row of d"),),
)


class TestTheWarehouse:
    """Damage to the published file; all of it is mended by a rebuild."""

    @pytest.mark.parametrize("planted", TOGETHER, ids=[damages[0][0] for damages in TOGETHER])
    def test_all_that_was_altered_is_found(self, pipeline: Pipeline, planted: tuple[tuple[str, ...], ...]) -> None:
        for _, statement, _, _ in planted:
            alter(pipeline, statement)
        report = verify(pipeline)
        assert report.exit_code == 1
        unseen = [
            name
            for name, _, where, what in planted
            if not any(finding.where == where and what in finding.what for finding in report.findings)
        ]
        assert unseen == [], told(report)
        assert {finding.remedy for finding in report.findings} == {integrity.REBUILD}
        assert rebuild(pipeline).exit_code == 0
        assert verify(pipeline).findings == []

    def test_one_changed_cell_is_one_finding_with_its_version_and_nothing_else(self, pipeline: Pipeline) -> None:
        alter(pipeline, "UPDATE d.v1_0_0 SET pupils = 11 WHERE grp = 'a'")
        report = verify(pipeline)
        found = only_finding(report)
        assert (found.data_set, found.version) == ("d", V("1.0"))
        assert [v.findings for v in report.versions] == [1, 0, 0, 0]

    def test_a_warehouse_cut_short(self, pipeline: Pipeline) -> None:
        path = pipeline.warehouse.path
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) * 2 // 3])
        report = verify(pipeline)
        assert report.exit_code == 1
        assert any("cannot be read" in what or "hang together" in what for _, what in told(report))
        assert {finding.remedy for finding in report.findings} == {integrity.REBUILD}

    @pytest.mark.parametrize("content", [b"", b"not a database"])
    def test_a_file_that_is_no_warehouse(self, pipeline: Pipeline, content: bytes) -> None:
        pipeline.warehouse.path.unlink()
        pipeline.warehouse.path.write_bytes(content)
        found = only_finding(verify(pipeline))
        assert found.where == str(pipeline.warehouse.path)
        assert "it cannot be read" in found.what

    def test_no_warehouse_where_something_has_landed(self, pipeline: Pipeline) -> None:
        pipeline.warehouse.path.unlink()
        report = verify(pipeline)
        assert only_finding(report).what == "there is no warehouse"
        assert not any(version.compared for version in report.versions)


class TestParquet:
    """Damage to the observations on disk."""

    def path(self, pipeline: Pipeline) -> Path:
        return pipeline.settings.observations_dir / "d" / "1.0.parquet"

    def replace(self, pipeline: Pipeline) -> None:
        frame = pl.read_parquet(self.path(pipeline))
        frame.with_columns(pl.lit(7.0).alias("pupils")).write_parquet(self.path(pipeline))

    def test_one_replaced_one_missing_and_facts_that_say_something_else(self, pipeline: Pipeline) -> None:
        self.replace(pipeline)
        facts_path = self.path(pipeline).with_name("1.0.1.json")
        facts = json.loads(facts_path.read_text())
        facts_path.write_text(json.dumps({**facts, "padded_numbers": 7}))
        missing = self.path(pipeline).with_name("2.0.parquet")
        missing.unlink()
        before = on_disk(pipeline)
        assert told(verify(pipeline)) == [
            (str(self.path(pipeline)), "it is not what its facts say"),
            (str(facts_path), "it says something else than landing gives: padded_numbers"),
            (str(missing), "it is missing"),
        ]
        assert on_disk(pipeline) == before

    def test_one_that_an_older_program_made_is_a_remark_and_no_damage(self, pipeline: Pipeline) -> None:
        facts_path = self.path(pipeline).with_suffix(".json")
        facts = json.loads(facts_path.read_text())
        del facts["periods"]
        facts_path.write_text(json.dumps({**facts, "format": 1, "markers": {}}))
        before = on_disk(pipeline)
        report = verify(pipeline)
        assert report.findings == []
        assert on_disk(pipeline) == before
        assert [remark for remark in report.remarks if "an older program made" in remark and "d 1.0:" in remark]

    def test_one_replaced_with_facts_to_match_is_found_and_mended_by_a_rebuild(self, pipeline: Pipeline) -> None:
        self.replace(pipeline)
        facts_path = self.path(pipeline).with_suffix(".json")
        facts = json.loads(facts_path.read_text())
        facts["parquet"] = Bytes.of(self.path(pipeline)).model_dump()
        facts_path.write_text(json.dumps(facts))
        found = only_finding(verify(pipeline))
        assert (found.where, found.version, found.remedy) == (str(self.path(pipeline)), V("1.0"), "ks4 rebuild")
        assert "row 1: 7.0, expected 10.0" in found.what
        assert rebuild(pipeline).exit_code == 0
        assert verify(pipeline).findings == []


class TestSomeOfIt:
    """What is named alone is looked at alone."""

    def test_one_data_set(self, pipeline: Pipeline) -> None:
        alter(pipeline, "UPDATE d.v1_0_0 SET pupils = 11 WHERE grp = 'a'")
        assert verify(pipeline, names=["other"]).exit_code == 0
        assert verify(pipeline, names=["d"]).exit_code == 1

    def test_one_version_and_all_it_has_a_part_in(self, pipeline: Pipeline) -> None:
        assert verify(pipeline, names=["d"], only=[V("1.0.1")]).exit_code == 0
        for statement in (
            "UPDATE d.v1_0_1 SET score = 1.7 WHERE grp = 'a'",
            "UPDATE d.revisions SET new_value = 7 WHERE from_version = '1.0.1'",
            "UPDATE catalogue.versions SET bytes = 7 WHERE version = '1.0.1'",
            "CREATE OR REPLACE VIEW d.v1 AS FROM d.v1_0_0",
            "UPDATE catalogue.columns SET label = 'x' WHERE version = '1.0.1'",
            "UPDATE d.v2_0_0 SET score = 9 WHERE grp = 'c'",
        ):
            alter(pipeline, statement)
        report = verify(pipeline, names=["d"], only=[V("1.0.1")])
        assert [str(version.version) for version in report.versions] == ["1.0.1"]
        found = {finding.where for finding in report.findings}
        assert found >= {"d.v1_0_1", "d.revisions", "catalogue.versions", "d.v1", "catalogue.columns"}
        assert "d.v2_0_0" not in found


class TestTheCommand:
    """``ks4 verify`` as a user sees it."""

    @pytest.fixture
    def ks4(self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
        for name in [name for name in os.environ if name.startswith("KS4_") or name == "FORCE_COLOR"]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("KS4_DATA_DIR", str(pipeline.settings.data_dir))
        (pipeline.settings.data_dir / "ks4.toml").write_text(f'[data_sets.d]\nid = "{id_of("d")}"\n')

        def run(*arguments: str) -> tuple[int, str, str]:
            result = CliRunner().invoke(app, ["verify", *arguments])
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            return result.exit_code, result.stdout, result.stderr

        return run

    def test_whole(self, ks4: Callable[..., tuple[int, str, str]]) -> None:
        code, out, err = ks4()
        assert (code, err) == (0, "")
        assert out.splitlines()[:2] == [
            "d 1.0: whole, 3 rows, 30 cells compared",
            "d 1.0.1: whole, 3 rows, 30 cells compared",
        ]
        assert out.splitlines()[3] == "other 1.0: whole, 1 row, 10 cells compared", "no longer followed, and here"
        assert out.splitlines()[-1].startswith("All whole: 4 versions.")

    def test_damage(self, ks4: Callable[..., tuple[int, str, str]], pipeline: Pipeline) -> None:
        alter(pipeline, "UPDATE d.v1_0_0 SET pupils = 11 WHERE grp = 'a'")
        code, out, err = ks4()
        assert code == 1
        assert "d 1.0: 1 finding, 3 rows, 30 cells compared" in out
        assert "d.v1_0_0: 1 cell differs: in column 'pupils'; row 1: 11.0, expected 10.0." in err
        assert "What to do: ks4 rebuild" in out

    def test_json(self, ks4: Callable[..., tuple[int, str, str]], pipeline: Pipeline) -> None:
        alter(pipeline, "DROP VIEW d.v1")
        code, out, _ = ks4("--json")
        document = json.loads(out)
        assert code == document["exit_code"] == 1
        assert document["findings"] == [
            {
                "data_set": "d", "version": None, "where": "d.v1", "what": "the view is missing",
                "remedy": "ks4 rebuild",
            }
        ]  # fmt: skip
        assert len(document["versions"]) == 4

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--data-set", "nope"), "Nothing is known of a data set 'nope'. Known: d, other."),
            (("--version", "1.0"), "--version needs --data-set"),
            (("--data-set", "d", "--version", "7.0"), "Nothing is here of version 7.0."),
            (("--version", "1"), "'1' is not an exact version number"),
        ],
    )
    def test_wrong_use(
        self, ks4: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], message: str
    ) -> None:
        code, _, err = ks4(*arguments)
        assert code == 2
        assert message in err
