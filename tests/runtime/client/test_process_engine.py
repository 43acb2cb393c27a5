"""The engine in a process of its own: the same answers over a real socket, and nobody is left waiting when it goes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ramify as rf
from ramify.errors import EngineUnavailable, InvalidRequest, ModelNotFound, NodeError, UnsupportedModel, WorkerError
from ramify.runtime.client.ipc import ProcessEngine
from ramify.runtime.protocol.graph import EngineFailed, EngineReady, Hello
from ramify.runtime.protocol.wire import encode, engine_codec
from ramify.runtime.server.sockets import make_address, open_dealer, open_router

OPTIONS = {"load_format": "dummy", "slots": 2048, "threads": 1}


@pytest.fixture(scope="module")
def model(make_random_model: Callable[..., Path]) -> Path:
    return make_random_model()


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[rf.Engine]:
    with rf.Engine(str(model), process=True, **OPTIONS) as engine:
        yield engine


@rf.function
def program(s: rf.State, text: str) -> tuple[list[str], list[int]]:
    s += rf.user(text) + rf.assistant(rf.gen("a", max_tokens=6, temperature=1.0))
    branches = s.fork(2)
    for branch in branches:
        branch += rf.user("again: ", s["a"]) + rf.assistant(rf.gen("b", max_tokens=6, temperature=1.0))
    return [branch["b"] for branch in branches], s.tokens()


@rf.function
def endless(s: rf.State) -> str:
    s += "a" + rf.gen("x", max_tokens=2000, ignore_eos=True)
    return s["x"]


def test_a_process_answers_as_a_thread_does(model: Path, engine: rf.Engine) -> None:
    with rf.Engine(str(model), **OPTIONS) as local:
        for seed in range(3):
            assert program.on(engine, seed=seed).run("hello") == program.on(local, seed=seed).run("hello")


def test_the_report_comes_from_the_process(engine: rf.Engine) -> None:
    run = program.on(engine, tenant="report").start("hello")
    run.result()
    assert run.report().prefill == run.report().ideal_prefill > 0


def test_a_killed_engine_fails_its_runs_at_once(model: Path) -> None:
    engine = rf.Engine(str(model), process=True, **OPTIONS)
    run = endless.on(engine).start()
    os.kill(engine._handle.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    with pytest.raises(EngineUnavailable, match="process ended"):
        run.result(60)
    with pytest.raises(EngineUnavailable):
        endless.on(engine).run()
    engine.close()


def test_a_closed_engine_says_so(model: Path) -> None:
    engine = rf.Engine(str(model), process=True, **OPTIONS)
    run = endless.on(engine).start()
    engine.close()
    with pytest.raises((EngineUnavailable, NodeError)):
        run.result(60)


def test_errors_of_the_start_come_back_as_themselves(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        rf.Engine("/no/such/model", process=True)
    shutil.copytree(model, tmp_path / "bad")
    config = json.loads((model / "config.json").read_text())
    (tmp_path / "bad" / "config.json").write_text(json.dumps({**config, "architectures": ["MambaForCausalLM"]}))
    with pytest.raises(UnsupportedModel, match="MambaForCausalLM"):
        rf.Engine(str(tmp_path / "bad"), process=True, load_format="dummy")
    with pytest.raises(WorkerError):
        rf.Engine(str(model), process=True, load_format="dummy", slots=3)


def test_what_is_not_a_message_is_refused_and_harms_nobody(model: Path) -> None:
    with ProcessEngine(rf.lang.engines.EngineOptions(model=str(model), **OPTIONS)) as handle:  # type: ignore[arg-type]

        async def attack() -> list[object]:
            socket = open_dealer(handle._address)
            answers: list[object] = []
            for frame in (b"\x91" * 5000, b"\xc1", b"garbage", encode(EngineReady(1, "x", 1, 1)), b""):
                await socket.send(frame)
                answers.append(engine_codec().decode(await asyncio.wait_for(socket.recv(), 30)))
            await socket.send(encode(Hello(1)))
            answers.append(engine_codec().decode(await asyncio.wait_for(socket.recv(), 30)))
            socket.close()
            return answers

        *refused, ready = asyncio.run(attack())
        assert all(isinstance(answer, EngineFailed) and answer.error.code == "ProtocolError" for answer in refused)
        assert isinstance(ready, EngineReady)


def test_the_engine_ends_with_its_parent(model: Path) -> None:
    code = (
        "import os, sys, ramify as rf\n"
        f"engine = rf.Engine({str(model)!r}, process=True, load_format='dummy', slots=64)\n"
        "print(engine._handle.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    pid = int(parent.stdout)
    deadline = time.monotonic() + 30
    while _alive(pid):
        assert time.monotonic() < deadline, "the engine outlived its parent"
        time.sleep(0.05)  # polling another process's end; nothing in the test depends on how long it takes


def test_sockets_are_local_and_private() -> None:
    address = make_address()
    directory = Path(address.removeprefix("ipc://")).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    shutil.rmtree(directory)
    for bad in ("tcp://127.0.0.1:5555", "tcp://*:5555", "ipc://relative/path"):
        with pytest.raises(InvalidRequest):
            open_dealer(bad)
        with pytest.raises(InvalidRequest):
            open_router(bad)
    shared = tempfile.mkdtemp()
    os.chmod(shared, 0o755)
    with pytest.raises(InvalidRequest, match="other users"):
        open_router(f"ipc://{shared}/engine")
    os.rmdir(shared)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
