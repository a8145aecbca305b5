"""``python -m ks4_pipeline.sandbox.synthetic FOLDER``: the synthetic data set, with every version but 1.0 held back."""

import sys
from pathlib import Path

from ks4_pipeline.process import begin
from ks4_pipeline.sandbox.synthetic import write_synthetic_ks4

begin()
write_synthetic_ks4(Path(sys.argv[1]), held=True)
