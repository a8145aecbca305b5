"""A version's number and change log held against what was seen."""

from __future__ import annotations

import pytest

from ks4_pipeline.audit import (
    ANNOUNCED_WAS_SEEN,
    CHECKS,
    COLUMNS_KEEP_NAMES,
    GRAIN_UNCHANGED,
    KEY_UNIQUE,
    NOTHING_REMOVED,
    ROWS_KEPT,
    SEEN_WAS_ANNOUNCED,
    SOMETHING_CHANGED,
    Seen,
    announced_item,
    audit,
)
from ks4_pipeline.quality import Severity
from ks4_pipeline.structure import Action, Item, Kind
from ks4_pipeline.versions import VersionNumber

NONE = dict.fromkeys(("revised", "suppressed", "released", "reflagged", "added", "removed"), 0)


def seen(*items: Item, version: str = "1.0.1", unique: bool = True, **counts: int) -> Seen:
    return Seen(VersionNumber.parse(version), items, NONE | ({"revised": 1} | counts), unique, {"sen": "Total"})


def failed(found: Seen, announced: list[Item] | None) -> dict[str, Severity]:
    return {result.name: result.severity for result in audit(found, announced) if not result.passed}


OPTION_GONE = Item(Kind.FILTER_OPTION, Action.REMOVED, "grp", "b")
NEW_FILTER = Item(Kind.FILTER, Action.ADDED, "", "sen")
RENAMED = Item(Kind.INDICATOR, Action.CHANGED, "", "new", "old")


@pytest.mark.parametrize(
    ("found", "announced", "expected"),
    [
        pytest.param(seen(), [], {}, id="a correction of figures breaks no promise"),
        pytest.param(seen(OPTION_GONE), [OPTION_GONE], {NOTHING_REMOVED: Severity.ERROR}, id="patch removes an option"),
        pytest.param(
            seen(OPTION_GONE, version="2.0"), [OPTION_GONE], {NOTHING_REMOVED: Severity.WARN}, id="major removes one"
        ),
        pytest.param(seen(removed=3), [], {ROWS_KEPT: Severity.WARN}, id="rows gone"),
        pytest.param(seen(RENAMED), [RENAMED], {COLUMNS_KEEP_NAMES: Severity.WARN}, id="column renamed"),
        pytest.param(
            seen(NEW_FILTER, version="1.1"), [NEW_FILTER], {GRAIN_UNCHANGED: Severity.ERROR}, id="minor adds a filter"
        ),
        pytest.param(
            seen(NEW_FILTER, version="2.0"), [NEW_FILTER], {GRAIN_UNCHANGED: Severity.WARN}, id="major adds a filter"
        ),
        pytest.param(
            seen(Item(Kind.FILTER_OPTION, Action.ADDED, "grp", "c")), [], {SEEN_WAS_ANNOUNCED: Severity.WARN},
            id="seen and not announced",
        ),
        pytest.param(
            seen(), [Item(Kind.TIME_PERIOD, Action.ADDED, "", "Academic year 202425")],
            {ANNOUNCED_WAS_SEEN: Severity.WARN}, id="announced and not seen",
        ),
        pytest.param(
            seen(), [Item(Kind.INDICATOR, Action.CHANGED, "", "score")], {}, id="a new label of a column is in no file"
        ),
        pytest.param(
            seen(Item(Kind.LOCATION, Action.CHANGED, "Local authority", "Somerset", codes="E2, was E1")),
            [Item(Kind.LOCATION, action, "Local authority", "Somerset") for action in (Action.REMOVED, Action.ADDED)],
            {}, id="a recoded place may be announced as gone and new",
        ),
        pytest.param(
            seen(NEW_FILTER, Item(Kind.FILTER_OPTION, Action.ADDED, "sen", "x"), version="2.0"), [NEW_FILTER],
            {GRAIN_UNCHANGED: Severity.WARN}, id="options of a new filter are announced with it",
        ),
        pytest.param(seen(Item(Kind.COLUMN, Action.ADDED, "", "note")), [], {}, id="/meta knows no such column"),
        pytest.param(seen(revised=0), [], {SOMETHING_CHANGED: Severity.WARN}, id="nothing changed"),
        pytest.param(seen(unique=False), [], {KEY_UNIQUE: Severity.WARN}, id="rows that share their key"),
        pytest.param(seen(OPTION_GONE, version="2.0"), None, {NOTHING_REMOVED: Severity.WARN}, id="no change log"),
    ],
)  # fmt: skip
def test_what_fails(found: Seen, announced: list[Item] | None, expected: dict[str, Severity]) -> None:
    assert failed(found, announced) == expected


def test_every_check_is_made_and_named_once() -> None:
    assert sorted(result.name for result in audit(seen(), [])) == sorted(CHECKS)


def test_a_new_filter_names_the_option_to_go_on_with() -> None:
    (result,) = (result for result in audit(seen(NEW_FILTER), [NEW_FILTER]) if result.name == GRAIN_UNCHANGED)
    assert "keep sen = 'Total'" in result.detail


@pytest.mark.parametrize(
    ("arguments", "item"),
    [
        (
            ("time_periods", "added", None, {}, {"code": "AY", "period": "2024/2025", "label": "2024/25"}),
            Item(Kind.TIME_PERIOD, Action.ADDED, "", "Academic year 202425"),
        ),
        (
            ("indicators", "changed", None, {"column": "a", "label": "A"}, {"column": "b", "label": "A"}),
            Item(Kind.INDICATOR, Action.CHANGED, "", "b", "a"),
        ),
        (
            ("location_options", "removed", "Regional", {"label": "North", "code": "E1"}, {}),
            Item(Kind.LOCATION, Action.REMOVED, "Regional", "North"),
        ),
        (
            ("location_groups", "added", None, {}, {"level": {"code": "REG", "label": "Regional"}}),
            Item(Kind.LOCATION_GROUP, Action.ADDED, "", "Regional"),
        ),
    ],
)
def test_announcements_are_put_in_the_words_of_the_file(
    arguments: tuple[str, str, str | None, dict[str, object], dict[str, object]], item: Item
) -> None:
    assert announced_item(*arguments) == item
