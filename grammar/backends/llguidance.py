"""Every kind of grammar through llguidance: the default backend, because it compiles in about a millisecond and
accepted nothing invalid in our samples.

Three things are set apart from the library's defaults. Text that the grammar forces is not forced *as tokens*
(`no_forcing`): by default the mask then offers only the canonical token while other spellings are still accepted, so
mask and accept disagree and both depend on calling the tokenizer back; here a token is offered exactly if it is
accepted. The options that a schema could carry itself, under `x-guidance`, are always ours. And the library never
raises: it goes into an error state in which the mask offers the stop token, so `is_error()` is read wherever the answer
could come from that state.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import llguidance
import msgspec
import numpy as np

from ...errors import InvalidSchema, RamifyError, UnenforceableSchema
from ..choices import check_choices
from ..lark_check import read_lark
from ..limits import DEFAULT_LIMITS, EXACT, GrammarLimits
from ..matcher import MatcherState, dead_end
from ..narrow import narrow
from ..prepare import Prepared, prepare, refused_while_compiling, write_patterns
from ..regex import parse_regex
from ..report import GrammarReport, Note
from ..schema import SchemaNode, subschemas
from ..spec import Choices, GrammarSpec, JsonSchema, Lark, Regex, StructuralTag
from ..state import GrammarPlan
from ..structure import Value, prefixed, resolve
from .llguidance_errors import refusal, runtime_refusal, text_refusal
from .llguidance_structure import StructureWriter
from .llguidance_text import write_choices, write_expression, write_grammar

if TYPE_CHECKING:
    from ..state import MaskRows
    from ..vocabulary import Vocabulary

# One separator style, as json.dumps writes it; or any of JSON's blanks, at most eight together.
_FIXED = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False, "whitespace_pattern": None}
_ANY = {
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,8}",
}
_STRICTLY = {"coerce_one_of": False, "lenient": False}
_NOT_NARROWED = GrammarLimits(narrowing=EXACT)

_PARSER_LIMITS = {
    # What one mask may cost: about 15 ms of lexer and 2.5 ms of parser work before the request fails.
    "step_lexer_fuel": 200_000,
    "step_max_items": 50_000,
    "max_items_in_row": 2_000,
    # What one grammar may cost: about 20 ms to build, and some 150 MB of lexer states while it runs.
    "initial_lexer_fuel": 1_000_000,
    "max_lexer_states": 100_000,
    "max_grammar_size": 500_000,
    # Messages must not carry the schema and the text so far.
    "verbose_errors": False,
}

_KINDS: dict[type[GrammarSpec], str] = {
    JsonSchema: "schema",
    Regex: "pattern",
    Choices: "choices",
    Lark: "grammar",
    StructuralTag: "structure",
}
"""What a grammar is called in messages."""

# Sets of tokens whose masks are ready where a grammar allows all of them, so that only the rest is walked. The
# library's own are text of up to 10, up to 30 and any number of characters: a string with less room walks everything.
_PLAIN = r'[^"\\\x00-\x1F\x7F]'
_SLICES = [
    r"[\x20\x0A\x0D\x09]+",
    *(f"{_PLAIN}{{1,{room}}}" for room in (1, 2, 3, 4, 6, 8, 10, 14, 20, 30)),
    f"{_PLAIN}+",
]

# Strings with long lengths give the lexer new states at every place; one that is full fails all who share it. So after
# this many tokens the next request gets a lexer of its own, for a few milliseconds of compiling.
_LONG_COUNT = re.compile(r'(?:max|min)Length":\d{3}|[{,~.]\d{3,}')
_TOKENS_PER_LEXER = 5_000

# The library does not say what it holds: grammars of 420 characters took 58 KiB each, before their lexers grew.
_BASE_BYTES = 64 * 1024
_BYTES_PER_CHARACTER = 64


class LLGuidanceBackend:
    """llguidance for one vocabulary."""

    name = "llguidance"

    def __init__(
        self, vocabulary: Vocabulary, limits: GrammarLimits = DEFAULT_LIMITS, *, num_threads: int | None = None
    ) -> None:
        """
        Args:
            vocabulary: the tokenizer.
            limits: what a schema may cost.
            num_threads: threads that fill masks, outside the interpreter lock; None is half the processors.
        """
        self._filler = _Filler(num_threads or max(1, (os.cpu_count() or 1) // 2))
        self._vocabulary = vocabulary
        self._limits = limits
        self._tokenizer = llguidance.LLTokenizer(
            _TokenTable(vocabulary), eos_token=sorted(vocabulary.stop_ids), slices=_SLICES
        )
        self._parser_limits = llguidance.LLParserLimits(**_PARSER_LIMITS)

    def compile(self, spec: GrammarSpec) -> LLGuidanceGrammar:
        text, matcher, notes = self._start_any(spec)
        return self._finish(spec.key(), _KINDS[type(spec)], matcher, text, notes)

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        text, matcher, notes = self._start_any(spec)
        kind = _KINDS[type(spec)]
        self._finish(spec.key(), kind, matcher, text, notes)
        return GrammarPlan(spec.key(), self.name, f"{kind}:{text}", notes)

    def build(self, plan: GrammarPlan) -> LLGuidanceGrammar:
        kind, _, text = plan.source.partition(":")
        matcher = self._start(text, lambda reason: text_refusal(reason, kind))
        return self._finish(plan.key, kind, matcher, text, plan.notes)

    def _finish(self, key: str, kind: str, matcher: Any, text: str, notes: tuple[Note, ...]) -> LLGuidanceGrammar:
        report = GrammarReport(self.name, notes)
        grammar = LLGuidanceGrammar(key, kind, matcher, self._filler, self._vocabulary, len(text), report)
        if _LONG_COUNT.search(text):
            grammar.tokens_left = _TOKENS_PER_LEXER
        # A grammar whose first token the vocabulary cannot spell compiles too.
        grammar.state().fill_mask(np.empty(self._vocabulary.words, np.int32))
        return grammar

    def _start_any(self, spec: GrammarSpec) -> tuple[str, Any, tuple[Note, ...]]:
        """The library's text for a grammar, a matcher at its start, and what is not as written."""
        if isinstance(spec, JsonSchema):
            return self._start_schema(spec)
        if isinstance(spec, StructuralTag):
            return self._start_structure(spec)
        text = self._write(spec)
        return text, self._start(text, lambda reason: text_refusal(reason, _KINDS[type(spec)])), ()

    def _write(self, spec: Regex | Choices | Lark) -> str:
        """The library's text for a grammar that is checked in full before."""
        limits = self._limits
        match spec:
            case Regex(pattern):
                return write_expression(parse_regex(pattern, limits), limits)
            case Choices():
                return write_choices(check_choices(spec, limits))
            case Lark(grammar):
                return write_grammar(read_lark(grammar, limits), limits)

    def _start_structure(self, spec: StructuralTag) -> tuple[str, Any, tuple[Note, ...]]:
        """The library's text for a structure, in which each value is a grammar by a name of its own."""
        parts: list[dict[str, Any]] = []
        known: dict[str, tuple[str, tuple[Note, ...]]] = {}
        notes: list[Note] = []

        def name_of(value: Value) -> str:
            key = value.content.key()
            if key not in known:
                name = f"value_{len(known)}"
                try:
                    text, _, own = self._start_any(value.content)
                except RamifyError as error:
                    raise prefixed(error, value.place) from error
                is_schema = isinstance(value.content, JsonSchema)
                part = msgspec.json.decode(text)["grammars"][1] if is_schema else {"lark_grammar": text}
                parts.append(part | {"name": name})
                known[key] = name, own
            name, own = known[key]
            places = (f"{value.place}{note.where}" for note in own)
            notes.extend(msgspec.structs.replace(note, where=place) for note, place in zip(own, places, strict=True))
            return name

        top = StructureWriter(self._vocabulary, self._limits, name_of).write(spec, resolve(spec, self._limits))
        text = msgspec.json.encode({"grammars": [{"name": "top", "lark_grammar": top}, *parts]}).decode()
        return text, self._start(text, lambda reason: text_refusal(reason, _KINDS[type(spec)])), tuple(notes)

    def _start_schema(self, spec: JsonSchema) -> tuple[str, Any, tuple[Note, ...]]:
        """The library's text for a schema, a matcher at its start, and what is not as written."""
        prepared = prepare(spec, self.name, self._limits)
        try:
            return *self._start_prepared(prepared, spec), prepared.notes
        except UnenforceableSchema as error:
            if spec.strict or not (drop := refused_while_compiling(error)):
                raise
            prepared = prepare(spec, self.name, self._limits, drop=drop)
            return *self._start_prepared(prepared, spec), prepared.notes

    def _start_prepared(self, prepared: Prepared, spec: JsonSchema) -> tuple[str, Any]:
        def refuse(reason: str) -> InvalidSchema:
            return refusal(reason, prepared.written)

        if any(here.keyword == "oneOf" for here in subschemas(prepared.exact)):
            # The library proves the alternatives apart. That must hold for the schema as written: closing its objects
            # sets alternatives apart that are not, and is a narrowing only where they are.
            exact, _ = narrow(prepared.exact, _NOT_NARROWED)  # its formats are written as patterns
            self._start(_grammar_text(exact, spec.any_whitespace), refuse)
        text = _grammar_text(prepared.narrowed, spec.any_whitespace)
        return text, self._start(text, refuse)

    def _start(self, text: str, refuse: Callable[[str], InvalidSchema]) -> Any:
        """A matcher at the start of a grammar; `refuse` makes an error of the library's message."""
        matcher = llguidance.LLMatcher(self._tokenizer, text, log_level=0, limits=self._parser_limits)
        if matcher.is_error():
            raise refuse(matcher.get_error())
        if warnings := matcher.get_grammar_warnings():
            raise refuse("; ".join(warnings))
        return matcher


class LLGuidanceGrammar:
    """A compiled grammar: a matcher at the start, which states are copied from.

    Copies share one lexer, behind a lock inside the library: a state is made in a microsecond, and what the lexer built
    for one request serves the next. The price is that a lexer which has outgrown its limit fails for all of them;
    `healthy` then turns False, and the cache compiles anew.
    """

    backend = LLGuidanceBackend.name

    def __init__(
        self,
        key: str,
        kind: str,
        start: Any,
        filler: _Filler,
        vocabulary: Vocabulary,
        num_characters: int,
        report: GrammarReport,
    ) -> None:
        self.key = key
        self.report = report
        self.kind = kind
        self.num_bytes = _BASE_BYTES + _BYTES_PER_CHARACTER * num_characters
        self.healthy = True
        self.tokens_left = -1  # below zero: no end
        self.filler = filler
        self._start = start
        self._vocabulary = vocabulary

    def state(self) -> MatcherState:
        return MatcherState(_Matcher(self._start.deep_copy(), self), self._vocabulary)


class _Matcher:
    """`Matcher` over `llguidance.LLMatcher`."""

    __slots__ = ("_grammar", "library")

    def __init__(self, library: Any, grammar: LLGuidanceGrammar) -> None:
        self.library = library
        self._grammar = grammar

    @property
    def filler(self) -> _Filler:
        return self._grammar.filler

    def consume(self, token_id: int) -> bool:
        if self.library.try_consume_tokens([token_id]):
            if self._grammar.tokens_left > 0:
                self._grammar.tokens_left -= 1
                if self._grammar.tokens_left == 0:
                    self._grammar.healthy = False
            return True
        self._check()
        return False

    def rollback(self, num_tokens: int) -> None:
        self.library.rollback(num_tokens)
        self._check()

    def copy(self) -> _Matcher:
        return _Matcher(self.library.deep_copy(), self._grammar)

    def forced(self) -> bytes:
        text: bytes = self.library.compute_ff_bytes()
        self._check()
        # A control token is spelled here as the byte FF, which is in no text, and its id.
        return text.partition(b"\xff")[0]

    def accepting(self) -> bool:
        if self.library.is_accepting():
            return True
        self._check()
        return False

    def failure(self) -> InvalidSchema | None:
        """The error if the matcher is in its error state, in which it answers as if nothing were wrong."""
        if not self.library.is_error():
            return None
        message = self.library.get_error()
        if message.startswith("NoExtension"):
            return dead_end()
        self._grammar.healthy = False
        return runtime_refusal(message, self._grammar.kind)

    def _check(self) -> None:
        if (error := self.failure()) is not None:
            raise error


class _Filler:
    """`RowFiller` over the library's thread pool: one call a batch, without the interpreter lock."""

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads

    @cached_property
    def _executor(self) -> Any:
        """Its threads start with the first mask: a process that forks must have none."""
        return llguidance.LLExecutor(self._num_threads)

    def fill(self, matchers: Sequence[_Matcher], out_RW: MaskRows, rows: Sequence[int]) -> list[InvalidSchema | None]:
        targets = [(matcher.library, row) for matcher, row in zip(matchers, rows, strict=True)]
        self._executor.unsafe_compute_mask_ptr(targets, out_RW.ctypes.data, 4 * out_RW.shape[1], len(out_RW))
        # In the error state the row is a mask of the stop tokens, so every matcher is asked.
        return [matcher.failure() for matcher in matchers]


def _grammar_text(schema: SchemaNode, any_whitespace: bool) -> str:
    """The schema as a named part of a top-level grammar, which is where the library takes `no_forcing` from."""
    schema = write_patterns(schema)
    if isinstance(schema, dict):
        schema = schema | {"x-guidance": (_ANY if any_whitespace else _FIXED) | _STRICTLY}
    elif schema:
        schema = {"x-guidance": (_ANY if any_whitespace else _FIXED) | _STRICTLY}
    parts = [
        {"name": "top", "lark_grammar": '%llguidance {"no_forcing": true}\nstart: @value'},
        {"name": "value", "json_schema": schema},
    ]
    return msgspec.json.encode({"grammars": parts}).decode()


class _TokenTable:
    """The vocabulary in the shape that `llguidance.LLTokenizer` reads: attributes by these names."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = [*vocabulary.tokens, *[b""] * (vocabulary.width - len(vocabulary.tokens))]
        self.eos_token_id = min(vocabulary.stop_ids)
        # A token without bytes is in no grammar already; marking it special would give it bytes.
        self.special_token_ids: list[int] = []

    def __call__(self, text: str) -> list[int]:
        raise AssertionError("only forced tokens are tokenized, and forcing is off")
