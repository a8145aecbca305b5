"""Rules and notes on the way to the warehouse: what blocks a version, what is written of it, what may be compared."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from ks4_pipeline.integrity import verify
from ks4_pipeline.orchestration.assets import asset_key
from ks4_pipeline.orchestration.build import build_definitions
from ks4_pipeline.orchestration.partitions import versions_of
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality import CheckResult, book, judging
from ks4_pipeline.quality.book import BUILT_IN
from ks4_pipeline.quality.judging import FailedRulesError, errors_among
from ks4_pipeline.run import Outcome, Reporter, rebuild, run
from ks4_pipeline.sandbox import Sandbox
from ks4_pipeline.sandbox.synthetic import FOLDER, write_synthetic_ks4
from ks4_pipeline.settings import DEFAULT_ID, DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.reading import checks_of
from ks4_pipeline_tests.publisher import KEYS, Edition, describe, load, pipeline_for, quoted, scored

COLUMNS = ("pupil_count", "engmath_95_total", "engmath_94_total", "attainment8_average", "progress8_average")
INDICATORS = [{"column": name, "label": name} for name in COLUMNS]
FILTERS = [{"column": "social_care_group", "label": "Social care group"}]
AUTHORITIES = {"Hackney": ("E09000012", "204"), "Camden": ("E09000007", "202")}
YEARS = ("201920", "202021", "202122", "202223")
ERRORS = {name for name, rule in BUILT_IN.items() if rule.severity == "error"}


def table(*changes: tuple[str, str], years: tuple[str, ...] = YEARS) -> str:
    """Two authorities and two groups a year; ``changes`` are texts to be put in place of others."""
    header = [*KEYS, "new_la_code", "old_la_code", "la_name", "social_care_group", *COLUMNS]
    lines = [",".join(header)]
    for year in years:
        progress = "x" if year in {"201920", "202021"} else "-1.2"
        for name, codes in AUTHORITIES.items():
            for group in ("CINO at 31 March", "CLA 12 months at 31 March"):
                cells = [year, "Academic year", "Local authority", "E92000001", "England", *codes, name, group]
                lines.append(",".join([*cells, "50", "6", "9", "21.5", progress]))
    text = "\n".join(lines) + "\n"
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


WRONG = ("50,6,9", "50,10,9")  # more pupils with grade 5 than with grade 4
CORRECTED = ("50,6,9,21.5,x", "50,6,9,21.7,x")


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Callable[..., tuple[Sandbox, DataSet]]]:
    """Starts a sandbox that serves these editions."""
    running = []

    def start(*editions: Edition) -> tuple[Sandbox, DataSet]:
        data_set = describe(tmp_path / "published", "d", *editions, indicators=INDICATORS, filters=FILTERS)
        sandbox = Sandbox(tmp_path / "published")
        running.append(sandbox)
        sandbox.__enter__()
        return sandbox, data_set

    yield start
    for sandbox in running:
        sandbox.__exit__(None, None, None)


def checks(pipeline: Pipeline, version: str, name: str = "d") -> dict[str, CheckResult]:
    return checks_of(pipeline.warehouse, name, VersionNumber.parse(version))


def asked(pipeline: Pipeline, query: str) -> list[tuple[Any, ...]]:
    with pipeline.warehouse.read() as connection:
        return connection.execute(query).fetchall()


class TestErrors:
    def test_a_version_that_breaks_a_rule_is_refused_and_what_was_published_stays(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.1", table(WRONG)))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        report = load(pipeline)
        assert [(str(o.version), o.outcome) for o in report.outcomes] == [
            ("1.0", Outcome.LOADED), ("1.1", Outcome.REFUSED),
        ]  # fmt: skip
        assert report.exit_code == 1
        message = report.outcomes[1].message
        assert message.startswith("d 1.1 is refused, 1 fault:\n  rule english_maths_ordered is broken: ")
        assert "1 cell: engmath_94_total: 1" in message
        assert "Hackney, CINO at 31 March: engmath_95_total 10, engmath_94_total 9" in message
        assert 'severity = "warn" under [rules.english_maths_ordered]' in message
        assert [str(version) for version in pipeline.refusals(data_set)] == ["1.1"]
        assert asked(pipeline, 'SELECT version FROM catalogue.versions WHERE "table" IS NOT NULL') == [("1.0",)]
        assert not list((tmp_path / "data" / "observations" / "d").glob("1.1.*"))

    def test_the_configuration_lets_it_pass_and_the_next_run_loads_it(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table(WRONG)))
        assert load(pipeline_for(tmp_path / "data", sandbox.url, data_set)).exit_code == 1
        rules = {"rules": {"english_maths_ordered": {"severity": "warn"}}}
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured=rules)
        assert load(pipeline).exit_code == 0
        result = checks(pipeline, "1.0")["english_maths_ordered"]
        assert (result.passed, result.severity, result.affected) == (False, "warn", 1)

    def test_half_of_the_rows_gone_is_refused_unless_the_version_is_a_major_one(self, publisher, tmp_path):
        fewer = table(years=YEARS[:1])
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.1", fewer), Edition("2.0", fewer))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        report = load(pipeline)
        assert [o.outcome for o in report.outcomes] == [Outcome.LOADED, Outcome.REFUSED, Outcome.LOADED]
        assert "rows_not_halved" in report.outcomes[1].message
        result = checks(pipeline, "2.0")["rows_not_halved_by_major"]
        assert (result.passed, result.severity) == (False, "warn")

    def test_a_rule_of_ones_own_refuses_too_and_stands_in_the_catalogue(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.1", table(CORRECTED)))
        rule = {"assert": "Attainment 8 is what we expect.", "sql": "attainment8_average <= 21.5", "severity": "error"}
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured={"rules": {"ours": rule}})
        report = load(pipeline)
        assert [o.outcome for o in report.outcomes] == [Outcome.LOADED, Outcome.REFUSED]
        result = checks(pipeline, "1.0")["ours"]
        assert (result.family, result.passed, result.asserts) == ("own", True, "Attainment 8 is what we expect.")

    def test_accepting_what_breaks_a_rule_leaves_the_old_in_force(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        describe(tmp_path / "published", "d", Edition("1.0", table(WRONG)), indicators=INDICATORS, filters=FILTERS)
        with Sandbox(tmp_path / "published") as again:
            pipeline = pipeline_for(tmp_path / "data", again.url, data_set)
            with pipeline.client() as client:
                assert not pipeline.refetch(client, data_set, VersionNumber(1, 0)).is_same
            with pytest.raises(Exception, match="english_maths_ordered"):
                pipeline.accept(data_set, VersionNumber(1, 0))
        assert asked(pipeline, "SELECT max(engmath_95_total) FROM d.latest") == [(6,)]
        assert rebuild(pipeline).exit_code == 0


class TestResults:
    def test_they_are_judged_anew_when_the_rules_are_others_and_the_table_stays(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.0.1", table(CORRECTED), {"held": True}))
        load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
        rule = {"assert": "There are fewer.", "sql": "pupil_count < 50", "severity": "error", "data_sets": ["d"]}
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured={"rules": {"ours": rule}})
        assert "ours" not in checks(pipeline, "1.0")
        sandbox.publish(data_set.id, "1.0.1")
        report = load(pipeline)  # the new version is refused by the new rule; the old one only says so
        assert report.exit_code == 1
        pipeline = pipeline_for(
            tmp_path / "data", sandbox.url, data_set, configured={"rules": {"ours": {**rule, "severity": "warn"}}}
        )
        assert load(pipeline).exit_code == 0
        for version in ("1.0", "1.0.1"):
            assert (checks(pipeline, version)["ours"].passed, checks(pipeline, version)["ours"].affected) == (False, 16)
        assert asked(pipeline, "SELECT count(*) FROM d.v1_0_0") == [(16,)]

    def test_no_way_of_making_it_again_loses_what_is_in_force_to_a_new_rule(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()))
        load(pipeline_for(tmp_path / "data", sandbox.url, data_set))
        rule = {"assert": "There are fewer.", "sql": "pupil_count < 50", "severity": "error"}
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured={"rules": {"ours": rule}})
        version = VersionNumber(1, 0)
        assert errors_among(pipeline.finish(data_set, pipeline.landed(data_set, version)).judgement.results)
        pipeline.observe(data_set, pipeline.landed(data_set, version))  # as Dagster does when asked to once more
        pipeline.publish(data_set, [version])
        assert pipeline.landed(data_set, version), "its landing stays where it is"
        assert rebuild(pipeline).exit_code == 0
        assert not checks(pipeline, "1.0")["ours"].passed
        assert verify(pipeline).findings == []

    def test_a_version_is_judged_anew_when_one_gets_in_before_it(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table(), {"held": True}), Edition("1.1", table(CORRECTED)))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        assert "marker_shares_steady" not in checks(pipeline, "1.1")
        sandbox.publish(data_set.id, "1.0")
        load(pipeline)
        assert checks(pipeline, "1.1")["marker_shares_steady"].passed

    def test_a_version_that_has_only_landed_is_not_the_one_before(self, publisher, tmp_path):
        """Whichever came first: 2.0 is like 1.0, and 1.1, which fell apart, is refused once it is judged."""
        fewer = table(years=YEARS[:1])
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.1", fewer), Edition("2.0", table(CORRECTED)))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        first, broken, last = (VersionNumber.parse(number) for number in ("1.0", "1.1", "2.0"))
        with pipeline.client() as client:
            pipeline.look(client, data_set)
            pipeline.observe(data_set, pipeline.land(client, data_set, first))
            landed = pipeline.land(client, data_set, broken)
            finished = pipeline.observe(data_set, pipeline.land(client, data_set, last))
        before = {result.name: result for result in finished.judgement.results}
        assert before["window_moved_by_a_year"].passed, "it is compared with 1.0, judged in the same go"
        with pytest.raises(FailedRulesError, match="rows_not_halved"):
            pipeline.observe(data_set, landed)
        pipeline.publish(data_set, [first, last])
        assert before.items() <= checks(pipeline, "2.0").items()

    def test_what_is_in_force_is_the_one_before_whatever_is_left_of_its_observations(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.1", table(CORRECTED), {"held": True}))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        pipeline.observations.remove(data_set, VersionNumber(1, 0))
        sandbox.publish(data_set.id, "1.1")
        load(pipeline)
        assert checks(pipeline, "1.1")["marker_shares_steady"].passed

    def test_they_are_not_evaluated_twice(self, publisher, tmp_path, monkeypatch):
        sandbox, data_set = publisher(Edition("1.0", table()))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        evaluated = []
        evaluate = judging.evaluate
        monkeypatch.setattr(judging, "evaluate", lambda *given: evaluated.append(given) or evaluate(*given))
        with pipeline.client() as client:
            pipeline.look(client, data_set)
            pipeline.observe(data_set, pipeline.land(client, data_set, VersionNumber(1, 0)))
        pipeline.publish(data_set, [VersionNumber(1, 0)])
        pipeline.publish(data_set, [VersionNumber(1, 0)])
        assert rebuild(pipeline).exit_code == 0
        assert len(evaluated) == 1

    def test_an_edition_of_an_older_program_gets_what_it_lacks(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.0.1", table(CORRECTED), {"held": True}))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        pipeline.warehouse.path.chmod(0o644)
        with duckdb.connect(pipeline.warehouse.path) as connection:
            connection.execute("DROP VIEW d.observation_notes; DROP TABLE catalogue.notes")
            for column in ("family", "asserts", "source", "examples", "basis"):
                connection.execute(f"ALTER TABLE catalogue.checks DROP COLUMN {column}")
        assert checks(pipeline, "1.0")["rows_unique"].passed
        sandbox.publish(data_set.id, "1.0.1")
        assert load(pipeline).exit_code == 0
        assert checks(pipeline, "1.0")["rows_unique"].family == "file"
        assert asked(pipeline, "SELECT count(*) > 0 FROM d.observation_notes") == [(True,)]
        lacking = "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'catalogue' AND comment IS NULL"
        assert asked(pipeline, lacking) == []

    def test_the_catalogue_says_what_is_asserted_by_whom_and_where_it_fails(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table(("Hackney,CINO", "Hackny,CINO"))))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        load(pipeline)
        ((family, severity, passed, affected, asserts, source, examples),) = asked(
            pipeline,
            "SELECT family, severity, passed, affected, asserts, source, examples FROM catalogue.checks "
            "WHERE check_name = 'codes_and_names_agree'",
        )
        assert (family, severity, passed, affected) == ("file", "warn", False, 4)
        assert "screener" in source
        assert asserts == BUILT_IN["codes_and_names_agree"].asserts
        assert json.loads(examples) == [
            {
                "key": {"geographic_level": "Local authority", "time_period": "201920", "place": "204"},
                "values": {"found": "Hackney / Hackny"},
            },
            {
                "key": {"geographic_level": "Local authority", "time_period": "201920", "place": "E09000012"},
                "values": {"found": "Hackney / Hackny"},
            },
        ]


class TestDagster:
    def test_a_broken_rule_fails_its_check_and_the_run_and_no_table_is_made(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table(WRONG)))
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        definitions = build_definitions(pipeline.settings, pipeline=pipeline)
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions(versions_of(data_set).name, ["1.0"])
            job = definitions.resolve_job_def("load_d")
            result = job.execute_in_process(instance=instance, partition_key="1.0", raise_on_error=False)
        assert not result.success
        evaluations = {found.check_name: found for found in result.get_asset_check_evaluations()}
        failed = evaluations["english_maths_ordered"]
        assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
        findings = failed.metadata["first findings"]
        assert isinstance(findings, dg.TableMetadataValue)
        assert "engmath_95_total" in findings.records[0].data
        assert failed.metadata["version"].value == "1.0"
        assert evaluations["content_accepted"].passed
        assert set(BUILT_IN) <= evaluations.keys()
        assert not [e for e in result.get_asset_materialization_events() if e.asset_key == asset_key(data_set, "table")]
        assert not pipeline.warehouse.exists()

    def test_each_rule_is_a_check_with_what_it_asserts(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()))
        own = {"ours": {"assert": "It is so.", "sql": "true"}, "rows_unique": {"severity": "off"}}
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured={"rules": own})
        graph = build_definitions(pipeline.settings, pipeline=pipeline).resolve_asset_graph()
        names = {key.name for key in graph.asset_check_keys if key.asset_key == asset_key(data_set, "observations")}
        assert names == {*BUILT_IN, "ours", "content_accepted"} - {"rows_unique"}


class TestNotes:
    @pytest.fixture
    def pipeline(self, publisher, tmp_path):
        sandbox, data_set = publisher(Edition("1.0", table()), Edition("1.0.1", table(CORRECTED)))
        notes = [
            {"text": "Camden moved.", "kind": "break", "location_code": "E09000007", "time_period": "202223"},
            {"text": "Not of this one.", "data_sets": []},
            {"text": "Ask first.", "filter_column": "social_care_group", "filter_option": "CINO at 31 March",
             "indicator": "pupil_count", "source": "us"},
        ]  # fmt: skip
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set, configured={"notes": notes})
        assert load(pipeline).exit_code == 0
        return pipeline

    def notes(self, pipeline: Pipeline, where: str) -> set[tuple[str, str]]:
        query = f"SELECT kind, text FROM d.observation_notes WHERE geographic_level = 'Local authority' AND {where}"
        return {(kind, text.split(".")[0].split(":")[0]) for kind, text in asked(pipeline, query)}

    def test_a_figure_of_a_year_without_exams_is_not_to_be_compared(self, pipeline):
        found = self.notes(pipeline, "indicator = 'attainment8_average' AND time_period = '201920'")
        assert {kind for kind, _ in found} == {"not_comparable", "overlap", "restated"}
        assert asked(
            pipeline,
            "SELECT time_period, bool_and(comparable), bool_or(comparable) FROM d.latest_long "
            "WHERE indicator = 'attainment8_average' AND la_name = 'Hackney' GROUP BY ALL ORDER BY ALL",
        ) == [("201920", False, False), ("202021", False, False), ("202122", True, True), ("202223", True, True)]

    def test_counts_of_pupils_may_be_compared_all_the_same(self, pipeline):
        query = "SELECT DISTINCT comparable FROM d.latest_long WHERE indicator = 'pupil_count' AND la_name = 'Hackney'"
        assert asked(pipeline, query) == [(True,)]

    def test_progress_8_that_was_never_made_is_told_apart_from_what_is_withheld(self, pipeline):
        found = self.notes(pipeline, "indicator = 'progress8_average' AND time_period = '202021'")
        assert ("not_published", "There is no Progress 8") in found
        found = self.notes(pipeline, "indicator = 'progress8_average' AND time_period = '202223'")
        assert "not_published" not in {kind for kind, _ in found}

    def test_an_authority_without_a_return_is_named_on_its_own_figures_only(self, pipeline):
        where = "indicator = 'pupil_count' AND time_period = '202122' AND la_name = '{}' AND social_care_group = '{}'"
        found = self.notes(pipeline, where.format("Hackney", "CINO at 31 March"))
        assert "coverage" in {kind for kind, _ in found}
        for place, group in (("Camden", "CINO at 31 March"), ("Hackney", "CLA 12 months at 31 March")):
            assert "coverage" not in {kind for kind, _ in self.notes(pipeline, where.format(place, group))}

    def test_groups_that_overlap_are_never_to_be_added_up(self, pipeline):
        everywhere = asked(pipeline, "SELECT count(*) FROM d.observation_notes WHERE kind = 'overlap'")
        assert everywhere == asked(pipeline, "SELECT count(*) FROM d.latest_long")

    def test_notes_of_the_configuration_are_about_what_they_name(self, pipeline):
        assert asked(
            pipeline,
            "SELECT DISTINCT la_name, time_period, comparable FROM d.observation_notes WHERE text = 'Camden moved.'",
        ) == [("Camden", "202223", False)]
        assert asked(
            pipeline,
            "SELECT DISTINCT la_name, time_period FROM d.latest_long "
            "WHERE NOT comparable AND time_period IN ('202122', '202223')",
        ) == [("Camden", "202223")]
        assert asked(
            pipeline,
            "SELECT DISTINCT social_care_group, indicator, source FROM d.observation_notes WHERE text = 'Ask first.'",
        ) == [("CINO at 31 March", "pupil_count", "us")]
        assert asked(pipeline, "SELECT count(*) FROM catalogue.notes WHERE text = 'Not of this one.'") == [(0,)]

    def test_what_a_version_restated_is_noted_with_its_number(self, pipeline):
        assert asked(
            pipeline, "SELECT version, indicator, time_period, text FROM catalogue.notes WHERE kind = 'restated'"
        ) == [
            (
                "1.0.1",
                "attainment8_average",
                "201920",
                "Version 1.0.1 changed 1 figure of this indicator and period that version 1.0 had: revised.",
            )
        ]

    def test_everything_has_a_comment(self, pipeline):
        query = (
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name IN ('d', 'catalogue') "
            "AND comment IS NULL"
        )
        assert asked(pipeline, query) == []


def test_filters_named_as_findings_are_do_not_mix_with_them(tmp_path: Path) -> None:
    filters = ("affected", "finding", "len")
    row = ("202324", "Academic year", "National", "E92000001", "England", "a", "b", "c", "1")
    text = quoted([(*KEYS, *filters, COLUMNS[0]), row, row])
    described = [{"column": name, "label": name} for name in filters]
    data_set = describe(tmp_path / "p", "d", Edition("1.0", text), filters=described, indicators=INDICATORS[:1])
    with Sandbox(tmp_path / "p") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        assert load(pipeline).exit_code == 0
    found = checks_of(pipeline.warehouse, "d", VersionNumber(1, 0))["rows_unique"]
    assert (found.passed, found.affected) == (False, 2)
    assert list(found.examples[0].key.values()) == list(row[:-1])


def test_what_an_older_program_typed_is_typed_anew_with_the_next_edition_and_damage_hinders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Listening(Reporter):
        def typing(self, data_set: DataSet, version: VersionNumber) -> None:
            told.append(str(version))

    numbers = ("1.0", "1.0.1", "1.1")
    editions = [Edition(number, scored(str(n)), {"held": number == "1.1"}) for n, number in enumerate(numbers)]
    data_set = describe(tmp_path / "published", "d", *editions)
    with Sandbox(tmp_path / "published") as sandbox:
        pipeline = pipeline_for(tmp_path / "data", sandbox.url, data_set)
        with monkeypatch.context() as older:
            older.setattr(book, "FORMAT", 1)
            load(pipeline)
        facts = {number: tmp_path / "data" / "observations" / "d" / f"{number}.json" for number in numbers}
        for number in numbers[:2]:
            facts[number].write_text(json.dumps({**json.loads(facts[number].read_text()), "format": 1}))
        (tmp_path / "data" / "landing" / "d" / "1.0" / "data.csv.gz").write_bytes(b"damaged")
        sandbox.publish(data_set.id, "1.1")
        report = run(pipeline, [data_set], reporter=Listening())
    assert (report.exit_code, report.published) == (0, True)
    assert told == ["1.1", "1.0", "1.0.1"]
    assert [json.loads(path.read_text())["format"] for path in facts.values()] == [1, 2, 2]
    assert all(checks_of(pipeline.warehouse, "d", VersionNumber.parse(number)) for number in numbers)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The synthetic national history, all four versions loaded."""
    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic_ks4(root)
    with Sandbox(root) as sandbox:
        pipeline = pipeline_for(tmp_path_factory.mktemp("data"), sandbox.url, DataSet(name=FOLDER, id=DEFAULT_ID))
        assert load(pipeline).exit_code == 0
        yield pipeline


def test_the_synthetic_history_breaks_no_rule_but_for_the_shares_that_really_moved(synthetic: Pipeline) -> None:
    failed = asked(
        synthetic, "SELECT version, check_name FROM catalogue.checks WHERE NOT passed AND family <> 'promise'"
    )
    assert sorted(failed) == [("1.1", "marker_shares_steady"), ("2.0", "marker_shares_steady")]


def test_the_reasons_for_missing_figures_are_one_query_away(synthetic: Pipeline) -> None:
    found = asked(
        synthetic,
        "SELECT marker, reason, count(*) FROM ks4_national.latest_long WHERE marker IS NOT NULL GROUP BY ALL",
    )
    markers = {(marker, reason) for marker, reason, _ in found}
    assert markers == {
        ("c", "confidential"), ("x", "not_available"), ("z", "not_applicable"), ("low", "rounds_to_zero"),
    }  # fmt: skip


LA_FILES = ("release_2024-03-14", "release_2024-04-19", "release_2025-04-10", "release_2026-04-14")


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, list[Path]]]:
    """The four releases of the local authority file as versions 1.0 to 4.0, and the preview of the national one."""
    root = tmp_path_factory.mktemp("published")
    files = [real_data / "ks4_la" / f"{name}.csv" for name in LA_FILES]
    preview = real_data / "ks4_national" / "preview.csv"

    def described(name: str, paths: list[Path]) -> DataSet:
        columns = read(paths[0])[0].keys()
        first = list(columns).index("pupil_count")
        filters = [name for name in columns if name == "version" or name in FILTERS_OF_NATIONAL]
        return describe(
            root,
            name,
            *(Edition(f"{number}.0", path) for number, path in enumerate(paths, 1)),
            filters=[{"column": column, "label": column} for column in filters],
            indicators=[{"column": column, "label": column} for column in list(columns)[first:]],
        )

    data_sets = described("ks4_la", files), described("preview", [preview])
    with Sandbox(root) as sandbox:
        pipeline = pipeline_for(tmp_path_factory.mktemp("data"), sandbox.url, *data_sets)
        assert load(pipeline).exit_code == 0
        yield pipeline, files


FILTERS_OF_NATIONAL = {
    "social_care_group", "sen_provision", "ethnicity_major", "placement", "period_of_care_length",
}  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.real
def test_the_real_releases_pass_every_error_rule(real: tuple[Pipeline, list[Path]]) -> None:
    pipeline, _ = real
    for version in ("1.0", "2.0", "3.0", "4.0"):
        found = checks(pipeline, version, "ks4_la")
        assert {name for name in ERRORS if name in found and not found[name].passed} <= {"percentages_match_totals"}
        off = found["percentages_match_totals"]  # Dorset: 23 of 80 are 28.75 %, published as 28.7
        assert (off.severity, off.affected, off.examples[0].key["la_name"]) == ("warn", 1, "Dorset")


@pytest.mark.real
def test_what_is_odd_in_the_real_releases_is_found(real: tuple[Pipeline, list[Path]]) -> None:
    pipeline, _ = real
    (thurrock,) = checks(pipeline, "2.0", "ks4_la")["rounds_to_zero_agrees"].examples
    assert thurrock.key["la_name"] == "Thurrock"
    assert thurrock.values == {"progress8_sum": "0.34", "progress8_pupil_count": "12", "progress8_average": "k"}
    assert checks(pipeline, "1.0", "ks4_la")["sums_and_averages_marked_alike"].affected == 19


@pytest.mark.real
def test_the_preview_rows_raise_no_warning_of_the_measure_rules(real: tuple[Pipeline, list[Path]]) -> None:
    pipeline, _ = real
    measured = [result for result in checks(pipeline, "1.0", "preview").values() if result.family == "measure"]
    assert len(measured) == len([rule for rule in BUILT_IN.values() if rule.family == "measure"])
    assert [result for result in measured if not result.passed] == []


@pytest.mark.real
@pytest.mark.parametrize("number", [2, 3, 4])
def test_marker_shares_that_moved_are_reported_with_the_right_numbers(
    real: tuple[Pipeline, list[Path]], number: int
) -> None:
    """Against a count of its own, by the csv module."""
    pipeline, files = real
    before, now = (shares(files[n]) for n in (number - 2, number - 1))
    expected = {
        (period, column): (before[period, column], now[period, column])
        for period, column in now
        if (period, column) in before
        and abs(now[period, column][0] / now[period, column][1] - before[period, column][0] / before[period, column][1])
        >= 0.02
    }
    result = checks(pipeline, f"{number}.0", "ks4_la")["marker_shares_steady"]
    found = {
        (example.key["time_period"], example.key["indicator"]): (
            (int(example.values["marked_before"]), int(example.values["cells_before"])),
            (int(example.values["marked_now"]), int(example.values["cells_now"])),
        )
        for example in result.examples
    }
    assert found == expected
    assert result.affected == len(expected) == {2: 1, 3: 12, 4: 48}[number]


def shares(path: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """By period and indicator: cells without a number, and cells."""
    rows = read(path)
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        for column in list(row)[list(row).index("pupil_count") :]:
            marked, cells = found.get((row["time_period"], column), (0, 0))
            found[row["time_period"], column] = (marked + (not is_number(row[column])), cells + 1)
    return found
