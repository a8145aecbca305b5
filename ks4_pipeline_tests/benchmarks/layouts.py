"""``layouts``: the same observations stored in different ways, for the choice that the warehouse has made."""

from __future__ import annotations

import json

from ks4_pipeline.sandbox.synthetic import FOLDER
from ks4_pipeline_tests.benchmarks.laid_out import LAYOUTS
from ks4_pipeline_tests.benchmarks.processes import Took
from ks4_pipeline_tests.benchmarks.publication import prepare
from ks4_pipeline_tests.benchmarks.results import Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import NATIONAL, Setting, data_dir, script, step

_FIRST = next(iter(LAYOUTS))


def measure_layouts(setting: Setting) -> Findings:
    """Make the observations once, then each table from them in turn, each in a process that asks it at once."""
    publication = prepare(setting.rows)
    found = Findings("layouts", f"one Parquet file of {setting.rows:,} rows stored in different ways")
    with setting.room() as room:
        with served(publication.root, [NATIONAL]) as sandbox:
            for name in ("land", "observe"):
                step(room / "steps", name, sandbox.url)
        parquet = data_dir(room / "steps") / "observations" / FOLDER / "1.0.parquet"
        answers = set()
        for _ in range(setting.runs):
            for layout in LAYOUTS:
                with setting.room() as place:
                    target = place / "table" / "figures.duckdb"
                    took = script(place / "table", "laid_out", str(parquet), str(target), layout)
                    said = json.loads(took.said)
                    found.add(layout, took)
                    found.numbers[f"{layout}, MB"] = target.stat().st_size / (1 << 20)
                    found.add(f"{layout}: load", Took(said["loaded"]))
                    for question, seconds in said["asked"].items():
                        found.add(f"{layout}: {question}", Took(seconds))
                    answers.add(said["answers"])
    if len(answers) > 1:
        found.wrong.append("the layouts do not give the same answers")
    for layout in list(LAYOUTS)[1:]:
        for what in [what for what in found.took if what.startswith(f"{layout}: ")]:
            found.say_ratio(what, what.replace(layout, _FIRST, 1), f"{what} / {_FIRST}")
    return found
