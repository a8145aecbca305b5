"""Which place of one version is which of another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.places import LevelPlaces, Place, cells_of

COLUMNS = ("new_la_code", "old_la_code", "la_name")
SOMERSET_OLD, SOMERSET = ("E10000027", "933", "Somerset"), ("E06000066", "933", "Somerset")
ST_HELENS_DOT, ST_HELENS = ("E1", "1", "St. Helens"), ("E1", "1", "St Helens")
BATH = ("E06000022", "800", "Bath")


def level(
    before: set[Place], after: set[Place], ids: tuple[dict[Place, str], dict[Place, str]] = ({}, {})
) -> LevelPlaces:
    by_cells = [{cells_of(place): place_id for place, place_id in side.items()} for side in ids]
    return LevelPlaces(COLUMNS, "la_name", before, after, *by_cells)


@pytest.mark.parametrize(
    ("before", "after", "matched"),
    [
        pytest.param({BATH}, {BATH}, {}, id="an unchanged place needs no match"),
        pytest.param({SOMERSET_OLD, BATH}, {SOMERSET, BATH}, {SOMERSET_OLD: SOMERSET}, id="codes changed, name stayed"),
        pytest.param(
            {ST_HELENS_DOT}, {ST_HELENS}, {ST_HELENS_DOT: ST_HELENS},
            id="name changed, codes stayed",
        ),
        pytest.param({("E1", "1", "Cumbria")}, {("E2", "2", "Cumberland")}, {}, id="another name and another code"),
        pytest.param(
            {("E1", "1", "Park"), ("E2", "2", "Park")}, {("E3", "1", "Park"), ("E2", "2", "Park")}, {},
            id="a name that two places share says nothing",
        ),
        pytest.param({SOMERSET_OLD}, {SOMERSET_OLD, SOMERSET}, {}, id="a place that stays is not renamed"),
    ],
)  # fmt: skip
def test_places_are_matched_by_what_only_they_have(
    before: set[Place], after: set[Place], matched: dict[Place, Place]
) -> None:
    assert level(before, after).matched() == matched


def test_the_publishers_id_goes_before_names() -> None:
    was, mapped, namesake = ("E1", "1", "Old Town"), ("E9", "9", "New Town"), ("E2", "2", "Old Town")
    found = level({was}, {mapped, namesake}, ({was: "id1"}, {mapped: "id1", namesake: "id2"})).matched()
    assert found == {was: mapped}


def test_each_change_is_said_once_and_places_with_empty_cells_are_not_said_to_come_or_go() -> None:
    places = level({SOMERSET_OLD, ("E3", None, "Half")}, {SOMERSET, BATH})
    assert [str(item) for item in places.items("Local authority", places.matched())] == [
        "location options changed: Local authority: Somerset [E06000066 933, was E10000027 933]",
        "location options added: Local authority: Bath [E06000022 800]",
    ]


CELL = st.sampled_from(["1", "2", "3", None])
PLACES = st.sets(st.tuples(CELL, CELL, CELL), max_size=6)
IDS = st.dictionaries(st.tuples(CELL, CELL, CELL), st.sampled_from(["p", "q", "r"]), max_size=6)


@given(PLACES, PLACES, IDS, IDS)
def test_every_place_is_told_once_and_no_two_become_one(
    before: set[Place], after: set[Place], ids_before: dict[Place, str], ids_after: dict[Place, str]
) -> None:
    places = level(before, after, (ids_before, ids_after))
    matched = places.matched()
    assert matched.keys() <= before - after
    assert set(matched.values()) <= after - before  # so that to rename one after the other is to rename all at once
    assert len(set(matched.values())) == len(matched)
    whole = {place for place in (before ^ after) - matched.keys() - set(matched.values()) if all(place)}
    assert len(places.items("Local authority", matched)) == len(matched) + len(whole)


def test_codes_that_go_round_in_a_circle_keep_their_places() -> None:
    """North takes South's code, South East's, East North's."""
    names, codes = ("North", "South", "East"), ("E1", "E2", "E3")
    before = {(code, "0", name) for name, code in zip(names, codes, strict=True)}
    after = {(code, "0", name) for name, code in zip(names, (*codes[1:], codes[0]), strict=True)}
    matched = level(before, after).matched()
    assert {was[2]: now[2] for was, now in matched.items()} == {name: name for name in names}
    assert {was[0]: now[0] for was, now in matched.items()} == {"E1": "E2", "E2": "E3", "E3": "E1"}
