"""Options of `.on(...)`: budget, run_id, cache; and the options of a gen, which are defined once."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import BudgetExceeded, InvalidRequest, NodeError
from ramify.lang.budget import Budget
from ramify.lang.options import GenOptions
from ramify.lang.testing import Scripted
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


def launch(parts: Parts, *programs: rf.Program[[], Any]) -> tuple[list[Any], list[rf.Run[Any]], Any]:
    async def main() -> tuple[list[Any], list[rf.Run[Any]], Any]:
        world, link = make_world(parts, 51, 1)
        runs = [program.launch(link) for program in programs]
        results = await asyncio.gather(*(each._awaited() for each in runs), return_exceptions=True)
        await world.settle()
        return results, runs, world

    return run(main())


# ---- the options of a gen ---------------------------------------------------------------------------------------


def test_gen_and_the_typed_face_of_state_have_the_same_options() -> None:
    parameters = inspect.signature(rf.gen).parameters
    assert set(GenOptions.__annotations__) == set(parameters) - {"name", "type", "check"}
    hints = get_type_hints(rf.gen)
    assert all(hints[name] == hint for name, hint in get_type_hints(GenOptions).items())


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    @rf.function
    def program(s: rf.State) -> None:
        s.gen("x", max_token=3)  # type: ignore[call-overload]

    with pytest.raises(TypeError, match="max_token"):
        program.on(Scripted({})).run()


# ---- budget -----------------------------------------------------------------------------------------------------


@rf.function
def chain(s: rf.State) -> tuple[list[int], str]:
    """Gens of ten tokens, one after the other, until one fails."""
    lengths = []
    s += "a"
    while True:
        s += rf.gen("x", max_tokens=10, ignore_eos=True)
        try:
            lengths.append(s["x"].usage.decoded)
        except NodeError as error:
            assert isinstance(error.__cause__, BudgetExceeded)
            return lengths, str(error)


@rf.function
async def chain_async(s: rf.State) -> tuple[list[int], str]:
    lengths = []
    s += "a"
    while True:
        s += rf.gen("x", max_tokens=10, ignore_eos=True)
        try:
            await s["x"]
            lengths.append(s["x"].usage.decoded)
        except NodeError as error:
            assert isinstance(error.__cause__, BudgetExceeded)
            return lengths, str(error)


@pytest.mark.parametrize("program", [chain, chain_async])
def test_the_last_gen_is_cut_to_what_is_left_and_the_next_fails(parts: Parts, program: rf.Program[[], Any]) -> None:
    ((lengths, message),), (done,), _ = launch(parts, program.on(budget=25))
    assert lengths == [10, 10, 5]
    assert done.budget is not None and (done.budget.used, done.budget.promised, done.budget.left) == (25, 0, 0)
    assert "25 tokens is spent: 25 used" in message and "x[3]" in message and "test_options.py" in message


def test_gens_in_flight_hold_what_they_were_promised(parts: Parts) -> None:
    """Seven side by side: three fit. Together they never pass the budget, and the others fail at once."""

    @rf.function
    def wide(s: rf.State) -> list[int | str]:
        s += "a"
        branches = s.fork(7)
        for branch in branches:
            branch += rf.gen("x", max_tokens=8, ignore_eos=True)
        branches[6] += "behind it" + rf.gen("x", max_tokens=1)
        out: list[int | str] = []
        for value in [*(branch.all("x")[0] for branch in branches), branches[6]["x"]]:
            try:
                out.append(value.usage.decoded)
            except NodeError as error:
                out.append(type(error.__cause__).__name__)
        return out

    (out,), (done,), _ = launch(parts, wide.on(budget=20))
    assert out == [8, 8, 4, *["BudgetExceeded"] * 5]
    assert done.budget is not None and (done.budget.used, done.budget.promised) == (20, 0)


def test_without_max_tokens_a_gen_is_promised_all_that_is_left_and_gives_back_the_rest(parts: Parts) -> None:
    @rf.function
    def program(s: rf.State) -> tuple[int, int]:
        s += "a" + rf.gen("x", stop="e", ignore_eos=True)
        used = s["x"].usage.decoded
        s += "b" + rf.gen("y", max_tokens=3, ignore_eos=True)
        return used, s["y"].usage.decoded

    ((used, more),), (done,), _ = launch(parts, program.on(budget=200))
    assert used < 197 and more == 3
    assert done.budget is not None and done.budget.used == used + 3


def test_child_runs_and_retries_spend_the_same_budget(parts: Parts) -> None:
    @rf.function
    def leaf(s: rf.State, n: int) -> str:
        s += f"{n}" + rf.gen("x", max_tokens=10, ignore_eos=True)
        return s["x"]

    @rf.function
    def tree(s: rf.State) -> list[str]:
        out = []
        for child in rf.map(leaf, range(3), limit=1):
            try:
                child.get()
                out.append("done")
            except NodeError as error:
                out.append(type(error.__cause__).__name__)
        return out

    @rf.function
    def retried(s: rf.State) -> int:
        def never(value: str) -> None:
            raise ValueError("no")

        s += "a" + rf.gen("x", max_tokens=10, ignore_eos=True, check=never, retries=9)
        with pytest.raises(NodeError) as caught:
            s["x"].get()
        assert isinstance(caught.value.__cause__, BudgetExceeded)
        return s["x"].attempts

    (out, attempts), (done, _), _ = launch(parts, tree.on(budget=20), retried.on(budget=20))
    assert out == ["done", "done", "BudgetExceeded"] and attempts == 3
    assert done.budget is not None and done.budget.used == 20


def test_what_was_stopped_counts_with_its_promise_and_what_was_refused_with_nothing() -> None:
    budget = Budget(100)
    assert budget.promise(30, "") == 30 and budget.promise(None, "") == 70 and budget.left == 0
    budget.settle(30, rf.errors.Cancelled("stopped"))
    budget.settle(70, rf.errors.ContextOverflow("refused"))
    assert (budget.used, budget.left) == (30, 70)
    assert budget.promise(500, "") == 70
    budget.settle(70, 1)
    assert budget.used == 31


def test_a_run_without_a_budget_has_none(parts: Parts) -> None:
    @rf.function
    def program(s: rf.State) -> str:
        return s.gen("x").get()

    engine_run = program.on(Scripted({"x": "y"})).start()
    assert engine_run.result() == "y" and engine_run.budget is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"timeout": 0.0}, "timeout is 0"),
        ({"run_id": "../x"}, "run_id is '../x'"),
        ({"run_id": ".x"}, "run_id is"),
        ({"run_id": "x" * 101}, "run_id is"),
    ],
)
def test_options_out_of_their_bounds(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        chain.on(**options)
    with pytest.raises(InvalidRequest, match=message):
        rf.open(Scripted({}), **options)


# ---- run_id -----------------------------------------------------------------------------------------------------


def test_a_run_id_names_the_run_and_its_events_and_changes_no_path() -> None:
    @rf.function
    def leaf(s: rf.State) -> str:
        s += "b" + rf.gen("y")
        return s["y"]

    @rf.function
    def program(s: rf.State) -> list[str]:
        s += "a" + rf.gen("x")
        return [s["x"], leaf()]  # type: ignore[list-item]

    engine = Scripted(lambda call: call.path)
    named = program.on(engine, run_id="nightly", events=True).start()
    plain = program.on(engine, events=True).start()
    assert named.result() == plain.result()
    assert named.run_id == "nightly" and plain.run_id == plain.path == program.name
    events = list(named.events())
    assert {event.run for event in events} == {"nightly"}
    assert {event.run for event in plain.events()} == {program.name}
    assert f"{program.name}/{leaf.name}[0]/y[0]" in {event.path for event in events}, "child runs are told of too"


def test_a_batch_with_a_run_id_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @rf.function
    def program(s: rf.State, n: int) -> str:
        s += f"{n}" + rf.gen("x")
        return s["x"]

    rows = [{"n": n} for n in range(5)]
    list(program.on(Scripted({"x": "a"}), run_id="nightly").batch(rows[:3]))
    assert (tmp_path / ".ramify" / "nightly.jsonl").read_bytes().count(b"\n") == 1 + 3
    items = list(program.on(Scripted({"x": "b"}), run_id="nightly").batch(rows))
    assert sorted((item.index, item.value, item.resumed) for item in items) == [
        (0, "a", True),
        (1, "a", True),
        (2, "a", True),
        (3, "b", False),
        (4, "b", False),
    ]


# ---- cache ------------------------------------------------------------------------------------------------------


@rf.function
def prompted(s: rf.State) -> int:
    s += "the very same prompt of some tokens" + rf.gen("x", max_tokens=2, ignore_eos=True)
    with_child = shared()
    s["x"].get()
    return s["x"].usage.cached + with_child.get()


@rf.function
def shared(s: rf.State) -> int:
    s += "the very same prompt of some tokens" + rf.gen("x", max_tokens=2, ignore_eos=True)
    s["x"].get()
    return s["x"].usage.cached


def test_a_run_without_cache_shares_with_its_own_child_runs_only(parts: Parts) -> None:
    async def main() -> list[int]:
        world, link = make_world(parts, 52, 0)
        programs = [shared, shared, shared.on(cache=False), shared.on(cache=False), shared, prompted.on(cache=False)]
        out = [await program.launch(link) for program in programs]
        await world.settle()
        return out

    first, again, alone, alone_too, last, with_child = run(main())
    assert first == 0 and again > 0 and last == again, "the cache is there, and nothing of the others is in the way"
    assert alone == alone_too == 0
    assert with_child > 0, "a child run is part of the run"
