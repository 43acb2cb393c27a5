"""A `ProgramGraph` as text, one step a line: what `print` shows, and what golden files hold.

triage(ticket)
  s0  system: "You sort tickets."
  s0  user: {ticket}
  s0  gen kind[0]  json, max_tokens=8
  ?   == triage/kind[0]  at triage.py:12
    "bug"
      s0  ...
      returns triage/fix[0]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex, StructuralTag
from ..runtime.protocol.fields import spell
from ..runtime.protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    Fork,
    Gen,
    OpenRole,
    Read,
    Release,
    Select,
    Text,
    ValueEdge,
)
from .program_graph import (
    Branch,
    Call,
    Check,
    End,
    Fence,
    ForkGroup,
    Open,
    ProgramGraph,
    Raised,
    Returned,
    Segment,
    SelectTrie,
    Step,
    Symbol,
    stream_of,
)

MAX_TEXT = 60
"""Characters of a text that are shown; the rest is counted."""


def graph_text(graph: ProgramGraph, notes: Mapping[str, str] | None = None) -> str:
    """The graph, with a trailing newline.

    Args:
        graph: what to write.
        notes: remarks of passes, by node path; they stand behind the node.
    """
    lines: list[str] = []
    _write_graph(graph, 0, notes or {}, lines)
    return "\n".join(lines) + "\n"


def _write_graph(graph: ProgramGraph, depth: int, notes: Mapping[str, str], lines: list[str]) -> None:
    parameters = ", ".join(graph.parameters)
    lines.append(f"{'  ' * depth}{graph.path}({parameters})")
    _write_segment(graph.body, depth + 1, {}, notes, lines)


def _write_segment(
    segment: Segment, depth: int, paths: dict[int, str], notes: Mapping[str, str], lines: list[str]
) -> None:
    indent = "  " * depth
    for step in segment.steps:
        if isinstance(step, Call):
            lines.append(f"{indent}run {step.path}  {short_site(step.site)}")
            _write_graph(step.graph, depth + 1, notes, lines)
            continue
        if isinstance(step, Gen | Select | SelectTrie):
            paths[step.node] = step.path
        stream = stream_of(step)
        where = "?" if stream is None else f"s{stream}"
        note = notes.get(path_of(step), "")
        lines.append(f"{indent}{where:<4}{describe(step, paths)}{f'  # {note}' if note else ''}")
    lines.append(f"{indent}{describe_end(segment.end)}")
    if isinstance(segment.end, Branch):
        for arm in segment.end.arms:
            lines.append(f"{indent}  {' | '.join(map(repr, arm.labels))}")
            _write_segment(arm.body, depth + 2, dict(paths), notes, lines)


def path_of(step: Step) -> str:
    """The structural path of a step that has one; "" otherwise."""
    return step.path if isinstance(step, Gen | Select | SelectTrie | Call) else ""


def describe(step: Step, paths: Mapping[int, str]) -> str:
    """A step in a line. `paths` are those of the nodes so far, by number."""
    match step:
        case Text():
            return f"{'control' if step.control else 'text'} {quote(step.text)}"
        case Argument():
            return f"argument {quote(step.text)}"
        case Symbol():
            return f"argument {{{step.name}}}" if step.source == "argument" else f"{step.source} of {step.name}"
        case ValueEdge():
            field = f".{spell(step.field)}" if step.field else ""
            return f"value of {paths.get(step.source, step.source)}{field}"
        case OpenRole():
            return f"<{step.role}>"
        case CloseRole():
            return "</>"
        case Gen():
            return f"gen {step.path}  {', '.join(describe_gen(step))}"
        case Check():
            return f"check {step.check} of {paths.get(step.node, step.node)}, up to {step.retries} retries"
        case Select():
            return f"select {step.path}  from {', '.join(map(repr, step.choices))}"
        case SelectTrie():
            return f"select {step.path}  {describe_trie(step)}"
        case Fork():
            return f"fork s{step.child}"
        case ForkGroup():
            return f"fork {' '.join(f's{child}' for child in step.children)}"
        case Read():
            return "read"
        case Release():
            return "release"
        case CancelStream():
            return "cancel"
        case Fence():
            return describe_fence(step)
        case Call():
            return f"run {step.path}"


def describe_fence(fence: Fence) -> str:
    """How Python looks at which value, and where."""
    return f"{fence.how} {fence.value}  at {short_site(fence.site)}"


def describe_end(end: End) -> str:
    """The line for an end; the arms of a branch follow below it."""
    match end:
        case Returned():
            return f"returns {', '.join(end.values) or (quote(end.constant) if end.constant else '')}".rstrip()
        case Raised():
            return f"raises {end.error}  at {short_site(end.site)}"
        case Open():
            return f"open: {end.reason}  at {short_site(end.site)}"
        case Branch():
            return f"?   {describe_fence(end.fence)}"


def describe_gen(gen: Gen) -> list[str]:
    """What a gen is constrained to."""
    parts = [describe_grammar(gen.grammar)]
    if gen.max_tokens is not None:
        parts.append(f"max_tokens={gen.max_tokens}")
    if gen.stop:
        parts.append(f"stop={', '.join(map(repr, gen.stop))}")
    return parts


def describe_grammar(grammar: GrammarSpec | None) -> str:
    """The kind of a grammar, with what it takes to tell two apart."""
    match grammar:
        case None:
            return "text"
        case JsonSchema():
            return f"json {grammar.key()[:6]}"
        case Regex():
            return f"regex {quote(grammar.pattern)}"
        case Choices():
            return f"choices {', '.join(map(repr, grammar.options))}"
        case Lark():
            return f"lark {grammar.key()[:6]}"
        case StructuralTag():
            return f"structure {grammar.key()[:6]}"


def describe_trie(step: SelectTrie) -> str:
    """Where the choices part, and what needs no forward of its own."""
    rows = [f"{row.path or 'prompt'!r} -> {' | '.join(way or 'end' for way in row.ways)}" for row in step.rows]
    free = f"no forward for {', '.join(map(repr, step.free))}" if step.free else "no choice is free"
    return f"trie of {step.unit}: {'; '.join(rows)}; {step.positions} computed beyond the prompt; {free}"


def count(number: int, noun: str) -> str:
    """ "1 gen", "2 gens"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def quote(text: str) -> str:
    """A text in quotes, cut when it is long."""
    if len(text) <= MAX_TEXT:
        return repr(text)
    return f"{text[:MAX_TEXT]!r}... {len(text)} characters"


def short_site(site: str) -> str:
    """`file:line` without the directories, which are long and differ between machines."""
    return Path(site).name if site else "?"
