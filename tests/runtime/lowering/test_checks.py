"""Texts that their mask did not enforce are no values before they were validated, and end once in every case."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lowering_desk import Desk, gen
from ramify import seedling
from ramify.errors import ErrorInfo
from ramify.grammar.spec import JsonSchema
from ramify.runtime.lowering.events import Checked, FromClient
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from ramify.runtime.protocol.graph import CloseRun, Fork, RunOptions, Text, ValueEdge

LOOSE = JsonSchema(json.dumps({"type": "array", "uniqueItems": True}), strict=False)
WRONG = ErrorInfo("OutputInvalid", "not so", "#", "")


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load(seedling.path())


@pytest.fixture
def desk(tokenizer: TextTokenizer) -> Desk:
    """A finished loose value whose check is not done, and a branch that waits for it."""
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0, grammar=LOOSE), Fork(stream=0, child=1))
    desk.send(ValueEdge(stream=1, source=0), gen(1, stream=1))
    desk.finish(0, tokenizer.encode("[1, 2]", after=Seam.TEXT).tolist())
    assert not desk.done() and not desk.failed() and desk.generates() == [0]
    return desk


def test_the_value_is_there_when_it_was_found_right(desk: Desk) -> None:
    desk.handle(Checked((0, 0), None))
    assert desk.done() == {0: "[1, 2]"} and desk.generates() == [0, 1]


def test_a_wrong_value_fails_its_gen_and_whoever_waits_for_it(desk: Desk) -> None:
    desk.handle(Checked((0, 0), WRONG))
    assert [(each.node, each.error) for each in desk.failed()] == [(0, WRONG), (1, WRONG)] and not desk.done()


def test_a_run_that_is_closed_meanwhile_ends_the_gen_once(desk: Desk) -> None:
    desk.handle(FromClient(0, CloseRun(0), 0.0))
    assert sorted(each.node for each in desk.failed()) == [0, 1]
    for error in (None, WRONG):
        desk.handle(Checked((0, 0), error))
        desk.handle(Checked((7, 0), error))  # a run that has gone
    assert len(desk.failed()) == 2 and not desk.done()


def test_what_is_asked_for_names_the_text_and_its_owner(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    events: list[Any] = []
    original = desk.lowering.handle
    desk.lowering.handle = lambda batch: events.append(original(batch)) or events[-1]  # type: ignore[method-assign]
    desk.send(Text(stream=0, text="a"), gen(0, grammar=LOOSE), gen(1, grammar=JsonSchema("{}")))
    desk.finish(0, tokenizer.encode("[1]", after=Seam.TEXT).tolist())
    desk.finish(1, tokenizer.encode("2", after=Seam.TEXT).tolist())
    compiles = [each for lowered in events for each in lowered.compiles]
    assert [(each.node, each.owner) for each in compiles] == [((0, 0), "0:"), ((0, 1), "0:")]
    (check,) = [each for lowered in events for each in lowered.checks]
    assert check == ((0, 0), LOOSE, "[1]", f"0:{RunOptions().tenant}") and desk.done() == {1: "2"}
