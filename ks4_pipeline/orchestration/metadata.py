"""What the Dagster UI shows of a version: numbers that plot over partitions, tables, schema and links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg
import polars as pl

from ks4_pipeline.columns import Column, Role
from ks4_pipeline.ees.models import Indicator, VersionRecord
from ks4_pipeline.faults import Fault
from ks4_pipeline.landing import Landed
from ks4_pipeline.observations import Observations
from ks4_pipeline.warehouse.tables import column_comment, sql_type

Metadata = dict[str, "dg.MetadataValue[object] | dg.TableSchema | str | int | float"]

_CATALOGUE = "https://explore-education-statistics.service.gov.uk/data-catalogue/data-set"
_FIRST_ROWS = 5


def of_landing(landed: Landed) -> Metadata:
    """Sizes, fingerprints, origin and the publisher's word on the version."""
    manifest = landed.manifest
    return {
        "gzip bytes": manifest.served.bytes,
        "csv bytes": manifest.csv.bytes,
        "sha256 as served": manifest.served.sha256,
        "fetched from": dg.MetadataValue.url(manifest.url),
        "fetched at": dg.MetadataValue.timestamp(manifest.fetched_at),
        "dagster/uri": landed.csv.resolve().as_uri(),
        **of_record(landed.record),
    }


def of_record(record: VersionRecord) -> Metadata:
    """What the publisher says of a version."""
    found: Metadata = {
        "bump": str(record.version.bump),
        "status": record.status,
        "publisher's notes": dg.MetadataValue.md(as_quote(record.notes) if record.notes else "none"),
    }
    if record.release:
        found["release"] = record.release.title
    if record.published:
        found["published"] = dg.MetadataValue.timestamp(record.published)
    if record.file:
        found["publisher's page"] = dg.MetadataValue.url(f"{_CATALOGUE}/{record.file.id}")
    return found


def of_observations(observations: Observations) -> Metadata:
    """Rows, schema, markers by indicator and the first rows."""
    facts = observations.facts
    cells = facts.rows * len(observations.columns.numeric)
    markers = sum(count for found in facts.markers.values() for count in found.values())
    return {
        "dagster/row_count": facts.rows,
        "dagster/column_schema": column_schema(observations),
        "dagster/uri": observations.parquet.resolve().as_uri(),
        "marker cells": markers,
        "marker share %": round(100 * markers / cells, 2) if cells else 0.0,
        "markers by indicator": marker_table(facts.markers),
        "first rows": dg.MetadataValue.md(first_rows(observations)),
    }


def column_schema(observations: Observations) -> dg.TableSchema:
    """The columns with type, description and what the publisher says of them."""
    return dg.TableSchema(columns=[_table_column(column) for column in observations.columns.observations])


def marker_table(markers: Mapping[str, Mapping[str, int]]) -> dg.TableMetadataValue:
    """How many cells of each indicator hold which marker."""
    symbols = sorted({symbol for found in markers.values() for symbol in found})
    records = [
        dg.TableRecord({"indicator": name, **{symbol: found.get(symbol, 0) for symbol in symbols}})
        for name, found in markers.items()
    ]
    columns = [dg.TableColumn("indicator", "string"), *(dg.TableColumn(symbol, "int") for symbol in symbols)]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def fault_table(faults: Iterable[Fault]) -> dg.TableMetadataValue:
    """The faults a version is refused for, one a line."""
    records = [
        dg.TableRecord(
            {"column": fault.column or "", "row": fault.row if fault.row is not None else -1, "what": str(fault)}
        )
        for fault in faults
    ]
    columns = [dg.TableColumn("column", "string"), dg.TableColumn("row", "int"), dg.TableColumn("what", "string")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def first_rows(observations: Observations) -> str:
    """The first rows as a Markdown table, cells made safe."""
    frame = pl.scan_parquet(observations.parquet, glob=False).head(_FIRST_ROWS).collect()
    lines = [_line(frame.columns), _line(["---"] * frame.width)]
    lines += [_line("NULL" if cell is None else cell for cell in row) for row in frame.iter_rows()]
    return "\n".join(lines)


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


def _disarmed(text: str) -> str:
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text
