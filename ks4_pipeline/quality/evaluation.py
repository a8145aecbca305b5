"""Rules evaluated over a version: observations in, results out. Bounded memory, and one pass over all figures.

Only where a rule is broken are its first rows fetched. A rule of the configuration that cannot be evaluated fails as a
warning with DuckDB's words: a rule that never runs must not pass for one that holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import duckdb
import polars as pl

from ks4_pipeline.errors import Ks4Error
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality import counting
from ks4_pipeline.quality.relations import Relations, sealed
from ks4_pipeline.quality.results import CheckResult, Example, Family, Severity, as_text
from ks4_pipeline.quality.rules import TOLERATED_CELLS, Case, Counted, Rule

_SHOWN_PER_CASE = 3
_TOLD = 12
"""So many findings are told in words; more of them are among the examples."""


class EvaluationError(Ks4Error):
    """A version whose rules could not be evaluated: nothing is said of it."""


def evaluate(version: Observations, previous: Observations | None, rules: Sequence[Rule]) -> tuple[CheckResult, ...]:
    """The results of the rules that apply to a version.

    Args:
        version: what is judged.
        previous: the version before it, if there is one.
        rules: what must hold.

    Raises:
        EvaluationError: when it cannot be done, for want of memory or disk.
    """
    try:
        with sealed(*filter(None, (version, previous))) as connection:
            return tuple(_evaluate(Relations(connection, version, previous), rules, has_previous=previous is not None))
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        raise EvaluationError(f"{version.parquet} could not be held to the rules: {error}") from error


def _evaluate(relations: Relations, rules: Sequence[Rule], *, has_previous: bool) -> Iterator[CheckResult]:
    relations.make()
    asked = [rule for rule in rules if has_previous or not rule.needs_previous]
    cases = {rule.name: rule.cases(relations.has) for rule in asked if rule.cases and rule.family is not Family.OWN}
    counted = counting.count(relations, (case for found in cases.values() for case in found))
    for rule in asked:
        try:
            result = _of_rule(relations, rule, counted)
        except duckdb.Error as error:
            if rule.family is not Family.OWN:
                raise
            detail = f"It could not be evaluated: {str(error).splitlines()[0]}"
            result = _broken(rule, 0, detail, (), Severity.WARN)
        if result:
            yield result


def _of_rule(relations: Relations, rule: Rule, counted: Mapping[Case, Counted]) -> CheckResult | None:
    """The result of a rule, or None when it does not apply; ``counted``: what was counted of cases already."""
    if rule.cases:
        cases = rule.cases(relations.has)
        if not counted.keys() >= set(cases):
            counted = counting.count(relations, cases)
        return _of_cases(relations, rule, [(case, counted[case]) for case in cases]) if cases else None
    return _of_findings(relations, rule, rule.findings) if rule.findings and rule.applies(relations.has) else None


def _of_cases(relations: Relations, rule: Rule, counted: Sequence[tuple[Case, Counted]]) -> CheckResult:
    failing = [(case, found) for case, found in counted if found.broken]
    if not failing:
        return rule.holds()
    parts: list[str] = []
    examples: list[Example] = []
    too_many = rule.tolerated is None
    for case, found in failing:
        of_all = ""
        if rule.tolerated is not None:
            too_many |= found.broken > max(TOLERATED_CELLS, rule.tolerated * found.looked_at)
            of_all = f" of {found.looked_at:,}"
        if case.shows:
            parts.append(f"{case.name}: {found.broken:,}{of_all}")
        examples += counting.first(relations, case, _SHOWN_PER_CASE)
    affected = sum(found.broken for _, found in failing)
    detail = f"{_said(rule, affected, parts)}. First: {'; '.join(map(str, examples[:_SHOWN_PER_CASE]))}."
    severity = rule.severity if too_many else Severity.WARN
    return _broken(rule, affected, detail, examples[: rule.shown], severity)


def _of_findings(relations: Relations, rule: Rule, query: str) -> CheckResult:
    """What a query found: kept for a moment, since it is read twice."""
    connection = relations.connection
    kept = connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM (\n{query}\n)")
    (findings,) = kept.fetchone() or (0,)
    if not findings:
        return rule.holds()
    first = connection.execute(f"FROM found LIMIT {rule.shown}")
    names = [name for name, *_ in first.description or []]
    rows = first.fetchall()
    has_count = "affected" in names
    affected = findings
    if has_count:
        (affected,) = connection.execute("SELECT sum(affected) FROM found").fetchone() or (0,)
    keys = names[: names.index("affected")] if has_count else relations.keys
    examples, told = [], []
    for row in rows:
        cells = {name: as_text(value) for name, value in zip(names, row, strict=True) if value is not None}
        cells.pop("affected", None)
        words = cells.pop("finding", None)
        examples.append(
            Example(
                {name: text for name, text in cells.items() if name in keys},
                {name: text for name, text in cells.items() if name not in keys},
            )
        )
        told.append(words or str(examples[-1]))
    told = [text for text in told[:_TOLD] if text]
    more = f"; and {findings - len(told)} more" if told and findings > len(told) else ""
    detail = f"{_said(rule, affected, told)}{more}."
    if rule.summary:
        (sentence,) = connection.execute(rule.summary).fetchone() or ("",)
        detail += f" {sentence}"
    return _broken(rule, int(affected or 0), detail, examples, rule.severity)


def _broken(rule: Rule, affected: int, detail: str, examples: Sequence[Example], severity: Severity) -> CheckResult:
    return replace(
        rule.holds(), passed=False, affected=affected, detail=detail, examples=tuple(examples), severity=severity
    )


def _said(rule: Rule, affected: int, parts: Sequence[str]) -> str:
    """``3 cells: engmath_95_total: 2; …``."""
    what = rule.counted.removesuffix("s") if affected == 1 else rule.counted
    return f"{affected:,} {what}{': ' if parts else ''}{'; '.join(parts)}"
