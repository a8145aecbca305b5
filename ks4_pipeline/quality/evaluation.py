"""Rules evaluated over a version: observations in, results out. Bounded memory, and one pass over all figures.

Only where a rule is broken are its first rows fetched. A rule of the configuration that cannot be evaluated fails as a
warning with DuckDB's words: a rule that never runs must not pass for one that holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from ks4_pipeline.observations import Observations
from ks4_pipeline.quality.relations import Relations, as_text, sealed
from ks4_pipeline.quality.results import CheckResult, Example, Family, Severity
from ks4_pipeline.quality.rules import TOLERATED_CELLS, Case, Rule

_SHOWN_PER_CASE = 3
_TOLD = 12
"""So many findings are told in words; more of them are among the examples."""


def evaluate(version: Observations, previous: Observations | None, rules: Sequence[Rule]) -> tuple[CheckResult, ...]:
    """The results of the rules that apply to a version.

    Args:
        version: what is judged.
        previous: the version before it, if there is one.
        rules: what must hold.
    """
    files = [observations.parquet for observations in (version, previous) if observations]
    with sealed(*files) as connection:
        return tuple(_evaluate(Relations(connection, version, previous), rules, has_previous=previous is not None))


def _evaluate(relations: Relations, rules: Sequence[Rule], *, has_previous: bool) -> Iterator[CheckResult]:
    relations.make()
    asked = [rule for rule in rules if has_previous or not rule.needs_previous]
    cases = {rule.name: rule.cases(relations.has) for rule in asked if rule.cases and rule.family is not Family.OWN}
    broken = iter(relations.broken([case for found in cases.values() for case in found]))
    counted = {name: [(case, next(broken)) for case in found] for name, found in cases.items()}
    for rule in asked:
        try:
            result = _of_rule(relations, rule, counted.get(rule.name))
        except duckdb.Error as error:
            if rule.family is not Family.OWN:
                raise
            detail = f"It could not be evaluated: {error}"
            result = _result(rule, 0, detail, passed=False, severity=Severity.WARN)
        if result:
            yield result


def _of_rule(relations: Relations, rule: Rule, counted: Sequence[tuple[Case, int]] | None) -> CheckResult | None:
    """The result of a rule, or None when it does not apply; ``counted``: what was counted of its cases already."""
    if rule.cases:
        if counted is None:
            cases = rule.cases(relations.has)
            counted = list(zip(cases, relations.broken(cases), strict=True))
        return _of_cases(relations, rule, counted) if counted else None
    return _of_findings(relations, rule, rule.findings) if rule.findings and rule.applies(relations.has) else None


def _of_cases(relations: Relations, rule: Rule, counted: Sequence[tuple[Case, int]]) -> CheckResult:
    failing = [(case, broken) for case, broken in counted if broken]
    if not failing:
        return _result(rule, 0, "It holds.")
    parts, examples = [], []
    too_many = rule.tolerated is None
    for case, broken in failing:
        looked_at = relations.looked_at(case) if rule.tolerated else None
        if rule.tolerated and looked_at:
            too_many |= broken > max(TOLERATED_CELLS, rule.tolerated * looked_at)
        parts.append(f"{case.name}: {broken:,}" + (f" of {looked_at:,}" if looked_at else ""))
        examples += relations.first(case, _SHOWN_PER_CASE)
    affected = sum(broken for _, broken in failing)
    examples = examples[: rule.shown]
    detail = f"{_counted(affected, rule)}: {'; '.join(parts)}. First: {examples[0]}."
    severity = rule.severity if too_many else Severity.WARN
    return _result(rule, affected, detail, examples=examples, severity=severity)


def _of_findings(relations: Relations, rule: Rule, query: str) -> CheckResult:
    """What a query found: kept for a moment, since it is read twice."""
    connection = relations.connection
    connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM (\n{query.rstrip().rstrip(';')}\n)")
    described = connection.execute("FROM found LIMIT 0").description or []
    names = [name for name, *_ in described]
    own = "affected" in names
    affected, findings = connection.execute(
        f"SELECT {'coalesce(sum(affected), 0)' if own else 'count(*)'}, count(*) FROM found"
    ).fetchone() or (0, 0)
    if not findings:
        return _result(rule, 0, "Nothing was found.")
    keys = {"finding", "affected", *names[: names.index("affected")]} if own else {"finding", *relations.keys}
    examples, told = [], []
    for row in connection.execute(f"FROM found LIMIT {rule.shown}").fetchall():
        cells = {name: as_text(value) for name, value in zip(names, row, strict=True) if value is not None}
        said = {"finding", "affected"}
        key = {name: text for name, text in cells.items() if name in keys - said}
        example = Example(key, {name: text for name, text in cells.items() if name not in keys})
        examples.append(example)
        told.append(cells.get("finding") or str(example))
    more = f"; and {findings - _TOLD} more" if findings > _TOLD else ""
    listed = "; ".join(text for text in told[:_TOLD] if text)
    detail = f"{_counted(affected, rule)}{': ' if listed else ''}{listed}{more}."
    if rule.summary:
        (sentence,) = connection.execute(rule.summary).fetchone() or ("",)
        detail += f" {sentence}"
    return _result(rule, int(affected), detail, examples=examples, severity=rule.severity)


def _result(
    rule: Rule,
    affected: int,
    detail: str,
    *,
    examples: Sequence[Example] = (),
    severity: Severity | None = None,
    passed: bool | None = None,
) -> CheckResult:
    return CheckResult(
        rule.name,
        passed=severity is None if passed is None else passed,
        affected=affected,
        detail=detail,
        severity=severity or rule.severity,
        family=rule.family,
        asserts=rule.asserts,
        source=rule.source,
        examples=tuple(examples),
    )


def _counted(affected: int, rule: Rule) -> str:
    return f"{affected:,} {rule.counted.removesuffix('s') if affected == 1 else rule.counted}"
