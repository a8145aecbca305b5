"""``revisions`` and ``queries``: a second version of the large data set, compared with the first, and then asked."""

from __future__ import annotations

import json
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import duckdb

from ks4_pipeline.sandbox.synthetic import FOLDER
from ks4_pipeline_tests.benchmarks.checking import unlike_changes, wrong_changes, wrong_figures
from ks4_pipeline_tests.benchmarks.publication import prepare
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import NATIONAL, Setting, ks4, script, warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ks4_pipeline_tests.benchmarks.publication import Publication
    from ks4_pipeline_tests.benchmarks.serving import Served

DIFF, SECOND, LIMIT = "ks4 diff 1.0 1.1", "ks4 run, version 1.1", "L, version 1.0"


def measure_revisions(setting: Setting) -> Findings:
    """Load the second version on top of the first, and compare the two once more; L in turn with them."""
    publication = prepare(setting.rows, 2, restated=setting.restated)
    facts = publication.facts["1.1"]
    cells = sum(facts.changes.values())
    found = Findings("revisions", f"two versions of {facts.rows:,} rows x 20 indicators, {cells:,} changes")
    with served(publication.root, [NATIONAL]) as sandbox:
        for _ in range(setting.runs):
            with setting.room() as room:
                database = room / "l" / "figures.duckdb"
                found.add(LIMIT, script(room / "l", "routes", "text", str(publication.file("1.0")), str(database)))
            with setting.room() as room, _second_loaded(room / "job", sandbox, publication, found):
                written = room / "differences.parquet"
                found.add(DIFF, ks4(room / "job", "diff", "1.0", "1.1", "--parquet", str(written)))
                with duckdb.connect() as connection:
                    connection.execute(f"SELECT class, count(*) FROM '{written}' GROUP BY ALL")
                    found.wrong += unlike_changes(DIFF, dict(connection.fetchall()), facts)
    found.say_ratio(DIFF, LIMIT)
    found.say_ratio(SECOND, LIMIT)
    found.bounds.append(Bound(f"{DIFF}, GiB of its largest process", found.peak(DIFF) / (1 << 30), 2.0))
    if setting.is_largest:
        found.bounds.append(Bound(f"{DIFF} / L", found.ratio(DIFF, LIMIT), 2.0))
    return found


def measure_queries(setting: Setting) -> Findings:
    """Ask a warehouse of two versions a user's first questions, in processes of their own."""
    publication = prepare(setting.rows, 2, restated=setting.restated)
    found = Findings("queries", f"ten questions to two versions of {publication.facts['1.1'].rows:,} rows")
    loading = Findings("loading", "")
    asked: dict[str, dict[str, list[float]]] = {}
    with (
        served(publication.root, [NATIONAL]) as sandbox,
        setting.room() as room,
        _second_loaded(room / "job", sandbox, publication, loading),
    ):
        found.wrong += loading.wrong
        for run in range(setting.runs):
            first = ("ours", "raw")[run % 2]
            took = script(room / "asked", "asked", str(warehouse(room / "job")), FOLDER, first)
            found.add("all of them, as a process", took)
            answers = json.loads(took.said)
            found.wrong += [f"{name}: another answer than the tables'" for name in answers["differ"]]
            for side in ("ours", "raw"):
                for name, seconds in answers[side].items():
                    asked.setdefault(name, {}).setdefault(side, []).append(1000 * seconds)
    for name, times in asked.items():
        cells = {f"{side}, ms": median(milliseconds) for side, milliseconds in times.items()}
        if "raw" in times:
            pairs = zip(times["ours"], times["raw"], strict=True)
            cells["ours / raw"] = median(ours / raw for ours, raw in pairs)
        found.grid[name] = cells
    return found


@contextmanager
def _second_loaded(folder: Path, sandbox: Served, publication: Publication, found: Findings) -> Iterator[None]:
    """Load 1.0, let 1.1 appear and load it as a measured run; afterwards it has not appeared."""
    ks4(folder, "run", url=sandbox.url)
    sandbox.publish_next(NATIONAL)
    try:
        found.add(SECOND, ks4(folder, "run", url=sandbox.url))
        for version, facts in publication.facts.items():
            table = f"{FOLDER}.v{version.replace('.', '_')}_0"
            found.wrong += wrong_figures(f"{SECOND}, table of {version}", warehouse(folder), table, facts)
        found.wrong += wrong_changes(SECOND, warehouse(folder), FOLDER, publication.facts["1.1"])
        yield
    finally:
        sandbox.hold(NATIONAL, "1.1")
