"""Fields of values: cut out of the text that was generated, spliced as text, and errors that stay on a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ramify import seedling
from ramify.errors import InvalidRequest
from ramify.runtime.core import messages as core
from ramify.runtime.lowering.events import FromClient
from ramify.runtime.lowering.lowering import Lowering
from ramify.runtime.lowering.template import ChatTemplate
from ramify.runtime.lowering.tokenizer import TextTokenizer
from ramify.runtime.protocol.fields import FieldPath, field_text
from ramify.runtime.protocol.graph import (
    EngineReply,
    Fork,
    Gen,
    GraphDelta,
    NodeFailed,
    Read,
    RunOptions,
    Text,
    ValueEdge,
)
from ramify.runtime.protocol.tokens import pack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def paths(value: Any) -> list[FieldPath]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[FieldPath] = []
    for key, member in members:
        found += [(key,), *((key, *rest) for rest in paths(member))]
    return found


@given(JSON, st.booleans())
def test_every_field_of_any_json_is_found(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    for path in paths(value):
        member = value
        for key in path:
            member = member[key]
        found = field_text(text, path)
        assert found == member if isinstance(member, str) else json.loads(found) == member


def test_numbers_keep_their_spelling_and_white_space_is_dropped() -> None:
    text = ' { "a" : [ 1.50 , 12345678901234567890123 ] , "b" : { "c" : "x\\u0041" } } '
    assert field_text(text, ("a", 0)) == "1.50"
    assert field_text(text, ("a", 1)) == "12345678901234567890123"
    assert field_text(text, ("b", "c")) == "xA"
    assert json.loads(field_text(text, ("b",))) == {"c": "xA"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{}", ("a",)),
        ("[1]", (1,)),
        ("[1]", ("a",)),
        ('{"a": 1}', ("a", "b")),
        ("free text", ("a",)),
        ("[" * 9999, (0,)),
    ],
)
def test_a_field_that_is_not_there_is_named(text: str, path: FieldPath) -> None:
    with pytest.raises(InvalidRequest, match="the value has no field"):
        field_text(text, path)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load(seedling.path())


class Desk:
    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.lowering = Lowering(tokenizer, ChatTemplate.load(tokenizer), tokenizer.vocabulary(tokenizer.vocab_size))
        self.core: list[core.CoreInput] = []
        self.replies: list[EngineReply] = []

    def splice(self, generated: str, field: FieldPath) -> str:
        """What stream 1 holds when the value of node 0 has come."""
        nodes = [
            Fork(stream=0, child=1),
            Text(stream=0, text="a"),
            Gen(stream=0, node=0, name="x", path="p/x[0]"),
            Text(stream=1, text="<"),
            ValueEdge(stream=1, source=0, field=field, site="f.py:3"),
            Text(stream=1, text=">"),
            Read(stream=1, node=1),
        ]
        self._handle(FromClient(0, GraphDelta(0, nodes, RunOptions()), 0.0))
        ids = self.tokenizer.encode_whole(generated)
        self._handle(core.GenDone((0, 0), pack(ids), "stop", "", core.GenUsage(1, 0, 1, len(ids), 0)))
        appended = [i for m in self.core if isinstance(m, core.Append) and m.key == (0, 1) for i in m.ids.tolist()]
        return self.tokenizer.decode(appended, skip_special=False, first=True)

    def _handle(self, event: Any) -> None:
        lowered = self.lowering.handle([event])
        self.core.extend(lowered.core)
        self.replies.extend(reply for _, reply in lowered.replies)


def test_an_edge_with_a_field_splices_that_field_once_the_value_is_there(tokenizer: TextTokenizer) -> None:
    text = '{"name": "Ada L", "n": [1.0, 2]}'
    assert Desk(tokenizer).splice(text, ("name",)).endswith("<Ada L>")
    assert Desk(tokenizer).splice(text, ("n",)).endswith("<[1.0, 2]>")
    assert Desk(tokenizer).splice(text, ()).endswith(f"<{text}>")


def test_a_missing_field_fails_its_own_stream_with_the_place(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.splice('{"a": 1}', ("b",))
    (failed,) = [reply for reply in desk.replies if isinstance(reply, NodeFailed)]
    assert failed.node == 1 and "no field b" in failed.error.what and failed.error.where == "f.py:3"


def test_a_field_that_is_too_deep_is_refused(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.splice("{}", ("a",) * 100)
    (failed,) = [reply for reply in desk.replies if isinstance(reply, NodeFailed)]
    assert "100 levels deep" in failed.error.what
