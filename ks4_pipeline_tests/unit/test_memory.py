"""How much memory DuckDB is given: what the work may take, and less where the machine is small."""

from __future__ import annotations

import os

import duckdb
import pytest

from ks4_pipeline import memory

GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "most", "granted"),
    [(64 * GIB, 600_000_000, 600_000_000), (1 * GIB, 600_000_000, GIB * 2 // 5), (GIB // 2, 400_000_000, GIB // 5)],
)
def test_work_gets_what_it_may_take_and_two_fifths_of_a_small_machine(
    monkeypatch: pytest.MonkeyPatch, machine: int, most: int, granted: int
) -> None:
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": machine // 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert memory.granted(most) == granted
    with duckdb.connect(config={"memory_limit": memory.limit(most)}) as connection:
        (told,) = connection.execute("SELECT current_setting('memory_limit')").fetchone() or ("",)
    number, unit = told.split()
    assert (float(number), unit) == (pytest.approx(granted / (1 << 20), abs=0.2), "MiB")


def test_a_system_that_does_not_tell_its_memory_gives_what_the_work_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert memory.granted(400_000_000) == 400_000_000
