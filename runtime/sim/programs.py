"""Random programs for a simulated engine, and what must hold of every answer they get.

Each program is a client's run: it appends random nodes to random streams, forks, splices values, reads streams back,
sometimes waits for a value and sometimes walks away. Whatever it does, each gen and each read is answered exactly once,
`RunClosed` comes last, and the ids that come back are those the fake worker's model gives for the ids in front of them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import numpy as np

from ...grammar.spec import JsonSchema
from ..lowering.tokenizer import Seam
from ..protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    CloseRun,
    EngineFailed,
    EngineReady,
    EngineReply,
    Fork,
    Gen,
    GraphDelta,
    GraphNode,
    NodeDone,
    NodeFailed,
    OpenRole,
    Read,
    Release,
    RunClosed,
    RunOptions,
    Select,
    StreamIds,
    Text,
    TextDelta,
    ValueEdge,
)
from ..protocol.sampling import RowSampling, SamplingParams
from ..protocol.tokens import IntArray, unpack
from ..worker.fake import choice_scores, next_token, prefix_hashes
from .world import World

SCHEMAS = (
    '{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "yy"]}}, "required": ["a", "b"]}',
    '{"type": "array", "items": {"type": "boolean"}, "maxItems": 4}',
    '{"enum": ["red", "green", "blue"]}',
    '{"type": "nonsense"}',
)
CHOICES = ("fox", "fox jumps", "fox jumps over", "dog", "d", "Hello", "über", "the quick brown fox", "12", "the")
WORDS = ("fox", " dog", "Hello", " 12", '{"a": ', "\n", " <|im_end|> ", "über", " the quick brown fox jumps")


class SimClient:
    """One client: gives each reply to its run."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.runs: dict[int, SimRun] = {}
        world.engine.connect(number, self)

    def send(self, reply: EngineReply) -> None:
        if isinstance(reply, EngineFailed | EngineReady):
            raise AssertionError(f"the engine failed: {reply}")
        self.runs[reply.run].receive(reply)

    def submit(self, message: GraphDelta | CloseRun) -> None:
        self.world.engine.receive(self.number, message)


class SimRun:
    """One program: what it sent, and what it was answered."""

    def __init__(self, client: SimClient, run: int, rng: random.Random) -> None:
        self.client = client
        self.run = run
        self.rng = rng
        self.ended: dict[int, asyncio.Future[None]] = {}
        self.gens: dict[int, Gen | Select] = {}
        self.done: dict[int, NodeDone] = {}
        self.failed: dict[int, NodeFailed] = {}
        self.texts: dict[int, str] = {}
        self.reads: dict[int, list[int]] = {}
        self.read_ids: dict[int, IntArray] = {}
        self.streams: dict[int, list[int]] = {0: []}
        self.roles: dict[int, bool] = {0: False}
        self.closed: asyncio.Future[RunClosed] = client.world.loop.create_future()
        self._next_node = 0
        self._next_stream = 1
        client.runs[run] = self

    # ---- answers ------------------------------------------------------------------------------------------------

    def receive(self, reply: NodeDone | NodeFailed | TextDelta | StreamIds | RunClosed) -> None:
        assert not self.closed.done(), f"a reply after RunClosed: {reply}"
        if isinstance(reply, RunClosed):
            assert all(future.done() for future in self.ended.values()), "RunClosed before every node was answered"
            self.closed.set_result(reply)
            return
        if isinstance(reply, TextDelta):
            assert not self.ended[reply.node].done(), "text after the terminal reply"
            self.texts[reply.node] = self.texts.get(reply.node, "") + reply.text
            return
        assert not self.ended[reply.node].done(), f"a second terminal reply for node {reply.node}"
        self.ended[reply.node].set_result(None)
        if isinstance(reply, NodeDone):
            self.done[reply.node] = reply
            self._check_gen(reply)
        elif isinstance(reply, NodeFailed):
            self.failed[reply.node] = reply
        else:
            self.read_ids[reply.node] = unpack(reply.ids)

    def _check_gen(self, reply: NodeDone) -> None:
        gen = self.gens[reply.node]
        if gen.events:
            assert self.texts.get(reply.node, "") == reply.text, "text deltas are not the text"
        if isinstance(gen, Select):
            assert reply.text in gen.choices
            return
        for stop in gen.stop:
            assert stop not in reply.text, "a stop string is in the text"
        if gen.max_tokens is not None:
            assert len(unpack(reply.ids)) <= gen.max_tokens

    def check_reads(self) -> None:
        """Each gen's ids stand in every stream that was read behind it, and follow from what is in front of them."""
        for node, ids in self.read_ids.items():
            for number in self.reads[node]:
                reply = self.done.get(number)
                if reply is None or reply.usage.prompt == 0:  # a select of one choice: the engine was not asked
                    continue
                generated = unpack(reply.ids)
                begin = reply.usage.prompt
                found = ids[begin : begin + len(generated)]
                assert np.array_equal(found, generated), f"node {number} is not in stream of read {node}"
                gen = self.gens[number]
                if isinstance(gen, Select):
                    self._check_choice(gen, reply, ids[:begin])
                elif gen.grammar is None:
                    self._check_law(gen, ids[: begin + len(generated)], begin)

    def _check_choice(self, select: Select, reply: NodeDone, prompt: IntArray) -> None:
        """Each choice's probability is the product along its ids of the model's, renormalised over how any choice goes
        on; a choice that ends where another goes on does so by a stop id."""
        tokenizer = self.client.world.tokenizer
        paths = [tuple(tokenizer.encode(choice, after=Seam.TEXT).tolist()) for choice in select.choices]
        expected = []
        for path in paths:
            total = 0.0
            for at in range(len(path) + 1):
                before = path[:at]
                following = {other[at] for other in paths if other[:at] == before and len(other) > at}
                ends = set(tokenizer.stop_ids) if following and before in paths else set()
                options = np.array(sorted(following | ends), np.int32)
                if len(options) == 0:
                    continue
                hashes = prefix_hashes(np.concatenate([prompt, np.array(before, np.int32)]))
                scores = choice_scores(int(hashes[-1]), options).astype(np.float64)
                taken = {path[at]} if at < len(path) else ends
                total += float(np.log(np.exp(scores[np.isin(options, list(taken))]).sum()))
            expected.append(total)
        assert reply.choice_logprobs is not None
        assert np.allclose(reply.choice_logprobs, expected, atol=1e-4), f"{select.path}: {reply.choice_logprobs}"
        if select.temperature == 0.0:
            assert reply.text == select.choices[int(np.argmax(reply.choice_logprobs))]

    def _check_law(self, gen: Gen, ids: IntArray, begin: int) -> None:
        vocab_size = self.client.world.worker.info.vocab_size
        sampling = RowSampling(temperature=gen.sampling.temperature or 0.0, seed=gen.seed)
        hashes = prefix_hashes(ids)
        for at in range(begin, len(ids)):
            expected = next_token(int(hashes[at - 1]), sampling, vocab_size)
            assert ids[at] == expected, f"{gen.path}: position {at} has {ids[at]}, the model gives {expected}"

    # ---- the program --------------------------------------------------------------------------------------------

    async def play(self, deltas: int) -> None:
        """Send `deltas` random deltas, close, and check every answer."""
        options = RunOptions(
            tenant=self.rng.choice(("", "", "other")),
            timeout=self.rng.choice((None, None, None, self.rng.uniform(0.05, 5.0))),
        )
        for index in range(deltas):
            nodes = [node for _ in range(self.rng.randrange(1, 6)) for node in self._nodes()]
            self.client.submit(GraphDelta(self.run, nodes, options if index == 0 else None))
            await asyncio.sleep(self.rng.choice((0.0, 0.0, self.rng.uniform(0.0, 0.3))))
            if self.rng.random() < 0.4:
                await self._fence()
        patient = self.rng.random() < 0.7
        if patient:
            await asyncio.gather(*self.ended.values())
        self.client.submit(CloseRun(self.run, report=patient))
        closed = await self.closed
        if patient:
            assert closed.report is not None and closed.report.gens == len(self.done)
        self.check_reads()

    async def _fence(self) -> None:
        waiting = [future for future in self.ended.values() if not future.done()]
        if waiting:
            await self.rng.choice(waiting)

    def _nodes(self) -> list[GraphNode]:
        stream = self.rng.choice(list(self.streams))
        kinds: tuple[tuple[float, Callable[[int], list[GraphNode]]], ...] = (
            (0.30, self._text),
            (0.58, self._gen),
            (0.65, self._select),
            (0.75, self._fork),
            (0.83, self._value),
            (0.90, self._read),
            (0.96, self._turn),
            (1.00, self._leave),
        )
        draw = self.rng.random()
        return next(make for limit, make in kinds if draw < limit)(stream)

    def _text(self, stream: int) -> list[GraphNode]:
        text = "".join(self.rng.choices(WORDS, k=self.rng.randrange(0, 6)))
        kind = self.rng.choice((Text, Argument))
        return [kind(stream=stream, text=text)]

    def _turn(self, stream: int) -> list[GraphNode]:
        self.roles[stream] = not self.roles[stream]
        if self.roles[stream]:
            return [OpenRole(stream=stream, role=self.rng.choice(("system", "user", "assistant")))]
        return [CloseRole(stream=stream)]

    def _gen(self, stream: int) -> list[GraphNode]:
        rng, node = self.rng, self._number()
        gen = Gen(
            stream=stream,
            node=node,
            name="x",
            path=f"run{self.run}/{node}",
            max_tokens=rng.choice((1, 2, 5, rng.randrange(1, 40), 100_000 if rng.random() < 0.02 else 7)),
            stop=rng.choice(((), (), ("e",), ("ox", "\n"))),
            ignore_eos=rng.random() < 0.3,
            sampling=SamplingParams(temperature=rng.choice((0.0, 1.0))),
            seed=rng.randrange(1 << 64),
            grammar=JsonSchema(rng.choice(SCHEMAS)) if rng.random() < 0.15 else None,
            events=rng.random() < 0.3,
        )
        self.gens[node] = gen
        self.streams[stream].append(node)
        return [Text(stream=stream, text="go "), gen]

    def _select(self, stream: int) -> list[GraphNode]:
        rng, node = self.rng, self._number()
        select = Select(
            stream=stream,
            node=node,
            name="x",
            path=f"run{self.run}/{node}",
            choices=tuple(rng.sample(CHOICES, rng.randrange(1, len(CHOICES)))),
            temperature=rng.choice((0.0, 1.0)),
            seed=rng.randrange(1 << 64),
            events=rng.random() < 0.3,
        )
        self.gens[node] = select
        self.streams[stream].append(node)
        return [Text(stream=stream, text="go "), select]

    def _fork(self, stream: int) -> list[GraphNode]:
        nodes: list[GraphNode] = []
        for _ in range(self.rng.randrange(1, 4)):
            child, self._next_stream = self._next_stream, self._next_stream + 1
            self.streams[child] = list(self.streams[stream])
            self.roles[child] = self.roles[stream]
            nodes.append(Fork(stream=stream, child=child))
        return nodes

    def _value(self, stream: int) -> list[GraphNode]:
        source = self.rng.choice(list(self.gens)) if self.gens else None
        if source is None or source in self.streams[stream]:
            return self._text(stream)
        return [ValueEdge(stream=stream, source=source)]

    def _read(self, stream: int) -> list[GraphNode]:
        node = self._number()
        self.reads[node] = list(self.streams[stream])
        return [Read(stream=stream, node=node)]

    def _leave(self, stream: int) -> list[GraphNode]:
        if stream == 0:
            return []
        del self.streams[stream]
        return [self.rng.choice((Release(stream=stream), CancelStream(stream=stream)))]

    def _number(self) -> int:
        node, self._next_node = self._next_node, self._next_node + 1
        self.ended[node] = self.client.world.loop.create_future()
        return node


async def play(world: World, runs: int, clients: int = 3, deltas: int = 8) -> list[SimRun]:
    """Let `runs` programs run side by side, started over some virtual seconds; returns when all have closed."""
    engine = world.loop.create_task(world.engine.run())
    sim_clients = [SimClient(world, number) for number in range(clients)]
    played = [
        SimRun(world.rng.choice(sim_clients), number, random.Random(world.rng.randrange(1 << 62)))
        for number in range(runs)
    ]

    async def start(run: SimRun) -> None:
        await asyncio.sleep(world.rng.uniform(0.0, 2.0))
        await run.play(run.rng.randrange(1, deltas))

    await asyncio.gather(*(start(run) for run in played))
    await world.settle()
    engine.cancel()
    return played
