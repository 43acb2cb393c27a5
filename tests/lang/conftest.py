"""The simulated engine's line is a module beside the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ramify import seedling
from ramify.runtime.sim.simulation import Parts

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def parts() -> Parts:
    return Parts.load(seedling.path())
