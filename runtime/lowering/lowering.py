"""Graph nodes to token ids, and generated ids to text: the door.

Lowering owns everything that is text: chat templates, text runs, value edges, stop strings and detokenizing. It turns
each delta into operations on the core's streams; `run_lowering` does so for one run, and here each message and each
reply finds its run. It is called with one batch of events at a time, on any thread, and does no I/O.
"""

from __future__ import annotations

from ...errors import InvalidRequest, Overloaded, RamifyError, to_info
from ...grammar.vocabulary import Vocabulary
from ..core import messages as core
from ..protocol.graph import CloseRun, GraphDelta, RunClosed
from ..protocol.sampling import SamplingParams
from .events import Checked, FromClient, GrammarNotes, Lowered, LoweringEvent
from .run import LoweredRun
from .run_lowering import RunLowering, Shared
from .template import ChatTemplate
from .tokenizer import TextTokenizer
from .writer import StreamWriter

MAX_RUNS = 65_536


class Lowering:
    """See the module's text.

    Args:
        tokenizer, template: the model's.
        vocabulary: the tokenizer as bytes; its width is that of the logits, which no id of a request may reach.
        defaults: the model's sampling, where a gen asks for nothing.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        template: ChatTemplate,
        vocabulary: Vocabulary,
        defaults: SamplingParams | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._shared = Shared(tokenizer, StreamWriter(template), vocabulary, defaults or SamplingParams())
        self._runs: dict[int, RunLowering] = {}
        self._keys: dict[tuple[int, int], int] = {}
        self._next_run = 0

    def handle(self, events: list[LoweringEvent]) -> Lowered:
        """Apply events in order. An error in one run ends that run or stream, never another."""
        self._shared.out = out = Lowered([], [], [], [])
        for event in events:
            if isinstance(event, FromClient):
                self._from_client(event)
            elif isinstance(event, GrammarNotes):
                if (run := self._runs.get(event.node[0])) is not None:
                    run.run.nodes[event.node[1]].notes = event.notes
            elif isinstance(event, Checked):
                if (run := self._runs.get(event.node[0])) is not None:
                    run.checked(event)
            else:
                self._from_core(event)
        return out

    def _from_client(self, event: FromClient) -> None:
        client, message, now = event
        if message is None:
            for run in self._runs.values():
                if run.run.client == client:
                    run.close(wants_report=False)
            return
        known = self._keys.get((client, message.run))
        if isinstance(message, CloseRun):
            if known is not None:  # else it is closed already: the client's message crossed our last reply
                self._runs[known].close(message.report)
            return
        run_lowering = self._open(client, message, now) if known is None else self._runs[known]
        if run_lowering is None:
            return
        run_lowering.run.deltas += 1
        for node in message.nodes:
            run_lowering.arrive(node)

    def _open(self, client: int, message: GraphDelta, now: float) -> RunLowering | None:
        error: RamifyError | None = None
        if message.open is None:
            error = InvalidRequest(f"run {message.run} is not open", hint="send its options with the first delta")
        elif len(self._runs) >= MAX_RUNS:
            error = Overloaded(f"more than {MAX_RUNS} runs are open", hint="start fewer programs at once")
        if message.open is None or error is not None:
            assert error is not None
            self._shared.out.replies.append((client, RunClosed(message.run, error=to_info(error))))
            return None
        key = self._next_run
        self._next_run += 1
        run = self._runs[key] = RunLowering(self._shared, key, LoweredRun(client, message.run, message.open))
        self._keys[client, message.run] = key
        deadline = None if message.open.timeout is None else now + message.open.timeout
        self._shared.out.core.append(core.OpenRun(key, message.open.tenant, deadline, message.open.priority))
        self._shared.out.core.append(core.OpenStream((key, 0)))
        return run

    def _from_core(self, reply: core.CoreReply) -> None:
        if isinstance(reply, core.RunEnded):
            ended = self._runs.pop(reply.run)
            del self._keys[ended.run.client, ended.run.client_run]
            ended.ended()
        elif (run := self._runs.get(reply.node[0])) is not None:
            run.answer(reply)
