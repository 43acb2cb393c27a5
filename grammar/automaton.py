"""Answers questions about texts and patterns exactly: does this match, do these share a text, which texts are there.

`re` cannot be asked: it reads another dialect, has no intersection, and may backtrack for ever on a pattern from
outside. An expression becomes a small automaton (Thompson 1968: states, edges with sets of characters, empty edges),
which is run on sets of states. Everything is bounded; what is beyond the bounds is `TooLarge`, and not answered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .charset import LAST, Ranges
from .expression import Alternatives, Chars, Expression, Repeat
from .expression import Sequence as Parts

_MAX_STATES = 1_000
_MAX_PRODUCT = 2_000
_MAX_TEXT = 2_000
_MAX_WORK = 60_000  # states stepped from, of about 0.3 us each
_LEAD, _TRAIL = 0xD800, 0xDFFF  # surrogates, which no text holds

_States = frozenset[int]


class TooLarge(Exception):
    """The question was given up: the automaton, or the work, is beyond its bound."""


class Automaton:
    """The automaton of an expression without anchors and references. State 0 is the start."""

    def __init__(self, expression: Expression) -> None:
        """
        Raises:
            TooLarge: more than 1,000 states, counted repetitions written out.
        """
        self._edges: list[list[tuple[Ranges, int]]] = [[]]
        self._empty: list[list[int]] = [[]]
        self._end = self._add(expression, 0)
        self.start: _States = self._closed([0])

    def accepts(self, states: _States) -> bool:
        """Whether the text so far is one of the expression's."""
        return self._end in states

    def step(self, states: _States, code: int) -> _States:
        """The states after one more character; none if no text goes on with it."""
        return self._closed(
            target for state in states for ranges, target in self._edges[state] if _contains(ranges, code)
        )

    def characters(self, states: _States) -> list[Ranges]:
        """The sets of characters that may follow; they may overlap."""
        return [ranges for state in states for ranges, _ in self._edges[state]]

    def _add(self, node: Expression, begin: int) -> int:
        """Add the states of an expression that begins at a state; the state where it ends."""
        match node:
            case Chars(ranges):
                end = self._new()
                self._edges[begin].append((ranges, end))
                return end
            case Parts(parts):
                for part in parts:
                    begin = self._add(part, begin)
                return begin
            case Alternatives(options):
                ends = [self._add(option, self._after(begin)) for option in options]
                return self._joined(ends)
            case Repeat(part, minimum, maximum):
                for _ in range(minimum):
                    begin = self._add(part, begin)
                if maximum is None:
                    loop = self._after(begin)
                    self._empty[self._add(part, loop)].append(loop)
                    return self._after(loop)
                ends = [begin]
                for _ in range(maximum - minimum):
                    ends.append(self._add(part, self._after(ends[-1])))
                return self._joined(ends)
            case _:
                raise TooLarge

    def _new(self) -> int:
        if len(self._edges) >= _MAX_STATES:
            raise TooLarge
        self._edges.append([])
        self._empty.append([])
        return len(self._edges) - 1

    def _after(self, state: int) -> int:
        return self._joined([state])

    def _joined(self, states: list[int]) -> int:
        """A new state that follows each of these without a character."""
        joined = self._new()
        for state in states:
            self._empty[state].append(joined)
        return joined

    def _closed(self, states: Iterable[int]) -> _States:
        """The states and those that follow them without a character."""
        pending = list(states)
        closed = set(pending)
        while pending:
            for state in self._empty[pending.pop()]:
                if state not in closed:
                    closed.add(state)
                    pending.append(state)
        return frozenset(closed)


@lru_cache(maxsize=256)
def automaton(expression: Expression) -> Automaton:
    """The automaton of an expression; the same patterns are asked about again and again."""
    return Automaton(expression)


def matches(expression: Expression, text: str) -> bool:
    """Whether the whole text is one of the expression's.

    Raises:
        TooLarge: the expression or the text is.
    """
    if len(text) > _MAX_TEXT:
        raise TooLarge
    machine = automaton(expression)
    states = machine.start
    work = 0
    for character in text:
        work = _worked(work, states)
        states = machine.step(states, ord(character))
    return machine.accepts(states)


def share_a_text(expressions: Sequence[Expression]) -> bool:
    """Whether one text is in all of the expressions.

    Raises:
        TooLarge: more than 2,000 states of all together, or too much work.
    """
    machines = [automaton(expression) for expression in expressions]
    first = tuple(machine.start for machine in machines)
    seen, pending = {first}, [first]
    work = 0
    while pending:
        together = pending.pop()
        if all(machine.accepts(states) for machine, states in zip(machines, together, strict=True)):
            return True
        for code in _representatives(machines, together):
            work = _worked(work, *together)
            after = tuple(machine.step(states, code) for machine, states in zip(machines, together, strict=True))
            if all(after) and after not in seen:
                if len(seen) >= _MAX_PRODUCT:
                    raise TooLarge
                seen.add(after)
                pending.append(after)
    return False


def matches_all(expression: Expression) -> bool:
    """Whether every text is one of the expression's.

    Raises:
        TooLarge: more than 2,000 states, or too much work.
    """
    machine = automaton(expression)
    seen, pending = {machine.start}, [machine.start]
    work = 0
    while pending:
        states = pending.pop()
        if not machine.accepts(states):
            return False
        for code in _representatives([machine], (states,)):
            work = _worked(work, states)
            if (after := machine.step(states, code)) not in seen:
                if len(seen) >= _MAX_PRODUCT:
                    raise TooLarge
                seen.add(after)
                pending.append(after)
    return True


def texts(expression: Expression, limit: int) -> list[str] | None:
    """All texts of an expression, shorter ones first; None if they are more than `limit`.

    Raises:
        TooLarge: the expression is.
    """
    machine = automaton(expression)
    found: list[str] = []
    pending = [("", machine.start)]
    while pending:
        found += [text for text, states in pending if machine.accepts(states)]
        longer: list[tuple[str, _States]] = []
        for text, states in pending:
            if (codes := _few_codes(machine.characters(states), limit)) is None:
                return None
            longer += [(text + chr(code), machine.step(states, code)) for code in codes]
        if len(found) + len(longer) > limit:
            return None  # each of the longer ones begins a text that is not found yet
        pending = longer
    return found


def _worked(work: int, *together: _States) -> int:
    """The work after one more step; raises TooLarge beyond the bound."""
    work += sum(map(len, together))
    if work > _MAX_WORK:
        raise TooLarge
    return work


def _few_codes(sets: list[Ranges], limit: int) -> list[int] | None:
    """The characters of all sets; None if they are more than `limit`."""
    if sum(high - low + 1 for ranges in sets for low, high in ranges) > limit * max(1, len(sets)):
        return None
    codes = sorted({code for ranges in sets for low, high in ranges for code in range(low, high + 1)})
    return codes if len(codes) <= limit else None


def _representatives(machines: list[Automaton], together: tuple[_States, ...]) -> list[int]:
    """One character of each kind that the automata tell apart in these states."""
    borders = {0} | {
        border
        for machine, states in zip(machines, together, strict=True)
        for ranges in machine.characters(states)
        for low, high in ranges
        for border in (low, high + 1)
    }
    return sorted(border for border in borders if border <= LAST and not _LEAD <= border <= _TRAIL)


def _contains(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, LAST)) - 1
    return index >= 0 and code <= ranges[index][1]
