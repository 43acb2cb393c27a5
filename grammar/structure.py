"""Resolves a structure into states in which the next character decides what is read; refuses one that has none.

    Sequence(Tag("", AnyText(), "</think>"), TriggeredTags(("<call",), (Tag("<call>", JSON, "</call>"),)))

    text --"</think>"--> text --"<call"--> --">"--> JSON --"</call>"--> back to the text
                           '--> the end

A state has fixed texts (marks) that may stand there, at most one text of its own (open: free text, a grammar), and
whether all may end there. Text is followed by marks or by the end alone, so it ends at the first of them; no mark is
the beginning of another, and a grammar never goes on with the character that a mark behind it begins with. So each text
has one reading, and a lexer that takes as much as it can finds it. Light: no vocabulary and no backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from typing import NoReturn, TypeAlias

import msgspec

from ..errors import InvalidSchema, RamifyError, UnenforceableSchema
from .expression import Chars, Expression, children
from .lark_check import read_lark
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond, encoded_size
from .spec import (
    AnyText,
    Choices,
    Format,
    JsonSchema,
    Lark,
    Optional,
    Or,
    Regex,
    Sequence,
    StructuralTag,
    Tag,
    TagsWithSeparator,
    TriggeredTags,
    parts_of,
)

_NUMBER_GOES_ON = frozenset("0123456789.eE+-")
_VALUE_BEGINS = frozenset('{["-0123456789tfn \t\r\n')
_CLOSED = {"object", "array", "string"}
"""Types whose JSON ends with a character that nothing of the value can follow."""


@dataclass(eq=False)
class State:
    """A place in a structure.

    Attributes:
        marks: fixed texts that may stand here.
        open: what else may: a text or a value; `Back`: the loop around goes on.
        ends: all may end here.
    """

    marks: tuple[Mark, ...] = ()
    open: Text | Value | Back | None = None
    ends: bool = False


@dataclass(frozen=True, eq=False)
class Mark:
    """A fixed text.

    Attributes:
        text: not empty.
        then: the state behind it.
        again: a loop's state, to go on from when the states from `then` on have come to `Back`.
    """

    text: str
    then: State
    again: State | None = None


@dataclass(frozen=True, eq=False)
class Text:
    """Text that ends where a mark of `follow` does, or with all.

    Attributes:
        content: what the text matches.
        place: where in the structure.
        avoid: it begins with none of these.
        follow: what ends it: marks, or the end. A mark's text is no part of another's.
    """

    content: AnyText | Regex | Choices
    place: str
    avoid: tuple[str, ...]
    follow: State


@dataclass(frozen=True, eq=False)
class Value:
    """A value that ends by itself, or where a mark of `follow` begins.

    Attributes:
        content: its grammar.
        place: where in the structure.
        then: the state behind it.
    """

    content: JsonSchema | Lark
    place: str
    then: State


class Back:
    """The end of what a loop repeats."""


Then: TypeAlias = Callable[[tuple[str, ...]], State]
"""What follows, as a state whose text begins with none of the given."""


def resolve(spec: StructuralTag, limits: GrammarLimits = DEFAULT_LIMITS) -> State:
    """The first state of a structure.

    Raises:
        InvalidSchema: not a structure, or beyond the limits; `where` is the place in it.
        UnenforceableSchema: a place at which the next character does not decide.
    """
    _check_sizes(spec, limits)
    end = State(ends=True)
    return _Builder(limits).state(spec.format, "format", lambda avoid: end, ())


def prefixed(error: RamifyError, place: str) -> RamifyError:
    """The error of a grammar that is a part of a structure, at its place there."""
    where = "" if error.where == "#" else error.where
    separator = "" if not where or where.startswith("#") else ", "
    error.where = f"{place}{separator}{where}".replace(", #", f", {place}#")
    return error


def characters_of(expressions: list[Expression]) -> frozenset[tuple[int, int]]:
    """The ranges of all characters that have a place in some text of the expressions."""
    found: set[tuple[int, int]] = set()
    pending = list(expressions)
    while pending:
        node = pending.pop()
        if isinstance(node, Chars):
            found.update(node.ranges)
        pending.extend(children(node))
    return frozenset(found)


def has_place_for(character: str, ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether a character is in one of the ranges."""
    return any(low <= ord(character) <= high for low, high in ranges)


def ends_inside(end: str, mark: str) -> bool:
    """Whether a text that begins as `mark` does meets `end` before the mark is whole: a lexer cannot follow both."""
    return end in mark[:-1]


def fixed_options(content: Choices) -> bool:
    """Whether each choice ends by itself: none is empty or the beginning of another."""
    options = sorted(set(content.options))
    return all(options) and not any(b.startswith(a) for a, b in pairwise(options))


def first_marks(format_: Format) -> tuple[str, ...]:
    """The fixed texts that a format may begin with."""
    match format_:
        case Choices():
            return format_.options if fixed_options(format_) else ()
        case Tag():
            return (format_.begin,) if format_.begin else first_marks(format_.content)
        case TagsWithSeparator():
            return tuple(mark for tag in format_.tags for mark in first_marks(tag))
        case Sequence():
            marks: list[str] = []
            for part in format_.parts:
                marks.extend(first_marks(part))
                if not may_be_empty(part):
                    break
            return tuple(marks)
        case Or():
            return tuple(mark for option in format_.options for mark in first_marks(option))
        case Optional():
            return first_marks(format_.part)
        case _:
            return ()


def may_be_empty(format_: Format) -> bool:
    """Whether a format may be stepped over. (A text of its own may hold nothing, and still is there.)"""
    match format_:
        case Optional():
            return True
        case TagsWithSeparator():
            return not format_.at_least_one
        case Sequence():
            return all(map(may_be_empty, format_.parts))
        case _:
            return False


def may_be_open(format_: Format) -> bool:
    """Whether a format may begin with a text of its own, which no fixed text announces."""
    match format_:
        case Choices():
            return not fixed_options(format_)
        case Tag():
            return not format_.begin and may_be_open(format_.content)
        case TagsWithSeparator():
            return False
        case Sequence():
            for part in format_.parts:
                if may_be_open(part):
                    return True
                if not may_be_empty(part):
                    return False
            return False
        case Or():
            return any(map(may_be_open, format_.options))
        case Optional():
            return may_be_open(format_.part)
        case _:
            return True


def _check_sizes(spec: StructuralTag, limits: GrammarLimits) -> None:
    """Bound depth, number and size of the parts, before anything goes into them by recursion."""
    level: list[tuple[str, Format]] = [("format", spec.format)]
    counts = {True: 0, False: 0}
    size = 0
    for depth in range(1, limits.structure_depth + 2):
        if not level:
            return
        if depth > limits.structure_depth:
            raise beyond(
                "a structure", depth, "parts inside one another", limits.structure_depth, level[0][0], _SMALLER
            )
        for place, format_ in level:
            for text in _texts(format_):
                size += encoded_size(text, limits.structure_bytes)
            if size > limits.structure_bytes:
                raise beyond("a structure", size, "bytes or more", limits.structure_bytes, place, _SMALLER)
            for text in _marks(format_):
                _check_mark(text, place, limits)
            is_tag = isinstance(format_, Tag)
            counts[is_tag] += 1
            if counts[is_tag] > limits.tags:
                raise beyond("a structure", counts[is_tag], "tags" if is_tag else "parts", limits.tags, place, _SMALLER)
        parts = ((f"{place}.{name}", part) for place, format_ in level for name, part in parts_of(format_))
        level = list(islice(parts, 2 * limits.tags + 1))  # one more than may be, however many there are


_SMALLER = "make the structure smaller"


def _marks(format_: Format) -> tuple[str, ...]:
    match format_:
        case AnyText(excludes):
            return excludes
        case Tag():
            return (format_.begin, format_.end, format_.name)
        case TriggeredTags():
            return (*format_.triggers, *format_.excludes)
        case TagsWithSeparator():
            return (format_.separator,)
        case _:
            return ()


def _texts(format_: Format) -> tuple[str, ...]:
    match format_:
        case JsonSchema():
            return (format_.schema,)
        case Regex():
            return (format_.pattern,)
        case Choices():
            return format_.options
        case Lark():
            return (format_.grammar,)
        case _:
            return _marks(format_)


def _check_mark(text: str, place: str, limits: GrammarLimits) -> None:
    if (size := encoded_size(text, limits.mark_bytes)) > limits.mark_bytes:
        raise beyond("a begin, end, trigger or other fixed text", size, "bytes", limits.mark_bytes, place, _SMALLER)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidSchema(
            "a fixed text is not Unicode: it holds half of a surrogate pair", where=place, hint="correct the text"
        ) from error


@dataclass
class _Builder:
    limits: GrammarLimits
    charsets: dict[str, frozenset[tuple[int, int]]] = field(default_factory=dict)

    def state(self, format_: Format, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        """The state at the beginning of `format_`, with that of `then` where the format may be nothing."""
        match format_:
            case JsonSchema() | Lark():
                return self._value(format_, place, then(()))
            case Choices() if fixed_options(format_):
                return self._joined(
                    [State((Mark(option, then(())),)) for option in sorted(set(format_.options))], place
                )
            case AnyText() | Regex() | Choices():
                return self._text(format_, place, then(()), avoid)
            case Tag():
                return self._tag(format_, place, then, avoid)
            case Sequence():
                return self._sequence(format_, place, then, avoid)
            case Or():
                return self._or(format_, place, then, avoid)
            case Optional():
                self._require_more(format_.part, f"{place}.part")
                if may_be_open(format_.part) or not (marks := first_marks(format_.part)):
                    _refuse("an optional part that does not begin with a fixed text", f"{place}.part", _IN_A_TAG)
                taken = self.state(format_.part, f"{place}.part", then, avoid)
                return self._joined([taken, then((*avoid, *marks))], place)
            case TriggeredTags():
                return self._triggered(format_, place, then, avoid)
            case TagsWithSeparator():
                return self._separated(format_, place, then, avoid)

    # ---- what ends by itself, and text

    def _text(self, content: AnyText | Regex | Choices, place: str, follow: State, avoid: tuple[str, ...]) -> State:
        if follow.open is not None:
            _refuse("text that is followed by more text, so that its end is not seen", place, _IN_A_TAG)
        if isinstance(content, AnyText) and not all(content.excludes):
            _invalid("an excluded string is empty", place, "leave it out")
        texts = sorted((mark.text for mark in follow.marks), key=len)
        for index, short in enumerate(texts):
            for long in texts[index + 1 :]:
                if short in long:
                    what = f"text that may end at {short!r} and at {long!r}, which holds it"
                    _refuse(what, place, "change one of them")
        for mark in avoid:
            for text in texts:
                if ends_inside(text, mark):
                    _refuse(f"text that may end inside of {mark!r}, which may stand there too", place, _LONGER)
        return State(open=Text(content, place, avoid, follow))

    def _value(self, content: JsonSchema | Lark, place: str, then: State) -> State:
        if isinstance(content, JsonSchema):
            if not _is_closed(content):
                if then.open is not None:
                    _refuse("JSON that may be a number, with text behind it", place, "give the tag an end")
                self._require_apart(then, lambda mark: mark[0] in _NUMBER_GOES_ON, "JSON that may be a number", place)
        elif then.open is not None:
            _refuse("a grammar with text behind it", place, "give the tag an end")
        else:
            self._require_apart(then, self._writes(content, place), "a grammar", place)
        return State(open=Value(content, place, then))

    def _require_apart(self, then: State, goes_on: Callable[[str], bool], what: str, place: str) -> None:
        for mark in then.marks:
            if goes_on(mark.text):
                hint = "let the end begin with a character that cannot stand in front of it"
                _refuse(f"{what}, which may go on with the first character of {mark.text!r} behind it", place, hint)

    def _writes(self, content: Lark, place: str) -> Callable[[str], bool]:
        """Whether a grammar has a place for the first character of a text."""
        if content.grammar not in self.charsets:
            try:
                grammar = read_lark(content.grammar, self.limits)
            except RamifyError as error:
                raise prefixed(error, place) from None
            if grammar.ignored:  # the library would let it stand behind the last terminal too
                _refuse("a grammar that ignores text", place, "write the blanks into its rules")
            nodes = [*grammar.rules.values(), *grammar.terminals.values()]
            self.charsets[content.grammar] = characters_of(nodes)
        ranges = self.charsets[content.grammar]
        return lambda text: has_place_for(text[0], ranges)

    # ---- compositions

    def _tag(self, tag: Tag, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        behind = then if not tag.end else lambda avoid: State((Mark(tag.end, then(())),))
        content = self.state(tag.content, f"{place}.content", _once(behind), () if tag.begin else avoid)
        return State((Mark(tag.begin, content),)) if tag.begin else content

    def _sequence(self, sequence: Sequence, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        rest = then
        for index, part in reversed(list(enumerate(sequence.parts))[1:]):
            rest = _once(partial(self._part, part, f"{place}.parts[{index}]", rest))
            rest(())  # from the last part on, so that none waits for all behind it on the stack
        return self.state(sequence.parts[0], f"{place}.parts[0]", rest, avoid) if sequence.parts else then(avoid)

    def _part(self, part: Format, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        return self.state(part, place, then, avoid)

    def _or(self, format_: Or, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        if not format_.options:
            _invalid("there is nothing to choose from", place, "give at least one option")
        states: list[State] = []
        for index, option in enumerate(format_.options):
            self._require_more(option, f"{place}.options[{index}]")
            others = [first_marks(other) for at, other in enumerate(format_.options) if at != index]
            avoided = (*avoid, *(mark for marks in others for mark in marks))
            states.append(self.state(option, f"{place}.options[{index}]", then, avoided))
        return self._joined(states, place)

    def _triggered(self, format_: TriggeredTags, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        self._check_triggers(format_, place)
        self._require_begins_apart(format_.tags, place)
        behind = then(())
        if behind.open is not None:
            _refuse("free text with tags that is followed by more text", place, _IN_A_TAG)
        again = None if format_.stop_after_first else State()
        after_tag: Then = then if again is None else _back
        triggers: list[Mark] = []
        for trigger in format_.triggers:
            states: list[State] = []
            for index, tag in enumerate(format_.tags):
                if tag.begin.startswith(trigger):
                    rest = msgspec.structs.replace(tag, begin=tag.begin[len(trigger) :])
                    states.append(self._tag(rest, f"{place}.tags[{index}]", after_tag, ()))
            triggers.append(Mark(trigger, self._joined(states, place), again))
        content = AnyText(format_.excludes)
        follow = self._joined([State(tuple(triggers)), behind], place)
        if again is not None:
            again.open = self._text(content, place, follow, ()).open
        begin = State(tuple(triggers)) if format_.at_least_one else follow
        return self._text(content, place, begin, avoid)

    def _check_triggers(self, format_: TriggeredTags, place: str) -> None:
        if not format_.triggers or not all(format_.triggers):
            _invalid("free text with tags needs triggers, and none may be empty", place, "name what begins the tags")
        for index, tag in enumerate(format_.tags):
            if not any(tag.begin.startswith(trigger) for trigger in format_.triggers):
                _invalid("a tag that begins with no trigger", f"{place}.tags[{index}]", "add what it begins with")
        for trigger in format_.triggers:
            if not any(tag.begin.startswith(trigger) for tag in format_.tags):
                _invalid(f"no tag begins with the trigger {trigger!r}", place, "leave it out")

    def _separated(self, format_: TagsWithSeparator, place: str, then: Then, avoid: tuple[str, ...]) -> State:
        if not format_.tags or not all(tag.begin for tag in format_.tags):
            _invalid("a list of tags needs tags, each with a begin", place, "say what they begin with")
        self._require_begins_apart(format_.tags, place)
        again = None if format_.stop_after_first else State()
        after_tag: Then = then if again is None else _back
        states = [self._tag(tag, f"{place}.tags[{index}]", after_tag, ()) for index, tag in enumerate(format_.tags)]
        begins = tuple(Mark(mark.text, mark.then, again) for state in states for mark in state.marks)
        texts = tuple(mark.text for mark in begins)
        if again is not None:
            separators = begins
            if format_.separator:
                bare = tuple(Mark(mark.text, mark.then) for mark in begins)
                separators = (Mark(format_.separator, self._joined([State(bare)], place), again),)
            after = self._joined([State(separators), then(tuple(mark.text for mark in separators))], place)
            again.marks, again.open, again.ends = after.marks, after.open, after.ends
        skipped = [] if format_.at_least_one else [then((*avoid, *texts))]
        return self._joined([State(begins), *skipped], place)

    # ---- what must hold

    def _require_begins_apart(self, tags: tuple[Tag, ...], place: str) -> None:
        self._joined([State((Mark(tag.begin, State()),)) for tag in tags], place)

    def _require_more(self, format_: Format, place: str) -> None:
        if may_be_empty(format_):
            _refuse("a part that may be nothing where that is said already", place, "use Optional once, around it")

    def _joined(self, states: Iterable[State], place: str) -> State:
        """Several states as one."""
        states = list(states)
        opens = [state.open for state in states if state.open is not None]
        if len(opens) > 1:
            _refuse("two parts that nothing tells apart", place, "give each a tag of its own")
        marks = tuple(mark for state in states for mark in state.marks)
        texts = sorted(mark.text for mark in marks)
        for first, second in pairwise(texts):
            if second.startswith(first):
                what = f"two parts that begin alike: {first!r}" + (f" and {second!r}" if first != second else "")
                _refuse(what, place, "change how one of them begins")
        open_ = opens[0] if opens else None
        if isinstance(open_, Back) and marks:
            _refuse("a tag without an end whose content may go on where free text may follow", place, "give it an end")
        if isinstance(open_, Value):
            self._require_value_apart(open_, marks)
        return State(marks, open_, any(state.ends for state in states))

    def _require_value_apart(self, value: Value, marks: tuple[Mark, ...]) -> None:
        content = value.content
        begins = (
            (lambda text: text[0] in _VALUE_BEGINS)
            if isinstance(content, JsonSchema)
            else (self._writes(content, value.place))
        )
        for mark in marks:
            if begins(mark.text):
                what = f"a grammar that may begin as {mark.text!r} does, which may stand there too"
                _refuse(what, value.place, "give it a tag of its own")


_LONGER = "let what ends the text be longer, so that it is no part of the other"
_IN_A_TAG = "put it into a Tag with a begin or an end of its own"


def _is_closed(content: JsonSchema) -> bool:
    """Whether the schema says by its `type` that no value is a number (or a word, of which the same is asked)."""
    try:
        schema = msgspec.json.decode(content.schema)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    types = schema.get("type") if isinstance(schema, dict) else None
    return {types} <= _CLOSED if isinstance(types, str) else isinstance(types, list) and set(map(str, types)) <= _CLOSED


def _back(avoid: tuple[str, ...]) -> State:
    return State(open=Back())


def _once(then: Then) -> Then:
    """`then`, called once for each argument that makes a difference: the states that lead there share one."""
    made: dict[tuple[str, ...], State] = {}

    def state(avoid: tuple[str, ...]) -> State:
        if () not in made:
            made[()] = then(())
        if not isinstance(made[()].open, Text):  # nothing here begins with what it should not
            return made[()]
        if avoid not in made:
            made[avoid] = then(avoid)
        return made[avoid]

    return state


def _refuse(what: str, place: str, hint: str) -> NoReturn:
    raise UnenforceableSchema(f"a structure with {what} is not enforced", where=place, hint=hint)


def _invalid(what: str, place: str, hint: str) -> NoReturn:
    raise InvalidSchema(f"not a structure: {what}", where=place, hint=hint)
