"""A reader of a warehouse in a process of its own: reads in a loop, and looks whether all it sees is of one edition.

``python -m ks4_pipeline_tests.reading PATH fresh`` opens the file anew for each read, ``… held`` keeps one connection.
It reads until its standard input ends, and once more, then prints a JSON object: how many reads, the errors, and how
many versions the first and the last read saw. It says ``ready`` after the first.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import duckdb

_PAUSE = 0.2
_LOADED = (
    'SELECT version, "table", channels FROM catalogue.versions WHERE "table" IS NOT NULL ORDER BY major, minor, patch'
)


def look(connection: duckdb.DuckDBPyConnection) -> int:
    """How many versions are loaded, when everything in the warehouse says so.

    Raises:
        AssertionError: when one part is of another edition than the next.
    """
    loaded = connection.execute(_LOADED).fetchall()
    versions = [version for version, _, _ in loaded]
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'd' AND table_name SIMILAR TO 'v\\d+_\\d+_\\d+'"
    ).fetchall()
    assert sorted(tables) == sorted((table,) for _, table, _ in loaded), "tables and catalogue"
    history = connection.execute("SELECT data_set_version, max(score) FROM d.history GROUP BY 1 ORDER BY 2").fetchall()
    assert history == [(version, float(number)) for number, version in enumerate(versions)], "each table's figures"
    assert connection.execute("SELECT max(score) FROM d.latest").fetchone() == history[-1][1:], "latest"
    assert [v for v, _, channels in loaded if "latest" in channels.split(",")] == versions[-1:], "its channel"
    pairs = sorted(pairwise(versions))
    revised = "SELECT DISTINCT from_version, to_version FROM d.revisions"
    assert sorted(connection.execute(revised).fetchall()) == pairs, "revisions"
    compared = "SELECT from_version, to_version FROM catalogue.comparisons"
    assert sorted(connection.execute(compared).fetchall()) == pairs, "comparisons"
    return len(loaded)


def looks(path: str, *, held: bool) -> Iterator[int]:
    """What one look after the other sees."""
    if held:
        with duckdb.connect(path, read_only=True) as connection:
            while True:
                yield look(connection)
    while True:
        with duckdb.connect(path, read_only=True) as connection:
            seen = look(connection)
        yield seen


def main() -> None:
    """Read until nobody wants it any more."""
    path, kind = sys.argv[1:]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    seen: list[int] = []
    errors: list[str] = []
    looking = looks(path, held=kind == "held")
    while True:
        is_last = ended.is_set()
        try:
            seen.append(next(looking))
        except (AssertionError, duckdb.Error) as error:
            errors.append(f"{type(error).__name__}: {error}")
            looking = looks(path, held=kind == "held")
        if len(seen) == 1:
            print("ready", flush=True)
        if is_last:
            break
        time.sleep(_PAUSE)
    if seen != sorted(seen):
        errors.append("it has seen an older edition after a newer one")
    print(json.dumps({"reads": len(seen), "errors": errors, "first": seen[0], "last": seen[-1]}), flush=True)


if __name__ == "__main__":
    main()
