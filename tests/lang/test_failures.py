"""What fails, where it is said, and what it takes along: forks, child runs, cancelled tasks, Ctrl-C, deadlines."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import Cancelled, DeadlineExceeded, NodeError, Overloaded, WorkerError
from ramify.lang import held
from ramify.lang import run as run_module
from ramify.lang.hub import shared_hub
from ramify.lang.testing import Call, Scripted
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


def broken(call: Call) -> Any:
    return WorkerError("out of memory") if call.path.endswith("fork[0][1]/x[0]") else "fine"


@rf.function
def forks(s: rf.State) -> list[Any]:
    s += "a"
    branches = s.fork(3)
    for branch in branches:
        branch += rf.gen("x") + "b" + rf.gen("y")
    other = s.fork()[0]
    other += branches[1]["x"] + rf.gen("z")
    out: list[Any] = []
    for value in [*(branch["y"] for branch in branches), other["z"]]:
        try:
            out.append(value.get())
        except NodeError as error:
            out.append((error.path, error.site.rpartition("/")[2], type(error.__cause__)))
    return out


@rf.function
async def forks_async(s: rf.State) -> list[Any]:
    s += "a"
    branches = s.fork(3)
    for branch in branches:
        branch += rf.gen("x") + "b" + rf.gen("y")
    other = s.fork()[0]
    other += branches[1]["x"] + rf.gen("z")
    out: list[Any] = []
    for value in [*(branch["y"] for branch in branches), other["z"]]:
        try:
            out.append(await value)
        except NodeError as error:
            out.append((error.path, error.site.rpartition("/")[2], type(error.__cause__)))
    return out


@pytest.mark.parametrize("program", [forks, forks_async])
def test_a_failed_node_poisons_what_stands_behind_it_and_nothing_else(program: rf.Program[[], list[Any]]) -> None:
    first, second, third, other = program.on(Scripted(broken)).run()
    assert (first, third) == ("fine", "fine")
    for (path, site, cause), name in ((second, "fork[0][1]/y[0]"), (other, "fork[1][0]/z[0]")):
        assert path.endswith(name) and site.startswith("test_failures.py:") and cause is WorkerError


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_unobserved_failures_are_raised_together_at_the_end(kind: str) -> None:
    @rf.function
    def plain(s: rf.State) -> int:
        for branch in s.fork(3):
            branch += "a" + rf.gen("x")
        return 7

    @rf.function
    async def coroutine(s: rf.State) -> int:
        for branch in s.fork(3):
            branch += "a" + rf.gen("x")
        return 7

    program = plain if kind == "def" else coroutine
    with pytest.raises(ExceptionGroup) as caught:
        program.on(Scripted(lambda call: WorkerError("no"))).run()
    assert len(caught.value.exceptions) == 3
    assert all(isinstance(error.__cause__, WorkerError) for error in caught.value.exceptions)


def test_a_failure_that_was_passed_on_and_looked_at_there_is_no_other_failure() -> None:
    @rf.function
    def program(s: rf.State) -> str:
        good, bad = s.fork(2)
        good += "a" + rf.gen("x")
        for _ in range(300):
            bad += "a" + rf.gen("x")
        after = s.fork()[0]
        after += bad["x"] + rf.gen("z")
        bad += rf.gen("y")
        try:
            return str(after["z"])
        except NodeError:
            return "caught"

    engine = Scripted(lambda call: "fine" if "fork[0][0]" in call.path else WorkerError("no"))
    with pytest.raises(ExceptionGroup) as caught:
        program.on(engine).run()
    (error,) = caught.value.exceptions
    assert isinstance(error, NodeError) and error.path.endswith("/y[0]"), "y is behind the x that was looked at"


def test_a_failure_in_front_of_a_fork_is_looked_at_on_the_branch() -> None:
    @rf.function
    def program(s: rf.State) -> str:
        s += "a" + rf.gen("x")
        branch = s.fork()[0]
        branch += rf.gen("y")
        try:
            return str(branch["y"])
        except NodeError:
            return "caught"

    assert program.on(Scripted(lambda call: WorkerError("no"))).run() == "caught"


# ---- cancelling -------------------------------------------------------------------------------------------------


@rf.function
def endless(s: rf.State) -> str:
    s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
    return str(s["x"])


@rf.function
async def endless_async(s: rf.State) -> str:
    s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
    return await s["x"]


@rf.function
def parent(s: rf.State, started: list[str]) -> str:
    values = rf.map(counted, [started] * 5, limit=2)
    return str(values[0])


@rf.function
def counted(s: rf.State, started: list[str]) -> str:
    started.append("x")
    s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
    return str(s["x"])


@pytest.mark.parametrize("program", [endless, endless_async])
def test_cancelling_the_task_that_awaits_a_run_cancels_the_run(parts: Parts, program: rf.Program[[], str]) -> None:
    async def main() -> list[Any]:
        world, link = make_world(parts, 71, 1)
        each = program.launch(link)

        async def wait() -> str:
            return await each

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        (again,) = await asyncio.gather(each._awaited(), return_exceptions=True)
        await world.settle()
        return [result, again]

    result, again = run(main())
    assert isinstance(result, asyncio.CancelledError) and isinstance(again, Cancelled)


def test_child_runs_end_with_the_run_that_called_them_and_no_new_one_begins(parts: Parts) -> None:
    started: list[str] = []

    async def main() -> Any:
        world, link = make_world(parts, 72, 1)
        each = parent.launch(link, started)
        await asyncio.sleep(0.05)
        each.cancel()
        (result,) = await asyncio.gather(each._awaited(), return_exceptions=True)
        await world.settle()
        return result

    assert isinstance(run(main()), Cancelled)
    assert len(started) == 2


def test_child_runs_end_when_the_program_that_called_them_raises(parts: Parts) -> None:
    @rf.function
    def careless(s: rf.State) -> None:
        endless()
        s += "b" + rf.gen("y", max_tokens=2, ignore_eos=True)
        str(s["y"])
        raise KeyError("mine")

    async def main() -> Any:
        world, link = make_world(parts, 73, 1)
        (result,) = await asyncio.gather(careless.launch(link)._awaited(), return_exceptions=True)
        assert world.loop.time() < 1.0, "nobody waited for the child"
        await world.settle()
        return result

    assert isinstance(run(main()), KeyError)


def test_a_child_has_what_is_left_of_its_parents_time(parts: Parts) -> None:
    @rf.function
    async def late(s: rf.State) -> str:
        await asyncio.sleep(1.5)
        try:
            return await endless()
        except NodeError as error:
            return type(error.__cause__).__name__

    async def main() -> tuple[str, float]:
        world, link = make_world(parts, 74, 1)
        result = await late.on(timeout=2.0).launch(link)
        ended = world.loop.time()
        await world.settle()
        return result, ended

    result, ended = run(main())
    assert result == DeadlineExceeded.__name__
    assert 2.0 <= ended < 2.5


def test_ctrl_c_while_waiting_for_a_run_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    @rf.function
    def program(s: rf.State) -> None:
        rf.blocking(gate.wait)
        s += "more"

    def interrupted(timeout: float | None) -> None:
        raise KeyboardInterrupt

    each = program.on(Scripted({})).start()
    with monkeypatch.context() as patch:
        patch.setattr(each._future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            each.result()
    gate.set()
    with pytest.raises(Cancelled):
        each.result(10)


def test_a_look_after_the_end_does_not_wait_for_ever() -> None:
    kept: list[rf.Value[str]] = []

    @rf.function
    def program(s: rf.State) -> None:
        kept.append(s.text())
        raise KeyError("mine")

    with pytest.raises(KeyError):
        program.on(Scripted({})).run()
    with suppress(Cancelled, NodeError):  # or the engine has answered before the end; a TimeoutError must not be
        kept[0].get(10)


# ---- back-pressure, the timer, and programs that hold the loop ---------------------------------------------------


def test_what_is_recorded_leaves_without_a_fence(parts: Parts) -> None:
    @rf.function
    async def slow(s: rf.State) -> bool:
        s += "a" + rf.gen("x", max_tokens=3, ignore_eos=True)
        await asyncio.sleep(5)
        return s["x"].ready

    async def main() -> bool:
        _, link = make_world(parts, 75, 1)
        return await slow.launch(link)

    assert run(main())


def test_a_program_that_records_very_much_waits_for_some_of_it(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "MAX_UNFINISHED", 20)
    most: list[int] = []

    @rf.function
    def many(s: rf.State) -> int:
        s += "a"
        for branch in s.fork(100):
            branch += rf.gen("x", max_tokens=2, ignore_eos=True)
            most.append(s._run._unfinished)
        return len(most)

    async def main() -> int:
        world, link = make_world(parts, 76, 1)
        result = await many.launch(link)
        await world.settle()
        return result

    assert run(main()) == 100
    assert max(most) == 20 and 18 in most


def test_an_async_program_that_records_very_much_is_told_to_await(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "MAX_UNFINISHED", 20)

    @rf.function
    async def many(s: rf.State) -> int:
        s += "a"
        for i in range(100):
            s += rf.gen("x")
            if i % 15 == 0:
                await s["x"]
        for _ in range(100):
            s += rf.gen("x")
        return 0

    with pytest.raises(Overloaded, match="20 gens are in flight") as caught:
        many.on(Scripted({"x": "y"})).run()
    assert "await" in caught.value.hint and "x[" in caught.value.where


class Clock:
    """`perf_counter`, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("action", ["always", "error"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_program_that_holds_the_loop_is_named_once_with_its_line(
    kind: str, action: Literal["always", "error"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a filter makes errors of warnings, it is shown too, and the program goes on."""
    clock = Clock()
    monkeypatch.setattr(shared_hub(), "clock", clock)

    @rf.function
    def plain(s: rf.State, seconds: float) -> str:
        s += "a" + rf.gen("x")
        str(s["x"])
        clock.now += seconds
        s += rf.gen("y")
        return str(s["y"])  # lets go here

    @rf.function
    async def coroutine(s: rf.State, seconds: float) -> str:
        s += "a" + rf.gen("x")
        await s["x"]
        clock.now += seconds
        s += rf.gen("y")
        return await s["y"]  # lets go here

    program = (plain if kind == "def" else coroutine).on(Scripted({"x": "1", "y": "2"}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        assert program.run(0.2) == "2"
        assert caught == []
        program.run(0.3)
        program.on(Scripted({"x": "1", "y": "2"})).run(0.3)
    (warning,) = caught
    assert warning.category is held.HeldLoopWarning
    assert program.name in str(warning.message) and "0.30 s" in str(warning.message)
    lines = Path(__file__).read_text().split("\n")
    assert warning.filename == __file__ and "lets go here" in lines[warning.lineno - 1]


def test_the_clock_stands_still_during_full_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Clock()
    monkeypatch.setattr(held, "perf_counter", now)
    clock = held.Clock()
    try:

        class Slow:
            def __init__(self) -> None:
                self.me = self  # only the collector frees it

            def __del__(self) -> None:
                now.now += 5.0

        Slow()
        gc.collect()
        now.now += 1.0
        assert clock() == 1.0
    finally:
        gc.callbacks.remove(clock._on_collection)
