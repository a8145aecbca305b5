"""A version judged: its results, kept beside its observations, and the refusal that errors lead to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ks4_pipeline import durable
from ks4_pipeline.faults import Fault, Faults, RefusedVersionError
from ks4_pipeline.observations import Observations
from ks4_pipeline.quality.evaluation import evaluate
from ks4_pipeline.quality.results import CheckResult, Severity
from ks4_pipeline.quality.rules import Rule


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results of a version's rules, and what they are based on: see :func:`ks4_pipeline.quality.book.basis_of`."""

    basis: str
    results: tuple[CheckResult, ...]


class FailedRulesError(RefusedVersionError):
    """A version that breaks rules of severity error.

    Attributes:
        judgement: all its results.
    """

    def __init__(self, what: str, judgement: Judgement, failed: Sequence[CheckResult]) -> None:
        self.judgement = judgement
        faults = Faults()
        for result in failed:
            faults.add(Fault(f"rule {result.name} is broken: {result.detail} It says: {result.asserts}"))
        names = " or ".join(f"[rules.{result.name}]" for result in failed)
        advice = f'Where the publisher confirms the figures: severity = "warn" under {names} in the configuration.'
        super().__init__(what, faults, advice)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    basis: str
    results: tuple[CheckResult, ...]


def kept(version: Observations, basis: str) -> Judgement | None:
    """The results kept of a version, when they are on this basis."""
    found = _read(version.parquet)
    return Judgement(basis, found.results) if found and found.basis == basis else None


def is_accepted(parquet: Path) -> bool:
    """Whether results are kept of these observations and none of them blocks the version."""
    found = _read(parquet)
    return found is not None and not errors_among(found.results)


def judge(version: Observations, previous: Observations | None, rules: Sequence[Rule], basis: str) -> Judgement:
    """Evaluate the rules over a version and keep the results.

    Args:
        version: what is judged.
        previous: the version before it, if there is one.
        rules: what must hold.
        basis: of these rules and these bytes.
    """
    found = _Kept(basis=basis, results=evaluate(version, previous, rules))
    durable.write_atomically(_beside(version.parquet), found.model_dump_json(indent=1).encode() + b"\n")
    return Judgement(basis, found.results)


def _beside(parquet: Path) -> Path:
    """Where a version's results are kept."""
    return parquet.with_suffix(".checks.json")


def _read(parquet: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(_beside(parquet).read_bytes())
    except (OSError, ValidationError):
        return None


def refuse_errors(what: str, judgement: Judgement) -> None:
    """Stop a version that breaks a rule of severity error.

    Raises:
        FailedRulesError: when it does; it names each rule with what was found.
    """
    failed = errors_among(judgement.results)
    if failed:
        raise FailedRulesError(what, judgement, failed)


def errors_among(results: Iterable[CheckResult]) -> list[CheckResult]:
    """The results that block a version."""
    return [result for result in results if not result.passed and result.severity is Severity.ERROR]
