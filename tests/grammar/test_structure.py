"""Structures against brute force: each mask bit is what an independent pattern says of that token.

The judge of a whole text is Python's `re`, with look-ahead and atomic groups for "the first place where it can end".
A text that is not whole can go on if some tail of a sample makes it whole; the samples of a case reach all its places.
Control tokens are characters of their own there, from the end of Unicode.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from ramify.errors import InvalidSchema, OutputInvalid, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.segments import Segment, SegmentReader, read_segments
from ramify.grammar.spec import (
    AnyText,
    Choices,
    Format,
    GrammarSpec,
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
)
from ramify.grammar.state import GrammarPlan, GrammarState
from ramify.grammar.validate import check_value
from ramify.grammar.vocabulary import Vocabulary

FUZZ_STRUCTURES = 6_000 if os.environ.get("RAMIFY_FUZZ") == "1" else 200
STOP, CALL, OFF = 0, 1, 2
_CONTROL = {"<|end|>": STOP, "<|call|>": CALL, "<|off|>": OFF}
_PIECES = ["<a", "x<a", "<a>", "a>1", "1</a>", "</a>x", "</a><a>", "x<", '"</a>"', '{"k": ', '"}</', "<b>", "</think>"]
_PIECES += ["k>x", "</th", "]", "[", ", ", "x</think><a>", "7<", "\n</a>", "é<", "call", "<|call|>", "|>", "ab", "12"]
_BYTES = [
    bytes((byte,))
    for byte in dict.fromkeys((*b'<>/abkox127 ,[]{}":|-.e\nthinclof0', *"é日".encode(), 0xF0, 0x80, 0xFF))
]
TOKENS = (b"", b"", b"", *_BYTES, *(piece.encode() for piece in _PIECES), "日é".encode(), b"x\xc3", b"\xa9<")
VOCABULARY = Vocabulary(TOKENS, frozenset({STOP}), len(TOKENS) + 40, _CONTROL)


def control(token_id: int) -> str:
    return chr(0x10FF00 + token_id)


_KV = JsonSchema('{"type": "object", "properties": {"k": {"enum": ["</a>", "x", "é", 7]}}, "required": ["k"]}')
KV = r'\{"k": (?:"</a>"|"x"|"é"|7)\}'
_INT = JsonSchema('{"type": "integer", "minimum": 0, "maximum": 99}')
INT = "(?:[0-9]|[1-9][0-9])"
ANY = rf"[^{control(0)}-{control(9)}]"
A = Tag("<a>", Regex("[0-9]{1,2}"), "</a>")
B = Tag("<b>", _KV, "</b>")
UPTO_A = rf"(?:(?!<a>){ANY})*"


@dataclass
class Case:
    name: str
    format: Format
    pattern: str
    samples: list[str]


CASES = [
    Case(
        "a tag in free text",
        TriggeredTags(("<a",), (A,)),
        rf"(?:(?:(?!<a){ANY})*<a>[0-9]{{1,2}}</a>)*(?:(?!<a){ANY})*",
        ["x<a>12</a>x<a>7</a>é", "<", "x</a>日<b>"],
    ),
    Case(
        "two tags, one trigger, at least one",
        TriggeredTags(("<",), (A, B), at_least_one=True),
        rf"(?:[^<{control(0)}-{control(9)}]*(?:<a>[0-9]{{1,2}}</a>|<b>{KV}</b>))+[^<{control(0)}-{control(9)}]*",
        ["x<a>1</a>x", '<b>{"k": "</a>"}</b>', '<b>{"k": "é"}</b>', '<b>{"k": 7}</b>'],
    ),
    Case(
        "stop after the first, excluded strings",
        TriggeredTags(("<a>",), (A,), stop_after_first=True, excludes=("ab", "7")),
        rf"(?:(?!<a>|ab|7){ANY})*(?:<a>[0-9]{{1,2}}</a>)?",
        ["xx<a>12</a>", "a", "<a"],
    ),
    Case(
        "reasoning, then an answer in JSON",
        Sequence((Tag("", AnyText(), "</think>", "think"), _KV)),
        rf"(?>{ANY}*?</think>){KV}",
        ['ab</think>{"k": "x"}', '</think>{"k": "</a>"}', '</th</think>{"k": 7}', '</think>{"k": "é"}'],
    ),
    Case(
        "reasoning, then free text with tools",
        Sequence((Optional(Tag("<think>", AnyText(), "</think>")), TriggeredTags(("<a>",), (A,)))),
        rf"(?:<think>(?>{ANY}*?</think>)|(?!<think>))(?:(?:(?!<a>){ANY})*<a>[0-9]{{1,2}}</a>)*(?:(?!<a>){ANY})*",
        ["<think>x</think>x<a>1</a>x", "<thin", "x<a>12</a>"],
    ),
    Case(
        "control tokens around JSON",
        TriggeredTags(("<|call|>",), (Tag("<|call|>x", _KV, "<|off|>"),)),
        rf"(?:(?:(?!<\|call\|>){ANY})*{control(CALL)}x{KV}{control(OFF)})*(?:(?!<\|call\|>){ANY})*",
        [f'x{control(CALL)}x{{"k": "x"}}{control(OFF)}x', "<|call|", f'{control(CALL)}x{{"k": "</a>"}}{control(OFF)}'],
    ),
    Case(
        "text between control tokens",
        Tag("<|call|>", AnyText(), "<|off|>"),
        rf"{control(CALL)}(?:(?!<\|off\|>){ANY})*{control(OFF)}",
        [f"{control(CALL)}x<a>{control(OFF)}", f"{control(CALL)}<|call|>{control(OFF)}"],
    ),
    Case(
        "a list of tags",
        Tag("[", TagsWithSeparator((A, B), ", "), "]"),
        rf"\[(?:(?:<a>[0-9]{{1,2}}</a>|<b>{KV}</b>)(?:, (?:<a>[0-9]{{1,2}}</a>|<b>{KV}</b>))*)?\]",
        [
            '[<a>1</a>, <b>{"k": "x"}</b>, <a>12</a>]',
            "[]",
            '[<b>{"k": 7}</b>]',
            '[<b>{"k": "é"}</b>]',
            '[<b>{"k": "</a>"}</b>]',
        ],
    ),
    Case(
        "a list of tags before free text",
        Sequence((TagsWithSeparator((A,), "", at_least_one=True), AnyText())),
        rf"(?:<a>[0-9]{{1,2}}</a>)+(?!<a>){ANY}*",
        ["<a>1</a><a>12</a>x", "<a>1</a><a"],
    ),
    Case(
        "a text ends at the first end that leaves it whole",
        Sequence((Tag("<b>", Regex("x*(?:</a>)?7?"), "</a>"), Regex("[1x]{0,3}"))),
        r"<b>(?>x*</a>|x*7</a>)[1x]{0,3}",
        ["<b>xx</a>x", "<b>7</a>11", "<b></a>1x1"],
    ),
    Case(
        "alternatives",
        Or((A, B, Choices(("no", "nil")), AnyText())),
        rf"<a>[0-9]{{1,2}}</a>|<b>{KV}</b>|no|nil|(?!<a>|<b>|no|nil){ANY}*",
        [
            "<a>12</a>",
            '<b>{"k": "x"}</b>',
            "no",
            "nil",
            "x",
            "<",
            "n",
            '<b>{"k": 7}</b>',
            '<b>{"k": "é"}</b>',
            '<b>{"k": "</a>"}</b>',
        ],
    ),
    Case(
        "a structure in a tag",
        Sequence((Tag("<b>", TriggeredTags(("<a>",), (A,)), "</b>"), Choices(("x",)), Tag("", _INT, "</a>"))),
        rf"<b>(?:(?:(?!<a>|</b>){ANY})*<a>[0-9]{{1,2}}</a>)*(?>(?:(?!<a>){ANY})*?</b>)x{INT}</a>",
        ["<b>x<a>1</a>x</b>x12</a>", "<b></b>x7</a>"],
    ),
    Case(
        "a grammar in a tag",
        Tag("<a>", Lark('start: "x" ("," /[0-9]/)*'), "</a>"),
        r"<a>x(?:,[0-9])*</a>",
        ["<a>x,1,7</a>"],
    ),
    Case(
        "choices of which one begins another",
        Sequence((Tag("", Choices(("a", "ab", "")), "<b>"), Choices(("1", "12")))),
        "(?:a|ab|)<b>(?:1|12)",
        ["a<b>12", "ab<b>1", "<b>1"],
    ),
]


@cache
def backend() -> Any:
    return make_backend(VOCABULARY, "llguidance")


def state_of(format_: Format) -> GrammarState:
    state: GrammarState = backend().compile(StructuralTag(format_)).state()
    return state


def allowed(state: GrammarState) -> list[int]:
    row = np.full(VOCABULARY.words, 0x55555555, np.int32)
    state.fill_mask(row)
    return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()


class Reference:
    """What may follow, by the pattern of a case."""

    def __init__(self, case: Case) -> None:
        self._pattern = re.compile(case.pattern, re.DOTALL)
        tails = {sample[at:] for sample in case.samples for at in range(len(sample) + 1)}
        self._tails = sorted(tails, key=len)
        self._known: dict[str, bool] = {}

    def is_whole(self, data: bytes) -> bool:
        try:
            return self._pattern.fullmatch(data.decode()) is not None
        except UnicodeDecodeError:
            return False

    def goes_on(self, data: bytes) -> bool:
        text, rest = _decoded(data)
        if text is None:
            return False
        if rest:
            return any(self._viable(text + character) for character in _completions(rest))
        return self._viable(text)

    def _viable(self, text: str) -> bool:
        if text not in self._known:
            self._known[text] = any(self._pattern.fullmatch(text + tail) for tail in self._tails)
        return self._known[text]


def _decoded(data: bytes) -> tuple[str | None, bytes]:
    """The whole characters, and the bytes of one that is begun; None for what is no UTF-8."""
    for length in range(4):
        head, rest = data[: len(data) - length], data[len(data) - length :]
        try:
            text = head.decode()
        except UnicodeDecodeError:
            continue
        return (text, rest) if not rest or any(True for _ in _completions(rest)) else (None, b"")
    return None, b""


@cache
def _completions(rest: bytes) -> tuple[str, ...]:
    """Characters that begin with these bytes: those of the samples, and one other."""
    known = [character for character in "é日" if character.encode().startswith(rest)]
    other = next(
        (
            chr(code)
            for code in (*range(0x80, 0xD800, 61), *range(0xE000, 0x10F000, 1021))
            if chr(code).encode().startswith(rest)
        ),
        None,
    )
    return tuple(known + ([other] if other else []))


def spelling(token_id: int) -> bytes:
    return control(token_id).encode() if token_id in (CALL, OFF) else TOKENS[token_id]


def steps(text: str, rng: random.Random) -> list[int]:
    """A random way to spell a text."""
    data = text.encode()
    marks = {control(token_id).encode(): token_id for token_id in (CALL, OFF)}
    ids: list[int] = []
    while data:
        fits = [i for i, token in enumerate(TOKENS) if token and data.startswith(token)]
        fits += [token_id for mark, token_id in marks.items() if data.startswith(mark)]
        longest = max(fits, key=lambda i: len(spelling(i)))
        ids.append(rng.choice([*fits, longest, longest]))
        data = data[len(spelling(ids[-1])) :]
    return ids


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_bit_is_what_the_pattern_says(case: Case) -> None:
    reference, rng = Reference(case), random.Random(case.name)
    for sample in case.samples:
        assert reference.is_whole(sample.encode()) or reference.goes_on(sample.encode()), sample
    texts = [sample for sample in case.samples for _ in range(3)]
    for text in texts:
        state, data = state_of(case.format), b""
        for token_id in [*steps(text, rng), None]:
            bits = allowed(state)
            whole = reference.is_whole(data)
            expected = [
                i for i in range(len(TOKENS)) if i != STOP and spelling(i) and reference.goes_on(data + spelling(i))
            ]
            assert bits == ([STOP] if whole else []) + expected, (data, [TOKENS[i] for i in set(bits) ^ set(expected)])
            assert state.completed == whole
            assert [i for i in range(VOCABULARY.width) if state.fork().accept(i)] == bits
            if token_id is None or token_id not in bits:
                break
            if rng.random() < 0.15:
                token_id = rng.choice([i for i in bits if i != STOP] or [token_id])
            assert state.accept(token_id)
            data += spelling(token_id)


WHOLE = [(case, sample) for case in CASES for sample in case.samples if Reference(case).is_whole(sample.encode())]


def as_text(sample: str) -> str:
    """A sample as the text of its value, in which control tokens are spelled."""
    for name, token_id in _CONTROL.items():
        sample = sample.replace(control(token_id), name)
    return sample


@pytest.mark.parametrize(("case", "sample"), WHOLE, ids=lambda value: value.name if isinstance(value, Case) else "")
def test_a_text_is_read_alike_whole_and_by_characters(case: Case, sample: str) -> None:
    spec, text = StructuralTag(case.format), as_text(sample)
    segments = read_segments(spec, text)
    for segment in segments:
        assert text[segment.begin : segment.end] == segment.text
    reader = SegmentReader(spec)
    closed = [segment for character in text for segment in reader.feed(character)] + reader.finish()
    assert tuple(reader.segments) == segments
    assert [segment for segment in closed if segment in segments] == list(segments)


def test_a_tag_is_told_as_soon_as_its_end_is_there() -> None:
    reader = SegmentReader(StructuralTag(TriggeredTags(("<",), (A, B))))
    assert reader.feed('see <b>{"k": "</') == [Segment("", "see ", 0, 4, AnyText())]
    assert reader.feed('a>"}</b') == []
    (segment,) = reader.feed("> and")
    assert (segment.tag, segment.text, segment.begin, segment.end) == ("<b>", '{"k": "</a>"}', 7, 20)
    assert [(each.tag, each.text) for each in reader.finish()] == [("", " and")]


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        (A, "<a>x</a>"),
        (A, "<a>1</a>x"),
        (A, "<a>1"),
        (TriggeredTags(("<a",), (A,)), "x<ab"),
        (TriggeredTags(("<a",), (A,), at_least_one=True), "x"),
        (TriggeredTags(("<a",), (A,), excludes=("bad",)), "a bad text"),
        (Tag("[", TagsWithSeparator((A,), ", "), "]"), "[<a>1</a>, ]"),
        (Or((A, Choices(("no",)))), "yes"),
    ],
)
def test_another_text_is_refused_by_the_reader(format_: Format, text: str) -> None:
    with pytest.raises(OutputInvalid):
        read_segments(StructuralTag(format_), text)


REFUSED: list[tuple[Format, type[Exception], str, str]] = [
    (Sequence((Regex("a*"), AnyText())), UnenforceableSchema, "format.parts[0]", "followed by more text"),
    (Or((Regex("a"), AnyText())), UnenforceableSchema, "format", "nothing tells apart"),
    (Or((A, Tag("<a>", AnyText(), "x"))), UnenforceableSchema, "format", "begin alike"),
    (TriggeredTags(("<", "<a"), (A,)), UnenforceableSchema, "format", "begin alike"),
    (
        TriggeredTags(("a>", ">"), (Tag("a>", _INT, "x"), Tag(">", _INT, "x"))),
        UnenforceableSchema,
        "format",
        "holds it",
    ),
    (TriggeredTags(("<c",), (A,)), InvalidSchema, "format.tags[0]", "begins with no trigger"),
    (TriggeredTags(("<a", "<c"), (A,)), InvalidSchema, "format", "no tag begins"),
    (TriggeredTags((), ()), InvalidSchema, "format", "needs triggers"),
    (Tag("<a>", _INT, "0</a>"), UnenforceableSchema, "format.content", "may go on"),
    (TriggeredTags(("<a>",), (Tag("<a>", _INT, ""),)), UnenforceableSchema, "format.tags[0].content", "a number"),
    (Tag("<a>", Lark("start: /[<x]+/"), "</a>"), UnenforceableSchema, "format.content", "may go on"),
    (Or((JsonSchema("{}"), Tag("[x]", AnyText(), "y"))), UnenforceableSchema, "format.options[0]", "may begin as"),
    (
        Sequence((Optional(Tag("<b>", AnyText(), "x")), TriggeredTags(("<",), (A,)))),
        UnenforceableSchema,
        "format.parts[1]",
        "inside of",
    ),
    (
        TriggeredTags(("<c>",), (Tag("<c>", TagsWithSeparator((A,), ", "), ""),)),
        UnenforceableSchema,
        "format.tags[0].content",
        "without an end",
    ),
    (Sequence((A, Lark('start: "x"+\n%ignore " "'))), UnenforceableSchema, "format.parts[1]", "ignores text"),
    (
        Tag("x", TriggeredTags(("x<",), (Tag("x<", _KV, "x"),)), "<|off|>"),
        UnenforceableSchema,
        "format.content",
        "overlap",
    ),
    (Optional(Optional(A)), UnenforceableSchema, "format.part", "already"),
    (Tag("<a>", Regex("(?=a)"), "</a>"), UnenforceableSchema, "format.content, character 0", "look"),
    (Tag("<a>", Lark("start: B"), "</a>"), InvalidSchema, "format.content, line 1, column 8", "B is not defined"),
    (Tag("<a>", JsonSchema('{"a": '), "</a>"), InvalidSchema, "format.content, end of the text", "not JSON"),
    (
        Sequence((A, Tag("<b>", JsonSchema('{"properties": {"a": {"format": "regex"}}}'), "</b>"))),
        UnenforceableSchema,
        "format.parts[1].content#/properties/a/format",
        "format",
    ),
    (Tag("<a>", AnyText(), "<|end|>"), UnenforceableSchema, "format", "ends the generation"),
    (TriggeredTags(("<|cal",), (Tag("<|call|>", AnyText(), "x"),)), UnenforceableSchema, "format.tags[0]", "inside of"),
    (TriggeredTags(("x<|call|>",), (Tag("x<|call|>", AnyText(), "x"),)), UnenforceableSchema, "format", "mixes"),
]


@pytest.mark.parametrize(("format_", "error", "where", "what"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_what_has_no_one_reading_is_refused_at_its_place(
    format_: Format, error: type[Exception], where: str, what: str
) -> None:
    with pytest.raises(InvalidSchema) as caught:
        backend().compile(StructuralTag(format_))
    assert type(caught.value) is error
    assert (caught.value.where, what in caught.value.what) == (where, True), caught.value


@pytest.mark.parametrize(
    ("format_", "what"),
    [
        (Sequence((A,) * 300), "tags"),
        (Sequence((Choices(("a",)),) * 300), "parts"),
        (Tag("<" * 2_000, AnyText(), "x"), "fixed text"),
        (TriggeredTags(("<",), tuple(Tag(f"<{i}>", Choices(("x" * 60_000,)), "x") for i in range(5))), "bytes"),
        (Tag("<\ud800>", AnyText(), "x"), "surrogate"),
    ],
    ids=["tags", "parts", "mark", "bytes", "surrogate"],
)
def test_limits_hold_for_the_whole(format_: Format, what: str) -> None:
    with pytest.raises(InvalidSchema, match=what):
        backend().compile(StructuralTag(format_))


def test_nesting_is_bounded() -> None:
    format_: Format = AnyText()
    for _ in range(40):
        format_ = Tag("<b>", format_, "</b>")
    with pytest.raises(InvalidSchema, match="inside one another"):
        backend().compile(StructuralTag(format_))


def test_a_pattern_that_never_ends_does_not_hold_the_engine() -> None:
    loose = JsonSchema('{"uniqueItems": true}', strict=False)
    spec = StructuralTag(Sequence((Tag("<a>", Regex("(?:a|aa)+b"), "</a>"), loose)))
    invalid = check_value(spec, f"<a>{'a' * 60}</a>[]")
    assert invalid is not None
    assert "not validated within" in invalid.what


def test_ends_inside_of_strings_are_stepped_over() -> None:
    spec = StructuralTag(TriggeredTags(("<a>",), (Tag("<a>", JsonSchema("{}"), "</a>"),)))
    inside = json.dumps(["</a>"] * 20_000)
    first, second = read_segments(spec, f"<a>{inside}</a>x")
    assert (first.text, second.text) == (inside, "x")
    assert read_segments(spec, "<a>12</a>")[0].text == "12"


@pytest.mark.parametrize("part", [A, Optional(Tag("<c>", AnyText(), "</c>"))], ids=["tags", "optional"])
def test_a_long_sequence_does_not_use_up_the_stack(part: Format) -> None:
    parts = tuple(replace_marks(part, str(number)) for number in range(85))
    segments = read_segments(StructuralTag(Sequence(parts)), "".join(f"<{number}>1</{number}>" for number in range(85)))
    assert len(segments) == 85
    assert state_of(Sequence(parts)).completed == isinstance(part, Optional)


def replace_marks(part: Format, name: str) -> Format:
    if isinstance(part, Optional):
        return Optional(replace_marks(part.part, name))
    return Tag(f"<{name}>", Regex("1"), f"</{name}>")


@pytest.mark.parametrize("pattern", ["(.*a){20}", "(a{1,90}){1,90}", "[ab]*a[ab]{12}"])
def test_patterns_that_hold_no_end_cost_what_they_cost_alone(pattern: str) -> None:
    alone = backend().compile(Regex(pattern.replace(".", "[a-z]"))).state()
    tagged = state_of(Tag("<a>", Regex(pattern.replace(".", "[a-z]")), "</a>"))
    byte_id = {token[0]: i for i, token in enumerate(TOKENS) if len(token) == 1}
    assert all(tagged.accept(byte_id[byte]) for byte in b"<a>")
    for _ in range(30):
        assert [i for i in allowed(tagged) if i not in (STOP, byte_id[ord("<")]) and TOKENS[i] != b"</a>x"] == [
            i for i in allowed(alone) if i != STOP
        ]
        assert alone.accept(byte_id[ord("a")]) and tagged.accept(byte_id[ord("a")])


def test_many_tags_in_one_text_do_not_use_up_the_parser() -> None:
    state = state_of(TriggeredTags(("<a",), (A,)))
    byte_id = {token[0]: i for i, token in enumerate(TOKENS) if len(token) == 1}
    for _ in range(3_000):
        assert all(state.accept(byte_id[byte]) for byte in b"x<a>1</a>")
    assert state.completed


def test_notes_name_the_place_of_each_schema() -> None:
    schema = JsonSchema('{"type": "array", "items": {"type": "integer"}, "uniqueItems": true}', strict=False)
    tags = (Tag("<a>", schema, "</a>"), Tag("<b>", schema, "</b>"))
    report = backend().compile(StructuralTag(TriggeredTags(("<",), tags))).report
    assert {note.where for note in report.notes if note.kind == "ignored"} == {
        "format.tags[0].content#/uniqueItems",
        "format.tags[1].content#/uniqueItems",
    }
    assert not report.exact


def test_specs_travel_and_equal_ones_have_one_key() -> None:
    decoder = msgspec.msgpack.Decoder(GrammarSpec)
    keys = set()
    for case in CASES:
        spec = StructuralTag(case.format)
        again = decoder.decode(msgspec.msgpack.encode(spec))
        assert again == spec
        assert again.key() == spec.key()
        keys.add(spec.key())
    assert len(keys) == len(CASES)
    assert StructuralTag(A).key() != StructuralTag(Tag("<a>", A.content, "</a>", "other")).key()
    spaced = StructuralTag(Tag("<a>", JsonSchema('{ "type":"integer"}'), "</a>"))
    assert spaced.key() == StructuralTag(Tag("<a>", JsonSchema('{"type": "integer"}'), "</a>")).key()


def test_a_plan_from_another_process_builds_the_same_grammar() -> None:
    spec = StructuralTag(CASES[5].format)
    plan = msgspec.msgpack.decode(msgspec.msgpack.encode(backend().plan(spec)), type=GrammarPlan)
    built, compiled = backend().build(plan).state(), backend().compile(spec).state()
    for token_id in steps(CASES[5].samples[0], random.Random(0)):
        assert allowed(built) == allowed(compiled)
        assert built.accept(token_id)
        assert compiled.accept(token_id)


def test_rollback_and_fork_over_the_edges_of_tags() -> None:
    for case in CASES:
        rng = random.Random(case.name)
        ids = steps(case.samples[0], rng)
        state = state_of(case.format)
        rows = []
        for token_id in ids:
            rows.append(allowed(state))
            assert state.accept(token_id)
        fork = state.fork()
        for back in range(1, len(ids) + 1):
            other = fork.fork()
            other.rollback(back)
            assert allowed(other) == rows[len(ids) - back]


def test_values_whose_schema_is_not_enforced_are_validated_in_their_tags() -> None:
    schema = JsonSchema('{"type": "array", "items": {"type": "integer"}, "uniqueItems": true}', strict=False)
    spec = StructuralTag(TriggeredTags(("<a>",), (Tag("<a>", schema, "</a>"),)))
    assert check_value(spec, "x<a>[1, 2]</a>") is None
    invalid = check_value(spec, "x<a>[1, 2]</a><a>[3, 3]</a>")
    assert invalid is not None
    assert invalid.where.startswith("<a> at character 17")


# -- random structures: what the reader can read, and nothing else, is what the masks let through

_BEGINS = ["<a>", "<b>", "[", "<a", "x<", "<|call|>", "ab"]
_ENDS = ["</a>", "</b>", "]", "<", "\n", "<|off|>", "x"]
_TEXTS = ["x", "1", "<", "a", "</a>", "<a>", "<b>", "é", "ab", "[", "]", ", ", "\n", "12", "x<", "</"]
_CONTENTS: list[Any] = [
    AnyText(),
    AnyText(("ab",)),
    Regex("[0-9]{1,2}"),
    Regex("[x1<]*"),
    Regex("x*(?:</a>)?"),
    Choices(("x", "xx", "")),
    Choices(("1", "ab")),
    _KV,
    _INT,
    Lark('start: "x" ("," /[0-9]/)*'),
]


def some_tag(rng: random.Random, depth: int) -> Tag:
    return Tag(rng.choice(_BEGINS), some_format(rng, depth + 1), rng.choice([*_ENDS, ""]), "t")


def some_format(rng: random.Random, depth: int = 0) -> Format:
    tags = tuple(some_tag(rng, depth) for _ in range(rng.randint(1, 2))) if depth < 3 else ()
    match rng.randint(0, 7) if depth < 3 else 7:
        case 0:
            triggers = tuple({tag.begin[: rng.randint(1, len(tag.begin))] for tag in tags})
            return TriggeredTags(triggers, tags, rng.random() < 0.4, rng.random() < 0.3)
        case 1:
            return TagsWithSeparator(tags, rng.choice([", ", "", "x"]), rng.random() < 0.5, rng.random() < 0.3)
        case 2 | 3:
            return Sequence(tuple(some_format(rng, depth + 1) for _ in range(rng.randint(1, 3))))
        case 4:
            return Or(tuple(some_format(rng, depth + 1) for _ in range(2)))
        case 5:
            return Optional(some_format(rng, depth + 1))
        case 6:
            return tags[0]
        case _:
            content: Format = rng.choice(_CONTENTS)
            return content


def some_text(format_: Format, rng: random.Random) -> str:
    """A text that may well be of the format."""
    match format_:
        case Tag():
            return format_.begin + some_text(format_.content, rng) + format_.end
        case TriggeredTags():
            tags = "".join(free(rng) + some_text(rng.choice(format_.tags), rng) for _ in range(rng.randint(0, 2)))
            return tags + free(rng)
        case TagsWithSeparator():
            return format_.separator.join(some_text(rng.choice(format_.tags), rng) for _ in range(rng.randint(0, 3)))
        case Sequence(parts):
            return "".join(some_text(part, rng) for part in parts)
        case Or(options):
            return some_text(rng.choice(options), rng)
        case Optional(part):
            return some_text(part, rng) if rng.random() < 0.5 else ""
        case JsonSchema():
            return rng.choice(['{"k": "</a>"}', '{"k": 7}'] if format_ == _KV else ["0", "7", "12"])
        case Regex() | Choices():
            return rng.choice(["x", "", "1", "12", "xx</a>", "ab", "x1<", "</a>"])
        case Lark():
            return rng.choice(["x", "x,1"])
        case _:
            return free(rng)


def free(rng: random.Random) -> str:
    return "".join(rng.choices(_TEXTS, k=rng.randint(0, 3)))


def changed(text: str, rng: random.Random) -> str:
    """Mostly the text, else with a piece put in or taken out."""
    if rng.random() < 0.6:
        return text
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(_TEXTS) + text[at:] if rng.random() < 0.5 else text[:at] + text[at + 1 :]


def readable(spec: StructuralTag, text: str) -> bool:
    """Whether the reader reads a text, and each value in it is of its grammar."""
    try:
        segments = list(read_segments(spec, text))
    except OutputInvalid:
        return False
    while segments:
        segment = segments.pop()
        segments.extend(segment.inside)
        pattern = {_KV: KV, _INT: INT}.get(segment.content, "") if isinstance(segment.content, JsonSchema) else ""
        if isinstance(segment.content, Lark):
            pattern = "x(?:,[0-9])*"
        if pattern and not re.fullmatch(pattern, segment.text):
            return False
    return True


def spellings(text: str) -> Iterator[list[int]]:
    """The ids of a text byte by byte: each control token in it as such, or as its letters."""
    byte_id = {token[0]: i for i, token in enumerate(TOKENS) if len(token) == 1}
    pieces = re.split(r"(<\|call\|>|<\|off\|>)", text)
    ways = [
        (*([[_CONTROL[piece]]] if piece in _CONTROL else []), [byte_id[byte] for byte in piece.encode()])
        for piece in pieces
    ]
    for way in itertools.islice(itertools.product(*ways), 256):
        yield [token_id for ids in way for token_id in ids]


def accepts(state: GrammarState, ids: list[int]) -> bool:
    return all(state.accept(token_id) for token_id in ids) and state.completed


def test_masks_let_through_what_the_reader_reads() -> None:
    rng = random.Random(11)
    num_taken = num_whole = num_other = 0
    for _ in range(FUZZ_STRUCTURES):
        format_ = some_format(rng)
        spec = StructuralTag(format_)
        try:
            start = backend().compile(spec).state()
        except InvalidSchema:
            continue
        num_taken += 1
        for _ in range(12):
            text = changed(some_text(format_, rng), rng)
            accepted = any(accepts(start.fork(), ids) for ids in spellings(text))
            assert accepted == readable(spec, text), (spec, text)
            num_whole += accepted
            num_other += not accepted
        state, ids = start.fork(), next(spellings(text))
        while ids and state.accept(ids.pop(0)) and rng.random() < 0.9:
            pass
        assert allowed(state) == [token_id for token_id in range(VOCABULARY.width) if state.fork().accept(token_id)]
    assert min(num_taken, num_whole, num_other) > FUZZ_STRUCTURES // 10
