"""Names from hostile hands, end to end: whatever a title, a note, a column or a label says, it stays a text.

Each text is every name of a data set of its own: title, notes, release, column names, labels, units, options, places.
All are loaded by one run; then every way to look at them is taken: warehouse, ``ks4`` commands, Dagster's metadata.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
from pathlib import Path

import dagster as dg
import httpx
import pytest
from typer.testing import CliRunner, Result

from ks4_pipeline.cli import app
from ks4_pipeline.cli.cells import guarded
from ks4_pipeline.ees.client import EesClient
from ks4_pipeline.ees.models import VersionRecord
from ks4_pipeline.errors import ConfigurationError, Ks4Error, printable
from ks4_pipeline.orchestration import metadata
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import DataSet, load_settings
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.reading import change_of
from ks4_pipeline_tests.publisher import NO_PAUSES, Edition, answering, describe, id_of, load, pipeline_for, quoted

TEXTS = {
    "path": "../../x/../../../../../../tmp/ks4_escaped",
    "sql": '"; drop table x; --',
    "quote": "'; attach 'x.duckdb'; -- a','b']) }) AS x FROM y",
    "version": 'v1_0_0"--',
    "variable": "${HOME}$(id)`id`%PATH% %2e%2e%2f%00%s%n {{7*7}}{0}{x!r}",
    "long": "x" * 10_000,
    "device": "CON",
    "dots": "trailing. . ",
    "lines": "one\ntwo\r\nthree\u2028four\x85",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J\x08 \u202eabc\u2066",
    "html": "<script>alert(1)</script>[x](javascript:alert(1)) ![y](http://z/) `a` | # *b*",
    "formula": "=HYPERLINK(1)",
}
NOT_SHOWN = "zero\0width"  # no CSV may hold it; titles and notes may
FORMULA = re.compile(r"^[=+\-@\t\r]")
OLD, NEW = VersionNumber(1, 0), VersionNumber(1, 0, 1)
ROW = quoted([("grp", "pupils", "score"), ("a", "1", "2")])
PLACE = ("time_period", "time_identifier", "geographic_level", "region_code", "region_name")


def filter_name(text: str) -> str:
    return f"{text}f" if not text.startswith("=") else text


def table(text: str, figure: str, option: str) -> str:
    header = (*PLACE, filter_name(text), f"{text}i", f"{text}t")
    rows = [("202324", "Academic year", "Regional", f"{text}c", f"{text}n", each, value, text) for each, value in
            ((option, figure), ("other", "c"))]  # fmt: skip
    return quoted([header, *rows])


def described(root: Path, name: str, text: str) -> DataSet:
    wordy = {"notes": text, "release": {"title": text, "slug": text}}
    return describe(
        root,
        name,
        Edition("1.0", table(text, "1", "before"), wordy),
        Edition("1.0.1", table(text, "2", text), wordy | {
            "renamed_options": [{"filter": filter_name(text), "from": "before", "to": text}]}),
        title=text,
        summary=text,
        filters=[{"column": filter_name(text), "label": text, "hint": text}],
        indicators=[
            {"column": f"{text}i", "label": text, "unit": text},
            {"column": f"{text}t", "label": text, "unit": "string"},
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pipeline]:
    """All of them loaded, and the folder around: ``published`` and ``data``, and nothing else."""
    around = tmp_path_factory.mktemp("around")
    followed = [described(around / "published", name, text) for name, text in TEXTS.items()]
    plain = quoted([("grp", "pupils"), ("a", "1")])
    nul = {"notes": NOT_SHOWN, "release": {"title": NOT_SHOWN, "slug": NOT_SHOWN}}
    more = {"filters": [{"column": "grp", "label": NOT_SHOWN, "hint": NOT_SHOWN}], "summary": NOT_SHOWN}
    indicators = [{"column": "pupils", "label": NOT_SHOWN, "unit": NOT_SHOWN}]
    followed.append(
        describe(
            around / "published", "nul", Edition("1.0", plain, nul), title=NOT_SHOWN, indicators=indicators, **more
        )
    )
    with Sandbox(around / "published") as sandbox:
        pipeline = pipeline_for(around / "data", sandbox.url, *followed)
        report = load(pipeline)
    assert [(o.data_set, o.outcome, o.message) for o in report.outcomes if o.outcome != "loaded"] == []
    (around / "data" / "ks4.toml").write_text(
        "".join(f'[data_sets.{one.name}]\nid = "{one.id}"\n' for one in followed), encoding="utf-8"
    )
    return around, pipeline


@pytest.fixture
def environment(world: tuple[Path, Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KS4_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KS4_DATA_DIR", str(world[0] / "data"))
    monkeypatch.chdir(tmp_path)


def ks4(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_nothing_is_written_but_what_every_data_set_has(world: tuple[Path, Pipeline]) -> None:
    around, _ = world
    assert {path.name for path in around.iterdir()} == {"published", "data"}
    data = around / "data"
    assert {path.name for path in data.iterdir()} >= {"landing", "observations", "warehouse.duckdb"}
    for folder in (data / "landing", data / "observations"):
        assert {path.name for path in folder.iterdir()} == {*TEXTS, "nul"}
    files = {str(path.relative_to(data / "landing" / "path")) for path in (data / "landing" / "path").rglob("*")}
    documents = ("data.csv.gz", "meta.json", "version.json", "changes.json", "manifest.json")
    assert files == {"listing.json", "1.0", "1.0.1", *(f"{v}/{name}" for v in ("1.0", "1.0.1") for name in documents)}
    assert not Path("/tmp/ks4_escaped").exists()


def test_no_schema_and_no_table_has_a_name_of_theirs(world: tuple[Path, Pipeline]) -> None:
    with world[1].warehouse.read() as connection:
        found = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    schemas = {schema: {name for owner, name in found if owner == schema} for schema, _ in found}
    catalogue = schemas.pop("catalogue")
    assert "versions" in catalogue
    assert schemas.pop("nul") == {"v1_0_0", "revisions"}
    assert schemas == {name: {"v1_0_0", "v1_0_1", "revisions"} for name in TEXTS}


@pytest.mark.parametrize("name", TEXTS)
def test_every_name_is_kept_word_for_word(world: tuple[Path, Pipeline], name: str) -> None:
    text = TEXTS[name]
    with world[1].warehouse.read() as connection:
        (described,) = connection.execute(
            "SELECT title, summary FROM catalogue.data_sets WHERE data_set = ?", [name]
        ).fetchall()
        notes = connection.execute(
            "SELECT notes, release, release_slug FROM catalogue.versions WHERE data_set = ?", [name]
        ).fetchall()
        result = connection.execute(f"SELECT * FROM {name}.latest ORDER BY ALL")
        columns, rows = [column for column, *_ in result.description], set(result.fetchall())
        (comment,) = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = 'v1_0_1'", [name]
        ).fetchone() or ("",)
        cells = connection.execute(f"SELECT label, unit FROM {name}.latest_long WHERE value IS NOT NULL").fetchall()
        history = connection.execute(f"SELECT count(*) FROM {name}.history").fetchone()
        changes = connection.execute(f"SELECT class, old_value, new_value FROM {name}.revisions").fetchall()
    assert described == (text, text)
    assert notes == [(text, text, text)] * 2
    assert columns == [*PLACE, filter_name(text), f"{text}i", f"{text}i_flag", f"{text}t"]
    place = ("202324", "Academic year", "Regional", f"{text}c", f"{text}n")
    assert rows == {(*place, text, 2.0, None, text), (*place, "other", None, "c", text)}
    assert f"Publisher's notes: {text}" in comment
    assert cells == [(text, text)]
    assert history == (4,)
    assert changes == [("revised", 1.0, 2.0)]


def test_a_nul_in_a_title_or_note_is_kept_as_data(world: tuple[Path, Pipeline]) -> None:
    with world[1].warehouse.read() as connection:
        found = connection.execute(
            "SELECT title, notes, release FROM catalogue.data_sets JOIN catalogue.versions USING (data_set) "
            "WHERE data_set = 'nul'"
        ).fetchall()
        view = connection.execute("SELECT label FROM nul.latest_long").fetchall()
    assert view == [(NOT_SHOWN.replace("\0", ""),)]  # no SQL text can hold it
    assert found == [(NOT_SHOWN,) * 3]


@pytest.mark.usefixtures("environment")
class TestWhatIsPrinted:
    def test_status_shows_no_control_character(self) -> None:
        result = ks4("status")
        assert result.exit_code == 0
        assert harmless(result.output)
        assert printable("\x1b[31mred") in result.output

    @pytest.mark.parametrize("name", [*TEXTS, "nul"])
    def test_nor_does_any_command_about_one_data_set(self, name: str) -> None:
        commands = [
            ["versions", "--data-set", name],
            ["sql", f"from {name}.latest"],
            ["sql", f"describe {name}.latest"],
        ]
        if name != "nul":
            commands.append(["diff", "1.0", "1.0.1", "--data-set", name])
        for command in commands:
            result = ks4(*command)
            assert result.exit_code == 0, result.output
            assert harmless(result.output), command

    @pytest.mark.parametrize("name", TEXTS)
    def test_json_gives_the_text_and_shows_no_control_character(self, name: str) -> None:
        text = TEXTS[name]
        result = ks4("sql", f"select notes from catalogue.versions where data_set = '{name}'", "--json")
        assert json.loads(result.stdout) == [{"notes": text}] * 2
        status = json.loads(ks4("status", "--json").stdout)
        assert {held["name"]: held["title"] for held in status["data_sets"]}[name] == text
        difference = ks4("diff", "1.0", "1.0.1", "--data-set", name, "--json")
        assert json.loads(difference.stdout)["rows"][0]["region_name"] == f"{text}n"
        assert harmless(result.stdout + difference.stdout + ks4("versions", "--json").stdout)

    @pytest.mark.parametrize("name", TEXTS)
    def test_a_structural_change_is_one_line(self, name: str) -> None:
        summary = json.loads(ks4("diff", "1.0", "1.0.1", "--data-set", name, "--json").stdout)["summary"]
        assert len(summary["structure"]) == 1
        assert "\n" not in summary["structure"][0]
        told = ks4("sql", f"select structure from catalogue.comparisons where data_set = '{name}'", "--json")
        assert json.loads(told.stdout) == [{"structure": summary["structure"][0]}]

    @pytest.mark.parametrize("name", TEXTS)
    @pytest.mark.parametrize("command", [["export", "--csv", "-", "--data-set"], ["sql", "--csv"]])
    def test_no_cell_of_a_csv_is_a_formula(self, name: str, command: list[str]) -> None:
        text = TEXTS[name]
        if command[0] == "sql":
            written = ks4("sql", f"from {name}.latest", "--csv").stdout_bytes.decode()
        else:
            assert ks4("export", "--csv", "out.csv", "--data-set", name).exit_code == 0
            written = Path("out.csv").read_bytes().decode()
        header, *rows = csv.reader(io.StringIO(written, newline=""))
        assert not [cell for row in (header, *rows) for cell in row if FORMULA.match(cell)]
        assert guarded(f"{text}n") in {cell for row in rows for cell in row}

    def test_what_a_query_makes_is_a_text_too(self) -> None:
        result = ks4("sql", "select chr(27) || '[2J' as \"a\x1b[31m\"")
        assert harmless(result.output)


@pytest.mark.parametrize("name", TEXTS)
def test_dagster_is_given_disarmed_markdown(world: tuple[Path, Pipeline], name: str) -> None:
    _, pipeline = world
    data_set = pipeline.settings.data_set(name)
    landed = pipeline.landed(data_set, NEW)
    made = pipeline.observations.get(data_set, landed)
    assert made is not None
    change = change_of(pipeline.warehouse, name, NEW)
    told = {
        **metadata.of_landing(landed),
        **metadata.of_observations(made),
        **metadata.of_table(made, 2),
        **metadata.of_change(data_set, NEW, change),
    }
    for key, value in dg.MaterializeResult(metadata=told).metadata.items():
        if isinstance(value, dg.MarkdownMetadataValue):
            assert not re.search(r"(?<!\\)<|(?<!\\)\]\(|(?<!\\)!\[", value.md_str or ""), key
        elif isinstance(value, dg.UrlMetadataValue):
            assert re.fullmatch(r"https?://[\x21-\x7e]+", value.url or ""), key
    quote = metadata.of_record(landed.record)["publisher's notes"].md_str
    assert all(line.startswith("> ") for line in quote.split("\n"))


# --- what may not even become a name ---------------------------------------------------------------------------------

NOT_NAMES = [
    *TEXTS.values(),
    *(NOT_SHOWN, "", " ", ".", "..", "~", "Con", "a/b", "a\\b", "catalogue", "main", "é", "a" * 41),
]


@pytest.mark.parametrize("text", NOT_NAMES)
def test_no_such_text_is_a_data_sets_short_name(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path / "data"))
    result = ks4("add", id_of("x"), f"--name={text}")
    assert result.exit_code == 2
    assert harmless(result.output)
    assert list(tmp_path.iterdir()) == []
    config = tmp_path / "ks4.toml"
    for key in (json.dumps(text), text):
        config.write_text(f'[data_sets.{key}]\nid = "{id_of("x")}"\n', encoding="utf-8", errors="surrogatepass")
        with pytest.raises(ConfigurationError) as caught:
            load_settings({"KS4_CONFIG": str(config)})
        assert harmless(str(caught.value))


@pytest.mark.parametrize("text", TEXTS.values())
def test_nor_an_id_a_version_a_channel_or_an_address(
    text: str, world: tuple[Path, Pipeline], environment: None, tmp_path: Path
) -> None:
    for command in (
        ["add", text.lstrip("-="), "--name", "x"],
        ["run", "--version", text, "--data-set", "path"],
        ["run", "--data-set", text],
        ["export", "--csv", "out.csv", "--data-set", "path", "--version", text],
        ["export", "--csv", "out.csv", "--data-set", text],
        ["diff", text.lstrip("-="), "1.0", "--data-set", "path"],
        ["versions", "--data-set", text],
    ):
        result = ks4(*command)
        assert result.exit_code == 2, (command, result.output)
        assert harmless(result.output)
    assert list(tmp_path.iterdir()) == []
    for variable in ("KS4_API_URL", "KS4_SENSORS", "KS4_ALERT_WEBHOOK"):
        with pytest.raises(ConfigurationError) as caught:
            load_settings({variable: text, "KS4_DATA_DIR": str(tmp_path)})
        assert harmless(str(caught.value))


@pytest.mark.parametrize(
    "key", ["api_url", "sensors", "poll_minutes", "max_attempts", "alert_webhook", "limits", "data_sets"]
)
@pytest.mark.parametrize("text", [*TEXTS.values(), NOT_SHOWN])
def test_a_hostile_value_of_the_file_is_refused_with_its_key(key: str, text: str, tmp_path: Path) -> None:
    config = tmp_path / "ks4.toml"
    config.write_text(f"{key} = {json.dumps(text)}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=key) as caught:
        load_settings({"KS4_CONFIG": str(config)})
    assert harmless(str(caught.value))


@pytest.mark.parametrize("text", TEXTS.values())
def test_a_data_directory_of_any_name_is_just_a_folder(text: str, tmp_path: Path) -> None:
    """Nothing in it is expanded, and a command that only reads makes nothing."""
    where = f"{tmp_path}/{text}"
    if len(text) < 256:
        assert str(load_settings({"KS4_DATA_DIR": where}).data_dir) == str(Path(where))
    else:
        with pytest.raises(ConfigurationError, match="File name too long"):
            load_settings({"KS4_DATA_DIR": where})
    assert list(tmp_path.iterdir()) == []


def test_a_nul_in_the_data_directory_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    config = tmp_path / "ks4.toml"
    config.write_text(f"data_dir = {json.dumps(NOT_SHOWN)}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"data_dir: .*cannot be a folder's name"):
        load_settings({"KS4_CONFIG": str(config)})


# --- what the server may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*TEXTS.values(), NOT_SHOWN, "1.0/../../x", "1.0\n", "\u0661.\u0660"])
def test_a_version_of_such_a_number_ends_the_look_and_names_it_harmlessly(text: str, tmp_path: Path) -> None:
    data_set = describe(tmp_path / "published", "d", Edition("1.0", ROW))
    record = {"version": text, "type": "Major", "status": "Published", "totalResults": 1}
    page = {"paging": {"page": 1, "pageSize": 20, "totalResults": 1, "totalPages": 1}, "results": [record]}
    with Sandbox(
        tmp_path / "published", middleware=[answering("/versions", 200, json.dumps(page).encode())]
    ) as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        report = load(pipeline)
    (outcome,) = report.outcomes
    assert (outcome.outcome, report.published) == ("failed", False)
    assert harmless(outcome.message)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "published" not in path.parts]


@pytest.mark.parametrize(
    "text", [text for text in TEXTS.values() if len(text) < 1000 and text.isascii() and text.isprintable()]
)
def test_a_file_name_never_becomes_a_path(text: str, tmp_path: Path) -> None:
    edition = Edition("1.0", ROW, {"file_name": text})
    data_set = describe(tmp_path / "published", "d", edition)
    with Sandbox(tmp_path / "published") as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
    assert report.exit_code == 1
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.name != "listing.json"]
    assert {path.name for path in tmp_path.iterdir()} == {"published", "data"}


@pytest.mark.parametrize("text", [*TEXTS.values(), id_of("another")])
def test_an_answer_about_another_data_set_is_not_remembered(text: str, tmp_path: Path) -> None:
    """Its id would stand in the list as last seen, which every command reads."""
    data_set = describe(tmp_path / "published", "d", Edition("1.0", ROW))
    body = json.dumps({"id": text, "title": "t", "status": "Published"}).encode()
    with Sandbox(tmp_path / "published", middleware=[answering(data_set.id, 200, body)]) as sandbox:
        report = load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
    (outcome,) = report.outcomes
    assert "the answer is about" in outcome.message
    assert harmless(outcome.message)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").rglob("listing.json"))


def test_a_hostile_file_id_stays_in_the_path_of_the_publishers_page() -> None:
    record = VersionRecord.model_validate(
        {
            "version": "1.0",
            "type": "Major",
            "status": "Published",
            "totalResults": 1,
            "file": {"id": TEXTS["html"] + "\n?#"},
        }
    )
    url = metadata.of_record(record)["publisher's page"].url
    assert re.fullmatch(
        r"https://explore-education-statistics\.service\.gov\.uk/data-catalogue/data-set/[\w.%~-]+", url
    )


@pytest.mark.parametrize("status", [400, 503, 200])
def test_the_servers_own_words_cannot_colour_a_screen_or_a_log(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = TEXTS["terminal"]
    body = json.dumps({"title": words, "errors": [{"message": words, "path": words}], "id": [words], words: 1}).encode()
    data_set = describe(tmp_path / "published", "d", Edition("1.0", ROW))
    for answer in (body, f"<html>{words}".encode(), json.dumps(words).encode()):
        with (
            Sandbox(tmp_path / "published", middleware=[answering(data_set.id, status, answer)]) as sandbox,
            EesClient(sandbox.url, policy=NO_PAUSES) as client,
            pytest.raises(Ks4Error) as caught,
        ):
            client.data_set(data_set.id)
        assert harmless(str(caught.value))
    assert all(harmless(record.getMessage()) for record in caplog.records if record.name.startswith("ks4_pipeline"))


def test_the_sandbox_is_on_no_other_address_of_this_machine(tmp_path: Path) -> None:
    describe(tmp_path, "d", Edition("1.0", ROW))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address would be used
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    with Sandbox(tmp_path) as sandbox:
        assert httpx.URL(sandbox.url).host == "127.0.0.1"
        if address.startswith("127."):
            pytest.skip("this machine has no other address")
        port = httpx.URL(sandbox.url).port
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, port or 0), timeout=2).close()
