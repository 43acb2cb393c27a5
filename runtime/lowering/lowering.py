"""Graph nodes to token ids, and generated ids to text.

Lowering owns everything that is text: chat templates, text runs, value edges, stop strings and detokenizing. It turns
each delta into operations on the core's streams as far as the text is known; a stream whose open run needs a value that
is not there yet keeps its later nodes here and goes on by itself when the value arrives. It is called with one batch of
events at a time, on any thread, and does no I/O.

    delta --> nodes --> text runs --> Append, Generate, ForkStream, Mark --> core
    core  --> GenDone --> text --> NodeDone --> client, and on to the streams that wait for it
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ...errors import (
    Cancelled,
    ErrorInfo,
    InvalidRequest,
    Overloaded,
    RamifyError,
    to_info,
)
from ...grammar.choices import check_choices
from ...grammar.matcher import MatcherState
from ...grammar.spec import Choices
from ...grammar.trie import TokenTrie, TrieMatcher
from ...grammar.validate import is_validated
from ...grammar.vocabulary import Vocabulary
from ..core import messages as core
from ..protocol.fields import check_path, field_text
from ..protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    CloseRun,
    EngineReply,
    Fork,
    Gen,
    GraphDelta,
    GraphNode,
    NodeDone,
    NodeFailed,
    OpenRole,
    Read,
    Release,
    RunClosed,
    Select,
    StreamIds,
    Text,
    TextDelta,
    TokenLogprob,
    Usage,
    ValueEdge,
)
from ..protocol.sampling import SamplingParams
from ..protocol.tokens import unpack
from ..protocol.validate import check_gen, check_select, fill
from .detokenizer import StreamDetokenizer
from .events import Check, Checked, Compile, FromClient, Lowered, LoweringEvent
from .report import report
from .run import Generated, LoweredRun, NodeState, StreamText
from .runs import RunBuilder
from .selection import Selection
from .stops import StopStrings
from .template import ChatTemplate
from .tokenizer import Seam, TextTokenizer
from .writer import StreamWriter

log = logging.getLogger("ramify.lowering")

MAX_RUNS = 65_536
MAX_HELD = 100_000
"""Nodes held on one stream while it waits for a value."""

FORK = -1
"""`waits_for` of a stream whose parent has not reached the fork yet."""


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
        self._writer = StreamWriter(template)
        self._vocabulary = vocabulary
        self._defaults = defaults or SamplingParams()
        self._runs: dict[int, LoweredRun] = {}
        self._keys: dict[tuple[int, int], int] = {}
        self._next_run = 0
        self._out = Lowered([], [], [], [])

    def handle(self, events: list[LoweringEvent]) -> Lowered:
        """Apply events in order. An error in one run ends that run or stream, never another."""
        self._out = out = Lowered([], [], [], [])
        for event in events:
            if isinstance(event, FromClient):
                self._from_client(event)
            elif isinstance(event, Checked):
                self._checked(event)
            else:
                self._from_core(event)
        return out

    # ---- clients ------------------------------------------------------------------------------------------------

    def _from_client(self, event: FromClient) -> None:
        client, message, now = event
        if message is None:
            for key, run in self._runs.items():
                if run.client == client:
                    self._close(key, run, wants_report=False)
            return
        known = self._keys.get((client, message.run))
        if known is not None:
            key, run = known, self._runs[known]
        elif isinstance(message, CloseRun):
            return  # closed already; the client's message crossed our last reply
        else:
            opened = self._open(client, message, now)
            if opened is None:
                return
            key, run = opened
        if isinstance(message, CloseRun):
            self._close(key, run, message.report)
            return
        run.deltas += 1
        for node in message.nodes:
            self._arrive(key, run, node)

    def _open(self, client: int, message: GraphDelta, now: float) -> tuple[int, LoweredRun] | None:
        error: RamifyError | None = None
        if message.open is None:
            error = InvalidRequest(f"run {message.run} is not open", hint="send its options with the first delta")
        elif len(self._runs) >= MAX_RUNS:
            error = Overloaded(f"more than {MAX_RUNS} runs are open", hint="start fewer programs at once")
        if message.open is None or error is not None:
            assert error is not None
            self._out.replies.append((client, RunClosed(message.run, error=to_info(error))))
            return None
        key = self._next_run
        self._next_run += 1
        run = self._runs[key] = LoweredRun(client, message.run, message.open)
        self._keys[client, message.run] = key
        run.streams[0] = StreamText(RunBuilder(self.tokenizer))
        deadline = None if message.open.timeout is None else now + message.open.timeout
        self._core(core.OpenRun(key, message.open.tenant, deadline, message.open.priority))
        self._core(core.OpenStream((key, 0)))
        return key, run

    def _close(self, key: int, run: LoweredRun, wants_report: bool) -> None:
        """End the run: gens still held here fail at once, the core fails the others and answers `RunEnded`."""
        error = to_info(Cancelled("the run was closed before this node was done", hint="wait for the value first"))
        run.wants_report = wants_report
        for stream in run.streams.values():
            for node in stream.queue:
                if isinstance(node, Gen | Select):
                    self._fail_gen(key, run, node.node, error)
                elif isinstance(node, Read):
                    self._reply(run, NodeFailed(run.client_run, node.node, error))
            stream.queue.clear()
        for number, state in run.nodes.items():
            if state.unchecked is not None:
                state.unchecked = None
                self._fail_gen(key, run, number, error)
        self._core(core.CloseRun(key, error))

    # ---- nodes --------------------------------------------------------------------------------------------------

    def _arrive(self, key: int, run: LoweredRun, node: GraphNode) -> None:
        """A node of a delta: check it, start its grammar, and lower it as soon as its stream is there."""
        stream = run.streams.get(node.stream)
        if stream is None:
            self._refuse(key, run, node, InvalidRequest(f"stream {node.stream} is not open", where=node.site))
            return
        if isinstance(node, Gen | Select):
            if node.node in run.nodes:
                self._refuse(key, run, node, InvalidRequest(f"node {node.node} exists already", where=node.path))
                return
            run.nodes[node.node] = NodeState(node, stream)
            try:
                self._check(node)
            except RamifyError as error:
                run.nodes[node.node].error = to_info(error)
            else:
                if isinstance(node, Gen) and node.grammar is not None and not isinstance(node.grammar, Choices):
                    self._out.compiles.append(Compile((key, node.node), node.grammar, run.owner))
        elif isinstance(node, Fork):
            if node.child in run.streams:
                self._refuse(key, run, node, InvalidRequest(f"stream {node.child} is open already", where=node.site))
                return
            # The child may be named by the next node, before its parent gets here.
            child = run.streams[node.child] = StreamText(RunBuilder(self.tokenizer))
            child.waits_for = FORK
        elif isinstance(node, CancelStream):  # it overtakes what is held
            self._cancel(key, run, node.stream, stream)
            return
        if stream.waits_for is not None and len(stream.queue) >= MAX_HELD:
            full = Overloaded(f"more than {MAX_HELD} nodes wait on one stream", hint="look at a value before going on")
            self._refuse(key, run, node, full)
            stream.error = stream.error or to_info(full)
        elif stream.waits_for is not None:
            stream.queue.append(node)
        else:
            self._lower(key, run, node.stream, stream, node)

    def _check(self, gen: Gen | Select) -> None:
        if isinstance(gen, Select):
            check_select(gen)
            return
        check_gen(gen)
        if isinstance(gen.grammar, Choices):
            check_choices(gen.grammar)
        for token in gen.stop_ids:
            if not 0 <= token < self._vocabulary.width:
                raise InvalidRequest(
                    f"stop id {token}", where=gen.path, hint=f"the model's ids are below {self._vocabulary.width}"
                )

    def _lower(self, key: int, run: LoweredRun, number: int, stream: StreamText, node: GraphNode) -> None:
        """Lower one node onto its stream. An error poisons the stream: what follows on it fails with the same error."""
        if stream.error is not None:
            self._lower_poisoned(key, run, number, stream, node)
            return
        calls = self.tokenizer.encode_calls
        try:
            match node:
                case Text():
                    (self._writer.control if node.control else self._writer.text)(stream, node.text)
                case Argument():
                    self._writer.text(stream, node.text)
                case ValueEdge():
                    self._value(key, run, number, stream, node)
                case OpenRole():
                    self._open_role(run, number, stream, node)
                case CloseRole():
                    self._writer.close_role(stream)
                case Gen():
                    self._gen(key, run, number, stream, node)
                case Select():
                    self._select(key, run, number, stream, node)
                case Fork():
                    self._fork(key, run, number, stream, node)
                case Read():
                    self._seam((key, number), stream)
                    self._core(core.Mark((key, number), (key, node.node)))
                case Release():
                    self._core(core.CloseStream((key, number)))
        except Exception as error:  # the boundary of this stream: not even a fault of ours reaches another
            if isinstance(error, RamifyError):
                error.where = error.where or node.site
            else:
                log.exception("lowering %s failed", type(node).__name__)
            stream.error = to_info(error)
            if isinstance(node, Gen | Select | Read | Fork):
                self._lower_poisoned(key, run, number, stream, node)
        run.text_runs += self.tokenizer.encode_calls - calls

    def _lower_poisoned(self, key: int, run: LoweredRun, number: int, stream: StreamText, node: GraphNode) -> None:
        assert stream.error is not None
        match node:
            case Gen() | Select():
                self._fail_gen(key, run, node.node, stream.error)
            case Read():
                self._reply(run, NodeFailed(run.client_run, node.node, stream.error))
            case Fork():
                self._core(core.ForkStream((key, number), (key, node.child)))
                child = run.streams[node.child]
                child.error = stream.error
                self._resume(key, run, node.child, child)
            case Release():
                self._core(core.CloseStream((key, number)))

    def _cancel(self, key: int, run: LoweredRun, number: int, stream: StreamText) -> None:
        error = to_info(Cancelled("the stream was cancelled", hint="do not look at its values"))
        error = stream.error = stream.error or error
        self._core(core.AbortStream((key, number), error))
        selection = next((each for each in run.selections.values() if each.key == (key, number)), None)
        if selection is not None:  # it stands there once for each of its parts
            self._out.core.extend(selection.abort(error))
        if stream.waits_for != FORK:  # what is held fails now, not when the value comes
            self._resume(key, run, number, stream)

    def _refuse(self, key: int, run: LoweredRun, node: GraphNode, error: RamifyError) -> None:
        """Answer a node that was never taken in."""
        if isinstance(node, Gen | Select | Read):
            self._reply(run, NodeFailed(run.client_run, node.node, to_info(error)))

    # ---- text ---------------------------------------------------------------------------------------------------

    def _open_role(self, run: LoweredRun, number: int, stream: StreamText, node: OpenRole) -> None:
        if self._writer.may_rewrite and stream.turn is None:
            for turn in stream.turns:
                for part in turn.parts:
                    if isinstance(part, int) and not run.nodes[part].ended:
                        self._wait(run, number, stream, part)
                        stream.queue.appendleft(node)
                        return
            self._writer.check_turns(stream, node.role, lambda part: self._spelled(run.nodes[part]))
        self._writer.open_role(stream, node.role)

    def _spelled(self, state: NodeState) -> str:
        """What a value's ids spell in its stream: special tokens count, and what a stop string left over is text."""
        return "" if state.ids is None else self.tokenizer.decode(state.ids, skip_special=False)

    def _seam(self, at: core.StreamKey, stream: StreamText) -> None:
        """Close the open run and send what is closed."""
        self._writer.write_content(stream, closes=False)
        ids = stream.builder.close()
        if len(ids):
            stream.log.append(ids)
            self._core(core.Append(at, ids))

    # ---- nodes that are seams -----------------------------------------------------------------------------------

    def _gen(self, key: int, run: LoweredRun, number: int, stream: StreamText, gen: Gen) -> None:
        state = self._begin(key, run, number, stream, gen)
        if state is None:
            return
        if isinstance(gen.grammar, Choices):
            matcher = TrieMatcher(self._trie(run, stream, gen.grammar.options), self._vocabulary.tokens)
            self._core(core.GrammarReady((key, gen.node), MatcherState(matcher, self._vocabulary)))
        stream.builder, stream.begun = RunBuilder(self.tokenizer, after=Seam.TEXT), True
        if gen.events:
            state.detokenizer = StreamDetokenizer(self.tokenizer)
            state.stops = StopStrings(StreamDetokenizer(self.tokenizer), gen.stop) if gen.stop else None
        model_stops = () if gen.ignore_eos else self.tokenizer.stop_ids
        watch = StopStrings(StreamDetokenizer(self.tokenizer), gen.stop) if gen.stop else None
        self._core(
            core.Generate(
                key=(key, number),
                node=(key, gen.node),
                sampling=fill(gen.sampling, self._defaults, gen.seed, gen.logprobs),
                max_tokens=gen.max_tokens,
                stop_ids=tuple(dict.fromkeys((*model_stops, *gen.stop_ids))),
                stop_watch=watch,
                grammar=gen.grammar is not None,
                stream=gen.events,
            )
        )
        if gen.stop:  # the token that a stop string cuts may leave text, which opens the next text run
            self._wait(run, number, stream, gen.node)

    def _begin(
        self, key: int, run: LoweredRun, number: int, stream: StreamText, node: Gen | Select
    ) -> NodeState | None:
        """Write what stands in front of a value that the model gives; None if the node was refused on arrival."""
        state = run.nodes[node.node]
        if state.error is not None:
            stream.error = state.error
            self._fail_gen(key, run, node.node, state.error)
            return None
        if stream.turn is None:
            self._writer.begin_raw(stream)
        else:
            self._writer.open_turn(stream, generates=True)
        self._seam((key, number), stream)
        if stream.turn is not None:
            stream.turn.parts.append(node.node)
        run.log_lengths[node.node] = len(stream.log)
        stream.log.append(node.node)
        return state

    def _select(self, key: int, run: LoweredRun, number: int, stream: StreamText, select: Select) -> None:
        if self._begin(key, run, number, stream, select) is None:
            return
        selection = Selection(select, self._trie(run, stream, select.choices), (key, number))
        stream.builder, stream.begun = RunBuilder(self.tokenizer, after=Seam.TEXT), True
        self._wait(run, number, stream, select.node)
        if not selection.trie.branches:  # a single choice: there is nothing to ask the model
            self._selected(key, run, selection, prompt=0)
            return
        self._out.core.extend(selection.start(run.next_part))
        run.next_part -= len(selection.parts)
        run.selections.update(dict.fromkeys(selection.parts, selection))

    def _trie(self, run: LoweredRun, stream: StreamText, texts: Iterable[str]) -> TokenTrie:
        """Choices as the ids that the tokenizer would give them where the stream ends."""
        seam, choices = stream.builder.seam, dict.fromkeys(texts)
        ids = [self.tokenizer.encode(choice, after=seam).tolist() for choice in choices]
        run.text_runs -= len(ids)  # not text of the stream: `_lower` counts every call of the tokenizer
        for choice, spelled in zip(choices, ids, strict=True):
            text = self.tokenizer.decode(spelled, skip_special=False)
            if text != choice:
                raise InvalidRequest(
                    f"the tokenizer spells the choice {choice!r} as {text!r}", hint="write it as the tokenizer does"
                )
        return TokenTrie(ids, self.tokenizer.stop_ids)

    def _selected(self, key: int, run: LoweredRun, selection: Selection, prompt: int) -> None:
        """All scores are there: append the choice and answer."""
        state = run.nodes[selection.select.node]
        answer = selection.answer(run.client_run, prompt)
        state.text, state.ids = answer.text, unpack(answer.ids)
        self._core(core.Append(selection.key, state.ids))
        run.prefill += answer.usage.computed
        run.retractions += answer.usage.retractions
        length = run.log_lengths[answer.node]
        run.finished.append(Generated(state.stream, length, answer.node, False, selection.trie.paths))
        if selection.select.events:
            self._reply(run, TextDelta(run.client_run, answer.node, answer.text))
        self._reply(run, answer)
        self._wake(key, run, state)

    def _fork(self, key: int, run: LoweredRun, number: int, stream: StreamText, node: Fork) -> None:
        self._seam((key, number), stream)
        self._core(core.ForkStream((key, number), (key, node.child)))
        child = run.streams[node.child]
        child.begin_at(stream, RunBuilder(self.tokenizer, after=stream.builder.seam))
        self._resume(key, run, node.child, child)

    def _value(self, key: int, run: LoweredRun, number: int, stream: StreamText, edge: ValueEdge) -> None:
        state = run.nodes.get(edge.source)
        if state is None:
            raise InvalidRequest(f"a value edge names node {edge.source}, which does not exist", where=edge.site)
        check_path(edge.field, edge.site)
        if state.text is not None:
            self._writer.text(stream, field_text(state.text, edge.field) if edge.field else state.text)
        elif state.error is not None:
            stream.error = state.error
        else:
            self._wait(run, number, stream, edge.source)
            stream.queue.appendleft(edge)

    def _wait(self, run: LoweredRun, number: int, stream: StreamText, source: int) -> None:
        stream.waits_for = source
        run.nodes[source].waiters.append(number)

    def _resume(self, key: int, run: LoweredRun, number: int, stream: StreamText) -> None:
        """What the stream waited for is there: lower what it holds, as far as that goes."""
        stream.waits_for = None
        while stream.queue and stream.waits_for is None:
            self._lower(key, run, number, stream, stream.queue.popleft())

    # ---- the core's replies -------------------------------------------------------------------------------------

    def _from_core(self, reply: core.CoreReply) -> None:
        if isinstance(reply, core.RunEnded):
            self._ended(reply.run)
            return
        key, node = reply.node
        run = self._runs.get(key)
        if run is None:
            return
        if node < 0:
            self._from_part(key, run, node, reply)
            return
        match reply:
            case core.GenTokens():
                self._tokens(run, node, reply)
            case core.GenDone():
                self._done(key, run, node, reply)
            case core.GenFailed():
                self._fail_gen(key, run, node, reply.error)
            case core.Marked():
                if reply.error is not None:
                    self._reply(run, NodeFailed(run.client_run, node, reply.error))
                else:
                    text = self.tokenizer.decode(unpack(reply.ids), skip_special=False, first=True)
                    self._reply(run, StreamIds(run.client_run, node, reply.ids, text))

    def _from_part(self, key: int, run: LoweredRun, part: int, reply: core.CoreReply) -> None:
        """One branch of a select has its scores, or has failed, and the select with it."""
        selection = run.selections.pop(part, None)
        if selection is None:
            return
        if isinstance(reply, core.GenDone):
            if selection.take(part, reply):
                self._selected(key, run, selection, selection.prompt)
        elif isinstance(reply, core.GenFailed):
            for other in selection.parts:
                run.selections.pop(other, None)
            self._out.core.extend(selection.abort(reply.error))
            self._fail_gen(key, run, selection.select.node, reply.error)

    def _tokens(self, run: LoweredRun, node: int, reply: core.GenTokens) -> None:
        """Stream text that no stop string can take back any more."""
        state = run.nodes[node]
        assert state.detokenizer is not None
        ids = unpack(reply.ids).tolist()
        text = (state.stops or state.detokenizer).push(ids)
        if text:
            self._reply(run, TextDelta(run.client_run, node, text))
            state.streamed += len(text)

    def _done(self, key: int, run: LoweredRun, node: int, reply: core.GenDone) -> None:
        state = run.nodes[node]
        ids = state.ids = unpack(reply.ids)
        state.leftover = reply.leftover
        text = self.tokenizer.decode(ids, skip_special=True) + reply.leftover
        state.text = text
        if state.node.events and state.streamed < len(text):
            self._reply(run, TextDelta(run.client_run, node, text[state.streamed :]))
        state.detokenizer = state.stops = None
        usage = reply.usage
        run.prefill += usage.computed
        run.retractions += usage.retractions
        run.finished.append(Generated(state.stream, run.log_lengths[node], node, reply.reason == "stop"))
        done = NodeDone(
            run.client_run,
            node,
            text,
            reply.ids,
            reply.reason,
            Usage(usage.prompt, usage.cached, usage.computed, usage.decoded, usage.retractions),
            None if reply.logprobs is None else [_logprob(entry, self.tokenizer) for entry in reply.logprobs],
        )
        spec = state.node.grammar if isinstance(state.node, Gen) else None
        if spec is not None and is_validated(spec):
            state.text, state.unchecked = None, done  # no value until its text is known to be one
            self._out.checks.append(Check((key, node), spec, text, run.owner))
            return
        self._reply(run, done)
        self._wake(key, run, state)

    def _checked(self, event: Checked) -> None:
        """A finished text was validated; its run may have gone meanwhile."""
        key, node = event.node
        run = self._runs.get(key)
        if run is None or (done := run.nodes[node].unchecked) is None:
            return
        state = run.nodes[node]
        state.unchecked = None
        if event.error is not None:
            self._fail_gen(key, run, node, event.error)
            return
        state.text = done.text
        self._reply(run, done)
        self._wake(key, run, state)

    def _wake(self, key: int, run: LoweredRun, state: NodeState) -> None:
        """The value is there: the streams that wait for it go on."""
        waiters, state.waiters = state.waiters, []
        for number in waiters:
            stream = run.streams[number]
            if stream is state.stream and state.leftover:
                self._writer.text(stream, state.leftover)
            self._resume(key, run, number, stream)

    def _fail_gen(self, key: int, run: LoweredRun, node: int, error: ErrorInfo) -> None:
        """The gen's terminal reply is an error; its stream and whoever waits for its value fail with it."""
        state = run.nodes[node]
        state.error = error
        state.stream.error = state.stream.error or error
        self._reply(run, NodeFailed(run.client_run, node, error))
        waiters, state.waiters = state.waiters, []
        for number in waiters:
            stream = run.streams[number]
            stream.error = stream.error or error
            self._resume(key, run, number, stream)

    def _ended(self, key: int) -> None:
        run = self._runs.pop(key)
        del self._keys[run.client, run.client_run]
        result = report(run, self._retokenize) if run.wants_report else None
        self._reply(run, RunClosed(run.client_run, result))

    def _retokenize(self, ids: core.Ids) -> core.Ids:
        """What a client's text of these ids would be tokenized to."""
        return self.tokenizer.encode_whole(self.tokenizer.decode(ids, skip_special=False, first=True))

    # ---- out ----------------------------------------------------------------------------------------------------

    def _core(self, message: core.CoreInput) -> None:
        self._out.core.append(message)

    def _reply(self, run: LoweredRun, reply: EngineReply) -> None:
        self._out.replies.append((run.client, reply))


def _logprob(entry: core.TokenLogprob, tokenizer: TextTokenizer) -> TokenLogprob:
    def text(token: int) -> str:
        return tokenizer.decode([token], skip_special=False)

    return TokenLogprob(
        entry.token, text(entry.token), entry.logprob, [(i, text(i), logprob) for i, logprob in entry.top]
    )
