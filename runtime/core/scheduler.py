"""Which rows compute which tokens in the next step, and which slots they use.

The scheduler owns the waiting gens, the rows, the radix tree and the slot pool. One token budget a step is spent in
this order: rows that decode (one token each), prompts that are partly computed, gens that wait. Inside each, the older
program goes first. Two promises keep it live:

* A gen that can never fit is refused before it waits, so the oldest row can always finish on an empty pool.
* When rows cannot all grow, the youngest is retracted: its tokens enter the tree, its slots become evictable, it waits
  again. After `retraction_limit` times it is admitted only with all its slots reserved, and is left alone.
"""

from __future__ import annotations

import heapq

import numpy as np

from ...radix_cache.pool import SlotPool
from ...radix_cache.tree import RadixTree
from ..protocol.plan import RowOpen, StepPlan, WorkerInfo
from ..protocol.tokens import pack
from .config import CoreConfig
from .messages import Ids
from .plan_builder import PlanBuilder
from .rows import Flight, Row, RowTable
from .stream import Gen, Phase

SPARE_SLOTS = 2
"""Slots beside prompt + output that a lone row may hold: a last prompt token computed twice, a step launched too
far."""


class Counters:
    """What the scheduler did since the start, in tokens unless said otherwise."""

    __slots__ = ("admitted", "computed", "decoded", "retractions", "root_matches", "shared", "steps")

    def __init__(self) -> None:
        self.admitted = 0  # rows opened
        self.computed = 0  # prompt positions computed
        self.decoded = 0  # decode positions computed
        self.shared = 0  # prompt positions found in the tree after admission (another row computes them)
        self.retractions = 0  # rows
        self.root_matches = 0  # searches of the tree from its root; a stream that goes on needs none
        self.steps = 0  # steps launched


class Scheduler:
    """See the module's text. All steps are numbered by the core; `launched` is the last one, `finished` the pool's."""

    def __init__(self, config: CoreConfig, info: WorkerInfo) -> None:
        if config.step_tokens < info.max_rows:
            raise ValueError(f"step_tokens ({config.step_tokens}) must be at least max_rows ({info.max_rows})")
        self.config = config
        self.info = info
        self.pool = SlotPool(info.slots)
        self.tree = RadixTree(self.pool)
        self.table = RowTable(info.max_rows)
        self.counters = Counters()
        self.launched = -1
        self._waiting: list[tuple[tuple[int, int, int], Gen]] = []
        self._n_waiting = 0
        self._closed: list[int] = []
        self._prefilling: dict[int, Row] = {}

    # ---- waiting ------------------------------------------------------------------------------------------------

    @property
    def n_waiting(self) -> int:
        return self._n_waiting

    def wait(self, gen: Gen) -> None:
        """`gen` wants a row."""
        gen.phase = Phase.WAITING
        self._n_waiting += 1
        heapq.heappush(self._waiting, (gen.order, gen))

    def unwait(self, gen: Gen) -> None:
        """A waiting gen has ended; its place in the heap is skipped when it surfaces."""
        gen.phase = Phase.ENDED
        self._n_waiting -= 1

    def _head(self) -> Gen | None:
        while self._waiting:
            gen = self._waiting[0][1]
            if gen.phase is Phase.WAITING:
                return gen
            heapq.heappop(self._waiting)
        return None

    # ---- one step -----------------------------------------------------------------------------------------------

    def plan(self) -> tuple[StepPlan, Flight] | None:
        """The next step's plan, or None if no row can compute anything."""
        builder = PlanBuilder(self.launched + 1)
        self._plan_decode(builder)
        self._plan_prefill(builder)
        self._admit(builder)
        if builder.empty:
            if not self._stuck():
                return None
            self._retract(self._youngest())
            return self.plan()
        self.launched = builder.step
        sample_rows = builder.sample_rows()
        self.counters.steps += 1
        self.counters.computed += builder.chunk_tokens
        self.counters.decoded += builder.tokens - builder.chunk_tokens
        touched = [(row, row.gen) for row in builder.touched.values()]
        plan, self._closed = builder.build(self._closed), []
        return plan, Flight(builder.step, sample_rows, self.table.epoch[sample_rows], touched)

    def _stuck(self) -> bool:
        """Nothing can be computed, and no step in flight will free a slot: somebody has to give way."""
        return len(self.table) > 1 and self.pool.finished == self.launched and self._hungry()

    def _hungry(self) -> bool:
        return bool(self._prefilling) or len(self.table.decodable()) > 0

    def _plan_decode(self, builder: PlanBuilder) -> None:
        rows = self.table.decodable()
        if len(rows) and not self._make_room(len(rows)):
            rows = self._ration()
        if len(rows):
            slots = self.pool.allocate(len(rows))
            self.table.push_slots(rows, slots)
            self.table.fed[rows] += 1
            builder.decode(rows, slots)

    def _make_room(self, n: int) -> bool:
        """Evict until `n` slots are free. False if they are not, or not before the step in flight ends."""
        short = n - self.pool.free_count
        if short > 0:
            self.tree.evict(short, self.launched + 1, self.launched + 1)
        return short <= 0 or self.pool.free_count >= n

    def _ration(self) -> Ids:
        """The pool is short: retract young rows until the others can grow, now or when quarantined slots return."""
        rows = self.table.decodable()
        while len(rows) > self.pool.free_count + self.pool.quarantined_count + self.tree.evictable:
            if len(self.table) == 1:
                break
            self._retract(self._youngest())
            rows = self.table.decodable()
        if self._make_room(len(rows)):
            return rows
        oldest_first = sorted(rows.tolist(), key=lambda index: self._row(index).gen.order)
        return np.array(sorted(oldest_first[: self.pool.free_count]), np.int32)

    def _plan_prefill(self, builder: PlanBuilder) -> None:
        rows = sorted(self._prefilling.values(), key=lambda row: row.gen.order)
        for row in rows:
            self._prefill(builder, row, alone=len(rows) == 1 and self._n_waiting == 0)

    def _prefill(self, builder: PlanBuilder, row: Row, alone: bool) -> None:
        """Plan the row's next chunk, after taking over what the tree has got since: siblings compute it, or have."""
        budget = self.config.step_tokens - builder.tokens
        limit = budget if alone else min(budget, self.config.chunk_tokens)
        if limit <= 0:
            return
        cursor, total, start = row.cursor, row.total, row.planned
        self.tree.match(cursor, row.gen.stream.ids(start, total), builder.step)
        again = False
        if cursor.length == total:
            slot = int(self.tree.slots(cursor, total - 1)[0])
            index = builder.index_of(slot)
            if index is not None:
                self._take_over(builder, row, start)
                self._begin_decoding(builder, row, index)
                return
            # The prompt's KV is all there, its last logits are not: compute that token again, in a slot of our own.
            self.tree.rewind(cursor, total - 1)
            again = True
        self._take_over(builder, row, min(start, cursor.length))
        n = min(total - row.planned, limit)
        if not self._make_room(n):
            n = min(n, self.pool.free_count)
        if n == 0:
            return
        ids = row.gen.stream.ids(row.planned, row.planned + n)
        slots = self.pool.allocate(n)
        if again:
            row.tail_start = total - 1
            self.table.push_slots(np.array([row.index], np.int32), slots)
        else:
            self.tree.extend(cursor, ids, slots, builder.step, builder.step)
        last = builder.chunk(row, row.planned, ids, slots)
        row.planned += n
        row.gen.computed += n
        if row.planned == total:
            self._begin_decoding(builder, row, last)

    def _take_over(self, builder: PlanBuilder, row: Row, start: int) -> None:
        builder.span(row, start, self.tree.slots(row.cursor, start))
        row.planned = row.cursor.length
        self.counters.shared += row.planned - start

    def _begin_decoding(self, builder: PlanBuilder, row: Row, index: int) -> None:
        self._prefilling.pop(row.index, None)
        self.table.decoding[row.index] = True
        self.table.fed[row.index] = 1
        builder.sample(row, index)

    # ---- admission ----------------------------------------------------------------------------------------------

    def _admit(self, builder: PlanBuilder) -> None:
        promised: int | None = None
        while not self.table.full and builder.tokens < self.config.step_tokens:
            gen = self._head()
            if gen is None:
                return
            if promised is None:
                promised = sum(map(self._promise, self.table.active()))
            row = self._try_open(builder, gen, promised)
            if row is None:
                return
            promised += self._promise(row)

    def _try_open(self, builder: PlanBuilder, gen: Gen, promised: int) -> Row | None:
        """Open a row for `gen` if its prompt and some growth fit beside the slots promised to the rows already open."""
        stream = gen.stream
        cursor, total = stream.cursor, stream.length
        assert cursor is not None
        before = cursor.length
        self.counters.root_matches += before == 0
        self.tree.match(cursor, stream.ids(before, total), builder.step)
        protected = gen.retractions >= self.config.retraction_limit
        growth = gen.max_new - gen.generated
        self.tree.lease(cursor, builder.step)
        need = total - cursor.length + (growth + SPARE_SLOTS if protected else min(growth, self.config.headroom))
        available = self.pool.free_count + self.pool.quarantined_count + self.tree.evictable
        if (len(self.table) and need > available - promised) or not self._make_room(1):
            self.tree.release(cursor, self.launched, builder.step)
            return None
        heapq.heappop(self._waiting)
        self._n_waiting -= 1
        gen.phase = Phase.RUNNING
        if gen.first_match:
            gen.cached = min(cursor.length, total - 1)
            gen.first_match = False
        row = self.table.open(gen, cursor, total, protected)
        gen.row = row
        self._prefilling[row.index] = row
        self.counters.admitted += 1
        builder.open(self._row_open(row))
        self._prefill(builder, row, alone=self._n_waiting == 0 and len(self._prefilling) == 1)
        return row

    def _row_open(self, row: Row) -> RowOpen:
        gen, stream = row.gen, row.gen.stream
        sampling = gen.request.sampling
        prompt = stream.ids(0, gen.prompt_length) if sampling.repetition_penalty != 1.0 else ()
        output = stream.ids(gen.prompt_length, row.total) if sampling.penalised else ()
        return RowOpen(
            row=row.index,
            epoch=int(self.table.epoch[row.index]),
            slots=pack(self.tree.slots(row.cursor)),
            sampling=sampling,
            prompt_ids=pack(prompt),
            output_ids=pack(output),
            candidates=gen.request.candidates,
        )

    def _promise(self, row: Row) -> int:
        """Slots that an open row is expected to need soon, or all it may need if it is protected."""
        growth = self.table.growth(row)
        return row.total - row.planned + (growth + SPARE_SLOTS if row.protected else min(growth, self.config.headroom))

    # ---- leaving ------------------------------------------------------------------------------------------------

    def _youngest(self) -> Row:
        rows = self.table.active()
        return max([row for row in rows if not row.protected] or rows, key=lambda row: row.gen.order)

    def park(self, row: Row) -> None:
        """Take the row's place away; what it computed stays in the tree until somebody needs the slots."""
        row.gen.phase = Phase.PARKED
        row.gen.stream.append(self.table.ids_of(row))
        self.leave(row)

    def _retract(self, row: Row) -> None:
        gen = row.gen
        self.park(row)
        gen.retractions += 1
        self.counters.retractions += 1
        self.wait(gen)

    def leave(self, row: Row) -> None:
        """The row closes. Its observed ids are in its stream already, less those that a stop cut off.

        The part of the tail that has KV enters the tree; where a twin stands there, the row's slots are freed. The
        last observed id was sampled but never fed, so it has no KV.
        """
        stream, cursor = row.gen.stream, row.cursor
        slots = self.table.slots_of(row)
        fed = row.total + max(int(self.table.seen[row.index]) - 1, 0)
        end = min(stream.length, fed)
        kept = 0
        if self.table.seen[row.index] and end > row.tail_start:
            kept = end - row.tail_start
            ids = stream.ids(row.tail_start, end)
            twins = self.tree.extend(cursor, ids, slots[:kept], self.pool.finished, self.launched)
            self.pool.release(slots[:twins], self.launched)
        self.pool.release(slots[kept:], self.launched)
        if cursor.length > stream.length:  # a stop string reached back into tokens that an earlier stay had cached
            self.tree.rewind(cursor, stream.length, self.launched)
        self.tree.release(cursor, self.launched, self.launched)
        self._prefilling.pop(row.index, None)
        self.table.close(row)
        self._closed.append(row.index)
        row.gen.row = None

    # ---- steps end ----------------------------------------------------------------------------------------------

    def finish(self, step: int) -> None:
        """Step `step` has ended on the device: what it computed is KV, what waited for it is free."""
        self.tree.finish(step)
        self.pool.finish(step)

    def fail(self, step: int) -> None:
        """Step `step` raised on the device; its rows have left. Nothing that it or a later step planned exists."""
        self.tree.void(step)
        self.finish(step)

    def check(self) -> None:
        """Prove that every slot has exactly one owner. Raises CacheCorrupt."""
        self.tree.check(self.table.tails())

    def _row(self, index: int) -> Row:
        row = self.table.rows[index]
        assert row is not None
        return row
