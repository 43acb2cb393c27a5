"""mypy and pyright infer the result types of the programs in this folder: each file asserts its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs_loader import HERE

PROGRAMS = sorted(
    path for path in HERE.glob("*.py") if "assert_type" in path.read_text() and path.stem != Path(__file__).stem
)
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", os.devnull],
    "pyright": ["-m", "pyright", "--pythonpath", sys.executable],
}
WRONG = """
from typing import assert_type
import ramify as rf

@rf.function
def ask(s: rf.State, question: str) -> rf.Value[str]:
    s += rf.user(question)
    with s.assistant():
        return s.gen("answer")

assert_type(ask.on("seedling").run("..."), int)
ask.on("seedling").run(5)
"""


def check(checker: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *CHECKERS[checker], *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, cwd=files[0].parent, check=False)


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_types_are_inferred(checker: str) -> None:
    assert len(PROGRAMS) == 8
    result = check(checker, *PROGRAMS)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_wrong_type_would_be_found(checker: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    result = check(checker, path)
    assert result.returncode == 1
    assert result.stdout.count("error") >= 2, result.stdout + result.stderr
