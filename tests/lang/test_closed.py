"""Closed fields and tags: each told once, in order, with its place, however the text is cut."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
import ramify as rf
from ramify.grammar.spec import StructuralTag
from ramify.lang.closed import EVERY_MEMBER, Closed, JsonReader
from ramify.lang.structure import SegmentDecoder
from ramify.lang.structure_events import ClosedTag, StructureReader
from ramify.lang.testing import Scripted
from ramify.lang.types import grammar_of

Spans = list[tuple[tuple[str | int, ...], int, int]]


def written(value: Any, rng: random.Random, where: tuple[str | int, ...], at: int, spans: Spans) -> bytes:
    """A value as JSON with random blanks, and the span of each part of it, inner ones first."""

    def blank() -> bytes:
        return rng.choice([b"", b" ", b"\n\t"])

    if isinstance(value, dict | list):
        out = b"{" if isinstance(value, dict) else b"["
        members = list(value.items() if isinstance(value, dict) else enumerate(value))
        for index, (key, member) in enumerate(members):
            out += blank()
            if isinstance(value, dict):
                out += json.dumps(key, ensure_ascii=False).encode() + blank() + b":" + blank()
            out += written(member, rng, (*where, key), at + len(out), spans) + blank()
            out += b"," if index + 1 < len(members) else b""
        out += b"}" if isinstance(value, dict) else b"]"
    else:
        out = json.dumps(value, ensure_ascii=rng.random() < 0.3).encode()
    spans.append((where, at, at + len(out)))
    return out


def some_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.choice("dlsnbx") if depth < 3 else rng.choice("snbx")
    if kind == "d":
        names = ['a"b', "k", "été", "{x", "日,", "", "[1]"]
        return {name: some_value(rng, depth + 1) for name in rng.sample(names, rng.randint(0, 4))}
    if kind == "l":
        return [some_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if kind == "s":
        return rng.choice(["", '"}', "a, b", "😀é", "\\", "]: [", "tab\t"])
    return rng.choice([0, -12, 3.5, 1e9]) if kind == "n" else rng.choice([True, False]) if kind == "b" else None


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_field_is_told_with_its_place(size: int) -> None:
    rng = random.Random(size)
    for _ in range(200):
        value = {"root": some_value(rng)} if rng.random() < 0.5 else [some_value(rng)]
        spans: Spans = []
        text = written(value, rng, (), 0, spans).decode()
        reader = JsonReader()
        cuts = [text[at : at + size] for at in range(0, len(text), size)]
        found = [closed for cut in cuts for _, fields in reader.feed(cut) for closed in fields]
        assert found == [Closed(*span) for span in spans], text


def test_a_long_list_is_told_up_to_a_bound_and_its_end_is() -> None:
    reader = JsonReader()
    text = json.dumps({"a": list(range(1_000)), "b": 1})
    found = [closed for _, fields in reader.feed(text) for closed in fields]
    assert [closed.where for closed in found[:EVERY_MEMBER]] == [("a", place) for place in range(EVERY_MEMBER)]
    assert [closed.where for closed in found[EVERY_MEMBER:]] == [("a",), ("b",), ()]


@dataclass
class Search:
    query: str
    limit: int


REPLY = rf.StructuralTag(
    rf.Sequence(
        (
            rf.Optional(rf.tag("<think>", str, "</think>", name="think")),
            rf.TriggeredTags(("<call>",), (rf.tag("<call>", Search, "</call>", name="search"),)),
        )
    )
)
TEXT = '<think>é?</think>See <call>{"query": "</call>日", "limit": 3}</call> and more'


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_tags_and_the_fields_in_them_are_told_with_their_places(size: int) -> None:
    spec, decode = grammar_of(REPLY)
    assert isinstance(spec, StructuralTag)
    assert isinstance(decode, SegmentDecoder)
    reader = StructureReader(spec, decode)
    told = [closed for at in range(0, len(TEXT), size) for closed in reader.feed(TEXT[at : at + size])]
    data = TEXT.encode()
    texts = [data[closed.begin : closed.end].decode() for closed in told]
    assert texts == ["é?", '"</call>日"', "3", *['{"query": "</call>日", "limit": 3}'] * 2]
    assert [closed.where for closed in told if isinstance(closed, Closed)] == [("query",), ("limit",), ()]
    tags = [(closed.tag, closed.index, closed.value) for closed in told if isinstance(closed, ClosedTag)]
    assert tags == [("think", 0, "é?"), ("search", 1, Search("</call>日", 3))]


def test_a_field_is_told_before_the_tag_around_it_ends() -> None:
    spec, decode = grammar_of(REPLY)
    assert isinstance(spec, StructuralTag)
    assert isinstance(decode, SegmentDecoder)
    reader = StructureReader(spec, decode)
    (field,) = reader.feed('<call>{"query": "x", "limit": 1')
    assert (field.begin, field.end) == (16, 19)
    assert [type(closed) for closed in reader.feed("2}</ca")] == [Closed, Closed]
    assert [type(closed) for closed in reader.feed("ll>")] == [ClosedTag]
    assert reader.feed("<call>{]") == reader.feed('"') == []


def test_events_of_a_run_tell_what_is_closed() -> None:
    @rf.function
    def program(s: rf.State) -> list[Any]:
        s += "Go: " + rf.gen("fix", type=Search) + rf.gen("reply", type=REPLY)
        return [s["fix"], s["reply"]]

    run = program.on(Scripted({"fix": Search("a", 1), "reply": TEXT}), events=True).start()
    fix, reply = run.result()
    events = list(run.events())
    fields = [event for event in events if isinstance(event, rf.FieldClosed) and event.path.endswith("fix[0]")]
    assert [event.where for event in fields] == [("query",), ("limit",), ()]
    tags = [event for event in events if isinstance(event, rf.TagClosed)]
    assert [event.tag for event in tags] == ["think", "search"]
    assert fix == Search("a", 1)
    assert [(part.tag, part.value) for part in reply] == [
        ("think", "é?"),
        ("", "See "),
        ("search", Search("</call>日", 3)),
        ("", " and more"),
    ]
