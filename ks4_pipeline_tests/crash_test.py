"""The crash test: ``ks4 run`` and its kin killed at every seam and at random instants, and what is left then.

``python -m ks4_pipeline_tests.crash_test`` plays all kills and prints a line for each; ``test_crash.py`` plays a few.
Every kill is a SIGKILL to a process that runs the real command line against a sandbox, on a copy of a data directory in
a known state. Where to strike, a rehearsal tells (:mod:`ks4_pipeline_tests.seams`): before and after each step that
changes the disk, and wherever the disk is not as it was at the kill before. After each kill the published file must be
the old or the new edition, cell by cell; a plain ``ks4 run`` must end with exit code 0 and with every cell that the
publisher's CSV has, read by Python's ``csv``; and nothing unfinished may be left.

All processes are forked from one that has imported everything and has no threads of its own: a kill costs no start-up.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ks4_pipeline.cli.accepting
import ks4_pipeline.cli.loading  # noqa: F401 - imported once for all children
from ks4_pipeline.cli import app
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.crash_evidence import NAME, Content, content, differences, left_behind, wrong_cells
from ks4_pipeline_tests.publisher import Edition, describe, id_of, pipeline_for, rows
from ks4_pipeline_tests.seams import fingerprint, is_effect, watch

SCORES = {
    "1.0": ["1.5", "c", "z", "-3", *(str(number / 8) for number in range(200))],
    "1.0.1": ["1.25", "c", "x", "low", *(str(number / 8) for number in range(200))],
    "2.0": [" C ", "[low]", "1e3", " 7", "0", *(str(number / 4) for number in range(300))],
}
ACCEPTED = ["9.5", "u", "z", "-3", *(str(number / 8) for number in range(200))]
"""What the publisher serves under 1.0 later on."""
_CHILD_SECONDS = 120


def csv_of(scores: Sequence[str], *, odd: bool = False) -> str:
    """A CSV of a row per score; an odd one has a quote inside a cell, so that it is read the slow way."""
    quote = '"' if odd else ""
    return rows(*(f"gr{quote}oup {number},10,{score}" for number, score in enumerate(scores, 1)))


CSVS = {version: csv_of(scores, odd=version == "2.0") for version, scores in SCORES.items()}


@dataclass(frozen=True)
class Scene:
    """A command, and the state it finds.

    Attributes:
        name: what the report calls it.
        command: the words behind ``ks4``.
        loaded: the versions in the warehouse at the beginning.
        exit_code: what the command ends with when nobody kills it.
        republished: whether other bytes of 1.0 wait to be accepted.
        refusing: whether what is served cannot be trusted until after the kill.
    """

    name: str
    command: tuple[str, ...]
    loaded: tuple[str, ...] = ()
    exit_code: int = 0
    republished: bool = False
    refusing: bool = False

    @property
    def csvs(self) -> dict[str, str]:
        """What has to be in the warehouse at the very end."""
        return {**CSVS, "1.0": csv_of(ACCEPTED)} if self.republished else CSVS


SCENES = (
    Scene("the first run", ("run",)),
    Scene("a run with two new versions", ("run",), loaded=("1.0",)),
    Scene("a run that refuses", ("run",), loaded=("1.0",), exit_code=1, refusing=True),
    Scene("accept", ("accept", "1.0"), loaded=tuple(CSVS), republished=True),
    Scene("rebuild", ("rebuild",), loaded=tuple(CSVS)),
)


@dataclass(frozen=True)
class Passage:
    """A place where a command can be killed: its name, and the how manieth passage by that name."""

    name: str
    number: int


@dataclass
class Verdict:
    """What came of a kill."""

    scene: str
    where: str
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    published: str = ""
    """What the kill left published: ``nothing``, ``old`` or ``new``."""

    def __str__(self) -> str:
        found = [f"LOST: {text}" for text in self.lost] + [f"DAMAGED: {text}" for text in self.damaged]
        return f"{self.scene:<28} {self.where:<75} {self.published:<8} {'; '.join(found) or 'ok'}"


def total(verdicts: Sequence[Verdict]) -> str:
    """The last line."""
    lost, damaged = (sum(bool(getattr(verdict, what)) for verdict in verdicts) for what in ("lost", "damaged"))
    return f"{len(verdicts)} kills, {lost} lost, {damaged} damaged"


# --- children


def _begin(work: Callable[[Callable[[Any], None]], None]) -> tuple[int, int]:
    """Fork a child that does some work, told how to answer; its process id, and where its answers come from."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 70
    try:
        os.close(reading)
        signal.alarm(_CHILD_SECONDS)
        work(lambda answer: _send(writing, answer))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException as error:  # noqa: BLE001 - the parent tells it
        _send(writing, f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _end(pid: int, reading: int) -> tuple[int, list[Any]]:
    """Wait for a child: its exit code (the negative number of a signal), and its answers."""
    with os.fdopen(reading, "rb") as answers:
        given = []
        while True:
            try:
                given.append(pickle.load(answers))
            except (EOFError, pickle.UnpicklingError):
                break
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), given


def _send(writing: int, answer: Any) -> None:
    data = pickle.dumps(answer)
    while data:
        data = data[os.write(writing, data) :]


def in_child(work: Callable[[], Any]) -> Any:
    """The answer of some work done in a child, so that no thread it starts is there at the next fork."""
    code, answers = _end(*_begin(lambda answer: answer(work())))
    if code:
        raise RuntimeError(f"a child ended with {code}: {answers}")
    return answers[0]


def _play_command(data_dir: Path, url: str, command: Sequence[str], log: Path) -> None:
    """Be ``ks4`` in this process, and end as it does."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(KS4_DATA_DIR=str(data_dir), KS4_API_URL=url, TMPDIR=str(data_dir.parent / "tmp"))
    sys.argv = ["ks4", *command]
    app(prog_name="ks4")


# --- the publisher, in a process of its own


def _serve(roots: Sequence[Path], telling: Connection) -> None:
    with Sandbox(roots[0]) as first, Sandbox(roots[1]) as later:
        telling.send((first.url, later.url))
        telling.recv()


@contextmanager
def _publisher(folder: Path) -> Iterator[tuple[str, str]]:
    """Two addresses: what the publisher serves, and what it serves after 1.0 got other bytes."""
    for root, first in (("published", CSVS["1.0"]), ("republished", csv_of(ACCEPTED))):
        editions = [Edition(version, text) for version, text in {**CSVS, "1.0": first}.items()]
        describe(folder / root, NAME, *editions)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=([folder / "published", folder / "republished"], there))
    process.start()
    there.close()  # so that its end is heard of
    try:
        yield here.recv()
    finally:
        here.send("enough")
        process.join(10)


def _admin(url: str, method: str, body: object = None) -> None:
    request = urllib.request.Request(
        url.replace("/statistics", "/admin/faults"), method=method, data=json.dumps(body).encode() if body else None
    )
    urllib.request.urlopen(request, timeout=10).close()


# --- scenes


class Stage:
    """A scene set up: where it begins, what it leads to, and where it can be killed."""

    def __init__(self, scene: Scene, folder: Path, first: str, later: str) -> None:
        self.scene = scene
        self._folder = folder
        self._first, self._later = first, later
        self._url = later if scene.republished else first
        self._prepared = folder / "prepared"
        self._copies = 0
        (folder / "tmp").mkdir(parents=True)
        self._prepared.mkdir()
        data_set = f'[data_sets.{NAME}]\nid = "{id_of(NAME)}"\n'
        (self._prepared / "ks4.toml").write_text(data_set, encoding="utf-8")
        self._prepare()
        self.old = in_child(lambda: content(self._prepared))
        self._old_bytes = _sha256(self._prepared)
        self.passages, self.seconds, self.new, self.recovered = self._rehearse()

    def kills(self) -> list[Passage]:
        """Before and after each effect of another name, and wherever the disk is not as at the kill before."""
        passages: Counter[str] = Counter()
        chosen, seen = [], None
        for name, state in self.passages:
            passages[name] += 1
            if state != seen or (is_effect(name) and passages[name] == 1):
                chosen.append(Passage(name, passages[name]))
                seen = state
        return chosen

    def kill_at(self, passage: Passage) -> Verdict:
        """Kill at a passage, run again, look at what came of it."""
        count = 0

        def passed(name: str) -> None:
            nonlocal count
            count += name == passage.name
            if count == passage.number:
                os.kill(os.getpid(), signal.SIGKILL)

        def strike(data_dir: Path) -> bool:
            code, _ = self._command(data_dir, passed)
            return code == -signal.SIGKILL

        return self._play(strike, f"{passage.name} ({passage.number})", certain=True)

    def kill_after(self, seconds: float) -> Verdict:
        """Kill at an instant, run again, look at what came of it; it may have ended just before."""

        def strike(data_dir: Path) -> bool:
            pid, reading = self._begin_command(data_dir, None)
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)  # it stays a child, ended or not, until it is waited for
            code, _ = _end(pid, reading)
            return code == -signal.SIGKILL

        return self._play(strike, f"after {seconds * 1000:.1f} ms", certain=False)

    def _prepare(self) -> None:
        if self.scene.loaded:
            words = [word for version in self.scene.loaded for word in ("--version", version)]
            assert self._ks4(self._prepared, self._first, "run", *words) == 0, self._said()
        if self.scene.republished:
            data_set = DataSet(name=NAME, id=id_of(NAME))

            def refetch() -> bool:
                pipeline = pipeline_for(self._prepared, self._later, data_set)
                with pipeline.client() as client:
                    return pipeline.refetch(client, data_set, VersionNumber(1, 0)).is_same

            assert not in_child(refetch)

    def _rehearse(self) -> tuple[list[tuple[str, int]], float, Content | None, Content]:
        """The command with nobody killing it, once watched and once by the clock; then what a plain run adds."""
        with self._copy() as data_dir:
            code, passages = self._command(data_dir, None, tracing=True)
            assert code == self.scene.exit_code, (code, passages[-1:], self._said())
            assert not [name for name, _ in passages if str(self._folder) in name], (
                "in another copy it has another name"
            )
        with self._copy() as data_dir:
            begun = time.monotonic()
            code, _ = self._command(data_dir, None)
            seconds = time.monotonic() - begun
            assert code == self.scene.exit_code, self._said()
            new = in_child(lambda: content(data_dir))
            self._heal()
            assert self._ks4(data_dir, self._url, "run") == 0, self._said()
            assert in_child(lambda: wrong_cells(data_dir, self.scene.csvs)) == []
            assert left_behind(data_dir) == []
            return passages, seconds, new, in_child(lambda: content(data_dir))

    def _play(self, strike: Callable[[Path], bool], where: str, *, certain: bool) -> Verdict:
        verdict = Verdict(self.scene.name, where)
        with self._copy() as data_dir:
            if not strike(data_dir) and certain:
                verdict.lost.append(f"it was not killed: {self._said()}")
            self._judge_published(data_dir, verdict)
            self._heal()
            code = self._ks4(data_dir, self._url, "run")
            if code:
                verdict.lost.append(f"the next run ended with {code}: {self._said()}")
            elif self.scene.republished:
                self._finish_accepting(data_dir, verdict)
            if not verdict.lost:
                self._judge_recovered(data_dir, verdict)
            verdict.lost += [f"left behind: {path}" for path in left_behind(data_dir)]
        return verdict

    def _judge_published(self, data_dir: Path, verdict: Verdict) -> None:
        """Old or new, and nothing between."""
        found = in_child(lambda: content(data_dir))
        if not differences(found, self.old):
            verdict.published = "nothing" if found is None else "old"
            if _sha256(data_dir) not in {self._old_bytes, None} and self.old != self.new:
                verdict.damaged.append("the file was touched")
        elif not differences(found, self.new):
            verdict.published = "new"
        else:
            verdict.damaged.append(f"between old and new: {differences(found, self.old)}")

    def _finish_accepting(self, data_dir: Path, verdict: Verdict) -> None:
        """A run does not accept in a person's place: the warehouse is as it was, until accepting again."""
        found = in_child(lambda: content(data_dir))
        if differences(found, self.old) and differences(found, self.new):
            verdict.damaged.append("after the run, between old and new")
        if verdict.published != "new" and self._ks4(data_dir, self._url, "accept", "1.0"):
            verdict.lost.append(f"it cannot be accepted again: {self._said()}")
        if self._ks4(data_dir, self._url, "rebuild"):
            verdict.lost.append(f"it cannot be rebuilt: {self._said()}")

    def _judge_recovered(self, data_dir: Path, verdict: Verdict) -> None:
        found, wrong = in_child(lambda: (content(data_dir), wrong_cells(data_dir, self.scene.csvs)))
        verdict.damaged += wrong
        ignoring = {"catalogue.loads"}  # a log of what was tried, killed or not
        verdict.damaged += [
            text for text in differences(found, self.recovered) if text.removesuffix(" differs") not in ignoring
        ]

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        """The state it begins with, in a folder of its own; the publisher as it is then."""
        # Each of another name: who made reports for a killed run may still be at one, and make its folder again.
        self._copies += 1
        data_dir = self._folder / f"data-{self._copies}"
        shutil.copytree(self._prepared, data_dir)
        if self.scene.refusing:
            _admin(self._url, "POST", {"kind": "cut_text", "path": "*/csv"})
        try:
            yield data_dir
        finally:
            self._heal()
            shutil.rmtree(data_dir)
            for path in (self._folder / "tmp").iterdir():
                shutil.rmtree(path)

    def _heal(self) -> None:
        if self.scene.refusing:
            _admin(self._url, "DELETE")

    def _command(
        self, data_dir: Path, passed: Callable[[str], None] | None, *, tracing: bool = False
    ) -> tuple[int, list[Any]]:
        return _end(*self._begin_command(data_dir, passed, tracing=tracing))

    def _begin_command(
        self, data_dir: Path, passed: Callable[[str], None] | None, *, tracing: bool = False
    ) -> tuple[int, int]:
        def work(answer: Callable[[Any], None]) -> None:
            if tracing:
                watch(data_dir, lambda name: answer((name, fingerprint(data_dir))))
            elif passed:
                watch(data_dir, passed)
            _play_command(data_dir, self._url, self.scene.command, self._folder / "log")

        return _begin(work)

    def _ks4(self, data_dir: Path, url: str, *command: str) -> int:
        code, _ = _end(*_begin(lambda _: _play_command(data_dir, url, command, self._folder / "log")))
        return code

    def _said(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-600:]


def _sha256(data_dir: Path) -> str | None:
    path = data_dir / "warehouse.duckdb"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def play(folder: Path, *, at_seams: int | None, at_random: int, seed: int) -> Iterator[Verdict]:
    """Kill in every scene.

    Args:
        folder: an empty one to work in.
        at_seams: how many kills at seams in all, spread over all of them; None for every one.
        at_random: how many kills at random instants, in turn in each scene.
        seed: of the random instants, and of the choice among seams.
    """
    dice = random.Random(seed)
    with _publisher(folder) as (first, later):
        stages = [Stage(scene, folder / str(number), first, later) for number, scene in enumerate(SCENES)]
        kills = [(stage, passage) for stage in stages for passage in stage.kills()]
        if at_seams is not None:
            kills = sorted(dice.sample(kills, min(at_seams, len(kills))), key=kills.index)
        for stage, passage in kills:
            yield stage.kill_at(passage)
        for number in range(at_random):
            stage = stages[number % len(stages)]
            yield stage.kill_after(dice.uniform(0, stage.seconds))


def main() -> int:
    """Play the kills and print what came of each; 1 when anything was lost or damaged."""
    parser = argparse.ArgumentParser(prog="python -m ks4_pipeline_tests.crash_test", description=__doc__.split("\n")[0])
    parser.add_argument("--seams", type=int, metavar="N", help="kill at N seams only, chosen by chance (default: all)")
    parser.add_argument("--random", type=int, default=100, metavar="N", help="random instants (default: 100)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all chance (default: 1)")
    chosen = parser.parse_args()
    verdicts = []
    begun = time.monotonic()
    with TemporaryDirectory(prefix="ks4-crash-") as folder:
        for verdict in play(Path(folder), at_seams=chosen.seams, at_random=chosen.random, seed=chosen.seed):
            print(verdict, flush=True)
            verdicts.append(verdict)
    print(f"{total(verdicts)} ({time.monotonic() - begun:.0f} s)")
    return 1 if any(verdict.lost or verdict.damaged for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
