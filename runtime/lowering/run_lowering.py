"""The nodes of one run, onto its streams as far as the text is known, and the core's replies back to the client.

    delta --> nodes --> text runs --> Append, Generate, ForkStream, Mark --> core
    core  --> GenDone --> text --> NodeDone --> client, and on to the streams that wait for it

A stream whose open run needs a value that is not there yet keeps its later nodes here and goes on by itself when the
value arrives.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ...errors import Cancelled, ErrorInfo, InvalidRequest, Overloaded, RamifyError, to_info
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
    EngineReply,
    Fork,
    Gen,
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
from .events import Check, Checked, Compile, Lowered
from .report import report
from .run import Generated, LoweredRun, NodeState, StreamText
from .runs import RunBuilder
from .selection import Selection, choice_trie
from .stops import StopStrings
from .tokenizer import Seam, TextTokenizer
from .writer import StreamWriter

log = logging.getLogger("ramify.lowering")

MAX_HELD = 100_000
"""Nodes held on one stream while it waits for a value."""

FORK = -1
"""`waits_for` of a stream whose parent has not reached the fork yet."""


class Shared:
    """What all runs of one engine are lowered with.

    Attributes:
        tokenizer: the model's.
        writer: writes chat turns by the model's template.
        vocabulary: the tokenizer as bytes; its width is that of the logits, which no id of a request may reach.
        defaults: the model's sampling, where a gen asks for nothing.
        out: what the present batch of events has led to.
    """

    __slots__ = ("defaults", "out", "tokenizer", "vocabulary", "writer")

    def __init__(
        self, tokenizer: TextTokenizer, writer: StreamWriter, vocabulary: Vocabulary, defaults: SamplingParams
    ) -> None:
        self.tokenizer = tokenizer
        self.writer = writer
        self.vocabulary = vocabulary
        self.defaults = defaults
        self.out = Lowered([], [], [], [])


class RunLowering:
    """See the module's text.

    Args:
        shared: the engine's own parts, and where the results go.
        key: the run's number in the core.
        run: its text side, new.
    """

    def __init__(self, shared: Shared, key: int, run: LoweredRun) -> None:
        self.key = key
        self.run = run
        self._shared = shared
        self._tokenizer = shared.tokenizer
        self._writer = shared.writer
        self._vocabulary = shared.vocabulary
        self._defaults = shared.defaults
        run.streams[0] = StreamText((key, 0), RunBuilder(shared.tokenizer))

    def close(self, wants_report: bool) -> None:
        """End the run: gens still held here fail at once, the core fails the others and answers `RunEnded`."""
        error = to_info(Cancelled("the run was closed before this node was done", hint="wait for the value first"))
        self.run.wants_report = wants_report
        for stream in self.run.streams.values():
            for node in stream.queue:
                if isinstance(node, Gen | Select):
                    self._fail_gen(node.node, error)
                elif isinstance(node, Read):
                    self._reply(NodeFailed(self.run.client_run, node.node, error))
            stream.queue.clear()
        for number, state in self.run.nodes.items():
            if state.unchecked is not None:
                state.unchecked = None
                self._fail_gen(number, error)
        self._core(core.CloseRun(self.key, error))

    # ---- nodes --------------------------------------------------------------------------------------------------

    def arrive(self, node: GraphNode) -> None:
        """A node of a delta: check it, start its grammar, and lower it as soon as its stream is there."""
        stream = self.run.streams.get(node.stream)
        if stream is None:
            self._refuse(node, InvalidRequest(f"stream {node.stream} is not open", where=node.site))
            return
        if isinstance(node, Gen | Select):
            if node.node in self.run.nodes:
                self._refuse(node, InvalidRequest(f"node {node.node} exists already", where=node.path))
                return
            self.run.nodes[node.node] = NodeState(node, stream)
            try:
                self._check(node)
            except RamifyError as error:
                self.run.nodes[node.node].error = to_info(error)
            else:
                if isinstance(node, Gen) and node.grammar is not None and not isinstance(node.grammar, Choices):
                    self._shared.out.compiles.append(Compile((self.key, node.node), node.grammar, self.run.owner))
        elif isinstance(node, Fork):
            if node.child in self.run.streams:
                self._refuse(node, InvalidRequest(f"stream {node.child} is open already", where=node.site))
                return
            # The child may be named by the next node, before its parent gets here.
            child = self.run.streams[node.child] = StreamText((self.key, node.child), RunBuilder(self._tokenizer))
            child.waits_for = FORK
        elif isinstance(node, CancelStream):  # it overtakes what is held
            self._cancel(stream)
            return
        if stream.waits_for is not None and len(stream.queue) >= MAX_HELD:
            full = Overloaded(f"more than {MAX_HELD} nodes wait on one stream", hint="look at a value before going on")
            self._refuse(node, full)
            stream.error = stream.error or to_info(full)
        elif stream.waits_for is not None:
            stream.queue.append(node)
        else:
            self._lower(stream, node)

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

    def _lower(self, stream: StreamText, node: GraphNode) -> None:
        """Lower one node onto its stream. An error poisons the stream: what follows on it fails with the same error."""
        if stream.error is not None:
            self._lower_poisoned(stream, node)
            return
        calls = self._tokenizer.encode_calls
        try:
            match node:
                case Text():
                    (self._writer.control if node.control else self._writer.text)(stream, node.text)
                case Argument():
                    self._writer.text(stream, node.text)
                case ValueEdge():
                    self._value(stream, node)
                case OpenRole():
                    self._open_role(stream, node)
                case CloseRole():
                    self._writer.close_role(stream)
                case Gen():
                    self._gen(stream, node)
                case Select():
                    self._select(stream, node)
                case Fork():
                    self._fork(stream, node)
                case Read():
                    self._seam(stream)
                    self._core(core.Mark(stream.key, (self.key, node.node)))
                case Release():
                    self._core(core.CloseStream(stream.key))
        except Exception as error:  # the boundary of this stream: not even a fault of ours reaches another
            if isinstance(error, RamifyError):
                error.where = error.where or node.site
            else:
                log.exception("lowering %s failed", type(node).__name__)
            stream.error = to_info(error)
            if isinstance(node, Gen | Select | Read | Fork):
                self._lower_poisoned(stream, node)
        self.run.text_runs += self._tokenizer.encode_calls - calls

    def _lower_poisoned(self, stream: StreamText, node: GraphNode) -> None:
        assert stream.error is not None
        match node:
            case Gen() | Select():
                self._fail_gen(node.node, stream.error)
            case Read():
                self._reply(NodeFailed(self.run.client_run, node.node, stream.error))
            case Fork():
                child = self.run.streams[node.child]
                self._core(core.ForkStream(stream.key, child.key))
                child.error = stream.error
                self._resume(child)
            case Release():
                self._core(core.CloseStream(stream.key))

    def _cancel(self, stream: StreamText) -> None:
        error = to_info(Cancelled("the stream was cancelled", hint="do not look at its values"))
        error = stream.error = stream.error or error
        self._core(core.AbortStream(stream.key, error))
        selection = next((each for each in self.run.selections.values() if each.key == stream.key), None)
        if selection is not None:  # it stands there once for each of its parts
            self._shared.out.core.extend(selection.abort(error))
        if stream.waits_for != FORK:  # what is held fails now, not when the value comes
            self._resume(stream)

    def _refuse(self, node: GraphNode, error: RamifyError) -> None:
        """Answer a node that was never taken in."""
        if isinstance(node, Gen | Select | Read):
            self._reply(NodeFailed(self.run.client_run, node.node, to_info(error)))

    # ---- text ---------------------------------------------------------------------------------------------------

    def _open_role(self, stream: StreamText, node: OpenRole) -> None:
        if self._writer.may_rewrite and stream.turn is None:
            for turn in stream.turns:
                for part in turn.parts:
                    if isinstance(part, int) and not self.run.nodes[part].ended:
                        self._wait(stream, part)
                        stream.queue.appendleft(node)
                        return
            self._writer.check_turns(stream, node.role, lambda part: self._spelled(self.run.nodes[part]))
        self._writer.open_role(stream, node.role)

    def _spelled(self, state: NodeState) -> str:
        """What a value's ids spell in its stream: special tokens count, and what a stop string left over is text."""
        return "" if state.ids is None else self._tokenizer.decode(state.ids, skip_special=False)

    def _seam(self, stream: StreamText) -> None:
        """Close the open run and send what is closed."""
        self._writer.write_content(stream, closes=False)
        ids = stream.builder.close()
        if len(ids):
            stream.log.append(ids)
            self._core(core.Append(stream.key, ids))

    # ---- nodes that are seams -----------------------------------------------------------------------------------

    def _gen(self, stream: StreamText, gen: Gen) -> None:
        state = self._begin(stream, gen)
        if state is None:
            return
        if isinstance(gen.grammar, Choices):
            trie = self._trie(stream, gen.grammar.options)
            matcher = MatcherState(TrieMatcher(trie, self._vocabulary.tokens), self._vocabulary)
            shortest = min(map(len, trie.choices))
            self._core(core.GrammarReady((self.key, gen.node), matcher, min_tokens=shortest))
        stream.builder, stream.begun = RunBuilder(self._tokenizer, after=Seam.TEXT), True
        if gen.events:
            state.detokenizer = self._detokenizer(state)
            state.stops = StopStrings(self._detokenizer(state), gen.stop) if gen.stop else None
        model_stops = () if gen.ignore_eos else self._tokenizer.stop_ids
        watch = StopStrings(self._detokenizer(state), gen.stop) if gen.stop else None
        self._core(
            core.Generate(
                key=stream.key,
                node=(self.key, gen.node),
                sampling=fill(gen.sampling, self._defaults, gen.seed, gen.logprobs),
                max_tokens=gen.max_tokens,
                stop_ids=tuple(dict.fromkeys((*model_stops, *gen.stop_ids))),
                stop_watch=watch,
                grammar=gen.grammar is not None,
                stream=gen.events,
            )
        )
        if gen.stop:  # the token that a stop string cuts may leave text, which opens the next text run
            self._wait(stream, gen.node)

    def _begin(self, stream: StreamText, node: Gen | Select) -> NodeState | None:
        """Write what stands in front of a value that the model gives; None if the node was refused on arrival."""
        state = self.run.nodes[node.node]
        if state.error is not None:
            stream.error = state.error
            self._fail_gen(node.node, state.error)
            return None
        if stream.turn is None:
            self._writer.begin_raw(stream)
        else:
            self._writer.open_turn(stream, generates=True)
        self._seam(stream)
        if stream.turn is not None:
            stream.turn.parts.append(node.node)
        self.run.log_lengths[node.node] = len(stream.log)
        stream.log.append(node.node)
        return state

    def _select(self, stream: StreamText, select: Select) -> None:
        if self._begin(stream, select) is None:
            return
        selection = Selection(select, self._trie(stream, select.choices), stream.key)
        stream.builder, stream.begun = RunBuilder(self._tokenizer, after=Seam.TEXT), True
        self._wait(stream, select.node)
        if not selection.trie.branches:  # a single choice: there is nothing to ask the model
            self._selected(selection, prompt=0)
            return
        self._shared.out.core.extend(selection.start(self.run.next_part))
        self.run.next_part -= len(selection.parts)
        self.run.selections.update(dict.fromkeys(selection.parts, selection))

    def _trie(self, stream: StreamText, choices: Iterable[str]) -> TokenTrie:
        """The choices where the stream ends."""
        return choice_trie(self._tokenizer, stream.builder.seam, choices)

    def _selected(self, selection: Selection, prompt: int) -> None:
        """All scores are there: append the choice and answer."""
        state = self.run.nodes[selection.select.node]
        answer = selection.answer(self.run.client_run, prompt)
        state.text, state.ids = answer.text, unpack(answer.ids)
        self._core(core.Append(selection.key, state.ids))
        self.run.prefill += answer.usage.computed
        self.run.retractions += answer.usage.retractions
        length = self.run.log_lengths[answer.node]
        self.run.finished.append(Generated(state.stream, length, answer.node, False, selection.trie.paths))
        if selection.select.events:
            self._reply(TextDelta(self.run.client_run, answer.node, answer.text))
        self._reply(answer)
        self._wake(state)

    def _fork(self, stream: StreamText, node: Fork) -> None:
        self._seam(stream)
        child = self.run.streams[node.child]
        self._core(core.ForkStream(stream.key, child.key))
        child.begin_at(stream, RunBuilder(self._tokenizer, after=stream.builder.seam))
        self._resume(child)

    def _value(self, stream: StreamText, edge: ValueEdge) -> None:
        state = self.run.nodes.get(edge.source)
        if state is None:
            raise InvalidRequest(f"a value edge names node {edge.source}, which does not exist", where=edge.site)
        check_path(edge.field, edge.site)
        if state.text is not None:
            self._writer.text(stream, field_text(state.text, edge.field) if edge.field else state.text)
        elif state.error is not None:
            stream.error = state.error
        else:
            self._wait(stream, edge.source)
            stream.queue.appendleft(edge)

    def _wait(self, stream: StreamText, source: int) -> None:
        stream.waits_for = source
        self.run.nodes[source].waiters.append(stream)

    def _resume(self, stream: StreamText) -> None:
        """What the stream waited for is there: lower what it holds, as far as that goes."""
        stream.waits_for = None
        while stream.queue and stream.waits_for is None:
            self._lower(stream, stream.queue.popleft())

    # ---- the core's replies -------------------------------------------------------------------------------------

    def answer(self, reply: core.GenTokens | core.GenDone | core.GenFailed | core.Marked) -> None:
        """One reply of the core to a node of this run, or to a part of a select."""
        _, node = reply.node
        if node < 0:
            self._from_part(node, reply)
            return
        match reply:
            case core.GenTokens():
                self._tokens(node, reply)
            case core.GenDone():
                self._done(node, reply)
            case core.GenFailed():
                self._fail_gen(node, reply.error)
            case core.Marked():
                if reply.error is not None:
                    self._reply(NodeFailed(self.run.client_run, node, reply.error))
                else:
                    text = self._tokenizer.decode(unpack(reply.ids), skip_special=False, first=True)
                    self._reply(StreamIds(self.run.client_run, node, reply.ids, text))

    def _from_part(self, part: int, reply: core.CoreReply) -> None:
        """One branch of a select has its scores, or has failed, and the select with it."""
        selection = self.run.selections.pop(part, None)
        if selection is None:
            return
        if isinstance(reply, core.GenDone):
            if selection.take(part, reply):
                self._selected(selection, selection.prompt)
        elif isinstance(reply, core.GenFailed):
            for other in selection.parts:
                self.run.selections.pop(other, None)
            self._shared.out.core.extend(selection.abort(reply.error))
            self._fail_gen(selection.select.node, reply.error)

    def _tokens(self, node: int, reply: core.GenTokens) -> None:
        """Stream text that no stop string can take back any more."""
        state = self.run.nodes[node]
        assert state.detokenizer is not None
        ids = unpack(reply.ids).tolist()
        text = (state.stops or state.detokenizer).push(ids)
        if text:
            self._reply(TextDelta(self.run.client_run, node, text))
            state.streamed += len(text)

    def _done(self, node: int, reply: core.GenDone) -> None:
        state = self.run.nodes[node]
        ids = state.ids = unpack(reply.ids)
        state.leftover = reply.leftover
        text = self._tokenizer.decode(ids, skip_special=not state.shows_control) + reply.leftover
        state.text = text
        if state.node.events and state.streamed < len(text):
            self._reply(TextDelta(self.run.client_run, node, text[state.streamed :]))
        state.detokenizer = state.stops = None
        usage = reply.usage
        self.run.prefill += usage.computed
        self.run.retractions += usage.retractions
        self.run.finished.append(Generated(state.stream, self.run.log_lengths[node], node, reply.reason == "stop"))
        done = NodeDone(
            self.run.client_run,
            node,
            text,
            reply.ids,
            reply.reason,
            Usage(usage.prompt, usage.cached, usage.computed, usage.decoded, usage.retractions),
            None if reply.logprobs is None else [_logprob(entry, self._tokenizer) for entry in reply.logprobs],
            notes=state.notes,
        )
        spec = state.node.grammar if isinstance(state.node, Gen) else None
        if spec is not None and is_validated(spec):
            state.text, state.unchecked = None, done  # no value until its text is known to be one
            self._shared.out.checks.append(Check((self.key, node), spec, text, self.run.owner))
            return
        self._reply(done)
        self._wake(state)

    def checked(self, event: Checked) -> None:
        """A finished text was validated."""
        state = self.run.nodes[event.node[1]]
        done, state.unchecked = state.unchecked, None
        if done is None:  # the run was closed meanwhile
            return
        if event.error is not None:
            self._fail_gen(done.node, event.error)
            return
        state.text = done.text
        self._reply(done)
        self._wake(state)

    def _wake(self, state: NodeState) -> None:
        """The value is there: the streams that wait for it go on."""
        waiters, state.waiters = state.waiters, []
        for stream in waiters:
            if stream is state.stream and state.leftover:
                self._writer.text(stream, state.leftover)
            self._resume(stream)

    def _fail_gen(self, node: int, error: ErrorInfo) -> None:
        """The gen's terminal reply is an error; its stream and whoever waits for its value fail with it."""
        state = self.run.nodes[node]
        state.error = error
        state.stream.error = state.stream.error or error
        self._reply(NodeFailed(self.run.client_run, node, error))
        waiters, state.waiters = state.waiters, []
        for stream in waiters:
            stream.error = stream.error or error
            self._resume(stream)

    def ended(self) -> None:
        """The core has freed everything of the run: tell the client."""
        result = report(self.run, self._retokenize) if self.run.wants_report else None
        self._reply(RunClosed(self.run.client_run, result))

    def _retokenize(self, ids: core.Ids) -> core.Ids:
        """What a client's text of these ids would be tokenized to."""
        return self._tokenizer.encode_whole(self._tokenizer.decode(ids, skip_special=False, first=True))

    def _detokenizer(self, state: NodeState) -> StreamDetokenizer:
        return StreamDetokenizer(self._tokenizer, skip_special=not state.shows_control)

    # ---- out ----------------------------------------------------------------------------------------------------

    def _core(self, message: core.CoreInput) -> None:
        self._shared.out.core.append(message)

    def _reply(self, reply: EngineReply) -> None:
        self._shared.out.replies.append((self.run.client, reply))


def _logprob(entry: core.TokenLogprob, tokenizer: TextTokenizer) -> TokenLogprob:
    def text(token: int) -> str:
        return tokenizer.decode([token], skip_special=False)

    return TokenLogprob(
        entry.token, text(entry.token), entry.logprob, [(i, text(i), logprob) for i, logprob in entry.top]
    )
