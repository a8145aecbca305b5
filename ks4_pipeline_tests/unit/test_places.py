"""Which place of one version is which of another."""

from __future__ import annotations

import pytest

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
