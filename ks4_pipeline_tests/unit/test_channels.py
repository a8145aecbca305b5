"""Which version a channel shows, against the publisher's table of wildcards (contract §3.3, §3.4)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ks4_pipeline.ees.models import VersionRecord
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.channels import choose

STATUSES = ("Published", "Deprecated", "Withdrawn", "Draft", "published", "Processing", "")
NUMBERS = st.builds(VersionNumber, *([st.integers(0, 11)] * 3))
LISTS = st.lists(
    st.tuples(NUMBERS, st.sampled_from(STATUSES), st.booleans()), max_size=12, unique_by=lambda version: version[0]
)


def wildcard(pattern: str, versions: list[tuple[str, str]]) -> str | None:
    """What the API answers to a wildcard: the highest number that is Published and begins so."""
    first = pattern.removesuffix("*").rstrip(".").split(".") if pattern != "*" else []
    open_ones = [number.split(".") for number, status in versions if status == "Published"]
    fitting = [parts for parts in open_ones if parts[: len(first)] == first]
    return ".".join(max(fitting, key=lambda parts: [int(part) for part in parts])) if fitting else None


@given(LISTS)
def test_a_channel_shows_what_the_wildcard_means_among_the_loaded(
    listed: list[tuple[VersionNumber, str, bool]],
) -> None:
    records = [VersionRecord(version=v, type="Minor", status=status, total_results=1) for v, status, _ in listed]
    loaded = {version for version, _, is_loaded in listed if is_loaded}
    chosen = {channel: str(version) for channel, version in choose(records, loaded).items()}
    known = [(str(version), status) for version, status, is_loaded in listed if is_loaded]
    expected = {}
    for channel in {"latest", *(name for version, _, _ in listed for name in version.channels)}:
        pattern = "*" if channel == "latest" else re.sub("_", ".", channel.removeprefix("v")) + ".*"
        answer = wildcard(pattern, known)
        if answer is not None:
            expected[channel] = answer
    assert chosen == expected


@pytest.mark.parametrize(
    ("versions", "channel", "shown"),
    [
        ({"1.0": "Published", "1.0.1": "Published"}, "v1_0", "1.0.1"),
        ({"1.9": "Published", "1.10": "Published"}, "v1", "1.10"),
        ({"1.0": "Published", "1.0.1": "Withdrawn"}, "v1_0", "1.0"),
        ({"1.0": "Published", "2.0": "Deprecated"}, "latest", "1.0"),
        ({"2.0": "Withdrawn"}, "latest", None),
        ({"1.1.1": "Published", "2.0": "Published", "1.2": "Published"}, "latest", "2.0"),
        ({"1.1": "Published", "11.0": "Published"}, "v1", "1.1"),
    ],
)
def test_the_rows_of_the_table(versions: dict[str, str], channel: str, shown: str | None) -> None:
    records = [
        VersionRecord(version=VersionNumber.parse(number), type="Minor", status=status, total_results=1)
        for number, status in versions.items()
    ]
    chosen = choose(records, {record.version for record in records}).get(channel)
    assert (None if chosen is None else str(chosen)) == shown
