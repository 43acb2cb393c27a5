"""Structures against brute force: each mask bit is what an independent pattern says of that token.

The judge of a whole text is Python's `re`, with look-ahead and atomic groups for "the first place where it can end".
A text that is not whole can go on if some tail of a sample makes it whole; the samples of a case reach all its places.
Control tokens are characters of their own there, from the end of Unicode.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import GrammarLimits
from ramify.grammar.segments import SegmentReader, read_segments
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
from ramify.grammar.state import GrammarState
from ramify.grammar.vocabulary import Vocabulary

STOP, CALL, OFF = 0, 1, 2
_CONTROL = {"<|end|>": STOP, "<|call|>": CALL, "<|off|>": OFF}
_PIECES = ["<a", "x<a", "<a>", "a>1", "1</a>", "</a>x", "</a><a>", "x<", '"</a>"', '{"k": ', '"}</', "<b>", "</think>"]
_PIECES += ["k>x", "</th", "]", "[", ", ", "x</think><a>", "7<", "\n</a>", "é<", "call", "<|call|>", "|>", "ab", "12"]
_BYTES = [
    bytes((byte,)) for byte in dict.fromkeys((*b'<>/abkox127 ,[]{}":|-.e\nthincl', *"é日".encode(), 0xF0, 0x80, 0xFF))
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


def spelled(case: Case) -> StructuralTag:
    return StructuralTag(case.format)


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
