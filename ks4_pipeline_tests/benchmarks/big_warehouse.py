"""``big_warehouse``: a small version published into a warehouse of gigabytes, beside what a copy of the file takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from math import ceil
from typing import TYPE_CHECKING

from ks4_pipeline_tests.benchmarks.checking import wrong_figures
from ks4_pipeline_tests.benchmarks.cloning import clone
from ks4_pipeline_tests.benchmarks.many_versions import SMALL_ROWS, id_of
from ks4_pipeline_tests.benchmarks.processes import Took
from ks4_pipeline_tests.benchmarks.publication import describe, prepare
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import Setting, data_dir, follow, ks4, warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PUBLISH, _COPY = "ks4 run, a version of 1,000 rows", "a copy of the published files, flushed"
_BYTES_PER_ROW = 43  # of a published table, at least
_SECONDS = 5.0


def measure_big_warehouse(setting: Setting) -> Findings:
    """Fill a warehouse with copies of one data set of the large size, and let versions of a small one appear."""
    count = max(1, ceil(setting.gigabytes * 1e9 / (setting.rows * _BYTES_PER_ROW)))
    large, small = prepare(setting.rows), prepare(SMALL_ROWS, 2)
    found = Findings("big_warehouse", f"{count} data sets of {setting.rows:,} rows, and one of {SMALL_ROWS:,} rows")
    with setting.room() as room:
        root, work = room / "published", room / "work"
        ids = {f"large_{number}": id_of(f"large_{number}") for number in range(count)}
        for name, data_set_id in ids.items():
            describe(root / name, data_set_id, {"1.0": large.file("1.0")})
        first, *others = ids
        versions = {f"1.{n}": small.file(f"1.{n % 2}") for n in range(setting.runs + 1)}
        describe(root / "small", id_of("small"), versions)
        with served(root, [*ids.values(), id_of("small")]) as sandbox:
            follow(work, {first: ids[first]})
            ks4(work, "run", url=sandbox.url)
            _shrink(work)
            clone(work, first, {name: ids[name] for name in others})
            follow(work, {**ids, "small": id_of("small")})
            ks4(work, "run", url=sandbox.url)
            for run in range(setting.runs):
                sandbox.publish_next(id_of("small"))
                found.add(_PUBLISH, ks4(work, "run", url=sandbox.url))
                facts = small.facts[f"1.{(run + 1) % 2}"]
                found.wrong += wrong_figures(_PUBLISH, warehouse(work), "small.latest", facts)
                found.add(_COPY, Took(_copy_seconds(work, room / "copy")))
            found.wrong += wrong_figures("a large one", warehouse(work), "large_0.latest", large.facts["1.0"])
            _say_where(work, room, found)
    found.numbers["the run without a copy, s"] = found.wall(_PUBLISH) - found.wall(_COPY)
    found.bounds.append(Bound(f"{_PUBLISH}, s", found.wall(_PUBLISH), _SECONDS))
    return found


def _published(work: Path) -> Iterator[Path]:
    """The files that readers open: the warehouse, and whatever it may consist of besides."""
    return data_dir(work).glob("**/*.duckdb")


def _shrink(work: Path) -> None:
    """Leave out of the folder what a later run does not read: what landed of the large data set, and its Parquet."""
    for pattern in ("landing/large_*/*/data.csv.gz", "observations/large_*/*.parquet"):
        for file in data_dir(work).glob(pattern):
            file.unlink()


def _copy_seconds(work: Path, target: Path) -> float:
    target.mkdir()
    os.sync()
    began = time.perf_counter()
    for number, file in enumerate(_published(work)):
        copy = target / str(number)
        shutil.copyfile(file, copy)
        with copy.open("rb+") as written:
            os.fsync(written.fileno())
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def _say_where(work: Path, room: Path, found: Findings) -> None:
    """How large it is, on which file system, and whether that copies by reference."""
    found.numbers["published files, GB"] = sum(file.stat().st_size for file in _published(work)) / 1e9
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(room)], check=True, capture_output=True, text=True).stdout
    clone = ["cp", "--reflink=always", str(warehouse(work)), str(room / "clone")]
    cloned = subprocess.run(clone, check=False, capture_output=True).returncode == 0
    found.remarks.append(f"file system {kind.strip()}: {'copies by reference' if cloned else 'no copies by reference'}")
