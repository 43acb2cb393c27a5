"""The tests of the models drive them through plans, with the builder of the worker's tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "worker"))
sys.path.insert(0, str(Path(__file__).parent))
