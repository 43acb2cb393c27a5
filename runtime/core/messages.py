"""What goes into `step` and what comes out, besides the plans and results of `protocol.plan`.

These stay inside the engine's process: lowering turns graph nodes into them on one side and turns the answers into
replies on the other. Streams are named by (run, stream), nodes by (run, node), as the client numbered them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import ErrorInfo
from ...grammar.fill import MaskMade
from ...grammar.state import GrammarState
from ..protocol.int32 import Int32Bytes
from ..protocol.plan import StepFailed, StepMasks, StepPlan, StepResult
from ..protocol.sampling import RowSampling

StreamKey: TypeAlias = tuple[int, int]
NodeKey: TypeAlias = tuple[int, int]
Ids: TypeAlias = NDArray[np.int32]


class StopHit(Protocol):
    """A stop string was found: keep `keep` generated tokens; `leftover` is the kept text of the token it cuts."""

    @property
    def keep(self) -> int: ...

    @property
    def leftover(self) -> str: ...


class StopWatch(Protocol):
    """Watches one gen's tokens for stop strings."""

    @property
    def hit(self) -> StopHit | None: ...

    def push(self, ids: Iterable[int]) -> str: ...


# ---- into the core ----------------------------------------------------------------------------------------------


class OpenRun(msgspec.Struct, frozen=True):
    """A program starts. `deadline` is in seconds on the core's clock; `priority` sorts before arrival, low first."""

    run: int
    tenant: str = ""
    deadline: float | None = None
    priority: int = 0


class OpenStream(msgspec.Struct, frozen=True):
    """An empty stream at the run's root."""

    key: StreamKey


class Append(msgspec.Struct, frozen=True):
    """Token ids at the end of a stream, shape (n,)."""

    key: StreamKey
    ids: Ids


class Generate(msgspec.Struct, frozen=True, kw_only=True):
    """Generate tokens at the end of a stream.

    Attributes:
        max_tokens: generated tokens at most; None: up to the context or the pool, whichever is less.
        stop_ids: ids that end the gen and are not kept.
        stop_watch: finds stop strings; None without any.
        grammar: True if a `GrammarReady` for this node will come; the gen waits for it without a row.
        stream: report tokens as they are observed.
        candidates: ids to score instead of generating: the model's probabilities of these at the end of the stream come
            back in `GenDone.scores`, and the stream stays as it is. `max_tokens` must be 1.
    """

    key: StreamKey
    node: NodeKey
    sampling: RowSampling
    max_tokens: int | None = None
    stop_ids: tuple[int, ...] = ()
    stop_watch: StopWatch | None = None
    grammar: bool = False
    stream: bool = False
    candidates: Int32Bytes = b""


class GrammarReady(msgspec.Struct, frozen=True):
    """The node's grammar is compiled, or cannot be. Its texts have `min_tokens` tokens at least."""

    node: NodeKey
    state: GrammarState | None
    error: ErrorInfo | None = None
    min_tokens: int = 0


class ForkStream(msgspec.Struct, frozen=True):
    """`child` begins where `key` will be when it reaches this point."""

    key: StreamKey
    child: StreamKey


class Mark(msgspec.Struct, frozen=True):
    """Answered with `Marked` when the stream reaches this point."""

    key: StreamKey
    node: NodeKey


class CloseStream(msgspec.Struct, frozen=True):
    """No handle is left: nothing will be appended. What is queued still runs, then the stream's KV is dead."""

    key: StreamKey


class AbortNode(msgspec.Struct, frozen=True):
    """End this gen now, in whatever state it is; the stream is poisoned with the error."""

    node: NodeKey
    error: ErrorInfo


class AbortStream(msgspec.Struct, frozen=True):
    """End everything queued on this stream, and refuse what comes later."""

    key: StreamKey
    error: ErrorInfo


class CloseRun(msgspec.Struct, frozen=True):
    """The run is over: what has not ended is aborted with `error`, every stream is dropped."""

    run: int
    error: ErrorInfo


CoreInput: TypeAlias = (
    OpenRun
    | OpenStream
    | Append
    | Generate
    | GrammarReady
    | MaskMade
    | ForkStream
    | Mark
    | CloseStream
    | AbortNode
    | AbortStream
    | CloseRun
    | StepResult
    | StepFailed
)


# ---- out of the core --------------------------------------------------------------------------------------------


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """One sampled token's log probability and the most likely alternatives, most likely first."""

    token: int
    logprob: float
    top: list[tuple[int, float]]


class GenUsage(msgspec.Struct, frozen=True, array_like=True):
    """What one gen cost, in tokens.

    Attributes:
        prompt: length of the stream when the gen began.
        cached: prompt positions that were in the tree already, computed by others or by this stream.
        computed: positions computed as prompt, counting again what a retraction lost.
        decoded: tokens generated, without a dropped stop id.
        retractions: how often the gen lost its row.
    """

    prompt: int
    cached: int
    computed: int
    decoded: int
    retractions: int


class GenTokens(msgspec.Struct, frozen=True, tag_field="type"):
    """Tokens of a gen that reports as it goes."""

    node: NodeKey
    ids: bytes


class GenDone(msgspec.Struct, frozen=True, tag_field="type"):
    """A gen ended well.

    Attributes:
        ids: the generated ids that stay in the stream, int32 bytes.
        reason: "stop" (a stop id, a stop string, or the grammar's end) or "length".
        leftover: text kept from the token that a stop string cut; it opens the next text run.
        scores: float32 bytes, the log probability of each candidate renormalised over them, if there were any.
    """

    node: NodeKey
    ids: bytes
    reason: str
    leftover: str
    usage: GenUsage
    logprobs: list[TokenLogprob] | None = None
    scores: bytes = b""


class GenFailed(msgspec.Struct, frozen=True, tag_field="type"):
    """A gen ended badly: exactly one of `GenDone` and `GenFailed` comes for each admitted `Generate`."""

    node: NodeKey
    error: ErrorInfo


class Marked(msgspec.Struct, frozen=True, tag_field="type"):
    """A `Mark` was reached: all ids of the stream up to there, int32 bytes; or the stream's error."""

    node: NodeKey
    ids: bytes
    error: ErrorInfo | None = None


class RunEnded(msgspec.Struct, frozen=True, tag_field="type"):
    """The answer to `CloseRun`: nothing of the run is left, and no other reply for it follows."""

    run: int


CoreReply: TypeAlias = GenTokens | GenDone | GenFailed | Marked | RunEnded
CoreOutput: TypeAlias = StepPlan | StepMasks | CoreReply
