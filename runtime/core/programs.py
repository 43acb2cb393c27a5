"""Runs and streams: applies what lowering sends, walks each stream's queue, and says which gens may want a row.

A stream moves when the operation at its head can be done: text is appended, a fork starts its child, a mark is
answered. A gen at the head stops the walk until it ends. None of this costs a token of compute, and none of it waits
for the client.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ...errors import ContextOverflow, DeadlineExceeded, ErrorInfo, InvalidRequest, NeverFits, Overloaded, to_info
from ...radix_cache.tree import RadixTree
from ..protocol.plan import WorkerInfo
from ..protocol.tokens import pack
from .config import CoreConfig
from .messages import (
    AbortNode,
    AbortStream,
    Append,
    CloseRun,
    CloseStream,
    CoreInput,
    CoreReply,
    ForkStream,
    Generate,
    GenFailed,
    GrammarReady,
    Mark,
    Marked,
    NodeKey,
    OpenRun,
    OpenStream,
    RunEnded,
    StreamKey,
)
from .scheduler import SPARE_SLOTS
from .stream import Gen, Phase, Run, Stream, StreamOp


class Programs:
    """Owns every `Run`, `Stream` and queued operation.

    Args:
        replies: where answers are appended.
        ready: called with a gen that now wants a row.
        stop: called to take a gen that WAITS or RUNS away from the scheduler before it is failed.
        waiting: how many gens wait for a row now.
    """

    def __init__(
        self,
        config: CoreConfig,
        info: WorkerInfo,
        tree: RadixTree,
        replies: list[CoreReply],
        ready: Callable[[Gen], None],
        stop: Callable[[Gen], None],
        waiting: Callable[[], int],
    ) -> None:
        self.config = config
        self.info = info
        self.tree = tree
        self.replies = replies
        self._ready = ready
        self._stop = stop
        self._waiting = waiting
        self.runs: dict[int, Run] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._run_seq = 0
        self._gen_rank = 0

    @property
    def next_deadline(self) -> float | None:
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now: float) -> None:
        """Fail what is left of every run whose deadline has passed."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = heapq.heappop(self._deadlines)
            run = self.runs.get(key)
            if run is not None:
                error = DeadlineExceeded(
                    "the run's timeout passed before this node was done",
                    hint="raise timeout=, lower max_tokens=, or run fewer programs at once",
                )
                for stream in list(run.streams.values()):
                    self._poison(stream, to_info(error))

    # ---- input --------------------------------------------------------------------------------------------------

    def apply(self, message: CoreInput) -> None:
        """Apply one message. A message for a run that has been closed is dropped: its answers were given."""
        match message:
            case Append() | ForkStream() | Mark() | Generate():
                stream_or_none = self._stream(message.key)
                if stream_or_none is not None:
                    self._enqueue(stream_or_none, message)
            case GrammarReady():
                self._grammar_ready(message)
            case OpenRun():
                self._open_run(message)
            case OpenStream(key):
                run = self.runs.get(key[0])
                if run is not None:
                    stream = run.streams[key[1]] = Stream(run, key)
                    stream.cursor = self.tree.open(self.tree.root(run.tenant))
                    stream.started = True
            case CloseStream(key):
                stream_or_none = self._stream(key)
                if stream_or_none is not None:
                    stream_or_none.closed = True
                    self._walk(stream_or_none)
            case AbortNode(node, error):
                gen = self.gen(node)
                if gen is not None and gen.phase is not Phase.ENDED:
                    self.fail(gen, error)
            case AbortStream(key, error):
                stream_or_none = self._stream(key)
                if stream_or_none is not None:
                    self._poison(stream_or_none, error)
            case CloseRun(key, error):
                self._close_run(key, error)
            case _:
                raise TypeError(f"not for programs: {type(message).__name__}")

    def _open_run(self, message: OpenRun) -> None:
        run = Run(message.run, self._run_seq, message.tenant, message.priority, message.deadline)
        self._run_seq += 1
        self.runs[message.run] = run
        if message.deadline is not None:
            heapq.heappush(self._deadlines, (message.deadline, message.run))

    def _enqueue(self, stream: Stream, message: Append | ForkStream | Mark | Generate) -> None:
        run, op = stream.run, message
        if isinstance(message, ForkStream):
            run.streams[message.child[1]] = Stream(run, message.child)
        queued: StreamOp
        if isinstance(op, Generate):
            queued = gen = Gen(op, stream, self._gen_rank)
            self._gen_rank += 1
            run.gens[op.node[1]] = gen
            early = run.grammars.pop(op.node[1], None)
            if early is not None:
                self._grammar_ready(early)
            if self._waiting() >= self.config.max_waiting:
                self.fail(gen, _overloaded("gens wait for a row", self.config.max_waiting))
        else:
            queued = op
        if len(stream.queue) >= self.config.max_stream_nodes:
            self._poison(stream, _overloaded("operations wait on one stream", self.config.max_stream_nodes))
        stream.queue.append(queued)
        self._walk(stream)

    def _grammar_ready(self, message: GrammarReady) -> None:
        run, gen = self.runs.get(message.node[0]), self.gen(message.node)
        if gen is None and run is not None:
            run.grammars[message.node[1]] = message  # its gen waits in lowering for a value
        if gen is None or gen.phase is Phase.ENDED:
            return
        if message.error is not None:
            self.fail(gen, message.error)
            return
        asked = gen.request.max_tokens
        if asked is not None and asked < message.min_tokens:
            what = (
                f"the shortest text of the grammar has {message.min_tokens} tokens or more, and max_tokens is {asked}"
            )
            self.fail(gen, to_info(NeverFits(what, hint="raise max_tokens= (or the run's budget=), or ask for less")))
            return
        gen.grammar = message.state
        if gen.phase is Phase.COMPILING:
            self._ready(gen)

    def _close_run(self, key: int, error: ErrorInfo) -> None:
        run = self.runs.get(key)
        if run is None:
            return
        for stream in list(run.streams.values()):
            self._poison(stream, error)
        for stream in list(run.streams.values()):
            self._drop(stream)
        del self.runs[key]
        self.replies.append(RunEnded(key))

    # ---- the walk -----------------------------------------------------------------------------------------------

    def _walk(self, stream: Stream) -> None:
        """Do what can be done at the heads of `stream` and of the forks that this starts."""
        streams = [stream]
        while streams:
            current = streams.pop()
            while current.started and current.queue and current.gen is None:
                child = self._do(current, current.queue.popleft())
                if child is not None:
                    streams.append(child)
            if current.closed and current.started and not current.queue and current.gen is None:
                self._drop(current)

    def _do(self, stream: Stream, op: StreamOp) -> Stream | None:
        """Carry out one operation; the child stream if it was a fork."""
        match op:
            case Append(_, ids):
                stream.append(ids)
            case ForkStream(_, child_key):
                child = stream.run.streams[child_key[1]]
                child.parent, child.base, child.started = stream, stream.length, True
                child.error = child.error or stream.error
                if stream.cursor is not None:
                    child.cursor = self.tree.fork(stream.cursor)
                return child
            case Mark(_, node):
                seen = b"" if stream.error else pack(stream.ids(0, stream.length))
                self.replies.append(Marked(node, seen, stream.error))
            case Gen():
                self._begin(op)
        return None

    def _begin(self, gen: Gen) -> None:
        """The gen is at the head of its stream, so its prompt is known: refuse what can never run, or let it wait."""
        stream = gen.stream
        if gen.phase is Phase.ENDED:  # it failed while it was queued; what follows it on the stream fails too
            stream.error = stream.error or gen.error
            return
        if stream.error is not None:
            self.fail(gen, stream.error)
            return
        gen.prompt_length = stream.length
        error = self._bound(gen)
        if error is not None:
            stream.error = error
            self.fail(gen, error)
            return
        stream.gen = gen
        if gen.request.grammar and gen.grammar is None:
            gen.phase = Phase.COMPILING
        else:
            self._ready(gen)

    def _bound(self, gen: Gen) -> ErrorInfo | None:
        """Set `max_new` from what was asked, the context and the pool; the reason if not one token fits."""
        prompt, asked = gen.prompt_length, gen.request.max_tokens
        context, slots = self.info.max_length - prompt, self.info.slots - SPARE_SLOTS - prompt
        if prompt == 0:
            return to_info(
                InvalidRequest("a gen on an empty stream has nothing to go on", hint="append text before the gen")
            )
        if context < 1:
            return to_info(
                ContextOverflow(
                    f"the stream has {prompt} tokens and the model's context is {self.info.max_length}",
                    hint="shorten the text, or fork from an earlier point",
                )
            )
        if slots < (asked if asked is not None and asked <= context else 1):
            wanted = min(asked or 1, context)
            return to_info(
                NeverFits(
                    f"{prompt} prompt tokens and {wanted} new ones need more than the pool's {self.info.slots} slots",
                    hint="lower max_tokens=, shorten the text, or start the engine with more KV slots",
                )
            )
        gen.max_new = min(context, slots, asked if asked is not None else context)
        return None

    # ---- the end of a gen ---------------------------------------------------------------------------------------

    def ended(self, gen: Gen) -> None:
        """The gen ended well and its reply is given: its stream goes on."""
        gen.phase = Phase.ENDED
        self._forget(gen)
        self._walk(gen.stream)

    def fail(self, gen: Gen, error: ErrorInfo) -> None:
        """The gen ended badly: one reply, and its stream is poisoned."""
        if gen.phase in (Phase.WAITING, Phase.RUNNING):
            self._stop(gen)
        at_head = gen.stream.gen is gen
        gen.phase, gen.error = Phase.ENDED, error
        self.replies.append(GenFailed(gen.key, error))
        self._forget(gen)
        if at_head:
            gen.stream.error = gen.stream.error or error
            self._walk(gen.stream)

    def _forget(self, gen: Gen) -> None:
        gen.stream.run.gens.pop(gen.key[1], None)
        if gen.stream.gen is gen:
            gen.stream.gen = None

    def _poison(self, stream: Stream, error: ErrorInfo) -> None:
        """Nothing more will run on this stream: the gen at its head fails, then each queued one in turn."""
        stream.error = stream.error or error
        if stream.gen is not None:
            self.fail(stream.gen, error)
        elif stream.started:
            self._walk(stream)
        # else: the fork that starts it stands in its parent's queue, and the walk fails it from there

    def _drop(self, stream: Stream) -> None:
        """The stream is over: its KV is dead unless other streams share it."""
        if stream.cursor is not None:
            self.tree.close(stream.cursor)
            stream.cursor = None
        stream.run.streams.pop(stream.key[1], None)

    def _stream(self, key: StreamKey) -> Stream | None:
        run = self.runs.get(key[0])
        return run.streams.get(key[1]) if run is not None else None

    def gen(self, node: NodeKey) -> Gen | None:
        """The gen of a node that has not ended."""
        run = self.runs.get(node[0])
        return run.gens.get(node[1]) if run is not None else None


def _overloaded(what: str, limit: int) -> ErrorInfo:
    return to_info(Overloaded(f"more than {limit} {what}", hint="start fewer programs at once, or wait and try again"))
