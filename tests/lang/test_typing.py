"""What a strict type checker infers for users of the language."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What lies below the language has no part in what is inferred, and takes a checker a minute.
CONFIG = """
[mypy]
strict = True
python_version = 3.11
follow_imports = silent
[mypy-torch.*,numpy.*,pydantic.*,zmq.*,uvloop.*,rich.*,jsonschema.*,ijson.*,transformers.*,tokenizers.*]
follow_imports = skip
[mypy-ramify.runtime.client.*,ramify.runtime.engine.*,ramify.runtime.lowering.*,ramify.runtime.sim.*,ramify.seedling.*]
follow_imports = skip
"""


def test_mypy_infers_what_gens_and_programs_give(tmp_path: Path) -> None:
    """`assert_type` and the expected errors stand in typed_programs.py; an error that does not come fails too."""
    cases, config = Path(__file__).parent / "typed_programs.py", tmp_path / "mypy.ini"
    config.write_text(CONFIG)
    command = [sys.executable, "-P", "-m", "mypy", "--config-file", str(config), "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*command, str(cases)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
