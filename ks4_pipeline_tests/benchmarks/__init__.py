"""Benchmarks: the pipeline against the plainest thing DuckDB can do and against other tools, as ratios of one run.

``python -m ks4_pipeline_tests.benchmarks`` is the one command; the README says how to use it. Nothing here is imported
by the pipeline, and nothing here fails for being slow: only wrong results fail.
"""
