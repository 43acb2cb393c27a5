"""`step_builder`, `mini_core` and `small_configs` are modules beside the tests, also for the tests of the models.

On a CPU the kernels run in Triton's interpreter, which must be chosen before Triton is imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

sys.path.insert(0, str(Path(__file__).parent))

from small_configs import CONFIG, WINDOWED


@pytest.fixture
def config_directory(tmp_path: Path) -> Path:
    """A directory with a config.json alone, for `load_format="dummy"`."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.fixture
def windowed_directory(tmp_path: Path) -> Path:
    """The same of a model whose first layer has a window shorter than most prompts."""
    (tmp_path / "config.json").write_text(json.dumps(WINDOWED))
    return tmp_path
