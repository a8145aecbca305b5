"""``load``: the whole main job and its steps, from HTTP to published table, between the routes it is held against."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ks4_pipeline.sandbox.synthetic import FOLDER
from ks4_pipeline_tests.benchmarks.checking import wrong_figures
from ks4_pipeline_tests.benchmarks.publication import SIZES, prepare
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.serving import Served, served
from ks4_pipeline_tests.benchmarks.setting import NATIONAL, Setting, ks4, script, step, warehouse
from ks4_pipeline_tests.benchmarks.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ks4_pipeline_tests.benchmarks.publication import Publication

JOB, LIMIT, SQL, PANDAS, DLT, CSV = "ks4 run", "L", "DuckDB SQL", "pandas", "dlt, fast path", "csv module"
_DLT_ROWS = "dlt, its default"
_STEPS = "steps"
ROUTES = {  # as ``--routes`` takes them
    "job": JOB,
    "steps": _STEPS,
    "L": LIMIT,
    "sql": SQL,
    "pandas": PANDAS,
    "dlt": DLT,
    "dlt_rows": _DLT_ROWS,
    "csv": CSV,
}
_SCRIPTS = {LIMIT: "text", SQL: "sql", PANDAS: "pandas", DLT: "dlt", CSV: "csv_module"}
_NEEDS = {PANDAS: ("pandas",), DLT: ("dlt", "pyarrow"), _DLT_ROWS: ("dlt", "pandas")}
_SLOW = {PANDAS, DLT, CSV}
_ONCE_FROM = 5_000_000  # rows from which the slow routes are run once only
_ROWS_AT_MOST = 5_000  # what dlt's default is given, being a thousand times slower
_TABLE = "published warehouse, MB"


def measure_loading(setting: Setting) -> Findings:
    """Measure all in turn, as often as was asked."""
    publication = prepare(setting.rows)
    facts = publication.facts["1.0"]
    title = f"{facts.rows:,} rows, {facts.csv_bytes >> 20:,} MB of CSV, {facts.gzip_bytes >> 20:,} MB as gzip"
    found = Findings("load", title)
    routes = list(_wanted(setting, found))
    with served(publication.root, [NATIONAL]) as sandbox:
        for run in range(setting.runs):
            slow = _SLOW if run and setting.rows >= _ONCE_FROM else set()
            for route in routes:
                if route not in slow:
                    _measure_once(setting, publication, sandbox, route, found)
    if _DLT_ROWS in routes:
        _measure_rows_route(setting, found)
    _conclude(setting, found, facts.gzip_bytes)
    return found


def _wanted(setting: Setting, found: Findings) -> Iterator[str]:
    """The routes asked for, with a word on those whose libraries are not there; the main job and L are always."""
    for key, route in ROUTES.items():
        if setting.routes and key not in setting.routes and route not in {JOB, LIMIT}:
            continue
        missing = [library for library in _NEEDS.get(route, ()) if find_spec(library) is None]
        if missing:
            found.remarks.append(f"{route}: left out, {' and '.join(missing)} not installed (extra 'benchmarks')")
        else:
            yield route


def _measure_once(setting: Setting, publication: Publication, sandbox: Served, route: str, found: Findings) -> None:
    facts = publication.facts["1.0"]
    if route in _SCRIPTS:
        _measure_route(setting, route, _SCRIPTS[route], publication, found)
        return
    with setting.room() as room:
        if route == JOB:
            found.add(route, ks4(room / "work", "run", url=sandbox.url))
            found.numbers[_TABLE] = warehouse(room / "work").stat().st_size / (1 << 20)
        elif route == _STEPS:
            for name in STEPS:
                found.add(name, step(room / "work", name, sandbox.url))
        else:
            return
        found.wrong += wrong_figures(route, warehouse(room / "work"), f"{FOLDER}.latest", facts)


def _measure_route(setting: Setting, route: str, name: str, publication: Publication, found: Findings) -> None:
    with setting.room() as room:
        target = room / "route" / "figures.duckdb"
        found.add(route, script(room / "route", "routes", name, str(publication.file("1.0")), str(target)))
        found.wrong += wrong_figures(route, target, "main.figures", publication.facts["1.0"], typed=route != LIMIT)


def _measure_rows_route(setting: Setting, found: Findings) -> None:
    """dlt's default, once, over part of the rows: all of them would take hours."""
    few = prepare(min(_ROWS_AT_MOST, max(setting.rows // 20, 1)))
    name = f"{_DLT_ROWS}, {few.facts['1.0'].rows:,} rows"
    _measure_route(setting, name, "dlt_rows", few, found)


def _conclude(setting: Setting, found: Findings, gzip_bytes: int) -> None:
    for route in found.took:
        if route not in {LIMIT, *STEPS}:
            found.say_ratio(route, LIMIT)
    for route in (PANDAS, DLT, CSV):
        if route in found.took:
            found.say_ratio(route, JOB)
    found.bounds += [
        Bound(f"{name}, GiB of its largest process", found.peak(name) / (1 << 30), 1.0)
        for name in (JOB, *STEPS)
        if name in found.took
    ]
    if setting.rows >= SIZES["1m"]:
        allowed = 2 * found.numbers[_TABLE] + gzip_bytes / (1 << 20)
        disk = max(took.disk or 0 for took in found.took[JOB]) / (1 << 20)
        found.bounds.append(Bound("main job, MB on disk at most: twice the warehouse and the gzip", disk, allowed))
    if setting.is_largest:
        found.bounds.append(Bound("main job / L", found.ratio(JOB, LIMIT), 1.5))
    for route, times in {PANDAS: 2.0, DLT: 10.0}.items():
        if route in found.took and setting.rows >= SIZES["1m"]:
            found.bounds.append(Bound(f"{route} / main job", found.ratio(route, JOB), times, at_least=True))
