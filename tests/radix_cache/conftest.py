"""The oracle, the rig and the driver are modules beside the tests; `python fuzz_driver.py` finds them the same way."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
