"""``demo`` and ``imports``: what a newcomer waits for, and what every command costs before it does anything."""

from __future__ import annotations

from ks4_pipeline.sandbox.synthetic import FOLDER
from ks4_pipeline_tests.benchmarks.processes import PYTHON, measure
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.setting import Setting, data_dir, ks4

_COMMANDS = {
    "ks4 --help": ["--help"],
    "ks4 status": ["status"],
    "ks4 sql": ["sql", f"SELECT count(*) FROM {FOLDER}.latest"],
}
_DEMO, _DAGSTER, _NOTHING = "ks4 demo", "import dagster", "python -c pass"
_SECONDS = 0.5


def measure_demo(setting: Setting) -> Findings:
    """The demo, four versions loaded one after another, in turn with the import of Dagster."""
    found = Findings("demo", "the demo's four versions, against the import of Dagster")
    for _ in range(setting.runs):
        with setting.room() as room:
            found.add(_DAGSTER, measure([PYTHON, "-c", "import dagster"], room / "import"))
            found.add(_DEMO, ks4(room / "demo", "demo", "--data-dir", str(data_dir(room / "demo"))))
            versions = ks4(room / "demo", "sql", "--csv", "SELECT count(*) AS n FROM catalogue.versions").said.split()
            if versions != ["n", "4"]:
                found.wrong.append(f"the demo's warehouse says {versions} of its versions, and there are 4")
    found.say_ratio(_DEMO, _DAGSTER)
    found.bounds.append(Bound("demo, s: twice the import and 2 s", found.wall(_DEMO), 2 * found.wall(_DAGSTER) + 2))
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
