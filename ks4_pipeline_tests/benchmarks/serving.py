"""The sandbox as a process of its own, so that what it takes is never counted as the pipeline's."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ks4_pipeline_tests.benchmarks.processes import KS4, ProcessFailedError, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_STOPS_WITHIN = 20


@dataclass(frozen=True)
class Served:
    """A running sandbox; ``url`` is what ``KS4_API_URL`` takes."""

    url: str

    @property
    def _admin(self) -> str:
        return self.url.removesuffix("/statistics") + "/admin"

    def publish_next(self, data_set_id: str) -> None:
        """Let the lowest held version appear."""
        _ask(f"{self._admin}/data-sets/{data_set_id}/publish-next", "POST")

    def hold(self, data_set_id: str, version: str) -> None:
        """Take a version back."""
        _ask(f"{self._admin}/data-sets/{data_set_id}/versions/{version}/hold", "POST")

    def requests(self) -> int:
        """How many requests the API has got since the last call."""
        asked = json.loads(_ask(f"{self._admin}/requests"))["requests"]
        _ask(f"{self._admin}/requests", "DELETE")
        return len(asked)


@contextmanager
def served(root: Path, data_set_ids: Iterable[str]) -> Iterator[Served]:
    """Serve a folder; when the block begins all metadata are made, so that no measurement waits for them."""
    command = [KS4, "sandbox", str(root), "--port", "0"]
    process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    try:
        yield _announced(process, list(data_set_ids))
    finally:
        process.terminate()
        process.wait(_STOPS_WITHIN)
        if process.stdout:
            process.stdout.close()


def _announced(process: subprocess.Popen[str], data_set_ids: list[str]) -> Served:
    for line in process.stdout or ():
        word, _, address = line.partition(" ")
        if word == "Address":
            sandbox = Served(address.strip())
            for data_set_id in data_set_ids:
                _ask(f"{sandbox.url}/v1/data-sets/{data_set_id}/meta")
            sandbox.requests()
            return sandbox
    raise ProcessFailedError("The sandbox ended before it said where it serves.")


def _ask(url: str, method: str = "GET") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        body: bytes = answer.read()
    return body
