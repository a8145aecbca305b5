"""The data dictionary: it leaves nothing out, counts right, and no text of a publisher means anything in it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import frictionless
import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from ks4_pipeline.cli import app
from ks4_pipeline.cli import query as asking
from ks4_pipeline.dictionary.document import Query, document
from ks4_pipeline.dictionary.frictionless import package
from ks4_pipeline.dictionary.html import render as as_html
from ks4_pipeline.dictionary.markdown import render as as_markdown
from ks4_pipeline.dictionary.model import Dictionary, Rows
from ks4_pipeline.dictionary.reading import read
from ks4_pipeline.markers import MARKERS
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import DATA_SET_ID, FOLDER, write_synthetic_ks4
from ks4_pipeline.settings import DataSet
from ks4_pipeline_tests.publisher import KEYS, Edition, describe, load, pipeline_for, quoted, rows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
HOSTILE = (
    "a | b || c \\| d",
    "<script>alert('x')</script>",
    "<img src=x onerror=alert(1)>",
    "`code` ``more``",
    "**bold** _it_ ~~gone~~ $x$",
    "[link](javascript:alert(1)) ![i](http://example.org/i.png)",
    "&lt;b&gt; &amp; &#60;",
    "</code></td></table>{{ 7 * 7 }}{% endif %}",
    "- item",
    "# heading",
    "1. first",
)
COLUMN = "we`ird|<b>name"
TYPES = {
    "VARCHAR": "string",
    "DOUBLE": "number",
    "BIGINT": "integer",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "JSON": "any",
}


def _hostile(root: Path) -> DataSet:
    """A data set whose every text is an attack, with a place that has no code on some rows and a column of its own."""
    table = [
        (*KEYS, "region_code", "region_name", COLUMN, "grp", "pupils", "score"),
        *(
            ("202324", "Academic year", "Regional", "E92000001", "England", "E12000007", text, text, text, "7", "c")
            for text in HOSTILE
        ),
        ("202324", "Academic year", "National", "E92000001", "England", "", "", "plain", "plain", "10", "1.5"),
    ]
    return describe(
        root,
        "hostile",
        Edition("1.0", quoted(table), {"notes": "\n".join(HOSTILE)}),
        title="Test | <script>alert(1)</script>",
        summary="# not a heading\n\n<b>not bold</b>",
        filters=[{"column": "grp", "label": "`G` | <i>roup</i>", "hint": "*over*\nlap"}],
        indicators=[
            {"column": "pupils", "label": "</td><script>1</script>", "decimal_places": 0},
            {"column": "score", "label": "Score | two", "unit": "%", "decimal_places": 1},
        ],
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the demo's four versions and the hostile data set."""
    root, folder = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("data")
    write_synthetic_ks4(root)
    followed = [DataSet(name=FOLDER, id=DATA_SET_ID), _hostile(root)]
    with Sandbox(root) as sandbox:
        assert load(pipeline_for(folder, sandbox.url, *followed)).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def warehouse(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def demo(warehouse: duckdb.DuckDBPyConnection) -> Dictionary:
    return read(warehouse, FOLDER, "2.0")


@pytest.fixture(scope="module")
def hostile(warehouse: duckdb.DuckDBPyConnection) -> Dictionary:
    return read(warehouse, "hostile", "1.0")


@pytest.fixture(params=["demo", "hostile"])
def dictionary(request: pytest.FixtureRequest) -> Dictionary:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The four real releases for local authorities, as four versions."""
    root, folder = tmp_path_factory.mktemp("real"), tmp_path_factory.mktemp("real_data")
    files = sorted((real_data / "ks4_la").glob("*.csv"))
    header = files[-1].read_text(encoding="utf-8-sig").splitlines()[0].split(",")
    columns = header[header.index("version") + 1 :]
    data_set = describe(
        root,
        "la",
        *(Edition(f"{number}.0", file) for number, file in enumerate(files, 1)),
        filters=[{"column": name, "label": name.replace("_", " ")} for name in ("social_care_group", "version")],
        indicators=[{"column": name, "label": name.replace("_", " ")} for name in columns],
    )
    with Sandbox(root) as sandbox:
        report = load(pipeline_for(folder, sandbox.url, data_set))
    assert report.exit_code == 0, report.outcomes
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as connection:
        yield connection


class TestTheWhole:
    """Nothing of the warehouse is left out, and nothing is empty."""

    def test_every_column_of_every_table_and_view_is_described(self, warehouse, dictionary):
        check_complete(warehouse, dictionary)

    @pytest.mark.real
    def test_every_column_of_the_real_releases_is_described(self, real):
        found = read(real, "la", "4.0")
        check_complete(real, found)
        check_counts(real, found)
        levels = {level.label: len(level.places) for level in found.levels}
        assert levels.keys() == {"National", "Regional", "Local authority"}
        assert levels["Local authority"] > 150
        assert found.key_is_unique
        assert found.described.key == ()  # local authorities are NULL on national rows

    def test_what_is_described_in_depth_is_counted_right(self, warehouse, dictionary):
        check_counts(warehouse, dictionary)

    @pytest.mark.parametrize("version", ["1.0", "1.0.1", "1.1"])
    def test_any_version_can_be_described_in_depth(self, warehouse, version):
        found = read(warehouse, FOLDER, version)
        assert found.described.version == found.version.number == version
        check_complete(warehouse, found)
        check_counts(warehouse, found)

    def test_the_functions_are_named(self, demo):
        assert [(macro.name, macro.parameters) for macro in demo.macros] == [("as_of", ("moment",))]
        assert "2026-06-01" in demo.macros[0].description

    def test_periods_stand_in_order_with_their_labels(self, demo):
        (column,) = (column for column in demo.described.columns if column.name == "time_period")
        assert [(value.text, value.label) for value in column.values][:2] == [
            ("201920", "2019/20"),
            ("202021", "2020/21"),
        ]

    def test_columns_across_versions_are_described_as_the_newest_version_does(self, demo):
        relations = {relation.name: relation for relation in demo.relations}
        history = {column.name: column for column in relations["history"].columns}
        assert history["attainment8_average"].decimals == 1
        assert history["attainment8_average"].description.startswith("Attainment 8: average score per pupil.")
        assert "In versions 1.0 to 2.0" in history["attainment8_average"].description
        revisions = {column.name: column for column in relations["revisions"].columns}
        assert revisions["ethnicity_major"].role == "filter"
        assert revisions["ethnicity_major"].description.startswith("Ethnicity.")
        assert revisions["new_value"].role == ""

    def test_a_new_label_reaches_the_columns_across_versions(self, tmp_path):
        renamed = [{"column": "grp", "label": "Care group"}]
        editions = (
            Edition("1.0", rows("CLA,10,17.3")),
            Edition("1.0.1", rows("CLA,10,17.4"), {"held": True}),
            Edition("1.0.2", rows("CLA,10,17.4", "CINO,5,c"), {"held": True, "filters": renamed}),
        )
        data_set = describe(tmp_path / "root", "small", *editions)
        with Sandbox(tmp_path / "root") as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
            for _ in editions:  # one load each: the tables across versions are kept and brought up to date
                assert load(pipeline).exit_code == 0
                sandbox.publish_next(data_set.id)
        with duckdb.connect(tmp_path / "data" / "warehouse.duckdb", read_only=True) as connection:
            found = read(connection, "small", "1.0.2")
        for name in ("revisions", "history", "latest_long"):
            (relation,) = (relation for relation in found.relations if relation.name == name)
            (column,) = (column for column in relation.columns if column.name == "grp")
            assert column.label == "Care group"
            assert column.description.startswith("Care group. 2 options."), name

    def test_notes_of_the_catalogue_are_shown_whatever_their_columns(self, demo):
        noted = replace(demo, notes=Rows(("kind", "text"), (("break", "Do not | compare."),)))
        assert "| break | Do not \\| compare. |" in as_markdown(document(noted))
        assert "<td>Do not | compare.</td>" in as_html(document(noted))

    def test_notes_that_say_the_same_are_one_line_and_say_no_more_than_the_catalogue(self, warehouse, dictionary):
        told = [
            note
            for kind, periods, text, *others, _ in dictionary.notes.rows
            for note in itertools.product([kind], periods.split(", "), [text], *(names.split(", ") for names in others))
        ]
        found = warehouse.execute(
            "SELECT kind, coalesce(time_period, ''), text, coalesce(location, geographic_level, ''), "
            "coalesce(filter_option, ''), coalesce(indicator, '') FROM catalogue.notes "
            "WHERE data_set = ? AND version IS NULL",
            [dictionary.data_set],
        ).fetchall()
        assert sorted(told) == sorted(found)
        assert len({row[2] for row in dictionary.notes.rows}) == len(dictionary.notes.rows)

    def test_every_query_of_the_document_can_be_run(self, warehouse, dictionary):
        queries = [block for section in document(dictionary).sections for block in section.blocks if _is_query(block)]
        assert len(queries) == 4
        for query in queries:
            warehouse.execute(query.sql)
        changes = warehouse.execute(queries[2].sql).fetchall()
        changed = warehouse.execute(
            "SELECT count(*) FROM ks4_national.revisions WHERE to_version = '2.0' AND class <> 'removed'"
        ).fetchone()
        assert len(changes) == (changed[0] if dictionary.data_set == FOLDER else 0)

    def test_the_catalogues_keys_are_keys(self, warehouse, dictionary):
        for relation in dictionary.catalogue:
            if relation.key:
                names = ", ".join(f'"{name}"' for name in relation.key)
                shared = warehouse.execute(
                    f"SELECT {names} FROM {relation.qualified} GROUP BY ALL HAVING count(*) > 1"
                ).fetchall()
                assert shared == [], relation.qualified


class TestMarkdown:
    """As a parser of GitHub's Markdown sees it."""

    def test_no_text_becomes_markup(self, dictionary):
        tokens = markdown_tokens(as_markdown(document(dictionary)))
        kinds = {token.type for token in tokens}
        assert kinds.isdisjoint({"html_block", "link_open", "image", "em_open", "strong_open", "s_open", "hr"})
        assert {token.content for token in tokens if token.type == "html_inline"} <= {"<code>", "</code>"}
        headings = [token for token in tokens if token.type == "heading_open"]
        assert len(headings) == 1 + len(document(dictionary).sections)

    def test_every_text_is_there_as_it_was(self, hostile):
        cells = Counter(markdown_cells(as_markdown(document(hostile))))
        for text in HOSTILE:
            assert cells[text] >= 2, text  # as an option of a filter, and as the name of a place
        assert cells[COLUMN]
        assert cells["</td><script>1</script>"]

    def test_every_row_has_as_many_cells_as_its_table(self, dictionary):
        lines = as_markdown(document(dictionary)).splitlines()
        found = [len(cells) for cells in markdown_rows("\n".join(lines))]
        expected = [
            len(row)
            for block in blocks(dictionary)
            if hasattr(block, "rows")
            for row in (block.headers, *block.rows)
        ]  # fmt: skip
        assert found == expected


class TestHtml:
    """As a parser of HTML, and a browser, see it."""

    def test_no_text_becomes_markup(self, dictionary):
        page = Page(as_html(document(dictionary)))
        assert "script" not in page.tags
        assert "img" not in page.tags
        assert page.tags["i"] + page.tags["b"] == 0
        assert page.tags["table"] == sum(hasattr(block, "rows") for block in blocks(dictionary))

    def test_every_text_is_there_as_it_was(self, hostile):
        page = Page(as_html(document(hostile)))
        for text in HOSTILE:
            assert page.texts[text] >= 2, text
        assert page.texts[COLUMN]
        assert page.texts["</td><script>1</script>"]

    @pytest.mark.browser
    @pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install Debian's package chromium")
    def test_it_opens_anywhere_without_noise_network_or_overflow(self, demo, hostile, tmp_path):
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            for name, found in {"demo": demo, "hostile": hostile}.items():
                path = tmp_path / f"{name}.html"
                path.write_text(as_html(document(found)), encoding="utf-8")
                for width, media in ((1280, "screen"), (400, "screen"), (680, "print")):
                    page = chromium.new_page(viewport={"width": width, "height": 900})
                    noise: list[str] = []
                    page.on("console", lambda message, noise=noise: noise.append(message.text))
                    page.on("pageerror", lambda error, noise=noise: noise.append(str(error)))
                    page.on("dialog", lambda dialog, noise=noise: noise.append(dialog.message))
                    asked: list[str] = []
                    page.on("request", lambda request, asked=asked: asked.append(request.url))
                    page.emulate_media(media=media)
                    page.goto(path.as_uri())
                    assert noise == []
                    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
                    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                    unnamed = "[...document.querySelectorAll('[role=region]')].filter(e => !e.ariaLabel).length"
                    assert page.evaluate(unnamed) == 0
                    page.close()
            chromium.close()


class TestFrictionless:
    """As the library of the standard sees it, and against what DuckDB says of itself."""

    def test_the_descriptor_is_valid(self, dictionary):
        descriptor = json.loads(json.dumps(package(dictionary)))
        assert list(frictionless.Package.metadata_validate(descriptor)) == []

    def test_types_are_those_of_duckdb(self, warehouse, dictionary):
        declared = {
            (resource["name"], field["name"]): field["type"]
            for resource in package(dictionary)["resources"]
            for field in resource["schema"]["fields"]
        }
        found = warehouse.execute(
            "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name IN (?, 'catalogue')",
            [dictionary.data_set],
        ).fetchall()
        assert declared == {(table, column): TYPES[kind] for table, column, kind in found}

    def test_the_tables_written_as_it_says_are_valid(self, data_dir, hostile, tmp_path, capsys, monkeypatch):
        shutil.copy(data_dir / "warehouse.duckdb", tmp_path)  # DuckDB keeps the other tests' connection by its path
        monkeypatch.setenv("KS4_DATA_DIR", str(tmp_path))
        descriptor = package(hostile)
        for resource in descriptor["resources"]:
            assert f'ks4 sql --csv "FROM {resource["name"]}" > {resource["path"]}' in resource["description"]
            asking.sql(f"FROM {resource['name']}", as_json=False, as_csv=True, seconds=60, rows=0)
            (tmp_path / resource["path"]).write_text(capsys.readouterr().out, encoding="utf-8", newline="")
        (tmp_path / "datapackage.json").write_text(json.dumps(descriptor), encoding="utf-8")
        report = frictionless.validate(str(tmp_path / "datapackage.json"))
        problems = report.flatten(["taskNumber", "rowNumber", "fieldName", "type", "cells"])
        named = [resource["name"] for resource in descriptor["resources"]]
        guarded = {"'- item"}  # ks4 sql --csv keeps spreadsheets from running it
        assert [
            (named[task - 1], row, field, kind)
            for task, row, field, kind, cells in problems
            if not guarded & set(cells or ())
        ] == []

    def test_a_cell_that_does_not_fit_is_found(self, demo, tmp_path):
        descriptor = package(demo)
        (resource,) = (found for found in descriptor["resources"] if found["name"] == f"{FOLDER}.v2_0_0")
        header = [field["name"] for field in resource["schema"]["fields"]]
        good = dict.fromkeys(header, "") | dict.fromkeys(resource["schema"]["primaryKey"], "x")
        good |= {
            field["name"]: field["constraints"]["enum"][0]
            for field in resource["schema"]["fields"]
            if "enum" in field.get("constraints", {})
        }
        wrong = {"pupil_count": "c", "placement": "A tent", "pupil_count_flag": "q", "time_period": ""}
        for column, cell in {"time_period": "201819", **wrong}.items():
            table = [header, list((good | {column: cell}).values())]
            (tmp_path / resource["path"]).write_text(quoted(table), encoding="utf-8", newline="")
            (tmp_path / "datapackage.json").write_text(json.dumps(descriptor | {"resources": [resource]}))
            report = frictionless.validate(str(tmp_path / "datapackage.json"))
            found = {field for (field,) in report.flatten(["fieldName"])}
            assert found == ({column} if column in wrong else set())

    def test_a_key_with_gaps_is_no_primary_key(self, hostile, demo):
        schemas = {found["name"]: found["schema"] for found in package(hostile)["resources"]}
        assert "primaryKey" not in schemas["hostile.v1_0_0"]
        assert schemas["hostile.v1_0_0"]["uniqueKeys"] == [list(hostile.row_key)]
        assert schemas["catalogue.versions"]["primaryKey"] == ["data_set", "version"]
        (latest,) = (found for found in package(demo)["resources"] if found["name"] == f"{FOLDER}.latest")
        assert latest["schema"]["primaryKey"] == list(demo.row_key)

    def test_a_data_set_without_indicators_is_described_as_well(self, tmp_path):
        data_set = describe(tmp_path / "published", "d", Edition("1.0", "grp\na\n"), indicators=[])
        with Sandbox(tmp_path / "published") as sandbox:
            pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
            load(pipeline)
        with pipeline.warehouse.read() as connection:
            descriptor = json.loads(json.dumps(package(read(connection, "d", "1.0"))))
        assert list(frictionless.Package.metadata_validate(descriptor)) == []


class TestTheCommand:
    """``ks4 dictionary`` as a person types it."""

    @pytest.fixture(autouse=True)
    def here(self, data_dir, monkeypatch):
        monkeypatch.setenv("KS4_DATA_DIR", str(data_dir))

    def test_it_prints_markdown(self, demo):
        told = CliRunner().invoke(app, ["dictionary", "--data-set", FOLDER])
        assert told.exit_code == 0, told.stderr
        assert told.stdout == as_markdown(document(demo))

    @pytest.mark.parametrize(
        ("name", "options", "begins"),
        [
            ("d.md", [], "# Data dictionary: "),
            ("d.html", [], "<!DOCTYPE html>"),
            ("datapackage.json", [], "{\n"),
            ("d.txt", ["--format", "html"], "<!DOCTYPE html>"),
            ("d.html", ["--format", "markdown"], "# Data dictionary: "),
        ],
    )
    def test_the_files_name_says_how_to_write_it(self, tmp_path, name, options, begins):
        path = tmp_path / name
        told = CliRunner().invoke(app, ["dictionary", "--data-set", FOLDER, "--output", str(path), *options])
        assert told.exit_code == 0, told.stderr
        assert told.stdout.startswith(f"Wrote the data dictionary of {FOLDER} 2.0 to ")
        assert path.read_text(encoding="utf-8").lstrip().startswith(begins)

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ([], "Say which data set"),
            (["--data-set", "nobody"], "has no data set"),
            (["--data-set", FOLDER, "--version", "9.9"], "has no '9.9'"),
        ],
    )
    def test_what_is_not_there_is_said_in_one_sentence(self, options, complaint):
        told = CliRunner().invoke(app, ["dictionary", *options])
        assert told.exit_code == 2
        assert complaint in told.stderr

    def test_a_version_or_channel_can_be_chosen(self):
        told = CliRunner().invoke(app, ["dictionary", "--data-set", FOLDER, "--version", "v1_0"])
        assert "| Version described | 1.0.1 (patch), Published |" in told.stdout

    @pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
    def test_it_is_the_same_in_every_time_zone(self, demo, zone):
        script = "from ks4_pipeline.cli import main; main()"
        told = subprocess.run(
            [sys.executable, "-c", script, "dictionary", "--data-set", FOLDER],
            capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "TZ": zone},
        )  # fmt: skip
        assert told.stdout == as_markdown(document(demo))

    def test_only_html_needs_jinja(self, data_dir):
        script = (
            "import sys; from ks4_pipeline.cli import app\n"
            "for form in ('markdown', 'frictionless'):\n"
            f"    app(['dictionary', '--data-set', '{FOLDER}', '--format', form], standalone_mode=False)\n"
            "print('jinja2' in sys.modules, file=sys.stderr)"
        )
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert told.stderr == "False\n"


def check_complete(warehouse: duckdb.DuckDBPyConnection, dictionary: Dictionary) -> None:
    """Every table, view and column of DuckDB's own lists is there, with a type and a description."""
    relations = (*dictionary.relations, *dictionary.catalogue)
    described = [(r.schema, r.name, c.name, c.type) for r in relations for c in r.columns]
    found = warehouse.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name IN (?, 'catalogue')",
        [dictionary.data_set],
    ).fetchall()
    assert sorted(described) == sorted(found)
    for relation in relations:
        assert relation.description.strip(), relation.qualified
        assert (relation.rows,) == warehouse.execute(f"SELECT count(*) FROM {relation.qualified}").fetchone()
        for column in relation.columns:
            assert len(column.description) > len("Name."), (relation.qualified, column.name)
            assert "None" not in column.description
            if relation.version:
                assert column.role, (relation.qualified, column.name)
                assert column.label or column.role not in {"filter", "indicator"}


def check_counts(warehouse: duckdb.DuckDBPyConnection, dictionary: Dictionary) -> None:
    """The counts of values, figures and markers are those of the table, row by row in Python."""
    table = dictionary.described
    result = warehouse.execute(f"SELECT * FROM {table.qualified}")
    cells = dict(zip([name for name, *_ in result.description], zip(*result.fetchall(), strict=True), strict=True))
    markers: Counter[str] = Counter()
    for column in table.columns:
        stands = Counter(cell for cell in cells[column.name] if cell is not None)
        if column.role == "filter":
            assert {value.text: value.rows for value in column.values} == dict(stands)
        elif column.role == "indicator":
            assert column.figures.count == sum(stands.values())
            assert column.figures.lowest == min(stands, default=None)
            assert column.figures.highest == max(stands, default=None)
            assert dict(column.markers) == Counter(filter(None, cells[f"{column.name}_flag"]))
            assert column.figures.count + sum(dict(column.markers).values()) == table.rows
            markers.update(dict(column.markers))
        elif column.role == "flag":
            assert {value.text: value.rows for value in column.values} == {m: stands[m] for m in MARKERS}
        else:
            assert column.distinct == len(stands)
        if column.complete is not None:
            assert column.complete == (None not in cells[column.name])
    assert {marker.symbol: marker.cells for marker in dictionary.markers} == {m: markers[m] for m in MARKERS}
    keys = Counter(zip(*(cells[name] for name in dictionary.row_key), strict=True))
    assert dictionary.key_is_unique == (max(keys.values()) == 1)


def blocks(dictionary: Dictionary) -> list[object]:
    found = document(dictionary)
    return [*found.opening, *(block for section in found.sections for block in section.blocks)]


def _is_query(block: object) -> bool:
    return isinstance(block, Query)


def markdown_tokens(text: str) -> list:
    """All tokens, those inside running text too."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [inner for token in parser.parse(text) for inner in (token, *(token.children or ()))]


def markdown_rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, as a reader sees them."""
    rows: list[list[str]] = []
    inside = False
    for token in markdown_tokens(text):
        match token.type:
            case "tr_open":
                rows.append([])
            case "th_open" | "td_open":
                inside = True
                rows[-1].append("")
            case "th_close" | "td_close":
                inside = False
            case "text" | "code_inline" | "text_special" | "softbreak" if inside:
                rows[-1][-1] += token.content
    return rows


def markdown_cells(text: str) -> list[str]:
    return [cell for row in markdown_rows(text) for cell in row]


class Page(HTMLParser):
    """Counts of the tags of a page, and of the texts of its cells as a reader sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.texts: Counter[str] = Counter()
        self._cell: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag in {"td", "th"}:
            self._cell = []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self._cell is not None:
            self.texts["".join(self._cell)] += 1
            self._cell = None
