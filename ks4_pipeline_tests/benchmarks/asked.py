"""A user's first ten questions, each beside the same one to the tables themselves; times of one connection as JSON.

``python -m ks4_pipeline_tests.benchmarks.asked DATABASE SCHEMA FIRST``: ``FIRST`` says which of a pair is asked first,
``ours`` or ``raw``, since the second finds the blocks in memory. Answers that must be the same are compared.
"""

from __future__ import annotations

import json
import sys
import time
from typing import NamedTuple

import duckdb


class Question(NamedTuple):
    """A query and the one to the raw tables ``old`` and ``new`` that has the same answer, if there is one."""

    name: str
    ours: str
    raw: str | None
    same: bool = True


_HEADLINE = (
    "country_name = 'England' AND social_care_group = 'All pupils comparison' "
    "AND 'All pupils' = ALL [sen_provision, ethnicity_major, placement, period_of_care_length]"
)
_COUNTS = "count(COLUMNS('.*_flag$'))"
_BOTH = "(SELECT '1.0' AS data_set_version, * FROM {old} UNION ALL SELECT '1.1', * FROM {new})"
QUESTIONS = (
    Question("latest: the first rows", "FROM {schema}.latest LIMIT 5", "FROM {new} LIMIT 5"),
    Question("latest: how many rows", "SELECT count(*) FROM {schema}.latest", "SELECT count(*) FROM {new}"),
    Question(
        "latest: one headline over the years",
        f"SELECT time_period, pupil_count, progress8_sum_flag FROM {{schema}}.latest WHERE {_HEADLINE} ORDER BY ALL",
        f"SELECT time_period, pupil_count, progress8_sum_flag FROM {{new}} WHERE {_HEADLINE} ORDER BY ALL",
    ),
    Question(
        "latest: an average by year and group",
        "SELECT time_period, social_care_group, round(avg(attainment8_average), 6), count(attainment8_average_flag) "
        "FROM {schema}.latest GROUP BY ALL ORDER BY ALL",
        "SELECT time_period, social_care_group, round(avg(attainment8_average), 6), count(attainment8_average_flag) "
        "FROM {new} GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "latest_long: one indicator's cells",
        "SELECT time_period, value, marker, reason FROM {schema}.latest_long "
        f"WHERE indicator = 'progress8_average' AND {_HEADLINE} ORDER BY ALL",
        f"SELECT time_period, progress8_average, progress8_average_flag FROM {{new}} WHERE {_HEADLINE} ORDER BY ALL",
        same=False,
    ),
    Question(
        "latest_long: markers by indicator",
        "SELECT indicator, count(marker) FROM {schema}.latest_long GROUP BY ALL ORDER BY ALL",
        f"SELECT {_COUNTS} FROM {{new}}",
        same=False,
    ),
    Question(
        "history: rows by version",
        "SELECT data_set_version, count(*) FROM {schema}.history GROUP BY ALL ORDER BY ALL",
        f"SELECT data_set_version, count(*) FROM {_BOTH} GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "history: one cell in every version",
        f"SELECT data_set_version, time_period, pupil_count FROM {{schema}}.history WHERE {_HEADLINE} ORDER BY ALL",
        f"SELECT data_set_version, time_period, pupil_count FROM {_BOTH} WHERE {_HEADLINE} ORDER BY ALL",
    ),
    Question("revisions: by class", "SELECT class, count(*) FROM {schema}.revisions GROUP BY ALL ORDER BY ALL", None),
    Question(
        "revisions: the largest of an indicator",
        "FROM {schema}.revisions WHERE indicator = 'attainment8_average' AND class = 'revised' "
        "ORDER BY abs(new_value - old_value) DESC LIMIT 20",
        None,
    ),
)


def main(database: str, schema: str, first: str) -> None:
    """Ask all and print what it took, and which answers differ."""
    names = {"schema": schema, "old": f"{schema}.v1_0_0", "new": f"{schema}.v1_1_0"}
    seconds: dict[str, dict[str, float]] = {"ours": {}, "raw": {}}
    differ = []
    with duckdb.connect(database, read_only=True) as connection:
        for question in QUESTIONS:
            answers = {}
            for side in (first, "raw" if first == "ours" else "ours"):
                query = getattr(question, side)
                if query is not None:
                    began = time.perf_counter()
                    answers[side] = connection.execute(query.format(**names)).fetchall()
                    seconds[side][question.name] = time.perf_counter() - began
            if question.same and question.raw and answers["ours"] != answers["raw"]:
                differ.append(question.name)
    print(json.dumps({**seconds, "differ": differ}))


if __name__ == "__main__":
    main(*sys.argv[1:])
