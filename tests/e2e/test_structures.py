"""A random model under structures: what comes out is of them because of the grammar, and of nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest
import ramify as rf
from ramify.errors import NeverFits, NodeError

Word = Annotated[str, msgspec.Meta(pattern="^[a-z<]{1,6}$")]


@dataclass
class Search:
    query: Word
    limit: Annotated[int, msgspec.Meta(ge=1, le=9)]


SEARCH = rf.tag("<call>", Search, "</call>", name="search")
STOP = rf.tag("<|im_start|>stop ", rf.Regex("[0-9]{2}"), "\n", name="stop")
THINK = rf.tag("", rf.Regex("[a-z ]{0,12}"), "</think>", name="think")
REPLY = rf.StructuralTag(
    rf.Sequence((THINK, rf.TagsWithSeparator((SEARCH, STOP), "\n", at_least_one=True), rf.Choices(("done",))))
)
SPELLED = re.compile(
    r"[a-z ]{0,12}</think>"
    r"(?:(?:<call>(?P<json>\{.*?\})</call>|<\|im_start\|>stop [0-9]{2}\n)(?:\n|(?=done)))+done"
)


@rf.function
def reply(s: rf.State, seed: int) -> list[rf.Segment]:
    s += f"Question {seed}: "
    parts = s.gen("reply", type=REPLY, max_tokens=400, temperature=4.0)
    s += " then " + parts
    assert s.text().get().endswith(" then " + parts.text)
    return parts.get()


def test_what_a_random_model_writes_is_of_the_structure(engine: rf.Engine) -> None:
    tags = set()
    for seed in range(6):
        run = reply.on(engine, seed=seed, events=True).start(seed=seed)
        try:
            segments = run.result()
        except NodeError as error:
            assert "max_tokens" in str(error)
            continue
        text = "".join(event.text for event in run.events() if isinstance(event, rf.TextDelta))
        assert SPELLED.fullmatch(text), text
        for segment in segments:
            tags.add(segment.tag)
            assert text[segment.begin : segment.end] == segment.text
            if segment.tag == "search":
                assert segment.value == Search(**json.loads(segment.text))
                assert re.fullmatch("[a-z<]{1,6}", segment.value.query)
            else:
                assert segment.value == segment.text
    assert tags == {"think", "search", "stop", ""}


def test_a_control_token_in_a_tag_is_the_token_and_nowhere_else(engine: rf.Engine) -> None:
    @rf.function
    def marked(s: rf.State) -> list[int]:
        s += "Go: "
        before = len(s.tokens().get())
        s += rf.gen(
            "mark", type=rf.StructuralTag(rf.tag("<|im_start|>", rf.Regex("[a-z<|_>]{6}"), "\n")), temperature=3.0
        )
        return list(s.tokens().get()[before:])

    for seed in range(4):
        ids = marked.on(engine, seed=seed).run()
        assert ids[0] == 1
        assert 1 not in ids[1:]


@pytest.mark.parametrize("type_", [rf.Regex("[ab]{600}"), rf.Choices(("a choice of some words",)), REPLY])
def test_a_gen_that_cannot_hold_the_shortest_text_is_refused_at_the_door(engine: rf.Engine, type_: object) -> None:
    @rf.function
    def asked(s: rf.State) -> str:
        s += "Go: "
        return s.gen("mark", type=type_, max_tokens=1).text

    with pytest.raises(NodeError) as caught:
        asked.on(engine).run()
    assert isinstance(caught.value.cause, NeverFits)


def test_an_impossible_structure_fails_its_gen_by_name(engine: rf.Engine) -> None:
    @rf.function
    def asked(s: rf.State) -> str:
        s += "Go: "
        return s.gen("mark", type=rf.StructuralTag(rf.Or((SEARCH, SEARCH)))).text

    with pytest.raises(NodeError, match="begin alike"):
        asked.on(engine).run()
