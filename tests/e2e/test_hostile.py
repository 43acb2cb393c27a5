"""Hostile grammars through the engine's door: each ends by name, one compilation for equal ones, nothing is left."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex
from ramify.runtime.client.local import LocalEngine
from ramify.runtime.engine.options import EngineOptions
from ramify.runtime.protocol.graph import (
    CloseRun,
    EngineReply,
    Gen,
    GraphDelta,
    NodeDone,
    NodeFailed,
    RunClosed,
    RunOptions,
    Text,
)

STRING: dict[str, Any] = {"type": "string"}
SLOW = {"allOf": [{"anyOf": [{"properties": {f"k{i}": {"const": j}}} for j in range(4)]} for i in range(9)]}


def schema(value: Any, **options: bool) -> JsonSchema:
    return JsonSchema(value if isinstance(value, str) else json.dumps(value), **options)


HOSTILE: list[GrammarSpec] = [
    schema('{"items": ' * 500 + "{}" + "}" * 500),
    schema({**STRING, "pattern": "(" * 500 + "a" + ")*" * 500}),
    schema({**STRING, "pattern": "(?=a)b"}),
    schema({"enum": [f"value {index}" for index in range(20_000)]}),
    schema({"$ref": "#"}),
    schema({"$ref": "http://127.0.0.1:9/x"}),
    schema('{"const": "\ud800"}'),
    schema('{"type": "number", "minimum": 1e400}'),
    schema({"type": 5}),
    schema("{" * 1000),
    schema({"const": "x" * 70_000}),
    schema({"properties": {"a" * 60_000: {**STRING, "pattern": "(?=a)b"}}}),
    Regex("(a)\\1"),
    Regex("a" * 5_000),
    Choices(tuple(f"choice {index}" for index in range(20_000))),
    Choices(("\ud800",)),
    Lark("start: missing"),
    Lark("start: start"),
]


class Client:
    """Gens, each in a run of its own; a future of its last reply for each."""

    def __init__(self, engine: LocalEngine) -> None:
        self.ended: dict[int, Future[EngineReply]] = {}
        self.closed: set[int] = set()
        self.connection = engine.connect(self._on_reply)

    def gen(self, spec: GrammarSpec | None, max_tokens: int = 4) -> Future[EngineReply]:
        run = len(self.ended)
        self.ended[run] = Future()
        gen = Gen(stream=0, node=0, name="x", path="x", max_tokens=max_tokens, grammar=spec, ignore_eos=spec is None)
        self.connection.send(GraphDelta(run, [Text(stream=0, text="a"), gen], open=RunOptions()))
        return self.ended[run]

    def _on_reply(self, reply: EngineReply) -> None:
        if isinstance(reply, NodeDone | NodeFailed):
            self.connection.send(CloseRun(reply.run))
            self.ended[reply.run].set_result(reply)
        elif isinstance(reply, RunClosed):
            self.closed.add(reply.run)


def children() -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    options = EngineOptions(model="seedling", device="cpu", threads=1, max_rows=16)
    with LocalEngine(options) as engine:
        yield engine


def test_each_ends_by_name_and_a_plain_gen_beside_them_well(engine: LocalEngine) -> None:
    client, plain = Client(engine), Client(engine)
    stream = plain.gen(None, max_tokens=64)
    asked = [client.gen(spec) for spec in HOSTILE]
    for spec, future in zip(HOSTILE, asked, strict=True):
        reply = future.result(120)
        assert isinstance(reply, NodeFailed), spec
        assert reply.error.code in ("InvalidSchema", "UnenforceableSchema", "InvalidRequest"), reply
        assert reply.error.what and (reply.error.where or reply.error.hint)
    assert isinstance(stream.result(120), NodeDone)


def test_a_hundred_at_once_share_one_compilation(engine: LocalEngine) -> None:
    clients = [Client(engine) for _ in range(4)]
    asked = [client.gen(schema(SLOW)) for _ in range(25) for client in clients]
    kinds = {type(future.result(120)) for future in asked}
    assert len(kinds) == 1 and _compiler(engine).num_in_flight == 0


def test_who_leaves_gives_up_what_is_vetted_for_him_alone(engine: LocalEngine) -> None:
    client, compiler = Client(engine), _compiler(engine)
    slow = [schema({**SLOW, "title": str(index)}) for index in range(30)]
    asked = [client.gen(spec) for spec in slow]
    client.connection.close()
    deadline = time.monotonic() + 60
    while compiler.num_in_flight > 1:  # one may be past vetting
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert sum(future.done() for future in asked) < len(asked)
    other = Client(engine)
    assert isinstance(other.gen(schema({"type": "integer"})).result(60), NodeDone)


def _compiler(engine: LocalEngine) -> Any:
    return engine.engine_loop._compiler


def test_an_engine_that_is_closed_while_it_vets_leaves_nothing() -> None:
    before = children(), threading.active_count(), len(os.listdir("/proc/self/fd"))
    engine = LocalEngine(EngineOptions(model="seedling", device="cpu", threads=1, max_rows=4))
    client = Client(engine)
    for index in range(10):
        client.gen(schema({**SLOW, "title": str(index)}))
    engine.close()
    deadline = time.monotonic() + 20
    while threading.active_count() > before[1]:  # executors end when their last job does
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert (children(), len(os.listdir("/proc/self/fd"))) == (before[0], before[2])
