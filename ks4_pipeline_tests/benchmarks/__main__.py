"""The benchmark suite's command: measures, prints tables of medians and ratios, and writes them as JSON.

The exit code is 1 when a result is wrong, and never because something is slow.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ks4_pipeline_tests.benchmarks.big_warehouse import measure_big_warehouse
from ks4_pipeline_tests.benchmarks.first_steps import measure_demo, measure_imports
from ks4_pipeline_tests.benchmarks.layouts import measure_layouts
from ks4_pipeline_tests.benchmarks.loading import ROUTES, measure_loading
from ks4_pipeline_tests.benchmarks.many_versions import measure_fifty_one, measure_no_news
from ks4_pipeline_tests.benchmarks.publication import SIZES, rows_of
from ks4_pipeline_tests.benchmarks.results import comparison, document, machine, table
from ks4_pipeline_tests.benchmarks.setting import PACKAGE, Setting
from ks4_pipeline_tests.benchmarks.two_versions import measure_queries, measure_revisions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ks4_pipeline_tests.benchmarks.results import Findings

BENCHMARKS: dict[str, Callable[[Setting], Findings]] = {
    "load": measure_loading,
    "revisions": measure_revisions,
    "queries": measure_queries,
    "layouts": measure_layouts,
    "big_warehouse": measure_big_warehouse,
    "fifty_one": measure_fifty_one,
    "no_news": measure_no_news,
    "demo": measure_demo,
    "imports": measure_imports,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit code."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger(PACKAGE).setLevel(logging.INFO)  # each run as it ends, on standard error
    setting = _setting(given)
    earlier = json.loads(given.compare.read_text("utf-8")) if given.compare else None
    where = machine()
    print(
        f"{where['cpus']} CPUs, {where['memory'] >> 30} GiB, load {where['load']:.1f}: read the ratios. "
        f"{', '.join(f'{name} {version}' for name, version in where['libraries'].items())}"
    )
    found = []
    for name in given.only or BENCHMARKS:
        began = time.monotonic()
        findings = BENCHMARKS[name](setting)
        found.append(findings)
        print(*table(findings), f"  ({time.monotonic() - began:.0f} s)", sep="\n", flush=True)
        if given.json:  # what is known is kept, should a later one break off
            given.json.write_text(json.dumps(document(setting.rows, found), indent=1) + "\n", "utf-8")
    if earlier:
        print(*comparison(found, setting.rows, earlier), sep="\n")
    wrong = [f"{findings.name}: {fault}" for findings in found for fault in findings.wrong]
    print("", *(f"WRONG: {fault}" for fault in wrong), f"{len(wrong)} wrong results", sep="\n")
    return 1 if wrong else 0


def _setting(given: argparse.Namespace) -> Setting:
    """What was asked for, and where nothing was, what suits the number of rows."""
    small = given.rows < SIZES["1m"]
    gigabytes = 5.0 if given.rows >= SIZES["10m"] else 0.02 if small else 0.5
    return Setting(
        rows=given.rows,
        runs=given.runs,
        gigabytes=given.gigabytes or gigabytes,
        routes=given.routes,
        restated=given.restated,
        data_sets=given.data_sets or (10 if small else 100),
        versions=given.versions or (5 if small else 50),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ks4_pipeline_tests.benchmarks",
        description="Measure the pipeline as whole processes, in turn with what it is held against.",
        epilog="Fails on wrong results only. Files are kept below KS4_BENCH_DIR, or in a temporary folder.",
    )
    parser.add_argument("--rows", type=rows_of, default="100k", help="of the large data set: 100k, 1m, 10m or a number")
    parser.add_argument("--runs", type=int, default=3, help="how often each thing is run; short ones five times that")
    names = ", ".join(BENCHMARKS)
    parser.add_argument("--only", nargs="+", action="extend", choices=BENCHMARKS, metavar="NAME", help=f"of {names}")
    parser.add_argument(
        "--routes", nargs="+", choices=ROUTES, metavar="ROUTE", default=(), help=f"of load, of {', '.join(ROUTES)}"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all that was found")
    parser.add_argument("--compare", type=Path, metavar="PATH", help="hold it against such a file")
    parser.add_argument("--gigabytes", type=float, help="of the big warehouse: 5 at 10m, 0.5 at 1m, else 0.02")
    parser.add_argument("--restated", type=int, default=6, help="percent of measures that the second version changes")
    parser.add_argument("--data-sets", type=int, help="followed when there is no news: 100 from 1m on, else 10")
    parser.add_argument("--versions", type=int, help="loaded of each of them: 50 from 1m on, else 5")
    return parser


if __name__ == "__main__":
    sys.exit(main())
