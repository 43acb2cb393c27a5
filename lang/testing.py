"""Unit tests for programs: `Scripted` is an engine without a model, which answers from a script and records what it
saw.

    engine = Scripted({"kind": "bug", "fix": [Fix("a", 1), Fix("b", 2)]})
    assert triage.on(engine).run("It crashes.") == Fix("a", 1)
    assert engine.calls[0].messages[-1] == {"role": "user", "content": "It crashes."}

Answers of typed gens are checked against the gen's schema with an independent validator, so a script cannot promise
what a model could not give; answers to structures are their text, which must be of the structure.
"""

from __future__ import annotations

import enum
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ..errors import Cancelled, InvalidRequest, OutputInvalid, RamifyError, to_info
from ..grammar.prepare import notes_of
from ..grammar.report import GrammarReport, Note
from ..grammar.segments import Segment, read_segments
from ..grammar.spec import JsonSchema, StructuralTag
from ..grammar.structure import resolve
from ..runtime.protocol.fields import field_text
from ..runtime.protocol.graph import (
    Argument,
    CancelStream,
    ClientMessage,
    CloseRole,
    CloseRun,
    EngineReply,
    Fork,
    Gen,
    GenNotes,
    GraphDelta,
    GraphNode,
    NodeDone,
    NodeFailed,
    OpenRole,
    Read,
    Release,
    RunClosed,
    RunReport,
    Select,
    StreamIds,
    Text,
    TextDelta,
    Usage,
    ValueEdge,
)
from .hub import Hub
from .link import Link
from .types import to_json


class Raw(str):
    """An answer that is the generated text itself, also for a typed gen; it is not checked."""

    __slots__ = ()


class Call(msgspec.Struct, frozen=True):
    """One gen or select that the script answered.

    Attributes:
        name: what the program calls it.
        path: its structural path.
        messages: the chat in front of it, the open turn last with what it holds so far.
        text: everything in front of it, without any template.
        schema: the JSON Schema it was constrained to, None for text; other grammars are in `gen.grammar`.
        gen: the node itself, with its sampling options.
        choices: what a select chooses from; empty for a gen.
    """

    name: str
    path: str
    messages: list[dict[str, str]]
    text: str
    schema: dict[str, Any] | None
    gen: Gen | Select
    choices: tuple[str, ...] = ()


Answers: TypeAlias = "Mapping[str, Any] | Sequence[Any] | Callable[[Call], Any]"


class Scripted:
    """A fake engine for `Program.on`.

    Args:
        answers: by name (a list is used up in order, anything else answers every time), a list for all gens in order of
            arrival, or a function of the `Call`. An answer is a value of the gen's type, `Raw` text, or an exception,
            which fails the node.

    Attributes:
        calls: what was asked, in order.
    """

    def __init__(self, answers: Answers) -> None:
        self.calls: list[Call] = []
        self._answers = answers
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def link(self, hub: Hub) -> Link:
        """The line of programs to this engine."""
        link = Link(hub)
        link.attach(_ScriptedConnection(self, link.on_reply))
        return link

    def answer(self, call: Call) -> str:
        """The text for a call; raises what the script says, or InvalidRequest if it says nothing."""
        with self._lock:
            self.calls.append(call)
            value = self._find(call)
        if isinstance(value, BaseException):
            raise value
        if call.choices:
            return _chosen(call, value)
        if isinstance(value, Raw):
            return str(value)
        if isinstance(call.gen, Gen) and isinstance(call.gen.grammar, StructuralTag):
            return _structured(call, call.gen.grammar, value)
        if call.schema is None:
            return value if isinstance(value, str) else _json(value)
        text = _json(value)
        _validate(call, text, call.schema)
        return text

    def _find(self, call: Call) -> Any:
        if callable(self._answers):
            return self._answers(call)
        if isinstance(self._answers, Mapping):
            if call.name not in self._answers:
                known = ", ".join(self._answers)
                raise InvalidRequest(
                    f"the script has no answer for {call.name!r}", where=call.path, hint=f"it has {known}"
                )
            answers, key = self._answers[call.name], call.name
            if not isinstance(answers, list):
                return answers
        else:
            answers, key = self._answers, ""
        used = self._used.get(key, 0)
        if used >= len(answers):
            raise InvalidRequest(
                f"the script has {len(answers)} answers, and {call.name!r} asks for one more", where=call.path
            )
        self._used[key] = used + 1
        return answers[used]


class _Stream:
    """What a stream holds, as text and as turns."""

    def __init__(self) -> None:
        self.text = ""
        self.turns: list[dict[str, str]] = []
        self.in_turn = False
        self.error: RamifyError | None = None

    def fork(self) -> _Stream:
        child = _Stream()
        child.text, child.in_turn, child.error = self.text, self.in_turn, self.error
        child.turns = [dict(turn) for turn in self.turns]
        return child

    def append(self, text: str) -> None:
        self.text += text
        if self.in_turn:
            self.turns[-1]["content"] += text


class _ScriptedConnection:
    """Answers each delta at once, in order; nothing is ever pending."""

    def __init__(self, engine: Scripted, on_reply: Callable[[EngineReply], None]) -> None:
        self._engine = engine
        self._on_reply = on_reply
        self._streams: dict[tuple[int, int], _Stream] = {}
        self._values: dict[tuple[int, int], str | RamifyError] = {}
        self._notes: dict[int, dict[tuple[Note, ...], tuple[str, int]]] = {}  # of a run: first path, number of gens

    def send(self, message: ClientMessage) -> None:
        if isinstance(message, CloseRun):
            for table in (self._streams, self._values):
                for key in [key for key in table if key[0] == message.run]:
                    del table[key]
            notes = self._notes.pop(message.run, {})
            told = tuple(GenNotes(path, gens, notes) for notes, (path, gens) in notes.items())
            self._on_reply(RunClosed(message.run, RunReport(0, 0, 0, 0, 0, 0, 0, 0, 0, told)))
        elif isinstance(message, GraphDelta):
            self._streams.setdefault((message.run, 0), _Stream())
            for node in message.nodes:
                self._take(message.run, node)

    def close(self) -> None:
        """Nothing is held open."""

    def _take(self, run: int, node: GraphNode) -> None:
        stream = self._streams[run, node.stream]
        match node:
            case Text() | Argument():
                stream.append(node.text)
            case ValueEdge():
                value = self._values[run, node.source]
                if isinstance(value, RamifyError):
                    stream.error = stream.error or value
                else:
                    self._splice(stream, value, node)
            case OpenRole():
                stream.turns.append({"role": node.role, "content": ""})
                stream.in_turn = True
            case CloseRole():
                stream.in_turn = False
            case Gen() | Select():
                self._gen(run, stream, node)
            case Fork():
                self._streams[run, node.child] = stream.fork()
            case Read():
                if stream.error is not None:
                    self._on_reply(NodeFailed(run, node.node, to_info(stream.error)))
                else:
                    self._on_reply(StreamIds(run, node.node, b"", stream.text))
            case CancelStream():
                stream.error = stream.error or Cancelled("the stream was cancelled")
            case Release():
                pass

    def _splice(self, stream: _Stream, value: str, edge: ValueEdge) -> None:
        try:
            stream.append(field_text(value, edge.field) if edge.field else value)
        except InvalidRequest as error:
            error.where = edge.site
            stream.error = stream.error or error

    def _gen(self, run: int, stream: _Stream, gen: Gen | Select) -> None:
        choices = gen.choices if isinstance(gen, Select) else ()
        grammar = None if isinstance(gen, Select) else gen.grammar
        schema = msgspec.json.decode(grammar.schema) if isinstance(grammar, JsonSchema) else None
        messages = [dict(turn) for turn in stream.turns]
        try:
            if stream.error is not None:
                raise stream.error
            text = self._engine.answer(Call(gen.name, gen.path, messages, stream.text, schema, gen, choices))
        except Exception as error:
            ours = error if isinstance(error, RamifyError) else RamifyError(f"{type(error).__name__}: {error}")
            self._values[run, gen.node] = stream.error = ours
            self._on_reply(NodeFailed(run, gen.node, to_info(ours)))
            return
        self._values[run, gen.node] = text
        stream.append(text)
        if gen.events:
            self._on_reply(TextDelta(run, gen.node, text))
        logprobs = [0.0 if choice == text else -math.inf for choice in choices] if choices else None
        notes = () if grammar is None else GrammarReport("", notes_of(grammar)).told()
        if notes:
            seen = self._notes.setdefault(run, {})
            path, gens = seen.get(notes, (gen.path, 0))
            seen[notes] = path, gens + 1
        usage = Usage(0, 0, 0, 0)
        self._on_reply(NodeDone(run, gen.node, text, b"", "stop", usage, choice_logprobs=logprobs, notes=notes))


def _json(value: Any) -> str:
    return to_json(value).decode()


def _chosen(call: Call, value: Any) -> str:
    """The text of a choice. Raises OutputInvalid if the select does not offer it."""
    text = str(value.value if isinstance(value, enum.Enum) else value)
    if text not in call.choices:
        raise OutputInvalid(
            f"the script's answer {text!r} for {call.name!r} is not among its choices",
            where=call.path,
            hint=f"answer with one of {', '.join(call.choices)}",
        )
    return text


def _structured(call: Call, structure: StructuralTag, value: Any) -> str:
    """The text of a structured answer. Raises OutputInvalid if it is not of the structure, or a value in it of its
    schema."""
    if not isinstance(value, str):
        raise InvalidRequest(
            f"the script's answer for {call.name!r} is a {type(value).__name__}",
            where=call.path,
            hint="answer a StructuralTag with its text, tags and all",
        )
    resolve(structure)
    segments: list[Segment] = list(read_segments(structure, value))
    while segments:
        segment = segments.pop()
        segments.extend(segment.inside)
        if isinstance(segment.content, JsonSchema):
            _validate(call, segment.text, msgspec.json.decode(segment.content.schema))
    return value


def _validate(call: Call, text: str, schema: Any) -> None:
    """Raise OutputInvalid unless `text` validates against a schema."""
    try:
        import jsonschema
    except ImportError:
        raise InvalidRequest("Scripted checks answers with jsonschema", hint="pip install jsonschema") from None
    try:
        jsonschema.validate(msgspec.json.decode(text), schema)
    except jsonschema.ValidationError as error:
        where = f"{call.path} {error.json_path}"
        raise OutputInvalid(
            f"the script's answer for {call.name!r} is not of its type: {error.message}",
            where=where,
            hint="answer with a value of the gen's type, or with Raw(text)",
        ) from None
