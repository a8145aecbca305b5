"""Rules that hold of any data set's file: keys, periods, places, filters, markers, and size against the version before.

What the publisher's own screener stops before publication can still reach us, by another producer's tool or a cut file.
Nearly all of it is worth a warning and no more: the figures themselves are as published.
"""

from __future__ import annotations

from ks4_pipeline.markers import MARKERS
from ks4_pipeline.quality.measures import OVERLAPPING, STATUS
from ks4_pipeline.quality.relations import MAY_REPEAT
from ks4_pipeline.quality.results import Family, Severity
from ks4_pipeline.quality.rules import Rule
from ks4_pipeline.warehouse.sql import literal

_SCREENER = "DfE's screener of data files (eesyscreener)"
_STANDARD = "DfE's standard for data files"
_SYMBOLS = "DfE analysts' guide: data symbols"
_MEASURED = "measured on published releases"

SHARE_MOVED = 2
"""Percentage points by which a marker share may move from version to version before it is worth a look."""
ROWS_APART = 0.95
"""The rows of a period must be this share of those of the largest period of its kind."""
LEAST_OF_PREVIOUS = 0.5
# Where Excel cuts a file (with and without the header), and the round numbers where other tools do.
_LIMITS = "1000, 10000, 100000, 1000000, 1048575, 1048576"


def _texts(words: set[str] | frozenset[str]) -> str:
    return ", ".join(literal(word) for word in sorted(words))


_HALVED = f"""
    SELECT previous_rows - rows AS affected, rows, previous_rows
    FROM facts WHERE rows < {LEAST_OF_PREVIOUS} * previous_rows AND {{}}
"""

FILE_RULES: tuple[Rule, ...] = (
    Rule(
        "rows_unique",
        "No two rows have the same time, geography and filters; those that do are kept.",
        Family.FILE,
        Severity.WARN,
        f"{_SCREENER}; rows of schools, providers, institutions and planning areas are no part of it",
        findings="FROM repeated",
        summary="SELECT format('{} of them repeat an earlier row entirely. All are kept: count distinct rows before "
        "you sum.', repeated_rows) FROM facts",
    ),
    Rule(
        "canonical_cells",
        "Markers are spelt c, not C or [c], and numbers have no blanks around them.",
        Family.FILE,
        Severity.WARN,
        _SYMBOLS,
        findings=r"""
            SELECT spelling AS written, cells AS affected,
                format('''{}'' {} times', replace(spelling, chr(9), '\t'), cells) AS finding
            FROM spellings
            UNION ALL BY NAME
            SELECT padded_numbers AS affected, format('{} numbers with blanks around them', padded_numbers) AS finding
            FROM facts WHERE padded_numbers > 0
        """,
        counted="cells",
        summary="SELECT 'All are read as meant.'",
    ),
    Rule(
        "current_markers",
        "No marker is one that DfE has replaced, such as : or ~.",
        Family.FILE,
        Severity.WARN,
        _SYMBOLS,
        findings=f"""
            SELECT marker, sum(cells) AS affected, format('''{{}}'' in {{}} cells', marker, sum(cells)) AS finding
            FROM marker_cells
            WHERE marker IN ({_texts({symbol for symbol, marker in MARKERS.items() if not marker.current})})
            GROUP BY marker ORDER BY marker
        """,
        counted="cells",
    ),
    Rule(
        "periods_well_formed",
        "A time period is four digits, or six that name two years in a row, as 202425 does.",
        Family.FILE,
        Severity.ERROR,
        _STANDARD,
        findings="""
            SELECT time_period, time_identifier, rows AS affected FROM periods
            WHERE time_period IS NULL OR NOT regexp_full_match(time_period, '[0-9]{4}([0-9]{2})?')
                OR (length(time_period) = 6
                    AND CAST(right(time_period, 2) AS INTEGER) <> (CAST(left(time_period, 4) AS INTEGER) + 1) % 100)
        """,
        applies=lambda has: "time_period" in has.descriptive,
    ),
    Rule(
        "periods_fit_identifier",
        "The time identifier is a known one, and the period has as many digits as it asks for.",
        Family.FILE,
        Severity.WARN,
        f"{_STANDARD}; {_SCREENER}",
        findings="""
            SELECT time_period, periods.time_identifier, rows AS affected,
                coalesce(digits || ' digits expected', 'no known identifier') AS problem
            FROM periods LEFT JOIN time_identifiers AS known
                ON lower(known.time_identifier) = lower(periods.time_identifier)
            WHERE digits IS NULL OR (length(time_period) IN (4, 6) AND length(time_period) <> digits)
        """,
        applies=lambda has: "time_identifier" in has.descriptive,
    ),
    Rule(
        "periods_continuous",
        "From the first to the last period no year is missing.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings="""
            WITH steps AS (
                SELECT time_identifier, start_year(time_period) AS year,
                    lag(year) OVER (PARTITION BY time_identifier ORDER BY year) AS before
                FROM (SELECT DISTINCT time_identifier, left(time_period, 4) AS time_period FROM periods)
            )
            SELECT time_identifier, year - before - 1 AS affected, before AS last_before, year AS next_after
            FROM steps WHERE year - before > 1
        """,
        counted="years",
        applies=lambda has: "time_period" in has.descriptive,
    ),
    Rule(
        "periods_alike_in_rows",
        "No period has fewer than 95 % of the rows of the largest one of its kind.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings=f"""
            SELECT time_period, time_identifier, most - rows AS affected, rows, most AS rows_of_largest
            FROM (SELECT *, max(rows) OVER (PARTITION BY time_identifier) AS most FROM periods)
            WHERE rows < {ROWS_APART} * most ORDER BY ALL
        """,
        applies=lambda has: "time_period" in has.descriptive,
    ),
    Rule(
        "row_count_is_no_limit",
        "The number of rows is not one at which tools cut a file off, such as 1,000 or 1,048,576.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings=f"SELECT rows AS affected FROM facts WHERE rows IN ({_LIMITS})",
    ),
    Rule(
        "rows_not_halved",
        "A minor or patch version, which promises to remove nothing, has at least half the rows of the version before.",
        Family.FILE,
        Severity.ERROR,
        _MEASURED,
        findings=_HALVED.format("NOT is_major"),
        needs_previous=True,
    ),
    Rule(
        "rows_not_halved_by_major",
        "A major version, which may remove years and places, still has at least half the rows of the version before.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings=_HALVED.format("is_major"),
        needs_previous=True,
    ),
    Rule(
        "window_moved_by_a_year",
        "First and last year are those of the version before, or at most one year away from them.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings="""
            WITH now AS (
                SELECT time_identifier, min(start_year(time_period)) AS first, max(start_year(time_period)) AS last
                FROM periods GROUP BY ALL
            ), before AS (
                SELECT time_identifier, min(start_year(time_period)) AS first, max(start_year(time_period)) AS last
                FROM previous_periods GROUP BY ALL
            ), ends AS (
                SELECT time_identifier, 'first year' AS which, before.first AS before, now.first AS now
                FROM now JOIN before USING (time_identifier)
                UNION ALL
                SELECT time_identifier, 'last year' AS which, before.last AS before, now.last AS now
                FROM now JOIN before USING (time_identifier)
            )
            SELECT time_identifier, which, abs(now - before) AS affected, before, now
            FROM ends WHERE abs(now - before) > 1 ORDER BY ALL
        """,
        counted="years",
        applies=lambda has: "time_period" in has.descriptive,
        needs_previous=True,
    ),
    Rule(
        "marker_shares_steady",
        f"In no period has an indicator's share of markers moved by {SHARE_MOVED} percentage points since the version "
        "before.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings=f"""
            SELECT time_period, indicator, 1 AS affected,
                round(100.0 * previous_marked / previous_rows, 1) AS percent_before,
                round(100.0 * marked / rows, 1) AS percent_now,
                previous_marked AS marked_before, previous_rows AS cells_before,
                marked AS marked_now, rows AS cells_now,
                format('{{}} {{}}: {{}} of {{}} cells ({{}} %), before {{}} of {{}} ({{}} %)', indicator, time_period,
                    marked, rows, percent_now, previous_marked, previous_rows, percent_before) AS finding
            FROM marker_shares
            WHERE abs(100.0 * marked / rows - 100.0 * previous_marked / previous_rows) >= {SHARE_MOVED}
            ORDER BY abs(1.0 * marked / rows - 1.0 * previous_marked / previous_rows) DESC, time_period, indicator
        """,
        counted="shares",
        applies=lambda has: bool(has.numeric),
        needs_previous=True,
        shown=100,
    ),
    Rule(
        "geographic_levels_known",
        "The geographic level is one of the publisher's.",
        Family.FILE,
        Severity.WARN,
        _SCREENER,
        findings="""
            SELECT geographic_level, rows AS affected FROM levels ANTI JOIN level_columns USING (geographic_level)
        """,
        applies=lambda has: "geographic_level" in has.descriptive,
    ),
    Rule(
        "level_columns_filled",
        "Each row has the code and the name of its place.",
        Family.FILE,
        Severity.WARN,
        _SCREENER,
        findings="""
            SELECT levels.geographic_level, string_agg(wanted.column_name, ' or ') AS missing,
                levels.rows - coalesce(max(filled.filled), 0) AS affected
            FROM levels JOIN level_columns AS wanted USING (geographic_level)
                LEFT JOIN filled ON filled.geographic_level = levels.geographic_level
                    AND filled.column_name = wanted.column_name
            GROUP BY levels.geographic_level, levels.rows, wanted.is_name
            HAVING coalesce(max(filled.filled), 0) < levels.rows
            ORDER BY ALL
        """,
        applies=lambda has: "geographic_level" in has.descriptive,
    ),
    Rule(
        "finer_columns_blank",
        "Columns of finer levels are blank: a regional row names no local authority.",
        Family.FILE,
        Severity.WARN,
        _SCREENER,
        findings="""
            SELECT filled.geographic_level, filled.column_name, filled.filled AS affected
            FROM filled
                JOIN (SELECT DISTINCT geographic_level, rank FROM level_columns) AS own USING (geographic_level)
                JOIN level_columns AS finer ON finer.column_name = filled.column_name AND finer.rank > own.rank
            WHERE filled.filled > 0 ORDER BY ALL
        """,
        counted="cells",
        applies=lambda has: "geographic_level" in has.descriptive,
    ),
    Rule(
        "codes_and_names_agree",
        "Within a period a code has one name, and a name one code where places of a level do not share names.",
        Family.FILE,
        Severity.WARN,
        f"{_SCREENER}; codes may change from one period or version to the next",
        findings=f"""
            WITH known AS (FROM places WHERE lower(code) NOT IN ('x', 'z'))
            SELECT geographic_level, time_period, code AS place, count(*) AS affected,
                string_agg(name, ' / ' ORDER BY name) AS found
            FROM known GROUP BY geographic_level, time_period, code_column, code HAVING count(*) > 1
            UNION ALL
            SELECT geographic_level, time_period, name AS place, count(*) AS affected,
                string_agg(code, ' / ' ORDER BY code) AS found
            FROM known WHERE geographic_level NOT IN ({_texts({*MAY_REPEAT, "Ward"})})
            GROUP BY geographic_level, time_period, code_column, name HAVING count(*) > 1
            ORDER BY ALL
        """,
        counted="names or codes",
        applies=lambda has: "geographic_level" in has.descriptive,
    ),
    Rule(
        "filters_filled",
        "Every cell of a filter is filled.",
        Family.FILE,
        Severity.WARN,
        _SCREENER,
        findings="""
            SELECT column_name, sum(rows - filled) AS affected FROM filled JOIN filters USING (column_name)
            GROUP BY ALL HAVING sum(rows - filled) > 0 ORDER BY ALL
        """,
        counted="cells",
    ),
    Rule(
        "filter_totals_present",
        "Every filter has an option for all of its others together, such as Total or All pupils.",
        Family.FILE,
        Severity.WARN,
        f"{_SCREENER}; groups that overlap and the status of figures have none",
        findings=f"""
            SELECT column_name, facts.rows AS affected FROM filters, facts
            WHERE total_rows = 0 AND facts.rows > 0 AND lower(column_name) NOT IN ({_texts(OVERLAPPING | STATUS)})
            ORDER BY ALL
        """,
    ),
    Rule(
        "headline_rows_present",
        "Each period, level and group has a row with the totals of all other filters.",
        Family.FILE,
        Severity.WARN,
        _MEASURED,
        findings="FROM without_headline",
        applies=lambda has: "time_period" in has.descriptive,
    ),
    Rule(
        "columns_described",
        "Every column that is neither time nor place nor the same throughout is in the publisher's metadata.",
        Family.FILE,
        Severity.WARN,
        _SCREENER,
        findings="SELECT column_name FROM undescribed WHERE distinct_values > 1 ORDER BY ALL",
        counted="columns",
    ),
)
