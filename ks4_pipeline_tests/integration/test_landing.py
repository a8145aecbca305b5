"""What lands, and what does not: faults of the wire, answers that refuse, and a landing folder that was harmed."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ks4_pipeline import __version__
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.errors import (
    EesAnswerError,
    EesBlockedError,
    EesStatusError,
    EesTransferError,
    EesUnavailableError,
)
from ks4_pipeline.landing import LandingError
from ks4_pipeline.run import Outcome
from ks4_pipeline.sandbox import Fault, FaultKind, Sandbox
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import Edition, answering, describe, id_of, load, packed, pipeline_for, scored

ONE = VersionNumber(1, 0)
CSV = scored("1.5", "c")
BODY = packed(CSV)
NAME = f"{id_of('d')}_v1.0.csv"
OTHER = f"{id_of('x')}_v1.0.csv"
HTML = b"<html><head><title>403 Forbidden</title></head>\n<body>Blocked by the gateway</body></html>"


def headers(**changes: str | None) -> dict[str, str]:
    """The headers of a good answer to /csv, with some changed or (None) left out."""
    good = {
        "content-type": "text/csv",
        "content-encoding": "gzip",
        "content-length": str(len(BODY)),
        "content-disposition": f"attachment; filename={NAME}; filename*=UTF-8''{NAME}",
    }
    changed = {**good, **{key.replace("_", "-"): value for key, value in changes.items()}}
    return {key: value for key, value in changed.items() if value is not None}


def sized(body: bytes, **changes: str | None) -> tuple[bytes, dict[str, str]]:
    return body, headers(**{"content_length": str(len(body)), **changes})


def flipped(body: bytes, place: int) -> bytes:
    changed = bytearray(body)
    changed[place] ^= 1
    return bytes(changed)


@pytest.fixture
def serve(tmp_path):
    """Start a sandbox with data set ``d`` (version 1.0) behind some middleware; gives it and a pipeline."""
    running = []

    def start(*middleware, editions=(), **more):
        data_set = describe(tmp_path / "published", "d", *(editions or [Edition("1.0", CSV)]), **more)
        sandbox = Sandbox(tmp_path / "published", middleware=middleware)
        sandbox.__enter__()
        running.append(sandbox)
        return sandbox, data_set, pipeline_for(tmp_path / "data", sandbox.url, data_set)

    yield start
    for sandbox in running:
        sandbox.__exit__(None, None, None)


def land(pipeline, data_set, version=ONE):
    with pipeline.client() as client:
        return pipeline.land(client, data_set, version)


def left_behind(pipeline):
    """Every file below the landing folder but the publisher's list."""
    return [path for path in pipeline.settings.landing_dir.rglob("*") if path.is_file() and path.name != "listing.json"]


class TestTheManifest:
    def test_it_says_what_came_from_where_and_when(self, serve, tmp_path):
        sandbox, data_set, pipeline = serve()
        before = datetime.now(UTC)
        landed = land(pipeline, data_set)
        folder = tmp_path / "data" / "landing" / "d" / "1.0"
        assert sorted(path.name for path in folder.iterdir()) == [
            "changes.json", "data.csv.gz", "manifest.json", "meta.json", "version.json",
        ]  # fmt: skip
        served = (folder / "data.csv.gz").read_bytes()
        assert gzip.decompress(served) == CSV.encode()
        manifest = json.loads((folder / "manifest.json").read_text())
        assert datetime.fromisoformat(manifest.pop("fetched_at")) >= before
        assert manifest == {
            "format": 1,
            "data_set_id": data_set.id,
            "version": "1.0",
            "url": f"{sandbox.url}/v1/data-sets/{data_set.id}/csv?dataSetVersion=1.0",
            "file_name": NAME,
            "fetched_by": f"ks4_pipeline {__version__}",
            "served": {"bytes": len(served), "sha256": hashlib.sha256(served).hexdigest()},
            "csv": {"bytes": len(CSV), "sha256": hashlib.sha256(CSV.encode()).hexdigest()},
            "shape": {
                "rows": 2,
                "header": CSV.splitlines()[0],
                "utf8": True,
                "regular": True,
                "rows_in_a_stretch": None,
            },
            "documents": {
                name: {
                    "bytes": (folder / name).stat().st_size,
                    "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
                }
                for name in ("version.json", "meta.json", "changes.json")
            },
        }
        assert landed.record.version == landed.manifest.version == ONE
        assert landed.meta.indicators[0].column in {"pupils", "score"}

    def test_a_version_that_landed_is_never_fetched_again(self, serve):
        sandbox, data_set, pipeline = serve()
        land(pipeline, data_set)
        sandbox.clear_requests()
        land(pipeline, data_set)
        assert sandbox.requests == []

    def test_a_folder_without_a_manifest_does_not_exist_and_is_made_anew(self, serve, tmp_path):
        _, data_set, pipeline = serve()
        folder = tmp_path / "data" / "landing" / "d" / "1.0"
        folder.mkdir(parents=True)
        (folder / "data.csv.gz").write_bytes(b"half of someth")
        (folder / "strange.txt").write_text("left by an older program")
        assert pipeline.landing.get(data_set, ONE) is None
        assert pipeline.landing.versions(data_set) == ()
        land(pipeline, data_set)
        assert pipeline.landing.versions(data_set) == (ONE,)
        assert not (folder / "strange.txt").exists()

    def test_what_a_killed_process_left_unfinished_is_removed_and_what_a_living_one_works_on_is_not(
        self, serve, tmp_path
    ):
        _, _, pipeline = serve()
        folders = [tmp_path / "data" / kind / "d" for kind in ("landing", "observations")]
        code = (
            "import os, pathlib, sys\nfrom ks4_pipeline import unfinished\n"
            "with unfinished.room(pathlib.Path(sys.argv[1])) as room:\n"
            "    (room / 'half').write_text('half')\n    print(room, flush=True)\n    sys.stdin.read()\n    os._exit(9)"
        )
        with ExitStack() as stack:
            living = []
            for folder in folders:
                folder.mkdir(parents=True)
                command = [sys.executable, "-c", code, str(folder)]
                dying, working = (
                    stack.enter_context(
                        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                    )
                    for _ in range(2)
                )
                assert dying.stdout.readline()
                living.append(Path(working.stdout.readline().strip()))
                dying.kill()
                dying.wait()
                assert len(list(folder.glob(".unfinished-*/half"))) == 2
            load(pipeline)
            assert sorted((tmp_path / "data").rglob(".*/half")) == sorted(room / "half" for room in living)

    def test_a_manifest_about_another_data_set_is_an_error(self, serve, tmp_path):
        _, data_set, pipeline = serve()
        land(pipeline, data_set)
        manifest = tmp_path / "data" / "landing" / "d" / "1.0" / "manifest.json"
        manifest.write_text(manifest.read_text().replace(data_set.id, id_of("other")))
        with pytest.raises(LandingError, match=f"{id_of('other')}.*expected 1.0 of {data_set.id}"):
            land(pipeline, data_set)


DAMAGED = {
    "cut in the body": (sized(BODY[:-20]), "ends before its end mark"),
    "cut in the trailer": (sized(BODY[:-4]), "ends before its end mark"),
    "nothing at all": (sized(b""), "ends before its end mark"),
    "wrong checksum": (sized(flipped(BODY, -6)), "the gzip body is damaged"),
    "wrong length in the trailer": (sized(flipped(BODY, -2)), "the gzip body is damaged"),
    "changed byte": (sized(flipped(BODY, 40)), "the gzip body is damaged"),
    "not gzip": (sized(CSV.encode()), "the gzip body is damaged"),
    "a web page": (sized(HTML), "the gzip body is damaged"),
    "something after the end": (sized(BODY + b"more"), "the gzip body is damaged"),
    "the mark of another member after the end": (sized(BODY + b"\x1f\x8b"), "ends before its end mark"),
    "second member cut": (sized(BODY + BODY[:30]), "ends before its end mark"),
    "not announced as gzip": ((CSV.encode(), headers(content_encoding=None, content_length=None)), "Encoding 'none'"),
    "another encoding": ((BODY, headers(content_encoding="br")), "Encoding 'br'"),
    "more announced than sent": ((BODY, headers(content_length=str(len(BODY) + 5))), "broke off after"),
    "another version": (
        (BODY, headers(content_disposition=f"attachment; filename={id_of('d')}_v1.0.1.csv")),
        f"asked for version 1.0 ({NAME}), and was served '{id_of('d')}_v1.0.1.csv'",
    ),
    "another data set": ((BODY, headers(content_disposition=f"attachment; filename={OTHER}")), f"was served '{OTHER}'"),
    "a path for a name": ((BODY, headers(content_disposition=f'attachment; filename="../{NAME}"')), "was served '../"),
    "no file name": ((BODY, headers(content_disposition="attachment")), "the answer names none"),
    "no disposition": ((BODY, headers(content_disposition=None)), f"expected a file named {NAME}"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_csv_that_did_not_arrive_whole_leaves_nothing_behind(serve, answer, said):
    body, sent = answer
    _, data_set, pipeline = serve(answering("/csv", 200, body, sent))
    with pytest.raises(EesTransferError) as caught:
        land(pipeline, data_set)
    assert said in str(caught.value)
    assert "/csv" in str(caught.value)
    assert left_behind(pipeline) == []
    assert not list(pipeline.settings.landing_dir.rglob(".*"))


FINE = {
    "two members": sized(packed(CSV[:50]) + packed(CSV[50:])),
    "an empty member first": sized(packed("") + BODY),
    "no announced length": (BODY, headers(content_length=None, transfer_encoding=None)),
    "a quoted name": (BODY, headers(content_disposition=f'attachment; filename="{NAME}"')),
    "capitals in the name": (BODY, headers(content_disposition=f"ATTACHMENT; FILENAME={NAME.upper()}")),
    "capitals in the encoding": (BODY, headers(content_encoding="GZIP")),
}


@pytest.mark.parametrize("answer", FINE.values(), ids=FINE)
def test_what_is_unusual_and_whole_lands_byte_for_byte(serve, answer):
    body, sent = answer
    _, data_set, pipeline = serve(answering("/csv", 200, body, sent))
    landed = land(pipeline, data_set)
    assert landed.csv.read_bytes() == body
    assert gzip.decompress(body) == CSV.encode()
    assert load(pipeline).exit_code == 0


def test_a_download_cut_short_fails_that_version_alone_and_the_next_run_loads_it(serve):
    sandbox, data_set, pipeline = serve(editions=[Edition(f"1.{n}", scored(str(n), "c")) for n in range(3)])
    sandbox.fail(Fault(kind=FaultKind.CUT, path="*/csv", query="*Version=1.1", after_bytes=60))
    report = load(pipeline)
    assert [(str(o.version), o.outcome) for o in report.outcomes] == [
        ("1.0", Outcome.LOADED), ("1.1", Outcome.FAILED), ("1.2", Outcome.LOADED),
    ]  # fmt: skip
    assert report.exit_code == 1
    assert "broke off" in report.outcomes[1].message
    assert pipeline.landing.versions(data_set) == (VersionNumber(1, 0), VersionNumber(1, 2))
    sandbox.heal()
    assert load(pipeline).exit_code == 0
    assert len(pipeline.in_force()["d"]) == 3


def broken(status, body=b"", **sent):
    return status, body, {key.replace("_", "-"): value for key, value in sent.items()}


REFUSALS = {
    "404 with a problem": (broken(404, b'{"title":"No such","status":404}'), EesStatusError,
    "HTTP 404 Not Found - No such"),
    "404 empty": (broken(404), EesStatusError, "HTTP 404 Not Found - the server sent no explanation."),
    "403 of the gateway": (broken(403, HTML, content_type="text/html"), EesBlockedError, "Blocked by the gateway"),
    "400": (
        broken(400, b'{"title":"x","errors":[{"message":"Must be a valid value.","path":"dataSetVersion"}]}'),
        EesStatusError, "dataSetVersion: Must be a valid value.",
    ),
    "406 empty": (broken(406), EesStatusError, "HTTP 406"),
    "308": (broken(308, location="https://internal.example/"), EesStatusError, "HTTP 308"),
    "500 empty": (broken(500), EesUnavailableError, "HTTP 500 Internal Server Error - the server sent no explanation."),
    "504 of the gateway": (broken(504, b"<h1>504</h1>"), EesUnavailableError, "HTTP 504 Gateway Timeout"),
    "429": (broken(429, b"slow down"), EesUnavailableError, "HTTP 429"),
    "said to be gzip": (broken(404, HTML, content_encoding="gzip"), EesStatusError, "sent no explanation."),
    "said to be brotli": (broken(404, b"\x0b\x02\x80", content_encoding="br"), EesStatusError, "HTTP 404"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/csv", "/meta", "/versions/1.0", "/changes"])
@pytest.mark.parametrize(("answer", "kind", "said"), REFUSALS.values(), ids=REFUSALS)
def test_an_answer_that_refuses_is_told_in_the_servers_own_words(serve, path, answer, kind, said):
    status, body, sent = answer
    _, data_set, pipeline = serve(answering(path, status, body, sent))
    with pytest.raises(kind) as caught:
        land(pipeline, data_set)
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert path in str(caught.value)
    assert left_behind(pipeline) == []


NO_ANSWERS = [b"", HTML, b"[]", b'{"version": "1.0"', b"\xff"]
MISFITS = [
    *((path, body) for path in ("/meta", "/versions/1.0", "/changes") for body in NO_ANSWERS),
    ("/versions/1.0", b"{}"),
    ("/changes", b"{}"),
    ("/changes", b'{"versionNumber":"9.9"}'),
    ("/versions/1.0", b'{"version":"9.9","type":"Major","status":"Published","totalResults":2}'),
]


@pytest.mark.parametrize(("path", "body"), MISFITS)
def test_a_200_that_is_not_what_the_contract_says_is_an_error(serve, path, body):
    _, data_set, pipeline = serve(answering(path, 200, body))
    with pytest.raises(EesAnswerError) as caught:
        land(pipeline, data_set)
    assert path in str(caught.value)
    assert left_behind(pipeline) == []


class TestTheLook:
    """What a run says when the data set itself cannot be looked at."""

    @pytest.mark.parametrize(
        ("status", "outcome", "exit_code"),
        [
            (404, Outcome.UNKNOWN, 2),
            (403, Outcome.UNKNOWN, 2),
            (500, Outcome.UNREACHABLE, 3),
            (429, Outcome.UNREACHABLE, 3),
        ],
    )
    def test_it_depends_on_what_can_be_done_about_it(self, serve, status, outcome, exit_code):
        _, _, pipeline = serve(answering("/versions", status))
        report = load(pipeline)
        assert [(o.version, o.outcome) for o in report.outcomes] == [(None, outcome)]
        assert report.exit_code == exit_code
        assert not pipeline.warehouse.exists()

    def test_a_list_that_is_no_json_is_a_failure(self, serve):
        _, _, pipeline = serve(answering("/versions", 200, HTML))
        report = load(pipeline)
        assert (report.outcomes[0].outcome, report.exit_code) == (Outcome.FAILED, 1)
        assert "expected JSON" in report.outcomes[0].message

    def test_nobody_answers(self, tmp_path):
        data_set = describe(tmp_path / "published", "d", Edition("1.0", CSV))
        report = load(pipeline_for(tmp_path / "data", "http://127.0.0.1:9", data_set))
        assert (report.outcomes[0].outcome, report.exit_code) == (Outcome.UNREACHABLE, 3)
        assert "no answer" in report.outcomes[0].message

    @pytest.mark.parametrize("status", ["Withdrawn", "Draft"])
    def test_a_data_set_that_is_not_open_is_wrong_use(self, serve, status):
        _, _, pipeline = serve(status=status, editions=[Edition("1.0", CSV, {"held": status == "Draft"})])
        report = load(pipeline)
        assert (report.outcomes[0].outcome, report.exit_code) == (Outcome.UNKNOWN, 2)
        assert "HTTP 403 Forbidden" in report.outcomes[0].message

    def test_a_deprecated_data_set_loads_like_any(self, serve):
        _, _, pipeline = serve(status="Deprecated")
        assert load(pipeline).exit_code == 0

    def test_withdrawn_and_deprecated_versions_load_like_any(self, serve):
        editions = [
            Edition("1.0", CSV, {"status": "Withdrawn"}),
            Edition("1.1", CSV, {"status": "Deprecated"}),
            Edition("2.0", CSV),
        ]
        _, _, pipeline = serve(editions=editions)
        assert load(pipeline).exit_code == 0
        assert [loaded.status for loaded in pipeline.in_force()["d"].values()] == [
            "Withdrawn",
            "Deprecated",
            "Published",
        ]

    def test_a_patch_after_one_that_is_not_open_to_us_loads_all_the_same(self, serve):
        """With ``includePatchHistory`` the server answers 403 where an earlier patch may not be seen."""
        editions = [Edition("1.0", CSV), Edition("1.0.1", CSV, {"status": "Cancelled"}), Edition("1.0.2", CSV)]
        sandbox, _, pipeline = serve(editions=editions)
        assert load(pipeline).exit_code == 0
        assert list(map(str, pipeline.in_force()["d"])) == ["1.0", "1.0.2"]
        asked = [request.query for request in sandbox.requests if request.path.endswith("/1.0.2/changes")]
        assert asked == ["includePatchHistory=true", ""]

    def test_only_an_unknown_version_is_wrong_use(self, serve):
        from ks4_pipeline.run import run

        _, data_set, pipeline = serve()
        report = run(pipeline, [data_set], only=[VersionNumber(7, 0)])
        assert (report.outcomes[0].outcome, report.exit_code, report.published) == (Outcome.UNKNOWN, 2, False)


HARMS = {
    "cut": lambda folder: (folder / "data.csv.gz").write_bytes((folder / "data.csv.gz").read_bytes()[:-9]),
    "checksum": lambda folder: (folder / "data.csv.gz").write_bytes(flipped((folder / "data.csv.gz").read_bytes(), -6)),
    "changed and packed again": lambda folder: (folder / "data.csv.gz").write_bytes(packed(CSV.replace("1.5", "9.5"))),
    "CSV gone": lambda folder: (folder / "data.csv.gz").unlink(),
    "meta gone": lambda folder: (folder / "meta.json").unlink(),
    "changes emptied": lambda folder: (folder / "changes.json").write_text("{}"),
    "record changed": lambda folder: (folder / "version.json").write_text("{}"),
    "manifest emptied": lambda folder: (folder / "manifest.json").write_text(""),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_landing_folder_that_was_harmed_fails_its_version_alone_and_says_what_to_do(serve, tmp_path, harm):
    _, _, pipeline = serve(editions=[Edition("1.0", CSV), Edition("1.1", CSV)])
    land(pipeline, pipeline.settings.data_sets[0])
    folder = tmp_path / "data" / "landing" / "d" / "1.0"
    harm(folder)
    report = load(pipeline)
    assert [(str(o.version), o.outcome) for o in report.outcomes] == [("1.0", Outcome.FAILED), ("1.1", Outcome.LOADED)]
    assert "Move its folder away, and the version is fetched anew." in report.outcomes[0].message
    shutil.rmtree(folder)
    assert load(pipeline).exit_code == 0


def test_the_client_names_itself_and_accepts_anything(serve):
    seen = []

    def listening(app):
        async def listen(scope, receive, send):
            seen.append(dict(scope["headers"]))
            await app(scope, receive, send)

        return listen

    _, data_set, pipeline = serve(listening)
    land(pipeline, data_set)
    assert len(seen) == 4
    assert {sent[b"accept"] for sent in seen} == {b"*/*"}
    assert {sent[b"accept-encoding"] for sent in seen} == {b"gzip"}
    assert all(sent[b"user-agent"].startswith(f"ks4_pipeline/{__version__}".encode()) for sent in seen)


def test_only_parameters_that_the_contract_knows_are_sent(serve):
    sandbox, data_set, pipeline = serve(editions=[Edition("1.0", CSV), Edition("1.0.1", CSV)])
    assert load(pipeline).exit_code == 0
    base = f"/statistics/v1/data-sets/{data_set.id}"
    assert {(request.path.removeprefix(base), request.query) for request in sandbox.requests} == {
        ("", ""),
        ("/versions", "page=1&pageSize=20"),
        *(
            asked
            for version, history in (("1.0", ""), ("1.0.1", "includePatchHistory=true"))
            for asked in (
                (f"/versions/{version}", ""),
                (f"/versions/{version}/changes", history),
                ("/meta", f"dataSetVersion={version}"),
                ("/csv", f"dataSetVersion={version}"),
            )
        ),
    }


def test_a_list_of_many_patches_in_any_order_is_read_whole(serve):
    numbers = [f"1.{minor}{patch}" for minor in range(6) for patch in ("", ".1", ".2", ".3", ".4", ".5", ".6", ".7")]
    sandbox, data_set, _ = serve(editions=[Edition(number, CSV) for number in numbers])
    with EesClient(sandbox.url) as client:
        assert [str(record.version) for record in client.versions(data_set.id)] == numbers
