"""One client of a `Lowering`, played by a test: it sends nodes, answers for the core, and keeps all that comes out."""

from __future__ import annotations

from ramify.runtime.core import messages as core
from ramify.runtime.lowering.events import FromClient, LoweringEvent
from ramify.runtime.lowering.lowering import Lowering
from ramify.runtime.lowering.template import ChatTemplate
from ramify.runtime.lowering.tokenizer import TextTokenizer
from ramify.runtime.protocol.graph import EngineReply, Gen, GraphDelta, GraphNode, NodeDone, NodeFailed, RunOptions
from ramify.runtime.protocol.tokens import pack


def gen(node: int, stream: int = 0, **options: object) -> Gen:
    return Gen(stream=stream, node=node, name="x", path=f"p/{node}", **options)  # type: ignore[arg-type]


class Desk:
    """See the module's text.

    Args:
        tokenizer: the model's.
        template: the model's; None loads the one that came with the tokenizer.

    Attributes:
        core: what went to the core, in order.
        replies: what went to the client, in order.
    """

    def __init__(self, tokenizer: TextTokenizer, template: ChatTemplate | None = None) -> None:
        self.lowering = Lowering(
            tokenizer, template or ChatTemplate.load(tokenizer), tokenizer.vocabulary(tokenizer.vocab_size)
        )
        self.core: list[core.CoreInput] = []
        self.replies: list[EngineReply] = []
        self.opened = False

    def handle(self, event: LoweringEvent) -> None:
        lowered = self.lowering.handle([event])
        self.core.extend(lowered.core)
        self.replies.extend(reply for _, reply in lowered.replies)

    def send(self, *nodes: GraphNode, run: int = 0) -> None:
        options, self.opened = None if self.opened else RunOptions(), True
        self.handle(FromClient(0, GraphDelta(run, list(nodes), options), 0.0))

    def stream(self, node: int, ids: list[int]) -> None:
        """The core has generated these ids, and the gen goes on."""
        self.handle(core.GenTokens((0, node), pack(ids)))

    def finish(self, node: int, ids: list[int], leftover: str = "", reason: str = "length") -> None:
        """The gen has ended with these ids in all."""
        usage = core.GenUsage(1, 0, 1, len(ids), 0)
        self.handle(core.GenDone((0, node), pack(ids), reason, leftover, usage))

    def ids(self, stream: int = 0) -> list[int]:
        """The ids of text that were appended to the stream."""
        return [
            int(token)
            for message in self.core
            if isinstance(message, core.Append) and message.key == (0, stream)
            for token in message.ids
        ]

    def generates(self) -> list[int]:
        """The gens that reached the core."""
        return [message.node[1] for message in self.core if isinstance(message, core.Generate)]

    def done(self) -> dict[int, str]:
        """The text of each gen that has ended well."""
        return {reply.node: reply.text for reply in self.replies if isinstance(reply, NodeDone)}

    def failed(self) -> list[NodeFailed]:
        """The nodes that have failed."""
        return [reply for reply in self.replies if isinstance(reply, NodeFailed)]
