"""The synthetic data set keeps the publisher's arithmetic, its markers and a history that is what its notes say.

The rules are those of domain.md §3.3-3.6; each is tested on the published cells alone, with the publisher's rounding.
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
import tomllib
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from ks4_pipeline.sandbox.synthetic import (
    COLUMNS,
    DATA_SET_ID,
    FILTER_COLUMNS,
    INDICATOR_COLUMNS,
    KEY_COLUMNS,
    PREVIEW_ROWS,
    VERSIONS,
    write_synthetic_ks4,
)
from ks4_pipeline.sandbox.synthetic.cohorts import OUTCOMES, Cohort, Part, Passes, apportion, outcomes_of, split
from ks4_pipeline.sandbox.synthetic.history import editions
from ks4_pipeline.sandbox.synthetic.population import (
    ALL_PUPILS,
    CARE_LENGTH,
    ETHNICITY,
    GROUPS,
    HEADLINE,
    LABELS,
    PLACEMENT,
    SEN,
    UNKNOWN,
    Cut,
    slices_of,
)
from ks4_pipeline.sandbox.synthetic.publishing import PROGRESS8_COLUMNS, PROGRESS8_SIGMA, SUCCESSES, Rules, cells_of
from ks4_pipeline.sandbox.synthetic.publishing import rounded as printed

Row = dict[str, str]
Key = tuple[str, ...]

REAL_DATA = Path(os.environ.get("KS4_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "real")
VERSION_NAMES = [entry.version for entry in VERSIONS]
MARKERS = {"c", "z", "x", "low"}
EBACC_SLIPS = {("201819", "CPPO at any point"), ("202122", "CPPO at any point")}  # wrong in 1.0, right from 1.0.1 on

# A change of these is a change of what every test, demo and benchmark sees: make it on purpose.
SHA256 = {
    "v1.0.csv": "7251cdab90e0f30f8f4a8e8baca1d1249a4d954eec983df77e9242638db8bd09",
    "v1.0.1.csv": "b742efe6b436c228c33d2abb4108402a2f2111bf66b68e0e438052c84cc90fad",
    "v1.1.csv": "27ae1800b106e2fbe7935ff2971523061a9c74308303ed7c1cb029736ebdea6d",
    "v2.0.csv": "92850066e5a34b6ec7100c13c418e7f70443e8064f18cd9397929846d7c593bc",
    "data_set.toml": "937e4aa2252304cd86840cc393ff34c4404ffde57c376153f4cf646c85f7a475",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_synthetic_ks4(tmp_path_factory.mktemp("synthetic"))


@pytest.fixture(scope="module")
def versions(folder) -> dict[str, dict[Key, Row]]:
    """Rows by key, by version."""
    return {name: _read(folder / f"v{name}.csv") for name in VERSION_NAMES}


@pytest.fixture(params=VERSION_NAMES)
def rows(request, versions) -> list[Row]:
    return list(versions[request.param].values())


def _read(path: Path) -> dict[Key, Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keyed = {tuple(row[column] for column in KEY_COLUMNS): row for row in rows}
    assert len(keyed) == len(rows), "two rows of one key"
    return keyed


def _number(cell: str) -> Fraction | None:
    return None if cell in MARKERS else Fraction(cell)


def _breakdown(row: Row) -> str:
    """The column a row is a slice of; empty for a headline."""
    used = [column for column in (SEN, ETHNICITY, PLACEMENT, CARE_LENGTH) if row[column] != ALL_PUPILS]
    assert len(used) <= 1, "the file has one-way breakdowns only"
    return used[0] if used else ""


def _years(rows) -> list[str]:
    return sorted({row["time_period"] for row in rows})


class TestFiles:
    def test_two_runs_give_the_same_bytes(self, folder, tmp_path):
        again = write_synthetic_ks4(tmp_path)
        assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in folder.iterdir()}

    def test_the_bytes_are_those_we_know(self, folder):
        assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()} == SHA256

    def test_held_changes_the_description_only_and_leaves_the_first_version_free(self, folder, tmp_path):
        held = write_synthetic_ks4(tmp_path, held=True)
        for entry in VERSIONS:
            assert (held / entry.file).read_bytes() == (folder / entry.file).read_bytes()
        described = tomllib.loads((held / "data_set.toml").read_text(encoding="utf-8"))["versions"]
        assert [version.get("held", False) for version in described] == [False, True, True, True]

    def test_the_files_look_as_the_publisher_saves_them(self, folder):
        for entry in VERSIONS:
            content = (folder / entry.file).read_bytes()
            assert content.count(b"\r\n") == content.count(b"\n") == len(content.splitlines())
            assert content.decode("utf-8").isascii()
            assert b'"Education, health and care plan"' in content

    def test_the_description_names_what_the_files_hold(self, folder, versions):
        described = tomllib.loads((folder / "data_set.toml").read_text(encoding="utf-8"))
        assert described["id"] == DATA_SET_ID
        assert described["summary"].startswith("Synthetic stand-in")
        assert tuple(entry["column"] for entry in described["filters"]) == FILTER_COLUMNS
        assert tuple(entry["column"] for entry in described["indicators"]) == INDICATOR_COLUMNS
        assert {entry["column"] for entry in described["indicators"] if "unit" in entry} == {
            f"{success}_percent" for success in SUCCESSES
        }
        assert [entry["version"] for entry in described["versions"]] == list(versions)
        published = [entry["published"] for entry in described["versions"]]
        assert published == sorted(published)
        assert all(moment.utcoffset().total_seconds() == 0 for moment in published)
        assert not any("held" in entry for entry in described["versions"])
        labels = [entry["label"] for kind in ("filters", "indicators") for entry in described[kind]]
        assert len(set(labels)) == len(labels)
        assert max(map(len, labels)) <= 80

    def test_the_notes_say_that_the_data_are_synthetic_except_on_the_first_version(self):
        assert VERSIONS[0].notes == ""
        assert all(entry.notes.startswith("Synthetic data.") for entry in VERSIONS[1:])

    def test_every_version_but_a_patch_has_a_release_of_its_own(self):
        slugs = [entry.release.slug for entry in VERSIONS if entry.version.count(".") == 1]
        assert len(set(slugs)) == len(slugs)
        assert VERSIONS[1].release == VERSIONS[0].release

    def test_published_decimals_are_as_described(self, folder, rows):
        described = tomllib.loads((folder / "data_set.toml").read_text(encoding="utf-8"))["indicators"]
        places = {entry["column"]: entry["decimal_places"] for entry in described}
        for row in rows:
            for column in INDICATOR_COLUMNS:
                decimals = row[column].partition(".")[2]
                assert len(decimals) <= places[column]
                assert not decimals.endswith("0"), "trailing zeros are dropped"
                assert row[column] != "-0"


class TestPreview:
    def test_version_1_0_opens_with_the_five_preview_rows(self, folder):
        assert tuple((folder / "v1.0.csv").read_text(encoding="utf-8").splitlines()[1:6]) == PREVIEW_ROWS

    @pytest.mark.real
    def test_they_are_the_publishers_word_for_word(self):
        preview = REAL_DATA / "ks4_national" / "preview.csv"
        if not preview.is_file():
            pytest.skip(f"the publisher's preview is not here: {preview}")
        assert tuple(preview.read_text(encoding="utf-8").splitlines()) == (",".join(COLUMNS), *PREVIEW_ROWS)


class TestShape:
    def test_the_31_columns_stand_in_the_publishers_order(self, folder):
        for entry in VERSIONS:
            with (folder / entry.file).open(encoding="utf-8", newline="") as file:
                assert tuple(next(csv.reader(file))) == COLUMNS
        assert len(COLUMNS) == 31

    @pytest.mark.parametrize(("version", "per_year"), [("1.0", 200), ("1.0.1", 200), ("1.1", 216), ("2.0", 216)])
    def test_every_one_of_seven_years_has_as_many_rows(self, versions, version, per_year):
        assert set(Counter(row["time_period"] for row in versions[version].values()).values()) == {per_year}
        assert len(versions[version]) == 7 * per_year

    def test_every_year_and_group_has_one_headline(self, rows):
        headlines = [(row["time_period"], row["social_care_group"]) for row in rows if not _breakdown(row)]
        assert sorted(headlines) == sorted((year, group) for year in _years(rows) for group in GROUPS)

    def test_placement_and_length_of_care_are_for_looked_after_pupils(self, rows):
        groups = {row["social_care_group"] for row in rows if _breakdown(row) in {PLACEMENT, CARE_LENGTH}}
        assert groups == {group for group in GROUPS if group.startswith("CLA")}
        assert len(groups) == 4

    def test_every_marker_is_there_and_nothing_else_stands_for_a_number(self, rows):
        cells = {row[column] for row in rows for column in INDICATOR_COLUMNS}
        assert {cell for cell in cells if not cell[-1].isdigit()} == MARKERS

    def test_old_years_are_final_and_the_assessed_years_stay_revised(self, rows):
        status = {(row["time_period"], row["version"]) for row in rows}
        latest = _years(rows)[-1]
        revised = {"201920", "202021", latest}
        assert status == {(year, "Revised" if year in revised else "Final") for year in _years(rows)}


class TestIdentities:
    """domain.md §3.4, on every row of every version."""

    @pytest.mark.parametrize(
        ("total", "count", "average", "places"),
        [
            ("attainment8_sum", "pupil_count", "attainment8_average", 1),
            ("ebacc_aps_sum", "pupil_count", "ebacc_aps_average", 2),
            ("progress8_sum", "progress8_pupil_count", "progress8_average", 2),
        ],
    )
    def test_an_average_is_the_sum_over_some_count_that_rounds_as_printed(self, rows, total, count, average, places):
        tested = 0
        for row in rows:
            summed, rounded_count, mean = _number(row[total]), _number(row[count]), _number(row[average])
            if summed is None or rounded_count is None or rounded_count == 0:
                assert mean is None, "an average without its sum or its count"
                continue
            counts = range(max(6, int(rounded_count) - 5), int(rounded_count) + 5)
            value = row[average]
            assert value in _averages(summed, counts, places, rounded_count), row
            tested += 1
        assert tested > 300

    @pytest.mark.parametrize("success", SUCCESSES)
    def test_a_percentage_is_some_count_over_some_count_that_round_as_printed(self, rows, success):
        half = Fraction(1, 20)
        for row in rows:
            pupils, percent = _number(row["pupil_count"]), _number(row[f"{success}_percent"])
            if pupils is None or percent is None:
                continue
            total = row[f"{success}_total"]
            least, most = (1, 4) if total == "low" else (int(total) - 5, int(total) + 4)
            least = max(least, 0) if total != "0" else 0
            most = 0 if total == "0" else most
            lowest = Fraction(100 * least) / (pupils + 4) - half
            highest = Fraction(100 * most) / max(pupils - 5, 6) + half
            assert lowest <= percent <= min(highest, 100), (success, row)

    def test_the_confidence_interval_is_the_average_with_the_years_margin(self, rows):
        for row in rows:
            count = _number(row["progress8_pupil_count"])
            if not count:
                continue
            cells = [row[column] for column in PROGRESS8_COLUMNS[2:]]
            average, lower, upper = (0 if cell == "low" else Fraction(cell) for cell in cells)
            assert lower <= average <= upper
            sigma = PROGRESS8_SIGMA[row["time_period"]] / 1000
            most, least = (1.96 * sigma / math.sqrt(n) for n in (max(count - 5, 6), count + 4))
            assert least - 0.0101 <= (upper - lower) / 2 <= most + 0.0101, row

    @pytest.mark.parametrize(
        ("fewer", "more"),
        [
            ("engmath_95_total", "engmath_94_total"),
            ("engmath_94_total", "pupil_count"),
            ("ebacc_95_total", "ebacc_94_total"),
            ("ebacc_94_total", "ebacc_entering_total"),
            ("ebacc_entering_total", "pupil_count"),
            ("ebacc_95_total", "engmath_95_total"),
            ("ebacc_94_total", "engmath_94_total"),
            ("progress8_pupil_count", "pupil_count"),
        ],
    )
    def test_a_part_is_never_more_than_the_whole(self, rows, fewer, more):
        rank = {"low": Fraction(1)}
        pairs = [(row[fewer], row[more]) for row in rows]
        numbers = [
            (rank.get(a) or _number(a), rank.get(b) or _number(b)) for a, b in pairs if not {a, b} & (MARKERS - {"low"})
        ]
        assert len(numbers) > 300
        assert all(a <= b for a, b in numbers)

    def test_national_counts_are_multiples_of_ten(self, rows):
        counts = [column for column in INDICATOR_COLUMNS if column.endswith(("_total", "_count"))]
        assert all(int(row[column]) % 10 == 0 for row in rows for column in counts if row[column].isdigit())

    def test_averages_are_in_their_range(self, rows):
        ranges = {"attainment8_average": (0, 90), "ebacc_aps_average": (0, 9), "progress8_average": (-5, 5)}
        for column, (lowest, highest) in ranges.items():
            numbers = [number for row in rows if (number := _number(row[column])) is not None]
            assert lowest <= min(numbers)
            assert max(numbers) <= highest


def _averages(summed: Fraction, counts: range, places: int, rounded_count: Fraction) -> set[str]:
    """All texts the average could print as, for the counts that print as the rounded one."""
    fitting = [n for n in counts if (n + 5) // 10 * 10 == rounded_count]
    return {printed(summed.numerator, summed.denominator * n, places=places) for n in fitting}


class TestMarkers:
    """domain.md §3.5, on every row of every version."""

    def test_progress_8_is_missing_in_the_years_without_it_and_in_no_other(self, rows):
        for row in rows:
            cells = [row[column] for column in PROGRESS8_COLUMNS]
            assert cells.count("x") == (0 if row["time_period"] in PROGRESS8_SIGMA else 5)
        without = {"201920", "202021", "202425", "202526"} & set(_years(rows))
        assert set(_years(rows)) - set(PROGRESS8_SIGMA) == without

    def test_over_no_pupils_there_is_nothing_to_measure(self, rows):
        empty = [row for row in rows if row["pupil_count"] == "0"]
        assert empty
        for row in empty:
            unavailable = row["time_period"] not in PROGRESS8_SIGMA
            assert {row[column] for column in INDICATOR_COLUMNS[1:15]} == {"z"}
            assert [row[column] for column in PROGRESS8_COLUMNS] == (["x"] * 5 if unavailable else ["0", *"zzzz"])

    def test_a_confidential_group_shows_nothing(self, rows):
        hidden = [row for row in rows if row["pupil_count"] == "c"]
        assert hidden
        assert {row[column] for row in hidden for column in INDICATOR_COLUMNS} == {"c", "x"}

    @pytest.mark.parametrize("success", SUCCESSES)
    def test_a_count_is_confidential_exactly_when_its_percentage_is(self, rows, success):
        for marker in "czx":
            assert all((row[f"{success}_total"] == marker) == (row[f"{success}_percent"] == marker) for row in rows)

    @pytest.mark.parametrize("measure", ["attainment8", "ebacc_aps", "progress8"])
    def test_a_sum_and_its_average_are_missing_for_the_same_reason(self, rows, measure):
        for marker in "czx":
            assert all((row[f"{measure}_sum"] == marker) == (row[f"{measure}_average"] == marker) for row in rows)

    def test_a_count_that_rounds_to_zero_is_low_and_zero_is_zero(self, rows):
        for row in rows:
            for success in SUCCESSES:
                total, percent = row[f"{success}_total"], row[f"{success}_percent"]
                assert (total == "0") == (percent == "0"), "only a true zero prints as 0"
        assert any(row[f"{success}_total"] == "low" for row in rows for success in SUCCESSES)

    def test_secondary_suppression_hides_scores_of_a_group_whose_count_is_shown(self, rows):
        protected = [row for row in rows if row["pupil_count"].isdigit() and row["attainment8_sum"] == "c"]
        assert 0 < len(protected) < 60
        assert {row["ebacc_aps_sum"] for row in protected} == {"c"}
        assert {row["progress8_sum"] for row in protected} <= {"c", "x"}


class TestAdditivity:
    def test_true_pupils_of_a_breakdown_add_up_to_the_group(self):
        for _, edition in editions():
            for year in edition.years:
                for group in GROUPS:
                    slices = slices_of(edition.population, year, group)
                    for column in {cut.column for cut in slices} - {HEADLINE.column}:
                        parts = [slices[Cut(column, label)] for label in LABELS[column]]
                        assert _together(parts) == slices[HEADLINE], (year, group, column)

    def test_every_true_group_is_possible(self):
        for _, edition in editions():
            for cohort in (cohort for slices in edition.population.values() for cohort in slices.values()):
                assert min(cohort.outcomes) >= 0
                assert min(cohort.attainment8, cohort.ebacc_points) >= 0
                assert 0 <= cohort.progress8_pupils <= cohort.pupils

    @pytest.mark.parametrize(
        ("whole", "parts"),
        [
            ("CLA at 31 March", ["CLA 12 months at 31 March", "CLA less than 12 months at 31 March"]),
            ("CIN at 31 March", ["CINO at 31 March", "CPPO at 31 March", "CLA at 31 March"]),
            ("CIN at any point", ["CINO at any point", "CPPO at any point", "CLA at any point"]),
            (
                "PLAA - Total (Official Statistics)",
                [f"PLAA - {order} (Official Statistics)" for order in ("Adoption", "CAO", "SGO")],
            ),
        ],
    )
    def test_groups_hold_each_other(self, rows, whole, parts):
        sums = {
            (row["time_period"], row["social_care_group"]): Fraction(row["attainment8_sum"])
            for row in rows
            if not _breakdown(row)
        }
        for year in _years(rows):
            assert sums[year, whole] == sum(sums[year, part] for part in parts)

    def test_published_scores_of_the_sen_breakdown_add_up(self, rows):
        for column in ("attainment8_sum", "ebacc_aps_sum"):
            totals: dict[tuple[str, str], Fraction] = {}
            for row in rows:
                at = row["time_period"], row["social_care_group"]
                sign = {"": -1, SEN: 1}.get(_breakdown(row))
                if sign is not None and not (column == "ebacc_aps_sum" and at in EBACC_SLIPS):
                    totals[at] = totals.get(at, Fraction(0)) + sign * Fraction(row[column])
            assert set(totals.values()) == {Fraction(0)}

    def test_all_pupils_are_the_most_and_looked_after_pupils_do_less_well(self, rows):
        for year in _years(rows):
            at = {row["social_care_group"]: row for row in rows if row["time_period"] == year and not _breakdown(row)}
            everyone, looked_after = at["All pupils comparison"], at["CLA 12 months at 31 March"]
            assert max(int(row["pupil_count"]) for row in at.values()) == int(everyone["pupil_count"])
            assert 44 <= Fraction(everyone["attainment8_average"]) <= 52
            assert 16 <= Fraction(looked_after["attainment8_average"]) <= 25
            if year in PROGRESS8_SIGMA:
                assert Fraction(-3, 2) <= Fraction(looked_after["progress8_average"]) <= Fraction(-1)

    def test_grades_were_higher_when_schools_assessed_them(self, rows):
        for group in GROUPS:
            levels = {
                row["time_period"]: Fraction(row["attainment8_average"])
                for row in rows
                if row["social_care_group"] == group and not _breakdown(row)
            }
            assert min(levels["201920"], levels["202021"]) > max(levels["202223"], levels["202324"])


class TestHistory:
    def test_the_patch_keeps_the_rows_and_changes_a_few_cells_in_every_way(self, versions):
        old, new = versions["1.0"], versions["1.0.1"]
        assert list(old) == list(new)
        changes = _changes(old, new)
        assert 100 <= len(changes) <= 250
        kinds = Counter((before in MARKERS, after in MARKERS) for _, _, before, after in changes)
        assert set(kinds) == {(False, False), (False, True), (True, False), (True, True)}

    def test_the_patch_is_about_one_groups_ebacc_and_the_cells_its_notes_name(self, versions):
        changes = _changes(versions["1.0"], versions["1.0.1"])
        ebacc = {(key[0], key[5]) for key, column, _, _ in changes if key[5] == "CPPO at any point"}
        assert ebacc == EBACC_SLIPS
        assert all(column.startswith("ebacc") for key, column, _, _ in changes if key[5] == "CPPO at any point")
        others = {(key[0], key[5]) for key, _, _, _ in changes if key[5] != "CPPO at any point"}
        assert others == {
            ("201920", "CLA at any point"),
            ("202223", "CLA 12 months at 31 March"),
            ("202324", "CLA 12 months at 31 March"),
        }

    def test_the_patch_raises_the_ebacc_that_was_too_low(self, versions):
        wrong = [
            (before, after)
            for key, column, before, after in _changes(versions["1.0"], versions["1.0.1"])
            if key[5] == "CPPO at any point" and not {before, after} & MARKERS
        ]
        assert wrong
        assert all(Fraction(before) < Fraction(after) for before, after in wrong)

    def test_the_minor_version_adds_the_unknown_ethnicity_and_takes_nothing(self, versions):
        old, new = versions["1.0.1"], versions["1.1"]
        assert not old.keys() - new.keys()
        added = [new[key] for key in new.keys() - old.keys()]
        assert len(added) == 16 * 7
        assert {row[ETHNICITY] for row in added} == {UNKNOWN}
        assert {UNKNOWN} & {row[ETHNICITY] for row in old.values()} == set()

    def test_the_minor_version_doubles_no_total_and_revises_little(self, versions):
        old, new = versions["1.0.1"], versions["1.1"]
        changes = _changes(old, new)
        assert 20 <= len(changes) <= 200
        assert {key[0] for key, _, _, _ in changes} == {"202425"}
        headline = [key for key in old if not _breakdown(old[key])]
        before, after = (sum(int(rows[key]["pupil_count"]) for key in headline) for rows in (old, new))
        assert abs(after - before) <= 100
        assert headline == [key for key in new if not _breakdown(new[key])]

    def test_the_major_version_rolls_the_window(self, versions):
        old, new = versions["1.1"], versions["2.0"]
        assert _years(old.values())[0] == "201819"
        assert _years(new.values()) == [*_years(old.values())[1:], "202526"]
        assert {key[0] for key in old.keys() - new.keys()} == {"201819"}
        assert {key[0] for key in new.keys() - old.keys()} == {"202526"}
        flipped = {key[0] for key in old.keys() & new.keys() if old[key]["version"] != new[key]["version"]}
        assert flipped == {"202425"}

    def test_the_major_version_restates_8_to_10_per_cent_of_the_common_cells_in_all_years(self, versions):
        old, new = versions["1.1"], versions["2.0"]
        changes = _changes(old, new)
        common = len(old.keys() & new.keys()) * len(INDICATOR_COLUMNS)
        assert 0.08 <= len(changes) / common <= 0.10
        assert {key[0] for key, _, _, _ in changes} == set(_years(new.values())[:-1])


def _changes(old: dict[Key, Row], new: dict[Key, Row]) -> list[tuple[Key, str, str, str]]:
    return [
        (key, column, row[column], new[key][column])
        for key, row in old.items()
        if key in new
        for column in INDICATOR_COLUMNS
        if row[column] != new[key][column]
    ]


class TestPublishing:
    @pytest.mark.parametrize(
        ("numerator", "denominator", "places", "base", "text"),
        [
            (1353, 1, 0, 10, "1350"),
            (125, 1, 0, 10, "130"),
            (4, 1, 0, 10, "low"),
            (5, 1, 0, 10, "10"),
            (0, 7, 2, 1, "0"),
            (40, 20, 1, 1, "2"),
            (1546150, 100, 2, 1, "15461.5"),
            (225, 1000, 2, 1, "0.23"),
            (-225, 1000, 2, 1, "-0.23"),
            (-4, 1000, 2, 1, "low"),
            (-1005, 1000, 2, 1, "-1.01"),
            (100, 1, 1, 1, "100"),
        ],
    )
    def test_numbers_are_rounded_half_away_from_zero_and_lose_trailing_zeros(
        self, numerator, denominator, places, base, text
    ):
        assert printed(numerator, denominator, places=places, base=base) == text

    @pytest.mark.parametrize(
        ("pupils", "passes", "total", "percent"),
        [
            (99, 5, "c", "c"),
            (99, 6, "10", "6.1"),
            (99, 0, "0", "0"),
            (100, 4, "low", "4"),
            (100, 5, "10", "5"),
            (9000, 4, "low", "low"),
        ],
    )
    def test_few_successes_are_confidential_in_a_small_group_and_low_in_a_large_one(
        self, pupils, passes, total, percent
    ):
        cohort = Cohort(outcomes_of(pupils, Passes(passes, 0, 0, 0, 0)), 4 * pupils, 100 * pupils, pupils, -pupils)
        cells = cells_of(cohort, "202223", Rules())
        assert (cells["engmath_94_total"], cells["engmath_94_percent"]) == (total, percent)

    def test_five_pupils_are_confidential_and_six_are_not(self):
        five, six = (Cohort(outcomes_of(n, Passes(0, 0, 0, 0, 0)), 40, 90, n, -900) for n in (5, 6))
        assert set(cells_of(five, "202223", Rules()).values()) == {"c"}
        assert cells_of(six, "202223", Rules())["pupil_count"] == "10"


class TestCohorts:
    def test_outcomes_give_back_the_counts_they_are_made_of(self):
        passes = Passes(engmath_94=125, engmath_95=57, entering=72, ebacc_94=19, ebacc_95=11)
        cohort = Cohort(outcomes_of(1353, passes), 0, 0, 0, 0)
        assert cohort.pupils == 1353
        assert (cohort.engmath(4), cohort.engmath(5)) == (125, 57)
        assert (cohort.ebacc(1), cohort.ebacc(4), cohort.ebacc(5)) == (72, 19, 11)

    @pytest.mark.parametrize("offset", [0, 499, 999])
    @pytest.mark.parametrize("total", [0, 1, 7, 1000])
    def test_shares_add_up_and_are_within_one_of_exact(self, total, offset):
        weights = [5, 0, 30, 65]
        shares = apportion(total, weights, offset)
        assert sum(shares) == total
        assert all(abs(share - total * weight / 100) < 1 for share, weight in zip(shares, weights, strict=True))

    def test_parts_add_up_to_the_whole_and_the_strong_part_does_better(self):
        whole = Cohort(tuple(range(90, 0, -10)), 40_000, 90_000, 400, -500_000)
        strong, weak = split(whole, [Part("strong", 1, 100, 300), Part("weak", 1, 40, -300)], "test")
        assert _together([strong, weak]) == whole
        assert strong.attainment8 * weak.pupils > weak.attainment8 * strong.pupils
        assert strong.progress8 * weak.progress8_pupils > weak.progress8 * strong.progress8_pupils


def _together(cohorts: list[Cohort]) -> Cohort:
    return sum(cohorts, Cohort((0,) * len(OUTCOMES), 0, 0, 0, 0))
