"""The command in real processes, on programs whose engine is a script, the bundled model, or a random one."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

COMMAND = [sys.executable, "-P", "-m", "ramify"]
PROGRAMS = '''
from __future__ import annotations

import asyncio
from dataclasses import dataclass

import ramify as rf

engine = rf.testing.Scripted(lambda call: call.messages[-2]["content"].upper())


@dataclass
class Answer:
    text: str
    length: int


@rf.function
def answer(s: rf.State, text: str, times: int = 1) -> Answer:
    """Answers a question."""
    s += rf.user(text) + rf.assistant(rf.gen("a", max_tokens=20))
    if text == "bad":
        raise ValueError("this text\\nis bad")
    return Answer(str(s["a"]) * times, len(text))


@rf.function
async def slow(s: rf.State, text: str) -> str:
    if text == "slow":
        await asyncio.sleep(3600)
    s += rf.user(text) + rf.assistant(rf.gen("a", max_tokens=20))
    return await s["a"]


@rf.function
def two(s: rf.State) -> None:
    s += rf.user("x")
    for branch in s.fork(2):
        branch += rf.assistant(rf.gen("a", type=int, max_tokens=5))


scripted = answer.on(engine)
sleeper = slow.on(engine)
failing = two.on(engine)


@rf.function
def main(s: rf.State, text: str) -> str:
    print("printed by the program")
    s += rf.user(text) + rf.assistant(rf.gen("a", max_tokens=20))
    return s["a"]
'''


class Done(NamedTuple):
    """A process that has ended. `err` of one on a terminal holds what the terminal was sent."""

    code: int
    out: str
    err: str


class Command:
    """Runs `python -m ramify` in a folder of its own.

    Attributes:
        folder: the working directory; it has `programs.py`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("RAMIFY_")}
        self.environment["TERM"] = "xterm"

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run to the end, without a terminal."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start with pipes, and with Ctrl-C heard whatever started the tests."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def on_terminal(self, *arguments: str, code: str | None = None, **environment: str) -> Done:
        """Run with stderr on a terminal; `code` is run by Python instead of the command."""
        ours, theirs = pty.openpty()
        command = COMMAND if code is None else [sys.executable, "-P", "-c", code]
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
        )
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
        os.close(ours)
        out, _ = process.communicate(timeout=120)
        return Done(process.returncode, out, seen.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody holds the other end any more
        return b""


@pytest.fixture
def ramify(tmp_path: Path) -> Command:
    (tmp_path / "programs.py").write_text(PROGRAMS)
    return Command(tmp_path)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Poll another process; nothing in a test depends on how long it takes."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in a minute"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def endless_model(make_random_model: Callable[..., Path]) -> Path:
    """A random model with a long context: it hardly ever comes to an end."""
    return make_random_model(max_position_embeddings=65536)
