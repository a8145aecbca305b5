"""``ks4 accept``: bytes that changed under one version number wait for a person's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ks4_pipeline.cli import app
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import Settings
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, rows

ONE = VersionNumber(1, 0)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A loaded version of which the publisher now serves other figures, fetched again."""
    data_set = describe(tmp_path / "first", "d", Edition("1.0", rows("a,1,1")))
    with Sandbox(tmp_path / "first") as sandbox:
        assert load(pipeline_for(tmp_path / "data", sandbox.url, data_set)).exit_code == 0
    describe(tmp_path / "second", "d", Edition("1.0", rows("a,2,1")))
    monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data" / "ks4.toml").write_text(f'[data_sets.d]\nid = "{data_set.id}"\n')
    with Sandbox(tmp_path / "second") as sandbox:
        monkeypatch.setenv("KS4_API_URL", sandbox.url)
        again = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        with again.client() as client:
            again.refetch(client, data_set, ONE)
        yield again


def figures(settings: Settings) -> list[tuple[float]]:
    with Pipeline(settings).warehouse.read() as connection:
        return connection.execute("SELECT pupils FROM d.v1_0_0").fetchall()


def test_what_waits_is_listed_and_changes_nothing(pipeline: Pipeline) -> None:
    told = CliRunner().invoke(app, ["accept"])
    assert told.exit_code == 0
    assert "d 1.0: " in told.stdout
    assert figures(pipeline.settings) == [(1.0,)]


def test_accepted_bytes_take_the_place_of_the_earlier_which_are_kept(pipeline: Pipeline, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["accept", "1.0"])
    assert told.exit_code == 0, told.output
    assert figures(pipeline.settings) == [(2.0,)]
    assert len(list((tmp_path / "data" / "landing" / "d" / "superseded").glob("1.0-*/data.csv.gz"))) == 1
    assert "Nothing waits" in CliRunner().invoke(app, ["accept"]).stdout


def test_there_is_nothing_to_accept_where_nothing_else_was_served(pipeline: Pipeline) -> None:
    told = CliRunner().invoke(app, ["accept", "7.0"])
    assert told.exit_code != 0
    assert figures(pipeline.settings) == [(1.0,)]
