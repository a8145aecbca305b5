"""``demo`` and ``imports``: what a newcomer waits for, and what every command costs before it does anything."""

from __future__ import annotations

import time
from statistics import median

from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, write_synthetic_ks4
from ks4_pipeline_tests.benchmarks.processes import PYTHON, measure
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import Setting, data_dir, follow, ks4, warehouse

_COMMANDS = {
    "ks4 --help": ["--help"],
    "ks4 status": ["status"],
    "ks4 sql": ["sql", f"SELECT count(*) FROM {FOLDER}.latest"],
}
_DEMO, _RUN = "ks4 demo", "ks4 run, all four at once"
_DAGSTER, _NOTHING = "import dagster", "python -c pass"
_SECONDS = 0.5


def measure_demo(setting: Setting) -> Findings:
    """The demo, four versions loaded one after another, and a run that finds all four, against Dagster's import."""
    found = Findings("demo", "the demo, and a first run of its four versions, against the import of Dagster")
    until_published = []
    for _ in range(setting.runs):
        with setting.room() as room:
            found.add(_DAGSTER, measure([PYTHON, "-c", "import dagster"], room / "import"))
            found.add(_DEMO, ks4(room / "demo", "demo", "--data-dir", str(data_dir(room / "demo"))))
            write_synthetic_ks4(room / "published")
            follow(room / "run", {FOLDER: DATA_SET_ID})
            with served(room / "published", [DATA_SET_ID]) as sandbox:
                began = time.time()
                found.add(_RUN, ks4(room / "run", "run", url=sandbox.url))
            # Its name was given last: what was written before that, mtime, is checked and flushed in between.
            until_published.append(warehouse(room / "run").stat().st_ctime - began)
            for work in ("demo", "run"):
                versions = ks4(room / work, "sql", "--csv", "SELECT count(*) AS n FROM catalogue.versions").said.split()
                if versions != ["n", "4"]:
                    found.wrong.append(f"the {work}'s warehouse says {versions} of its versions, and there are 4")
    limit = 2 * found.wall(_DAGSTER) + 2
    for what in (_DEMO, _RUN):
        found.say_ratio(what, _DAGSTER)
    found.numbers[f"{_RUN}, s until they are published, reports to come"] = loaded = median(until_published)
    found.bounds += [
        Bound("first load of four versions, s: twice the import and 2 s", loaded, limit),
        Bound("the whole demo, s: the same", found.wall(_DEMO), limit),
    ]
    return found


def measure_imports(setting: Setting) -> Findings:
    """Commands that need no Dagster, in turn with a Python that does nothing."""
    found = Findings("imports", "commands that need no Dagster, against a Python that does nothing")
    with setting.room() as room:
        ks4(room / "work", "demo", "--data-dir", str(data_dir(room / "work")))
        for _ in range(setting.many_runs):
            found.add(_NOTHING, measure([PYTHON, "-c", "pass"], room / "work"))
            for name, arguments in _COMMANDS.items():
                found.add(name, ks4(room / "work", *arguments))
    for name in _COMMANDS:
        found.say_ratio(name, _NOTHING)
        found.bounds.append(Bound(f"{name}, s", found.wall(name), _SECONDS))
    return found
