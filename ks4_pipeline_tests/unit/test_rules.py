"""The rules against planted faults: each is caught by the rule meant for it, and refused by no other one.

A table of consistent figures, made of whole pupils with the publisher's rounding, breaks no rule. Each fault is one
change to it.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from ks4_pipeline import memory
from ks4_pipeline.ees.models import Filter, Indicator, Meta
from ks4_pipeline.observations import Observations, ObservationsStore
from ks4_pipeline.quality import CheckResult, Family, Severity
from ks4_pipeline.quality.book import BUILT_IN, rules_in_force
from ks4_pipeline.quality.evaluation import EvaluationError, evaluate
from ks4_pipeline.quality.measures import STANDARD_NAMES
from ks4_pipeline.settings import DataSet, RuleSetting
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline_tests.publisher import id_of, lay_down

Row = dict[str, str]
DATA_SET = DataSet(name="d", id=id_of("d"))
YEARS = ("202122", "202223", "202324", "202425")
GROUPS = ("CINO at 31 March", "CPPO at 31 March", "CLA 12 months at 31 March")
SEN = ("All pupils", "No SEN provision")
FILTERS = ("social_care_group", "sen_provision", "version")
INDICATORS = tuple(dict.fromkeys(STANDARD_NAMES.values()))
PLACES = (
    # level, region code and name, old code, name and code of the authority
    ("National", "", "", "", "", ""),
    ("Regional", "E12000001", "North East", "", "", ""),
    ("Local authority", "E12000001", "North East", "841", "Darlington", "E06000005"),
    ("Local authority", "E12000001", "North East", "840", "County Durham", "E06000047"),
)
SUCCESSES = {"engmath_94": 5, "engmath_95": 9, "ebacc_entering": 10, "ebacc_94": 20, "ebacc_95": 30}
"""One pupil in so many."""


def rounded(number: Decimal, places: int) -> str:
    text = f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figures(pupils: int, year: str, *, exact: bool) -> Row:
    """Consistent cells of so many pupils, published as for an authority or rounded to 10."""

    def count(number: int) -> str:
        return str(number if exact else (number + 5) // 10 * 10)

    points, aps, scored = pupils * 21 + pupils % 7, Decimal(pupils) * 2 - Decimal("0.75"), pupils - pupils // 8
    progress = Decimal(-scored) * Decimal("1.234")
    cells = {
        "pupil_count": count(pupils),
        "attainment8_sum": str(points),
        "attainment8_average": rounded(Decimal(points) / pupils, 1),
        "ebacc_aps_sum": rounded(aps, 2),
        "ebacc_aps_average": rounded(aps / pupils, 2),
        "progress8_pupil_count": count(scored),
        "progress8_sum": rounded(progress, 3),
        "progress8_average": rounded(progress / scored, 2),
        "progress8_lower_95_ci": "-1.4",
        "progress8_upper_95_ci": "-1.1",
    }
    for success, one_in in SUCCESSES.items():
        number = pupils // one_in
        cells[f"{success}_total"] = count(number)
        cells[f"{success}_percent"] = rounded(Decimal(100 * number) / pupils, 1)
    if year == "202425":
        cells |= dict.fromkeys((name for name in INDICATORS if name.startswith("progress8")), "x")
    return cells


def sound_rows() -> list[Row]:
    rows = []
    for year in YEARS:
        for level, region_code, region, old, name, code in PLACES:
            for at, group in enumerate(GROUPS):
                for part, sen in enumerate(SEN):
                    size = {"National": 13_257, "Regional": 1_463}.get(level, 333) // (1 + at + part) + int(year[3])
                    rows.append(
                        {
                            "time_period": year, "time_identifier": "Academic year", "geographic_level": level,
                            "country_code": "E92000001", "country_name": "England", "region_code": region_code,
                            "region_name": region, "old_la_code": old, "la_name": name, "new_la_code": code,
                            "social_care_group": group, "sen_provision": sen, "version": "Final",
                            **figures(size, year, exact=level == "Local authority"),
                        }
                    )  # fmt: skip
    return rows


META = Meta(
    filters=tuple(Filter(id=name, column=name, label=name) for name in FILTERS),
    indicators=tuple(
        Indicator(id=name, column=name, label=name, unit="%" if name.endswith("percent") else None)
        for name in INDICATORS
    ),
)


def observed(folder: Path, number: str, rows: list[Row], meta: Meta = META) -> Observations:
    version = VersionNumber.parse(number)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    landed = lay_down(folder / "landing" / number, DATA_SET, version, text.getvalue(), meta)
    return ObservationsStore(folder / "observations").make(DATA_SET, landed)


def judged(version: Observations, previous: Observations | None = None, **rules: RuleSetting) -> dict[str, CheckResult]:
    results = evaluate(version, previous, rules_in_force(rules, "d"))
    return {result.name: result for result in results}


def failing(results: dict[str, CheckResult]) -> dict[str, CheckResult]:
    return {name: result for name, result in results.items() if not result.passed}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Observations:
    return observed(tmp_path_factory.mktemp("sound"), "1.0", sound_rows())


def test_consistent_figures_break_no_rule_and_every_rule_is_asked(tmp_path: Path, sound: Observations) -> None:
    results = judged(observed(tmp_path, "1.1", sound_rows()), sound)
    assert failing(results) == {}
    assert list(results) == list(BUILT_IN)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        plant: changes the rows in place.
        affected: what the rule then counts.
        number: of the version that has the fault.
    """

    plant: Callable[[list[Row]], object]
    affected: int = 1
    number: str = "1.1"


def first(rows: list[Row], **where: str) -> Row:
    return next(row for row in rows if all(row[name] == text for name, text in where.items()))


def setting(where: dict[str, str], cells: Row | None = None, **more: str) -> Callable[[list[Row]], object]:
    return lambda rows: first(rows, **where).update((cells or {}) | more)


LA = {"geographic_level": "Local authority"}
NATIONAL = {"geographic_level": "National"}


def everywhere(**cells: str) -> Callable[[list[Row]], object]:
    return lambda rows: [row.update(cells) for row in rows]


def repeat_first(rows: list[Row]) -> None:
    rows.append(dict(rows[0]))


def keep(condition: Callable[[Row], bool]) -> Callable[[list[Row]], object]:
    def plant(rows: list[Row]) -> None:
        rows[:] = [row for row in rows if condition(row)]

    return plant


def in_years(*years: str) -> Callable[[list[Row]], object]:
    """The same rows under other years."""

    def plant(rows: list[Row]) -> None:
        for row in rows:
            row["time_period"] = years[YEARS.index(row["time_period"])]
            if row["time_period"] in {"201920", "202021", "202425", "202526"}:
                row.update({name: "x" for name in INDICATORS if name.startswith("progress8")})

    return plant


def thousand(rows: list[Row]) -> None:
    """A thousand rows: the same under more names of groups."""
    sound = list(rows)
    for number in range(1000 // len(sound)):
        rows += [row | {"social_care_group": f"{row['social_care_group']} {number}"} for row in sound]
    del rows[1000:]


def undescribed(rows: list[Row]) -> None:
    for number, row in enumerate(rows):
        row["remark"] = str(number % 2)


def off_by_much(column: str) -> Callable[[list[Row]], object]:
    """A figure of one authority wrong in so many rows that it cannot be the publisher's rounding."""

    def plant(rows: list[Row]) -> None:
        for row in [row for row in rows if row["geographic_level"] == "Local authority"][:11]:
            row[column] = f"{float(row[column]) + 0.3:.1f}"

    return plant


FAULTS: dict[str, Fault] = {
    "rows_unique": Fault(repeat_first, affected=2),
    "canonical_cells": Fault(setting(LA, attainment8_sum="[c]", attainment8_average="C"), affected=2),
    "current_markers": Fault(setting(LA, attainment8_sum=":", attainment8_average=":"), affected=2),
    "periods_well_formed": Fault(
        lambda rows: [row.update(time_period="202427") for row in rows if row["time_period"] == "202425"], affected=24
    ),
    "periods_fit_identifier": Fault(everywhere(time_identifier="Calendar year"), affected=96),
    "periods_continuous": Fault(in_years("202122", "202223", "202324", "202526")),
    "periods_alike_in_rows": Fault(
        keep(lambda row: row["time_period"] != "202425" or row["geographic_level"] != "Regional"), affected=6
    ),
    "row_count_is_no_limit": Fault(thousand, affected=1000),
    "rows_not_halved": Fault(keep(lambda row: row["sen_provision"] == SEN[0] and row["la_name"] == ""), affected=72),
    "rows_not_halved_by_major": Fault(
        keep(lambda row: row["sen_provision"] == SEN[0] and row["la_name"] == ""), affected=72, number="2.0"
    ),
    "window_moved_by_a_year": Fault(in_years("201819", "201920", "202021", "202122"), affected=6),
    "marker_shares_steady": Fault(setting(LA, attainment8_sum="c", attainment8_average="c"), affected=2),
    "geographic_levels_known": Fault(
        lambda rows: [row.update(geographic_level="County") for row in rows if row["la_name"] == "Darlington"], 24
    ),
    "level_columns_filled": Fault(setting(LA, la_name="")),
    "finer_columns_blank": Fault(setting(NATIONAL, region_name="North East")),
    "codes_and_names_agree": Fault(setting(LA, la_name="Darlingtn"), affected=4),
    "filters_filled": Fault(setting(LA, version="")),
    "filter_totals_present": Fault(everywhere(sen_provision="SEN support"), affected=96),
    "headline_rows_present": Fault(
        keep(
            lambda row: (
                (row["time_period"], row["geographic_level"], row["social_care_group"], row["sen_provision"])
                != ("202425", "Regional", GROUPS[0], "All pupils")
            )
        )
    ),
    "columns_described": Fault(undescribed),
    "percentages_in_range": Fault(setting(NATIONAL, engmath_94_percent="120")),
    "scores_in_range": Fault(setting(LA, attainment8_average="95")),
    "counts_are_whole": Fault(setting(LA, ebacc_95_total="1.5")),
    "english_maths_ordered": Fault(setting(LA, engmath_95_total="300")),
    "ebacc_ordered": Fault(setting(LA, ebacc_95_total="30"), affected=1),
    "ebacc_within_english_maths": Fault(
        setting(LA, engmath_95_total="5", engmath_95_percent="1.5"), affected=2
    ),
    "progress8_interval_ordered": Fault(setting(LA, progress8_lower_95_ci="-1.2")),
    "progress8_pupils_among_pupils": Fault(setting(LA, progress8_pupil_count="336")),
    "averages_match_sums": Fault(off_by_much("attainment8_average"), affected=11),
    "percentages_match_totals": Fault(off_by_much("engmath_94_percent"), affected=11),
    "rounds_to_zero_agrees": Fault(setting(LA, progress8_average="k")),
    "counts_rounded_to_ten": Fault(setting(NATIONAL, engmath_94_total="2651")),
    "nobody_has_no_scores": Fault(
        setting(
            LA,
            dict.fromkeys(INDICATORS, "z") | dict.fromkeys(("pupil_count", "progress8_pupil_count"), "0"),
            ebacc_aps_sum="7",
        )
    ),
    "hidden_pupils_hide_scores": Fault(
        setting(LA, dict.fromkeys(INDICATORS, "c"), engmath_94_total="66")
    ),
    "missing_pupils_miss_scores": Fault(
        setting(LA, dict.fromkeys(INDICATORS, "x"), ebacc_95_total="c")
    ),
    "totals_and_percentages_hidden_alike": Fault(setting(LA, ebacc_95_total="c")),
    "sums_and_averages_marked_alike": Fault(setting(LA, progress8_sum="c")),
    "progress8_missing_together": Fault(setting(LA, progress8_pupil_count="x")),
    "progress8_only_where_produced": Fault(setting(LA | {"time_period": "202425"}, progress8_pupil_count="300"), 1),
}  # fmt: skip


def test_there_is_a_fault_for_every_rule() -> None:
    assert list(FAULTS) == list(BUILT_IN)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_the_rule_meant_for_it_and_refused_by_no_other(
    tmp_path: Path, sound: Observations, name: str
) -> None:
    fault, rows = FAULTS[name], sound_rows()
    fault.plant(rows)
    found = failing(judged(observed(tmp_path, fault.number, rows), sound))
    assert name in found
    assert found[name].affected == fault.affected
    assert found[name].severity is BUILT_IN[name].severity
    errors = {other for other, result in found.items() if result.severity is Severity.ERROR}
    assert errors <= {name}


def random_rows(count: int) -> list[Row]:
    """Pupils at random, published as each level is; National rows of any size, none too small to be told."""
    draw, rows, base = random.Random(4), [], sound_rows()[0]
    for number in range(count):
        exact = number % 2 == 0
        level, region_code, region, old, name, code = PLACES[2 if exact else 0]
        pupils = draw.randint(6, 900) if exact else draw.randint(16, 30_000)
        scored, points, aps = draw.randint(1, pupils), draw.randint(0, 200 * pupils), draw.randint(0, 500 * pupils)
        progress = draw.randint(-3000 * scored, 2000 * scored)
        numbers = {"pupil_count": pupils, "progress8_pupil_count": scored}
        at = pupils
        for success in ("engmath_94", "engmath_95", "ebacc_94", "ebacc_95"):
            at = draw.randint(0, at)
            numbers[f"{success}_total"] = at
        numbers["ebacc_entering_total"] = draw.randint(numbers["ebacc_94_total"], pupils)
        cells = {name: str(n if exact else (n + 5) // 10 * 10) for name, n in numbers.items()}
        cells |= {
            f"{success}_percent": rounded(Decimal(100 * numbers[f"{success}_total"]) / pupils, 1)
            for success in SUCCESSES
        }
        cells |= {
            "attainment8_sum": rounded(Decimal(points) / 4, 2),
            "attainment8_average": rounded(Decimal(points) / (4 * pupils), 1),
            "ebacc_aps_sum": rounded(Decimal(aps) / 100, 2),
            "ebacc_aps_average": rounded(Decimal(aps) / (100 * pupils), 2),
            "progress8_sum": rounded(Decimal(progress) / 1000, 3),
            "progress8_average": rounded(Decimal(progress) / (1000 * scored), 2),
            "progress8_lower_95_ci": "-5",
            "progress8_upper_95_ci": "5",
        }
        rows.append(
            base
            | {
                "geographic_level": level, "region_code": region_code, "region_name": region, "old_la_code": old,
                "la_name": name, "new_la_code": code, "social_care_group": str(number),
            }
            | cells
        )  # fmt: skip
    return rows


def test_whatever_is_published_with_the_publishers_rounding_is_right(tmp_path: Path) -> None:
    found = failing(judged(observed(tmp_path, "1.0", random_rows(2000))))
    assert [result for result in found.values() if result.family is Family.MEASURE] == []


@pytest.mark.parametrize(
    ("pupils", "total", "result", "level", "is_right"),
    [
        ("1350", "15461.5", "11.4", "National", True),  # the publisher's own: any of 1,351 to 1,354 pupils
        ("1350", "15461.5", "11.4", "Local authority", False),  # exactly 1,350 would print as 11.5
        ("1350", "15461.5", "11.5", "Local authority", True),
        ("1350", "15461.5", "11.3", "National", False),
        ("80", "23", "28.8", "Local authority", True),  # 28.75: half goes up
        ("80", "23", "28.7", "Local authority", False),
        ("10", "100", "17", "National", True),  # of so few nothing can be told
        ("20", "-1", "0.1", "Local authority", False),  # the other sign
    ],
)
def test_quotients_are_held_to_the_publishers_rounding(  # noqa: PLR0917 - a case of the table
    tmp_path: Path, pupils: str, total: str, result: str, level: str, is_right: bool
) -> None:
    percent = total == "23"
    columns = ("engmath_94_total", "engmath_94_percent") if percent else ("attainment8_sum", "attainment8_average")
    row = first(sound_rows(), geographic_level=level)
    row |= dict.fromkeys(INDICATORS, "z") | {"pupil_count": pupils, columns[0]: total, columns[1]: result}
    results = judged(observed(tmp_path, "1.0", [row]))
    name = "percentages_match_totals" if percent else "averages_match_sums"
    assert results[name].passed is is_right


def test_a_few_quotients_that_are_off_are_a_warning(tmp_path: Path) -> None:
    rows = sound_rows()
    first(rows, **LA)["engmath_94_percent"] = "21.3"
    result = judged(observed(tmp_path, "1.0", rows))["percentages_match_totals"]
    assert (result.passed, result.severity, result.affected) == (False, Severity.WARN, 1)


def test_older_names_of_the_measures_are_known(tmp_path: Path) -> None:
    older = {new: old for old, new in STANDARD_NAMES.items() if old != new}
    rows = [{older.get(name, name): text for name, text in row.items()} for row in sound_rows()]
    rows[0]["t_l2basics_94"] = "99990"
    meta = META.model_copy(
        update={"indicators": tuple(item.model_copy(update={"column": older[item.column]}) for item in META.indicators)}
    )
    found = failing(judged(observed(tmp_path, "1.0", rows, meta)))
    assert found["english_maths_ordered"].examples[0].values["engmath_94_total"] == "99990"


def test_an_example_names_the_row_and_what_stands_there(tmp_path: Path) -> None:
    rows = sound_rows()
    first(rows, **LA)["engmath_95_total"] = "300"
    (example,) = judged(observed(tmp_path, "1.0", rows))["english_maths_ordered"].examples
    assert example.key["la_name"] == "Darlington"
    assert example.values == {"engmath_95_total": "300", "engmath_94_total": "66"}


def own(sql: str, **more: object) -> RuleSetting:
    return RuleSetting.model_validate({"assert": "It is so.", "sql": sql, **more})


@pytest.mark.parametrize(
    ("sql", "affected"),
    [
        ("pupil_count >= 50", 0),
        ("attainment8_average < 21", 96),
        ("progress8_average < 0", 0),  # a marker in place of a number breaks nothing
        ("FROM observations WHERE la_name = 'Darlington'", 24),
        ("SELECT time_period, 5 AS affected, rows FROM periods WHERE time_period = '202425';", 5),
        ("SELECT * FROM observations ANTI JOIN previous USING (time_period)", 0),
    ],
)
def test_a_rule_of_ones_own_is_a_predicate_or_a_query(
    tmp_path: Path, sound: Observations, sql: str, affected: int
) -> None:
    result = judged(observed(tmp_path, "1.1", sound_rows()), sound, mine=own(sql))["mine"]
    assert (result.passed, result.affected, result.family) == (not affected, affected, Family.OWN)


@pytest.mark.parametrize("sql", ["FROM read_csv('/etc/passwd')", "no_such_column > 0", "FROM glob('/*')"])
def test_a_rule_of_ones_own_that_cannot_be_evaluated_is_a_warning_that_says_so(sound: Observations, sql: str) -> None:
    result = judged(sound, mine=own(sql, severity="error"))["mine"]
    assert (result.passed, result.severity) == (False, Severity.WARN)
    assert "could not be evaluated" in result.detail


def test_the_configuration_sets_the_severity_of_a_built_in_rule(tmp_path: Path) -> None:
    rows = sound_rows()
    first(rows, **LA).update(engmath_95_total="300", engmath_94_percent="21.3")
    version = observed(tmp_path, "1.0", rows)
    changed = judged(
        version,
        english_maths_ordered=RuleSetting(severity="warn"),
        percentages_match_totals=RuleSetting(severity="error"),
        rows_unique=RuleSetting(severity="off"),
        canonical_cells=RuleSetting(severity="error", data_sets=("another",)),
    )
    assert changed["english_maths_ordered"].severity is Severity.WARN
    assert changed["percentages_match_totals"].severity is Severity.ERROR  # without the tolerance
    assert changed["canonical_cells"].severity is Severity.WARN
    assert "rows_unique" not in changed


def test_a_file_without_any_of_the_columns_is_asked_what_can_be_asked(tmp_path: Path) -> None:
    rows = [{"place": "a", "figure": "1"}, {"place": "b", "figure": "c"}]
    meta = Meta(indicators=(Indicator(id="i", column="figure", label="Figure"),))
    results = judged(observed(tmp_path, "1.0", rows, meta))
    assert set(failing(results)) == {"columns_described"}
    assert not [result for result in results.values() if result.family is Family.MEASURE]


def test_what_cannot_be_evaluated_for_want_of_memory_is_told(
    sound: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "RULES", 1000)
    with pytest.raises(EvaluationError, match=r"1\.0\.parquet could not be held to the rules"):
        judged(sound)


@pytest.mark.parametrize("level", ["School", "Provider", "Institution", "Planning area"])
def test_rows_of_levels_that_may_share_a_key_are_no_finding(tmp_path: Path, level: str) -> None:
    rows = [row | {"geographic_level": level} for row in sound_rows()[:3]]
    assert judged(observed(tmp_path, "1.0", [*rows, *rows]))["rows_unique"].passed


def test_places_recoded_for_a_later_period_still_have_one_code_each(tmp_path: Path) -> None:
    rows = sound_rows()
    for row in rows:
        if row["la_name"] == "Darlington" and row["time_period"] >= "202324":
            row["new_la_code"] = "E06000099"
    assert judged(observed(tmp_path, "1.0", rows))["codes_and_names_agree"].passed
