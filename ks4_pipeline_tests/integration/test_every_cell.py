"""Every cell of real published files, as loaded, against the CSV as Python's ``csv`` module reads it.

Nothing here uses polars or DuckDB's CSV reader: the second reading is independent of the first.
"""

from __future__ import annotations

import csv
import hashlib
import re

import pytest

from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import Outcome
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for

pytestmark = pytest.mark.real

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MARKERS = {"c", "z", "x", "low", "k", "u", ":", "~"}
LA = ["release_2024-03-14", "release_2024-04-19", "release_2025-04-10", "release_2026-04-14"]
# Data set, files under the real folder in order of version, filter columns; all behind the last key is an indicator.
DATA_SETS = {
    "ks4_la": ([f"ks4_la/{name}.csv" for name in LA], ["social_care_group", "version"]),
    "csww": (["other/csww_indicators_2017_to_2025.csv"], []),
    "sen_national": (["other/sen_national.csv"], ["social_care_group"]),
    "original_bytes": (["other/ks4_la_original_bytes_bom_crlf.csv"], ["social_care_group", "version"]),
}
GEOGRAPHY = {
    "time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code",
    "region_name", "old_la_code", "la_name", "new_la_code",
}  # fmt: skip
VERSIONS = [(name, f"{n}.0", file) for name, (files, _) in DATA_SETS.items() for n, file in enumerate(files, 1)]


def read_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    return header, rows


def indicators_of(header, filters):
    return [name for name in header if name not in GEOGRAPHY and name not in filters]


@pytest.fixture(scope="module")
def world(real_data, tmp_path_factory):
    """All data sets served and loaded once: sandbox, pipeline, first report."""
    root, data_dir = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("data")
    followed = []
    for name, (files, filters) in DATA_SETS.items():
        header, _ = read_csv(real_data / files[0])
        followed.append(
            describe(
                root,
                name,
                *(Edition(f"{n}.0", real_data / file) for n, file in enumerate(files, 1)),
                filters=[{"column": column, "label": column.replace("_", " ")} for column in filters],
                indicators=[
                    {"column": column, "label": column.replace("_", " ")} for column in indicators_of(header, filters)
                ],
            )
        )
    with Sandbox(root) as sandbox:
        pipeline = pipeline_for(data_dir, sandbox.url, *followed)
        yield sandbox, pipeline, load(pipeline)


def test_all_versions_load(world):
    _, _, report = world
    assert [(o.data_set, str(o.version), o.outcome) for o in report.outcomes] == [
        (name, version, Outcome.LOADED) for name, version, _ in VERSIONS
    ]
    assert (report.published, report.exit_code) == (True, 0)


@pytest.mark.parametrize(("name", "version", "file"), VERSIONS, ids=[f"{n}-{v}" for n, v, _ in VERSIONS])
def test_every_cell_is_that_of_the_csv(world, real_data, name, version, file):
    _, pipeline, _ = world
    header, rows = read_csv(real_data / file)
    indicators = indicators_of(header, DATA_SETS[name][1])
    table = f"v{version.replace('.', '_')}_0"
    with pipeline.warehouse.read() as connection:
        loaded = connection.execute(f"SELECT * FROM {name}.{table} ORDER BY rowid")
        columns = [(column[0], str(column[1])) for column in loaded.description]
        found = loaded.fetchall()
    assert columns == [
        column
        for source in header
        for column in (
            [(source, "DOUBLE"), (f"{source}_flag", "VARCHAR")] if source in indicators else [(source, "VARCHAR")]
        )
    ]
    assert len(found) == len(rows)
    numbers = markers = 0
    for row, published in zip(found, rows, strict=True):
        cells = iter(row)
        for column, text in zip(header, published, strict=True):
            if column not in indicators:
                assert next(cells) == (text or None), (column, published)
            elif NUMBER.fullmatch(text):
                numbers += 1
                assert (next(cells), next(cells)) == (float(text), None), (column, published)
            else:
                markers += 1
                assert text in MARKERS, (column, text)
                assert (next(cells), next(cells)) == (None, text), (column, published)
    assert numbers + markers == len(rows) * len(indicators)
    assert numbers > 0


def test_marker_counts_of_the_newest_release_are_those_counted_by_hand(world):
    """Counted in the file by other means than ours: the project's domain notes, section 1.5."""
    _, pipeline, _ = world
    with pipeline.warehouse.read() as connection:
        counts = connection.execute(
            "SELECT marker, count(*) FROM ks4_la.latest_long WHERE marker IS NOT NULL GROUP BY marker"
        ).fetchall()
    assert dict(counts) == {"x": 20195, "c": 5443, "z": 246, "k": 1}


def test_a_second_run_fetches_no_csv_and_publishes_nothing(world):
    sandbox, pipeline, _ = world
    before = fingerprint(pipeline)
    followed = pipeline.settings.data_sets[0]
    alone = Pipeline(pipeline.settings.model_copy(update={"data_sets": (followed,)}))
    for again in (alone, pipeline):
        sandbox.clear_requests()
        report = load(again)
        asked = sandbox.requests
        assert (report.outcomes, report.published, report.exit_code) == ([], False, 0)
        assert not [request for request in asked if request.path.endswith("/csv")]
        assert len(asked) < 15
    assert fingerprint(pipeline) == before


def fingerprint(pipeline):
    path = pipeline.warehouse.path
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()
