"""`Core.step(now, inbox) -> outbox`: the engine's one loop body. It schedules and decides; it does no I/O.

Around each step that is launched, whatever the overlap depth, the same five things happen in this order:

    observe(N-1)    ids arrive: stops, limits, grammar accept (once); successors become ready
    fill(N)         grammar masks under N's forward; rows that ended at N-1 are void
    sample(N)       masks and void rows leave
    launch(N+1)     at depth 1 it is planned before N's ids are seen; at depth 0 after they are
    settle          replies leave; freed slots are free when the step in flight ends

Time, ids and completions come in through the arguments, so the same inbox gives the same outbox in any process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidSchema, RamifyError, WorkerError, to_info
from ...grammar.fill import InlineFiller, MaskFiller, MaskMade
from ..protocol.plan import Logprobs, Scores, StepFailed, StepMasks, StepResult, WorkerInfo
from ..protocol.tokens import pack, unpack
from .config import CoreConfig
from .masking import Masking
from .messages import (
    CoreInput,
    CoreOutput,
    CoreReply,
    GenDone,
    GenTokens,
    GenUsage,
    Ids,
    StopHit,
    TokenLogprob,
)
from .programs import Programs
from .rows import Flight, Row
from .scheduler import Scheduler
from .stream import Gen, Phase

NO_TOKEN_ALLOWED = -2
"""What a worker answers in place of an id when a mask leaves nothing to draw from."""


class Core:
    """The engine core: programs in, plans and replies out.

    Args:
        config: limits; `config.overlap` is the depth.
        info: what the worker said of itself.
        filler: makes grammar masks; None is on the thread of `step`, however long they take.
        mask_buffers_2RW: where they are left for the worker, see `Masking`; None is plain memory.
    """

    def __init__(
        self,
        config: CoreConfig,
        info: WorkerInfo,
        filler: MaskFiller | None = None,
        mask_buffers_2RW: NDArray[np.int32] | None = None,
    ) -> None:
        self.config = config
        self.info = info
        self.replies: list[CoreReply] = []
        self.scheduler = Scheduler(config, info)
        self.programs = Programs(
            config,
            info,
            self.scheduler.tree,
            self.replies,
            ready=self.scheduler.wait,
            stop=self._stop,
            waiting=lambda: self.scheduler.n_waiting,
        )
        self._flights: deque[Flight] = deque()
        self._masking = Masking(config, info, filler or InlineFiller(), mask_buffers_2RW)
        self._now = 0.0

    @property
    def next_deadline(self) -> float | None:
        """When `step` wants to be called next even if nothing arrives, on the clock of `now`; None: never."""
        deadlines = (self.programs.next_deadline, self._masking.next_deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def idle(self) -> bool:
        """No step is in flight. With an empty inbox, `step` would do nothing."""
        return not self._flights

    def step(self, now: float, inbox: Iterable[CoreInput]) -> list[CoreOutput]:
        """Take what has arrived, launch what can be launched.

        Args:
            now: seconds on a monotonic clock; the deadlines of runs are on the same one.
            inbox: messages in order of arrival; each launched and sampled step is answered exactly once.

        Returns:
            Commands for the worker, in order, then replies.
        """
        out: list[CoreOutput] = []
        self._now = now
        for message in inbox:
            if isinstance(message, StepResult):
                self._observe(message)
            elif isinstance(message, StepFailed):
                self._step_failed(message)
            elif isinstance(message, MaskMade):
                self._mask_made(message)
            else:
                self.programs.apply(message)
        self.programs.expire(now)
        for gen in self._masking.expired(now):
            if gen.phase is not Phase.ENDED:
                self.programs.fail(gen, self._masking.timeout())
        while True:
            flight = self._unsampled()
            if flight is not None:
                out.append(self._sample(flight))
                continue
            if len(self._flights) > self.config.overlap:
                break
            planned = self.scheduler.plan()
            if planned is None:
                break
            plan, flight = planned
            flight.begun = now
            self._flights.append(flight)
            out.append(plan)
        if self.config.check:
            self.scheduler.check()
        out.extend(self.replies)
        self.replies.clear()
        return out

    # ---- sample -------------------------------------------------------------------------------------------------

    def _unsampled(self) -> Flight | None:
        """The launched step whose masks can be filled now: everything in front of it has been observed."""
        if self._flights and not self._flights[0].sampled:
            return self._flights[0]
        return None

    def _sample(self, flight: Flight) -> StepMasks:
        flight.sampled = True
        table, rows = self.scheduler.table, flight.sample_rows
        samples: list[tuple[int, Gen]] = []
        for i in np.flatnonzero((table.epoch[rows] == flight.epochs) & table.watched[rows]).tolist():
            gen = self._gen_of(int(rows[i]))
            if gen.grammar is not None:
                samples.append((i, gen))
        filled = self._masking.fill(flight.step, samples, self._now)
        for gen, error in filled.failed:
            self.programs.fail(gen, to_info(error))
        for gen in filled.late:
            assert gen.row is not None
            self.scheduler.park(gen.row)
        for _, gen in samples:
            if gen.slow and gen.row is not None:
                table.held[gen.row.index] = True
        flight.void = table.epoch[rows] != flight.epochs
        return StepMasks(
            step=flight.step,
            void=pack(np.flatnonzero(flight.void)),
            mask_index=pack(filled.samples),
            masks=filled.masks.reshape(-1).view(np.uint8).data,
        )

    def _mask_made(self, message: MaskMade) -> None:
        """A mask that was made beside the steps; its gen may have ended meanwhile."""
        gen = self.programs.gen(message.key)
        if gen is None:
            return
        error = self._masking.made(gen, message)
        if error is not None:
            self.programs.fail(gen, error)
        elif gen.phase is Phase.PARKED:
            self.scheduler.wait(gen)
        elif gen.row is not None:
            self.scheduler.table.held[gen.row.index] = False

    # ---- observe ------------------------------------------------------------------------------------------------

    def _land(self, step: int) -> Flight:
        flight = self._flights.popleft()
        if flight.step != step or not flight.sampled:
            raise RuntimeError(f"the worker answered step {step}, step {flight.step} was due")
        self._masking.observe_step(self._now - flight.begun)
        if self._flights:  # the device could not begin it before it had done this one
            self._flights[0].begun = self._now
        return flight

    def _observe(self, result: StepResult) -> None:
        """The ids of a step: for every row at once what can be, then row by row what needs Python."""
        flight = self._land(result.step)
        self.scheduler.finish(result.step)
        table, rows = self.scheduler.table, flight.sample_rows
        ids = unpack(result.ids)
        if len(ids) != len(rows):
            raise RuntimeError(f"step {result.step} sampled {len(rows)} rows, the worker answered {len(ids)}")
        live = ~flight.void & (table.epoch[rows] == flight.epochs)
        barren = live & (ids < 0)
        if barren.any():
            for i in np.flatnonzero(barren).tolist():
                self._no_token(self._gen_of(int(rows[i])), int(ids[i]))
            live &= table.epoch[rows] == flight.epochs
        logprobs = _unpack_logprobs(result.logprobs, ids) if result.logprobs is not None else {}
        if result.scores is not None:
            live = self._score(result.scores, flight, live)
        sampled = np.flatnonzero(live)
        rows, ids = rows[sampled], ids[sampled]
        table.push_ids(rows, ids)
        stopped = (table.stop_ids[rows] == ids[:, None]).any(axis=1)
        ended = stopped | (table.seen[rows] >= table.limit[rows])
        for i in np.flatnonzero(ended | table.watched[rows]).tolist():
            row = self._row(int(rows[i]))
            self._look(row, int(ids[i]), bool(stopped[i]), bool(ended[i]), logprobs.get(int(sampled[i])))

    def _score(self, scores: Scores, flight: Flight, live: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """End the rows that were scored; the samples that are left. Nothing is appended to their streams."""
        left, end = live.copy(), 0
        for i, count in zip(unpack(scores.index).tolist(), unpack(scores.counts).tolist(), strict=True):
            start, end = end, end + 4 * count
            if live[i]:
                left[i] = False
                row = self._row(int(flight.sample_rows[i]))
                self.scheduler.leave(row)
                self._reply_done(row.gen, b"", "stop", scores=scores.values[start:end])
        return left

    def _look(self, row: Row, token: int, stopped: bool, ended: bool, logprob: TokenLogprob | None) -> None:
        """One token of a row that ends, or that somebody watches."""
        gen = row.gen
        stopped = stopped or (row.stop_set is not None and token in row.stop_set)
        hit: StopHit | None = None
        if gen.grammar is not None and not self._accept(gen, token, stopped):
            return
        finished = stopped or (gen.grammar is not None and gen.grammar.terminated)
        if gen.logprobs is not None and logprob is not None and not finished:
            gen.logprobs.append(logprob)
        if not finished and gen.request.stop_watch is not None:
            gen.request.stop_watch.push((token,))
            hit = gen.request.stop_watch.hit
        if gen.request.stream and not finished:
            self.replies.append(GenTokens(gen.key, pack([token])))
        if finished or hit is not None or ended:
            self._end(row, finished, hit)
        elif gen.slow:
            self._masking.begin(gen, self._now)

    def _accept(self, gen: Gen, token: int, stopped: bool) -> bool:
        """Advance the matcher by a sampled token. A stop id of the caller's need not be the grammar's: it just ends."""
        assert gen.grammar is not None
        try:
            gen.mask = None
            if gen.grammar.accept(token) or stopped:
                return True
            error: RamifyError = InvalidSchema(
                f"the grammar refused token {token}, which its own mask had allowed",
                hint="this is a fault in ramify or its grammar backend: please report it with the schema",
            )
        except RamifyError as raised:
            error = raised
        self.programs.fail(gen, to_info(error))
        return False

    def _no_token(self, gen: Gen, code: int) -> None:
        what = "the grammar allows no token here" if code == NO_TOKEN_ALLOWED else f"the worker answered id {code}"
        error = InvalidSchema(what, hint="the schema cannot be satisfied with this tokenizer from here; relax it")
        self.programs.fail(gen, to_info(error))

    def _end(self, row: Row, finished: bool, hit: StopHit | None) -> None:
        """The gen is done: its tokens join the stream, its row closes, its reply is ready, its stream goes on.

        `finished`: the last id is a stop id, which is not kept. `hit`: a stop string, which is cut off.
        """
        gen, stream = row.gen, row.gen.stream
        ids = self.scheduler.table.ids_of(row)
        stream.append(ids[:-1] if finished else ids)
        if hit is not None:
            del stream.own[gen.prompt_length + hit.keep - stream.base :]
            if gen.logprobs is not None:
                del gen.logprobs[hit.keep :]
        self.scheduler.leave(row)
        output = pack(stream.ids(gen.prompt_length, stream.length))
        reason = "stop" if finished or hit is not None else "length"
        self._reply_done(gen, output, reason, leftover=hit.leftover if hit is not None else "")

    def _reply_done(self, gen: Gen, ids: bytes, reason: str, leftover: str = "", scores: bytes = b"") -> None:
        usage = GenUsage(gen.prompt_length, gen.cached, gen.computed, gen.generated, gen.retractions)
        self.replies.append(GenDone(gen.key, ids, reason, leftover, usage, gen.logprobs, scores))
        self.programs.ended(gen)

    # ---- trouble ------------------------------------------------------------------------------------------------

    def _step_failed(self, failed: StepFailed) -> None:
        """Fail every gen whose row is in that step or in one launched behind it, and forget what those planned."""
        flight = self._land(failed.step)
        if flight.doomed:  # the failure in front of it took its rows and its plans with it
            self.scheduler.finish(failed.step)
            return
        error = to_info(
            WorkerError(f"step {failed.step} failed on the worker: {failed.error}", hint="see the engine's log")
        )
        for doomed in (flight, *self._flights):
            doomed.doomed = True
            for row, gen in doomed.touched:
                if gen.row is row:
                    self.programs.fail(gen, error)
            for index, epoch in zip(doomed.sample_rows.tolist(), doomed.epochs.tolist(), strict=True):
                if self.scheduler.table.epoch[index] == epoch:
                    self.programs.fail(self._gen_of(index), error)
        self.scheduler.fail(failed.step)

    def _stop(self, gen: Gen) -> None:
        """Take a gen that waits or runs away from the scheduler."""
        if gen.phase is Phase.WAITING:
            self.scheduler.unwait(gen)
        elif gen.row is not None:
            self.scheduler.leave(gen.row)

    def _row(self, index: int) -> Row:
        row = self.scheduler.table.rows[index]
        assert row is not None
        return row

    def _gen_of(self, index: int) -> Gen:
        return self._row(index).gen


def _unpack_logprobs(data: Logprobs, ids: Ids) -> dict[int, TokenLogprob]:
    """By sample index."""
    sampled = np.frombuffer(data.sampled, np.float32).tolist()
    counts, top_ids = unpack(data.top_counts).tolist(), unpack(data.top_ids).tolist()
    top_logprobs = np.frombuffer(data.top_logprobs, np.float32).tolist()
    out: dict[int, TokenLogprob] = {}
    at = 0
    for i, index in enumerate(unpack(data.index).tolist()):
        top = list(zip(top_ids[at : at + counts[i]], top_logprobs[at : at + counts[i]], strict=True))
        out[index] = TokenLogprob(int(ids[index]), sampled[i], top)
        at += counts[i]
    return out
