"""What is far too much is stopped early: in seconds, in little memory, with an error that says what to do.

Each is fetched by a process of its own, whose memory is what it reports.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ks4_pipeline.sandbox import Fault, Sandbox
from ks4_pipeline_tests.publisher import Edition, describe, scored

FETCH = """
import sys
from pathlib import Path
import ks4_pipeline.csv_shape  # what reads any CSV is no part of what a bomb takes
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import EesError
from ks4_pipeline.landing import Landing
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber

def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024

data_set = DataSet(name="d", id=sys.argv[3])
landing = Landing(Path(sys.argv[1]))
with EesClient(sys.argv[2]) as client:
    client.data_set(data_set.id)
    before = peak()
    try:
        if sys.argv[4] == "csv":
            landing.fetch(client, data_set, VersionNumber(1, 0))
        else:
            client.versions(data_set.id)
    except EesError as error:
        print(peak() - before, type(error).__name__, error)
"""


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    data_set = describe(root, "d", Edition("1.0", scored("1.5", "c")))
    with Sandbox(root) as sandbox:
        yield sandbox, data_set


@pytest.mark.parametrize(
    "case",
    [
        ("csv", {"kind": "gzip_bomb"}, "EesTooLargeError the answer unpacks to more than 400 times its size", 60),
        ("csv", {"kind": "huge_length"}, "EesTooLargeError the answer is announced with 5,000,000,000 bytes", 20),
        ("versions", {"kind": "gzip_bomb"}, "EesTooLargeError the answer unpacks to more than 67,108,864 bytes", 100),
        ("versions", {"kind": "huge_length"}, "EesTooLargeError the answer is announced with 5,000,000,000 bytes", 20),
        ("versions", {"kind": "endless_pages"}, "EesAnswerError the list does not end: 101 pages are announced", 20),
        ("versions", {"kind": "deep_json", "size": 10_000_000}, "EesAnswerError the answer is nested too deeply", 100),
    ],
    ids=lambda case: f"{case[1]['kind']} of {case[0]}",
)
def test_it_is_stopped_in_seconds_and_bounded_memory(publisher, tmp_path, capsys, case):
    sandbox, data_set = publisher
    path, fault, said, most_mb = case
    sandbox.heal()
    sandbox.fail(Fault.model_validate({**fault, "path": f"*/{path}"}))
    began = time.monotonic()
    command = [sys.executable, "-c", FETCH, str(tmp_path / "landing"), sandbox.url, data_set.id, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seconds = time.monotonic() - began
    grown, kind, _, message = done.stdout.split(" ", 3)
    with capsys.disabled():
        print(f"\n{fault['kind']} of {path}: {seconds:.1f} s, {grown} MB more: {message.strip()}")
    assert said in f"{kind} {message}"
    assert int(grown) < most_mb
    assert seconds < 30
    assert [file for file in (tmp_path / "landing").rglob("*") if file.is_file()] == []
