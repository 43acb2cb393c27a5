"""One run as lowering holds it: streams with their open text runs, what waits for a value, and what is known of
nodes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ...errors import ErrorInfo
from ...grammar.report import Note
from ...grammar.spec import StructuralTag
from ..core.messages import Ids, StreamKey
from ..protocol.graph import Gen, GraphNode, NodeDone, RunOptions, Select
from .detokenizer import StreamDetokenizer
from .runs import RunBuilder
from .selection import Selection
from .stops import StopStrings


class Turn(NamedTuple):
    """A chat turn: its role, and its content as text and numbers of gens whose values stand there."""

    role: str
    parts: list[str | int]


class StreamText:
    """A stream's text side.

    Attributes:
        key: the stream in the core.
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
        "key",
        "log",
        "opened",
        "parent",
        "parent_log",
        "queue",
        "turn",
        "turns",
        "waits_for",
    )

    def __init__(self, key: StreamKey, builder: RunBuilder) -> None:
        self.key = key
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

    def begin_at(self, parent: StreamText, builder: RunBuilder) -> None:
        """Go on from where `parent` is; `builder` begins after the same seam. What is queued here already stays."""
        self.builder = builder
        self.turns = list(parent.turns)
        self.turn = None if parent.turn is None else Turn(parent.turn.role, list(parent.turn.parts))
        self.opened, self.begun, self.empty = parent.opened, parent.begun, parent.empty
        self.error = self.error or parent.error
        self.parent, self.parent_log = parent, len(parent.log)


class NodeState:
    """A gen or a select between its arrival and its terminal reply, and its value after that.

    Attributes:
        text: the value's text once it is done; None before.
        leftover: text that a stop string's token left behind; it opens the next text run.
        ids: the generated ids in the stream.
        streamed: characters sent as `TextDelta`.
        unchecked: the reply that waits until its text has been validated.
        notes: what of its grammar is not enforced as it is written.
        waiters: the streams that wait for this value.
    """

    __slots__ = (
        "detokenizer",
        "error",
        "ids",
        "leftover",
        "node",
        "notes",
        "stops",
        "stream",
        "streamed",
        "text",
        "unchecked",
        "waiters",
    )

    def __init__(self, node: Gen | Select, stream: StreamText) -> None:
        self.node = node
        self.stream = stream
        self.text: str | None = None
        self.leftover = ""
        self.ids: Ids | None = None
        self.error: ErrorInfo | None = None
        self.waiters: list[StreamText] = []
        self.detokenizer: StreamDetokenizer | None = None
        self.stops: StopStrings | None = None
        self.streamed = 0
        self.unchecked: NodeDone | None = None
        self.notes: tuple[Note, ...] = ()

    @property
    def shows_control(self) -> bool:
        """The value's text spells its control tokens: they mark its parts."""
        return isinstance(self.node, Gen) and isinstance(self.node.grammar, StructuralTag)

    @property
    def ended(self) -> bool:
        return self.text is not None or self.error is not None


class Generated(NamedTuple):
    """One finished gen or select for the report.

    Attributes:
        log_length: how much of the stream's log stood in front of it.
        last_computed: its last id has KV; it was not cut by the limit.
        branches: of a select, the paths behind its prompt that were computed to score the choices.
    """

    stream: StreamText
    log_length: int
    node: int
    last_computed: bool
    branches: tuple[tuple[int, ...], ...] | None = None


class LoweredRun:
    """Everything of one run on the text side."""

    __slots__ = (
        "client",
        "client_run",
        "deltas",
        "finished",
        "log_lengths",
        "next_part",
        "nodes",
        "options",
        "prefill",
        "retractions",
        "selections",
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
        self.selections: dict[int, Selection] = {}  # by the number of each part that has no answer yet
        self.next_part = -1
        self.finished: list[Generated] = []
        self.deltas = 0
        self.wants_report = False
        self.text_runs = 0
        self.prefill = 0
        self.retractions = 0

    @property
    def owner(self) -> str:
        """Who takes turns with others where grammars are compiled."""
        return f"{self.client}:{self.options.tenant}"
