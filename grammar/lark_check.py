"""Checks a grammar as a whole: every name defined, no rule that never ends, no chain too deep to compile.

Backends find some of this late or never: they compile `a: "x" a`, under which a model writes until its budget ends,
and follow references by recursion until the stack is gone, and the process with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from .expression import Alternatives, Expression, Reference, Repeat, children
from .lark_syntax import Grammar, parse_lark
from .lark_tokens import Source
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond


def read_lark(text: str, limits: GrammarLimits = DEFAULT_LIMITS) -> Grammar:
    """Read a grammar and check it as a whole.

    Raises:
        InvalidSchema: not a grammar, beyond a limit, or without end; `where` is the line and column.
        UnenforceableSchema: a construct that is not enforced exactly.
    """
    source = Source(text)
    grammar = parse_lark(source, text, limits)
    if "start" not in grammar.rules:
        source.invalid("there is no rule start", 0, "name the rule that the text matches `start`")
    references = {name: _references(node) for name, node in (grammar.rules | grammar.terminals).items()}
    for uses in (*references.values(), *map(_references, grammar.ignored)):
        for use in uses:
            if use.name not in grammar.defined:
                source.invalid(f"{use.name} is not defined", use.offset)
    _check_terminals(grammar, references, source)
    _check_finite(grammar, source)
    _check_depth(grammar, source, limits)
    return grammar


def _references(node: Expression) -> list[Reference]:
    """Every use of a name in an expression, in order."""
    found: list[Reference] = []
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Reference):
            found.append(node)
        stack.extend(reversed(children(node)))
    return found


def _check_finite(grammar: Grammar, source: Source) -> None:
    """Refuse a rule or a terminal that holds itself in every alternative.

    The least fixed point over all nodes, each with the number of those inside it that must yet turn out to end.
    """
    missing: list[int] = []
    waiting: defaultdict[int | str, list[int]] = defaultdict(list)  # a node or a name -> the nodes around it
    pending: list[int] = []

    def add(node: Expression) -> int:
        index = len(missing)
        missing.append(0)
        inside: list[int | str] = [node.name] if isinstance(node, Reference) else []
        if not (isinstance(node, Repeat) and node.minimum == 0):
            inside += [add(child) for child in children(node)]
        for each in inside:
            waiting[each].append(index)
        missing[index] = min(1, len(inside)) if isinstance(node, Alternatives) else len(inside)
        if not inside:
            pending.append(index)
        return index

    definitions = grammar.rules | grammar.terminals
    names = {add(node): name for name, node in definitions.items()}
    finite: set[str] = set()
    while pending:
        ended = pending.pop()
        around = waiting[ended]
        if ended in names:
            finite.add(names[ended])
            around = around + waiting[names[ended]]
        for index in around:
            missing[index] -= 1
            if missing[index] == 0:
                pending.append(index)
    for name in definitions:
        if name not in finite:
            source.invalid(
                f"{name} never ends: it always holds itself again",
                grammar.defined[name],
                "give it an alternative without itself",
            )


def _check_terminals(grammar: Grammar, references: dict[str, list[Reference]], source: Source) -> None:
    """A terminal is a regular expression: it may not hold itself, not even where it could end."""
    try:
        TopologicalSorter({name: {use.name for use in references[name]} for name in grammar.terminals}).prepare()
    except CycleError as error:
        name: str = error.args[1][0]
        source.invalid(f"the terminal {name} holds itself", grammar.defined[name], "make it a rule, in lower case")


def _check_depth(grammar: Grammar, source: Source, limits: GrammarLimits) -> None:
    """Bound the longest chain of parts that a compiler which goes depth first, and in order, is ever inside of."""
    definitions = grammar.rules | grammar.terminals
    entered: set[str] = set()
    offset = 0
    chain: list[Iterator[Expression]] = [iter((*grammar.ignored, definitions["start"]))]
    while chain:
        node = next(chain[-1], None)
        if node is None:
            chain.pop()
        elif not isinstance(node, Reference):
            chain.append(iter(children(node)))
        elif node.name not in entered:
            entered.add(node.name)
            offset = node.offset
            chain.append(iter((definitions[node.name],)))
        if len(chain) > limits.lark_depth:
            hint = "put alternatives side by side instead of one inside the other"
            raise beyond(
                "a grammar", len(chain), "parts inside one another", limits.lark_depth, source.place(offset), hint
            )
