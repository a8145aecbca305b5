"""Every version of the EES API data sets a team follows, typed and versioned in DuckDB."""

__version__: str


def __getattr__(name: str) -> str:
    """The version, looked up when it is asked for: the import that finds it takes as long as the start of Python."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - see above

        return version("ks4_pipeline")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
