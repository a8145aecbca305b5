"""The Dagster shell: partitions, assets, checks, sensors and schedules around the steps of the pipeline.

No logic lives here that the command line would lack; what is decided is decided in the core.
"""
