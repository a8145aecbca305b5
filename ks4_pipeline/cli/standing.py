"""``ks4 status`` and ``ks4 versions``: what is held, for people and for scripts. Neither needs a network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ks4_pipeline.cli.cells import document
from ks4_pipeline.cli.choosing import settings_for_reading
from ks4_pipeline.cli.console import console, counted, is_terminal, say, say_lines, say_wrapped, size, width
from ks4_pipeline.cli.holdings import HeldDataSet, HeldVersion, Holdings, read
from ks4_pipeline.cli.tables import Align, Column, TextTable
from ks4_pipeline.errors import one_line
from ks4_pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN_IN_STATUS = 10
_DETAIL_INDENT = 4
_NONE = "-"


def status(*, as_json: bool) -> None:
    """Say how everything stands."""
    settings = settings_for_reading()
    holdings = read(settings)
    if as_json:
        say(document(_holdings_json(settings, holdings)))
        return
    if holdings.bytes is None or holdings.written_at is None:
        say(f"Warehouse  {holdings.warehouse}: not made yet")
    else:
        say(f"Warehouse  {holdings.warehouse}, {size(holdings.bytes)}, written {moment(holdings.written_at)}")
    say(f"Publisher  {settings.api_url}")
    now = datetime.now(UTC)
    for data_set in holdings.data_sets:
        say()
        _say_status(data_set, now)


def versions(names: Sequence[str], *, as_json: bool) -> None:
    """List all versions by number."""
    settings = settings_for_reading()
    for name in names:
        settings.data_set(name)
    data_sets = [held for held in read(settings).data_sets if not names or held.name in names]
    if as_json:
        rows = [{"data_set": held.name, **_version_json(version)} for held in data_sets for version in held.versions]
        say(document(rows))
        return
    for number, data_set in enumerate(data_sets):
        if number:
            say()
        _say_title(data_set)
        if not data_set.versions:
            say("Nothing is known of it yet: ks4 run.")
        elif is_terminal():
            _say_versions_with_details(data_set.versions)
        else:
            table = _full_table(data_set.versions)
            say_lines([*(table.head() or []), *table.body()])


def versions_table(held: Iterable[HeldVersion]) -> TextTable:
    """The short table of versions."""
    headings = ("Version", "Bump", "Status", "Published")
    columns = [*map(Column, headings), Column("Rows", Align.RIGHT), Column("Loaded"), Column("Channels")]
    return TextTable(columns, [_row(version) for version in held])


def moment(when: datetime) -> str:
    """A time for people, by the clock of this machine."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}"


def _say_status(data_set: HeldDataSet, now: datetime) -> None:
    _say_title(data_set)
    if data_set.seen_at is None:
        say("Not looked at yet: ks4 run.")
    else:
        loaded = sum(version.is_loaded for version in data_set.versions)
        listed = counted(len(data_set.versions), "version")
        say(f"Last looked {moment(data_set.seen_at)}, {_ago(now, data_set.seen_at)}. {listed}, {loaded} loaded.")
    if not data_set.followed:
        say("No longer followed: the configuration does not name it.", "yellow")
    if data_set.status not in {None, "Published"}:
        say(f"The publisher calls the whole data set {data_set.status}.", "yellow")
    if data_set.versions:
        say()
        shown = data_set.versions[-_SHOWN_IN_STATUS:]
        table = versions_table(shown)
        _say_table(table)
        if len(shown) < len(data_set.versions):
            say(f"and {len(data_set.versions) - len(shown)} older: ks4 versions", "dim")
    remarks = list(_remarks(data_set))
    if remarks:
        say()
    for remark, style in remarks:
        say_wrapped(remark, style)


def _remarks(data_set: HeldDataSet) -> Iterable[tuple[str, str]]:
    """What a reader must know beyond the table, with its style."""
    for version in data_set.versions:
        if version.refused:
            refusal = version.refused
            again = f", {refusal.attempts} times by now" if refusal.attempts > 1 else ""
            yield f"{version.number} was refused {moment(refusal.last_refused_at)}{again}:", "red"
            yield refusal.reason, ""
    ahead = data_set.ahead_of_latest
    if ahead and data_set.seen_at:
        stands = f"latest is {data_set.latest.number}" if data_set.latest else "latest does not exist"
        why = "it was refused" if ahead.refused else "not in the channels yet" if ahead.is_loaded else "not loaded yet"
        advice = "" if ahead.refused else " Load it: ks4 run."
        yield f"{stands}, and the publisher's newest version is {ahead.number}: {why}.{advice}", "yellow"
    for channel, loaded in data_set.empty_channels.items():
        numbers = ", ".join(f"{version.number} {version.status.lower()}" for version in loaded)
        yield f"Channel {channel} has no published version left ({numbers}).", "yellow"


def _say_title(data_set: HeldDataSet) -> None:
    from rich.text import Text

    title = Text(data_set.name, "bold")
    if data_set.title:
        title.append(f"  {one_line(data_set.title)}", "default not bold")
    console().print(title, soft_wrap=True)


def _say_table(table: TextTable) -> None:
    say_lines(table.head() or [], "bold")
    say_lines(table.body())


def _say_versions_with_details(held: Sequence[HeldVersion]) -> None:
    """On a terminal what is long stands below its version, broken to the width."""
    table = versions_table(held)
    say_lines(table.head(width()) or table.head() or [], "bold")
    for version, line in zip(held, table.body(width()), strict=True):
        say(line)
        for text, style in _details(version):
            say_wrapped(one_line(text), style, indent=_DETAIL_INDENT)


def _details(version: HeldVersion) -> Iterable[tuple[str, str]]:
    if version.withdrawn:
        yield f"Withdrawn {moment(version.withdrawn)}.", "yellow"
    if version.refused:
        yield f"Refused {moment(version.refused.last_refused_at)}: see ks4 status.", "red"
    if version.release:
        yield version.release, "dim"
    if version.notes:
        yield version.notes, "dim"


def _full_table(held: Sequence[HeldVersion]) -> TextTable:
    """For a pipe: everything in one line each, the long texts last."""
    short = versions_table(held)
    columns = [*short.columns, Column("Withdrawn"), Column("Release"), Column("Notes")]
    rows = [
        [
            *row,
            f"{version.withdrawn.astimezone():%Y-%m-%d}" if version.withdrawn else _NONE,
            version.release or _NONE,
            version.notes or _NONE,
        ]
        for row, version in zip(short.rows, held, strict=True)
    ]
    return TextTable(columns, rows)


def _row(version: HeldVersion) -> list[str]:
    loaded = (
        f"{version.loaded_at.astimezone():%Y-%m-%d}" if version.loaded_at else "refused" if version.refused else "no"
    )
    return [
        str(version.number),
        str(version.bump),
        version.status,
        f"{version.published.astimezone():%Y-%m-%d}" if version.published else _NONE,
        _NONE if version.rows is None else f"{version.rows:,}",
        loaded,
        ", ".join(version.channels) or _NONE,
    ]


def _ago(now: datetime, then: datetime) -> str:
    seconds = int((now - then).total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(seconds // length, unit)} ago"
    return "just now"


def _holdings_json(settings: Settings, holdings: Holdings) -> dict[str, object]:
    return {
        "warehouse": {
            "path": str(holdings.warehouse.absolute()),
            "exists": holdings.bytes is not None,
            "bytes": holdings.bytes,
            "written_at": _iso(holdings.written_at),
        },
        "api_url": settings.api_url,
        "data_sets": [_data_set_json(held) for held in holdings.data_sets],
    }


def _data_set_json(held: HeldDataSet) -> dict[str, object]:
    return {
        "name": held.name,
        "id": held.id,
        "title": held.title,
        "status": held.status,
        "followed": held.followed,
        "seen_at": _iso(held.seen_at),
        "latest": str(held.latest.number) if held.latest else None,
        "newest_published": str(held.newest_published.number) if held.newest_published else None,
        "empty_channels": sorted(held.empty_channels),
        "versions": [_version_json(version) for version in held.versions],
    }


def _version_json(version: HeldVersion) -> dict[str, object]:
    return {
        "version": str(version.number),
        "bump": str(version.bump),
        "status": version.status,
        "published": _iso(version.published),
        "withdrawn": _iso(version.withdrawn),
        "release": version.release,
        "notes": version.notes,
        "rows": version.rows,
        "loaded": version.is_loaded,
        "loaded_at": _iso(version.loaded_at),
        "channels": list(version.channels),
        "refused": version.refused.reason if version.refused else None,
        "refused_at": _iso(version.refused.last_refused_at) if version.refused else None,
    }


def _iso(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat() if when else None
