"""Structures in programs: types in tags, answers of a script, what is spliced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import ramify as rf
from ramify.errors import InvalidRequest, InvalidSchema, InvalidType, NodeError, OutputInvalid
from ramify.lang.testing import Raw, Scripted
from ramify.lang.types import grammar_of


@dataclass
class Search:
    query: str


CALL = rf.tag("<call>", Search, "</call>", name="search")
TOOLS = rf.StructuralTag(rf.TriggeredTags(("<call>",), (CALL,)))


@rf.function
def ask(s: rf.State, type: Any = TOOLS) -> list[rf.Segment]:
    reply = s.gen("reply", type=type)
    s += " | " + reply
    assert s.text().get() == f"{reply.text} | {reply.text}"
    return reply.get()


def test_an_answer_is_its_segments_and_splices_as_its_text() -> None:
    (before, call) = ask.on(Scripted({"reply": 'So: <call>{"query": "x"}</call>'})).run()
    assert (before.tag, before.value) == ("", "So: ")
    assert (call.tag, call.value, call.text) == ("search", Search("x"), '{"query": "x"}')


@pytest.mark.parametrize(
    "text",
    ["<call>{}</call>", '<call>{"query": 1}</call>', '<call>{"query": "x"}', '<call>{"query": "x"}</cal>', "<call>x"],
)
def test_a_script_cannot_answer_what_the_structure_does_not_hold(text: str) -> None:
    with pytest.raises(NodeError) as caught:
        ask.on(Scripted({"reply": text})).run()
    assert isinstance(caught.value.cause, OutputInvalid)


def test_a_script_answers_a_structure_with_text() -> None:
    with pytest.raises(NodeError) as caught:
        ask.on(Scripted({"reply": Search("x")})).run()
    assert isinstance(caught.value.cause, InvalidRequest)
    with pytest.raises(NodeError, match="not of its structure"):  # what Raw skips is the script's check
        ask.on(Scripted({"reply": Raw("<call>x")})).run()


def test_a_structure_without_one_reading_is_refused_by_the_script_too() -> None:
    twice = rf.StructuralTag(rf.Or((CALL, CALL)))
    with pytest.raises(NodeError) as caught:
        ask.on(Scripted({"reply": "<call>"})).run(twice)
    assert isinstance(caught.value.cause, InvalidSchema)


def test_types_become_grammars_and_equal_ones_keep_their_own_values() -> None:
    @dataclass
    class Other:
        query: str

    both = rf.StructuralTag(
        rf.Sequence((rf.tag("<a>", Search, "</a>"), rf.tag("<b>", Other, "</b>"), rf.tag("<c>", list[int], "</c>")))
    )
    _, decode = grammar_of(both)
    first, second, third = decode('<a>{"query": "x"}</a><b>{"query": "x"}</b><c>[1, 2]</c>')
    assert (first.value, second.value, third.value) == (Search("x"), Other("x"), [1, 2])


def test_a_structure_inside_a_tag_gives_its_segments() -> None:
    nested = rf.StructuralTag(rf.tag("<all>", rf.TriggeredTags(("<call>",), (CALL,)), "</all>"))
    _, decode = grammar_of(nested)
    (outer,) = decode('<all>a<call>{"query": "</all>"}</call></all>')
    assert [(part.tag, part.value) for part in outer.value] == [("", "a"), ("search", Search("</all>"))]


def test_a_part_that_is_no_type_is_refused_at_its_place() -> None:
    with pytest.raises(InvalidType) as caught:
        grammar_of(rf.StructuralTag(rf.Sequence((CALL, rf.tag("<x>", object(), "</x>")))))
    assert caught.value.where == "format.parts[1].content"
