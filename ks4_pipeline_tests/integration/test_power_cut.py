"""What outlives a power cut: the order in which things are written, flushed and named, as the system is told it.

A disk may keep a new name and lose the bytes behind it. So a file has to be flushed after its last byte and before it
gets its name, and the folder that has the name after that; a folder is an entry in the one above it, too.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ks4_pipeline.run import rebuild
from ks4_pipeline.sandbox import Fault, Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, scored

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs to see which file a handle is")


class Journal:
    """What was flushed, named and made, in that order; each rename is checked against what was flushed before."""

    def __init__(self, patch, root):
        self._root = root
        self._flushed = set()
        self.events = []
        self.problems = []
        fsync, replace, mkdir = os.fsync, os.replace, os.mkdir

        def flushing(handle):
            fsync(handle)
            path = Path(f"/proc/self/fd/{handle}").readlink()
            self._flushed.add(state(path))
            self.events.append(("flush", path))

        def renaming(source, target, **more):
            source, target = Path(source), Path(target)
            if self._matters(target):
                files = [path for path in (source, *source.rglob("*")) if source.exists()]
                self.problems += [f"{path} is not flushed" for path in files if state(path) not in self._flushed]
                self.events.append(("name", target))
            replace(source, target, **more)

        def making(path, *args, **more):
            mkdir(path, *args, **more)
            if self._matters(Path(path)):
                self.events.append(("make", Path(path)))

        patch.setattr(os, "fsync", flushing)
        patch.setattr(os, "replace", renaming)
        patch.setattr(os, "rename", renaming)
        patch.setattr(os, "mkdir", making)

    def _matters(self, path):
        return path.is_relative_to(self._root) and ".unfinished-" not in str(path.parent) and path.name[0] != "."

    def judge(self):
        """All problems: also entries that were not flushed before the next one was made."""
        for (kind, path), (next_kind, next_path) in zip(self.events, [*self.events[1:], ("end", None)], strict=True):
            if kind != "flush" and (next_kind, next_path) != ("flush", path.parent):
                self.problems.append(f"{path}: {kind} is followed by {next_kind} {next_path}")
        return self.problems

    def named(self):
        return {str(path.relative_to(self._root)) for kind, path in self.events if kind == "name"}


def state(path):
    """A file as it is, so that one written to after it was flushed counts as not flushed; a folder by itself."""
    at = path.stat()
    return (at.st_ino, None) if path.is_dir() else (at.st_ino, at.st_size, at.st_mtime_ns, at.st_mode)


@pytest.fixture
def world(tmp_path):
    root = tmp_path / "published"
    data_set = describe(root, "d", Edition("1.0", scored("1", "[c]")), Edition("1.1", scored("2"), {"held": True}))
    with Sandbox(root) as sandbox, pytest.MonkeyPatch.context() as patch:
        data_dir = tmp_path / "new" / "data"
        yield sandbox, data_set, pipeline_for(data_dir, sandbox.url, data_set), Journal(patch, data_dir)


def test_everything_is_flushed_before_it_is_named_and_the_name_after_that(world):
    _, _, pipeline, journal = world
    assert load(pipeline).exit_code == 0
    assert journal.named() == {
        "landing/d/listing.json", "landing/d/1.0", "observations/d/1.0.parquet", "observations/d/1.0.json",
        "observations/d/1.0.checks.json",
        "warehouse.duckdb",
    }  # fmt: skip
    made = {path.name for kind, path in journal.events if kind == "make"}
    assert made == {"data", "landing", "d", "observations"}
    assert journal.judge() == []


def test_so_it_is_where_a_version_is_refused_or_accepted_and_when_all_is_rebuilt(world):
    sandbox, data_set, pipeline, journal = world
    cut = Fault.model_validate({"kind": "cut_text", "path": "*/csv"})

    def refetch():
        with pipeline.client() as client:
            return pipeline.refetch(client, data_set, VersionNumber(1, 0))

    load(pipeline)
    sandbox.publish(data_set.id, "1.1")
    sandbox.fail(cut)
    assert load(pipeline).exit_code == 1
    assert not refetch().is_same
    sandbox.heal()
    assert load(pipeline).exit_code == 0
    assert refetch().is_same
    assert rebuild(pipeline).exit_code == 0
    sandbox.fail(cut)
    pipeline.landing.accept(data_set, refetch().found)
    named = [name.split("/")[2] for name in journal.named() if name.startswith("landing/d/")]
    assert {"refused", "republished", "superseded"} <= set(named)
    assert journal.judge() == []
