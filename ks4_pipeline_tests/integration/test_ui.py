"""What a person sees in the Dagster UI, in a real browser: graph, a version's metadata, passed and failed checks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.orchestration.instance import prepare
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.settings import Settings
from ks4_pipeline_tests.chromium import IN_A_BROWSER, chromium
from ks4_pipeline_tests.publisher import Edition, describe, rows

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
PATIENCE = 30_000  # milliseconds

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a UI over a data set with two loaded versions, and one whose only version was refused."""
    folder = tmp_path_factory.mktemp("ui")
    published = folder / "published"
    small = describe(
        published,
        "small",
        Edition("1.0", rows("CLA,10,17.3", "CINO,c,c")),
        Edition("1.0.1", rows("CLA,20,17.4", "CINO,x,z"), {"notes": "Counts were too low."}),
    )
    broken = describe(published, "broken", Edition("1.0", rows("CLA,20,*", "CINO,x,z")))
    with Sandbox(published) as sandbox:
        settings = Settings(api_url=sandbox.url, data_dir=folder / "data", data_sets=(small, broken))
        home = prepare(settings)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            _load(settings, instance, "small", ["1.0", "1.0.1"])
            _load(settings, instance, "broken", ["1.0"])
        with _webserver(settings, home) as address:
            yield address


def _load(settings: Settings, instance: dg.DagsterInstance, name: str, versions: list[str]) -> None:
    definitions = build_definitions(settings)
    instance.add_dynamic_partitions(f"{name}_versions", versions)
    for version in versions:
        definitions.resolve_job_def(f"load_{name}").execute_in_process(
            partition_key=version, instance=instance, raise_on_error=False
        )


@contextmanager
def _webserver(settings: Settings, home: Path) -> Iterator[str]:
    """The UI in a process of its own, ended by its own process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tables = [f'[data_sets.{data_set.name}]\nid = "{data_set.id}"\n' for data_set in settings.data_sets]
    (settings.data_dir / "ks4.toml").write_text("".join(tables))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KS4_")}
    environment |= {
        "DAGSTER_HOME": str(home),
        "KS4_API_URL": settings.api_url,
        "KS4_DATA_DIR": str(settings.data_dir),
    }
    command = [sys.executable, "-m", "dagster_webserver", "-w", str(WORKSPACE), "-p", port]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _once_it_answers(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _once_it_answers(address: str) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/server_info", timeout=2).is_success:
                return address
        except httpx.TransportError:
            time.sleep(0.3)
    pytest.fail("the UI did not answer within 90 s")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1500, "height": 1000})
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


def test_the_graph_shows_the_way_of_a_version(ui: str, page: Page) -> None:
    page.goto(f"{ui}/locations/ks4_pipeline/asset-groups/small/lineage")
    for step in ("landing", "observations", "table", "revisions", "report"):
        expect(page.get_by_text(step, exact=True).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("8 / 8 Passed").first).to_be_visible(timeout=PATIENCE)


def test_a_loaded_version_shows_what_it_is(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/small/table?view=partitions&partition=1.0.1")
    for text in ("dagster/row_count", "small.v1_0_1", "latest, v1, v1_0", "Counts were too low.", "patch"):
        expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE)


def test_a_report_says_what_changed_and_shows_its_chart(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/small/report?view=partitions&partition=1.0.1")
    expect(page.get_by_text("Version 1.0.1 corrects 2 figures in 2 indicators").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("reports/small/1.0.1.html").first).to_be_visible(timeout=PATIENCE)
    page.get_by_text("Show Markdown").first.click(timeout=PATIENCE)
    picture = page.get_by_alt_text("Headline figures over time")
    expect(picture).to_be_visible(timeout=PATIENCE)
    assert picture.evaluate("picture => picture.naturalWidth") > 400


def test_a_passed_check_says_what_it_asserts(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/small/table?view=checks&checkDetail=rows_as_announced")
    expect(page.get_by_text("as many rows as the publisher announces").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Passed").first).to_be_visible(timeout=PATIENCE)


def test_a_refused_version_says_why(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/broken/observations?view=checks&checkDetail=content_accepted")
    expect(page.get_by_text("Failed").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("neither a number nor a known marker").first).to_be_visible(timeout=PATIENCE)
