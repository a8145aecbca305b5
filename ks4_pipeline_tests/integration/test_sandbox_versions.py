"""Which version a request means and who may see it: the tables of contract §3.2 to §3.5, over HTTP."""

from datetime import UTC, datetime

import httpx
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.authoring import write_data_set

HTTP = httpx.Client(trust_env=False)
ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
TOKEN = "ab3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
HEADER = "time_period,time_identifier,geographic_level,country_code,country_name,x\n"
CSV = f"{HEADER}202021,Academic year,National,E9,England,1\n"


def served(tmp_path, *versions, data_set_id=ID, name="set", **options):
    """A sandbox over one data set whose versions all hold the same file."""
    entries = [{"version": v} if isinstance(v, str) else v for v in versions]
    write_data_set(
        tmp_path / name,
        {
            "id": data_set_id,
            "title": "A set",
            "indicators": [{"column": "x", "label": "X"}],
            "versions": [{"file": "data.csv", **entry} for entry in entries],
        },
        {"data.csv": CSV},
    )
    return Sandbox(tmp_path, **options)


def ask(sandbox, path, version=None, **headers):
    """GET something of the data set; ``version`` goes into the query string."""
    params = {} if version is None else {"dataSetVersion": version}
    return HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}{path}", params=params, headers=headers)


def served_version(response):
    """The version a ``/csv`` answer names, or its status: the file name is the only place that tells (§1.5)."""
    if response.status_code != 200:
        return response.status_code
    return response.headers["content-disposition"].partition("_v")[2].partition(".csv")[0]


def shown_version(response):
    """The version a version object names, or the status."""
    return response.json()["version"] if response.status_code == 200 else response.status_code


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Versions 1.0 to 3.0; 2.1.2 deprecated, 3.0 withdrawn, 4.0 a draft; and 1.0.1 published last of all."""
    with served(
        tmp_path_factory.mktemp("root"),
        "1.0",
        "1.1",
        "1.2",
        "2.0",
        "2.1",
        "2.1.1",
        {"version": "2.1.2", "status": "Deprecated"},
        {"version": "3.0", "status": "Withdrawn"},
        {"version": "4.0", "status": "Draft"},
        {"version": "10.0", "status": "Processing"},
        {"version": "1.0.1", "held": True},
    ) as sandbox:
        sandbox.publish(ID, "1.0.1")
        yield sandbox


@pytest.mark.parametrize(
    ("text", "by_csv", "in_path"),
    [
        (None, "1.0.1", None),
        ("", "1.0.1", None),
        ("   ", "1.0.1", None),
        ("*", "1.0.1", "2.1.1"),
        (" * ", "1.0.1", "2.1.1"),
        ("v*", "2.1.1", "2.1.1"),
        ("2.*", "2.1.1", "2.1.1"),
        ("2.*.*", "2.1.1", "2.1.1"),
        ("v2.*", "2.1.1", "2.1.1"),
        ("2.1.*", "2.1.1", "2.1.1"),
        ("2.0.*", "2.0", "2.0"),
        ("1.0.*", "1.0.1", "1.0.1"),
        ("1.*", "1.2", "1.2"),
        ("01.*", "1.2", "1.2"),
        ("1", "1.0", "1.0"),
        ("1.0", "1.0", "1.0"),
        ("1.1.0", "1.1", "1.1"),
        ("1.0.1", "1.0.1", "1.0.1"),
        ("v1.2", "1.2", "1.2"),
        (" 1.2 ", "1.2", "1.2"),
        ("1.0-anything", "1.0", "1.0"),
        ("1.0.0+x", "1.0", "1.0"),
        *((text, 404, 404) for text in ("3.*", "4.*", "5.*", "2.1.3", "9.0")),
        *((text, 404, 404) for text in ("1.*.4", "*.1", "2.1*.0", "2.**.*", "v", "01.0", "latest")),
        (".", 404, None),
        ("V1.0", 404, 308),
        ("2147483648.*", 500, 500),
        ("4.0", 403, 403),
        ("10.0", 403, 403),
    ],
)
def test_which_version_a_text_means(history, text, by_csv, in_path):
    assert served_version(ask(history, "/csv", text)) == by_csv
    assert ask(history, "/meta", text).status_code == (by_csv if isinstance(by_csv, int) else 200)
    if in_path is not None:
        assert shown_version(ask(history, f"/versions/{text}")) == in_path
        changes = ask(history, f"/versions/{text}/changes")
        shown = changes.json()["versionNumber"] if changes.status_code == 200 else changes.status_code
        assert shown == in_path


def test_a_number_too_big_breaks_the_service_with_an_empty_body(history):
    assert ask(history, "/csv", "2147483648.*").content == b""


def test_the_summary_follows_publication_and_the_star_in_a_path_follows_numbers(history):
    assert ask(history, "").json()["latestVersion"]["version"] == "1.0.1"
    assert shown_version(ask(history, "/versions/*")) == "2.1.1"


@pytest.mark.parametrize(
    ("status", "token", "listed", "answer", "by_wildcard"),
    [
        ("Published", None, True, 200, 200),
        ("Deprecated", None, True, 200, 404),
        ("Withdrawn", None, True, 200, 404),
        ("Draft", None, False, 403, 404),
        ("Draft", TOKEN, True, 200, 404),
        ("Draft", TOKEN.upper(), True, 200, 404),
        ("Draft", "nonsense", False, 403, 404),
        ("Draft", TOKEN.replace("ab", "ac"), False, 403, 404),
        *((status, token, False, 403, 404) for status in (
            "Processing", "Mapping", "Finalising", "Failed", "Cancelled"
        ) for token in (None, TOKEN)),
    ],
)  # fmt: skip
def test_what_a_status_opens(tmp_path, status, token, listed, answer, by_wildcard):  # noqa: PLR0917
    headers = {"Preview-Token": token} if token else {}
    with served(tmp_path, "1.0", {"version": "2.0", "status": status, "preview_token": TOKEN}) as sandbox:
        versions = {found["version"]: found for found in ask(sandbox, "/versions", **headers).json()["results"]}
        assert versions.keys() == ({"1.0", "2.0"} if listed else {"1.0"})
        if listed:
            assert versions["2.0"]["status"] == status
            assert ("published" in versions["2.0"]) is (status != "Draft")
            assert ("withdrawn" in versions["2.0"]) is (status == "Withdrawn")
        for path, version in (
            ("/versions/2.0", None),
            ("/versions/2.0/changes", None),
            ("/meta", "2.0"),
            ("/csv", "2.0"),
        ):
            assert ask(sandbox, path, version, **headers).status_code == answer
        for path, version in (("/versions/2.*", None), ("/csv", "2.*"), ("/meta", "2.*")):
            assert ask(sandbox, path, version, **headers).status_code == by_wildcard


def test_a_withdrawn_live_version_still_is_the_latest_and_still_downloads(tmp_path):
    with served(tmp_path, "1.0", {"version": "1.1", "status": "Withdrawn"}) as sandbox:
        assert ask(sandbox, "").json()["latestVersion"]["version"] == "1.1"
        assert served_version(ask(sandbox, "/csv")) == "1.1"
        assert shown_version(ask(sandbox, "/versions/*")) == "1.0"


def test_a_never_published_data_set_opens_with_the_token_of_its_draft(tmp_path):
    draft = {"version": "1.0", "status": "Draft", "preview_token": TOKEN}
    with served(tmp_path, draft) as sandbox:
        assert ask(sandbox, "").status_code == 403
        body = ask(sandbox, "", **{"preview-token": TOKEN}).json()
        assert body == {"id": ID, "title": "A set", "summary": "", "status": "Draft"}
        assert ask(sandbox, "/csv").status_code == 404
        assert served_version(ask(sandbox, "/csv", "1.0", **{"preview-token": TOKEN})) == "1.0"


def listing(sandbox, page_size=20, page=1):
    params = {"pageSize": page_size, "page": page}
    body = HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/versions", params=params).json()
    return [found["version"] for found in body["results"]]


LINES = ["1.0", "1.0.1", "1.0.2", "1.0.3", "1.9", "1.10", "2.0", "2.0.1", "2.0.2"]


def test_the_list_sorts_major_and_minor_as_numbers_but_patches_as_the_seed_has_it(tmp_path):
    orders = set()
    for seed in range(12):
        with served(tmp_path, *LINES, patch_order_seed=seed) as sandbox:
            first = listing(sandbox)
            assert listing(sandbox) == first
        assert [version.rsplit(".", version.count(".") - 1)[0] for version in first] == (
            ["2.0"] * 3 + ["1.10", "1.9"] + ["1.0"] * 4
        )
        orders.add(tuple(first))
    assert len(orders) > 3


def test_the_order_of_patches_can_change_from_request_to_request(tmp_path):
    with served(tmp_path, *LINES, patch_order_per_request=True) as sandbox:
        assert len({tuple(listing(sandbox)) for _ in range(12)}) > 3
        walks = [[v for page in range(1, 10) for v in listing(sandbox, 1, page)] for _ in range(6)]
        assert any(len(set(walk)) < len(LINES) for walk in walks)


@pytest.mark.parametrize(
    ("version", "kind"), [("1.0", "Major"), ("2.0", "Major"), ("1.9", "Minor"), ("1.10", "Minor"), ("2.0.1", "Patch")]
)
def test_the_type_is_derived_from_the_number(tmp_path, version, kind):
    with served(tmp_path, *LINES) as sandbox:
        assert ask(sandbox, f"/versions/{version}").json()["type"] == kind


def test_patch_history_holds_lower_patches_of_the_line_and_patch_zero(tmp_path):
    with served(tmp_path, *LINES) as sandbox:
        body = HTTP.get(
            f"{sandbox.url}/v1/data-sets/{ID}/versions/1.0.*/changes", params={"includePatchHistory": "true"}
        ).json()
    assert body["versionNumber"] == "1.0.3"
    assert {item["versionNumber"] for item in body["patchHistory"]} == {"1.0", "1.0.1", "1.0.2"}


def test_a_hidden_version_in_the_patch_history_closes_the_whole_answer(tmp_path):
    with served(tmp_path, "1.0", {"version": "1.0.1", "status": "Failed"}, "1.0.2") as sandbox:
        url = f"{sandbox.url}/v1/data-sets/{ID}/versions/1.0.2/changes"
        assert HTTP.get(url).status_code == 200
        assert HTTP.get(url, params={"includePatchHistory": "true"}).status_code == 403


def test_fractions_of_a_second_have_as_many_digits_as_they_need(tmp_path):
    moments = {"1.0": 0, "1.1": 100000, "1.2": 120000, "1.3": 123456, "1.4": 6}
    entries = [
        {"version": version, "published": datetime(2026, 1, 1 + n, 9, 30, 5, micro, UTC)}
        for n, (version, micro) in enumerate(moments.items())
    ]
    with served(tmp_path, *entries) as sandbox:
        published = [ask(sandbox, f"/versions/{version}").json()["published"] for version in moments]
    assert [text[19:] for text in published] == ["+00:00", ".1+00:00", ".12+00:00", ".123456+00:00", ".000006+00:00"]
