"""``catalogue.marker_counts`` against the tables it is about, in editions of this program and of older ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ks4_pipeline.integrity import verify
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.report.reading import read
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, scored

PUPILS = {"column": "pupils", "label": "Number of pupils"}
SCORE = {"column": "score", "label": "Average score"}
RENAMED = {**SCORE, "column": "mean_score", "was": "score"}
REMARK = {"column": "note", "label": "Remark", "unit": "string"}
TIMED = "time_period,time_identifier,geographic_level,grp,pupils,score,note"
FILES = {
    "1.0": f"{TIMED}\n"
    "202223,Academic year,National,a,1,C,A\n202223,Academic year,National,b,[z],2,B\n"
    "202324,Academic year,National,a,5, c ,C\n202324,Academic year,National,b,6,low,C\n",
    "1.0.1": f"{TIMED.replace('score', 'mean_score')}\n"
    "202223,Academic year,National,a,1,1.5,A\n202223,Academic year,National,b,z,2,B\n"
    "202324,Academic year,National,a,z,c,C\n202324,Academic year,National,b,z,3,C\n",
    "2.0": "grp,pupils,mean_score,note\na,1,c,A\nb,c,2,B\n",
}
VERSIONS = tuple(map(VersionNumber.parse, FILES))


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[Sandbox, DataSet, Pipeline]]:
    """Two versions out, one of them with a renamed indicator, and one held that has no time columns."""
    renamed = {"indicators": [PUPILS, RENAMED, REMARK]}
    more: dict[str, dict[str, object]] = {"1.0": {}, "1.0.1": renamed, "2.0": {**renamed, "held": True}}
    editions = [Edition(number, text, more[number]) for number, text in FILES.items()]
    data_set = describe(tmp_path / "published", "d", *editions, indicators=[PUPILS, SCORE, REMARK])
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
        yield sandbox, data_set, pipeline


def ask(pipeline: Pipeline, query: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.read() as connection:
        return connection.execute(query).fetchall()


def counts(pipeline: Pipeline) -> set[tuple[object, ...]]:
    found = ask(pipeline, "SELECT * EXCLUDE (data_set) FROM catalogue.marker_counts WHERE data_set = 'd'")
    assert len(set(found)) == len(found)
    return set(found)


def counted_in_tables(pipeline: Pipeline) -> set[tuple[object, ...]]:
    """The same, counted column by column in the tables."""
    found: set[tuple[object, ...]] = set()
    tables = ask(pipeline, 'SELECT version, "table" FROM catalogue.versions WHERE "table" IS NOT NULL')
    columns = "SELECT column_name, data_type FROM catalogue.columns WHERE role = 'indicator' AND version = '{}'"
    for version, table in tables:
        period = "NULL, NULL" if version == "2.0" else "time_identifier, time_period"
        for name, kind in ask(pipeline, columns.format(version)):
            flag = f"{name}_flag" if kind == "DOUBLE" else "CAST(NULL AS VARCHAR)"
            query = (
                f"SELECT '{version}', {period}, '{name}', NULL, count(*) - count({flag}) FROM d.{table} GROUP BY ALL "
                f"UNION ALL SELECT '{version}', {period}, '{name}', {flag}, count(*) FROM d.{table} "
                f"WHERE {flag} IS NOT NULL GROUP BY ALL HAVING count(*) > 0"
            )
            found |= set(ask(pipeline, query))
    return found


def without_counts(pipeline: Pipeline) -> None:
    """Make the published edition one of an older program."""
    with pipeline.warehouse.rewrite() as connection:
        connection.execute("DROP TABLE catalogue.marker_counts")


def test_counts_are_those_of_the_tables(loaded: tuple[Sandbox, DataSet, Pipeline]) -> None:
    sandbox, data_set, pipeline = loaded
    sandbox.publish(data_set.id, "2.0")
    assert load(pipeline).exit_code == 0
    found = counts(pipeline)
    assert found == counted_in_tables(pipeline)
    assert ("1.0", "Academic year", "202324", "score", "c", 1) in found
    assert ("1.0.1", "Academic year", "202324", "pupils", None, 0) in found
    assert ("2.0", None, None, "note", None, 2) in found
    (shares,) = ask(
        pipeline, "SELECT detail FROM catalogue.checks WHERE check_name = 'marker_shares_steady' AND version = '1.0.1'"
    )
    assert "mean_score 202223: 0 of 2 cells (0.0 %), before 1 of 2 (50.0 %)" in str(shares[0])


def test_a_report_reads_no_table_for_what_is_counted_and_says_the_same_without_counts(
    loaded: tuple[Sandbox, DataSet, Pipeline],
) -> None:
    _, _, pipeline = loaded
    with_counts = [read(pipeline.warehouse, "d", version) for version in VERSIONS[:2]]
    gaps = with_counts[1].gaps
    assert (gaps.now["mean_score", "2022/23"].markers, gaps.before["mean_score", "2022/23"].markers) == (0, 1)
    assert (gaps.now["pupils", "2023/24"].markers, gaps.now["pupils", "2023/24"].cells) == (2, 2)
    without_counts(pipeline)
    assert [read(pipeline.warehouse, "d", version) for version in VERSIONS[:2]] == with_counts


def test_the_next_edition_counts_what_an_older_program_loaded(loaded: tuple[Sandbox, DataSet, Pipeline]) -> None:
    sandbox, data_set, pipeline = loaded
    without_counts(pipeline)
    sandbox.publish(data_set.id, "2.0")
    assert load(pipeline).exit_code == 0
    assert counts(pipeline) == counted_in_tables(pipeline)
    assert [finding for finding in verify(pipeline).findings if finding.where == "catalogue.marker_counts"] == []


def test_the_next_edition_counts_data_sets_that_it_has_no_news_of(tmp_path: Path) -> None:
    published = tmp_path / "published"
    old = describe(published, "old", Edition("1.0", scored("1", "c")))
    new = describe(published, "new", Edition("1.0", scored("1")))
    with Sandbox(published) as sandbox:
        assert load(pipeline_for(tmp_path / "data", sandbox.url, old)).exit_code == 0
        without_counts(pipeline_for(tmp_path / "data", sandbox.url, old))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, old, new)
        assert load(pipeline).exit_code == 0
    counted = "SELECT indicator, marker, cells FROM catalogue.marker_counts WHERE data_set = 'old' ORDER BY ALL"
    assert ask(pipeline, counted) == [("pupils", None, 2), ("score", "c", 1), ("score", None, 1)]
