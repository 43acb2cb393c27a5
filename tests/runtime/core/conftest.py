"""The driver is a module beside the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=[0, 1], ids=["depth0", "depth1"])
def overlap(request: pytest.FixtureRequest) -> int:
    """Every core test runs at both overlap depths."""
    return int(request.param)
