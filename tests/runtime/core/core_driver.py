"""Drives a core and a fake worker by hand: replies wait in a queue until the test lets the core see them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from ramify.errors import ErrorInfo
from ramify.grammar.fill import Filled, MaskMade, MaskRequest
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.core.messages import (
    Append,
    CloseRun,
    CoreInput,
    CoreReply,
    GenDone,
    Generate,
    GenFailed,
    OpenRun,
    OpenStream,
)
from ramify.runtime.core.step import Core
from ramify.runtime.protocol.plan import StepMasks, StepPlan, WorkerInfo, WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.worker.fake import FakeWorker, next_token, prefix_hashes

ABORTED = ErrorInfo("Cancelled", "aborted by the test", "", "")


class ScriptedFiller:
    """A `MaskFiller` whose clock is the driver's: `ticks(key, n)` says how long the n-th mask of a gen takes. A mask of
    no ticks is made in its step."""

    def __init__(self, ticks: Callable[[tuple[int, int], int], int]) -> None:
        self._ticks = ticks
        self._counts: dict[tuple[int, int], int] = {}
        self._making: list[tuple[int, MaskRequest]] = []
        self._now = 0
        self.late = 0
        self.begun = 0

    @property
    def making(self) -> bool:
        return bool(self._making)

    def fill(self, requests: Sequence[MaskRequest], out_RW: np.ndarray, patience: float) -> Filled:
        filled = Filled()
        for index, request in enumerate(requests):
            assert all(request.state is not other.state for _, other in self._making), "a state in two threads"
            ticks = self._cost(request)
            if ticks:
                filled.late.append(index)
                self.late += 1
                self._making.append((self._now + ticks, request))
            else:
                request.state.fill_mask(out_RW[index])
        return filled

    def begin(self, request: MaskRequest) -> None:
        assert all(request.state is not other.state for _, other in self._making), "a state in two threads"
        self.begun += 1
        self._making.append((self._now + max(1, self._cost(request)), request))

    def _cost(self, request: MaskRequest) -> int:
        number = self._counts[request.key] = self._counts.get(request.key, -1) + 1
        return self._ticks(request.key, number)

    def due(self) -> list[MaskMade]:
        """What is made by the next tick."""
        self._now += 1
        ready = [entry for entry in self._making if entry[0] <= self._now]
        self._making = [entry for entry in self._making if entry[0] > self._now]
        made = []
        for _, request in ready:
            mask = np.empty(2, np.int32)
            request.state.fill_mask(mask)
            slow = self._ticks(request.key, self._counts[request.key]) > 0
            made.append(MaskMade(request.key, mask, None, 1e9 if slow else 0.0))
        return made


class Driver:
    """One core over one fake worker. `tick` is one call of `step` with at most one reply of the worker's."""

    def __init__(
        self,
        overlap: int = 1,
        slots: int = 512,
        max_rows: int = 8,
        max_length: int = 256,
        vocab_size: int = 64,
        fails: frozenset[int] = frozenset(),
        filler: ScriptedFiller | None = None,
        **config: float,
    ) -> None:
        self.filler = filler
        config.setdefault("mask_timeout", 1e6)  # a tick is a second
        self.info = WorkerInfo(slots=slots, max_rows=max_rows, max_length=max_length, vocab_size=vocab_size)
        self.core = Core(CoreConfig(overlap=overlap, check=True, **config), self.info, filler)  # type: ignore[arg-type]
        self.answers: deque[WorkerReply] = deque()
        self.worker = FakeWorker(self.info, self.answers.append, fails)
        self.inbox: list[CoreInput] = []
        self.done: dict[tuple[int, int], GenDone] = {}
        self.failed: dict[tuple[int, int], GenFailed] = {}
        self.others: list[CoreReply] = []
        self._ended: list[tuple[int, int]] = []
        self.plans: list[StepPlan] = []
        self.masks: list[StepMasks] = []
        self.now = 0.0

    def send(self, *messages: CoreInput) -> None:
        self.inbox.extend(messages)

    def tick(self) -> bool:
        """False if nothing happened and nothing is in flight."""
        inbox, self.inbox = self.inbox, []
        if self.answers:
            reply = self.answers.popleft()
            self.worker.reveal(reply)
            inbox.append(reply)
        if self.filler is not None:
            inbox += self.filler.due()
        out = self.core.step(self.now, inbox)
        self.now += 1.0
        for message in out:
            if isinstance(message, StepPlan | StepMasks):
                if isinstance(message, StepPlan):
                    self.plans.append(message)
                else:
                    self.masks.append(message)
                self.worker.submit(message)
            elif isinstance(message, GenDone | GenFailed):
                assert message.node not in self.done and message.node not in self.failed, "a second terminal event"
                self._ended.append(message.node)
                (self.done if isinstance(message, GenDone) else self.failed)[message.node] = message  # type: ignore[index]
            else:
                self.others.append(message)
        making = self.filler is not None and self.filler.making
        return bool(inbox or out or making or not self.core.idle)

    def drain(self, limit: int = 100_000) -> None:
        for _ in range(limit):
            if not self.tick():
                return
        raise AssertionError(f"not drained after {limit} steps")

    aborted = ABORTED

    def close_ended(self) -> None:
        """Close every run whose gens have ended and that is not closed yet."""
        self.send(*(CloseRun(run, ABORTED) for run, _ in self._ended))
        self._ended.clear()

    def assert_whole(self) -> None:
        """Nothing is left: every slot is free or in the cache, every row is closed."""
        scheduler = self.core.scheduler
        scheduler.check()
        assert len(scheduler.table) == 0
        assert scheduler.n_waiting == 0
        assert scheduler.pool.free_count + scheduler.tree.evictable == scheduler.pool.capacity

    def simple(self, run: int, prompt: list[int], max_tokens: int, **options: object) -> None:
        """A run with one stream and one gen."""
        self.send(
            OpenRun(run),
            OpenStream((run, 0)),
            Append((run, 0), np.array(prompt, np.int32)),
            Generate(key=(run, 0), node=(run, 0), max_tokens=max_tokens, **greedy(**options)),  # type: ignore[arg-type]
        )

    def ids(self, node: tuple[int, int]) -> list[int]:
        return np.frombuffer(self.done[node].ids, np.int32).tolist()


def greedy(**options: object) -> dict[str, object]:
    return {"sampling": RowSampling(temperature=0.0), **options}


def oracle(
    prompt: list[int], max_tokens: int, vocab_size: int = 64, stop_ids: tuple[int, ...] = (), seed: int | None = None
) -> list[int]:
    """What the fake worker's model generates after `prompt`, from the ids alone."""
    sampling = RowSampling(temperature=0.0) if seed is None else RowSampling(temperature=1.0, seed=seed)
    ids = list(prompt)
    for _ in range(max_tokens):
        token = next_token(int(prefix_hashes(np.array(ids, np.int32))[-1]), sampling, vocab_size)
        if token in stop_ids:
            break
        ids.append(token)
    return ids[len(prompt) :]
