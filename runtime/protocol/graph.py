"""What a client sends and what it gets back: deltas of the request graph, and replies. A closed set of tagged unions.

A run is one program. Its streams and nodes are numbered by the client, from 0; stream 0 is the root. A delta appends
nodes to streams; the order of the nodes in it is the order on each stream. Nothing is ever sent twice: an engine goes
on from text to gen to text by itself.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ...errors import ErrorInfo
from ...grammar.report import Note
from ...grammar.spec import GrammarSpec
from .fields import FieldPath
from .int32 import Int32Bytes
from .sampling import SamplingParams

# ---- nodes ------------------------------------------------------------------------------------------------------


class Node(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """What all nodes have: the stream they extend, and where in the program they stand."""

    stream: int
    site: str = ""


class Text(Node, frozen=True, tag="text"):
    """Text of the program.

    Attributes:
        text: the text.
        control: the text is trusted and may spell control tokens; without it they are ordinary text.
    """

    text: str
    control: bool = False


class Argument(Node, frozen=True, tag="argument"):
    """Text that came from outside the program, an argument or a tool's result. Control tokens are ordinary text."""

    text: str


class ValueEdge(Node, frozen=True, tag="value"):
    """The text of another node's value, spliced in when it is there; nobody looks at it on the way.

    Attributes:
        source: the other node.
        field: splice only this part of the value, which is JSON: see `protocol.fields`.
    """

    source: int
    field: FieldPath = ()


class OpenRole(Node, frozen=True, tag="open_role"):
    """A chat turn begins; the model's chat template says which text that is."""

    role: str


class CloseRole(Node, frozen=True, tag="close_role"):
    """The turn ends."""


class Gen(Node, frozen=True, tag="gen"):
    """Generate tokens.

    Attributes:
        node: number of the node, by which values and replies name it.
        name: what the program calls it.
        path: structural path in the run.
        max_tokens: at most this many; None: as many as fit.
        stop: stop strings; the value and the stream end before the first of them.
        stop_ids: token ids that end the gen beside the model's own.
        ignore_eos: the model's own end tokens do not end the gen.
        sampling: how tokens are drawn.
        seed: key of the draws, unsigned 64 bit.
        grammar: what the output must match.
        logprobs: alternatives reported with each token, at most 20; -1 reports nothing.
        events: send `TextDelta` as text is generated.
    """

    node: int
    name: str
    path: str
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    sampling: SamplingParams = SamplingParams()
    seed: int = 0
    grammar: GrammarSpec | None = None
    logprobs: int = -1
    events: bool = False


class Select(Node, frozen=True, tag="select"):
    """Choose one of some texts by the model's own probabilities, and append it.

    The score of a choice is the product, along its canonical token ids, of each id's probability renormalised over the
    ids with which any choice goes on from there: the law of a gen that is constrained to the choices.

    Attributes:
        node: number of the node, by which values and replies name it.
        name: what the program calls it.
        path: structural path in the run.
        choices: the texts, each different.
        temperature: 0 takes the best choice; above, one is drawn by that law at this temperature.
        seed: key of the draw, unsigned 64 bit.
        events: send `TextDelta` for the chosen text.
    """

    node: int
    name: str
    path: str
    choices: tuple[str, ...]
    temperature: float = 0.0
    seed: int = 0
    events: bool = False


class Fork(Node, frozen=True, tag="fork"):
    """Stream `child` begins here with what `stream` has; no KV is copied."""

    child: int


class Read(Node, frozen=True, tag="read"):
    """Ask for the ids of the stream up to here. It is a seam: the text run before it is closed and tokenized."""

    node: int


class Release(Node, frozen=True, tag="release"):
    """No handle to the stream is left: nothing will be appended."""


class CancelStream(Node, frozen=True, tag="cancel_stream"):
    """End what runs on this stream, and refuse what is queued."""


GraphNode: TypeAlias = (
    Text | Argument | ValueEdge | OpenRole | CloseRole | Gen | Select | Fork | Read | Release | CancelStream
)

# ---- client to engine -------------------------------------------------------------------------------------------


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of a run, sent with its first delta.

    Attributes:
        tenant: whose KV the run may share.
        timeout: seconds from arrival until everything left fails with `DeadlineExceeded`.
        priority: lower goes first.
    """

    tenant: str = ""
    timeout: float | None = None
    priority: int = 0


class GraphDelta(msgspec.Struct, frozen=True, tag="delta", tag_field="type", omit_defaults=True):
    """Append these nodes to run `run`. The first delta of a run carries its options."""

    run: int
    nodes: list[GraphNode]
    open: RunOptions | None = None


class CloseRun(msgspec.Struct, frozen=True, tag="close", tag_field="type"):
    """The program has returned, or was cancelled: what still runs is aborted, then `RunClosed` is the last reply."""

    run: int
    report: bool = False


ClientMessage: TypeAlias = GraphDelta | CloseRun


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="type"):
    """First message on a socket; answered with `EngineReady`. `process` is a label for the engine's log."""

    process: int


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye", tag_field="type"):
    """Last message on a socket: what the client left running is cancelled."""


SocketMessage: TypeAlias = Hello | Goodbye | ClientMessage

# ---- engine to client -------------------------------------------------------------------------------------------


class TokenLogprob(msgspec.Struct, frozen=True, array_like=True):
    """One generated token's log probability and the most likely alternatives at its place."""

    token: int
    text: str
    logprob: float
    top: list[tuple[int, str, float]]


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """Tokens of one gen: prompt length, positions found in the tree, positions computed as prompt, tokens generated."""

    prompt: int
    cached: int
    computed: int
    decoded: int
    retractions: int = 0


class NodeDone(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """A gen or a select ended well.

    Attributes:
        text: the decoded text of the value.
        ids: its token ids.
        reason: "stop" or "length".
        choice_logprobs: of a select, the log probability of each choice, in their order; they sum to one.
        notes: every place of the gen's grammar that is not enforced as it is written.
    """

    run: int
    node: int
    text: str
    ids: Int32Bytes
    reason: str
    usage: Usage
    logprobs: list[TokenLogprob] | None = None
    choice_logprobs: list[float] | None = None
    notes: tuple[Note, ...] = ()


class TextDelta(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """More text of a gen that asked for events; all of them joined are the text of `NodeDone`."""

    run: int
    node: int
    text: str


class StreamIds(msgspec.Struct, frozen=True, tag="ids", tag_field="type"):
    """The answer to `Read`: every id of the stream up to there, and their text with control tokens spelled out."""

    run: int
    node: int
    ids: Int32Bytes
    text: str


class NodeFailed(msgspec.Struct, frozen=True, tag="failed", tag_field="type"):
    """A gen or a read ended badly. Each gen is answered by exactly one of `NodeDone` and `NodeFailed`."""

    run: int
    node: int
    error: ErrorInfo


class GenNotes(msgspec.Struct, frozen=True):
    """What is not enforced as it is written in the grammar of some gens.

    Attributes:
        path: structural path of the first of these gens that ended.
        gens: how many there were.
        notes: the same for all of them.
    """

    path: str
    gens: int
    notes: tuple[Note, ...]


class RunReport(msgspec.Struct, frozen=True):
    """What a run cost, in tokens unless said otherwise.

    Attributes:
        gens: gens and selects that ended well.
        prefill: prompt positions computed.
        decoded: tokens generated.
        ideal_prefill: distinct prefixes that no decoding produced, with one for each gen's last token when its stream
            went on: what a run alone on an endless cache must compute.
        resent_prefill: what a client must have computed that sends the whole text again for each gen, to a server with
            an endless prefix cache of its own.
        uncached_prefill: the same without a prefix cache.
        deltas: messages received.
        text_runs: text runs tokenized.
        retractions: rows taken away and opened again.
        notes: what is not enforced as it is written, once for all gens of whose grammar it is true.
    """

    gens: int
    prefill: int
    decoded: int
    ideal_prefill: int
    resent_prefill: int
    uncached_prefill: int
    deltas: int
    text_runs: int
    retractions: int
    notes: tuple[GenNotes, ...] = ()


class RunClosed(msgspec.Struct, frozen=True, tag="closed", tag_field="type"):
    """The last reply of a run. `error` is set if the run could not be opened or was cut off by a fault."""

    run: int
    report: RunReport | None = None
    error: ErrorInfo | None = None


class EngineReady(msgspec.Struct, frozen=True, tag="ready", tag_field="type"):
    """First message of an engine process: what it serves.

    Attributes:
        epoch: chosen by the engine at its start; a client that sees another one has lost its runs.
        model: name or directory of the model.
        context: positions a stream can have.
        slots: KV slots of the pool.
    """

    epoch: int
    model: str
    context: int
    slots: int


class EngineFailed(msgspec.Struct, frozen=True, tag="engine_failed", tag_field="type"):
    """The engine cannot start or go on; no other message follows."""

    error: ErrorInfo


EngineReply: TypeAlias = NodeDone | TextDelta | StreamIds | NodeFailed | RunClosed | EngineReady | EngineFailed
