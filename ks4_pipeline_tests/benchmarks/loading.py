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
    from ks4_pipeline_tests.benchmarks.publication import Publication

JOB, LIMIT = "ks4 run", "L"
_TABLE = "published warehouse, MB"
_ROUTES = {
    LIMIT: "text",
    "DuckDB SQL": "sql",
    "pandas": "pandas",
    "dlt, fast path": "dlt",
    "csv module": "csv_module",
}
_ROWS_ROUTE = "dlt, its default"
_NEEDS = {"pandas": ("pandas",), "dlt, fast path": ("dlt", "pyarrow"), _ROWS_ROUTE: ("dlt", "pandas")}
_SLOW = {"pandas", "dlt, fast path", "csv module"}
_ONCE_FROM = 5_000_000  # rows from which the slow routes are run once only
_ROWS_AT_MOST = 10_000  # what dlt's default is given, being a thousand times slower


def measure_loading(setting: Setting) -> Findings:
    """Measure all in turn, as often as was asked."""
    publication = prepare(setting.rows)
    facts = publication.facts["1.0"]
    title = f"{facts.rows:,} rows, {facts.csv_bytes >> 20:,} MB of CSV, {facts.gzip_bytes >> 20:,} MB as gzip"
    found = Findings("load", title)
    routes = [JOB, *STEPS, *_ROUTES]
    for name, libraries in _NEEDS.items():
        missing = [library for library in libraries if find_spec(library) is None]
        if missing:
            found.remarks.append(f"{name}: left out, {' and '.join(missing)} not installed (extra 'benchmarks')")
            routes = [route for route in routes if route != name]
    with served(publication.root, [NATIONAL]) as sandbox:
        for run in range(setting.runs):
            if run and setting.rows >= _ONCE_FROM:
                routes = [route for route in routes if route not in _SLOW]
            _measure_once(setting, publication, sandbox, routes, found)
    _measure_rows_route(setting, found)
    _conclude(setting, found, facts.gzip_bytes)
    return found


def _measure_once(
    setting: Setting, publication: Publication, sandbox: Served, routes: list[str], found: Findings
) -> None:
    facts = publication.facts["1.0"]
    for route in routes:
        with setting.room() as room:
            if route == JOB:
                found.add(route, ks4(room / "job", "run", url=sandbox.url))
                published = warehouse(room / "job")
                found.numbers[_TABLE] = published.stat().st_size / (1 << 20)
                found.wrong += wrong_figures(route, published, f"{FOLDER}.latest", facts)
            elif route == STEPS[0]:
                for name in STEPS:
                    found.add(name, step(room / "steps", name, sandbox.url))
                found.wrong += wrong_figures("steps", warehouse(room / "steps"), f"{FOLDER}.latest", facts)
            elif route in _ROUTES:
                _measure_route(setting, route, _ROUTES[route], publication, found)


def _measure_route(setting: Setting, route: str, name: str, publication: Publication, found: Findings) -> None:
    with setting.room() as room:
        target = room / "route" / "figures.duckdb"
        found.add(route, script(room / "route", "routes", name, str(publication.file("1.0")), str(target)))
        found.wrong += wrong_figures(route, target, "main.figures", publication.facts["1.0"], typed=route != LIMIT)


def _measure_rows_route(setting: Setting, found: Findings) -> None:
    """dlt's default, once, over part of the rows: all of them would take hours."""
    if any(find_spec(library) is None for library in _NEEDS[_ROWS_ROUTE]):
        return
    few = prepare(min(_ROWS_AT_MOST, max(setting.rows // 20, 1)))
    name = f"{_ROWS_ROUTE}, {few.facts['1.0'].rows:,} rows"
    _measure_route(setting, name, "dlt_rows", few, found)


def _conclude(setting: Setting, found: Findings, gzip_bytes: int) -> None:
    for route in found.took:
        if route not in {LIMIT, *STEPS}:
            found.say_ratio(route, LIMIT)
    for route in ("pandas", "dlt, fast path", "csv module"):
        if route in found.took:
            found.say_ratio(route, JOB)
    found.bounds += [
        Bound(f"{name}, GiB of its largest process", found.peak(name) / (1 << 30), 1.0) for name in (JOB, *STEPS)
    ]
    if setting.rows >= SIZES["1m"]:
        allowed = 2 * found.numbers[_TABLE] + gzip_bytes / (1 << 20)
        disk = max(took.disk or 0 for took in found.took[JOB]) / (1 << 20)
        found.bounds.append(Bound("main job, MB on disk at most: twice the warehouse and the gzip", disk, allowed))
    if setting.is_largest:
        found.bounds.append(Bound("main job / L", found.ratio(JOB, LIMIT), 1.5))
    for route, times in {"pandas": 2.0, "dlt, fast path": 10.0}.items():
        if route in found.took and setting.rows >= SIZES["1m"]:
            found.bounds.append(Bound(f"{route} / main job", found.ratio(route, JOB), times, at_least=True))
