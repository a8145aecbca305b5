"""What a fault makes of an answer's headers and body. Pure: an answer and a fault in, another answer out."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from ks4_pipeline.sandbox.faults import Fault, FaultKind

_OK = 200
_TRAILER = 12
_ZEROS = 1 << 20
_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>%d</title></head>\n"
    b"<body><h1>The request could not be served</h1><p>Gateway of the sandbox</p></body></html>\n"
)
_NAMED = re.compile(rb"_v[0-9.]+?\.csv")


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers in lower case without the length, body as it travels."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """A header's value; empty when it is not there."""
        return next((value for key, value in self.headers if key == name), b"")

    def with_header(self, name: bytes, value: bytes) -> Answer:
        """The same with a header set."""
        return replace(self, headers=(*(item for item in self.headers if item[0] != name), (name, value)))

    @property
    def is_gzip(self) -> bool:
        """Whether the body is packed."""
        return self.header(b"content-encoding") == b"gzip"

    @property
    def is_csv(self) -> bool:
        """Whether it is a CSV; all else is JSON."""
        return self.header(b"content-type").startswith(b"text/csv")

    @property
    def text(self) -> bytes:
        """The body unpacked."""
        return gzip.decompress(self.body) if self.is_gzip else self.body

    def with_text(self, text: bytes) -> Answer:
        """The same with another content, packed if it was."""
        return replace(self, body=gzip.compress(text, 6, mtime=0) if self.is_gzip else text)

    def packed(self) -> Answer:
        """The same as gzip in any case."""
        return self if self.is_gzip else replace(self, body=gzip.compress(self.body, 6, mtime=0)).as_gzip()

    def as_gzip(self) -> Answer:
        """The same, called gzip."""
        return self.with_header(b"content-encoding", b"gzip")


def rewritten(fault: Fault, answer: Answer, query: str) -> Answer:
    """The answer as the fault leaves it; kinds that only act on the wire leave it alone."""
    if fault.kind is FaultKind.STATUS:
        return _of_the_gateway(fault)
    change = _CHANGES.get(fault.kind)
    return answer if change is None or answer.status != _OK else change(fault, answer, query)


def _of_the_gateway(fault: Fault) -> Answer:
    status = fault.status or 503
    page = _web_page(status) if fault.html else Answer(status, (), b"")
    return page if fault.retry_after is None else page.with_header(b"retry-after", fault.retry_after.encode())


def _web_page(status: int) -> Answer:
    return Answer(status, ((b"content-type", b"text/html"),), _PAGE % status)


def _without_end(_: Fault, answer: Answer, _query: str) -> Answer:
    packed = answer.packed()
    return replace(packed, body=packed.body[:-_TRAILER])


def _with_wrong_sum(_: Fault, answer: Answer, _query: str) -> Answer:
    packed = answer.packed()
    return replace(packed, body=packed.body[:-8] + bytes(byte ^ 0xFF for byte in packed.body[-8:-4]) + packed.body[-4:])


def _half(_: Fault, answer: Answer, _query: str) -> Answer:
    text = answer.text
    return answer.with_text(text[: len(text) // 2])


def _of_another_version(_: Fault, answer: Answer, _query: str) -> Answer:
    if answer.is_csv:
        disposition = _NAMED.sub(b"_v99.0.csv", answer.header(b"content-disposition"))
        return answer.with_header(b"content-disposition", disposition)
    said = json.loads(answer.text)
    said.update({key: "99.0" for key in ("version", "versionNumber") if key in said})
    return answer.with_text(json.dumps(said).encode())


def _miscounted(_: Fault, answer: Answer, _query: str) -> Answer:
    if answer.is_csv:
        return answer.with_text(b"".join(answer.text.splitlines(keepends=True)[:-1]))
    said = json.loads(answer.text)
    for record in (said, said.get("latestVersion", {}), *said.get("results", ())):
        if "totalResults" in record:
            record["totalResults"] += 1
    return answer.with_text(json.dumps(said).encode())


def _without_end_of_pages(_: Fault, answer: Answer, query: str) -> Answer:
    if answer.is_csv:
        return answer
    said: dict[str, Any] = json.loads(answer.text)
    if "paging" not in said:
        return answer
    page = int(parse_qs(query).get("page", ["1"])[0])
    if page > 1:
        said["results"] = [
            {"version": f"{1000 + page}.0", "type": "Major", "status": "Published", "notes": "", "totalResults": 1}
        ]
    announced = page * said["paging"]["pageSize"] + 1
    said["paging"].update({"page": page, "totalPages": page + 1, "totalResults": announced})
    return answer.with_text(json.dumps(said).encode())


def _bomb(fault: Fault, answer: Answer, _query: str) -> Answer:
    return replace(answer.as_gzip(), body=_zeros(fault.size or 1_000_000_000))


def _nested(fault: Fault, answer: Answer, _query: str) -> Answer:
    depth = fault.size or 100_000
    return answer if answer.is_csv else answer.with_text(b'{"more":' + b"[" * depth + b"]" * depth + b"}")


_CHANGES: dict[FaultKind, Callable[[Fault, Answer, str], Answer]] = {
    FaultKind.TRUNCATED_GZIP: _without_end,
    FaultKind.BAD_CRC: _with_wrong_sum,
    FaultKind.CUT_TEXT: _half,
    FaultKind.HTML: lambda _fault, _answer, _query: _web_page(_OK),
    FaultKind.WRONG_VERSION: _of_another_version,
    FaultKind.WRONG_ROW_COUNT: _miscounted,
    FaultKind.ENDLESS_PAGES: _without_end_of_pages,
    FaultKind.GZIP_BOMB: _bomb,
    FaultKind.DEEP_JSON: _nested,
}


@lru_cache(maxsize=4)
def _zeros(size: int) -> bytes:
    """So many zeros as gzip, made without ever holding them: a block that stands by itself, again and again."""
    whole, rest = divmod(size, _ZEROS)
    block, last = bytes(_ZEROS), bytes(rest)
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(whole):
        checksum = zlib.crc32(block, checksum)
    end = packer.compress(last) + packer.flush()
    trailer = struct.pack("<II", zlib.crc32(last, checksum), size % (1 << 32))
    return gzip.compress(b"", mtime=0)[:10] + packed * whole + end + trailer
