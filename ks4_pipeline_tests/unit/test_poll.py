"""What a look at the publisher means, and which versions are due: pure decisions, as tables of cases and properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline import poll
from ks4_pipeline.ees.models import DataSetSummary, Page, Paging, VersionRecord
from ks4_pipeline.landing import Listing
from ks4_pipeline.poll import Attempts
from ks4_pipeline.versions import Bump, VersionNumber
from ks4_pipeline.warehouse.reading import InForce

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=15)
PAUSE = timedelta(minutes=15)
SUMMARY = DataSetSummary(id="x", title="A data set", status="Published")


def number(text: str) -> VersionNumber:
    return VersionNumber.parse(text)


def record(text: str, status: str = "Published", notes: str = "") -> VersionRecord:
    version = number(text)
    return VersionRecord(version=version, type=str(version.bump), status=status, notes=notes, total_results=1)


def listing(*records: VersionRecord, turn: int = 1) -> Listing:
    return Listing(seen_at=NOON, news_at=NOON, turn=turn, source="here", summary=SUMMARY, versions=records)


def page(*records: VersionRecord, total: int) -> Page[VersionRecord]:
    paging = Paging(page=1, page_size=20, total_results=total, total_pages=-(-total // 20))
    return Page[VersionRecord](paging=paging, results=records)


def in_force(text: str, status: str = "Published") -> InForce:
    return InForce(number(text), "sha", status, None, "", None, None, 1, ())


@pytest.mark.parametrize(
    ("pages", "turns"),
    [(1, [1, 1, 1]), (2, [2, 1, 2, 1]), (4, [2, 3, 4, 1, 2])],
)
def test_beside_page_1_each_look_reads_the_next_page_and_in_the_end_the_summary(pages: int, turns: list[int]) -> None:
    turn, seen = poll.SUMMARY, []
    for _ in turns:
        turn = poll.next_turn(turn, pages)
        seen.append(turn)
    assert seen == turns


def test_when_pages_have_gone_the_turn_begins_anew() -> None:
    assert poll.next_turn(7, 2) == poll.SUMMARY


def test_a_look_without_news_moves_only_the_time_we_looked() -> None:
    known = listing(record("1.0"), record("1.0.1"))
    found = poll.noted(known, SUMMARY, [page(record("1.0.1"), record("1.0"), total=2)], 1, LATER)
    assert found is not None
    assert (found.seen_at, found.news_at, found.versions) == (LATER, NOON, known.versions)


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page(record("1.0"), record("1.0.1"), record("1.1"), total=3)], "one more"),
        ([page(record("1.0"), total=1)], "one fewer"),
        ([page(record("1.0"), record("1.1"), total=2)], "one in another's place"),
        ([page(record("1.0"), record("1.0.1"), total=2), page(total=3)], "one more, seen on the second page only"),
    ],
)
def test_news_of_membership_asks_for_the_whole_list(pages: list[Page[VersionRecord]], why: str) -> None:
    assert poll.noted(listing(record("1.0"), record("1.0.1")), SUMMARY, pages, 1, LATER) is None, why


def test_a_changed_record_is_taken_over_in_its_place_and_counts_as_news() -> None:
    known = listing(record("1.0"), record("1.1"))
    withdrawn = record("1.1", "Withdrawn")
    found = poll.noted(known, SUMMARY, [page(withdrawn, total=2)], 1, LATER)
    assert found is not None
    assert found.versions == (record("1.0"), withdrawn)
    assert found.news_at == LATER


def test_a_changed_summary_counts_as_news() -> None:
    known = listing(record("1.0"))
    retired = SUMMARY.model_copy(update={"status": "Deprecated"})
    found = poll.noted(known, retired, [page(record("1.0"), total=1)], 1, LATER)
    assert found is not None
    assert (found.summary.status, found.news_at) == ("Deprecated", LATER)


def test_a_version_repeated_across_pages_is_one_version() -> None:
    known = listing(record("1.0"), record("1.0.1"))
    pages = [page(record("1.0.1"), record("1.0"), total=2), page(record("1.0"), total=2)]
    found = poll.noted(known, SUMMARY, pages, 2, LATER)
    assert found is not None
    assert (found.versions, found.turn) == (known.versions, 2)


@given(st.permutations(["1.10", "1.9", "1.1", "1.0.1", "1.0", "2.0"]))
def test_missing_versions_come_oldest_number_first_however_they_are_listed(order: list[str]) -> None:
    found = poll.missing(listing(*map(record, order)), {number("1.1")})
    assert [str(version) for version in found] == ["1.0", "1.0.1", "1.9", "1.10", "2.0"]


def test_moved_are_versions_of_which_the_publisher_says_something_else() -> None:
    known = {number(text): in_force(text) for text in ("1.0", "1.0.1", "1.1")}
    found = poll.moved(listing(record("1.0"), record("1.0.1", "Withdrawn"), record("1.2")), known)
    assert found == [number("1.0.1"), number("1.1")]  # 1.1 is not listed any more


def test_each_version_belongs_to_one_bump() -> None:
    versions = [number(text) for text in ("1.0", "1.0.1", "1.1", "1.1.1", "2.0")]
    found = [version for bump in Bump for version in poll.of_bump(versions, bump)]
    assert sorted(found) == versions
    assert poll.of_bump(versions, Bump.MAJOR) == [number("1.0"), number("2.0")]


@pytest.mark.parametrize(
    ("attempts", "becomes"),
    [
        (None, "start"),
        (Attempts(running=True), "running"),
        (Attempts(running=True, failures=9, last_failed_at=NOON), "running"),
        (Attempts(failures=1, last_failed_at=LATER), "start"),  # at once
        (Attempts(failures=2, last_failed_at=LATER - PAUSE + timedelta(seconds=1)), "waiting"),
        (Attempts(failures=2, last_failed_at=LATER - PAUSE), "start"),
        (Attempts(failures=3, last_failed_at=LATER - PAUSE), "waiting"),  # the pause doubles
        (Attempts(failures=3, last_failed_at=LATER - 2 * PAUSE), "start"),
        (Attempts(failures=4, last_failed_at=NOON - timedelta(days=9)), "given_up"),
    ],
)
def test_what_becomes_of_a_missing_version(attempts: Attempts | None, becomes: str) -> None:
    version = number("1.1")
    known = {} if attempts is None else {version: attempts}
    due = poll.due([version], known, max_attempts=4, pause=PAUSE, now=LATER)
    found = {name for name in ("start", "running", "waiting", "given_up") if version in getattr(due, name)}
    assert found == {becomes}
