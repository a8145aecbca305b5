"""Every version of the EES API data sets a team follows, typed and versioned in DuckDB."""

from importlib.metadata import version

__version__ = version("ks4_pipeline")
