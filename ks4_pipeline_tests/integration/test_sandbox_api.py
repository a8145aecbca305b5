"""The stand-in API over HTTP: every endpoint, on a history like the one of the contract's recorded examples.

A data set goes from 1.0 (withdrawn) over 1.1 (a year, a level and an option more) and 1.1.1 (a column renamed) to 2.0
(a year, an indicator and an option gone, a place recoded). Expected bodies are whole: what is absent must be absent.
"""

import gzip
import re
from datetime import UTC, datetime
from itertools import product

import httpx
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.authoring import write_data_set

ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
DEPRECATED_ID = "1f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
DRAFT_ID = "2f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
WITHDRAWN_ID = "3f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
UNKNOWN_ID = "9f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
PUBLICATION_ID = "5d0ad2a8-6f5b-4b1e-9a53-1c6b1a3c9f10"
FILE_IDS = [f"7f0a3f0e-31f4-4b3b-8b5d-7f1c0e0a{n}" for n in ("1010", "1111", "2020")]

NATIONAL = ("National", "E92000001,England", ",", ",,")
NORTH_EAST = ("Regional", "E92000001,England", "E12000001,North East", ",,")
NORTH_WEST = ("Regional", "E92000001,England", "E12000002,North West", ",,")
HARTLEPOOL = ("Local authority", "E92000001,England", "E12000001,North East", "E06000001,805,Hartlepool")
RECODED = ("Local authority", "E92000001,England", "E12000001,North East", "E06999999,805,Hartlepool")
NO_OLD_CODE = ("Local authority", "E92000001,England", "E12000001,North East", "E06000002,,Middlesbrough")

RATE = {"column": "absence_rate", "label": "Absence rate", "unit": "%", "decimal_places": 1}


def table(years, places, phases, indicators, *, with_authorities=True):
    """A CSV of all combinations, with markers among its values."""
    codes = ["time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code"]
    codes += ["region_name", *(["new_la_code", "old_la_code", "la_name"] if with_authorities else [])]
    lines = [",".join([*codes, "school_phase", *indicators])]
    for year, (level, country, region, authority), phase in product(years, places, phases):
        geography = [country, region, *([authority] if with_authorities else [])]
        lines.append(",".join([year, "Academic year", level, *geography, phase, *(["5.90", "c"][: len(indicators)])]))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    wide = [NATIONAL, NORTH_EAST, NORTH_WEST, HARTLEPOOL, NO_OLD_CODE]
    phases = ["Primary", "Secondary", "Total"]
    indicators = ["absence_rate", "enrolments"]
    files = {
        "v1.0.csv": table(["202021", "202122"], wide[:3], phases, indicators, with_authorities=False),
        "v1.1.csv": table(["202021", "202122", "202223"], wide, [*phases, "Special"], indicators),
        "v1.1.1.csv": table(
            ["202021", "202122", "202223"], wide, [*phases, "Special"], ["absence_rate", "pupil_enrolments"]
        ),
        "v2.0.csv": table(
            ["202122", "202223", "202324"], [*wide[:3], RECODED], ["Primary", "Special", "Total"], ["absence_rate"]
        ),
    }
    count = {"label": "Number of enrolments", "decimal_places": 0}
    write_data_set(
        root / "absence",
        {
            "id": ID,
            "title": "Absence rate by phase",
            "summary": "Invented data set.",
            "publication": {
                "id": PUBLICATION_ID,
                "title": "Demonstration absence statistics",
                "slug": "demonstration-absence-statistics",
                "summary": "Invented publication used only for tests.",
            },
            "filters": [{"column": "school_phase", "label": "School phase", "hint": "Filter by phase of school"}],
            "indicators": [RATE, {"column": "enrolments", "label": "Enrolments", "decimal_places": 0}],
            "versions": [
                {
                    "version": "1.0",
                    "file": "v1.0.csv",
                    "published": datetime(2024, 3, 21, 9, 30, 5, 111111, UTC),
                    "status": "Withdrawn",
                    "withdrawn": datetime(2024, 5, 1, 10, tzinfo=UTC),
                    "file_id": FILE_IDS[0],
                    "release": {"title": "Academic year 2021/22", "slug": "2021-22"},
                },
                {
                    "version": "1.1",
                    "file": "v1.1.csv",
                    "published": datetime(2025, 3, 20, 9, 30, 5, 222220, UTC),
                    "notes": "Added 2022/23 and local authorities.",
                    "file_id": FILE_IDS[1],
                    "release": {"title": "Academic year 2022/23", "slug": "2022-23"},
                    "indicators": [RATE, {"column": "enrolments", **count}],
                },
                {
                    "version": "1.1.1",
                    "file": "v1.1.1.csv",
                    "published": datetime(2025, 4, 2, 9, 30, 5, 300000, UTC),
                    "notes": "Corrected the enrolment figures.",
                    "indicators": [RATE, {"column": "pupil_enrolments", "was": "enrolments", **count}],
                },
                {
                    "version": "2.0",
                    "file": "v2.0.csv",
                    "published": datetime(2026, 3, 19, 9, 30, 7, 654321, UTC),
                    "notes": "Dropped 2020/21, enrolments and the secondary phase.",
                    "file_id": FILE_IDS[2],
                    "release": {"title": "Academic year 2023/24", "slug": "2023-24"},
                    "total_results": 96,
                    "indicators": [RATE],
                    "renamed_locations": [{"level": "LA", "from": "E06000001", "to": "E06999999"}],
                },
            ],
        },
        files,
    )
    for name, data_set_id, status in (
        ("old", DEPRECATED_ID, "Deprecated"),
        ("draft", DRAFT_ID, "Draft"),
        ("gone", WITHDRAWN_ID, "Withdrawn"),
    ):
        write_data_set(
            root / name,
            {
                "id": data_set_id,
                "title": f"A {status} set",
                "status": status,
                "publication": {"id": PUBLICATION_ID},
                "superseding_data_set_id": ID,
                "versions": [{"version": "1.0", "file": "a.csv", "published": datetime(2023, 1, 1, tzinfo=UTC)}],
            },
            {"a.csv": files["v1.0.csv"]},
        )
    with Sandbox(root) as running:
        yield running


@pytest.fixture(scope="module")
def api(sandbox):
    with httpx.Client(base_url=f"{sandbox.url}/v1") as client:
        yield client


def without_ids(value):
    """The same body with every sqid replaced: their values are the server's own affair."""
    if isinstance(value, dict):
        return {
            key: "…" if key == "id" and re.fullmatch(r"\w{5,10}", str(item)) else without_ids(item)
            for key, item in value.items()
        }
    return [without_ids(item) for item in value] if isinstance(value, list) else value


PHASE = {"id": "…", "column": "school_phase", "label": "School phase", "hint": ""}
LATEST = {
    "version": "2.0",
    "published": "2026-03-19T09:30:07.654321+00:00",
    "totalResults": 96,
    "file": {"id": FILE_IDS[2]},
    "timePeriods": {"start": "2021/22", "end": "2023/24"},
    "geographicLevels": ["Local authority", "National", "Regional"],
    "filters": ["School phase"],
    "indicators": ["Absence rate"],
}
DATA_SET = {
    "id": ID,
    "title": "Absence rate by phase",
    "summary": "Invented data set.",
    "status": "Published",
    "latestVersion": LATEST,
}
PUBLICATION = {
    "id": PUBLICATION_ID,
    "title": "Demonstration absence statistics",
    "slug": "demonstration-absence-statistics",
    "summary": "Invented publication used only for tests.",
    "lastPublished": "2026-03-19T09:30:07.6543216+00:00",
}
WITHDRAWN_VERSION = {
    "version": "1.0",
    "type": "Major",
    "status": "Withdrawn",
    "published": "2024-03-21T09:30:05.111111+00:00",
    "withdrawn": "2024-05-01T10:00:00+00:00",
    "notes": "",
    "totalResults": 18,
    "file": {"id": FILE_IDS[0]},
    "release": {"title": "Academic year 2021/22", "slug": "2021-22"},
    "timePeriods": {"start": "2020/21", "end": "2021/22"},
    "geographicLevels": ["National", "Regional"],
    "filters": ["School phase"],
    "indicators": ["Absence rate", "Enrolments"],
}
PATCH_VERSION = {
    "version": "1.1.1",
    "type": "Patch",
    "status": "Published",
    "published": "2025-04-02T09:30:05.3+00:00",
    "notes": "Corrected the enrolment figures.",
    "totalResults": 60,
    "file": {"id": FILE_IDS[1]},
    "release": {"title": "Academic year 2022/23", "slug": "2022-23"},
    "timePeriods": {"start": "2020/21", "end": "2022/23"},
    "geographicLevels": ["Local authority", "National", "Regional"],
    "filters": ["School phase"],
    "indicators": ["Absence rate", "Number of enrolments"],
}


def indicator(column, label):
    return {"id": "…", "column": column, "label": label, "decimalPlaces": 0}


def year(period, label):
    return {"code": "AY", "period": period, "label": label}


NO_CHANGES = {"versionNumber": "1.0", "notes": "", "majorChanges": {}, "minorChanges": {}, "patchHistory": []}
AUTHORITY = {"code": "LA", "label": "Local authority"}
MINOR_CHANGES = {
    "versionNumber": "1.1",
    "notes": "Added 2022/23 and local authorities.",
    "majorChanges": {},
    "minorChanges": {
        "filterOptions": [{"filter": PHASE, "options": [{"currentState": {"id": "…", "label": "Special"}}]}],
        "geographicLevels": [{"currentState": AUTHORITY}],
        "indicators": [
            {
                "currentState": indicator("enrolments", "Number of enrolments"),
                "previousState": indicator("enrolments", "Enrolments"),
            }
        ],
        "locationGroups": [{"currentState": {"level": AUTHORITY}}],
        "timePeriods": [{"currentState": year("2022/2023", "2022/23")}],
    },
}
PATCH_CHANGES = {
    "versionNumber": "1.1.1",
    "notes": "Corrected the enrolment figures.",
    "majorChanges": {},
    "minorChanges": {
        "indicators": [
            {
                "currentState": indicator("pupil_enrolments", "Number of enrolments"),
                "previousState": indicator("enrolments", "Number of enrolments"),
            }
        ]
    },
}
HARTLEPOOL_VIEW = {"id": "…", "label": "Hartlepool", "code": "E06000001", "oldCode": "805"}
MAJOR_CHANGES = {
    "versionNumber": "2.0",
    "notes": "Dropped 2020/21, enrolments and the secondary phase.",
    "majorChanges": {
        "filterOptions": [{"filter": PHASE, "options": [{"previousState": {"id": "…", "label": "Secondary"}}]}],
        "indicators": [{"previousState": indicator("pupil_enrolments", "Number of enrolments")}],
        "locationOptions": [
            {
                "level": AUTHORITY,
                "options": [
                    {"currentState": {**HARTLEPOOL_VIEW, "code": "E06999999"}, "previousState": HARTLEPOOL_VIEW}
                ],
            }
        ],
        "timePeriods": [{"previousState": year("2020/2021", "2020/21")}],
    },
    "minorChanges": {"timePeriods": [{"currentState": year("2023/2024", "2023/24")}]},
    "patchHistory": [],
}
META_OF_PATCH = {
    "filters": [
        {
            **PHASE,
            "hint": "Filter by phase of school",
            "options": [{"id": "…", "label": label} for label in ("Primary", "Secondary", "Special", "Total")],
        }
    ],
    "indicators": [
        {"id": "…", "column": "absence_rate", "label": "Absence rate", "unit": "%", "decimalPlaces": 1},
        indicator("pupil_enrolments", "Number of enrolments"),
    ],
    "geographicLevels": [
        AUTHORITY,
        {"code": "NAT", "label": "National"},
        {"code": "REG", "label": "Regional"},
    ],
    "locations": [
        {"level": AUTHORITY, "options": [HARTLEPOOL_VIEW]},
        {
            "level": {"code": "NAT", "label": "National"},
            "options": [{"id": "…", "label": "England", "code": "E92000001"}],
        },
        {
            "level": {"code": "REG", "label": "Regional"},
            "options": [
                {"id": "…", "label": "North East", "code": "E12000001"},
                {"id": "…", "label": "North West", "code": "E12000002"},
            ],
        },
    ],
    "timePeriods": [year("2020/2021", "2020/21"), year("2021/2022", "2021/22"), year("2022/2023", "2022/23")],
}
EMPTY_META = {"filters": [], "indicators": [], "geographicLevels": [], "locations": [], "timePeriods": []}


def only(*sections):
    return {**EMPTY_META, **{section: META_OF_PATCH[section] for section in sections}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/data-sets/{ID}", DATA_SET),
        (f"/data-sets/{ID}/versions/1.0", WITHDRAWN_VERSION),
        (f"/data-sets/{ID}/versions/1.1.1", PATCH_VERSION),
        (f"/publications/{PUBLICATION_ID}", PUBLICATION),
        (f"/data-sets/{ID}/versions/1.0/changes", NO_CHANGES),
        (f"/data-sets/{ID}/versions/1.1/changes", {**MINOR_CHANGES, "patchHistory": []}),
        (f"/data-sets/{ID}/versions/1.1/changes?includePatchHistory=false", {**MINOR_CHANGES, "patchHistory": []}),
        (f"/data-sets/{ID}/versions/1.1.1/changes", {**PATCH_CHANGES, "patchHistory": []}),
        (
            f"/data-sets/{ID}/versions/1.1.1/changes?includePatchHistory=true",
            {**PATCH_CHANGES, "patchHistory": [MINOR_CHANGES]},
        ),
        (f"/data-sets/{ID}/versions/2.0/changes", MAJOR_CHANGES),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1", META_OF_PATCH),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1&types=TimePeriods", only("timePeriods")),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1&types=Filters,Indicators", only("filters", "indicators")),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1&types=Filters&types=TimePeriods", only("filters", "timePeriods")),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1&types[0]=Filters", only("filters")),
        (f"/data-sets/{ID}/meta?dataSetVersion=1.1.1&types=Locations", only("geographicLevels", "locations")),
        (f"/publications/{UNKNOWN_ID}/data-sets", {"results": [], "paging": (1, 10, 0, 1)}),
        (f"/publications/{UNKNOWN_ID}/data-sets?pageSize=1", {"results": [], "paging": (1, 1, 0, 0)}),
        ("/publications", {"results": [PUBLICATION], "paging": (1, 20, 1, 1)}),
        ("/publications?search=demonstration-absence", {"results": [PUBLICATION], "paging": (1, 20, 1, 1)}),
        ("/publications?search=weather", {"results": [], "paging": (1, 20, 0, 1)}),
    ],
)
def test_each_endpoint_answers_with_exactly_this_body(api, path, body):
    if "paging" in body:
        body = {
            **body,
            "paging": dict(zip(("page", "pageSize", "totalResults", "totalPages"), body["paging"], strict=True)),
        }
    response = api.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["api-supported-versions"] == "1"
    assert without_ids(response.json()) == body


def test_a_publications_data_sets_are_the_open_ones_newest_first(api):
    body = api.get(f"/publications/{PUBLICATION_ID}/data-sets").json()
    assert body["results"][0] == DATA_SET
    assert [found["id"] for found in body["results"]] == [ID, DEPRECATED_ID]
    assert body["results"][1]["supersedingDataSetId"] == ID
    assert body["paging"] == {"page": 1, "pageSize": 10, "totalResults": 2, "totalPages": 1}


def test_the_versions_list_holds_withdrawn_versions_too(api):
    body = api.get(f"/data-sets/{ID}/versions").json()
    versions = {found["version"]: found for found in body["results"]}
    assert [found["version"] for found in body["results"]][::3] == ["2.0", "1.0"]
    assert versions.keys() == {"2.0", "1.1", "1.1.1", "1.0"}
    assert versions["1.0"] == WITHDRAWN_VERSION
    assert versions["1.1.1"] == PATCH_VERSION
    assert body["paging"] == {"page": 1, "pageSize": 10, "totalResults": 4, "totalPages": 1}


def test_pages_are_cut_from_one_list_and_end_in_an_empty_one(api):
    pages = [api.get(f"/data-sets/{ID}/versions", params={"page": n, "pageSize": 3}).json() for n in (1, 2, 3)]
    assert [len(page["results"]) for page in pages] == [3, 1, 0]
    assert pages[2]["paging"] == {"page": 3, "pageSize": 3, "totalResults": 4, "totalPages": 2}
    assert len({found["version"] for page in pages for found in page["results"]}) == 4


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/data-sets/{DEPRECATED_ID}", 200),
        (f"/data-sets/{DEPRECATED_ID}/versions", 200),
        (f"/data-sets/{DRAFT_ID}", 403),
        (f"/data-sets/{DRAFT_ID}/versions", 403),
        (f"/data-sets/{WITHDRAWN_ID}", 403),
        (f"/data-sets/{WITHDRAWN_ID}/versions", 403),
        (f"/data-sets/{WITHDRAWN_ID}/versions/1.0", 200),
        (f"/data-sets/{WITHDRAWN_ID}/versions/1.0/changes", 200),
        (f"/data-sets/{WITHDRAWN_ID}/meta", 200),
        (f"/data-sets/{WITHDRAWN_ID}/csv", 200),
        (f"/data-sets/{UNKNOWN_ID}", 404),
        (f"/data-sets/{UNKNOWN_ID}/versions", 404),
        (f"/data-sets/{UNKNOWN_ID}/versions/1.0", 404),
        (f"/data-sets/{UNKNOWN_ID}/versions/1.0/changes", 404),
        (f"/data-sets/{UNKNOWN_ID}/meta", 404),
        (f"/data-sets/{UNKNOWN_ID}/csv", 404),
        (f"/data-sets/{ID}/versions/3.0", 404),
        (f"/data-sets/{ID}/versions/nonsense", 404),
        (f"/publications/{UNKNOWN_ID}", 404),
        (f"/data-sets/{ID}/versions/1.1/changes?includePatchHistory=false", 200),
    ],
)
def test_the_gate_of_the_data_set_guards_only_summary_and_list(api, path, status):
    assert api.get(path).status_code == status


TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00")
PROBLEM = "https://tools.ietf.org/html/rfc9110#section-15.5."


@pytest.mark.parametrize(
    ("path", "status", "section", "title"),
    [(f"/data-sets/{DRAFT_ID}", 403, "4", "Forbidden"), (f"/data-sets/{UNKNOWN_ID}", 404, "5", "Not Found")],
)
def test_refusals_are_problems_with_a_trace(api, path, status, section, title):
    body = api.get(path).json()
    assert TRACE.fullmatch(body.pop("traceId"))
    assert body == {"type": f"{PROBLEM}{section}", "title": title, "status": status}


def unknown(path):
    message = "The field was not expected in the request and should be removed."
    return {"message": message, "path": path, "code": "UnknownField"}


def invalid(path):
    message = "Must be a valid value. Check that the type and format are correct."
    return {"message": message, "path": path, "code": "InvalidValue"}


def size(value, most):
    return {
        "message": f"Must be between 1 and {most} (inclusive).",
        "path": "pageSize",
        "code": "InclusiveBetween",
        "detail": {"from": 1, "to": most, "value": value},
    }


def page(value):
    return {
        "message": "Must be greater than or equal to '1'.",
        "path": "page",
        "code": "GreaterThanOrEqual",
        "detail": {"comparisonValue": 1, "value": value},
    }


def section(value, index=0):
    return {
        "message": "Must be one of the allowed values.",
        "path": f"types[{index}]",
        "code": "AllowedValue",
        "detail": {"value": value, "allowed": ["Filters", "Indicators", "Locations", "TimePeriods"]},
    }


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        *((f"{path}?foo=1", [unknown("foo")]) for path in (
            "/publications",
            f"/publications/{PUBLICATION_ID}",
            f"/publications/{PUBLICATION_ID}/data-sets",
            f"/data-sets/{ID}",
            f"/data-sets/{ID}/versions",
            f"/data-sets/{ID}/versions/1.0",
            f"/data-sets/{ID}/versions/1.0/changes",
            f"/data-sets/{ID}/meta",
            f"/data-sets/{ID}/csv",
        )),
        (f"/data-sets/{ID}?a=1&b=2", [unknown("a"), unknown("b")]),
        (f"/data-sets/{ID}/versions?pageSize=21", [size(21, 20)]),
        (f"/data-sets/{ID}/versions?pageSize=0", [size(0, 20)]),
        (f"/data-sets/{ID}/versions?page=0", [page(0)]),
        (f"/data-sets/{ID}/versions?page=-1&pageSize=50", [page(-1), size(50, 20)]),
        (f"/data-sets/{ID}/versions?page=one", [invalid("page")]),
        (f"/data-sets/{ID}/versions?page=99999999999", [invalid("page")]),
        (f"/data-sets/{ID}/versions?page=1.5&pageSize=50", [invalid("page")]),
        (f"/publications/{PUBLICATION_ID}/data-sets?pageSize=21", [size(21, 20)]),
        ("/publications?pageSize=41", [size(41, 40)]),
        ("/publications?search=ab", [{
            "message": "Must be at least 3 characters (was 2).",
            "path": "search",
            "code": "MinimumLength",
            "detail": {"minLength": 3, "totalLength": 2, "value": "ab"},
        }]),
        (f"/data-sets/{ID}/meta?types=filters", [section("filters")]),
        (f"/data-sets/{ID}/meta?types=Filters,Nothing", [section("Nothing", 1)]),
        (f"/data-sets/{ID}/versions/1.1.1/changes?includePatchHistory=maybe", [invalid("includePatchHistory")]),
        (f"/data-sets/{UNKNOWN_ID}/versions?pageSize=50", [size(50, 20)]),
        (f"/data-sets/{UNKNOWN_ID}/csv?foo=1", [unknown("foo")]),
        (f"/data-sets/{DRAFT_ID}?foo=1", [unknown("foo")]),
    ],
)  # fmt: skip
def test_parameters_are_checked_before_anything_is_looked_up(api, path, errors):
    response = api.get(path)
    body = response.json()
    assert response.status_code == 400
    assert TRACE.fullmatch(body.pop("traceId"))
    assert body == {
        "type": f"{PROBLEM}1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": errors,
    }


@pytest.mark.parametrize(
    "path",
    [
        f"/publications?pageSize=40&search= {'abs'}",
        f"/data-sets/{ID}/versions?pageSize=20",
        f"/data-sets/{ID}/meta?dataSetVersion=",
    ],
)
def test_values_at_their_bounds_are_fine(api, path):
    assert api.get(path).status_code == 200


def test_patch_history_of_a_two_part_version_breaks_the_service(api):
    for version in ("1.0", "1.1", "2.0", "*"):
        response = api.get(f"/data-sets/{ID}/versions/{version}/changes", params={"includePatchHistory": "TRUE"})
        assert (response.status_code, response.content) == (500, b"")


@pytest.mark.parametrize("path", ["/data-sets/nonsense", "/data-sets/123/versions", "/publications/x", "/nowhere", "/"])
def test_what_matches_no_route_is_an_empty_404(api, path):
    response = api.get(path)
    assert (response.status_code, response.content) == (404, b"")
    assert "api-supported-versions" not in response.headers


def test_nothing_is_served_beside_the_prefix_and_both_spellings_of_version_one_are(sandbox):
    host = sandbox.url.removesuffix("/statistics")
    assert httpx.get(f"{host}/v1/data-sets/{ID}").status_code == 404
    assert httpx.get(f"{sandbox.url}/v2/data-sets/{ID}").status_code == 404
    assert httpx.get(f"{sandbox.url}/v1.0/data-sets/{ID}").json() == DATA_SET
    assert httpx.get(f"{sandbox.url}/v1/data-sets/{ID}/").json() == DATA_SET


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [f"/data-sets/{ID}", f"/data-sets/{ID}/csv", "/publications"])
def test_only_get_is_mapped(api, method, path):
    response = api.request(method, path)
    assert (response.status_code, response.content, response.headers["allow"]) == (405, b"", "GET")


def test_an_upper_case_path_is_sent_on_to_its_lower_cased_form_with_its_query(api, sandbox):
    response = api.get(f"/Data-Sets/{ID.upper()}/csv?dataSetVersion=V1.0&x=%2A")
    assert response.status_code == 308
    assert response.headers["location"] == f"{sandbox.url}/v1/data-sets/{ID}/csv?dataSetVersion=V1.0&x=%2A"
    assert api.get(f"/data-sets/{ID.upper()}", follow_redirects=True).json() == DATA_SET


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.5", 200),
        ("text/csv, */*;q=0.1", 200),
        ("", 200),
        ("text/csv", 406),
        ("text/html", 406),
        ("application/problem+json", 406),
        ("application/json;q=0", 406),
    ],
)
def test_json_needs_an_accept_that_admits_it(api, accept, status):
    response = api.get(f"/data-sets/{ID}", headers={"accept": accept})
    assert response.status_code == status
    assert bool(response.content) is (status == 200)


@pytest.mark.parametrize(
    ("accept", "version", "status", "media_type"),
    [
        ("text/csv", "2.0", 200, "text/csv"),
        ("application/json", "2.0", 200, "text/csv"),
        ("text/csv", "3.0", 406, None),
        ("*/*", "3.0", 404, "application/problem+json; charset=utf-8"),
        ("text/csv, application/json;q=0.9", "3.0", 404, "application/problem+json; charset=utf-8"),
    ],
)
def test_the_csv_ignores_accept_but_its_errors_do_not(api, accept, version, status, media_type):
    response = api.get(f"/data-sets/{ID}/csv", params={"dataSetVersion": version}, headers={"accept": accept})
    assert (response.status_code, response.headers.get("content-type")) == (status, media_type)


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("br, gzip", True), ("*", True), ("gzip;q=0.5", True), ("identity", False), ("gzip;q=0", False)],
)
def test_json_is_compressed_for_clients_that_take_gzip(sandbox, accepted, compressed):
    url = f"{sandbox.url}/v1/data-sets/{ID}"
    with httpx.stream("GET", url, headers={"accept-encoding": accepted}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["vary"] == "Accept-Encoding"
    assert (response.headers.get("content-encoding") == "gzip") is compressed
    assert (gzip.decompress(raw) if compressed else raw).startswith(b'{"id"')


@pytest.mark.parametrize("path", [f"/data-sets/{ID}", f"/data-sets/{ID}/versions", f"/data-sets/{ID}/csv"])
def test_nothing_lets_a_client_poll_cheaply(api, path):
    first = api.get(path)
    assert not {"etag", "last-modified", "cache-control", "expires", "accept-ranges"} & first.headers.keys()
    again = api.get(path, headers={"if-none-match": "*", "if-modified-since": first.headers["date"]})
    assert again.status_code == 200
