"""Each example runs on the bundled model and gives the right answer, at the ideal prefill cost."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
import ramify as rf

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def load(name: str) -> ModuleType:
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
    assert "prefill tokens:" in capsys.readouterr().out


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
    route = classification.route.on(engine)
    assert route.run("Right now, please! The server is down.") == "call the person on duty"
    assert route.run("Only if you are free. This is about the invoice.") == "answer within a day"


def test_streaming_tells_branches_apart(engine: rf.Engine) -> None:
    streaming = load("streaming")
    text = "Marcus Aurelius, Lisbon, 4417"
    run = streaming.two_answers.on(engine, events=True).start(f"Repeat: {text}")
    assert run.result() == [text, text]
    events = list(run.events())
    for branch in range(2):
        mine = [e for e in events if f"fork[0][{branch}]" in e.path]
        assert "".join(e.text for e in mine if isinstance(e, streaming.TextDelta)) == text
        assert [e.text for e in mine if isinstance(e, streaming.NodeDone)] == [text]
