"""Copies of a loaded data set under other names and ids, as if each had been loaded: in minutes what else takes hours.

Whatever a later run or ``ks4 verify`` reads is copied: landing, observations, and in the warehouse the tables, views
and macros with their comments, and the catalogue's rows. A run must follow, which brings in what the publisher says of
each: dates, above all.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb

from ks4_pipeline.warehouse.file import STORAGE_VERSION
from ks4_pipeline.warehouse.schema import DATA_SETS, TABLES, Table
from ks4_pipeline.warehouse.sql import identifier, literal, qualified
from ks4_pipeline_tests.benchmarks.setting import data_dir, warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def clone(folder: Path, name: str, others: Mapping[str, str]) -> None:
    """Copy the only data set that a pipeline has loaded in a folder under other names, each with an id of its own.

    Args:
        folder: where the pipeline works.
        name: the data set; a word that stands nowhere in its texts.
        others: the ids of the copies, by name.
    """
    published = warehouse(folder)
    build = published.with_suffix(".clone")
    shutil.copyfile(published, build)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {literal(str(build))} AS build (STORAGE_VERSION '{STORAGE_VERSION}'); USE build")
        connection.execute("SET TimeZone = 'UTC'; BEGIN")
        ((data_set_id,),) = connection.execute(f"SELECT id FROM {DATA_SETS.qualified}").fetchall()
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [name]).fetchall()
        described = ";\n".join(_described(connection, name))
        of_data_sets = [table for table in TABLES if "data_set" in table.columns]
        rows = {table: _rows(table, name, data_set_id) for table in of_data_sets}
        for other, other_id in others.items():
            connection.execute(f"CREATE SCHEMA {identifier(other)}")
            for (table,) in tables:
                connection.execute(f"CREATE TABLE {qualified(other, table)} AS FROM {qualified(name, table)}")
            connection.execute(described.replace(name, other))
            for table, text in rows.items():
                connection.execute(f"INSERT INTO {table.qualified} {text}", {"name": other, "id": other_id})
        connection.execute("COMMIT; CHECKPOINT build; USE memory; DETACH build")
    build.chmod(published.stat().st_mode)
    build.replace(published)
    for other, other_id in others.items():
        for kind in ("landing", "observations"):
            shutil.copytree(data_dir(folder) / kind / name, data_dir(folder) / kind / other)
            for document in (data_dir(folder) / kind / other).rglob("*.json"):
                document.write_text(document.read_text("utf-8").replace(data_set_id, other_id), "utf-8")


def _described(connection: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    """The statements that make a schema's views and macros, and all its comments."""

    def ask(query: str) -> list[tuple[str, ...]]:
        return connection.execute(f"{query} AND NOT internal", {"schema": schema}).fetchall()

    statements = []
    views = dict(ask("SELECT view_name, sql FROM duckdb_views() WHERE schema_name = $schema"))
    statements += [text.rstrip("; \n") for text in views.values()]
    for name, parameters, text, comment in ask(
        "SELECT function_name, array_to_string(parameters, ', '), macro_definition, comment FROM duckdb_functions() "
        "WHERE schema_name = $schema AND function_type = 'table_macro'"
    ):
        macro = qualified(schema, name)
        statements.append(f"CREATE MACRO {macro}({parameters}) AS TABLE {text}")
        statements.append(f"COMMENT ON MACRO TABLE {macro} IS {literal(comment)}")
    for kind in ("TABLE", "VIEW"):
        source = f"duckdb_{kind.lower()}s() WHERE schema_name = $schema"
        statements += [
            f"COMMENT ON {kind} {qualified(schema, name)} IS {literal(comment)}"
            for name, comment in ask(f"SELECT {kind.lower()}_name, comment FROM {source}")
        ]
    statements += [
        f"COMMENT ON COLUMN {qualified(schema, name)}.{identifier(column)} IS {literal(comment)}"
        for name, column, comment in ask(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = $schema"
        )
    ]
    return statements


def _rows(table: Table, name: str, data_set_id: str) -> str:
    """The query for a copy's rows of a table of the catalogue, which takes its ``$name`` and ``$id``."""
    texts = [column for column, (kind, _) in table.columns.items() if kind == "VARCHAR" and column != "data_set"]
    replaced = ", ".join(
        f"replace(replace({text}, {literal(name)}, $name), {literal(data_set_id)}, $id) AS {text}"
        for text in map(identifier, texts)
    )
    return f"SELECT * REPLACE ($name AS data_set, {replaced}) FROM {table.qualified} WHERE data_set = {literal(name)}"
