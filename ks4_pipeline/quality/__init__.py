"""What must hold of a version's figures: rules as data, evaluated over its observations, and what came of it."""

from ks4_pipeline.quality.results import CheckResult, Example, Family, Severity, columns_of

__all__ = ["CheckResult", "Example", "Family", "Severity", "columns_of"]
