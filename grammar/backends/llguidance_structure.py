r"""Writes the states of a structure as one grammar for llguidance: a rule for each state, a terminal for each text.

    text, ended by the mark D       (R D) & ~(R D .+)           stops at the first D that leaves R whole
    the same, ended by a token      R & ~(R D .*)               <[17]> behind it
    or with all                     R & ~(R D .*)

`R` is what the text matches, `D` all marks that may end it; where no mark begins with a character of `R`, nothing is to
be taken away. No such text is the beginning of another, so a lexer that
takes as much as it can takes exactly one. Loops are written with `*`, which the library's parser walks in constant
memory. A control token is an id, which no text matches; where one may end a text, the text does not spell it either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from ...errors import RamifyError, UnenforceableSchema
from ..choices import check_choices
from ..expression import Expression, alternatives, literal
from ..limits import GrammarLimits
from ..regex import parse_regex
from ..spec import AnyText, Format, Regex, StructuralTag, Tag, TriggeredTags, parts_of
from ..structure import Back, Mark, State, Text, Value, characters_of, ends_inside, has_place_for, prefixed
from ..vocabulary import Vocabulary
from .llguidance_text import Writer, quoted

_ANY, _MORE = "A-", "P-"
Piece: TypeAlias = "str | int"
"""Text, or the id of a control token."""


class StructureWriter:
    """Writes one structure.

    Args:
        vocabulary: knows the control tokens.
        limits: what a grammar may cost.
        value: the library's name for the grammar of a value, which is defined beside this one.
    """

    def __init__(self, vocabulary: Vocabulary, limits: GrammarLimits, value: Callable[[Value], str]) -> None:
        self._pieces = Pieces(vocabulary)
        self._limits = limits
        self._value = value
        self._writer = Writer(limits)
        self._writer.line(_ANY, "/(?s:.*)/")
        self._writer.line(_MORE, "/(?s:.+)/")
        self._names: dict[State, str] = {}
        self._pending: list[State] = []

    def write(self, spec: StructuralTag, begin: State) -> str:
        """The grammar whose first state is `begin`.

        Raises:
            InvalidSchema, UnenforceableSchema: in an expression or a mark; `where` is the place in the structure.
        """
        self._pieces.check(spec)
        self._writer.line("start", self._rule(begin))
        while self._pending:
            self._write_state(self._pending.pop())
        return self._writer.text()

    def _rule(self, state: State) -> str:
        """The name of a state's rule."""
        if state not in self._names:
            self._names[state] = self._writer.new_name("s")
            self._pending.append(state)
        return self._names[state]

    def _write_state(self, state: State) -> None:
        loop: list[str] = []
        once: list[str] = ['""'] if state.ends or isinstance(state.open, Back) else []

        def add(first: str, pieces: list[Piece], mark: Mark) -> None:
            symbols = " ".join((first, *map(_symbol, pieces), self._rule(mark.then)))
            if mark.again is state:
                loop.append(symbols)
            else:
                once.append(symbols if mark.again is None else f"{symbols} {self._rule(mark.again)}")

        for mark in state.marks:
            pieces = self._pieces.of(mark.text)
            add(_symbol(pieces[0]), pieces[1:], mark)
        if isinstance(state.open, Text):
            self._write_text(state.open, add, once)
        elif isinstance(state.open, Value):
            once.append(f"@{self._value(state.open)} {self._rule(state.open.then)}")
        rest = " | ".join(once)
        if loop:
            repeated = self._writer.line(self._writer.new_name("l"), " | ".join(loop))
            rest = f"{repeated}* {self._writer.line(self._writer.new_name('x'), rest)}"
        self._writer.line(self._names[state], rest)

    def _write_text(self, text: Text, add: Callable[[str, list[Piece], Mark], None], once: list[str]) -> None:
        marks = [(mark, self._pieces.of(mark.text)) for mark in text.follow.marks]
        ends = sorted({pieces[0] for _, pieces in marks if isinstance(pieces[0], str)})
        self._require_apart(ends, text)
        whole, ranges = self._expression(text)
        ruled_out: list[str] = []
        spelled = [self._pieces.names[piece] for _, (piece, *_) in marks if isinstance(piece, int)]
        self._require_no_overlap([*ends, *spelled], spelled, text)
        if within := [name for name in spelled if has_place_for(name[0], ranges)]:
            ruled_out.append(self._holding(within))
        if text.avoid:
            begins = dict.fromkeys(self._pieces.first_text(mark) for mark in text.avoid)
            ruled_out.append(self._terminal(f"{self._terminal(' | '.join(map(quoted, begins)))} {_ANY}"))
        at_an_end = ""
        if any(has_place_for(end[0], ranges) for end in ends):  # else no text goes on behind the first end
            at_an_end = self._terminal(f"{whole} {self._terminal(' | '.join(map(quoted, ends)))}")
        past = [self._terminal(f"{at_an_end} {_MORE}")] if at_an_end else []
        closed = {end: self._without(f"{whole} {quoted(end)}", [*past, *ruled_out]) for end in ends}
        open_text = ""
        if text.follow.ends or spelled:
            past = [self._terminal(f"{at_an_end} {_ANY}")] if at_an_end else []
            open_text = self._without(whole, [*past, *ruled_out])
        for mark, (piece, *rest) in marks:
            if isinstance(piece, str):
                add(closed[piece], rest, mark)
            else:
                add(f"{open_text} {_symbol(piece)}", rest, mark)
        if text.follow.ends:
            once.append(open_text)

    def _require_apart(self, ends: list[str], text: Text) -> None:
        """`structure.py` has compared whole marks; cut at their control tokens they may be shorter."""
        for end in ends:
            if any(end in other and end != other for other in ends):
                raise UnenforceableSchema(
                    f"a structure with text that may end at {end!r} and at a mark that holds it is not enforced",
                    where=text.place,
                    hint="change one of them",
                )
            for mark in map(self._pieces.first_text, text.avoid):
                if ends_inside(end, mark):
                    raise UnenforceableSchema(
                        f"a structure with text that may end at {end!r} inside of {mark!r} is not enforced",
                        where=text.place,
                        hint="change one of them",
                    )

    def _require_no_overlap(self, ends: list[str], spelled: list[str], text: Text) -> None:
        """Who reads the text sees a control token's name: no other end may be whole where the name has only begun."""
        for name in spelled:
            for end in ends:
                if any(end.endswith(name[:length]) for length in range(1, min(len(name), len(end)))):
                    what = f"text that may end at {end!r} and at {name!r}, which overlap,"
                    raise UnenforceableSchema(
                        f"a structure with {what} is not enforced",
                        where=text.place,
                        hint="change one of them",
                    )

    def _expression(self, text: Text) -> tuple[str, Iterable[tuple[int, int]]]:
        """The terminal of what a text matches, and the characters that have a place in it."""
        content = text.content
        if isinstance(content, AnyText):
            excluded = [self._holding(list(content.excludes))] if content.excludes else []
            return (self._without(_ANY, excluded) if excluded else _ANY), [(0, 0x10FFFF)]
        try:
            expression: Expression
            if isinstance(content, Regex):
                expression = parse_regex(content.pattern, self._limits)
            else:
                expression = alternatives([literal(option) for option in check_choices(content, self._limits)])
        except RamifyError as error:
            raise prefixed(error, text.place) from None
        name = self._writer.new_name("R")
        self._writer.define(name, expression, in_rule=False)
        return name, characters_of([expression])

    def _holding(self, texts: list[str]) -> str:
        """The terminal of all text that holds one of the given."""
        return self._terminal(f"{_ANY} {self._terminal(' | '.join(map(quoted, dict.fromkeys(texts))))} {_ANY}")

    def _without(self, text: str, ruled_out: list[str]) -> str:
        if not ruled_out:
            return self._terminal(text)
        return self._terminal(" & ".join((self._terminal(text), *(f"~{name}" for name in ruled_out))))

    def _terminal(self, text: str) -> str:
        return self._writer.line(self._writer.new_name("T"), text)


class Pieces:
    """Cuts marks at the control tokens that they spell."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        longest_first = sorted((name for name in vocabulary.control if name), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._control: Mapping[str, int] = vocabulary.control
        self._stop_ids = vocabulary.stop_ids
        self.names = {token_id: name for name, token_id in vocabulary.control.items()}

    def of(self, mark: str) -> list[Piece]:
        """The pieces of a mark, in order."""
        pieces: list[Piece] = []
        end = 0
        for match in self._pattern.finditer(mark):
            pieces += [mark[end : match.start()], self._control[match[0]]]
            end = match.end()
        return [piece for piece in (*pieces, mark[end:]) if piece != ""]

    def first_text(self, mark: str) -> str:
        """How a mark begins, as text: up to its first control token, or that token's name."""
        piece = self.of(mark)[0]
        return piece if isinstance(piece, str) else self.names[piece]

    def check(self, spec: StructuralTag) -> None:
        """Refuse marks that end the generation, and triggers that cut a control token or hold one beside text.

        Raises:
            UnenforceableSchema: `where` is the place in the structure.
        """
        pending: list[tuple[str, Format]] = [("format", spec.format)]
        while pending:
            place, format_ = pending.pop()
            pending += [(f"{place}.{name}", part) for name, part in parts_of(format_)]
            if isinstance(format_, Tag):
                self._check_tag(format_, place)
            if isinstance(format_, TriggeredTags):
                self._check_triggers(format_, place)

    def _check_tag(self, tag: Tag, place: str) -> None:
        for piece in (*self.of(tag.begin), *self.of(tag.end)):
            if piece in self._stop_ids:
                raise UnenforceableSchema(
                    f"the tag holds {self.names[int(piece)]!r}, which ends the generation",
                    where=place,
                    hint="leave it out: the generation ends where the structure does",
                )

    def _check_triggers(self, format_: TriggeredTags, place: str) -> None:
        for trigger in format_.triggers:
            pieces = self.of(trigger)
            if len(pieces) > 1:
                hint = "let the trigger be text alone, or one control token"
                raise UnenforceableSchema(f"the trigger {trigger!r} mixes both", where=place, hint=hint)
            for index, tag in enumerate(format_.tags):
                if tag.begin.startswith(trigger) and pieces + self.of(tag.begin[len(trigger) :]) != _merged(
                    pieces, self.of(tag.begin)
                ):
                    raise UnenforceableSchema(
                        f"the trigger {trigger!r} ends inside of a control token of {tag.begin!r}",
                        where=f"{place}.tags[{index}]",
                        hint="let the trigger hold the whole token",
                    )


def _merged(first: list[Piece], whole: list[Piece]) -> list[Piece]:
    """`whole` with its first text cut where the text of `first` ends."""
    head, (start, *rest) = first[0], whole
    if isinstance(head, str) and isinstance(start, str) and start.startswith(head) and start != head:
        return [head, start[len(head) :], *rest]
    return whole


def _symbol(piece: Piece) -> str:
    return quoted(piece) if isinstance(piece, str) else f"<[{piece}]>"
