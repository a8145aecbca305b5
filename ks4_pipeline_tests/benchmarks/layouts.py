"""``layouts``: the same observations stored in different ways, for the choice that the warehouse has made."""

from __future__ import annotations

import json
from statistics import median

from ks4_pipeline.sandbox.synthetic import FOLDER
from ks4_pipeline_tests.benchmarks.laid_out import LAYOUTS
from ks4_pipeline_tests.benchmarks.publication import prepare
from ks4_pipeline_tests.benchmarks.results import Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import NATIONAL, Setting, data_dir, script, step


def measure_layouts(setting: Setting) -> Findings:
    """Make the observations once, then each table from them in turn, each in a process that asks it at once."""
    publication = prepare(setting.rows)
    found = Findings("layouts", f"one Parquet file of {setting.rows:,} rows stored in different ways")
    with setting.room() as room:
        with served(publication.root, [NATIONAL]) as sandbox:
            for name in ("land", "observe"):
                step(room / "steps", name, sandbox.url)
        parquet = data_dir(room / "steps") / "observations" / FOLDER / "1.0.parquet"
        asked: dict[str, dict[str, list[float]]] = {layout: {} for layout in LAYOUTS}
        answers = set()
        for _ in range(setting.runs):
            for layout, cells in asked.items():
                with setting.room() as place:
                    target = place / "table" / "figures.duckdb"
                    took = script(place / "table", "laid_out", str(parquet), str(target), layout)
                    found.add(layout, took)
                    said = json.loads(took.said)
                    answers.add(json.dumps(said["answers"]))
                    measured = {"MB": target.stat().st_size / (1 << 20), "load, s": said["loaded"]}
                    measured |= {f"{question}, ms": 1000 * seconds for question, seconds in said["asked"].items()}
                    for what, number in measured.items():
                        cells.setdefault(what, []).append(number)
    if len(answers) > 1:
        found.wrong.append("the layouts do not give the same answers")
    found.grid = {layout: {what: median(many) for what, many in cells.items()} for layout, cells in asked.items()}
    return found
