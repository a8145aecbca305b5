"""The rules in force: ours, with the severities the configuration gives them, and the configuration's own.

Also what results are based on, so that results of other rules or of other bytes are never taken for current.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files

import duckdb

from ks4_pipeline import quality
from ks4_pipeline.audit import CHECKS as AUDIT
from ks4_pipeline.observations import FORMAT
from ks4_pipeline.quality.file_rules import FILE_RULES
from ks4_pipeline.quality.measure_rules import MEASURE_RULES
from ks4_pipeline.quality.results import Family, Severity
from ks4_pipeline.quality.rules import Case, Has, Rule
from ks4_pipeline.settings import RuleSetting

BUILT_IN: Mapping[str, Rule] = {rule.name: rule for rule in (*FILE_RULES, *MEASURE_RULES)}
"""Our rules by name, those of files first."""

_OF_THE_VERSION_BEFORE = re.compile(r"\bprevious(_\w+)?\b", re.IGNORECASE)
_OFF = "off"
_TAKEN = frozenset({*AUDIT, "content_accepted"})
"""Names of checks that are no rules."""


def rules_in_force(configured: Mapping[str, RuleSetting], data_set: str) -> tuple[Rule, ...]:
    """The rules for a data set: ours, then those of the configuration."""
    rules = []
    for name, rule in BUILT_IN.items():
        setting = configured.get(name)
        if setting is None or not setting.is_for(data_set):
            rules.append(rule)
        elif setting.severity != _OFF:  # a severity somebody chose is meant as it is written
            rules.append(replace(rule, severity=Severity(setting.severity or rule.severity), tolerated=None))
    own = (
        _own(name, setting)
        for name, setting in configured.items()
        if name not in BUILT_IN and setting.severity != _OFF and setting.is_for(data_set)
    )
    return (*rules, *own)


def problem_of(name: str, setting: RuleSetting) -> str | None:
    """What is wrong with a rule of the configuration, as far as that can be told without data; None: nothing."""
    if name in BUILT_IN:
        if setting.sql is None and setting.asserts is None:
            return None if setting.severity else "give the severity of the built-in rule: off, warn or error"
        return "this is a built-in rule: only its severity can be set; give a rule of your own another name"
    if name in _TAKEN:
        return "this is the name of a check that is no rule; give yours another name"
    if setting.sql is None or setting.asserts is None:
        return "there is no built-in rule of that name, and one of your own needs both assert and sql"
    return _problem_of_sql(setting.sql)


def basis_of(configured: Mapping[str, RuleSetting], data_set: str, *bytes_of: str | None) -> str:
    """What results are based on: the text of our rules and their evaluation, the configuration, and bytes.

    Args:
        configured: the rules of the configuration.
        data_set: whose rules.
        bytes_of: fingerprints of what was judged, and of what it was compared with.
    """
    settings = (
        f"{name}={setting.model_dump_json()}"
        for name, setting in sorted(configured.items())
        if setting.is_for(data_set)
    )
    parts = [_text_of_the_rules(), str(FORMAT), *map(str, bytes_of), *settings]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def _text_of_the_rules() -> str:
    modules = sorted(files(quality).iterdir(), key=lambda module: module.name)
    text = b"".join(module.read_bytes() for module in modules if module.name.endswith(".py"))
    return hashlib.sha256(text).hexdigest()


def _own(name: str, setting: RuleSetting) -> Rule:
    sql = (setting.sql or "").strip().rstrip(";")
    rule = Rule(
        name,
        setting.asserts or "",
        Family.OWN,
        Severity(setting.severity or Severity.WARN),
        setting.source or "the configuration",
        needs_previous=bool(_OF_THE_VERSION_BEFORE.search(sql)),
    )
    if _is_query(sql):
        return replace(rule, findings=sql)
    return replace(rule, cases=lambda has: [Case(f"NOT (\n{sql}\n)", _named_in(sql, has))])


def _named_in(sql: str, has: Has) -> tuple[str, ...]:
    """The indicators that a predicate speaks of, in its order."""
    words = re.findall(r'"[^"]+"|\w+', sql.lower())
    bare = (word.strip('"').removesuffix("_flag") for word in words)
    return tuple(dict.fromkeys(word for word in bare if word in has.numeric))


def _is_query(sql: str) -> bool:
    try:
        return [statement.type for statement in duckdb.extract_statements(sql)] == [duckdb.StatementType.SELECT]
    except duckdb.Error:
        return False


def _problem_of_sql(sql: str) -> str | None:
    bare = sql.strip().rstrip(";")
    if _is_query(bare):
        return None
    try:
        statements = duckdb.extract_statements(f"SELECT 1 WHERE (\n{bare}\n)")
    except duckdb.Error as error:
        return f"it is neither a predicate nor a query that DuckDB can read: {str(error).splitlines()[0]}"
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        return "give one predicate, or one query that returns the rows that break the rule"
    return None
