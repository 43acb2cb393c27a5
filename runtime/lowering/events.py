"""What goes into `Lowering.handle` and what comes out."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ...grammar.spec import GrammarSpec
from ..core import messages as core
from ..protocol.graph import ClientMessage, EngineReply


class FromClient(NamedTuple):
    """A client's message and when it came; None when the client has gone."""

    client: int
    message: ClientMessage | None
    now: float


LoweringEvent: TypeAlias = FromClient | core.CoreReply


class Compile(NamedTuple):
    """A grammar that a gen will need; whose it is decides whose turn it is to be compiled."""

    node: core.NodeKey
    spec: GrammarSpec
    owner: str


class Lowered(NamedTuple):
    """What one batch of events led to."""

    core: list[core.CoreInput]
    replies: list[tuple[int, EngineReply]]
    compiles: list[Compile]
