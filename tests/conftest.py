"""Makes importable what is not installed: the throwaway cluster's library, the demo, and the helpers beside the tests."""

import os
import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).parents[1]
for folder in map(ROOT.joinpath, ("cluster", "demo", "tests", "tests/unit/plan", "tests/unit/stats", "tests/unit/trainer", "tests/wire")):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# The same examples in every run, so that a red test stays red; REGIMEN_HYPOTHESIS=search looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("REGIMEN_HYPOTHESIS", "same"))
