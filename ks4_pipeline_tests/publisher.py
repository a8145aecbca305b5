"""A publisher for tests: describes small data sets, serves them by the sandbox, and points a pipeline at it.

Only what tests share lives here. Faults of the wire come over real HTTP: the sandbox's own, and answers made to measure
by ASGI middleware (:func:`answering`). Nobody sleeps between attempts.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from ks4_pipeline.csv_shape import ShapeReader
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.models import Meta, VersionRecord
from ks4_pipeline.ees.retrying import RetryPolicy
from ks4_pipeline.landing import MANIFEST, Bytes, Landed, Manifest, Shape
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.run import RunReport, run
from ks4_pipeline.sandbox.authoring import write_data_set
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline.versions import VersionNumber

KEYS = ("time_period", "time_identifier", "geographic_level", "country_code", "country_name")
FILTERS = ({"column": "grp", "label": "Social care group", "hint": "Groups overlap"},)
INDICATORS = (
    {"column": "pupils", "label": "Number of pupils", "decimal_places": 0},
    {"column": "score", "label": "Average score", "unit": "%", "decimal_places": 1},
)
HEADER = ",".join((*KEYS, "grp", "pupils", "score"))
KEY_CELLS = "202324,Academic year,National,E92000001,England"


@dataclass(frozen=True)
class Edition:
    """One version to be published.

    Attributes:
        number: ``1.0``, ``1.0.1``.
        csv: its CSV as text or bytes, or a file that lies elsewhere.
        more: further keys of the version's entry, such as ``status``, ``held``, ``total_results``, ``indicators``.
        gzipped: ``csv`` is the gzip body itself, to be served as it is.
    """

    number: str
    csv: str | bytes | Path
    more: Mapping[str, object] = field(default_factory=dict)
    gzipped: bool = False

    @property
    def file_name(self) -> str:
        """The file the description names."""
        return str(self.csv) if isinstance(self.csv, Path) else f"{self.number}.csv{'.gz' * self.gzipped}"


def id_of(name: str) -> str:
    """The id of a test's data set: the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ks4_pipeline_tests/{name}"))


def describe(
    root: Path,
    name: str,
    *editions: Edition,
    indicators: Sequence[Mapping[str, object]] = INDICATORS,
    filters: Sequence[Mapping[str, object]] = FILTERS,
    **more: object,
) -> DataSet:
    """Write a data set below a sandbox's root; what is not given is that of :data:`HEADER`."""
    description: dict[str, object] = {
        "id": id_of(name),
        "title": f"Test data set {name}",
        "filters": list(filters),
        "indicators": list(indicators),
        "versions": [{"version": edition.number, "file": edition.file_name, **edition.more} for edition in editions],
        **more,
    }
    files = {edition.file_name: edition.csv for edition in editions if not isinstance(edition.csv, Path)}
    write_data_set(root / name, description, files)
    return DataSet(name=name, id=id_of(name))


def rows(*cells: str, header: str = HEADER, end: str = "\n") -> str:
    """A CSV of :data:`HEADER`: each text is what stands behind the key columns, such as ``CLA,10,17.3``."""
    return end.join([header, *(f"{KEY_CELLS},{text}" for text in cells)]) + end


def scored(*scores: str) -> str:
    """A CSV of one row per text in the indicator ``score``."""
    return rows(*(f"group {number},10,{score}" for number, score in enumerate(scores, 1)))


def quoted(table: Iterable[Sequence[str]]) -> str:
    """Any table as CSV with CRLF line ends, every cell quoted where it has to be."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(table)  # with "\n" alone it would not quote a lone "\r"
    return text.getvalue()


def packed(text: str | bytes) -> bytes:
    """A gzip body that is the same each time."""
    return gzip.compress(text.encode() if isinstance(text, str) else text, mtime=0)


def lay_down(
    folder: Path, data_set: DataSet, version: VersionNumber, text: str, meta: Meta, *, rows: int | None = None
) -> Landed:
    """A version as the landing step leaves it, without a publisher; ``rows`` are those announced."""
    content = text.encode()
    announced = text.count("\n") - 1 if rows is None else rows
    record = VersionRecord(version=version, type="Major", status="Published", total_results=announced)
    files = {
        "data.csv.gz": packed(content),
        "meta.json": meta.model_dump_json(by_alias=True).encode(),
        "version.json": record.model_dump_json(by_alias=True).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    shape = ShapeReader()
    for start in range(0, len(content), 1 << 10):  # in portions, as it would come
        shape.feed(content[start : start + (1 << 10)])
    manifest = Manifest(
        data_set_id=data_set.id,
        version=record.version,
        url="http://localhost/",
        file_name="f.csv",
        fetched_at=datetime.now(UTC),
        fetched_by="test",
        served=Bytes.of(folder / "data.csv.gz"),
        csv=Bytes(bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
        shape=Shape.of(shape.finish()),
        documents={name: Bytes.of(folder / name) for name in ("meta.json", "version.json")},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return Landed(folder, manifest)


NO_PAUSES = RetryPolicy(sleep=lambda _seconds: None)


def pipeline_for(
    data_dir: Path,
    url: str,
    *data_sets: DataSet,
    policy: RetryPolicy = NO_PAUSES,
    configured: Mapping[str, object] | None = None,
    **limits: float,
) -> Pipeline:
    """A pipeline on a data directory, pointed at a sandbox.

    Args:
        data_dir: where everything is kept.
        url: of the sandbox.
        data_sets: what is followed.
        policy: of retries.
        configured: ``rules`` and ``notes``, as in the configuration's file.
        limits: those of ``[limits]``.
    """
    base: dict[str, object] = {"api_url": url, "data_dir": data_dir, "data_sets": data_sets, "limits": limits}
    settings = Settings.model_validate(base | dict(configured or {}))
    return Pipeline(settings, connect=partial(EesClient, policy=policy, limits=settings.limits))


def load(pipeline: Pipeline) -> RunReport:
    """One run over all data sets the pipeline follows."""
    return run(pipeline, pipeline.settings.data_sets)


def answering(
    path_ends: str,
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    times: int | None = None,
) -> Callable[[ASGIApp], ASGIApp]:
    """Sandbox middleware that answers requests for a path in its own way, always or so many times."""
    left = [times]
    sent = [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()]

    def wrap(app: ASGIApp) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if not scope["path"].endswith(path_ends) or left[0] == 0:
                await app(scope, receive, send)
                return
            if left[0] is not None:
                left[0] -= 1
            await send({"type": "http.response.start", "status": status, "headers": sent})
            await send({"type": "http.response.body", "body": body})

        return answer

    return wrap
