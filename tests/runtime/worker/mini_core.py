"""A scheduler of forty lines for the worker's tests: random chunk sizes, rows that open and close, shared prefixes.

It keeps to the order of commands of overlap depth 1: step N+1 is planned before the ids of step N are looked at, so a
request that turns out to be finished has a void sample in the step behind.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ramify.runtime.protocol.plan import StepResult, WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker.torch_worker import TorchWorker
from step_builder import StepBuilder, masks_of


@dataclass
class Request:
    """Prompt = `prefix` + `suffix`; requests with an equal prefix share its slots once one of them has planned it."""

    prefix: tuple[int, ...]
    suffix: list[int]
    max_tokens: int
    sampling: RowSampling
    output: list[int] = field(default_factory=list)
    row: int = -1
    computed: int = 0
    decoding: bool = False
    own_slots: list[int] = field(default_factory=list)

    @property
    def prompt(self) -> list[int]:
        return [*self.prefix, *self.suffix]

    @property
    def done(self) -> bool:
        return len(self.output) == self.max_tokens


class MiniCore:
    """Runs requests to their end.

    Args:
        replies: the list the worker's replies are appended to.
        chunks: sizes a prompt may be cut into, one drawn for each chunk.
        admit: the most requests opened in one step.
    """

    def __init__(
        self,
        worker: TorchWorker,
        replies: list[WorkerReply],
        seed: int,
        chunks: Sequence[int] = (1, 3, 8, 40),
        admit: int = 3,
    ) -> None:
        self._worker = worker
        self._replies = replies
        self._random = random.Random(seed)
        self._chunks = chunks
        self._admit = admit
        self._free = list(range(worker.info.slots))
        self._random.shuffle(self._free)
        self._rows = list(range(worker.info.max_rows))
        self._epochs = [0] * worker.info.max_rows
        self._prefix_slots: dict[tuple[int, ...], list[int]] = {}
        self._to_close: list[Request] = []
        self.steps = 0

    def run(self, requests: list[Request]) -> None:
        waiting, running = list(requests), list[Request]()
        in_flight: list[Request] = []
        while waiting or running or in_flight or self._to_close:
            step = StepBuilder(self.steps)
            for request in self._to_close:
                step.close(request.row)
            closed, self._to_close = self._to_close, []
            admitted = self._random.randint(0, self._admit) if running else self._admit
            for _ in range(min(admitted, len(waiting), len(self._rows))):
                request = waiting.pop(0)
                self._open(step, request)
                running.append(request)
            sampling = self._compute(step, running)
            self._worker.submit(step.plan())
            # The step in front was answered when its masks were submitted; only now its ids are looked at.
            for request in self._observe(in_flight):
                running.remove(request)
                self._to_close.append(request)
            void = [i for i, request in enumerate(sampling) if request.done]
            self._worker.submit(masks_of(self.steps, {}, self._worker.info.vocab_size, void))
            in_flight = sampling
            for request in closed:  # nothing in flight reads them any more
                self._rows.append(request.row)
                self._free.extend(request.own_slots)
            self.steps += 1

    def _open(self, step: StepBuilder, request: Request) -> None:
        request.row = self._rows.pop(self._random.randrange(len(self._rows)))
        self._epochs[request.row] += 1
        shared = self._prefix_slots.get(request.prefix, [])
        request.computed = len(shared)
        step.open(request.row, self._epochs[request.row], shared, request.sampling, request.prompt)

    def _compute(self, step: StepBuilder, running: list[Request]) -> list[Request]:
        sampling: list[tuple[Request, int]] = []
        for request in running:
            left = len(request.prompt) - request.computed
            if left == 0:
                continue
            count = min(left, self._random.choice(self._chunks))
            if request.prefix not in self._prefix_slots and request.prefix:
                count = max(count, len(request.prefix))  # its owner computes a prefix in one step
            slots = [self._free.pop() for _ in range(count)]
            request.own_slots.extend(slots)
            if request.prefix and request.prefix not in self._prefix_slots:
                self._prefix_slots[request.prefix] = slots[: len(request.prefix)]
                request.own_slots = slots[len(request.prefix) :]
            ids = request.prompt[request.computed : request.computed + count]
            index = step.chunk(request.row, request.computed, ids, slots)
            request.computed += count
            if count == left:
                sampling.append((request, index))
        chunked = {id(request) for request, _ in sampling}
        for request in running:
            if request.decoding and id(request) not in chunked:
                slot = self._free.pop()
                request.own_slots.append(slot)
                sampling.append((request, step.decode(request.row, slot)))
        for request, index in sampling:
            request.decoding = True
            step.sample(request.row, index)
        return [request for request, _ in sampling]

    def _observe(self, in_flight: list[Request]) -> list[Request]:
        """Take the ids of the step in front; the requests that are done with it."""
        finished = []
        if self._replies:
            reply = self._replies.pop(0)
            assert isinstance(reply, StepResult), reply
            ids = unpack(reply.ids)
            assert len(ids) == len(in_flight)
            for request, token in zip(in_flight, np.asarray(ids).tolist(), strict=True):
                if request.done:
                    assert token == -1
                    continue
                request.output.append(token)
                if request.done:
                    finished.append(request)
        return finished
