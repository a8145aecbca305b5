"""``/query`` of the stand-in API, GET and POST, against what contract §7 says of it.

What a query should give is worked out here from the rows themselves, by conditions written in Python.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import product

import httpx
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline_tests.publisher import Edition, answering, describe, id_of, quoted

COLUMNS = [
    "time_period", "time_identifier", "geographic_level", "country_code", "country_name", "region_code",
    "region_name", "new_la_code", "old_la_code", "la_name", "phase", "sex", "rate", "pupils",
]  # fmt: skip
ENGLAND, NORTH_EAST = ("E92000001", "England"), ("E12000001", "North East")
PLACES = [
    ("National", *ENGLAND, "", "", "", "", ""),
    ("Regional", *ENGLAND, *NORTH_EAST, "", "", ""),
    ("Local authority", *ENGLAND, *NORTH_EAST, "E06000001", "805", "Hartlepool"),
    ("Local authority", *ENGLAND, *NORTH_EAST, "E06000002", "", "Middlesbrough"),  # no old code: no place (§5.4)
    ("Local authority", *ENGLAND, *NORTH_EAST, "E06000001", "806", "Hartlepool and Seaton"),  # the same code again
]
PERIODS = [("202122", "Academic year"), ("202223", "Academic year"), ("2022", "Calendar year"), ("2022", "January")]
CODES = {"Academic year": "AY", "Calendar year": "CY", "January": "M1"}
LEVELS = {"National": "NAT", "Regional": "REG", "Local authority": "LA"}
CELLS = ["5.90", "10", "9", "c", "z", "100", "low", "0", "-1.5", "~"]


def rows() -> list[dict[str, str]]:
    made = []
    for number, ((period, identifier), place, phase, sex) in enumerate(
        product(PERIODS, PLACES, ["Primary", "Secondary", "Total"], ["Boys", "Girls", ""])
    ):
        cells = (period, identifier, *place, phase, sex, CELLS[number % 10], CELLS[number * 7 % 9])
        made.append(dict(zip(COLUMNS, cells, strict=True)))
    return made


ROWS = rows()


class Served:
    """A running sandbox with the rows above as version 1.0, and words for its ids."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.url = f"{sandbox.url}/v1/data-sets/{id_of('q')}"
        self.meta = httpx.get(f"{self.url}/meta", params={"dataSetVersion": "1.0"}).json()

    def get(self, **params: object) -> httpx.Response:
        return httpx.get(f"{self.url}/query", params={"dataSetVersion": "1.0", **params})

    def post(self, body: object = None, **more: object) -> httpx.Response:
        return httpx.post(f"{self.url}/query", params={"dataSetVersion": "1.0"}, json=body, **more)

    def all(self, body: dict[str, object]) -> list[dict[str, object]]:
        answer = self.post({"pageSize": 10000, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def option(self, label: str) -> str:
        (found,) = [o["id"] for f in self.meta["filters"] for o in f["options"] if o["label"] == label]
        return found

    def filter(self, column: str) -> str:
        return next(f["id"] for f in self.meta["filters"] if f["column"] == column)

    def indicator(self, column: str) -> str:
        return next(i["id"] for i in self.meta["indicators"] if i["column"] == column)

    def place(self, level: str, label: str) -> str:
        groups = {group["level"]["code"]: group["options"] for group in self.meta["locations"]}
        return next(place["id"] for place in groups[level] if place["label"] == label)

    def resolved(self, value: object) -> object:
        """Labels between ``<`` and ``>`` as ids: ``<Primary>``, ``<LA Hartlepool>``."""
        match value:
            case dict():
                return {key: self.resolved(item) for key, item in value.items()}
            case list():
                return [self.resolved(item) for item in value]
            case str() if value.startswith("<"):
                level, _, label = value[1:-1].partition(" ")
                return self.place(level, label) if level in LEVELS.values() else self.option(value[1:-1])
        return value

    def told(self, results: list[dict[str, object]]) -> Counter[tuple[str, ...]]:
        """Results in words, as :func:`words` gives them."""
        options = {o["id"]: o["label"] for f in self.meta["filters"] for o in f["options"]}
        rate, pupils, phase, sex = (
            self.indicator("rate"), self.indicator("pupils"), self.filter("phase"), self.filter("sex"),
        )  # fmt: skip
        return Counter(
            (
                f"{row['timePeriod']['period']} {row['timePeriod']['code']}",
                row["geographicLevel"],
                " ".join(sorted(row["locations"].values())),
                options.get(row["filters"].get(phase, ""), ""),
                options.get(row["filters"].get(sex, ""), ""),
                row["values"][rate],
                row["values"][pupils],
            )
            for row in results
        )

    def words(self, row: dict[str, str]) -> tuple[str, ...]:
        """A row of ours as ``/query`` should tell it; places by id, incomplete ones left out."""
        period = row["time_period"]
        places = [self.place("NAT", "England")]
        if row["region_name"]:
            places.append(self.place("REG", "North East"))
        if row["old_la_code"]:
            places.append(self.place("LA", row["la_name"]))
        shown = f"{period[:4]}/20{period[4:]}" if len(period) == 6 else period
        return (
            f"{shown} {CODES[row['time_identifier']]}", LEVELS[row["geographic_level"]], " ".join(sorted(places)),
            row["phase"], row["sex"], row["rate"], row["pupils"],
        )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    table = quoted([COLUMNS, *([row[column] for column in COLUMNS] for row in ROWS)])
    describe(
        root,
        "q",
        Edition("1.0", table),
        Edition("1.0.1", table, {"status": "Deprecated"}),
        Edition("1.0.2", table, {"status": "Withdrawn"}),
        Edition("1.0.3", table, {"status": "Draft", "preview_token": "11111111-2222-3333-4444-555555555555"}),
        Edition("1.1", table.replace("Academic year", "academic year")),
        Edition("1.2", table.replace("National", "NATIONAL")),
        filters=[{"column": "phase", "label": "Phase"}, {"column": "sex", "label": "Sex"}],
        indicators=[{"column": "rate", "label": "Rate"}, {"column": "pupils", "label": "Pupils"}],
    )
    with Sandbox(root) as sandbox:
        yield Served(sandbox)


def later(row, *, than):
    """Chronology is period text, then the kind's place in the publisher's list (AY, CY, then months)."""
    order = {"Academic year": 4, "Calendar year": 9, "January": 79}
    key = lambda period, kind: (f"{period[:4]}/20{period[4:]}" if len(period) == 6 else period, order[kind])  # noqa: E731
    return key(row["time_period"], row["time_identifier"]) > key(*than)


AY22 = ("202223", "Academic year")
HARTLEPOOL = {"level": "LA", "id": "<LA Hartlepool>"}
CRITERIA = {
    "nothing": ({}, lambda r: True),
    "filter eq": ({"filters": {"eq": "<Primary>"}}, lambda r: r["phase"] == "Primary"),
    "filter notEq takes empty cells too": ({"filters": {"notEq": "<Girls>"}}, lambda r: r["sex"] != "Girls"),
    "filter in over two filters is or": (
        {"filters": {"in": ["<Primary>", "<Girls>"]}},
        lambda r: r["phase"] == "Primary" or r["sex"] == "Girls",
    ),
    "filter notIn over two filters is and": (
        {"filters": {"notIn": ["<Primary>", "<Girls>"]}},
        lambda r: r["phase"] != "Primary" and r["sex"] != "Girls",
    ),
    "eq and in must both hold": (
        {"filters": {"eq": "<Boys>", "in": ["<Primary>", "<Total>"]}},
        lambda r: r["sex"] == "Boys" and r["phase"] in {"Primary", "Total"},
    ),
    "level": ({"geographicLevels": {"eq": "LA"}}, lambda r: r["geographic_level"] == "Local authority"),
    "levels not": ({"geographicLevels": {"notIn": ["LA", "NAT"]}}, lambda r: r["geographic_level"] == "Regional"),
    "a place does not limit the level": (
        {"locations": {"eq": {"level": "REG", "id": "<REG North East>"}}},
        lambda r: r["region_name"] == "North East",
    ),
    "a code means the first place that has it": (
        {"locations": {"eq": {"level": "LA", "code": "E06000001"}}},
        lambda r: r["la_name"] == "Hartlepool",
    ),
    "old code": (
        {"locations": {"eq": {"level": "LA", "oldCode": "806"}}},
        lambda r: r["la_name"] == "Hartlepool and Seaton",
    ),
    "not a place": ({"locations": {"notEq": HARTLEPOOL}}, lambda r: r["la_name"] != "Hartlepool"),
    "places of two levels": (
        {"locations": {"in": [HARTLEPOOL, {"level": "NAT", "code": "E92000001"}]}},
        lambda r: True,
    ),
    "a bare year of an academic kind": (
        {"timePeriods": {"eq": {"period": "2022", "code": "AY"}}},
        lambda r: (r["time_period"], r["time_identifier"]) == AY22,
    ),
    "periods in": (
        {"timePeriods": {"in": [{"period": "2022/2023", "code": "AY"}, {"period": "2022", "code": "M1"}]}},
        lambda r: (r["time_period"], r["time_identifier"]) in {AY22, ("2022", "January")},
    ),
    "periods gt": (
        {"timePeriods": {"gt": {"period": "2022", "code": "CY"}}},
        lambda r: later(r, than=("2022", "Calendar year")),
    ),
    "periods gte and lt": (
        {"timePeriods": {"gte": {"period": "2022", "code": "CY"}, "lt": {"period": "2022/2023", "code": "AY"}}},
        lambda r: r["time_identifier"] in {"Calendar year", "January"},
    ),
    "periods lte": (
        {"timePeriods": {"lte": {"period": "2022", "code": "M1"}}},
        lambda r: not later(r, than=("2022", "January")),
    ),
    "facets of several kinds must all hold": (
        {"filters": {"eq": "<Total>"}, "geographicLevels": {"eq": "NAT"},
         "timePeriods": {"eq": {"period": "2022", "code": "CY"}}},
        lambda r: (r["phase"], r["geographic_level"], r["time_identifier"]) == ("Total", "National", "Calendar year"),
    ),
    "and": (
        {"and": [{"filters": {"eq": "<Primary>"}}, {"filters": {"eq": "<Girls>"}}]},
        lambda r: (r["phase"], r["sex"]) == ("Primary", "Girls"),
    ),
    "or": (
        {"or": [{"filters": {"eq": "<Primary>"}}, {"geographicLevels": {"eq": "NAT"}}]},
        lambda r: r["phase"] == "Primary" or r["geographic_level"] == "National",
    ),
    "not means none of its parts": (
        {"not": {"filters": {"eq": "<Primary>"}, "geographicLevels": {"eq": "NAT"}}},
        lambda r: r["phase"] != "Primary" and r["geographic_level"] != "National",
    ),
    "not over and is of the whole": (
        {"not": {"and": [{"filters": {"eq": "<Primary>"}}, {"geographicLevels": {"eq": "NAT"}}]}},
        lambda r: not (r["phase"] == "Primary" and r["geographic_level"] == "National"),
    ),
    "nested": (
        {"or": [{"and": [{"filters": {"eq": "<Total>"}}, {"not": {"filters": {"in": ["<Boys>", "<Girls>"]}}}]},
                {"and": [{"geographicLevels": {"eq": "REG"}}]}]},
        lambda r: (r["phase"] == "Total" and not r["sex"]) or r["geographic_level"] == "Regional",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_choose_rows(served, name):
    criteria, holds = CRITERIA[name]
    expected = Counter(served.words(row) for row in ROWS if holds(row))
    assert expected
    answered = served.told(served.all({"criteria": served.resolved(criteria)}))
    assert answered == expected


def as_parameters(criteria: dict[str, object]) -> dict[str, str]:
    """Plain criteria as a GET spells them."""

    def text(item: object) -> str:
        match item:
            case {"level": level, **rest}:
                return "|".join([level, *next(iter(rest.items()))])
            case {"period": period, "code": code}:
                return f"{period}|{code}"
            case list():
                return ",".join(map(text, item))
        return str(item)

    return {f"{facet}.{name}": text(item) for facet, given in criteria.items() for name, item in given.items()}


@pytest.mark.parametrize(
    "name", [name for name, (given, _) in CRITERIA.items() if not given.keys() & {"and", "or", "not"}]
)
def test_a_get_gives_what_a_post_gives(served, name):
    criteria = served.resolved(CRITERIA[name][0])
    by_get = served.get(**as_parameters(criteria), pageSize=10000)
    assert by_get.status_code == 200, by_get.text
    assert by_get.json()["results"] == served.all({"criteria": criteria})
    assert by_get.json()["warnings"] == []


def test_lists_in_a_get_may_be_spelt_in_three_ways(served):
    ids = [served.option("Primary"), served.option("Girls")]
    spellings = [{"filters.in": ",".join(ids)}, {"filters.in": ids}, {f"filters.in[{n}]": i for n, i in enumerate(ids)}]
    totals = [served.get(**spelling).json()["paging"]["totalResults"] for spelling in spellings]
    assert len(set(totals)) == 1


def test_a_row_is_ids_and_texts_and_lacks_what_is_empty(served):
    answer = served.all({"criteria": served.resolved(
        {"and": [{"filters": {"eq": "<Total>"}, "geographicLevels": {"eq": "LA"},
                  "timePeriods": {"eq": {"period": "2022", "code": "M1"}}},
                 {"not": {"filters": {"in": ["<Boys>", "<Girls>"]},
                           "locations": {"in": [HARTLEPOOL, {"level": "LA", "oldCode": "806"}]}}}]}
    )})  # fmt: skip
    (own,) = [row for row in ROWS if (row["la_name"], row["phase"], row["sex"], row["time_identifier"]) ==
              ("Middlesbrough", "Total", "", "January")]  # fmt: skip
    assert answer == [
        {
            "timePeriod": {"code": "M1", "period": "2022"},
            "geographicLevel": "LA",
            "locations": {"NAT": served.place("NAT", "England"), "REG": served.place("REG", "North East")},
            "filters": {served.filter("phase"): served.option("Total")},
            "values": {served.indicator("rate"): own["rate"], served.indicator("pupils"): own["pupils"]},
        }
    ]


def test_debug_says_what_ids_stand_for(served):
    body = {
        "debug": True,
        "criteria": served.resolved({"filters": {"eq": "<Girls>"}, "locations": {"eq": HARTLEPOOL}}),
        "pageSize": 1,
        "indicators": [served.indicator("rate")],
    }
    answer = served.post(body).json()
    (row,) = answer["results"]
    assert row["locations"] == {
        "NAT": f"{served.place('NAT', 'England')} :: England (code = E92000001)",
        "REG": f"{served.place('REG', 'North East')} :: North East (code = E12000001)",
        "LA": f"{served.place('LA', 'Hartlepool')} :: Hartlepool (code = E06000001, oldCode = 805)",
    }
    assert row["filters"][f"{served.filter('sex')} :: sex"] == f"{served.option('Girls')} :: Girls"
    assert list(row["values"]) == [f"{served.indicator('rate')} :: rate"]
    assert answer["warnings"] == [
        {
            "message": "Debug mode is enabled. Do not enable debug mode in a production environment.",
            "code": "DebugEnabled",
        }
    ]


NOWHERE = {"level": "LA", "id": "nobody"}
LONG_AGO = {"period": "1999", "code": "CY"}
UNKNOWN = {
    "filters.eq": ({"filters": {"eq": "nobody"}}, "FiltersNotFound", ["nobody"], 0),
    "filters.notEq": ({"filters": {"notEq": "nobody"}}, "FiltersNotFound", ["nobody"], len(ROWS)),
    "filters.in": ({"filters": {"in": ["nobody", "<Girls>"]}}, "FiltersNotFound", ["nobody"], len(ROWS) // 3),
    "locations.eq": ({"locations": {"eq": NOWHERE}}, "LocationsNotFound", [NOWHERE], 0),
    "locations.notIn": ({"locations": {"notIn": [NOWHERE]}}, "LocationsNotFound", [NOWHERE], len(ROWS)),
    "timePeriods.gt": ({"timePeriods": {"gt": LONG_AGO}}, "TimePeriodsNotFound", [LONG_AGO], 0),
    "timePeriods.notEq": ({"timePeriods": {"notEq": LONG_AGO}}, "TimePeriodsNotFound", [LONG_AGO], len(ROWS)),
    "geographicLevels.eq": ({"geographicLevels": {"eq": "SCH"}}, "GeographicLevelsNotFound", ["SCH"], 0),
}


@pytest.mark.parametrize("path", UNKNOWN)
def test_what_is_unknown_is_warned_of_and_makes_its_comparison_false(served, path):
    criteria, code, items, total = UNKNOWN[path]
    answer = served.post({"criteria": served.resolved(criteria), "pageSize": 1})
    assert answer.status_code == 200
    body = answer.json()
    warning, *more = body["warnings"]
    assert (warning["code"], warning["path"], warning["detail"]) == (code, f"criteria.{path}", {"items": items})
    assert body["paging"]["totalResults"] == total
    assert [item["code"] for item in more] == ([] if total else ["QueryNoResults"])


def test_warnings_of_a_get_name_parameters_and_spell_items_as_they_came(served):
    answer = served.get(**{"locations.eq": "LA|id|nobody", "timePeriods.eq": "1999|CY"}).json()
    assert [(item["path"], item["detail"]["items"]) for item in answer["warnings"][:2]] == [
        ("locations.eq", ["LA|id|nobody"]),
        ("timePeriods.eq", ["1999|CY"]),
    ]


def test_a_warning_inside_and_or_not_says_where(served):
    criteria = {"and": [{"filters": {"eq": "x"}}, {"or": [{"not": {"filters": {"in": ["y"]}}}]}]}
    answer = served.post({"criteria": criteria}).json()
    assert [item.get("path") for item in answer["warnings"]] == [
        "criteria.and[0].filters.eq",
        "criteria.and[1].or[0].not.filters.in",
        None,
    ]


def test_no_indicators_in_a_post_give_rows_without_values(served):
    assert {json.dumps(row["values"]) for row in served.all({"indicators": []})} == {"{}"}
    assert {len(row["values"]) for row in served.all({"indicators": [served.indicator("rate")]})} == {1}


# --- order and pages --------------------------------------------------------------------------------------------------


def test_the_newest_period_comes_first_and_pages_make_a_whole(served):
    order = [(row["timePeriod"]["period"], row["timePeriod"]["code"]) for row in served.all({})]
    assert list(dict.fromkeys(order)) == [("2022/2023", "AY"), ("2022", "M1"), ("2022", "CY"), ("2021/2022", "AY")]
    assert len(order) == len(ROWS) == 180
    whole = served.all({})
    pages = [served.post({"page": page, "pageSize": 50}).json() for page in (1, 2, 3, 4, 5)]
    assert [row for page in pages for row in page["results"]] == whole
    assert [len(page["results"]) for page in pages] == [50, 50, 50, 30, 0]
    assert pages[3]["paging"] == {"page": 4, "pageSize": 50, "totalResults": 180, "totalPages": 4}


def test_a_thousand_rows_are_a_page_unless_said_otherwise(served):
    assert served.post().json()["paging"] == {"page": 1, "pageSize": 1000, "totalResults": 180, "totalPages": 1}
    assert served.get().json()["paging"]["pageSize"] == 1000


def test_row_order_is_not_that_of_the_file(served):
    assert served.told(served.all({})) == Counter(map(served.words, ROWS))
    assert [next(iter(served.told([row]))) for row in served.all({})] != list(map(served.words, ROWS))


@pytest.mark.parametrize("direction", ["Asc", "Desc"])
def test_indicators_are_sorted_as_text(served, direction):
    field = f"indicator|{served.indicator('rate')}"
    found = [
        row["values"][served.indicator("rate")]
        for row in served.all({"sorts": [{"field": field, "direction": direction}]})
    ]
    assert found == sorted(found, reverse=direction == "Desc")
    assert sorted(set(found))[:4] == ["-1.5", "0", "10", "100"]


def test_filters_are_sorted_by_label_and_empty_comes_first(served):
    sex, options = served.filter("sex"), {served.option(label): label for label in ("Boys", "Girls")}
    rows = served.all({"sorts": [{"field": f"filter|{sex}", "direction": "Asc"}]})
    assert list(dict.fromkeys(options.get(row["filters"].get(sex), "") for row in rows)) == ["", "Boys", "Girls"]


def test_levels_are_sorted_by_label_and_a_second_sort_decides_ties(served):
    sorts = [{"field": "geographicLevel", "direction": "Desc"}, {"field": "timePeriod", "direction": "Asc"}]
    rows = served.all({"sorts": sorts})
    assert list(dict.fromkeys(row["geographicLevel"] for row in rows)) == ["REG", "NAT", "LA"]
    assert rows[0]["timePeriod"] == {"code": "AY", "period": "2021/2022"}


# --- refusals ---------------------------------------------------------------------------------------------------------

BODIES = {
    "unknown property": ({"criterias": {}}, "criterias", "UnknownField"),
    "unknown facet": ({"criteria": {"filter": {"eq": "x"}}}, "criteria.filter", "UnknownField"),
    "facets beside and": ({"criteria": {"and": [{}], "filters": {}}}, "criteria.filters", "UnknownField"),
    "deep unknown": (
        {"criteria": {"and": [{"filters": {"equals": "x"}}]}}, "criteria.and[0].filters.equals", "UnknownField",
    ),
    "place without level": ({"criteria": {"locations": {"eq": {"id": "x"}}}}, "criteria.locations.eq", "InvalidValue"),
    "place without id": (
        {"criteria": {"locations": {"eq": {"level": "LA"}}}}, "criteria.locations.eq.id", "RequiredValue",
    ),
    "period without code": (
        {"criteria": {"timePeriods": {"eq": {"period": "2020"}}}}, "criteria.timePeriods.eq.code", "RequiredValue",
    ),
    "wrong type": ({"page": "one"}, "page", "InvalidValue"),
    "fraction": ({"pageSize": 1.5}, "pageSize", "InvalidValue"),
    "page": ({"page": 0}, "page", "GreaterThanOrEqual"),
    "page size": ({"pageSize": 10001}, "pageSize", "InclusiveBetween"),
    "empty list": ({"criteria": {"filters": {"in": []}}}, "criteria.filters.in", "NotEmpty"),
    "empty id": ({"criteria": {"filters": {"in": ["x", ""]}}}, "criteria.filters.in[1]", "NotEmpty"),
    "long id": ({"criteria": {"filters": {"eq": "x" * 11}}}, "criteria.filters.eq", "MaximumLength"),
    "long indicator": ({"indicators": ["x" * 41]}, "indicators[0]", "MaximumLength"),
    "level": (
        {"criteria": {"geographicLevels": {"eq": "Local authority"}}}, "criteria.geographicLevels.eq", "AllowedValue",
    ),
    "place's level": (
        {"criteria": {"locations": {"eq": {"level": "XX", "id": "x"}}}}, "criteria.locations.eq.level", "AllowedValue",
    ),
    "long code": (
        {"criteria": {"locations": {"eq": {"level": "LA", "oldCode": "1" * 21}}}},
        "criteria.locations.eq.oldCode", "MaximumLength",
    ),
    "period's code": (
        {"criteria": {"timePeriods": {"eq": {"period": "2020", "code": "ZZ"}}}},
        "criteria.timePeriods.eq.code", "TimePeriodAllowedCode",
    ),
    "a range of calendar years": (
        {"criteria": {"timePeriods": {"eq": {"period": "2020/2021", "code": "CY"}}}},
        "criteria.timePeriods.eq.code", "TimePeriodAllowedCode",
    ),
    "year": (
        {"criteria": {"timePeriods": {"in": [{"period": "20", "code": "AY"}]}}},
        "criteria.timePeriods.in[0].period", "TimePeriodInvalidYear",
    ),
    "range": (
        {"criteria": {"timePeriods": {"gt": {"period": "2020/2022", "code": "AY"}}}},
        "criteria.timePeriods.gt.period", "TimePeriodInvalidYearRange",
    ),
    "direction": ({"sorts": [{"field": "timePeriod", "direction": "asc"}]}, "sorts[0].direction", "AllowedValue"),
    "sorts": ({"sorts": []}, "sorts", "NotEmpty"),
    "unknown indicator": ({"indicators": ["nobody"]}, "indicators", "IndicatorsNotFound"),
    "unknown sort": ({"sorts": [{"field": "colour", "direction": "Asc"}]}, "sorts", "SortFieldsNotFound"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_refused_says_where_and_why(served, name):
    body, path, code = BODIES[name]
    answer = served.post(body)
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["title"] == "One or more validation errors occurred."
    assert [(error["path"], error["code"]) for error in problem["errors"]] == [(path, code)]


PARAMETERS = {
    "unknown": ({"filter": "x"}, "filter", "UnknownField"),
    "flag": ({"debug": "yes"}, "debug", "InvalidValue"),
    "page size": ({"pageSize": "10001"}, "pageSize", "InclusiveBetween"),
    "no indicators": ({"indicators": ""}, "indicators[0]", "NotEmpty"),
    "place's format": ({"locations.eq": "LA|E06000001"}, "locations.eq", "LocationFormat"),
    "place's level": ({"locations.eq": "ZZ|id|x"}, "locations.eq", "LocationAllowedLevel"),
    "place's property": ({"locations.eq": "RSC|code|x"}, "locations.eq", "LocationAllowedProperty"),
    "place's value": ({"locations.in": "LA|id|"}, "locations.in[0]", "LocationValueNotEmpty"),
    "place's length": ({"locations.eq": f"SCH|urn|{'1' * 21}"}, "locations.eq", "LocationValueMaxLength"),
    "period's format": ({"timePeriods.eq": "2020"}, "timePeriods.eq", "TimePeriodFormat"),
    "period's code": ({"timePeriods.gt": "2020|YY"}, "timePeriods.gt", "TimePeriodAllowedCode"),
    "sort's format": ({"sorts": "timePeriod"}, "sorts[0]", "SortFormat"),
    "sort's direction": ({"sorts": "timePeriod|Up"}, "sorts[0]", "SortDirection"),
    "sort's field": ({"sorts": f"{'x' * 41}|Asc"}, "sorts[0]", "SortFieldMaxLength"),
    "unknown sort": ({"sorts": "colour|Asc"}, "sorts", "SortFieldsNotFound"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_is_refused_says_where_and_why(served, name):
    params, path, code = PARAMETERS[name]
    answer = served.get(**params)
    assert answer.status_code == 400
    assert [(error["path"], error["code"]) for error in answer.json()["errors"]] == [(path, code)]


def test_an_indicator_that_is_not_asked_for_cannot_be_sorted_by(served):
    field = f"indicator|{served.indicator('pupils')}"
    body = {"indicators": [served.indicator("rate")], "sorts": [{"field": field, "direction": "Asc"}]}
    assert served.post(body).json()["errors"][0]["detail"] == {"items": [{"field": field, "direction": "Asc"}]}


def test_a_post_takes_no_parameter_but_the_version(served):
    answer = httpx.post(f"{served.url}/query?debug=true", json={})
    assert [error["code"] for error in answer.json()["errors"]] == ["UnknownField"]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", None, 200),
        (b"  ", "application/json", 200),
        (b'{"pageSize": "7", // a comment with "quotes"\n "page": 1 /* and another */}', "application/json", 200),
        (b'{"indicators": ["// no comment"]}', "application/json", 400),
        (b"{}", "application/json; charset=utf-8", 200),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"page": NaN}', "application/json", 400),
        (b'"\xff"', "application/json", 400),
        (b'{"indicators": ["' + b"x" * 131_072 + b'"]}', "application/json", 413),
    ],
)
def test_bodies(served, content, media_type, status):
    headers = {"content-type": media_type} if media_type else {}
    answer = httpx.post(f"{served.url}/query?dataSetVersion=1.0", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_criteria_that_say_nothing_cannot_be_combined(served):
    for criteria in ({"and": [{}, {}]}, {"not": {}}):
        answer = served.post({"criteria": criteria})
        assert (answer.status_code, answer.content) == (500, b"")


@pytest.mark.parametrize(
    ("version", "status"),
    [("1.0", 200), ("1.0.1", 200), ("1.0.2", 403), ("1.0.3", 403), ("9.9", 404), ("nonsense", 404), ("1.0.*", 200)],
)
def test_which_versions_are_open(served, version, status):
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{served.url}/query", params={"dataSetVersion": version})
        assert answer.status_code == status, method


def test_a_draft_opens_with_its_token(served):
    token = {"preview-token": "11111111-2222-3333-4444-555555555555"}
    assert httpx.get(f"{served.url}/query?dataSetVersion=1.0.3", headers=token).status_code == 200


def test_a_withdrawn_version_closes_while_it_is_looked_at_and_its_file_stays(served):
    served.sandbox.withdraw(id_of("q"), "1.0")
    try:
        assert served.get().status_code == 403
        assert httpx.get(f"{served.url}/csv?dataSetVersion=1.0").status_code == 200
        assert served.get(pageSize=0).status_code == 400  # what is asked is looked at first
    finally:
        served.sandbox.restore(id_of("q"), "1.0")
    assert served.get().status_code == 200


def test_rows_whose_period_has_capitals_of_its_own_are_lost(served):
    answer = httpx.get(f"{served.url}/query?dataSetVersion=1.1").json()
    assert answer["paging"]["totalResults"] == len(ROWS) // 2


def test_rows_whose_level_has_capitals_of_its_own_are_an_error(served):
    whole = httpx.get(f"{served.url}/query?dataSetVersion=1.2")
    assert (whole.status_code, whole.content) == (500, b"")
    assert httpx.get(f"{served.url}/query?dataSetVersion=1.2&geographicLevels.eq=LA").status_code == 200


def test_only_get_and_post(served):
    assert httpx.head(f"{served.url}/query").status_code == 405
    assert httpx.put(f"{served.url}/query").status_code == 405


def test_faults_of_the_wire_can_be_put_before_it(tmp_path):
    describe(tmp_path, "q", Edition("1.0", quoted([COLUMNS])))
    with Sandbox(tmp_path, middleware=[answering("/query", 504)]) as sandbox:
        assert httpx.get(f"{sandbox.url}/v1/data-sets/{id_of('q')}/query").status_code == 504
