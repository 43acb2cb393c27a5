"""Bars: on a terminal, on stderr, when they are wanted, and never anywhere else."""

from __future__ import annotations

import io
import json
import sys

import pytest
from ramify.runtime.progress import BatchProgress, wanted
from ramify.runtime.protocol.graph import RunReport

WEIGHTS = """
from pathlib import Path
from ramify.runtime.progress import loading_weights
files = [Path("a.safetensors"), Path("b.safetensors")]
for file in files:
    file.write_bytes(bytes(512 << 10))
with loading_weights(files) as loaded:
    for file in files:
        loaded(file, 256 << 10)
        loaded(file, 256 << 10)
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("asked", "terminal", "variable", "drawn"),
    [
        (None, True, None, True),
        (None, True, "1", True),
        (None, True, "0", False),
        (None, False, None, False),
        (True, True, "0", True),
        (True, False, None, False),
        (False, True, None, False),
    ],
)
def test_when_a_bar_is_drawn(
    monkeypatch: pytest.MonkeyPatch, asked: bool | None, terminal: bool, variable: str | None, drawn: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.delenv("RAMIFY_PROGRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAMIFY_PROGRESS", variable)
    assert wanted(asked) is drawn


def report(prefill: int, uncached: int) -> RunReport:
    return RunReport(1, prefill, 0, 0, 0, uncached, 0, 0, 0)


def test_a_batch_counts_its_rows_and_its_prefill_hits() -> None:
    progress = BatchProgress(4)
    assert progress.hit_rate is None
    progress.row_resumed()
    progress.row_ended(failed=False, report=report(30, 40))
    progress.row_ended(failed=True, report=None)
    progress.row_ended(failed=False, report=report(0, 60))
    progress.close()
    assert (progress.done, progress.failed, progress.resumed) == (2, 1, 1)
    assert progress.hit_rate == pytest.approx(1 - 30 / 100)
    assert progress.status.startswith("2 done, 1 failed, 1 resumed, ") and progress.status.endswith("70% prefill hits")


def test_weights_are_drawn_on_a_terminal_by_bytes_and_files(ramify) -> None:
    done = ramify.on_terminal(code=WEIGHTS)
    assert (done.code, done.out) == (0, "")
    assert "file 2 of 2" in done.err and "1.0/1.0 MiB" in done.err
    assert ramify.on_terminal(code=WEIGHTS, RAMIFY_PROGRESS="0") == (0, "", "")


def test_a_batch_is_drawn_on_a_terminal_and_its_output_is_clean(ramify) -> None:
    rows = [{"text": "a"}, {"text": "bad"}, {"text": "b"}]
    (ramify.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ("run", "programs.py:scripted", "--rows", "rows.jsonl", "--out", "out.jsonl")
    drawn = ramify.on_terminal(*arguments)
    assert (drawn.code, drawn.out) == (1, "")
    assert "3/3" in drawn.err and "2 done, 1 failed, 0 resumed" in drawn.err
    quiet = ramify.on_terminal(*arguments, RAMIFY_PROGRESS="0")
    piped = ramify(*arguments)
    for done in (quiet.err.replace("\r\n", "\n"), piped.err):
        assert "\x1b" not in done and "3/3" not in done
        assert "(2 of them before), 1 failed" in done
