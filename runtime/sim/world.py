"""The whole control plane in a box: clients, engine loop, lowering, grammar compiler, core and a fake worker, on a
virtual clock, driven by a seed.

`World` is the engine with simulated ports: every job and every step takes a random virtual time, steps may fail, and
the trace (each step's time, inbox and outbox) goes into one hash. `Programs` in `sim/programs.py` are the clients.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from ...grammar.compile import GrammarCompiler
from ...grammar.fill import Filled, InlineFiller, MaskMade, MaskRequest
from ...grammar.state import GrammarBackend
from ...grammar.vocabulary import Vocabulary
from ..core.config import CoreConfig
from ..core.messages import CoreInput
from ..core.step import Core
from ..engine.loop import EngineLoop
from ..lowering.lowering import Lowering
from ..lowering.template import ChatTemplate
from ..lowering.tokenizer import TextTokenizer
from ..protocol.plan import WorkerInfo, WorkerReply
from ..worker.fake import FakeWorker

if TYPE_CHECKING:
    from ...grammar.state import MaskRows

T = TypeVar("T")


class SimExecutor(Executor):
    """Runs a job at once and delivers its result after a random virtual delay."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random, longest: float) -> None:
        self._loop = loop
        self._rng = rng
        self._longest = longest

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        settle: Callable[[], None]
        try:
            settle = partial(future.set_result, fn(*args, **kwargs))
        except Exception as error:
            settle = partial(future.set_exception, error)
        self._loop.call_later(self._rng.uniform(0.0, self._longest), settle)
        return future


class SimFiller:
    """Makes masks at once; some of them are late, and arrive after a random virtual delay.

    Args:
        slow_rate: share of the grammars' masks that are late; a late one is followed by another as often as not.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: random.Random,
        words: int,
        slow_rate: float,
        deliver: Callable[[MaskMade], None],
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._words = words
        self._slow_rate = slow_rate
        self._deliver = deliver
        self._inline = InlineFiller()
        self.late = 0

    def fill(self, requests: Sequence[MaskRequest], out_RW: MaskRows, patience: float) -> Filled:
        late = [index for index in range(len(requests)) if self._rng.random() < self._slow_rate]
        self.late += len(late)
        for index in late:
            self._make(requests[index], self._rng.uniform(patience, 0.3))
        ready = [index for index in range(len(requests)) if index not in late]
        masks_RW = np.empty((len(ready), self._words), np.int32)
        filled = self._inline.fill([requests[index] for index in ready], masks_RW, patience)
        out_RW[ready] = masks_RW
        return Filled(late, {ready[index]: error for index, error in filled.errors.items()})

    def begin(self, request: MaskRequest) -> None:
        self._make(request, self._rng.choice((0.001, 0.05, self._rng.uniform(0.0, 0.3))))

    def _make(self, request: MaskRequest, seconds: float) -> None:
        mask_RW = np.empty((1, self._words), np.int32)
        error = self._inline.fill([request], mask_RW, 0.0).errors.get(0)
        made = MaskMade(request.key, mask_RW[0] if error is None else None, error, seconds)
        self._loop.call_later(seconds, self._deliver, made)


class World:
    """One simulated engine; make it inside `sim.loop.run`.

    Args:
        seed: decides every latency and fault.
        tokenizer, template, vocabulary: real ones.
        backend: compiles grammars.
        info: what the fake worker pretends.
        config: the core's limits.
        fault_rate: probability that a step fails.
        slow_rate: probability that a mask is late.
        traced: hash every step; a benchmark that measures something else turns it off.
    """

    def __init__(
        self,
        seed: int,
        tokenizer: TextTokenizer,
        template: ChatTemplate,
        vocabulary: Vocabulary,
        backend: GrammarBackend,
        info: WorkerInfo,
        config: CoreConfig,
        fault_rate: float = 0.0,
        slow_rate: float = 0.0,
        traced: bool = True,
    ) -> None:
        self.rng = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.trace = hashlib.blake2b(digest_size=16)
        self.steps = 0
        self.tokenizer = tokenizer
        faults = frozenset(i for i in range(2_000) if fault_rate and self.rng.random() < fault_rate)
        self.worker = FakeWorker(info, self._answer, faults)
        words = (info.vocab_size + 31) // 32
        self.filler = SimFiller(self.loop, self.rng, words, slow_rate, lambda made: self.engine.on_mask_made(made))
        self.core = Core(config, info, self.filler)
        self.engine = EngineLoop(
            core=self.core,
            worker=self.worker,
            lowering=Lowering(tokenizer, template, vocabulary),
            compiler=GrammarCompiler(backend, SimExecutor(self.loop, self.rng, 0.5), clock=self.loop.time),
            executor=SimExecutor(self.loop, self.rng, 0.002),
            observer=self._observe if traced else None,
        )

    def _answer(self, reply: WorkerReply) -> None:
        """The step's ids reach the core one virtual step time later."""
        self.loop.call_later(self.rng.uniform(0.001, 0.02), self._reveal, reply)

    def _reveal(self, reply: WorkerReply) -> None:
        self.worker.reveal(reply)
        self.engine.on_worker_reply(reply)

    def _observe(self, now: float, inbox: list[CoreInput], outbox: list[object]) -> None:
        self.steps += 1
        self.trace.update(np.float64(now).tobytes())
        for message in outbox:
            self.trace.update(msgspec.msgpack.encode(message))

    async def settle(self) -> None:
        """Let the steps that are in flight end, then `assert_whole`."""
        while not self.core.idle:
            await asyncio.sleep(0.05)
        self.assert_whole()

    def assert_whole(self) -> None:
        """Nothing is left of any run: every slot is free or cached, and every row is closed."""
        scheduler = self.core.scheduler
        scheduler.check()
        pool, tree = scheduler.pool, scheduler.tree
        if len(scheduler.table) or scheduler.n_waiting or self.core.programs.runs:
            raise AssertionError(
                f"{len(scheduler.table)} rows, {scheduler.n_waiting} waiting gens and "
                f"{len(self.core.programs.runs)} runs are left"
            )
        if pool.free_count + tree.evictable != pool.capacity:
            raise AssertionError(f"{pool.free_count} free + {tree.evictable} evictable != {pool.capacity} slots")
