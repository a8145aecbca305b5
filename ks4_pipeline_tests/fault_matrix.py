"""The fault matrix: every fault of the network at every address the pipeline asks, once and for ever.

``python -m ks4_pipeline_tests.fault_matrix`` plays all cases and prints a line for each; ``test_fault_matrix.py`` plays
them as tests. In each, a warehouse that holds 1.0 is to take in 1.1 from a sandbox with one fault on order. What comes
then is written down in :data:`FAULTS` beforehand: the run either ends well, with every cell right, or with the exit
code and the words expected, nothing left behind and the published tables as they were; then the fault is healed, and
the next run has to load what was begun. Every address has a data set of its own, so that one run plays a fault at all
of them; where none of them is to load, the published file must stay the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb

from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import RunReport
from ks4_pipeline.sandbox import Fault, Sandbox
from ks4_pipeline.settings import DataSet
from ks4_pipeline_tests.publisher import Edition, describe, load, pipeline_for, scored

ENDPOINTS = {
    "data set": "",
    "versions": "/versions",
    "version": "/versions/1.1",
    "changes": "/versions/1.1/changes",
    "meta": "/meta",
    "csv": "/csv",
}
_ALL = tuple(ENDPOINTS)
_JSON = _ALL[:-1]
_LOOK = ("data set", "versions")
SCORES = {"1.0": ("1.5", "c", "z", "-3"), "1.1": ("1.25", "c", "z", "low", "x", "0", "u", "1e3")}
_OUT_OF_REACH, _UNKNOWN, _FAILED = 3, 2, 1


@dataclass(frozen=True)
class Row:
    """A fault, and what the run makes of it.

    Attributes:
        name: what the matrix calls it.
        fault: the sandbox's fault, without address and count.
        said: words that the message has to have.
        at: the addresses that it can strike.
        look_fails: the exit code when a look at the data set fails of it; any other step's failure is 1.
        cured: whether another attempt in the same run can help.
        said_of_csv: words for the CSV, where they are others.
        refused: the addresses where what comes is whole, and refused for its content: no retry can tell.
        harmless: the addresses where nothing has to be cured, since nothing relies on what the fault changes.
        limits: tighter ones, for faults that would take long.
    """

    name: str
    fault: dict[str, Any]
    said: str
    at: Sequence[str] = _ALL
    look_fails: int = _FAILED
    cured: bool = True
    said_of_csv: str | None = None
    refused: Sequence[str] = ()
    harmless: Sequence[str] = ()
    limits: dict[str, float] = field(default_factory=dict)


def _gateway(name: str, status: int, *, words: str = "", **more: object) -> Row:
    return Row(name, {"kind": "status", "status": status, **more}, words or f"HTTP {status}", look_fails=_OUT_OF_REACH)


def _in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


_IMPATIENT = {"answer_seconds": 0.3, "download_seconds": 0.3}
_PATIENT = {"answer_seconds": 3.0, "download_seconds": 3.0}
_SMALL = {"max_json_bytes": 1 << 20, "max_csv_bytes": 10 << 20}
FAULTS = (
    _gateway("429", 429),
    _gateway("429, Retry-After 1", 429, retry_after="1"),
    _gateway("429, Retry-After a date", 429, retry_after=_in(20)),
    _gateway("500 empty", 500, words="the server sent no explanation"),
    _gateway("502 HTML", 502, html=True),
    _gateway("503 empty", 503),
    _gateway("503, Retry-After a year", 503, retry_after="31536000"),
    _gateway("504 empty", 504),
    _gateway("504 HTML", 504, words="Gateway of the sandbox", html=True),
    Row(
        "403 of the firewall",
        {"kind": "status", "status": 403, "html": True},
        "something before it, such as a firewall or proxy, refused",
        look_fails=_OUT_OF_REACH,
        cured=False,
    ),
    Row("404 empty", {"kind": "status", "status": 404}, "HTTP 404", look_fails=_UNKNOWN, cured=False),
    Row("connection reset", {"kind": "reset"}, "no answer (ReadError", look_fails=_OUT_OF_REACH),
    Row("body cut", {"kind": "cut"}, "broke off after", look_fails=_OUT_OF_REACH),
    Row("body cut at once", {"kind": "cut", "after_bytes": 0}, "broke off after 0", look_fails=_OUT_OF_REACH),
    Row("gzip truncated", {"kind": "truncated_gzip"}, "ends before its end mark"),
    Row("wrong CRC", {"kind": "bad_crc"}, "the gzip body is damaged"),
    Row(
        "slow drip",
        {"kind": "drip", "seconds": 0.02},
        "came too slowly",
        look_fails=_OUT_OF_REACH,
        limits=_IMPATIENT,
    ),
    Row("stall", {"kind": "stall"}, "ReadTimeout", look_fails=_OUT_OF_REACH, limits=_IMPATIENT),
    Row(
        "stall in the body",
        {"kind": "stall", "after_bytes": 20},
        "broke off after 20 bytes (ReadTimeout",
        look_fails=_OUT_OF_REACH,
        limits=_IMPATIENT,
    ),
    Row(
        "text cut in the middle",  # a CSV is then a whole file of another content
        {"kind": "cut_text"},
        "expected JSON",
        said_of_csv="1.1 is refused",
        refused=("csv",),
    ),
    Row("HTML with 200", {"kind": "html"}, "expected JSON", said_of_csv="expected a gzip body"),
    Row("another version", {"kind": "wrong_version"}, "asked for version 1.1", at=("version", "changes", "csv")),
    Row(
        "wrong row count",
        {"kind": "wrong_row_count"},
        "rows",
        at=("data set", "versions", "version", "csv"),
        refused=("version", "csv"),
        harmless=_LOOK,
    ),
    Row("endless pages", {"kind": "endless_pages"}, "the list does not end", at=("versions",)),
    Row("5 GB announced", {"kind": "huge_length"}, "is announced with 5,000,000,000 bytes", cured=False),
    Row("gzip bomb", {"kind": "gzip_bomb", "size": 20 << 20}, "unpacks to more than", cured=False, limits=_SMALL),
    Row("deep JSON", {"kind": "deep_json"}, "nested too deeply", at=_JSON, cured=False),
)


@dataclass(frozen=True)
class Case:
    """A fault at an address, once or for ever, and the exit code the run has to end with."""

    row: Row
    endpoint: str
    once: bool

    @property
    def exit_code(self) -> int:
        """What the run has to end with; 0 with every cell right."""
        if self.endpoint in self.row.harmless or (self.once and self.row.cured and not self.is_refused):
            return 0
        return self.row.look_fails if self.endpoint in _LOOK else _FAILED

    @property
    def is_refused(self) -> bool:
        """Whether what comes is whole and has to be refused."""
        return self.endpoint in self.row.refused

    @property
    def is_retried(self) -> bool:
        """Whether the message has to say how often it was tried."""
        return self.row.cured and not self.is_refused and "page" not in self.row.name

    @property
    def said(self) -> str:
        """Words of the message."""
        return (self.row.said_of_csv if self.endpoint == "csv" else None) or self.row.said

    @property
    def expected(self) -> str:
        """What is to come, in a few words."""
        if self.endpoint in self.row.harmless:
            return "loaded: nothing relies on it"
        if self.exit_code == 0:
            return "loaded: another attempt cures it"
        if self.endpoint in _LOOK:
            return f"exit {self.exit_code}, nothing begun"
        return f"exit {self.exit_code}, {'refused' if self.is_refused else 'failed'}; loaded once healed"


@dataclass
class Verdict:
    """What came of a case: ``problems`` says what was not as expected; cells that are not there, or are others."""

    case: Case
    problems: list[str] = field(default_factory=list)
    lost: int = 0
    wrong: int = 0

    @property
    def is_right(self) -> bool:
        """Whether all was as expected."""
        return not self.problems and not self.lost and not self.wrong

    def __str__(self) -> str:
        verdict = "ok" if self.is_right else f"WRONG ({self.lost} lost, {self.wrong} wrong): {'; '.join(self.problems)}"
        what = f"{self.case.row.name:<26} {self.case.endpoint:<9} {'once' if self.case.once else 'ever'}"
        return f"{what}  {self.case.expected:<39} {verdict}"


def total(verdicts: Sequence[Verdict]) -> str:
    """The last line."""
    unexpected = sum(bool(verdict.problems) for verdict in verdicts)
    lost, wrong = sum(verdict.lost for verdict in verdicts), sum(verdict.wrong for verdict in verdicts)
    return f"{len(verdicts)} faults, {lost} lost, {wrong} wrong cells" + (
        f", {unexpected} not as expected" if unexpected else ""
    )


class Stage:
    """A sandbox with 1.0 and 1.1, and a data directory into which 1.0 was loaded before 1.1 came out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prepared = folder / "prepared"
        self._running = ExitStack()
        self._data_sets: dict[str, DataSet] = {}

    def __enter__(self) -> Self:
        editions = [Edition(version, scored(*scores), {"held": version != "1.0"}) for version, scores in SCORES.items()]
        for endpoint in ENDPOINTS:
            self._data_sets[endpoint] = describe(self._folder / "published", _name(endpoint), *editions)
        self._sandbox = self._running.enter_context(Sandbox(self._folder / "published"))
        assert load(self._pipeline(self._prepared, _ALL)).exit_code == 0
        for data_set in self._data_sets.values():
            self._sandbox.publish(data_set.id, "1.1")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def play(self, row: Row) -> list[Verdict]:
        """A fault at all its addresses, once and for ever.

        On a busy machine an answer that is right can take longer than an impatient client waits. The fault is then
        played again with a patient one: what was wrong for another reason is wrong again.
        """
        verdicts = self._play_each(row)
        if row.limits == _IMPATIENT and not all(verdict.is_right for verdict in verdicts):
            return self._play_each(replace(row, limits=_PATIENT))
        return verdicts

    def _play_each(self, row: Row) -> list[Verdict]:
        return [verdict for once in (True, False) for verdict in self._play(row, once=once)]

    def _play(self, row: Row, *, once: bool) -> list[Verdict]:
        """Order the faults, run, look at what came of it; heal, run again, look again."""
        verdicts = [Verdict(Case(row, endpoint, once)) for endpoint in row.at]
        with TemporaryDirectory(dir=self._folder) as folder:
            data_dir = Path(folder) / "data"
            shutil.copytree(self._prepared, data_dir)
            orders = {endpoint: self._order(row, endpoint, once=once) for endpoint in row.at}
            impatient = bool(row.limits) and not once
            report = load(self._pipeline(data_dir, row.at, attempts=2 if impatient else 5, **row.limits))
            struck = {order.number for order in self._sandbox.faults if order.struck}
            self._sandbox.heal()
            with _warehouse(data_dir) as connection:
                for verdict in verdicts:
                    self._judge(verdict, report, data_dir, connection)
                    if orders[verdict.case.endpoint] not in struck:
                        verdict.problems.append("the fault never struck")
            failed = [verdict for verdict in verdicts if verdict.case.exit_code]
            if len(failed) == len(verdicts) and _sha256(data_dir) != _sha256(self._prepared):
                verdicts[0].problems.append("the published file was touched")
            begun = [verdict for verdict in failed if verdict.case.endpoint not in _LOOK]
            if begun:  # a failed look leaves nothing that could harm the next run
                load(self._pipeline(data_dir, [verdict.case.endpoint for verdict in begun]))
                with _warehouse(data_dir) as connection:
                    for verdict in begun:
                        _compare(connection, verdict, SCORES)
            verdicts[0].problems += [f"left behind: {path}" for path in data_dir.rglob(".*")]
        return verdicts

    def _order(self, row: Row, endpoint: str, *, once: bool) -> int:
        path = f"/data-sets/{self._data_sets[endpoint].id}{ENDPOINTS[endpoint]}"
        return self._sandbox.fail(Fault.model_validate({**row.fault, "path": path, "times": 1 if once else None}))

    def _pipeline(self, data_dir: Path, endpoints: Sequence[str], *, attempts: int = 5, **limits: float) -> Pipeline:
        policy = RetryPolicy(attempts=attempts, sleep=lambda _seconds: None)
        data_sets = [self._data_sets[endpoint] for endpoint in endpoints]
        return pipeline_for(data_dir, self._sandbox.url, *data_sets, policy=policy, **limits)

    def _judge(self, verdict: Verdict, whole: RunReport, data_dir: Path, connection: duckdb.DuckDBPyConnection) -> None:
        case = verdict.case
        data_set = self._data_sets[case.endpoint]
        report = RunReport([outcome for outcome in whole.outcomes if outcome.data_set == data_set.name])
        message = " | ".join(outcome.message for outcome in report.outcomes)
        if report.exit_code != case.exit_code:
            verdict.problems.append(f"exit code {report.exit_code}: {message}")
        elif case.exit_code == 0:
            _compare(connection, verdict, SCORES)
        else:
            _compare(connection, verdict, {"1.0": SCORES["1.0"]})
            words = [case.said]
            words += [] if case.is_refused else [f"/data-sets/{data_set.id}{ENDPOINTS[case.endpoint]}"]
            words += ["Tried "] if case.is_retried else []
            verdict.problems += [f"{text!r} is not said in {message!r}" for text in words if text not in message]
            for folder in (data_dir / "landing" / data_set.name, data_dir / "observations" / data_set.name):
                verdict.problems += [f"{path} is left where only whole versions may be" for path in folder.glob("1.1*")]
            if (data_dir / "landing" / data_set.name / "refused").exists() != case.is_refused:
                verdict.problems.append("a version is refused that must not be, or the other way round")


def _compare(connection: duckdb.DuckDBPyConnection, verdict: Verdict, published: dict[str, tuple[str, ...]]) -> None:
    """Every cell of the case's tables against what was published."""
    schema = _name(verdict.case.endpoint)
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY 1", [schema]
    ).fetchall()
    if [table for (table,) in tables if re.fullmatch(r"v\d+_\d+_\d+", table)] != list(map(_table, published)):
        verdict.problems.append(f"the tables are {tables}")
        return
    for version, scores in published.items():
        query = f"SELECT grp, pupils, pupils_flag, score, score_flag FROM {schema}.{_table(version)}"
        cells = {row[0]: (row[1:3], row[3:5]) for row in connection.sql(query).fetchall()}
        for number, text in enumerate(scores, 1):
            cell = cells.pop(f"group {number}", None)
            if cell is None:
                verdict.lost += 2
                continue
            score = (None, text) if text in MARKERS else (float(text), None)
            verdict.wrong += (cell[0] != (10.0, None)) + (cell[1] != score)
        verdict.wrong += 2 * len(cells)


def _warehouse(data_dir: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(data_dir / "warehouse.duckdb"), read_only=True)


def _name(endpoint: str) -> str:
    return f"at_{endpoint.replace(' ', '_')}"


def _table(version: str) -> str:
    return f"v{version.replace('.', '_')}_0"


def _sha256(data_dir: Path) -> str:
    return hashlib.sha256((data_dir / "warehouse.duckdb").read_bytes()).hexdigest()


def main() -> int:
    """Play all cases and print the matrix; 1 when anything is not as expected."""
    logging.getLogger("ks4_pipeline").addHandler(logging.NullHandler())
    verdicts: list[Verdict] = []
    with TemporaryDirectory(prefix="ks4-matrix-") as folder, Stage(Path(folder)) as stage:
        for row in FAULTS:
            played = stage.play(row)
            verdicts += played
            print(*played, sep="\n", flush=True)
    print(total(verdicts))
    return 0 if all(verdict.is_right for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
