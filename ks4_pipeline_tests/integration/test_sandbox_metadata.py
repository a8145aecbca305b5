"""What ``/meta`` and ``/changes`` are made of: options, places, periods, ids and how they live on (contract §4, §5)."""

import httpx
import pytest

from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.authoring import write_data_set

HTTP = httpx.Client(trust_env=False)
ID = "0f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
OTHER_ID = "1f3c9701-2ab4-7c55-8e1d-6b0a4f2d9c31"
TIME = {"time_period": "202021", "time_identifier": "Academic year", "geographic_level": "National"}
X = {"column": "x", "label": "X"}


def csv_of(*rows):
    """A CSV of rows given as dictionaries; the first says the columns."""
    lines = [list(rows[0]), *([row.get(column, "") for column in rows[0]] for row in rows)]
    return "".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines)


def served(tmp_path, *versions, name="set", data_set_id=ID, **keys):
    """A sandbox over a data set; each version is its CSV, or a pair of CSV and more keys of its entry."""
    pairs = [version if isinstance(version, tuple) else (version, {}) for version in versions]
    entries = [{"version": f"1.{n}", "file": f"{n}.csv", **more} for n, (_, more) in enumerate(pairs)]
    files = {f"{n}.csv": content for n, (content, _) in enumerate(pairs)}
    described = {"id": data_set_id, "title": "A set", "indicators": [X], **keys, "versions": entries}
    write_data_set(tmp_path / name, described, files)
    return Sandbox(tmp_path)


def meta(sandbox, version="1.0", data_set_id=ID):
    return HTTP.get(f"{sandbox.url}/v1/data-sets/{data_set_id}/meta", params={"dataSetVersion": version}).json()


def changes(sandbox, version="1.1"):
    body = HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/versions/{version}/changes").json()
    return body["majorChanges"], body["minorChanges"]


def ids(items, key="label"):
    return {item[key]: item["id"] for item in items}


def test_ids_are_sqids_of_one_counter_per_kind_so_kinds_collide(tmp_path):
    rows = [{**TIME, "country_code": "E9", "country_name": "England", "a": v, "b": v} for v in ("u", "v")]
    filters = [{"column": "a", "label": "A"}, {"column": "b", "label": "B"}]
    with served(tmp_path, csv_of(*rows), filters=filters, indicators=[X, {"column": "y", "label": "Y"}]) as sandbox:
        body = meta(sandbox)
    assert ids(body["filters"]) == {"A": "dP0Zw", "B": "O7CLF"}
    assert ids(body["indicators"]) == {"X": "dP0Zw", "Y": "O7CLF"}
    assert ids(body["filters"][0]["options"]) == {"u": "dP0Zw", "v": "O7CLF"}
    assert ids(body["filters"][1]["options"]) == {"u": "7zXob", "v": "pTSoj"}
    assert ids(body["locations"][0]["options"]) == {"England": "dP0Zw"}


def test_a_place_has_one_id_in_all_data_sets_and_other_items_do_not(tmp_path):
    england = {**TIME, "country_code": "E9", "country_name": "England", "a": "u"}
    filters = [{"column": "a", "label": "A"}]
    served(tmp_path, csv_of({**england, "country_name": "Wales"}, england), filters=filters)
    with served(tmp_path, csv_of(england), name="zz", data_set_id=OTHER_ID, filters=filters) as sandbox:
        one, other = meta(sandbox), meta(sandbox, data_set_id=OTHER_ID)
    assert ids(one["locations"][0]["options"])["England"] == ids(other["locations"][0]["options"])["England"]
    assert ids(one["filters"]) != ids(other["filters"])
    assert one["indicators"][0]["id"] != other["indicators"][0]["id"]


def test_ids_do_not_depend_on_what_is_asked_first(tmp_path):
    with served(
        tmp_path, csv_of({**TIME, "a": "u"}), csv_of({**TIME, "a": "v"}), filters=[{"column": "a", "label": "A"}]
    ) as one:
        forwards = [meta(one, version) for version in ("1.0", "1.1")]
    with Sandbox(tmp_path) as other:
        backwards = [meta(other, version) for version in ("1.1", "1.0")]
    assert forwards == backwards[::-1]


def test_options_are_the_distinct_cells_that_are_not_empty_in_order_of_label(tmp_path):
    labels = ["Total", "", "élan", "zebra", "Apple", "apple", "éclair", "Total", "007", " "]
    rows = [{**TIME, "a": label} for label in labels]
    with served(tmp_path, csv_of(*rows), filters=[{"column": "a", "label": "A"}]) as sandbox:
        options = meta(sandbox)["filters"][0]["options"]
    assert [option["label"] for option in options] == [" ", "007", "apple", "Apple", "éclair", "élan", "Total", "zebra"]


@pytest.mark.parametrize(("cells", "listed"), [("", ["E"]), (None, [])])
def test_a_filter_needs_its_column_but_no_cells(tmp_path, cells, listed):
    row = TIME if cells is None else {**TIME, "empty": cells}
    with served(tmp_path, csv_of(row), filters=[{"column": "empty", "label": "E"}]) as sandbox:
        assert [(found["label"], found["options"]) for found in meta(sandbox)["filters"]] == [
            (label, []) for label in listed
        ]


def test_filters_and_indicators_stand_in_order_of_label_and_leave_out_what_is_null(tmp_path):
    indicators = [
        {"column": "x", "label": "b", "unit": "%", "decimal_places": 0},
        {"column": "y", "label": "A"},
        {"column": "z", "label": "C", "unit": "string"},
    ]
    filters = [{"column": "q", "label": "Z", "hint": "why"}, {"column": "p", "label": "y"}]
    with served(tmp_path, csv_of({**TIME, "p": "1", "q": "1"}), filters=filters, indicators=indicators) as sandbox:
        body = meta(sandbox)
    assert [{key: value for key, value in item.items() if key != "id"} for item in body["indicators"]] == [
        {"column": "y", "label": "A"},
        {"column": "x", "label": "b", "unit": "%", "decimalPlaces": 0},
        {"column": "z", "label": "C", "unit": "string"},
    ]
    assert [(item["label"], item["hint"]) for item in body["filters"]] == [("y", ""), ("Z", "why")]


@pytest.mark.parametrize(
    ("level", "cells", "option"),
    [
        ("NAT", {"country_code": "E9", "country_name": "England"}, {"label": "England", "code": "E9"}),
        (
            "LA",
            {"new_la_code": "E06", "old_la_code": "007", "la_name": "Bath"},
            {"label": "Bath", "code": "E06", "oldCode": "007"},
        ),
        ("LA", {"new_la_code": "E06", "old_la_code": "", "la_name": "Bath"}, None),
        ("LA", {"new_la_code": "E06", "la_name": "Bath"}, None),
        ("PROV", {"provider_ukprn": "10000001", "provider_name": "College"}, {"label": "College", "ukprn": "10000001"}),
        ("RSC", {"rsc_region_lead_name": "South"}, {"label": "South"}),
        (
            "SCH",
            {"school_urn": "100000", "school_laestab": "8050001", "school_name": "School"},
            {"label": "School", "urn": "100000", "laEstab": "8050001"},
        ),
        ("MAT", {"trust_id": "T1", "trust_name": "Trust"}, {"label": "Trust", "code": "T1"}),
    ],
)
def test_each_kind_of_place_has_its_own_codes_and_an_incomplete_one_is_none(tmp_path, level, cells, option):
    with served(tmp_path, csv_of({**TIME, **cells})) as sandbox:
        (group,) = meta(sandbox)["locations"]
    assert group["level"]["code"] == level
    shown = [{key: value for key, value in found.items() if key != "id"} for found in group["options"]]
    assert shown == ([option] if option else [])


def test_levels_of_rows_and_levels_of_columns_are_two_things(tmp_path):
    row = {**TIME, "geographic_level": "Regional", "country_code": "E9", "country_name": "England", "region_code": ""}
    with served(tmp_path, csv_of(row)) as sandbox:
        body = meta(sandbox)
    assert body["geographicLevels"] == [{"code": "REG", "label": "Regional"}]
    assert [group["level"]["code"] for group in body["locations"]] == ["NAT", "REG"]


def test_time_periods_stand_in_text_order_of_code_then_period(tmp_path):
    cells = [
        ("2021", "January"),
        ("2020", "February"),
        ("2020", "October"),
        ("2020", "January"),
        ("2020", "Academic year"),
    ]
    rows = [{**TIME, "time_period": period, "time_identifier": identifier} for period, identifier in cells]
    with served(tmp_path, csv_of(*rows)) as sandbox:
        periods = meta(sandbox)["timePeriods"]
        version = HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/versions/1.0").json()
    assert [(period["code"], period["period"]) for period in periods] == [
        ("AY", "2020"), ("M1", "2020"), ("M1", "2021"), ("M10", "2020"), ("M2", "2020"),
    ]  # fmt: skip
    assert periods[0]["label"] == "2020/21"
    assert version["timePeriods"] == {"start": "2020/21", "end": "2021 January"}


FILTER = [{"column": "a", "label": "A"}]


def test_what_matches_by_column_label_and_codes_keeps_its_id(tmp_path):
    place = {"country_code": "E9", "country_name": "England"}
    tables = [csv_of({**TIME, **place, "a": "u"}, {**TIME, **place, "a": label}) for label in ("v", "w")]
    with served(tmp_path, *tables, filters=FILTER) as sandbox:
        one, two = meta(sandbox, "1.0"), meta(sandbox, "1.1")
        major, minor = changes(sandbox)
    assert one["indicators"] == two["indicators"]
    assert one["locations"] == two["locations"]
    assert one["filters"][0]["options"][0] == two["filters"][0]["options"][0]
    assert one["filters"][0]["options"][1]["id"] != two["filters"][0]["options"][1]["id"]
    assert major["filterOptions"][0]["options"] == [{"previousState": {"id": "O7CLF", "label": "v"}}]
    assert minor["filterOptions"][0]["options"] == [{"currentState": {"id": "7zXob", "label": "w"}}]


def test_a_renamed_option_keeps_its_id_and_is_a_minor_change(tmp_path):
    more = {"renamed_options": [{"filter": "a", "from": "v", "to": "w"}]}
    tables = [csv_of({**TIME, "a": "u"}, {**TIME, "a": label}) for label in ("v", "w")]
    with served(tmp_path, tables[0], (tables[1], more), filters=FILTER) as sandbox:
        major, minor = changes(sandbox)
    assert major == {}
    assert minor["filterOptions"][0]["options"] == [
        {"currentState": {"id": "O7CLF", "label": "w"}, "previousState": {"id": "O7CLF", "label": "v"}}
    ]


def test_columns_that_say_what_they_were_keep_their_ids(tmp_path):
    more = {
        "filters": [{"column": "b", "label": "A", "was": "a"}],
        "indicators": [{"column": "y", "label": "X", "was": "x"}],
        "renamed_options": [{"filter": "a", "from": "u", "to": "U"}],
    }
    tables = csv_of({**TIME, "a": "u"}), (csv_of({**TIME, "b": "U"}), more)
    with served(tmp_path, *tables, filters=FILTER) as sandbox:
        one, two = meta(sandbox, "1.0"), meta(sandbox, "1.1")
        major, minor = changes(sandbox)
    assert one["filters"][0]["id"] == two["filters"][0]["id"]
    assert one["filters"][0]["options"][0]["id"] == two["filters"][0]["options"][0]["id"]
    assert one["indicators"][0]["id"] == two["indicators"][0]["id"]
    assert major == {}
    assert minor.keys() == {"filters", "filterOptions", "indicators"}


def test_a_renamed_column_without_a_word_is_another_filter_and_its_options_are_not_repeated(tmp_path):
    tables = csv_of({**TIME, "a": "u"}), (csv_of({**TIME, "b": "u"}), {"filters": [{"column": "b", "label": "B"}]})
    with served(tmp_path, *tables, filters=FILTER) as sandbox:
        major, minor = changes(sandbox)
    assert major == {"filters": [{"previousState": {"id": "dP0Zw", "column": "a", "label": "A", "hint": ""}}]}
    assert minor == {"filters": [{"currentState": {"id": "O7CLF", "column": "b", "label": "B", "hint": ""}}]}


def authority(code, name, old="800"):
    return {**TIME, "new_la_code": code, "old_la_code": old, "la_name": name}


@pytest.mark.parametrize(
    ("before", "after", "renamed", "kind"),
    [
        (("E1", "Dorset"), ("E2", "Dorset"), ("E1", "E2"), "major"),
        (("E1", "Dorset"), ("E1", "Wessex"), ("E1", "E1"), "minor"),
        (("E1", "Dorset"), ("E1", "Dorset", "801"), ("E1", "E1"), "major"),
    ],
)
def test_a_renamed_place_keeps_its_id_and_is_major_only_with_another_code(tmp_path, before, after, renamed, kind):
    more = {"renamed_locations": [{"level": "LA", "from": renamed[0], "to": renamed[1]}]}
    with served(tmp_path, csv_of(authority(*before)), (csv_of(authority(*after)), more)) as sandbox:
        found = dict(zip(("major", "minor"), changes(sandbox), strict=True))
        assert meta(sandbox, "1.0")["locations"][0]["options"][0]["id"] == "dP0Zw"
        assert meta(sandbox, "1.1")["locations"][0]["options"][0]["id"] == "dP0Zw"
    other = "minor" if kind == "major" else "major"
    assert found[other] == {}
    (change,) = found[kind]["locationOptions"][0]["options"]
    assert change.keys() == {"currentState", "previousState"}


def test_a_place_that_is_recoded_without_a_word_goes_and_another_comes(tmp_path):
    with served(tmp_path, csv_of(authority("E1", "Dorset")), csv_of(authority("E2", "Dorset"))) as sandbox:
        major, minor = changes(sandbox)
    assert [option.keys() for option in major["locationOptions"][0]["options"]] == [{"previousState"}]
    assert [option.keys() for option in minor["locationOptions"][0]["options"]] == [{"currentState"}]


def test_what_comes_back_after_a_version_away_has_a_new_id_but_a_place_has_its_own(tmp_path):
    there = csv_of({**authority("E1", "Dorset"), "a": "u"}, {**authority("E2", "Devon"), "a": "v"})
    away = csv_of({**authority("E2", "Devon"), "a": "v"})
    with served(tmp_path, there, away, there, filters=FILTER) as sandbox:
        first, last = meta(sandbox, "1.0"), meta(sandbox, "1.2")
    assert ids(first["filters"][0]["options"])["u"] != ids(last["filters"][0]["options"])["u"]
    assert ids(first["filters"][0]["options"])["v"] == ids(last["filters"][0]["options"])["v"]
    assert first["locations"] == last["locations"]


def test_a_place_whose_own_id_lives_on_in_a_renamed_one_gets_another(tmp_path):
    dorset, wessex = authority("E1", "Dorset"), authority("E2", "Wessex")
    renamed = {"renamed_locations": [{"level": "LA", "from": "E1", "to": "E2"}]}
    with served(tmp_path, csv_of(dorset), (csv_of(wessex), renamed), csv_of(wessex, dorset)) as sandbox:
        first, last = (ids(meta(sandbox, version)["locations"][0]["options"]) for version in ("1.0", "1.2"))
    assert last["Wessex"] == first["Dorset"] != last["Dorset"]


def test_changed_values_and_rows_never_show(tmp_path):
    tables = [csv_of(*[{**TIME, "x": value}] * count) for value, count in (("1", 2), ("2", 3))]
    with served(tmp_path, *tables) as sandbox:
        assert changes(sandbox) == ({}, {})


def test_a_level_that_goes_takes_its_places_along_in_one_line(tmp_path):
    place = {"country_code": "E9", "country_name": "England"}
    tables = (
        csv_of({**TIME, **place, **authority("E1", "Dorset"), "geographic_level": "Local authority"}),
        csv_of({**TIME, **place}),
    )
    with served(tmp_path, *tables) as sandbox:
        major, minor = changes(sandbox)
    level = {"code": "LA", "label": "Local authority"}
    assert major == {
        "geographicLevels": [{"previousState": level}],
        "locationGroups": [{"previousState": {"level": level}}],
    }
    assert minor == {"geographicLevels": [{"currentState": {"code": "NAT", "label": "National"}}]}


HEADER = "time_period,time_identifier,geographic_level,country_code,country_name,a,x\n"
ROW = "202021,Academic year,National,E9,England,u,1\n"


@pytest.mark.parametrize(
    ("content", "rows", "options"),
    [
        pytest.param(HEADER + ROW, 1, ["u"], id="as it should be"),
        pytest.param(HEADER, 0, [], id="a header only"),
        pytest.param("", 0, None, id="nothing at all"),
        pytest.param("\n\n", 1, None, id="blank lines only"),
        pytest.param("\ufeff" + (HEADER + ROW).replace("\n", "\r\n"), 1, ["u"], id="a byte order mark and CRLF"),
        pytest.param((HEADER + ROW)[:-1], 1, ["u"], id="no last line end"),
        pytest.param(HEADER + ROW + "202021,Academic year\n" + ROW, 3, ["u"], id="a short row"),
        pytest.param(HEADER + ROW.replace(",1", ",1,2,3") + ROW, 2, ["u"], id="a long row"),
        pytest.param((HEADER + ROW.replace("u", "caf\xe9")).encode("latin-1"), 1, ["caf\ufffd"], id="Latin-1 bytes"),
        pytest.param(HEADER + ROW.replace("u", "n\0l"), 1, ["n\0l"], id="a NUL byte"),
        pytest.param(HEADER.replace(",x", ",a") + ROW, 1, ["u"], id="two columns of one name"),
        pytest.param(HEADER.replace(",x", ",") + ROW, 1, ["u"], id="a column without a name"),
        pytest.param(HEADER.replace(",x", "") + ROW.replace(",1", ""), 1, ["u"], id="no column of the indicator"),
        pytest.param(HEADER + ROW + ROW.replace("u", '"open'), 2, ["open,1\n", "u"], id="an unclosed quote"),
        pytest.param(HEADER + ROW + '"' + "y" * 300_000, 1, ["u"], id="an unclosed quote and much after it"),
        pytest.param(
            HEADER + ROW.replace("u", '"a, ""b""\nc"'), 1, ['a, "b"\nc'], id="quoted commas, quotes and line ends"
        ),
        pytest.param(HEADER + ROW.replace("u", "x" * 200_000), 1, ["x" * 200_000], id="a very long cell"),
        pytest.param(b"\x00\x01\x02" * 50, 0, None, id="no CSV at all"),
    ],
)
def test_metadata_of_any_file_are_what_could_be_read(tmp_path, content, rows, options):
    with served(tmp_path, content, filters=FILTER) as sandbox:
        version = HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/versions/1.0")
        body = meta(sandbox)
        assert HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}/csv").content == (
            content if isinstance(content, bytes) else content.encode()
        )
    assert version.status_code == 200
    assert version.json()["totalResults"] == rows
    assert [found["column"] for found in body["indicators"]] == ["x"]
    assert [[option["label"] for option in found["options"]] for found in body["filters"]] == (
        [] if options is None else [options]
    )


def test_a_row_count_can_be_wrong_on_purpose(tmp_path):
    with served(tmp_path, (HEADER + ROW, {"total_results": 999})) as sandbox:
        assert HTTP.get(f"{sandbox.url}/v1/data-sets/{ID}").json()["latestVersion"]["totalResults"] == 999
