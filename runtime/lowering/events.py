"""What goes into `Lowering.handle` and what comes out."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ...errors import ErrorInfo
from ...grammar.report import Note
from ...grammar.spec import GrammarSpec
from ..core import messages as core
from ..protocol.graph import ClientMessage, EngineReply


class FromClient(NamedTuple):
    """A client's message and when it came; None when the client has gone."""

    client: int
    message: ClientMessage | None
    now: float


class Compile(NamedTuple):
    """A grammar that a gen will need; whose it is decides whose turn it is to be compiled."""

    node: core.NodeKey
    spec: GrammarSpec
    owner: str


class Check(NamedTuple):
    """A finished text that must be validated before its gen is done; `Checked` is the answer."""

    node: core.NodeKey
    spec: GrammarSpec
    text: str
    owner: str


class Checked(NamedTuple):
    """The text of a node was validated: what is wrong with it, or None."""

    node: core.NodeKey
    error: ErrorInfo | None


class GrammarNotes(NamedTuple):
    """A gen's grammar is compiled, and these places of it are not enforced as they are written."""

    node: core.NodeKey
    notes: tuple[Note, ...]


LoweringEvent: TypeAlias = FromClient | GrammarNotes | Checked | core.CoreReply


class Lowered(NamedTuple):
    """What one batch of events led to."""

    core: list[core.CoreInput]
    replies: list[tuple[int, EngineReply]]
    compiles: list[Compile]
    checks: list[Check]
