"""Each example runs on the bundled model and gives the right answer, at the ideal prefill cost."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import ramify as rf

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def load(name: str) -> ModuleType:
    known = sys.modules.get(f"examples_{name}")  # other tests load them too
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # annotations are looked up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def engine() -> Iterator[rf.Engine]:
    with rf.Engine("seedling", threads=1) as engine:
        yield engine


def test_every_example_is_short_and_tested_here() -> None:
    tests = Path(__file__).read_text()
    for path in sorted(EXAMPLES.glob("*.py")):
        assert f'load("{path.stem}")' in tests
        if path.stem != "demo":
            assert len(path.read_text().splitlines()) < 60


def test_demo(engine: rf.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    demo = load("demo")
    run = demo.read_order.on(engine, tenant="demo").start(demo.TEXT)
    order, answers = run.result()
    assert order == demo.Order(
        "Maria Lopez", [demo.Item("desk lamps", 3), demo.Item("notebooks", 2)], total=84.5, city="Lisbon"
    )
    assert answers == ["Maria Lopez", "84.5", "2026-05-04"]
    assert run.report().prefill == run.report().ideal_prefill
    demo.main()
    shown = capsys.readouterr().out
    assert "prefill tokens:" in shown
    assert "answer: 21.3, which is right: Python says 21.30" in shown
    shares = [line.split()[-2:] for line in shown.split("grammar off   on\n")[1].splitlines()[:4]]
    assert [int(on) for _, on in shares] >= [9, 9, 9, 9]
    assert [int(off) for off, _ in shares[1:]] == [0, 0, 0]


def test_extraction_with_a_check(engine: rf.Engine) -> None:
    extraction = load("extraction")
    receipt = extraction.read_receipt.on(engine).run(extraction.TEXT)
    assert receipt.total == 27.7
    assert [(line.item, line.price) for line in receipt.items] == [("desk lamp", 24.5), ("notebook", 3.2)]


def test_agent_with_a_calculator_and_a_lookup(engine: rf.Engine) -> None:
    agent = load("agent")
    run = agent.agent.on(engine, tenant="agent").start("How much more does the desk lamp cost than the notebook?")
    assert run.result() == "21.3"
    assert run.report().gens == 4
    assert run.report().prefill == run.report().ideal_prefill


def test_facts_in_a_long_chat(engine: rf.Engine) -> None:
    facts = load("facts")
    run = facts.chat.on(engine, tenant="facts").start(facts.FACTS, facts.QUESTIONS)
    assert run.result() == ["carpenter", "586", "41"]
    assert run.report().prefill == run.report().ideal_prefill


def test_fifty_receipts_add_up_exactly(engine: rf.Engine) -> None:
    receipts = load("receipts")
    made = [receipts.receipt(n) for n in range(50)]
    assert receipts.add_up.on(engine).run([text for text, _ in made]) == sum((a for _, a in made), Decimal(0))


def test_classification_decides_the_branch(engine: rf.Engine) -> None:
    classification = load("classification")
    route = classification.route.on(engine, tenant="classification")
    run = route.start("Right now, please! The server is down.")
    assert run.result() == "call the person on duty"
    assert run.report().decoded == 0
    assert run.report().prefill == run.report().ideal_prefill
    assert route.run("Right now, please! The server is down.") == "call the person on duty"
    assert route.run("Only if you are free. This is about the invoice.") == "answer within a day"


def test_streaming_tells_branches_apart(engine: rf.Engine) -> None:
    streaming = load("streaming")
    text = "Marcus Aurelius, Lisbon, 4417"
    run = streaming.two_answers.on(engine, events=True, tenant="streaming").start(f"Repeat: {text}")
    assert run.result() == [text, text]
    assert run.report().prefill == run.report().ideal_prefill
    events = list(run.events())
    for branch in range(2):
        mine = [e for e in events if f"fork[0][{branch}]" in e.path]
        assert "".join(e.text for e in mine if isinstance(e, rf.TextDelta)) == text
        assert [e.text for e in mine if isinstance(e, rf.NodeDone)] == [text]


def test_a_batch_of_five_hundred_goes_on_where_it_stopped(
    engine: rf.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = load("batch")
    monkeypatch.setattr(rf.Program, "on", _on(engine))
    journal = tmp_path / "tones.jsonl"
    begun = batch.tone.on("seedling").batch(batch.rows(), key=lambda row: str(row["number"]), journal=journal)
    first = [next(begun) for _ in range(120)]
    begun.close()
    assert all(item.value in ("positive", "negative", "neutral") for item in first)
    batch.main(str(journal))
    shown = capsys.readouterr().out
    resumed = int(shown.split("}, ")[1].split()[0])
    assert resumed >= 120
    rest = list(batch.tone.on("seedling").batch(batch.rows(), key=lambda row: str(row["number"]), journal=journal))
    assert len(rest) == 500 and all(item.resumed for item in rest)
    expected = ("positive", "negative", "neutral")
    assert all(item.value == expected[item.index % 3] for item in rest)


def _on(engine: rf.Engine) -> Any:
    """`Program.on` with the tests' engine in place of the one that an example names."""
    on = rf.Program.on

    def bound(program: Any, name: str, **options: Any) -> Any:
        assert name == "seedling"
        return on(program, engine, **options)

    return bound


def test_partial_values_grow_field_by_field(engine: rf.Engine) -> None:
    partial_json = load("partial_json")
    run = partial_json.read_order.on(engine, events=True).start(partial_json.TEXT)
    seen = [event.value for event in run.events() if isinstance(event, rf.PartialValue)]
    order = run.result()
    assert order == partial_json.Order("Maria Lopez", "Lisbon", 84.5)
    assert [list(value) for value in seen] == [["customer"], ["customer", "city"], ["customer", "city", "total"]]
    assert partial_json.Order(**seen[-1]) == order


def test_the_unit_tests_of_a_program_pass() -> None:
    unit_test = load("unit_test")
    unit_test.test_a_bug_is_asked_about()
    unit_test.test_an_idea_needs_one_call()
