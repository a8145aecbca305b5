"""``ks4 doctor``: each thing that may keep the pipeline from working is made once, found, and given its remedy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from ks4_pipeline import diagnosis, unfinished
from ks4_pipeline.cli import app
from ks4_pipeline.diagnosis import Diagnosis, Machine, State
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet, Settings
from ks4_pipeline_tests.publisher import Edition, answering, describe, id_of, load, pipeline_for, scored

NOBODY = "http://127.0.0.1:9/nobody"
MACHINE = Machine()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One version loaded, one refused."""
    root, folder = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("life")
    data_set = describe(root, "d", Edition("1.0", scored("1", "c")), Edition("1.1", scored("*")))
    with Sandbox(root) as sandbox:
        assert load(pipeline_for(folder / "data", sandbox.url, data_set)).published
    return folder / "data"


@pytest.fixture
def settings(lived: Path, tmp_path: Path) -> Settings:
    """A copy of that data directory without the refused version, for one test to harm."""
    shutil.copytree(lived, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "landing" / "d" / "refused")
    return settings_of(tmp_path / "data")


def settings_of(data_dir: Path, url: str = NOBODY) -> Settings:
    return Settings(api_url=url, data_dir=data_dir, data_sets=(DataSet(name="d", id=id_of("d")),))


def named(found: list[Diagnosis], check: str) -> Diagnosis:
    (item,) = [item for item in found if item.check == check]
    return item


def states(found: list[Diagnosis]) -> set[State]:
    return {item.state for item in found}


class TestTheMachine:
    """Software, disk and clock."""

    def test_what_is_installed_here_is_fine(self) -> None:
        (found,) = diagnosis.software(MACHINE)
        assert found.state is State.FINE
        assert f"duckdb {duckdb.__version__}" in found.found

    @pytest.mark.parametrize(
        ("machine", "expected"),
        [
            (replace(MACHINE, python="3.10.4"), "Python 3.10.4, needed >=3.11"),
            (replace(MACHINE, installed=lambda name: "1.4.3" if name == "duckdb" else MACHINE.installed(name)),
             "duckdb 1.4.3, needed <3,>=2.0"),
            (replace(MACHINE, installed=lambda name: None if name == "polars" else MACHINE.installed(name)),
             "polars is not installed"),
        ],
    )  # fmt: skip
    def test_software_out_of_range_is_named(self, machine: Machine, expected: str) -> None:
        (found,) = diagnosis.software(machine)
        assert (found.state, found.found) == (State.PERSON, expected)
        assert "constraints.txt" in found.remedy

    @pytest.mark.parametrize(
        ("kind", "state"), [("nfs4", State.PERSON), ("cifs", State.PERSON), ("9p", State.PERSON), ("xfs", State.FINE)]
    )
    def test_a_network_file_system_is_warned_of(self, settings: Settings, kind: str, state: State) -> None:
        point = str(settings.data_dir.parent).replace("a", "\\141")
        mounts = f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / {point} rw shared:1 - {kind} server:/x rw\n"
        found = named(list(diagnosis.data_directory(settings, replace(MACHINE, mounts=lambda: mounts))), "file system")
        assert found.state is state
        assert found.found.startswith(kind)

    def test_too_little_room_for_the_next_publish(self, settings: Settings) -> None:
        def with_free(count: int) -> Diagnosis:
            machine = replace(MACHINE, free_bytes=lambda _: count)
            return named(list(diagnosis.data_directory(settings, machine)), "disk room")

        assert with_free(10**12).state is State.FINE
        found = with_free(2 * settings.warehouse.stat().st_size)
        assert (found.state, found.remedy) == (State.PERSON, "Make room on that disk.")

    def test_a_data_directory_that_cannot_be_written_is_no_folder_or_is_not_there(self, settings: Settings) -> None:
        def of(data_dir: Path, machine: Machine = MACHINE) -> tuple[State, str]:
            found = named(list(diagnosis.data_directory(settings_of(data_dir), machine)), "data directory")
            return found.state, found.found

        folder = settings.data_dir
        assert of(folder) == (State.FINE, f"{folder} can be written")
        read_only = replace(MACHINE, may_write=lambda _: False)
        assert of(folder, read_only) == (State.PERSON, f"{folder} cannot be written")
        assert of(settings.warehouse) == (State.PERSON, f"{settings.warehouse} is not a folder")
        assert of(folder / "new")[0] is State.REMARK
        assert not (folder / "new").exists()

    def test_a_clock_that_went_back(self, settings: Settings) -> None:
        (fine,) = diagnosis.clock(settings, MACHINE)
        assert fine.state is State.FINE
        early = replace(MACHINE, now=lambda: datetime.now(UTC) - timedelta(days=400))
        (found,) = diagnosis.clock(settings, early)
        assert (found.state, found.remedy) == (State.PERSON, "Set this machine's clock.")

    @pytest.mark.parametrize(
        ("home", "content", "state", "words"),
        [
            (None, None, State.REMARK, "DAGSTER_HOME is not set"),
            ("relative", None, State.PERSON, "absolute paths only"),
            ("file", None, State.PERSON, "that is not a folder"),
            ("home", "telemetry:\n  enabled: false\n", State.FINE, "dagster.yaml can be read"),
            ("home", "telemetry: [", State.PERSON, "cannot be read"),
            ("home", "just words", State.PERSON, "it is not a table of keys"),
        ],
    )
    def test_dagsters_home(
        self, settings: Settings, home: str | None, content: str | None, state: State, words: str
    ) -> None:
        tmp_path = settings.data_dir.parent
        (tmp_path / "home").mkdir()
        (tmp_path / "file").touch()
        if content:
            (tmp_path / "home" / "dagster.yaml").write_text(content)
        environ = {} if home is None else {"DAGSTER_HOME": home if home == "relative" else str(tmp_path / home)}
        (found,) = diagnosis.dagster(settings, replace(MACHINE, environ=environ))
        assert found.state is state
        assert words in found.found


class TestWhatIsHere:
    """The published file, what lies beside it, and landing."""

    def warehouse(self, settings: Settings) -> list[Diagnosis]:
        return list(diagnosis.warehouse(settings, MACHINE))

    def test_a_whole_one_is_fine(self, settings: Settings) -> None:
        found = [*self.warehouse(settings), *diagnosis.leftovers(settings), *diagnosis.landing(settings)]
        assert states(found) == {State.FINE}
        assert "format v1.4.0+" in named(found, "warehouse").found
        assert "mode 0444" in named(found, "permissions").found

    def test_before_the_first_run_there_is_nothing_to_do(self, tmp_path: Path) -> None:
        settings = settings_of(tmp_path / "new")
        found = [*self.warehouse(settings), *diagnosis.leftovers(settings), *diagnosis.landing(settings)]
        assert states(found) == {State.FINE, State.REMARK}
        assert not (tmp_path / "new").exists()

    @pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
    def test_a_published_file_that_can_be_written(self, settings: Settings) -> None:
        settings.warehouse.chmod(0o644)
        found = named(self.warehouse(settings), "permissions")
        assert (found.state, found.remedy) == (State.PERSON, f"chmod 444 {settings.warehouse}")

    def test_a_stray_wal_and_one_set_aside(self, settings: Settings) -> None:
        for name, state in (("wal", State.PERSON), ("wal.stray-20260101T000000", State.REMARK)):
            stray = settings.warehouse.with_name(f"{settings.warehouse.name}.{name}")
            stray.touch()
            assert named(self.warehouse(settings), "stray .wal").state is state
            stray.unlink()

    def test_a_format_that_older_duckdbs_cannot_read(self, settings: Settings) -> None:
        settings.warehouse.unlink()
        with duckdb.connect() as connection:
            connection.execute(
                f"ATTACH '{settings.warehouse}' AS w (STORAGE_VERSION 'v1.5.0'); CREATE TABLE w.t(a INT)"
            )
        settings.warehouse.chmod(0o444)
        found = named(self.warehouse(settings), "warehouse")
        assert found.state is State.PERSON
        assert "DuckDB 1.4 cannot read it" in found.found
        assert found.remedy == "ks4 rebuild"

    def test_a_file_that_does_not_open(self, settings: Settings) -> None:
        settings.warehouse.unlink()
        settings.warehouse.write_bytes(b"not a database")
        found = named(self.warehouse(settings), "warehouse")
        assert (found.state, found.remedy) == (State.PERSON, "ks4 rebuild")

    def test_who_publishes_is_told_as_far_as_it_is_known(self, settings: Settings) -> None:
        lock = FileLock(settings.warehouse.with_name("warehouse.duckdb.lock"))
        build = settings.warehouse.with_name("warehouse.build-1.duckdb")
        build.touch()
        with lock:
            found = named(self.warehouse(settings), "publisher lock")
            assert (found.state, found.found) == (State.REMARK, "somebody is publishing")
            settings.warehouse.with_name("warehouse.duckdb.publisher.json").write_text('{"pid": 77}')
            assert named(self.warehouse(settings), "publisher lock").found == 'somebody is publishing: {"pid": 77}'
            assert named(list(diagnosis.leftovers(settings)), "unfinished work").state is State.FINE
        assert named(self.warehouse(settings), "publisher lock").found == "free"
        found = named(list(diagnosis.leftovers(settings)), "unfinished work")
        assert (found.state, build.name in found.found) == (State.REMARK, True)

    def test_rooms_of_the_dead_are_told_from_those_of_the_living(self, settings: Settings) -> None:
        folder = settings.landing_dir / "d"
        with unfinished.room(folder):
            assert named(list(diagnosis.leftovers(settings)), "unfinished work").state is State.FINE
        dead = folder / ".unfinished-0123456789abcdef"
        dead.mkdir()
        dead.with_name(f"{dead.name}.lock").touch()
        found = named(list(diagnosis.leftovers(settings)), "unfinished work")
        assert (found.state, dead.name in found.found) == (State.REMARK, True)
        assert dead.exists(), "it only looks"

    @pytest.mark.parametrize("folder", [".", "landing/d", "observations/d", "reports/d"])
    def test_the_next_run_removes_rooms_of_the_dead_as_it_is_said(self, settings: Settings, folder: str) -> None:
        dead = settings.data_dir / folder / ".unfinished-0123456789abcdef"
        dead.mkdir(parents=True)
        dead.with_name(f"{dead.name}.lock").touch()
        told = named(list(diagnosis.leftovers(settings)), "unfinished work")
        assert (told.state, told.remedy) == (State.REMARK, "The next run removes it.")
        Pipeline(settings).tidy()
        assert named(list(diagnosis.leftovers(settings)), "unfinished work").state is State.FINE
        assert not dead.exists()

    def test_a_folder_without_manifest_is_a_person_s_matter_when_it_is_loaded(self, settings: Settings) -> None:
        (settings.landing_dir / "d" / "7.0").mkdir()
        found = named(list(diagnosis.landing(settings)), "landing")
        assert (found.state, "7.0 has no manifest" in found.found) == (State.REMARK, True)
        (settings.landing_dir / "d" / "7.0").rmdir()
        (settings.landing_dir / "d" / "1.0" / "manifest.json").unlink()
        found = named(list(diagnosis.landing(settings)), "landing")
        assert found.state is State.PERSON
        assert found.remedy.endswith("ks4 run --data-set d --version 1.0")

    def test_a_refused_version_waits(self, lived: Path) -> None:
        found = named(list(diagnosis.landing(settings_of(lived))), "refused version")
        assert found.state is State.PERSON
        assert found.found.startswith("d 1.1 is refused, 1 times by now")

    def test_a_republished_version_waits(self, settings: Settings) -> None:
        aside = settings.landing_dir / "d" / "republished" / "1.0-0123456789ab"
        shutil.copytree(settings.landing_dir / "d" / "1.0", aside)
        found = named(list(diagnosis.landing(settings)), "republished version")
        assert (found.state, found.remedy) == (State.PERSON, "Look at it, then: ks4 accept 1.0 --data-set d")

    def test_a_list_that_cannot_be_read(self, settings: Settings) -> None:
        (settings.landing_dir / "d" / "listing.json").write_text("{")
        assert named(list(diagnosis.landing(settings)), "landing").state is State.PERSON

    def test_another_publisher_or_data_set_than_what_is_here(self, settings: Settings) -> None:
        path = settings.data_dir / "ks4.toml"
        assert states(list(diagnosis.configuration(path, settings))) == {State.FINE}
        elsewhere = settings_of(settings.data_dir, "https://api.example.org/statistics")
        assert named(list(diagnosis.configuration(path, elsewhere)), "publisher").state is State.PERSON
        other = settings.model_copy(update={"data_sets": (DataSet(name="d", id=id_of("other")),)})
        found = named(list(diagnosis.configuration(path, other)), "publisher")
        assert found.remedy == "Follow the new one under another name."


class TestThePublisher:
    """Whether it can be reached, over real sockets."""

    def ask(self, settings: Settings, **environ: str) -> list[Diagnosis]:
        return list(diagnosis.publisher(settings, replace(MACHINE, environ=environ)))

    def test_it_answers_and_is_asked_once_per_data_set(self, tmp_path: Path) -> None:
        data_sets = tuple(describe(tmp_path / "root", name, Edition("1.0", scored("1"))) for name in ("d", "e"))
        with Sandbox(tmp_path / "root") as sandbox:
            found = self.ask(Settings(api_url=sandbox.url, data_dir=tmp_path, data_sets=data_sets))
            assert len(sandbox.requests) == 2
        assert [(item.check, item.state) for item in found] == [("API, d", State.FINE), ("API, e", State.FINE)]
        assert found[0].found.startswith("answered in ")

    @pytest.mark.parametrize(
        ("status", "body", "state", "words"),
        [
            (403, b"<html>Request blocked</html>", State.PERSON, "A firewall between here and the API"),
            (403, b'{"title": "Forbidden", "status": 403}', State.PERSON, "does not open this data set"),
            (404, b'{"title": "Not Found", "status": 404}', State.PERSON, "has no such data set"),
            (302, b"", State.PERSON, "The server refuses the request"),
            (407, b"", State.PERSON, "The proxy wants a login (through the proxy proxy.example:3128 of HTTPS_PROXY)"),
            (503, b"", State.UNREACHABLE, "cannot answer now"),
            (200, b'{"hello": 1}', State.PERSON, "is not the publisher's API"),
        ],
    )
    def test_it_refuses(self, tmp_path: Path, status: int, body: bytes, state: State, words: str) -> None:
        data_set = describe(tmp_path / "root", "d", Edition("1.0", scored("1")))
        with Sandbox(tmp_path / "root", middleware=[answering(data_set.id, status, body)]) as sandbox:
            settings = settings_of(tmp_path, sandbox.url)
            (found,) = self.ask(settings, HTTPS_PROXY="http://user:secret@proxy.example:3128")
        assert found.state is state
        assert words in found.remedy
        assert "secret" not in found.remedy

    def test_nobody_is_there_and_the_others_are_not_asked(self, tmp_path: Path) -> None:
        data_sets = tuple(DataSet(name=name, id=id_of(name)) for name in ("d", "e"))
        (found,) = self.ask(Settings(api_url=NOBODY, data_dir=tmp_path, data_sets=data_sets))
        assert (found.check, found.state) == ("API, d", State.UNREACHABLE)
        assert found.remedy.startswith("Nobody takes the connection.")

    def test_the_name_cannot_be_looked_up(self, tmp_path: Path) -> None:
        (found,) = self.ask(settings_of(tmp_path, "http://no-such-host.invalid"))
        assert found.state is State.UNREACHABLE
        assert "no-such-host.invalid cannot be looked up (DNS)" in found.remedy

    def test_what_answers_speaks_no_tls(self, tmp_path: Path) -> None:
        with Sandbox(describe_one(tmp_path)) as sandbox:
            (found,) = self.ask(settings_of(tmp_path, sandbox.url.replace("http://", "https://")))
        assert found.state is State.UNREACHABLE
        assert "SSL_CERT_FILE" in found.remedy

    def test_the_clock_is_held_against_the_servers(self, tmp_path: Path) -> None:
        with Sandbox(describe_one(tmp_path)) as sandbox:
            settings = settings_of(tmp_path, sandbox.url)
            assert states(list(diagnosis.publisher(settings, MACHINE))) == {State.FINE}
            late = replace(MACHINE, now=lambda: datetime.now(UTC) - timedelta(minutes=5))
            found = named(list(diagnosis.publisher(settings, late)), "clock")
        assert found.state is State.PERSON
        assert "s behind the publisher's server" in found.found


def describe_one(tmp_path: Path) -> Path:
    describe(tmp_path / "root", "d", Edition("1.0", scored("1")))
    return tmp_path / "root"


class TestTheCommand:
    """``ks4 doctor`` as a user sees it."""

    @pytest.fixture
    def ks4(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
        for name in [name for name in os.environ if name.startswith("KS4_") or name in {"FORCE_COLOR", "DAGSTER_HOME"}]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("KS4_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("KS4_API_URL", NOBODY)
        (settings.data_dir / "ks4.toml").write_text(f'[data_sets.d]\nid = "{id_of("d")}"\n')

        def run(*arguments: str) -> tuple[int, str]:
            result = CliRunner().invoke(app, ["doctor", *arguments])
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            return result.exit_code, result.stdout

        return run

    def test_fine_out_of_reach_and_a_person_needed(
        self, ks4: Callable[..., tuple[int, str]], settings: Settings
    ) -> None:
        before = {path: path.stat().st_mtime_ns for path in settings.data_dir.rglob("*")}
        code, out = ks4("--offline")
        assert (code, out.splitlines()[-1]) == (0, "Nothing has to be done.")
        code, out = ks4()
        assert (code, out.splitlines()[-1]) == (3, "The publisher is out of reach; all else is well.")
        settings.warehouse.chmod(0o644)
        code, out = ks4()
        assert code == 1, "what needs a person counts more than what is out of reach"
        assert f"→ chmod 444 {settings.warehouse}" in out
        assert before == {path: path.stat().st_mtime_ns for path in settings.data_dir.rglob("*")}

    def test_json(self, ks4: Callable[..., tuple[int, str]]) -> None:
        code, out = ks4("--offline", "--json")
        document = json.loads(out)
        assert code == document["exit_code"] == 0
        assert {check["check"] for check in document["checks"]} >= {
            "software", "configuration", "data directory", "file system", "disk room", "publisher lock", "permissions",
            "warehouse", "unfinished work", "landing", "Dagster", "clock",
        }  # fmt: skip

    def test_a_configuration_that_cannot_be_used(self, ks4: Callable[..., tuple[int, str]], settings: Settings) -> None:
        (settings.data_dir / "ks4.toml").write_text("nonsense = 1\n")
        code, out = ks4()
        assert code == 1
        assert "nonsense: unknown key" in out
        assert "was not looked at" in out
