"""``ks4 reconcile``: do the publisher's two ways to the same figures agree? One line per version, then what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ks4_pipeline.cli.cells import document, shown
from ks4_pipeline.cli.choosing import data_sets, existing_warehouse, settings_for_reading, versions
from ks4_pipeline.cli.console import complain, counted, say, say_lines, say_wrapped, warn
from ks4_pipeline.cli.query import print_table
from ks4_pipeline.cli.tables import Align, Column, TextTable
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.reconcile import Outcome, reconcile_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ks4_pipeline.reconcile import ReconcileReport, Reconciliation

_SHOWN = 20


def reconcile(names: Sequence[str], numbers: Sequence[str], *, sample: int | None, as_json: bool) -> int:
    """Compare, tell, and give the exit code.

    Raises:
        ConfigurationError: when there is no warehouse, or what is named is not in it.
    """
    settings = settings_for_reading()
    existing_warehouse(settings)
    chosen = data_sets(settings, names)
    only = versions(numbers, chosen)
    report = reconcile_all(
        Pipeline(settings), chosen, only=only, sample=sample, on_version=_silent if as_json else _tell
    )
    if as_json:
        _print_json(report)
    elif not report.versions:
        say_wrapped("Nothing is loaded of these data sets, so there is nothing to compare.")
    return report.exit_code


def _silent(_: Reconciliation) -> None:
    """JSON is printed at the end."""


def _tell(found: Reconciliation) -> None:
    what = f"{found.data_set} {found.version}"
    match found.outcome:
        case Outcome.AGREES:
            say_wrapped(f"{what}: {_extent(found)}. The table and /query agree.")
        case Outcome.DIFFERS:
            say_wrapped(
                f"{what}: {_extent(found)}. The table and /query differ in {counted(found.disagreements, 'place')}.",
                "bold",
            )
            _print_disagreements(found)
        case Outcome.UNREADABLE:
            say_wrapped(f"{what}: not compared. {found.message}")
        case _:
            complain(f"{what}: {found.message}")
    if found.sharing_key:
        say_wrapped(
            f"{counted(found.sharing_key, 'row')} cannot be told from others by what /query says of them, "
            "and were compared as often as they occur.",
            indent=2,
        )
    if found.untold:
        say_wrapped(f"/query has no such columns, so they were not compared: {', '.join(found.untold)}.", indent=2)
    for warning in found.warnings:
        warn(f"{what}: the API remarks {warning}")


def _extent(found: Reconciliation) -> str:
    drawn = f" for a sample of {found.sample:,}" if found.sample is not None else ""
    return f"{counted(found.rows, 'row')}{drawn}, {counted(found.cells, 'cell')}"


def _print_disagreements(found: Reconciliation) -> None:
    listed = found.listed[:_SHOWN]
    names = list(dict.fromkeys(name for item in listed for name in item.key))
    # A column that says the same of every row shown says nothing, unless there is only one.
    telling = [name for name in names if len(listed) == 1 or len({item.key.get(name) for item in listed}) > 1]
    table = [
        [
            *(shown(item.key.get(name, "")) for name in telling or names),
            item.indicator or "(whole row)",
            "(no such row)" if item.table is None else item.table,
            "(no such row)" if item.query is None else item.query,
        ]
        for item in listed
    ]
    columns = [*map(Column, telling or names), Column("indicator")]
    columns += [Column("table", Align.DECIMAL), Column("/query", Align.DECIMAL)]
    say()
    print_table(TextTable(columns, table))
    if found.disagreements > len(listed):
        warn(f"The first {len(listed)} of {found.disagreements:,}; up to 1,000 of them with --json.")
    say()


def _print_json(report: ReconcileReport) -> None:
    found = [
        {
            "data_set": version.data_set,
            "version": str(version.version),
            "outcome": str(version.outcome),
            "message": version.message,
            "sample": version.sample,
            "rows": version.rows,
            "query_rows": version.query_rows,
            "cells": version.cells,
            "rows_sharing_key": version.sharing_key,
            "columns_not_compared": list(version.untold),
            "disagreements": version.disagreements,
            "listed": [
                {"key": dict(item.key), "indicator": item.indicator, "table": item.table, "query": item.query}
                for item in version.listed
            ],
            "warnings": list(version.warnings),
        }
        for version in report.versions
    ]
    say_lines([document({"exit_code": report.exit_code, "versions": found})])
