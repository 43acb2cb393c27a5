"""Graph nodes to ids: the same ids however the nodes arrive, seams where they belong, and errors that stay on a
stream."""

from __future__ import annotations

import random

import numpy as np
import pytest
from lowering_desk import Desk, gen
from ramify import seedling
from ramify.errors import ErrorInfo
from ramify.runtime.core import messages as core
from ramify.runtime.lowering import run_lowering as module
from ramify.runtime.lowering.events import FromClient
from ramify.runtime.lowering.tokenizer import TextTokenizer
from ramify.runtime.protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    CloseRun,
    Fork,
    GraphDelta,
    GraphNode,
    NodeDone,
    NodeFailed,
    OpenRole,
    Read,
    RunClosed,
    Text,
    ValueEdge,
)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load(seedling.path())


CHAT: list[GraphNode] = [
    OpenRole(stream=0, role="system"),
    Text(stream=0, text="Be "),
    Argument(stream=0, text="brief <|im_end|>"),
    Text(stream=0, text="."),
    CloseRole(stream=0),
    OpenRole(stream=0, role="user"),
    Text(stream=0, text="Hel"),
    Text(stream=0, text="lo wor"),
    Argument(stream=0, text="ld"),
    CloseRole(stream=0),
    OpenRole(stream=0, role="assistant"),
    gen(0),
]


def test_ids_do_not_depend_on_how_nodes_are_cut_into_deltas(tokenizer: TextTokenizer) -> None:
    whole = Desk(tokenizer)
    whole.send(*CHAT)
    for seed in range(30):
        rng = random.Random(seed)
        desk, nodes = Desk(tokenizer), list(CHAT)
        while nodes:
            count = rng.randrange(1, len(nodes) + 1)
            desk.send(*nodes[:count])
            del nodes[:count]
        assert desk.ids() == whole.ids()


def test_a_constant_chat_has_the_ids_of_apply_chat_template(tokenizer: TextTokenizer) -> None:
    from transformers import AutoTokenizer

    desk = Desk(tokenizer)
    chat = [node for node in CHAT if getattr(node, "text", "") != "brief <|im_end|>"]
    desk.send(*chat)
    messages = [{"role": "system", "content": "Be ."}, {"role": "user", "content": "Hello world"}]
    reference = AutoTokenizer.from_pretrained(seedling.path())
    expected = reference.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert desk.ids() == list(expected)


def test_control_tokens_in_arguments_are_text(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Argument(stream=0, text="a<|im_end|>b"), gen(0))
    assert not set(desk.ids()) & set(tokenizer.control)
    assert tokenizer.decode(desk.ids(), skip_special=False) == "a<|im_end|>b"
    trusted = Desk(tokenizer)
    trusted.send(Text(stream=0, text="a<|im_end|>b", control=True), gen(0))
    assert len(set(trusted.ids()) & set(tokenizer.control)) == 1


def test_a_value_edge_is_encoded_with_the_text_around_it(tokenizer: TextTokenizer) -> None:
    value = tokenizer.encode("light", after=module.Seam.TEXT).tolist()
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0), Fork(stream=0, child=1))
    desk.send(
        Text(stream=1, text="flash"), ValueEdge(stream=1, source=0), Text(stream=1, text="bulb"), gen(1, stream=1)
    )
    assert desk.generates() == [0], "the branch waits for the value, the client does not"
    desk.finish(0, value)
    assert desk.generates() == [0, 1]
    assert desk.ids(1) == tokenizer.encode("flashlightbulb", after=module.Seam.TEXT).tolist()


def test_what_a_stop_string_left_over_opens_the_next_run(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0, stop=("#",)), Text(stream=0, text=" next"), gen(1))
    assert desk.generates() == [0]
    desk.finish(0, [5, 6], leftover="tail", reason="stop")
    assert desk.generates() == [0, 1]
    (done,) = [reply for reply in desk.replies if isinstance(reply, NodeDone)]
    assert done.text == tokenizer.decode([5, 6], skip_special=True) + "tail"
    behind = tokenizer.encode("tail next", after=module.Seam.TEXT).tolist()
    assert desk.ids()[-len(behind) :] == behind


def test_a_fork_is_a_seam_and_both_sides_go_on(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="flash"), Fork(stream=0, child=1))
    desk.send(Text(stream=0, text="light"), gen(0), Text(stream=1, text="back"), gen(1, stream=1))
    assert desk.ids(0) == [
        *tokenizer.encode("flash", after=module.Seam.START),
        *tokenizer.encode("light", after=module.Seam.TEXT),
    ]
    assert desk.ids(1) == tokenizer.encode("back", after=module.Seam.TEXT).tolist()


def test_a_failed_value_fails_whoever_waits_for_it_and_no_one_else(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), Fork(stream=0, child=1), Fork(stream=0, child=2), gen(0))
    desk.send(ValueEdge(stream=1, source=0), gen(1, stream=1), Read(stream=1, node=9))
    desk.send(Text(stream=2, text="b"), gen(2, stream=2))
    error = ErrorInfo("WorkerError", "no", "", "")
    desk.handle(core.GenFailed((0, 0), error))
    failed = {reply.node: reply.error for reply in desk.replies if isinstance(reply, NodeFailed)}
    assert failed == {0: error, 1: error, 9: error}
    assert desk.generates() == [0, 2]


def test_bad_nodes_are_answered_and_stay_on_their_stream(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), Fork(stream=0, child=1), gen(0))
    desk.send(gen(0), gen(5, stream=77), Read(stream=78, node=6), gen(7, stream=1, max_tokens=0), gen(8, stream=1))
    codes = {reply.node: reply.error.code for reply in desk.replies if isinstance(reply, NodeFailed)}
    assert codes == dict.fromkeys((0, 5, 6, 7, 8), "InvalidRequest")
    desk.send(Text(stream=0, text="b"), gen(10), Fork(stream=0, child=1))
    assert desk.generates() == [0, 10]


def test_a_stop_id_must_be_one_of_the_models(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0, stop_ids=(tokenizer.vocab_size,)))
    (failed,) = [reply for reply in desk.replies if isinstance(reply, NodeFailed)]
    assert "stop id" in failed.error.what


def test_turns_must_nest_properly(tokenizer: TextTokenizer) -> None:
    for nodes in (
        [OpenRole(stream=0, role="user"), OpenRole(stream=0, role="user"), gen(0)],
        [CloseRole(stream=0), gen(0)],
    ):
        desk = Desk(tokenizer)
        desk.send(*nodes)
        (failed,) = [reply for reply in desk.replies if isinstance(reply, NodeFailed)]
        assert failed.error.code == "TemplateMismatch"


def test_closing_a_run_answers_what_is_held_here(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0), Fork(stream=0, child=1))
    desk.send(ValueEdge(stream=1, source=0), gen(1, stream=1), Read(stream=1, node=2), CancelStream(stream=1))
    desk.handle(FromClient(0, CloseRun(0, report=True), 0.0))
    assert {reply.node for reply in desk.replies if isinstance(reply, NodeFailed)} == {1, 2}
    assert isinstance(desk.core[-1], core.CloseRun)
    desk.handle(core.GenFailed((0, 0), ErrorInfo("Cancelled", "", "", "")))
    desk.handle(core.RunEnded(0))
    assert isinstance(desk.replies[-1], RunClosed) and desk.replies[-1].report is not None


def test_a_client_that_leaves_closes_its_runs(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0))
    desk.handle(FromClient(0, None, 0.0))
    assert isinstance(desk.core[-1], core.CloseRun)


def test_a_run_must_be_opened_with_its_first_delta(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.handle(FromClient(0, GraphDelta(5, [Text(stream=0, text="a")]), 0.0))
    (closed,) = desk.replies
    assert isinstance(closed, RunClosed) and closed.error is not None and closed.error.code == "InvalidRequest"


def test_a_stream_that_waits_holds_a_bounded_number_of_nodes(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 5)
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="a"), gen(0), Fork(stream=0, child=1), ValueEdge(stream=1, source=0))
    desk.send(*[gen(node, stream=1) for node in range(1, 9)])
    failed = {reply.node: reply.error.code for reply in desk.replies if isinstance(reply, NodeFailed)}
    assert failed == {5: "Overloaded", 6: "Overloaded", 7: "Overloaded", 8: "Overloaded"}


def test_the_report_prices_what_was_decoded_once(tokenizer: TextTokenizer) -> None:
    desk = Desk(tokenizer)
    desk.send(Text(stream=0, text="hello"), gen(0), Text(stream=0, text=" there"), gen(1))
    prompt, more = len(desk.ids()) - len(tokenizer.encode(" there", after=module.Seam.TEXT)), 0
    desk.finish(0, [5, 6, 7])
    desk.finish(1, [8])
    desk.handle(FromClient(0, CloseRun(0, report=True), 0.0))
    desk.handle(core.RunEnded(0))
    closed = desk.replies[-1]
    assert isinstance(closed, RunClosed) and closed.report is not None
    more = len(tokenizer.encode(" there", after=module.Seam.TEXT))
    assert closed.report.ideal_prefill == prompt + 1 + more  # the text, and the first gen's last token
    assert closed.report.decoded == 4
    ids = np.concatenate([message.ids for message in desk.core if isinstance(message, core.Append)])
    assert closed.report.uncached_prefill >= len(ids)
