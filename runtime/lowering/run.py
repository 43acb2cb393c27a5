"""One run as lowering holds it: streams with their open text runs, what waits for a value, and what is known of
nodes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ...errors import ErrorInfo
from ..core.messages import Ids
from ..protocol.graph import Gen, GraphNode, RunOptions
from .detokenizer import StreamDetokenizer
from .runs import RunBuilder
from .stops import StopStrings


class Turn(NamedTuple):
    """A chat turn: its role, and its content as text and numbers of gens whose values stand there."""

    role: str
    parts: list[str | int]


class StreamText:
    """A stream's text side.

    Attributes:
        builder: closes text runs; the last one stays text until a seam.
        turns: the chat turns that are closed.
        turn: the open turn, None between turns.
        opened: the open turn's template text has been written; it waits for the first piece of content, because some
            templates open a turn that is generated in another way.
        content: text of the open turn since its last seam: it is written when it is known whether the turn ends there.
        begun: the open turn has content already, before `content`.
        empty: nothing has been appended yet.
        waits_for: the node whose value the stream needs before it can go on; `queue` holds what comes behind it.
        log: what the stream is made of, for the report: ids, or the number of a gen whose ids come there.
        parent, parent_log: the stream it was forked from, and how much of that one's log it shares.
    """

    __slots__ = (
        "begun",
        "builder",
        "content",
        "empty",
        "error",
        "log",
        "opened",
        "parent",
        "parent_log",
        "queue",
        "turn",
        "turns",
        "waits_for",
    )

    def __init__(self, builder: RunBuilder) -> None:
        self.builder = builder
        self.turns: list[Turn] = []
        self.turn: Turn | None = None
        self.opened = False
        self.begun = False
        self.content: list[str] = []
        self.empty = True
        self.waits_for: int | None = None
        self.queue: deque[GraphNode] = deque()
        self.error: ErrorInfo | None = None
        self.log: list[Ids | int] = []
        self.parent: StreamText | None = None
        self.parent_log = 0

    @property
    def roles(self) -> list[str]:
        """The roles of the closed turns."""
        return [turn.role for turn in self.turns]

    def fork(self, builder: RunBuilder) -> StreamText:
        """A stream that goes on from here; `builder` begins after the same seam."""
        child = StreamText(builder)
        child.turns = list(self.turns)
        child.turn = None if self.turn is None else Turn(self.turn.role, list(self.turn.parts))
        child.opened, child.begun, child.empty = self.opened, self.begun, self.empty
        child.error = self.error
        child.parent, child.parent_log = self, len(self.log)
        return child


class NodeState:
    """A gen between its arrival and its terminal reply, and its value after that.

    Attributes:
        text: the value's text once it is done; None before.
        leftover: text that a stop string's token left behind; it opens the next text run.
        ids: the generated ids in the stream.
        streamed: characters sent as `TextDelta`.
        waiters: numbers of the streams that wait for this value.
    """

    __slots__ = ("detokenizer", "error", "gen", "ids", "leftover", "stops", "stream", "streamed", "text", "waiters")

    def __init__(self, gen: Gen, stream: StreamText) -> None:
        self.gen = gen
        self.stream = stream
        self.text: str | None = None
        self.leftover = ""
        self.ids: Ids | None = None
        self.error: ErrorInfo | None = None
        self.waiters: list[int] = []
        self.detokenizer: StreamDetokenizer | None = None
        self.stops: StopStrings | None = None
        self.streamed = 0

    @property
    def ended(self) -> bool:
        return self.text is not None or self.error is not None


class Generated(NamedTuple):
    """One finished gen for the report: where it stood, and whether its last id has KV (it was not cut by the limit)."""

    stream: StreamText
    log_length: int
    node: int
    last_computed: bool


class LoweredRun:
    """Everything of one run on the text side."""

    __slots__ = (
        "client",
        "client_run",
        "deltas",
        "finished",
        "log_lengths",
        "nodes",
        "options",
        "prefill",
        "retractions",
        "streams",
        "text_runs",
        "wants_report",
    )

    def __init__(self, client: int, client_run: int, options: RunOptions) -> None:
        self.client = client
        self.client_run = client_run
        self.options = options
        self.streams: dict[int, StreamText] = {}
        self.nodes: dict[int, NodeState] = {}
        self.log_lengths: dict[int, int] = {}
        self.finished: list[Generated] = []
        self.deltas = 0
        self.wants_report = False
        self.text_runs = 0
        self.prefill = 0
        self.retractions = 0
