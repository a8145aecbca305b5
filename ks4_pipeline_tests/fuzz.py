"""Spoilt input by the thousand: CSV, gzip and JSON answers, each through the code that takes the publisher's own.

``python -m ks4_pipeline_tests.fuzz --inputs 100000`` plays as many as wanted; ``test_fuzz.py`` plays 10,000. For every
input there are two right ends: it is refused with an error of our family, or it is taken and says just what an
independent reader finds in it: Python's ``csv``, ``gzip`` and ``json`` modules and the few lines below, which share
nothing with the package. Another exception, a wrong cell, a lost row, or a refusal of what has no fault is a failure.

An own mutator and not atheris: what is looked for lies behind polars, pydantic and DuckDB, whose branches no coverage
of ours can see, and an input is quick (a few milliseconds) only as long as nothing is traced. Each input is made from
the seed and its own number, so that ``--seed S --only N`` plays it again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import json
import logging
import math
import re
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb
import httpx
import polars as pl
from pydantic import BaseModel

from ks4_pipeline import landing
from ks4_pipeline.columns import Role, assign
from ks4_pipeline.ees import query
from ks4_pipeline.ees.client import CsvStream, EesClient
from ks4_pipeline.ees.gunzip import Gunzip
from ks4_pipeline.ees.limits import Limits
from ks4_pipeline.ees.models import Changes, DataSetSummary, Meta, VersionRecord
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.faults import Faults
from ks4_pipeline.identity import StoredColumn
from ks4_pipeline.observations import Ahead, Observations, ObservationsStore
from ks4_pipeline.quality.book import rules_in_force
from ks4_pipeline.quality.evaluation import evaluate
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.second_route import Vocabulary
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse import catalogue, schema, tables
from ks4_pipeline_tests import fuzz_mutations as mutations
from ks4_pipeline_tests.publisher import FILTERS, INDICATORS, Edition, describe, id_of, packed, quoted, rows

DATA_SET = DataSet(name="d", id=id_of("d"))
_URL = "http://localhost/csv"
_VERSION = VersionNumber(1, 0)
_INTO_WAREHOUSE = 8  # one in so many inputs that were taken
_SHARES = {
    "csv": 34, "gzip": 11, "headers": 3,
    "data set": 5, "versions": 10, "version": 8, "changes": 10, "meta": 12, "query": 7,
}  # fmt: skip


class WrongError(AssertionError):
    """An input was taken, and what was made of it is not what stands in it; or it was refused without a fault."""


# --- the independent readers -----------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MARKERS = ("c", "z", "x", "low", "k", "u", ":", "~")
Cell = str | float | None


class HasFaultError(Exception):
    """A CSV that may not be taken, by the independent reader's word."""


def table_of(body: bytes) -> list[list[str]]:
    """The rows of a CSV, the header first, empty lines at its end left out."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HasFaultError("not UTF-8") from error
    if "\0" in text:
        raise HasFaultError("a NUL")
    usual = csv.field_size_limit(sys.maxsize)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise HasFaultError(f"broken quoting: {error}") from error
    finally:
        csv.field_size_limit(usual)
    while table and not table[-1]:
        table.pop()
    while table and not table[0]:
        raise HasFaultError("begins with an empty line")
    if not table:
        raise HasFaultError("empty")
    if any(len(row) != len(table[0]) for row in table):
        raise HasFaultError("rows of different widths")
    return table


def expected(table: Sequence[Sequence[str]], numeric: set[str], text: set[str]) -> list[tuple[Cell, ...]]:
    """What the observations of a table have to be, row by row."""
    header, *body = table
    lowered = [name.lower() for name in header]
    if any(not name.strip() or name.startswith("\ufeff") for name in header) or len(set(lowered)) < len(lowered):
        raise HasFaultError("names that are empty or the same")
    if any(name == "*" or (name[:1] == "^" and name[-1:] == "$") for name in header):
        raise HasFaultError("a pattern in place of a name")
    if not (numeric | text | {"grp"}) <= set(header):
        raise HasFaultError("a described column is missing")
    if any(f"{name}_flag" in lowered for name in numeric):
        raise HasFaultError("a name that a flag needs")
    found = []
    for row in body:
        cells: list[Cell] = []
        for name, cell in zip(header, row, strict=True):
            if name in numeric:
                cells += figure(cell)
            elif name in text and not cell:
                raise HasFaultError("an empty text indicator")
            else:
                cells.append(cell or None)
        found.append(tuple(cells))
    return found


def figure(cell: str) -> tuple[float | None, str | None]:
    """A cell of figures as value and marker."""
    bare = cell.strip(" \t")
    if _NUMBER.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare), None
    if len(bare) > 1 and bare[0] == "[" and bare[-1] == "]":
        bare = bare[1:-1].strip(" \t")
    if bare.isascii() and bare.lower() in _MARKERS:
        return None, bare.lower()
    raise HasFaultError(f"neither number nor marker: {cell!r:.80}")


def same_json(model: object, raw: object, where: str = "answer") -> None:  # noqa: C901, PLR0912 - a case per type
    """Make sure that a model says what the JSON says, where it says anything; absent members have their defaults."""
    match model:
        case BaseModel():
            if not isinstance(raw, dict):
                raise WrongError(f"{where}: an object was made of {raw!r:.80}")
            for name, described in type(model).model_fields.items():
                key = described.alias or name
                if key in raw:
                    same_json(getattr(model, name), raw[key], f"{where}.{key}")
            for key, value in (model.model_extra or {}).items():
                same_json(value, raw.get(key), f"{where}.{key}")
        case VersionNumber():
            parts = [int(part) for part in str(raw).split(".")]
            if not isinstance(raw, str) or [*parts, 0][:3] != [model.major, model.minor, model.patch]:
                raise WrongError(f"{where}: {model} was made of {raw!r:.80}")
        case datetime():
            if not isinstance(raw, str) or datetime.fromisoformat(raw) != model:
                raise WrongError(f"{where}: {model} was made of {raw!r:.80}")
        case tuple() | list():
            if not isinstance(raw, list) or len(raw) != len(model):
                raise WrongError(f"{where}: {len(model)} items were made of {raw!r:.80}")
            for number, (item, its) in enumerate(zip(model, raw, strict=True)):
                same_json(item, its, f"{where}[{number}]")
        case dict():
            if not isinstance(raw, dict) or raw.keys() != model.keys():
                raise WrongError(f"{where}: {model!r:.80} was made of {raw!r:.80}")
            for key, value in model.items():
                same_json(value, raw[key], f"{where}.{key}")
        case _:
            if type(model) is not type(raw) or not (model == raw or model != model):  # noqa: PLR0124 - NaN
                raise WrongError(f"{where}: {model!r:.80} was made of {raw!r:.80}")


def strictly(body: bytes) -> Any:
    """JSON by Python's own reader."""
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WrongError(f"taken, and no JSON by the independent reader: {error}") from error


# --- the bodies to spoil ---------------------------------------------------------------------------------------------

_LA = ("time_period", "time_identifier", "geographic_level", "new_la_code", "old_la_code", "la_name")
_LA_ROW = ("202324", "Academic year", "Local authority")
_TEXT = {"column": "grade", "label": "Grade", "unit": "string"}


def csv_bodies() -> list[tuple[bytes, tuple[Mapping[str, Any], ...]]]:
    """CSVs to spoil, each with the indicators that its metadata describes."""
    many = rows(*(f"group {n},{n * 10},{'czx'[n % 3] if n % 4 == 0 else n / 7:.3}" for n in range(25)))
    places = quoted(
        [
            (*_LA, "grp", "sen", "pupils", "score", "grade"),
            *((*_LA_ROW, f"E0{n}", f"{n}", f"Place, {n}", "a", '5" or so', f"{n}", "low", "A*") for n in range(8)),
            (*_LA_ROW, "", "", "", "b\nb", "", "1e3", " [C] ", "c"),
        ]
    )
    odd = f"\ufeff{rows('é,-0,1e-7', '😀,+3,.5', '007,k,~', '=1,u,:', end=chr(13) + chr(10))}"
    quotes = ",".join(f'"{cell}"' for cell in rows().strip().split(",")) + "\n"
    quotes += "".join(f'"202324","Academic year","National","E9","England","{n}","{n}","x"\n' for n in range(6))
    return [
        (rows("CLA,10,17.3", "All,100,46.2", "CIN,c,z").encode(), INDICATORS),
        (many.encode(), INDICATORS),
        (places.encode(), (*INDICATORS, _TEXT)),
        (odd.encode(), INDICATORS),
        (quotes.encode(), INDICATORS),
        (rows().encode(), INDICATORS),
    ]


def json_bodies(folder: Path) -> dict[str, list[bytes]]:
    """Answers of the sandbox, by what was asked."""
    la = {
        "csv": quoted(
            [(*_LA, "grp", "pupils"), *((*_LA_ROW, f"E{n}", f"{n}", f"L {n}", "a", f"{n}") for n in range(3))]
        ),
        "indicators": INDICATORS[:1],
    }
    described = (
        describe(
            folder,
            "d",
            Edition("1.0", rows("a,1,1", "b,2,2"), {"notes": "First *version*."}),
            Edition("1.0.1", rows("a,1,1", "PRU,3,c"), {
                "renamed_options": [{"filter": "grp", "from": "b", "to": "PRU"}]}),
            Edition("1.1", rows("a,1,1", "c,3,x").replace("score", "average"), {
                "indicators": [INDICATORS[0], {**INDICATORS[1], "column": "average", "was": "score"}]}),
            Edition("2.0", rows("a,1,1"), {"status": "Withdrawn", "withdrawn": "2026-03-10T00:00:00Z"}),
        ),
        describe(folder, "la", Edition("1.0", str(la["csv"])), indicators=INDICATORS[:1]),
        describe(folder, "text", Edition("1.0", rows("a,1,A*")), indicators=[
            INDICATORS[0], {**_TEXT, "column": "score"}]),
    )  # fmt: skip
    found: dict[str, list[bytes]] = {}
    with Sandbox(folder) as sandbox, httpx.Client(base_url=f"{sandbox.url}/v1/data-sets") as http:

        def ask(kind: str, path: str, **more: Any) -> None:
            answer = http.request("POST" if more else "GET", path, **more)
            answer.raise_for_status()
            found.setdefault(kind, []).append(answer.content)

        for data_set in described:
            ask("data set", f"/{data_set.id}")
            ask("versions", f"/{data_set.id}/versions?page=1&pageSize=20")
            ask("version", f"/{data_set.id}/versions/1.0")
            ask("meta", f"/{data_set.id}/meta?dataSetVersion=1.0")
            ask("query", f"/{data_set.id}/query?dataSetVersion=1.0", json={"page": 1, "pageSize": 10_000})
        for number in ("1.0.1", "1.1", "2.0"):
            patch = "?includePatchHistory=true" if number == "1.0.1" else ""
            ask("changes", f"/{DATA_SET.id}/versions/{number}/changes{patch}")
        ask("meta", f"/{DATA_SET.id}/meta?dataSetVersion=1.1")
    return found


# --- playing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """An input with a wrong end."""

    number: int
    kind: str
    why: str
    body: bytes


@dataclass
class Played:
    """What came of the inputs: counts by kind and end, and the failures."""

    seed: str
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        total, taken = sum(self.ends.values()), sum(n for (_, end), n in self.ends.items() if end == "taken")
        kinds = sorted({kind for kind, _ in self.ends})
        lines = [
            f"{kind:10} {self.ends[kind, 'taken']:7,} taken {self.ends[kind, 'refused']:7,} refused" for kind in kinds
        ]
        lines += [
            f"FAILED {one.kind}, --seed {self.seed} --only {one.number}: {one.why}\n    {one.body[:600]!r}"
            for one in self.failures
        ]
        lines.append(
            f"{total:,} inputs in {self.seconds:.1f} s (seed {self.seed}): {taken:,} taken, {total - taken:,} refused, "
            f"{len(self.failures)} failures"
        )
        return "\n".join(lines)


class _Server:
    """Gives one answer to whatever is asked."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200)

    def respond(self, _request: httpx.Request) -> httpx.Response:
        given = self.answer
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)  # nobody has read it yet


class Fuzzer:
    """Plays inputs by their numbers; a context manager that owns the folder it works in."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._server = _Server()

    def __enter__(self) -> Self:
        memory = Path("/dev/shm")  # an input is flushed to disk four times, which is not what is tested here
        where = memory if memory.is_dir() else None
        self._folder = Path(self._held.enter_context(TemporaryDirectory(prefix="ks4-fuzz-", dir=where)))
        self._csv = csv_bodies()
        self._json = json_bodies(self._folder / "published")
        self._store = ObservationsStore(self._folder / "observations")
        self._connection = self._held.enter_context(duckdb.connect(self._folder / "warehouse.duckdb"))
        schema.create(self._connection)
        self._client = self._held.enter_context(
            EesClient(
                "http://localhost",
                policy=RetryPolicy(attempts=1, sleep=lambda _seconds: None),
                limits=Limits(max_json_bytes=1 << 22),
                transport=httpx.MockTransport(self._server.respond),
            )
        )
        log = logging.getLogger("ks4_pipeline")
        self._held.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL)
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def play(self, seed: str, numbers: Sequence[int] | range) -> Played:
        """Play inputs and tell what came of them."""
        played = Played(seed)
        began = time.monotonic()
        for number in numbers:
            rng = Random(f"{seed}/{number}")
            kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
            body, taken_by = self._made(rng, kind)
            try:
                taken_by()
                end = "taken"
            except Ks4Error:
                end = "refused"
            except WrongError as error:
                end = "failed"
                played.failures.append(Failure(number, kind, str(error), body))
            except Exception:  # noqa: BLE001 - that it can be any is what is looked for
                end = "failed"
                played.failures.append(Failure(number, kind, traceback.format_exc(limit=-4), body))
            played.ends[kind, end] += 1
        played.seconds = time.monotonic() - began
        return played

    def _made(self, rng: Random, kind: str) -> tuple[bytes, Callable[[], None]]:
        """The spoilt input, and what takes it."""
        if kind in {"csv", "gzip"}:
            body, indicators = rng.choice(self._csv)
            if kind == "csv":
                body = mutations.spoilt(rng, body, [other for other, _ in self._csv], mutations.CSV)
                served = packed(body)
            else:
                pieces = [packed(body), packed(b"")] if rng.random() < 0.2 else [packed(body)]
                body = served = mutations.spoilt(rng, b"".join(pieces), [packed(rows())], mutations.BYTES)
            return body, lambda: self._take_csv(rng, served, indicators, spoilt_gzip=kind == "gzip")
        if kind == "headers":
            header = mutations.spoilt(rng, rng.choice(_HEADERS), _HEADERS, mutations.BYTES)
            return header, lambda: self._take_headers(rng, header)
        body = mutations.spoilt(rng, rng.choice(self._json[kind]), self._json[kind], mutations.JSON)
        return body, lambda: self._take_json(rng, kind, body)

    # --- CSV and gzip ------------------------------------------------------------------------------------------------

    def _take_csv(
        self, rng: Random, served: bytes, indicators: Sequence[Mapping[str, Any]], *, spoilt_gzip: bool
    ) -> None:
        numeric = {item["column"] for item in indicators if item.get("unit") != "string"}
        text = {item["column"] for item in indicators} - numeric
        body, wanted, fault = _by_the_independent_reader(served, numeric, text)
        announced = len(wanted) if wanted is not None else 3
        try:
            with self._store.ahead(DATA_SET) as ahead:  # half of them typed while they arrive, half from disk
                ahead_or_not = rng.choice((ahead, None))
                landed = self._land(rng, served, indicators, announced, ahead_or_not)
                made = self._store.make(DATA_SET, landed, ahead_or_not)
        except Ks4Error as error:
            if fault is None and not spoilt_gzip:  # Python's gzip takes zeros after the end, for example
                raise WrongError(f"refused, and has no fault: {error}") from error
            raise
        if fault is not None or wanted is None:
            raise WrongError(f"taken, and has a fault: {fault}")
        if landed.manifest.csv.sha256 != hashlib.sha256(body).hexdigest():
            raise WrongError("other bytes were unpacked than the independent reader unpacks")
        _same_rows(pl.read_parquet(made.parquet, glob=False).rows(), wanted)
        if rng.randrange(_INTO_WAREHOUSE) == 0:
            evaluate(made, None, rules_in_force({}, DATA_SET.name))  # whatever it says, it can be held to the rules
            tables.replace_table(self._connection, "d", "Fuzz", landed.record, made)
            _same_rows(self._connection.execute("SELECT * FROM d.v1_0_0 ORDER BY rowid").fetchall(), wanted)

    def _land(
        self, rng: Random, served: bytes, indicators: Sequence[Mapping[str, Any]], announced: int, ahead: Ahead | None
    ) -> landing.Landed:
        """As :meth:`ks4_pipeline.landing.Landing.fetch` does, without the server."""
        folder = self._folder / "landed"
        folder.mkdir(exist_ok=True)
        stream = CsvStream(_URL, None, len(served), _chunks(rng, served), Gunzip(_URL, 1 << 30, "max_csv_bytes", 400))
        items = [{"id": item["column"], **item} for item in indicators]
        meta = Meta.model_validate({"filters": [{"id": "g", **FILTERS[0]}], "indicators": items})
        reader = partial(ahead.read, meta) if ahead else None
        arrived = landing._receive(stream, folder / landing.CSV, lambda _received, _total: None, reader)
        record = VersionRecord(version=_VERSION, type="Major", status="Published", total_results=announced)
        for name, document in (("meta.json", meta), ("version.json", record), ("changes.json", _NO_CHANGES)):
            (folder / name).write_text(document.model_dump_json(by_alias=True))
        manifest = landing.Manifest(
            data_set_id=DATA_SET.id,
            version=_VERSION,
            url=_URL,
            file_name="f.csv",
            fetched_at=datetime.now(UTC),
            fetched_by="fuzz",
            served=arrived.served,
            csv=arrived.csv,
            shape=landing.Shape.of(arrived.shape),
            documents={},
        )
        return landing.Landed(folder, manifest)

    # --- JSON --------------------------------------------------------------------------------------------------------

    def _take_json(self, rng: Random, kind: str, body: bytes) -> None:
        self._server.answer = httpx.Response(200, content=body)
        number = VersionNumber(1, 0, 1) if b'"1.0.1"' in body else VersionNumber(1, 1) if b'"1.1"' in body else _VERSION
        into_warehouse = rng.randrange(3) == 0
        match kind:
            case "data set":
                asked = next((known for known in map(id_of, ("la", "text")) if known.encode() in body), DATA_SET.id)
                summary = self._client.data_set(asked).model
                same_json(summary, strictly(body))
                self._list(summary, ())
            case "versions":
                versions = self._client.versions(DATA_SET.id)
                by_number = {str(record["version"]).removesuffix(".0"): record for record in strictly(body)["results"]}
                if len(by_number) != len(versions):
                    raise WrongError(f"{len(versions)} versions were made of {len(by_number)}")
                for record in versions:
                    same_json(record, _by_number(by_number, record.version))
                self._list(_SUMMARY, versions)
            case "version":
                found = self._client.version(DATA_SET.id, number).model
                same_json(found, strictly(body))
                self._list(_SUMMARY, (found,))
            case "changes":
                changes = self._client.changes(DATA_SET.id, number).model
                same_json(changes, strictly(body))
                if into_warehouse:
                    self._describe(Meta(), changes)
            case "meta":
                meta = self._client.meta(DATA_SET.id, number).model
                same_json(meta, strictly(body))
                if into_warehouse:
                    self._describe(meta, _NO_CHANGES)
            case _:
                self._query(strictly, body)

    def _list(self, summary: DataSetSummary, versions: Sequence[VersionRecord]) -> None:
        """Into the catalogue, as an edition does, and back by way of DuckDB."""
        now = datetime.now(UTC)
        listing = landing.Listing(seen_at=now, news_at=now, source=_URL, summary=summary, versions=tuple(versions))
        self._connection.execute(f"DELETE FROM {schema.VERSIONS.qualified}")
        catalogue.replace_listing(self._connection, DATA_SET, listing, {}, now, unlisted={})
        found = self._connection.execute(
            "SELECT version, status, published, withdrawn, notes, rows FROM catalogue.versions "
            "ORDER BY major, minor, patch"
        ).fetchall()
        wanted = [
            (str(v.version), v.status, v.published, v.withdrawn, v.notes, v.total_results)
            for v in sorted(versions, key=lambda version: version.version)
        ]
        if found != wanted:
            raise WrongError(f"the catalogue has {found!r:.300}, and the list {wanted!r:.300}")

    def _describe(self, meta: Meta, changes: Changes) -> None:
        """The description of a version into the catalogue; columns that no table can have are refused before."""
        names = [item.column for item in (*meta.filters, *meta.indicators)]
        faults = Faults()
        columns = assign(names, meta, faults)
        if faults:
            return
        folder = self._folder / "described"
        folder.mkdir(exist_ok=True)
        record = VersionRecord(version=_VERSION, type="Major", status="Published", total_results=0)
        for name, document in (("meta.json", meta), ("version.json", record), ("changes.json", changes)):
            (folder / name).write_text(document.model_dump_json(by_alias=True))
        landed = landing.Landed(folder, landing.Manifest.model_construct(version=_VERSION))
        facts = self._facts(names)
        made = Observations(folder / "none", columns, facts)
        catalogue.replace_version(self._connection, DATA_SET, landed, made)
        catalogue.announced(self._connection, DATA_SET.name, _VERSION)
        labels = self._connection.execute("SELECT filter_id, option_id, label FROM catalogue.filter_options").fetchall()
        wanted = Counter((f.id, option.id, option.label) for f in meta.filters for option in f.options)
        if Counter(labels) != wanted:
            raise WrongError(f"the catalogue has options {labels!r:.300}, and the metadata {wanted!r:.300}")

    @staticmethod
    def _facts(names: Sequence[str]) -> Any:
        from ks4_pipeline.observations import Facts

        return Facts.model_construct(
            header=tuple(names),
            rows=0,
            periods=(),
            spellings={},
            padded_numbers=0,
            rows_sharing_key=0,
            repeated_rows=0,
        )

    def _query(self, read: Callable[[bytes], Any], body: bytes) -> None:
        (page,) = query.pages(self._client, DATA_SET.id, _VERSION)
        raw = read(body)
        same_json(page, raw)
        meta = Meta.model_validate_json(self._json["meta"][0])
        stored = [StoredColumn(f.column, Role.FILTER, is_numeric=False, id=f.id) for f in meta.filters]
        stored += [StoredColumn(i.column, Role.INDICATOR, is_numeric=True, id=i.id) for i in meta.indicators]
        frame = Vocabulary(meta, stored).frame(page.results, 0)
        if frame.height != len(raw["results"]):
            raise WrongError(f"{frame.height} rows were made of {len(raw['results'])}")
        for made, told in zip(frame.iter_rows(named=True), raw["results"], strict=True):
            for indicator in meta.indicators:
                cell = told["values"].get(indicator.id)
                try:
                    wanted = (None, None) if cell is None else figure(cell)
                except HasFaultError:
                    wanted = (None, cell)  # no number is made of it
                if not _same((made[indicator.column], made[f"{indicator.column}_flag"]), wanted):
                    raise WrongError(f"{indicator.column}: {cell!r:.80} was read as {made[indicator.column]!r}")

    def _take_headers(self, rng: Random, header: bytes) -> None:
        """One header spoilt, the others as they should be."""
        name, _, value = header.partition(b":")
        headers = [each.partition(b": ") for each in _HEADERS[:2] if not each.lower().startswith(name.lower() or b"?")]
        self._server.answer = httpx.Response(rng.choice((200, 200, 429, 503, 302)), content=packed(rows("a,1,2")))
        sent = [(key, its) for key, _, its in headers] + [(name or b"x", value.strip())]
        self._server.answer.headers = httpx.Headers(sent)
        name_of_file = self._client.download(
            DATA_SET.id, _VERSION, lambda stream: landing._expected_name(stream, DATA_SET, _VERSION)
        )
        if f"{DATA_SET.id}_v1.0.csv" != name_of_file.lower():
            raise WrongError(f"taken as the version asked for: {name_of_file!r}")


_SUMMARY = DataSetSummary(id=DATA_SET.id, title="Fuzz", status="Published")
_NO_CHANGES = Changes(version_number=_VERSION)
_HEADERS = (
    f"Content-Disposition: attachment; filename=\"{DATA_SET.id}_v1.0.csv\"; filename*=UTF-8''x".encode(),
    b"Content-Encoding: gzip",
    b"Content-Length: 120",
    b"Retry-After: 3",
    b"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",
)


def _chunks(rng: Random, served: bytes) -> Iterator[bytes]:
    """The body in portions as the network has them."""
    size = rng.choice((1 << 16, 1 << 16, 64, 7))
    return (served[start : start + size] for start in range(0, len(served), size))


def _by_the_independent_reader(
    served: bytes, numeric: set[str], text: set[str]
) -> tuple[bytes, list[tuple[Cell, ...]] | None, str | None]:
    """The unpacked bytes, the rows they have to give, and the fault that forbids to take them."""
    try:
        body = gzip.decompress(served)
    except (OSError, EOFError, ValueError) as error:
        return b"", None, f"gzip: {error}"
    except Exception as error:  # noqa: BLE001 - zlib.error has no base of its own
        return b"", None, f"gzip: {error}"
    if not served:
        return b"", None, "gzip: nothing"
    try:
        return body, expected(table_of(body), numeric, text), None
    except HasFaultError as fault:
        return body, None, str(fault)


def _by_number(records: Mapping[str, Any], version: VersionNumber) -> Any:
    found = records.get(str(version).removesuffix(".0"))
    if found is None:
        raise WrongError(f"version {version} is not in the list")
    return found


def _same_rows(found: Sequence[tuple[Any, ...]], wanted: Sequence[tuple[Cell, ...]]) -> None:
    if len(found) != len(wanted):
        raise WrongError(f"{len(found)} rows were made of {len(wanted)}")
    for number, (row, its) in enumerate(zip(found, wanted, strict=True), 1):
        if not _same(row, its):
            raise WrongError(f"row {number}: {row!r:.300} was made of {its!r:.300}")


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Equal, and zeros of the same sign."""
    return tuple(one) == tuple(other) and repr(tuple(one)) == repr(tuple(other))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play inputs by the command line; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m ks4_pipeline_tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", default=secrets.token_hex(4), metavar="S", help="a fresh one by default")
    parser.add_argument("--only", type=int, metavar="N", help="play this input of the seed alone")
    given = parser.parse_args(arguments)
    with Fuzzer() as fuzzer:
        played = fuzzer.play(given.seed, range(given.inputs) if given.only is None else [given.only])
    print(played)
    return 1 if played.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
