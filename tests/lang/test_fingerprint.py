"""The fingerprint: equal for equal programs in any process, different when a prompt, a schema or a child changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
from dataclasses import dataclass
from typing import Literal
import ramify as rf

POLICY = "Be brief."
LATER = {"b", "c", "a"}

@dataclass
class Fix:
    title: str
    lines: int

def helper(text):
    return text + LAST

LAST = "!"

@rf.function
def judge(s: rf.State, text: str) -> str:
    s += rf.user("Judge: ", text) + rf.assistant(rf.gen("score", type=Literal["1", "2"]))
    return s["score"]

@rf.function
def closed(s: rf.State, ticket: str, n: int = 2) -> list[str]:
    s += rf.system(POLICY) + rf.user(f"Ticket: {ticket}")
    drafts = s.fork(n)
    for draft in drafts:
        draft += rf.assistant(rf.gen("fix", type=Fix, max_tokens=30))
    return [judge(draft["fix"]) for draft in drafts]

@rf.function
def opened(s: rf.State, ticket: str) -> str:
    s += rf.user(ticket) + rf.assistant(rf.gen("plan"))
    if "x" in s["plan"] or ticket in LATER:
        s += rf.user(helper("Why?")) + rf.assistant(rf.gen("fix", type=Fix))
        judge(s["fix"])
    return "done"
"""
PRINT = "import json, programs as p; print(json.dumps([p.closed.fingerprint, p.opened.fingerprint]))"


def fingerprints(tmp_path: Path, source: str, seed: str = "0") -> list[str]:
    """The two fingerprints in a process of their own."""
    import json

    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    (folder / "programs.py").write_text(source)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PRINT], capture_output=True, text=True, check=True, cwd="/", env=environment
    )
    found: list[str] = json.loads(done.stdout)
    return found


def changed(old: str, new: str) -> str:
    assert SOURCE.count(old) >= 1, old
    return SOURCE.replace(old, new)


def test_it_is_the_same_in_any_process_and_for_moved_and_commented_code(tmp_path: Path) -> None:
    first = fingerprints(tmp_path, SOURCE, seed="1")
    assert all(len(digest) == 32 and set(digest) <= set("0123456789abcdef") for digest in first)
    assert first[0] != first[1]
    assert fingerprints(tmp_path, SOURCE, seed="424242") == first
    moved = "\n\n# a comment\n\n" + changed("    drafts = s.fork(n)", "    # why\n\n    drafts = s.fork(n)  # here")
    moved = moved.replace('    return "done"', '\n    # the end\n    return "done"')
    assert fingerprints(tmp_path, moved, seed="7") == first


@pytest.mark.parametrize(
    ("old", "new", "programs"),
    [
        ('"Be brief."', '"Be very brief."', [0]),
        ("Ticket: {ticket}", "Issue: {ticket}", [0]),
        ("    lines: int", "    lines: float", [0, 1]),
        ('"Judge: "', '"Rate: "', [0, 1]),
        ('Literal["1", "2"]', 'Literal["1", "2", "3"]', [0, 1]),
        ("max_tokens=30", "max_tokens=31", [0]),
        ("n: int = 2", "n: int = 3", [0]),
        ('"Why?"', '"How?"', [1]),
        ('LAST = "!"', 'LAST = "?"', [1]),
        ("return text + LAST", "return LAST + text", [1]),
        ('LATER = {"b", "c", "a"}', 'LATER = {"b", "c", "d"}', [1]),
    ],
)
def test_it_changes_with_what_the_model_sees(tmp_path: Path, old: str, new: str, programs: list[int]) -> None:
    before, after = fingerprints(tmp_path, SOURCE), fingerprints(tmp_path, changed(old, new))
    assert [index for index in (0, 1) if before[index] != after[index]] == programs


def test_a_renamed_variable_changes_nothing_where_the_dry_run_saw_everything(tmp_path: Path) -> None:
    before, after = fingerprints(tmp_path, SOURCE), fingerprints(tmp_path, changed("drafts", "tries"))
    assert before[0] == after[0]
