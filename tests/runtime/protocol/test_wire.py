"""What comes over a socket is one of our messages within bounds, or a ProtocolError that says what was wrong."""

from __future__ import annotations

import math
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify.errors import ErrorInfo, ProtocolError
from ramify.grammar.limits import DEFAULT_LIMITS
from ramify.grammar.report import Note
from ramify.grammar.spec import (
    AnyText,
    Choices,
    Format,
    JsonSchema,
    Lark,
    Optional,
    Or,
    Regex,
    Sequence,
    StructuralTag,
    Tag,
    TagsWithSeparator,
    TriggeredTags,
)
from ramify.runtime.protocol import graph
from ramify.runtime.protocol.int32 import to_list
from ramify.runtime.protocol.plan import (
    Logprobs,
    RowOpen,
    Scores,
    StepFailed,
    StepMasks,
    StepPlan,
    StepResult,
)
from ramify.runtime.protocol.sampling import RowSampling, SamplingParams
from ramify.runtime.protocol.tokens import pack, unpack
from ramify.runtime.protocol.wire import (
    MAX_DEPTH,
    check_bounds,
    client_codec,
    command_codec,
    encode,
    engine_codec,
    reply_codec,
)

TOOLS = StructuralTag(
    Sequence(
        (
            Optional(Tag("<think>", AnyText(("ü",)), "</think>", "think")),
            Or((Tag("<a>", Regex("[0-9]+"), "</a>"), Tag("<b>", Lark('start: "x"'), "</b>"))),
            TagsWithSeparator((Tag("<c>", Choices(("d", "e")), "</c>"),), ", ", True, True),
            TriggeredTags(("<call",), (Tag("<call>", JsonSchema("{}", strict=False), "</call>"),), True, True, ("x",)),
        )
    )
)
NOTES = (Note("narrowed", "#/a", "maximum", "lowered"), Note("unknown", "#", "minLenght", "none", "minLength"))

CLIENT = [
    graph.Hello(7),
    graph.Goodbye(),
    graph.CloseRun(3, report=True),
    graph.GraphDelta(
        1,
        [
            graph.Text(stream=0, text="a", site="f.py:1"),
            graph.Text(stream=0, text="<|im_start|>", control=True),
            graph.Argument(stream=0, text="über"),
            graph.OpenRole(stream=0, role="user"),
            graph.CloseRole(stream=0),
            graph.ValueEdge(stream=0, source=2),
            graph.Gen(
                stream=0,
                node=5,
                name="x",
                path="p/x[0]",
                stop=("a",),
                sampling=SamplingParams(temperature=0.5),
                seed=(1 << 64) - 1,
                grammar=JsonSchema('{"type": "object"}'),
            ),
            graph.Gen(stream=0, node=8, name="z", path="p/z[0]", grammar=TOOLS),
            graph.ValueEdge(stream=0, source=2, field=("items", 0, "name")),
            graph.Select(stream=0, node=7, name="y", path="p/y[0]", choices=("a", "ü"), temperature=0.5, seed=3),
            graph.Fork(stream=0, child=1),
            graph.Read(stream=1, node=6),
            graph.Release(stream=1),
            graph.CancelStream(stream=0),
        ],
        graph.RunOptions("tenant", 1.5, -3),
    ),
]
ENGINE = [
    graph.NodeDone(1, 2, "text", pack([1, 2]), "stop", graph.Usage(1, 2, 3, 4), [graph.TokenLogprob(1, "a", -0.5, [])]),
    graph.NodeDone(1, 7, "ü", pack([4]), "stop", graph.Usage(5, 0, 5, 0), choice_logprobs=[-math.inf, 0.0]),
    graph.NodeDone(1, 2, "{}", pack([1]), "stop", graph.Usage(1, 2, 3, 4), notes=NOTES),
    graph.TextDelta(1, 2, "x"),
    graph.StreamIds(1, 2, pack([1]), "a"),
    graph.NodeFailed(1, 2, ErrorInfo("NeverFits", "a", "b", "c")),
    graph.RunClosed(1, graph.RunReport(1, 2, 3, 4, 5, 6, 7, 8, 9)),
    graph.RunClosed(1, graph.RunReport(1, 2, 3, 4, 5, 6, 7, 8, 9, (graph.GenNotes("p/x[0]", 3, NOTES),))),
    graph.EngineReady(1, "seedling", 2048, 100),
    graph.EngineFailed(ErrorInfo("EngineUnavailable", "a", "", "")),
]
COMMANDS = [
    StepPlan(1, opened=[RowOpen(0, 1, pack([5]), RowSampling(seed=9))], chunk_ids=pack(range(100))),
    StepPlan(2, opened=[RowOpen(0, 2, pack([5]), RowSampling(), candidates=pack([8, 9]))]),
    StepMasks(1, masks=b"\x00" * 64),
]
REPLIES = [
    StepResult(1, pack([1]), Logprobs(b"", b"", b"", b"", b"")),
    StepResult(2, pack([8]), scores=Scores(pack([0]), pack([2]), b"\x00" * 8)),
    StepFailed(2, "why"),
]


@pytest.mark.parametrize(
    ("codec", "messages"),
    [(client_codec, CLIENT), (engine_codec, ENGINE), (command_codec, COMMANDS), (reply_codec, REPLIES)],
)
def test_messages_come_back_equal(codec, messages) -> None:  # type: ignore[no-untyped-def]
    for message in messages:
        assert codec().decode(encode(message)) == message


def test_ids_travel_as_int32_bytes() -> None:
    assert pack([1, -2, 2**31 - 1]) == b"\x01\0\0\0\xfe\xff\xff\xff\xff\xff\xff\x7f"
    assert unpack(pack([3, 4])).tolist() == to_list(pack([3, 4])) == [3, 4]
    with pytest.raises((OverflowError, ValueError)):
        pack([2**31])
    with pytest.raises(ValueError):
        to_list(b"abc")


def test_the_deepest_structure_that_is_taken_passes_the_guard() -> None:
    format_: Format = AnyText()
    for number in range(DEFAULT_LIMITS.structure_depth - 1):
        format_ = Or((format_,)) if number % 2 else Sequence((format_,))
    gen = graph.Gen(stream=0, node=5, name="x", path="p/x[0]", grammar=StructuralTag(format_))
    delta = graph.GraphDelta(1, [gen])
    assert client_codec().decode(encode(delta)) == delta


@pytest.mark.parametrize("kind", ["array", "map"])
def test_depth_is_bounded_before_decoding_even_on_a_small_stack(kind: str) -> None:
    deep = (b"\x91" if kind == "array" else b"\x81\x00") * 2_000_000
    caught: list[Exception] = []

    def decode() -> None:
        try:
            client_codec().decode(deep)
        except Exception as error:
            caught.append(error)

    size = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=decode)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert isinstance(caught[0], ProtocolError)
    assert str(MAX_DEPTH) in caught[0].what


def test_limits_are_named() -> None:
    with pytest.raises(ProtocolError, match="100 bytes; the limit is 10"):
        check_bounds(b"\x00" * 100, max_bytes=10)
    with pytest.raises(ProtocolError, match="more than 5 values"):
        check_bounds(msgspec.msgpack.encode(list(range(20))), max_items=5)
    with pytest.raises(ProtocolError, match="type byte 0xc7"):
        check_bounds(msgspec.msgpack.encode(msgspec.msgpack.Ext(5, b"abc")))


def test_a_wrong_field_is_named_by_its_path() -> None:
    data = msgspec.msgpack.encode(
        {"type": "delta", "run": 1, "nodes": [{"kind": "text", "stream": "zero", "text": "a"}]}
    )
    with pytest.raises(ProtocolError) as caught:
        client_codec().decode(data)
    assert caught.value.where == "$.nodes[0].stream"


VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=20),
)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_the_scan_agrees_with_the_decoder_on_what_is_well_formed(value: object) -> None:
    """Everything that msgspec writes passes, and the scan stops exactly at its end."""
    data = msgspec.msgpack.encode(value)
    check_bounds(data)
    check_bounds(data + b"\xc1")  # bytes behind the message are not looked at: the decoder refuses them


@given(st.binary(max_size=400))
@settings(max_examples=500, deadline=None)
def test_random_bytes_give_a_message_or_a_protocol_error(data: bytes) -> None:
    for codec in (client_codec(), engine_codec(), reply_codec()):
        try:
            codec.decode(data)
        except ProtocolError as error:
            assert error.what
