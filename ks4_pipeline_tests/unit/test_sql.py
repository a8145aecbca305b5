"""How DuckDB is set for a piece of work."""

from __future__ import annotations

import duckdb
import pytest

from ks4_pipeline.warehouse.sql import ROW_GROUP, in_any_order, take_threads_for


@pytest.fixture
def connection():
    with duckdb.connect(config={"threads": 3}) as connection:
        yield connection


def setting(connection: duckdb.DuckDBPyConnection, name: str) -> object:
    (value,) = connection.execute(f"SELECT current_setting('{name}')").fetchone()
    return value


def test_one_thread_does_the_work_of_one_row_group(connection):
    everywhere = setting(duckdb.connect(), "threads")
    take_threads_for(connection, ROW_GROUP)
    assert setting(connection, "threads") == 1
    take_threads_for(connection, ROW_GROUP + 1)
    assert setting(connection, "threads") == everywhere


def test_order_matters_again_afterwards(connection):
    with in_any_order(connection):
        assert setting(connection, "preserve_insertion_order") is False
    assert setting(connection, "preserve_insertion_order") is True


def test_what_fails_meanwhile_is_told_and_not_what_fails_because_of_it(connection):
    connection.execute("BEGIN; CREATE TABLE keys (key INTEGER PRIMARY KEY)")
    with pytest.raises(duckdb.ConstraintException), in_any_order(connection):
        connection.execute("INSERT INTO keys VALUES (1), (1)")
