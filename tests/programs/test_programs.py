"""Eight programs as a user would write them first: each gives what it promises, on a script or on a real engine."""

from __future__ import annotations

import asyncio
import queue
from pathlib import Path
from typing import Any

import pytest
import ramify as rf
from fake_engine import FakeEngine
from programs_loader import load
from ramify import seedling
from ramify.errors import BudgetExceeded, NodeError
from ramify.lang.testing import Call, Raw, Scripted
from ramify.runtime.sim.simulation import Parts


def test_extraction_goes_back_to_the_model_with_the_reason() -> None:
    module = load("extraction_with_retry")
    wrong = module.Invoice([module.Line("lamp", 24.5), module.Line("pen", 1.2)], total=25.0)
    right = module.Invoice(wrong.lines, total=25.7)
    engine = Scripted({"invoice": [wrong, right]})
    assert module.read_invoice.on(engine).run("A lamp at 24.50 and a pen at 1.20.") == right
    last = engine.calls[-1].messages
    assert [turn["role"] for turn in last] == ["system", "user", "assistant", "user", "assistant"]
    assert last[3]["content"] == "total must be the sum of the lines, 25.7"
    with pytest.raises(NodeError, match="in 3 attempts"):
        module.read_invoice.on(Scripted({"invoice": wrong})).run("...")


def test_extraction_on_the_bundled_model(engine: rf.Engine) -> None:
    module = load("extraction_with_retry")
    run = module.read_invoice.on(engine, tenant="extraction").start("A lamp at EUR 24.50.")
    try:
        module.adds_up(run.result())
    except NodeError as error:  # the model may fail all attempts; what it may not do is pass a wrong value on
        assert "total must be the sum" in str(error)
    assert run.report().prefill == run.report().ideal_prefill


def test_chat_goes_on_from_its_history(engine: rf.Engine) -> None:
    reply = load("chat_with_history").reply.on(engine, tenant="chat")
    history = [{"role": "system", "content": "You keep notes for the user."}]
    _, history = reply.run(history, "Samuel is a carpenter.")
    run = reply.start(history, "What is the job of Samuel?")
    answer, history = run.result()
    assert [turn["role"] for turn in history] == ["system", "user", "assistant", "user", "assistant"]
    assert answer and history[-1]["content"] == answer
    # The turns of yesterday are in the cache: what is computed is little more than the new turn.
    assert run.report().prefill < run.report().ideal_prefill


def test_map_reduce_over_fifty_chunks(engine: rf.Engine) -> None:
    module = load("map_reduce")
    chunks = [f"The receipt lists a total of EUR {3 + 1.37 * n:.2f} and was paid in cash." for n in range(50)]
    run = module.add_up.on(engine, tenant="map").start(chunks)
    assert run.result() == round(sum(round(3 + 1.37 * n, 2) for n in range(50)), 2)


def test_tree_of_thought_keeps_the_best_and_cuts_the_rest() -> None:
    module = load("tree_of_thought")
    thoughts = iter(range(1_000))

    def answer(call: Call) -> Any:
        if call.name == "thought":
            return f"thought {next(thoughts)}"
        # The higher the number of the thought, the better it is, up to 5.
        return min(5, 1 + int(call.messages[-2]["content"].split("thought ")[1].split("\n")[0]) % 5)

    found = module.solve.on(Scripted(answer)).run("How?", depth=3, width=3, keep=2)
    # Level 1 proposes 0 to 2 and keeps 2 and 1; level 2 proposes 3 to 8, where 4 has 5 points, then 3 and 8 have 4.
    assert found == ["thought 2", "thought 4", "thought 9"]


def test_tree_of_thought_computes_each_prefix_once(engine: rf.Engine) -> None:
    module = load("tree_of_thought")
    run = module.solve.on(engine, tenant="tree", seed=5).start("What is 3 + 4?", depth=2, width=3, keep=2)
    assert len(run.result()) == 2
    report = run.report()
    assert report.prefill == report.ideal_prefill
    assert report.uncached_prefill > 2 * report.prefill


def test_react_calls_its_tools_and_stops_at_its_limits() -> None:
    module = load("react")
    steps = [
        module.Call("search", "height of the tower"),
        module.Call("search", "height of the bridge"),
        module.Call("calculator", "330 - 49"),
        module.Finish("281 metres"),
    ]
    engine = Scripted({"step": steps})
    assert module.react.on(engine).run("How much taller is the tower?") == "281 metres"
    results = [turn["content"] for turn in engine.calls[-1].messages if turn["role"] == "tool"]
    assert results == ["330 metres", "49 metres", "281"]
    assert module.react.on(Scripted({"step": steps[0]})).run("?", steps=3) == "I do not know."


def test_react_ends_at_its_budget(engine: rf.Engine) -> None:
    react = load("react").react
    with pytest.raises(NodeError) as caught:
        react.on(engine, budget=5).run("How tall is the tower?")
    assert isinstance(caught.value.__cause__, BudgetExceeded)


@pytest.mark.parametrize(
    ("mood", "answer"), [("GOOD", "say thank you"), ("PLAIN", "say thank you"), ("BAD", "the lamp")]
)
def test_select_decides_the_branch(mood: str, answer: str) -> None:
    module = load("select_then_branch")
    script = Scripted({"mood": module.Mood[mood], "reason": "the lamp"})
    assert module.answer.on(script).run("...") == answer
    assert len(script.calls) == (2 if mood == "BAD" else 1)


def test_select_then_branch_on_the_bundled_model(engine: rf.Engine) -> None:
    module = load("select_then_branch")
    run = module.answer.on(engine, tenant="select").start("I love the new lamp. It works perfectly.")
    assert run.result() == "say thank you"
    assert run.report().prefill == run.report().ideal_prefill


def test_fields_come_one_by_one(engine: rf.Engine) -> None:
    module = load("partial_json")
    fields: queue.Queue[tuple[str, object]] = queue.Queue()
    text = "Maria Lopez ordered 3 desk lamps for EUR 84.50, to be delivered to Lisbon."
    order = module.follow(engine, text, fields)
    seen = [fields.get_nowait() for _ in range(fields.qsize())]
    assert [name for name, _ in seen] == ["customer", "city", "total"]
    assert module.Order(**dict(seen)) == order
    assert isinstance(order.total, float)


def test_half_a_value_is_never_shown() -> None:
    module = load("partial_json")
    fields: queue.Queue[tuple[str, object]] = queue.Queue()
    script = Scripted({"order": Raw('{"customer":"A \\"B\\"","city":"C","total":12.50}')})
    order = module.follow(script, "...", fields)
    assert order == module.Order('A "B"', "C", 12.5)
    assert [fields.get_nowait() for _ in range(3)] == [("customer", 'A "B"'), ("city", "C"), ("total", 12.5)]


def test_a_batch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    module = load("batch_with_resume")
    journal = tmp_path / "labels.jsonl"
    first = Scripted(lambda call: f"label of {call.messages[1]['content']}")
    half = module.run_all(first, 300, journal)
    second = Scripted(lambda call: f"label of {call.messages[1]['content']}")
    whole = module.run_all(second, 500, journal)
    assert (len(first.calls), len(second.calls)) == (300, 200)
    assert whole == {str(n): f"label of text number {n}" for n in range(500)}
    assert {key: whole[key] for key in half} == half


def test_ten_thousand_rows_on_the_fake_worker(tmp_path: Path) -> None:
    """Stopped half way, then all of them: each row is generated once, and nothing is left on the engine."""
    module = load("batch_with_resume")
    fake = FakeEngine(Parts.load(seedling.path()))
    journal = tmp_path / "labels.jsonl"
    half = module.run_all(fake, 5_000, journal)
    admitted = fake.world.core.scheduler.counters.admitted
    whole = module.run_all(fake, 10_000, journal)
    assert (len(half), len(whole)) == (5_000, 10_000)
    assert {key: whole[key] for key in half} == half
    counters = fake.world.core.scheduler.counters
    assert admitted == 5_000 + counters.retractions
    assert counters.admitted == 10_000 + counters.retractions
    fake.close()


def test_an_async_program_runs_in_the_callers_loop() -> None:
    reply = load("chat_with_history").reply

    async def main() -> tuple[str, list[dict[str, str]]]:
        return await reply.on(Scripted({"reply": "Hello."})).start([], "Hi")

    answer, history = asyncio.run(main())
    assert answer == "Hello."
    assert history[-1] == {"role": "assistant", "content": "Hello."}
