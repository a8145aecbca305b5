"""What the Dagster UI shows of a version: numbers that plot over partitions, tables, schema and links."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from ks4_pipeline.columns import Column, Role
from ks4_pipeline.ees.models import Indicator, VersionRecord
from ks4_pipeline.ees.pages import data_set_page
from ks4_pipeline.faults import Fault
from ks4_pipeline.landing import Landed, Listing
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality import CheckResult, Example, columns_of
from ks4_pipeline.report.making import picture_path, summary_of
from ks4_pipeline.report.wording import meaning
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.reading import Change
from ks4_pipeline.warehouse.tables import column_comment, sql_type

Metadata = dict[str, Any]  # Dagster turns plain values into metadata values itself

_FIRST_ROWS = 5


def of_landing(landed: Landed) -> Metadata:
    """The publisher's word on the version, then sizes, fingerprints and origin."""
    manifest = landed.manifest
    return {
        **of_record(landed.record),
        "gzip bytes": manifest.served.bytes,
        "csv bytes": manifest.csv.bytes,
        "sha256 as served": manifest.served.sha256,
        "fetched from": dg.MetadataValue.url(manifest.url),
        "fetched at": dg.MetadataValue.timestamp(manifest.fetched_at),
        "dagster/uri": landed.csv.resolve().as_uri(),
    }


def of_record(record: VersionRecord) -> Metadata:
    """What the publisher says of a version."""
    found: Metadata = {
        "bump": f"{record.version.bump}: {meaning(record.version)}",
        "status": record.status,
        "publisher's notes": dg.MetadataValue.md(as_quote(record.notes) if record.notes else "none"),
    }
    if record.release:
        found["release"] = record.release.title
    if record.published:
        found["published"] = dg.MetadataValue.timestamp(record.published)
    if record.file:
        found["publisher's page"] = dg.MetadataValue.url(data_set_page(record.file.id))
    return found


def of_observations(observations: Observations) -> Metadata:
    """Rows, schema, markers by indicator and the first rows."""
    facts = observations.facts
    cells = facts.rows * len(observations.columns.numeric)
    markers = observations.marker_cells
    return {
        "dagster/row_count": facts.rows,
        "dagster/column_schema": column_schema(observations),
        "dagster/uri": observations.parquet.resolve().as_uri(),
        "marker cells": markers,
        "marker share %": round(100 * markers / cells, 2) if cells else 0.0,
        "markers by indicator": _count_table(observations.markers, "indicator"),
        "first rows": dg.MetadataValue.md(first_rows(observations)),
    }


def of_table(observations: Observations, rows: int) -> Metadata:
    """Rows, schema and first rows of a published table."""
    return {
        "dagster/row_count": rows,
        "dagster/column_schema": column_schema(observations),
        "first rows": dg.MetadataValue.md(first_rows(observations)),
    }


def of_change(data_set: DataSet, version: VersionNumber, change: Change | None) -> Metadata:
    """What a version changed: numbers that plot over versions, what went and came, and the indicators concerned."""
    if change is None:
        return {"compared with": "nothing: no loaded version is before this one"}
    removed = [line for line in change.structure if " removed: " in line]
    other = [line for line in change.structure if line not in removed]
    found: Metadata = {
        "compared with": str(change.before),
        "changed cells": change.cells,
        **{f"{name} {'rows' if name in {'added', 'removed'} else 'cells'}": n for name, n in change.counts.items()},
        "changed cells by indicator": _count_table(change.by_indicator, "indicator"),
        "query": command(f"ks4 diff {change.before} {version} --data-set {data_set.name}"),
    }
    if removed:
        found["what was removed"] = dg.MetadataValue.md(_bullets(removed))
    if other:
        found["what else differs"] = dg.MetadataValue.md(_bullets(other))
    return found


def of_check(version: VersionNumber, result: CheckResult) -> Metadata:
    """What a check found in a version, and where the check comes from; what it asserts, its spec says."""
    found: Metadata = {"version": str(version), "affected": result.affected}
    if result.examples:
        found["first findings"] = example_table(result.examples)
    return found | ({"source": result.source} if result.source else {})


def example_table(examples: Sequence[Example]) -> dg.TableMetadataValue:
    """Findings as a table: the columns that say where, then what stands there."""
    keys, values = columns_of(examples)
    names = [*keys, *(name for name in values if name not in keys)]
    records = [
        dg.TableRecord({name: example.key.get(name, example.values.get(name, "")) for name in names})
        for example in examples
    ]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name, "string") for name in names]))


def of_report(data_set: DataSet, version: VersionNumber, page: Path) -> Metadata:
    """What a change report says first, its key chart, and where it is; all of it as it stands in the files."""
    summary = summary_of(page)
    picture = picture_path(page)
    told = "\n".join([f"**{_disarmed(summary.lead)}**", "", _bullets(summary.points)])
    found: Metadata = {"summary": dg.MetadataValue.md(told)}
    if picture.is_file():
        encoded = base64.b64encode(picture.read_bytes()).decode()
        found["key chart"] = dg.MetadataValue.md(f"![Headline figures over time](data:image/png;base64,{encoded})")
    return found | {
        "dagster/uri": page.resolve().as_uri(),
        "page": dg.MetadataValue.path(page.resolve()),
        "made anew by": command(f"ks4 report {version} --data-set {data_set.name}"),
    }


def of_listing(data_set: DataSet, listing: Listing, loaded: int) -> Metadata:
    """What the publisher lists, and how to look at it."""
    summary = listing.summary
    newest = max(listing.versions, key=lambda record: record.version, default=None)
    found: Metadata = {
        "title": summary.title,
        "summary": dg.MetadataValue.md(as_quote(summary.summary)) if summary.summary else "none",
        "versions listed": len(listing.versions),
        "versions loaded": loaded,
        "newest": str(newest.version) if newest else "none",
        "seen at": dg.MetadataValue.timestamp(listing.seen_at),
        "last news at": dg.MetadataValue.timestamp(listing.news_at),
        "status of the data set": summary.status,
    }
    if newest and newest.file:
        found["publisher's page"] = dg.MetadataValue.url(data_set_page(newest.file.id))
    return found | {"query": command(f"ks4 versions --data-set {data_set.name}")}


def command(line: str) -> dg.MarkdownMetadataValue:
    """A command of ours, as people copy it."""
    return dg.MetadataValue.md(f"```\n{line}\n```")


def column_schema(observations: Observations) -> dg.TableSchema:
    """The columns with type, description and what the publisher says of them."""
    return dg.TableSchema(columns=[_table_column(column) for column in observations.columns.observations])


def _count_table(counts: Mapping[str, Mapping[str, int]], first: str) -> dg.TableMetadataValue:
    """A table of counts: a row per name, a column per kind that occurs."""
    kinds = sorted({kind for found in counts.values() for kind in found})
    records = [
        dg.TableRecord({first: name, **{kind: found.get(kind, 0) for kind in kinds}}) for name, found in counts.items()
    ]
    columns = [dg.TableColumn(first, "string"), *(dg.TableColumn(kind, "int") for kind in kinds)]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def fault_table(faults: Iterable[Fault]) -> dg.TableMetadataValue:
    """The faults a version is refused for, one a line."""
    records = [
        dg.TableRecord(
            {"column": fault.column or "", "row": "" if fault.row is None else str(fault.row), "what": str(fault)}
        )
        for fault in faults
    ]
    columns = [dg.TableColumn("column", "string"), dg.TableColumn("row", "string"), dg.TableColumn("what", "string")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def first_rows(observations: Observations) -> str:
    """The first rows as a Markdown table, each cell as published: the figure, or the marker in its place."""
    columns = observations.columns.of_file
    frame = pl.scan_parquet(observations.parquet, glob=False).head(_FIRST_ROWS).collect()
    cells = [
        [
            row[column.flag] or f"{row[column.name]:.15g}" if column.is_numeric else row[column.name] or ""
            for column in columns
        ]
        for row in frame.iter_rows(named=True)
    ]
    names = [column.name for column in columns]
    return "\n".join([_line(names), _line(["---"] * len(names)), *map(_line, cells)])


def as_quote(text: str) -> str:
    """The publisher's free text as a Markdown quotation, with its own markup disarmed."""
    return "\n".join(f"> {_disarmed(line)}" for line in text.splitlines())


def _table_column(column: Column) -> dg.TableColumn:
    described = column.described
    tags = {"role": str(column.role)}
    if isinstance(described, Indicator) and column.role is Role.INDICATOR and described.unit:
        tags["unit"] = {"%": "percent", "pp": "percentage_points", "£": "pounds", "£m": "million_pounds"}.get(
            described.unit, "text"
        )
    return dg.TableColumn(
        column.name,
        type=sql_type(column),
        description=column_comment(column),
        tags=tags,
        constraints=dg.TableColumnConstraints(nullable=True),
    )


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_disarmed(str(cell)).replace("\n", " ") for cell in cells) + " |"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_disarmed(line)}" for line in lines)


def _disarmed(text: str) -> str:
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text
