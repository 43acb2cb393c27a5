"""Runs, streams and gens as the core holds them.

A stream is a leaf (parent, base, own ids) and a queue of what comes next. Its ids only grow; a fork remembers the
parent and a length and copies nothing. Text costs nothing until a gen behind it needs KV, so a row is only ever opened
for a gen:

    ids    |---- parent's first `base` ids ----|---- own ids ----|
    queue  Append, Gen, ForkStream, Mark ...                      (what the stream does next, in order)
"""

from __future__ import annotations

import enum
from array import array
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import ErrorInfo
from ...grammar.state import GrammarState
from ...radix_cache.node import Cursor
from .messages import Append, ForkStream, Generate, GrammarReady, Ids, Mark, NodeKey, StreamKey, TokenLogprob

if TYPE_CHECKING:
    from ...grammar.state import MaskRow
    from .rows import Row

StreamOp: TypeAlias = "Append | ForkStream | Mark | Gen"


class Phase(enum.Enum):
    """Where a gen is. It moves downward only, but for RUNNING -> WAITING on retraction and PARKED -> WAITING."""

    QUEUED = "queued"  # behind other operations of its stream
    COMPILING = "compiling"  # at the head of its stream, its grammar is not ready
    WAITING = "waiting"  # wants a row
    RUNNING = "running"  # has a row
    PARKED = "parked"  # lost its row, because its mask came late; when that is made, it waits again
    ENDED = "ended"


class Run:
    """One program. `seq` is its order of arrival, the age that scheduling goes by."""

    __slots__ = ("deadline", "gens", "grammars", "priority", "run", "seq", "streams", "tenant")

    def __init__(self, run: int, seq: int, tenant: str, priority: int, deadline: float | None) -> None:
        self.run = run
        self.seq = seq
        self.tenant = tenant
        self.priority = priority
        self.deadline = deadline
        self.streams: dict[int, Stream] = {}
        self.gens: dict[int, Gen] = {}
        self.grammars: dict[int, GrammarReady] = {}


class Stream:
    """A growing list of token ids and its place in the radix tree."""

    __slots__ = ("base", "closed", "cursor", "error", "gen", "key", "own", "parent", "queue", "run", "started")

    def __init__(self, run: Run, key: StreamKey) -> None:
        self.run = run
        self.key = key
        self.parent: Stream | None = None
        self.base = 0
        self.own = array("i")
        self.cursor: Cursor | None = None
        self.queue: deque[StreamOp] = deque()
        self.gen: Gen | None = None
        self.started = False  # a fork's child starts when its parent reaches the fork
        self.closed = False
        self.error: ErrorInfo | None = None

    @property
    def length(self) -> int:
        return self.base + len(self.own)

    def append(self, ids: Ids) -> None:
        self.own.frombytes(np.ascontiguousarray(ids, dtype=np.int32).tobytes())

    def ids(self, start: int, end: int) -> Ids:
        """A copy of ids [start, end), shape (end - start,), gathered over the chain of parents."""
        parts: list[Ids] = []
        stream: Stream | None = self
        while stream is not None and start < end:
            low = max(start, stream.base)
            if low < end:
                parts.append(np.array(stream.own[low - stream.base : end - stream.base], dtype=np.int32))
                end = low
            stream = stream.parent
        parts.reverse()
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)


class Gen:
    """One `Generate` from admission to its one terminal event.

    Attributes of its masks:
        mask: that of its next token, made beside the steps; None where a step makes it.
        mask_due: until when the mask that is being made must be there; None while none is.
        slow: its last mask took longer than a step waits, so its row sits out the steps in which it is made.
    """

    __slots__ = (
        "cached",
        "computed",
        "error",
        "first_match",
        "grammar",
        "key",
        "logprobs",
        "mask",
        "mask_due",
        "max_new",
        "phase",
        "prompt_length",
        "rank",
        "request",
        "retractions",
        "row",
        "slow",
        "stream",
    )

    def __init__(self, request: Generate, stream: Stream, rank: int) -> None:
        self.request = request
        self.stream = stream
        self.key: NodeKey = request.node
        self.rank = rank
        self.phase = Phase.QUEUED
        self.error: ErrorInfo | None = None
        self.grammar: GrammarState | None = None
        self.mask: MaskRow | None = None
        self.mask_due: float | None = None
        self.slow = False
        self.row: Row | None = None
        self.prompt_length = 0
        self.max_new = 0
        self.cached = 0
        self.computed = 0
        self.retractions = 0
        self.first_match = True
        self.logprobs: list[TokenLogprob] | None = [] if request.sampling.logprobs >= 0 else None

    @property
    def order(self) -> tuple[int, int, int]:
        """Who goes first: priority, then the older program, then the older gen."""
        return (self.stream.run.priority, self.stream.run.seq, self.rank)

    @property
    def generated(self) -> int:
        """Tokens of this gen in the stream (those of a row in flight are not there yet)."""
        return self.stream.length - self.prompt_length
