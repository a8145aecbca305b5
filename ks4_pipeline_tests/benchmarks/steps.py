"""One step of the pipeline as a process: ``python -m ks4_pipeline_tests.benchmarks.steps land|observe|publish``.

Where to work and whom to ask comes from the environment, as for ``ks4 run``. ``land`` looks at the publisher's list
first; each step does all versions of the one data set that is followed.
"""

from __future__ import annotations

import sys

from ks4_pipeline.pipeline import Pipeline
from ks4_pipeline.settings import load_settings

STEPS = ("land", "observe", "publish")


def main(step: str) -> None:
    """Do one of :data:`STEPS`."""
    settings = load_settings()
    pipeline = Pipeline(settings)
    (data_set,) = settings.data_sets
    if step == "land":
        with pipeline.client() as client:
            for record in pipeline.look(client, data_set).versions:
                pipeline.land(client, data_set, record.version)
    elif step == "observe":
        for version in pipeline.landing.versions(data_set):
            pipeline.observe(data_set, pipeline.landed(data_set, version))
    else:
        pipeline.publish(data_set, pipeline.landing.versions(data_set))


if __name__ == "__main__":
    main(sys.argv[1])
