"""Assets of a data set: ``landing`` -> ``observations`` -> ``table`` -> ``revisions``, ``report``, by version.

Each asset runs one step of the pipeline and tells the UI what came of it. A version that is refused fails its run with
the faults as a failed check, so that nothing behind it runs. (No deferred annotations here: Dagster reads them.)
"""

import time
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from ks4_pipeline.audit import CHECKS as AUDIT
from ks4_pipeline.faults import RefusedVersionError
from ks4_pipeline.landing import Landed
from ks4_pipeline.observations import FORMAT, Observations
from ks4_pipeline.orchestration import metadata
from ks4_pipeline.orchestration.partitions import versions_of
from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.quality import CheckResult, Severity
from ks4_pipeline.quality.judging import FailedRulesError
from ks4_pipeline.quality.rules import Rule
from ks4_pipeline.report.making import Reports
from ks4_pipeline.settings import DataSet
from ks4_pipeline.versions import VersionNumber
from ks4_pipeline.warehouse.reading import change_of, checks_of

WRITER_POOL = "duckdb_writer"
CONTENT_ACCEPTED = "content_accepted"
ROWS_AS_ANNOUNCED = "rows_as_announced"
REPORT_MADE = "report_made"
OWNERS = ["team:statistics"]

Results = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]


def asset_key(data_set: DataSet, step: str) -> dg.AssetKey:
    """``<name>/<step>``."""
    return dg.AssetKey([data_set.name, step])


def build_assets(data_set: DataSet, rules: Sequence[Rule]) -> list[dg.AssetsDefinition]:
    """The assets of one data set, and the rules its versions are held to."""
    return [_landing(data_set), _observations(data_set, rules), _published(data_set), _report(data_set)]


def _landing(data_set: DataSet) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(data_set, "landing"),
        deps=[asset_key(data_set, "listing")],
        partitions_def=versions_of(data_set),
        group_name=data_set.name,
        kinds={"csv", "gzip"},
        owners=OWNERS,
        description=(
            "What the publisher served for this version, byte for byte: CSV (gzip), metadata, record and change log, "
            "with a manifest of sizes and SHA-256. Fetched once, never changed."
        ),
    )
    def landing(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Results:
        version = VersionNumber.parse(context.partition_key)
        started = time.monotonic()
        with pipeline.client() as client:
            pipeline.look(client, data_set)
            landed = pipeline.land(client, data_set, version)
        yield landing_result(data_set, landed, round(time.monotonic() - started, 2))

    return landing


def landing_result(data_set: DataSet, landed: Landed, seconds: float | None = None) -> dg.MaterializeResult[None]:
    """What the UI shows of a landed version."""
    return dg.MaterializeResult(
        asset_key=asset_key(data_set, "landing"),
        metadata={**metadata.of_landing(landed), **_seconds(seconds)},
        data_version=dg.DataVersion(landed.manifest.served.sha256),
    )


def _observations(data_set: DataSet, rules: Sequence[Rule]) -> dg.AssetsDefinition:
    key = asset_key(data_set, "observations")

    @dg.asset(
        key=key,
        deps=[asset_key(data_set, "landing")],
        partitions_def=versions_of(data_set),
        group_name=data_set.name,
        kinds={"polars", "parquet"},
        owners=OWNERS,
        code_version=str(FORMAT),
        check_specs=[
            dg.AssetCheckSpec(
                CONTENT_ACCEPTED,
                asset=key,
                blocking=True,
                description="Every row is whole, every indicator cell is a number or a known marker, and there are as "
                "many rows as the publisher announces.",
            ),
            *(dg.AssetCheckSpec(rule.name, asset=key, description=rule.asserts) for rule in rules),
        ],
        description=(
            "The version as a typed table: each indicator a number or NULL, and behind it a flag with the publisher's "
            "marker (c, z, x, low …) where there is no number."
        ),
    )
    def observations(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Results:
        version = VersionNumber.parse(context.partition_key)
        started = time.monotonic()
        landed = pipeline.landed(data_set, version)
        try:
            finished = pipeline.observe(data_set, landed)
        except FailedRulesError as error:
            yield content_accepted(data_set, version)
            yield from rule_results(data_set, version, rules, error.judgement.results)
            raise dg.Failure(str(error), allow_retries=False) from error
        except RefusedVersionError as error:
            faults: metadata.Metadata = {"faults": error.count, "first faults": metadata.fault_table(error.faults)}
            yield content_accepted(data_set, version, faults)
            raise dg.Failure(str(error), metadata=faults, allow_retries=False) from error
        seconds = round(time.monotonic() - started, 2)
        yield from observation_results(
            data_set, version, finished.observations, rules, finished.judgement.results, seconds=seconds
        )

    return observations


def content_accepted(
    data_set: DataSet, version: VersionNumber, faults: metadata.Metadata | None = None
) -> dg.AssetCheckResult:
    """That the content of a version was accepted, or the faults it is refused for."""
    return dg.AssetCheckResult(
        passed=faults is None,
        check_name=CONTENT_ACCEPTED,
        asset_key=asset_key(data_set, "observations"),
        description="It is not: the version is refused." if faults else "It holds.",
        metadata={"version": str(version), **(faults or {"faults": 0})},
    )


def observation_results(
    data_set: DataSet,
    version: VersionNumber,
    found: Observations,
    rules: Sequence[Rule],
    results: Iterable[CheckResult],
    *,
    seconds: float | None = None,
) -> Results:
    """What the UI shows of accepted observations: what the rules say of them, then themselves."""
    key = asset_key(data_set, "observations")
    yield content_accepted(data_set, version)
    yield from rule_results(data_set, version, rules, results)
    yield dg.MaterializeResult(
        asset_key=key,
        metadata={**metadata.of_observations(found), **_seconds(seconds)},
        data_version=dg.DataVersion(f"{found.facts.csv_sha256}:{FORMAT}"),
    )


def rule_results(
    data_set: DataSet, version: VersionNumber, rules: Sequence[Rule], results: Iterable[CheckResult]
) -> Results:
    """The outcome of each rule in force; Dagster wants one of those too that do not apply."""
    key = asset_key(data_set, "observations")
    found = {result.name: result for result in results}
    for rule in rules:
        nothing = rule.holds("There is nothing to say: the version has no such columns, or there is none before it.")
        yield as_check_result(key, version, found.get(rule.name, nothing))


def _published(data_set: DataSet) -> dg.AssetsDefinition:
    """``table`` and ``revisions``: two assets of one step, since an edition brings both or neither."""
    table, revisions = asset_key(data_set, "table"), asset_key(data_set, "revisions")

    @dg.multi_asset(
        name=f"{data_set.name}__publish",
        specs=[
            dg.AssetSpec(
                table,
                deps=[asset_key(data_set, "observations")],
                kinds={"duckdb", "table"},
                owners=OWNERS,
                description=(
                    "The version's table in the published DuckDB warehouse, with its channels, history, catalogue rows "
                    "and comments. The warehouse file is replaced as a whole: readers are never locked out."
                ),
            ),
            dg.AssetSpec(
                revisions,
                deps=[table],
                kinds={"duckdb"},
                owners=OWNERS,
                description=(
                    "What this version really changed against the one before it, cell by cell, and whether that is "
                    "what its number and the publisher's change log say."
                ),
            ),
        ],
        partitions_def=versions_of(data_set),
        group_name=data_set.name,
        pool=WRITER_POOL,
        check_specs=[
            dg.AssetCheckSpec(
                ROWS_AS_ANNOUNCED,
                asset=table,
                description="The published table, counted afterwards, has as many rows as the publisher announces.",
            ),
            *(dg.AssetCheckSpec(name, asset=revisions, description=asserts) for name, asserts in AUDIT.items()),
        ],
    )
    def published(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Results:
        version = VersionNumber.parse(context.partition_key)
        started = time.monotonic()
        pipeline.publish(data_set, [version])
        seconds = round(time.monotonic() - started, 2)
        yield from table_results(pipeline, data_set, version, seconds)
        yield from revision_results(pipeline, data_set, version)

    return published


def table_results(
    pipeline: Pipeline, data_set: DataSet, version: VersionNumber, seconds: float | None = None
) -> Results:
    """What the UI shows of a published version: its rows counted, then the table."""
    key = asset_key(data_set, "table")
    landed = pipeline.landed(data_set, version)
    found = pipeline.observations.make(data_set, landed)
    rows, announced = pipeline.count_rows(data_set, version), landed.record.total_results
    yield dg.AssetCheckResult(
        passed=rows == announced,
        check_name=ROWS_AS_ANNOUNCED,
        asset_key=key,
        description=f"{rows:,} rows in the table, {announced:,} announced.",
        metadata={"version": str(version), "rows": rows, "announced": announced},
    )
    yield dg.MaterializeResult(
        asset_key=key,
        metadata={
            "table": f"{data_set.name}.{version.table}",
            "channels": ", ".join(pipeline.in_force()[data_set.name][version].channels) or "none",
            **metadata.of_record(landed.record),
            "query": metadata.command(f'ks4 sql "FROM {data_set.name}.{version.table} LIMIT 5"'),
            "dagster/uri": pipeline.warehouse.path.resolve().as_uri(),
            **metadata.of_table(found, rows),
            **_seconds(seconds),
        },
    )


def revision_results(pipeline: Pipeline, data_set: DataSet, version: VersionNumber) -> Results:
    """What the UI shows of a version against the one before it: the audit, then what changed."""
    key = asset_key(data_set, "revisions")
    change = change_of(pipeline.warehouse, data_set.name, version)
    found = checks_of(pipeline.warehouse, data_set.name, version)
    for name in AUDIT:
        if name in found:
            yield as_check_result(key, version, found[name])
        else:
            detail = (
                "There is no loaded version before this one to compare with."
                if change is None
                else f"The change log is about another pair of versions, not {change.before} and this."
            )
            yield as_check_result(key, version, CheckResult(name, passed=True, affected=0, detail=detail))
    yield dg.MaterializeResult(asset_key=key, metadata=metadata.of_change(data_set, version, change))


def _report(data_set: DataSet) -> dg.AssetsDefinition:
    key = asset_key(data_set, "report")

    @dg.asset(
        key=key,
        deps=[asset_key(data_set, "table")],  # of one step with revisions
        partitions_def=versions_of(data_set),
        group_name=data_set.name,
        kinds={"html"},
        owners=OWNERS,
        output_required=False,  # what is loaded is loaded: without its report the run is a success all the same
        check_specs=[
            dg.AssetCheckSpec(
                REPORT_MADE,
                asset=key,
                description="The change report could be made. Without it the version is loaded all the same.",
            )
        ],
        description=(
            "What changed in this version, as one page for people who use the figures: what the publisher says, the "
            "corrections, headline figures over time, where figures are missing, quality, caveats. It opens anywhere, "
            "needs no network, and prints."
        ),
    )
    def report(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Results:
        version = VersionNumber.parse(context.partition_key)
        started = time.monotonic()
        problems = []
        for attempt in Reports.of(pipeline).make_all({data_set.name: [version]}):
            if attempt.problem:
                problems.append(f"{attempt.version}: {attempt.problem}")
                context.log.warning("The change report of %s %s", data_set.name, problems[-1])
        yield from report_results(
            pipeline, data_set, version, round(time.monotonic() - started, 2), problem="; ".join(problems)
        )

    return report


def report_results(
    pipeline: Pipeline,
    data_set: DataSet,
    version: VersionNumber,
    seconds: float | None = None,
    *,
    problem: str = "",
) -> Results:
    """What the UI shows of a version's change report; only why not, where it could not be made."""
    key = asset_key(data_set, "report")
    page = Reports.of(pipeline).path(data_set.name, version)
    yield dg.AssetCheckResult(
        passed=not problem,
        check_name=REPORT_MADE,
        asset_key=key,
        severity=dg.AssetCheckSeverity.WARN,
        description=problem or "The report is in its place.",
        metadata={"version": str(version)},
    )
    if not problem:
        found = metadata.of_report(data_set, version, page)
        yield dg.MaterializeResult(asset_key=key, metadata={**found, **_seconds(seconds)})


def _seconds(seconds: float | None) -> metadata.Metadata:
    return {} if seconds is None else {"seconds": seconds}


def as_check_result(key: dg.AssetKey, version: VersionNumber, result: CheckResult) -> dg.AssetCheckResult:
    """A check's outcome as Dagster shows it: checks have no partitions, so it names the version."""
    severity = dg.AssetCheckSeverity.ERROR if result.severity is Severity.ERROR else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=result.passed,
        check_name=result.name,
        asset_key=key,
        severity=severity,
        description=result.detail,
        metadata=metadata.of_check(version, result),
    )
