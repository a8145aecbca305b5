"""``/csv`` over HTTP: the publisher's bytes, always gzipped, with the headers of contract §1.5."""

import gzip
import hashlib
import zlib
from urllib.parse import quote

import httpx
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.authoring import write_data_set

HTTP = httpx.Client(trust_env=False)
ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
CONTENT = b"\xef\xbb\xbfa,b\r\n1,caf\xe9\r\n2\r\n" * 1000


def served(tmp_path, content=CONTENT, file="data.csv", **entry):
    described = {"id": ID, "title": "A set", "versions": [{"version": "1.0", "file": file, **entry}]}
    write_data_set(tmp_path / "set", described, {file: content})
    return Sandbox(tmp_path)


def raw(sandbox, **headers):
    """The answer and its bytes as they came over the wire."""
    with HTTP.stream("GET", f"{sandbox.url}/v1/data-sets/{ID}/csv", headers=headers) as response:
        return response, b"".join(response.iter_raw())


@pytest.mark.parametrize("accepted", ["gzip", "identity", "br", "gzip;q=0", ""])
def test_the_csv_is_gzip_whatever_the_client_accepts(tmp_path, accepted):
    with served(tmp_path) as sandbox:
        response, body = raw(sandbox, **{"accept-encoding": accepted})
    assert gzip.decompress(body) == CONTENT
    assert {name: value for name, value in response.headers.items() if name != "date"} == {
        "content-type": "text/csv",
        "content-encoding": "gzip",
        "content-length": str(len(body)),
        "content-disposition": f"attachment; filename={ID}_v1.0.csv; filename*=UTF-8''{ID}_v1.0.csv",
        "x-robots-tag": "noindex",
        "api-supported-versions": "1",
    }


def test_ranges_are_ignored(tmp_path):
    with served(tmp_path) as sandbox:
        response, body = raw(sandbox, range="bytes=0-9")
    assert response.status_code == 200
    assert gzip.decompress(body) == CONTENT


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(CONTENT, 9), id="whole"),
        pytest.param(gzip.compress(b"a\n") + gzip.compress(b"1\n"), id="two members"),
        pytest.param(gzip.compress(CONTENT)[:-10], id="cut"),
        pytest.param(gzip.compress(CONTENT)[:-8] + b"\0" * 8, id="wrong checksum"),
        pytest.param(gzip.compress(CONTENT) + b"garbage", id="garbage after its end"),
        pytest.param(b"no gzip at all", id="no gzip"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_packed_file_is_served_byte_for_byte_whatever_it_holds(tmp_path, packed):
    with served(tmp_path, packed, "data.csv.gz") as sandbox:
        response, body = raw(sandbox)
        assert HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/meta").status_code == 200
    assert response.status_code == 200
    assert body == packed


def test_a_packed_files_rows_are_counted_as_far_as_it_can_be_unpacked(tmp_path):
    table = b"a\n" + b"1\n" * 500
    for packed, rows in ((gzip.compress(table), 500), (gzip.compress(b"a\n") + gzip.compress(b"1\n" * 7), 7)):
        with served(tmp_path, packed, "data.csv.gz") as sandbox:
            assert HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/versions/1.0").json()["totalResults"] == rows


def test_the_bytes_are_the_same_in_every_run_and_kept_in_a_given_cache(tmp_path):
    hashes = set()
    for n in range(2):
        (tmp_path / f"run{n}").mkdir()
        with served(tmp_path / f"run{n}") as sandbox:
            hashes.add(hashlib.sha256(raw(sandbox)[1]).hexdigest())
    cache = tmp_path / "cache"
    for _ in range(2):
        with Sandbox(tmp_path / "run0", cache=cache) as sandbox:
            hashes.add(hashlib.sha256(raw(sandbox)[1]).hexdigest())
    assert len(hashes) == 1
    assert len(list(cache.iterdir())) == 1


def test_a_changed_file_is_packed_anew(tmp_path):
    with served(tmp_path) as sandbox:
        raw(sandbox)
        (tmp_path / "set/data.csv").write_bytes(b"other\n")
        assert gzip.decompress(raw(sandbox)[1]) == b"other\n"


def test_a_patch_is_named_with_three_numbers(tmp_path):
    versions = [{"version": version, "file": "data.csv"} for version in ("1.0", "1.0.1")]
    write_data_set(tmp_path / "set", {"id": ID, "title": "A set", "versions": versions}, {"data.csv": CONTENT})
    with Sandbox(tmp_path) as sandbox:
        assert f"filename={ID}_v1.0.1.csv;" in raw(sandbox)[0].headers["content-disposition"]


@pytest.mark.parametrize(
    ("file_name", "plain"),
    [
        ("other_v9.9.csv", "other_v9.9.csv"),
        ("with blank.csv", '"with blank.csv"'),
        ('a"b\\c;d.csv', '"a\\"b\\\\c;d.csv"'),
        ("café.csv", "caf_.csv"),
        ("../../up.csv", '"../../up.csv"'),
    ],
)
def test_a_wrong_file_name_can_be_said_on_purpose(tmp_path, file_name, plain):
    with served(tmp_path, file_name=file_name) as sandbox:
        disposition = raw(sandbox)[0].headers["content-disposition"]
    assert disposition == f"attachment; filename={plain}; filename*=UTF-8''{quote(file_name, safe='')}"


def test_a_large_file_arrives_whole(tmp_path):
    table = b"a,b\n" + b"".join(hashlib.sha256(str(n).encode()).hexdigest().encode() + b",1\n" for n in range(100_000))
    with served(tmp_path, table) as sandbox:
        response, body = raw(sandbox)
    assert len(body) == int(response.headers["content-length"])
    assert zlib.decompress(body, wbits=31) == table
