"""Writes the benchmark's data set as a publisher has it: one gzip per version, and the description a sandbox serves.

``python -m ks4_pipeline_tests.benchmarks.publication --rows 10m`` makes the files, unless they are there, and prints
the folder for ``ks4 sandbox``. They are kept below ``KS4_BENCH_DIR``, never in the repository; beside each version lies
what is known of it (:class:`Facts`), so that every route's result can be checked. Memory is bounded: a few pieces of
the file are in the works at a time, packed side by side into one gzip member as the publisher's files are.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import tomllib
import zlib
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ks4_pipeline.sandbox.authoring import write_data_set
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, INDICATOR_COLUMNS
from ks4_pipeline.sandbox.synthetic.description import description
from ks4_pipeline_tests.benchmarks.figures import MADE_MARKERS, Figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EDITIONS = {"1.0": 1, "1.1": 2}
SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
_FORMAT = 3  # raised when the files are made differently
_PIECE = 50_000
_LEVEL = 6  # what .NET's and gzip's default come to
_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
_LAST_BLOCK = b"\x03\x00"
_WORKERS = max(2, os.cpu_count() or 1)


@dataclass(frozen=True)
class Facts:
    """What is known of a version's file.

    Attributes:
        rows, csv_bytes, gzip_bytes: its size.
        sums: of each indicator's numbers.
        markers: of each indicator, how many cells hold which marker.
        changes: what the version changes against the first one; empty for the first.
    """

    rows: int
    csv_bytes: int
    gzip_bytes: int
    sums: dict[str, float]
    markers: dict[str, dict[str, int]]
    changes: dict[str, int]


@dataclass(frozen=True)
class Publication:
    """The files of one size.

    Attributes:
        root: the folder a sandbox serves.
        facts: by version.
    """

    root: Path
    facts: dict[str, Facts]

    def file(self, version: str) -> Path:
        """The gzip of a version."""
        return self.root / FOLDER / f"v{version}.csv.gz"


def work_folder() -> Path:
    """Where files are kept from one run to the next: ``KS4_BENCH_DIR``, or a folder of the temporary ones."""
    return Path(os.environ.get("KS4_BENCH_DIR") or Path(tempfile.gettempdir()) / "ks4-benchmarks")


def prepare(rows: int, versions: int = 1, *, restated: int = 6) -> Publication:
    """The files of so many rows below :func:`work_folder`, made unless they are there.

    Args:
        rows: of each version.
        versions: 1, or 2 for a second one that is held back until the sandbox is told to publish it.
        restated: how many of a hundred measures of a row the second version draws anew; 6 come to 10 % of the cells.
    """
    figures = Figures(rows, restated)
    made = f"{rows}-rows" + (f"-{restated}-percent-restated" if versions > 1 else "")
    root = work_folder() / f"published-{_FORMAT}" / made
    facts = {}
    for version, edition in tuple(EDITIONS.items())[:versions]:
        path = root / FOLDER / f"v{version}.csv.gz"
        known = path.with_suffix(".json")
        if not known.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            first = root.parent / f"{rows}-rows" / FOLDER / path.name
            _write(figures, edition, path, first)
        facts[version] = Facts(**json.loads(known.read_text("utf-8")))
    publication = Publication(root, facts)
    describe(root / FOLDER, DATA_SET_ID, {version: publication.file(version) for version in facts})
    return publication


def _write(figures: Figures, edition: int, path: Path, first: Path) -> None:
    """Write a version's gzip and then its facts; the first version of another folder is linked, being the same."""
    known, known_first = path.with_suffix(".json"), first.with_suffix(".json")
    if edition == 1 and first != path and known_first.exists():
        path.unlink(missing_ok=True)
        os.link(first, path)
        known.write_bytes(known_first.read_bytes())
        return
    unfinished = path.with_suffix(".part")
    rows, csv_bytes, crc = 0, 0, 0
    sums: Counter[str] = Counter()
    markers: Counter[tuple[str, str]] = Counter()
    changes: Counter[str] = Counter()
    with unfinished.open("wb") as out:
        out.write(_GZIP_HEADER)
        for piece in _in_order(figures, edition):
            out.write(piece.packed)
            crc = zlib.crc32(piece.text, crc)
            csv_bytes += len(piece.text)
            rows += piece.rows
            sums.update(piece.sums)
            markers.update(piece.markers)
            changes.update(piece.changes)
        out.write(_LAST_BLOCK + struct.pack("<II", crc, csv_bytes & 0xFFFF_FFFF))
    unfinished.replace(path)
    by_column = {
        column: {marker: markers[column, marker] for marker in MADE_MARKERS if markers[column, marker]}
        for column in INDICATOR_COLUMNS
    }
    facts = Facts(rows, csv_bytes, path.stat().st_size, dict(sums), by_column, dict(changes))
    known.write_text(json.dumps(asdict(facts), indent=1), "utf-8")


@dataclass(frozen=True)
class _Piece:
    """A run of rows, ready to be written, and what the facts are added up from."""

    text: bytes
    packed: bytes
    rows: int
    sums: dict[str, float]
    markers: dict[tuple[str, str], int]
    changes: dict[str, int]


def _in_order(figures: Figures, edition: int) -> Iterator[_Piece]:
    """All pieces in the order of the file, made by some threads ahead of it."""
    starts = iter(range(0, figures.candidates, _PIECE))
    with ThreadPoolExecutor(_WORKERS) as pool:
        ahead = deque(pool.submit(_make, figures, edition, start) for start in islice(starts, _WORKERS + 1))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(_make, figures, edition, start) for start in islice(starts, 1))


def _make(figures: Figures, edition: int, start: int) -> _Piece:
    end = min(start + _PIECE, figures.candidates)
    frame = figures.piece(edition, start, end)
    text = frame.write_csv(include_header=start == 0).encode()
    deflate = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    packed = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
    numbers = frame.select(pl.col(INDICATOR_COLUMNS).cast(pl.Float64, strict=False).sum())
    counts = frame.select(
        (pl.col(column) == marker).sum().alias(f"{column} {marker}")
        for column in INDICATOR_COLUMNS
        for marker in MADE_MARKERS
    ).row(0)
    return _Piece(
        text,
        packed,
        frame.height,
        numbers.row(0, named=True),
        dict(zip(product(INDICATOR_COLUMNS, MADE_MARKERS), counts, strict=True)),
        figures.changes(start, end) if edition > 1 else {},
    )


def describe(folder: Path, data_set_id: str, files: Mapping[str, Path], *, held_from: int = 1) -> None:
    """Describe a data set like the national one, with these versions.

    Args:
        folder: its folder in a sandbox's.
        data_set_id: its id.
        files: the gzip of each version, by number.
        held_from: versions from this place on wait until the sandbox is told to publish them.
    """
    written = tomllib.loads(description((), held=False))
    written |= {"id": data_set_id, "summary": "Made-up figures of the benchmarks. Not for quotation."}
    written["versions"] = [
        {"version": version, "file": str(file), "notes": "Made up for benchmarks.", "held": place >= held_from}
        for place, (version, file) in enumerate(files.items())
    ]
    write_data_set(folder, written)


def rows_of(text: str) -> int:
    """A number of rows as the command line takes it: ``100k``, ``1m``, ``10m``, or a plain number."""
    return SIZES[text] if text in SIZES else int(text.replace("_", ""))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the files and print the folder."""
    parser = argparse.ArgumentParser(prog="python -m ks4_pipeline_tests.benchmarks.publication", description=__doc__)
    parser.add_argument("--rows", type=rows_of, default="100k", help="100k, 1m, 10m or a number")
    parser.add_argument("--versions", type=int, choices=(1, 2), default=1)
    parser.add_argument("--restated", type=int, default=6, help="percent of measures the second version draws anew")
    given = parser.parse_args(arguments)
    publication = prepare(given.rows, given.versions, restated=given.restated)
    print(publication.root)


if __name__ == "__main__":
    main()
