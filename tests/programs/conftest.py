"""`programs_loader` is a module beside the tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ramify as rf

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def engine() -> Iterator[rf.Engine]:
    with rf.Engine("seedling", threads=1, check=True) as engine:
        yield engine
