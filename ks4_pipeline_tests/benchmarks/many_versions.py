"""``fifty_one`` and ``no_news``: what it costs that much is there already, when little or nothing is new.

The data sets are small, so that what is measured is the handling and not the figures. Odd and even versions hold two
editions of the same figures in turn: each of them changes something.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import ks4_pipeline
from ks4_pipeline_tests.benchmarks.checking import wrong_figures
from ks4_pipeline_tests.benchmarks.cloning import clone
from ks4_pipeline_tests.benchmarks.publication import EDITIONS, describe, prepare, work_folder
from ks4_pipeline_tests.benchmarks.results import Bound, Findings
from ks4_pipeline_tests.benchmarks.serving import served
from ks4_pipeline_tests.benchmarks.setting import Setting, data_dir, follow, ks4, script, warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ks4_pipeline_tests.benchmarks.publication import Publication
    from ks4_pipeline_tests.benchmarks.serving import Served

SMALL_ROWS = 1_000
_NEWS_ROWS = 50
_LOADED = {"version 2": 1, "version 51": 50}
_NO_NEWS = "ks4 run, no news"
_UNHURRIED = ("requests_per_second = 1000",)  # for what is loaded beforehand only


def measure_fifty_one(setting: Setting) -> Findings:
    """A run that loads version 2, in turn with one that loads version 51, each into a copy of what was there."""
    publication = prepare(SMALL_ROWS, 2)
    found = Findings("fifty_one", f"a version of {SMALL_ROWS:,} rows when 1 and when 50 are loaded")
    with setting.room() as room:
        root = room / "published"
        ids = {name: id_of(name) for name in _LOADED}
        for name, loaded in _LOADED.items():
            describe(root / _name(name), ids[name], _versions(publication, loaded + 1), held_from=loaded)
        with served(root, ids.values()) as sandbox:
            for name, data_set_id in ids.items():
                follow(room / name, {"figures": data_set_id}, _UNHURRIED)
                ks4(room / name, "run", url=sandbox.url)
                follow(room / name, {"figures": data_set_id})
                sandbox.publish_next(data_set_id)
            for _ in range(setting.many_runs):
                for name, loaded in _LOADED.items():
                    copy = room / "copy"
                    shutil.copytree(room / name, copy)
                    found.add(name, ks4(copy, "run", url=sandbox.url))
                    edition = publication.facts[_edition(loaded)]
                    found.wrong += wrong_figures(name, warehouse(copy), "figures.latest", edition)
                    shutil.rmtree(copy)
    new, second = reversed(_LOADED)
    found.say_ratio(new, second)
    found.bounds.append(Bound(f"{new} / {second}", found.ratio(new, second), 1.2))
    return found


def measure_no_news(setting: Setting) -> Findings:
    """Runs, and ticks of Dagster's sensors, over many data sets of many versions, of which none is new."""
    publication = prepare(_NEWS_ROWS, 2)
    count, versions = setting.data_sets, setting.versions
    found = Findings("no_news", f"{count} data sets of {versions} versions, and nothing new")
    data_sets = {f"figures_{number}": id_of(f"figures {number}") for number in range(count)}
    work = _kept(f"no-news-{count}-{versions}")
    with setting.room() as room:
        root = room / "published"
        for name, data_set_id in data_sets.items():
            describe(root / name, data_set_id, _versions(publication, versions), held_from=versions)
        with served(root, data_sets.values()) as sandbox:
            if not work.exists():
                _fill(room / "filled", data_sets, sandbox)
                (room / "filled").rename(work)
            sandbox.requests()
            before = warehouse(work).stat()
            for _ in range(setting.runs):
                found.add(_NO_NEWS, ks4(work, "run", url=sandbox.url))
            found.numbers["requests of a run"] = requests = sandbox.requests() / setting.runs
            found.grid = json.loads(script(work, "ticks", str(data_dir(work)), sandbox.url).said)
            found.numbers["requests of a round of ticks"] = sandbox.requests() / len(next(iter(found.grid.values())))
            if warehouse(work).stat().st_ino != before.st_ino:
                found.wrong.append("an edition was published without any news")
    loaded = ks4(work, "sql", "--csv", 'SELECT count("table") AS n FROM catalogue.versions').said.split()[-1]
    if loaded != str(count * versions):
        found.wrong.append(f"{loaded} versions are loaded, and there are {count * versions}")
    found.bounds += [
        Bound(f"{_NO_NEWS}, s", found.wall(_NO_NEWS), 5.0),
        Bound(f"{_NO_NEWS}, requests", requests, 200),
    ]
    return found


def _fill(work: Path, data_sets: Mapping[str, str], sandbox: Served) -> None:
    """Load the first data set, copy it under the other names, and let runs bring in what the publisher says of them.

    A run reads two pages of a list, so that it takes several until there is no news left.

    Loading all of them would take the better part of an hour; ``ks4 verify`` finds no fault with the copies.
    """
    first, *others = data_sets
    follow(work, {first: data_sets[first]}, _UNHURRIED)
    ks4(work, "run", url=sandbox.url)
    clone(work, first, {name: data_sets[name] for name in others})
    follow(work, data_sets)
    has_news = True
    while has_news:
        before = warehouse(work).stat().st_ino
        ks4(work, "run", url=sandbox.url)
        has_news = warehouse(work).stat().st_ino != before


def _kept(name: str) -> Path:
    """A folder that lasts as long as the pipeline's code stays the same: what fills it takes many minutes."""
    code = hashlib.sha256()
    for path in sorted(Path(ks4_pipeline.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    folder = work_folder() / f"{name}-{code.hexdigest()[:12]}"
    for outdated in work_folder().glob(f"{name}-*"):
        if outdated != folder:
            shutil.rmtree(outdated)
    return folder


def id_of(name: str) -> str:
    """The id of a made-up data set: the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ks4_pipeline_tests/benchmarks/{name}"))


def _versions(publication: Publication, count: int) -> dict[str, Path]:
    return {f"1.{number}": publication.file(_edition(number)) for number in range(count)}


def _edition(number: int) -> str:
    return tuple(EDITIONS)[number % 2]


def _name(text: str) -> str:
    return text.replace(" ", "_")
