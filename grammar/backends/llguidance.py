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

import re
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import llguidance
import msgspec
import numpy as np

from ...errors import InvalidSchema, RamifyError, UnenforceableSchema
from ..choices import check_choices
from ..fill_pool import spare_processors
from ..lark_check import read_lark
from ..limits import DEFAULT_LIMITS, EXACT, GrammarLimits
from ..mask_cache import MaskCache, MaskMemory
from ..matcher import MatcherState, dead_end
from ..narrow import narrow
from ..place import Shape, read_shape
from ..prepare import Prepared, prepare, refused_while_compiling, write_patterns
from ..regex import parse_regex
from ..report import GrammarReport, Note
from ..schema import SchemaNode, subschemas
from ..shortest import shortest_bytes
from ..spec import Choices, GrammarSpec, JsonSchema, Lark, Regex, StructuralTag
from ..state import GrammarPlan
from ..structure import Value, prefixed, resolve
from .llguidance_errors import refusal, runtime_refusal, text_refusal
from .llguidance_structure import Pieces, StructureWriter
from .llguidance_text import write_choices, write_expression, write_grammar

if TYPE_CHECKING:
    from ..state import MaskRow
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
_STATES_PER_LEXER = 4
"""States that may share a lexer before there is another one."""
_LEXERS_WITH_MEMORY = 4

# The library does not say what it holds: grammars of 420 characters took 58 KiB each, before their lexers grew.
_BASE_BYTES = 64 * 1024
_BYTES_PER_CHARACTER = 64


class LLGuidanceBackend:
    """llguidance for one vocabulary."""

    name = "llguidance"

    def __init__(
        self, vocabulary: Vocabulary, limits: GrammarLimits = DEFAULT_LIMITS, *, max_lexers: int | None = None
    ) -> None:
        """
        Args:
            vocabulary: the tokenizer.
            limits: what a schema may cost.
            max_lexers: lexers of one grammar at most, so many of its states are filled at once; None is one for each
                thread that fills masks.
        """
        self._max_lexers = max_lexers or spare_processors()
        self._vocabulary = vocabulary
        self._limits = limits
        self._tokenizer = llguidance.LLTokenizer(
            _TokenTable(vocabulary), eos_token=sorted(vocabulary.stop_ids), slices=_SLICES
        )
        self._parser_limits = llguidance.LLParserLimits(**_PARSER_LIMITS)
        self._masks = MaskCache(vocabulary)

    def compile(self, spec: GrammarSpec) -> LLGuidanceGrammar:
        text, matcher, notes = self._start_any(spec)
        return self._finish(spec.key(), _KINDS[type(spec)], matcher, text, notes, self._min_tokens(spec))

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        text, matcher, notes = self._start_any(spec)
        kind = _KINDS[type(spec)]
        min_tokens = self._min_tokens(spec)
        self._finish(spec.key(), kind, matcher, text, notes, min_tokens)
        return GrammarPlan(spec.key(), self.name, f"{kind}:{text}", notes, min_tokens)

    def build(self, plan: GrammarPlan) -> LLGuidanceGrammar:
        kind, _, text = plan.source.partition(":")
        matcher = self._start(text, lambda reason: text_refusal(reason, kind))
        return self._finish(plan.key, kind, matcher, text, plan.notes, plan.min_tokens)

    def _min_tokens(self, spec: GrammarSpec) -> int:
        pieces = Pieces(self._vocabulary)
        longest = self._vocabulary.longest

        def mark_bytes(mark: str) -> int:
            return sum(longest if isinstance(piece, int) else len(piece.encode()) for piece in pieces.of(mark))

        return -(-shortest_bytes(spec, self._limits, mark_bytes) // longest)

    def _finish(
        self, key: str, kind: str, matcher: Any, text: str, notes: tuple[Note, ...], min_tokens: int
    ) -> LLGuidanceGrammar:
        def compile_again() -> Any:
            return self._start(text, lambda reason: text_refusal(reason, kind))

        report = GrammarReport(self.name, notes)
        grammar = LLGuidanceGrammar(
            key, kind, matcher, compile_again, text, self._vocabulary, self._masks, self._max_lexers, report
        )
        grammar.min_tokens = min_tokens
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
    """A compiled grammar: lexers, and matchers at the start that states are copied from.

    Copies of a matcher share its lexer, behind a lock inside the library: what the lexer built for one request serves
    the next, but of those who share one only one is filled at a time. So a grammar that has many states gets more
    lexers, each made when a state is first used, on the thread that uses it. The price of sharing is that a lexer which
    has outgrown its limit fails for all who share it; it gets no more states then. When no lexer is left, `healthy`
    turns False, and the cache compiles anew.
    """

    backend = LLGuidanceBackend.name

    def __init__(
        self,
        key: str,
        kind: str,
        matcher: Any,
        compile_again: Callable[[], Any],
        text: str,
        vocabulary: Vocabulary,
        masks: MaskCache,
        max_lexers: int,
        report: GrammarReport,
    ) -> None:
        self.key = key
        self.report = report
        self.kind = kind
        self.num_bytes = _BASE_BYTES + _BYTES_PER_CHARACTER * len(text)
        self._compile_again = compile_again
        self.min_tokens = 0
        self._vocabulary = vocabulary
        self._masks = masks
        self._number = masks.grammar()
        self._shape = _read_shape(text) if kind == _KINDS[JsonSchema] else None
        self._tokens_per_lexer = _TOKENS_PER_LEXER if _LONG_COUNT.search(text) else -1
        # Where masks are remembered few are made, and each lexer has to learn the grammar by itself.
        self._max_lexers = max_lexers if self._shape is None else min(max_lexers, _LEXERS_WITH_MEMORY)
        self._lexers = [_Lexer(matcher, self._tokens_per_lexer)]
        self._last = self._lexers  # for those who come when none takes any more
        self._num_making = 0
        self._lock = threading.Lock()

    @property
    def healthy(self) -> bool:
        return bool(self._lexers)

    @property
    def num_lexers(self) -> int:
        """Lexers that take new states."""
        return len(self._lexers)

    def state(self) -> MatcherState:
        memory = MaskMemory(self._masks, self._number, self._shape) if self._shape is not None else None
        return MatcherState(_Matcher(self), self._vocabulary, memory)

    def lexer(self) -> _Lexer:
        """The lexer for a new state: the one with the fewest, or a new one if that has its share."""
        with self._lock:
            lexers = self._lexers or self._last
            lexer = min(lexers, key=lambda lexer: len(lexer.users))
            num_lexers = len(self._lexers) + self._num_making
            if len(lexer.users) < _STATES_PER_LEXER or not 0 < num_lexers < self._max_lexers:
                return lexer
            self._num_making += 1
        made = _Lexer(self._compile_again(), self._tokens_per_lexer)
        with self._lock:
            self._num_making -= 1
            self._lexers.append(made)
        return made

    def retire(self, lexer: _Lexer) -> None:
        """Give a lexer no more states."""
        with self._lock:
            self._last = [lexer]
            self._lexers = [other for other in self._lexers if other is not lexer]


class _Lexer:
    """A matcher at the start, which states are copied from, with the lexer that all of them share.

    Attributes:
        tokens_left: after so many tokens it takes no more states; below zero: no end.
        users: the matchers on it that somebody still holds.
    """

    __slots__ = ("start", "tokens_left", "users")

    def __init__(self, start: Any, tokens_left: int) -> None:
        self.start = start
        self.tokens_left = tokens_left
        self.users: weakref.WeakSet[_Matcher] = weakref.WeakSet()


class _Matcher:
    """`Matcher` over `llguidance.LLMatcher`, which is made when it is first used."""

    __slots__ = ("__weakref__", "_grammar", "_lexer", "_made")

    def __init__(self, grammar: LLGuidanceGrammar) -> None:
        self._grammar = grammar
        self._lexer: _Lexer | None = None
        self._made: Any = None

    @property
    def library(self) -> Any:
        """The library's matcher."""
        if self._made is None:
            self._join(self._grammar.lexer())
            self._made = self._lexer_of().start.deep_copy()
        return self._made

    def fill(self, row: MaskRow) -> None:
        self.library.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
        # In the error state the row is a mask of the stop tokens.
        self._check()

    def consume(self, token_id: int) -> bool:
        if self.library.try_consume_tokens([token_id]):
            lexer = self._lexer_of()
            if lexer.tokens_left > 0:
                lexer.tokens_left -= 1
                if lexer.tokens_left == 0:
                    self._grammar.retire(lexer)
            return True
        self._check()
        return False

    def rollback(self, num_tokens: int) -> None:
        self.library.rollback(num_tokens)
        self._check()

    def copy(self) -> _Matcher:
        copy = _Matcher(self._grammar)
        copy._made = self.library.deep_copy()
        copy._join(self._lexer_of())
        return copy

    def forced(self) -> bytes:
        text: bytes = self.library.compute_ff_bytes()
        self._check()
        # A control token is spelled here as the byte FF, which is in no text, and its id.
        return text.partition(b"\xff")[0]

    def remaining(self) -> int:
        return max(1, len(self.forced()))

    def accepting(self) -> bool:
        if self.library.is_accepting():
            return True
        self._check()
        return False

    def _join(self, lexer: _Lexer) -> None:
        self._lexer = lexer
        lexer.users.add(self)

    def _lexer_of(self) -> _Lexer:
        assert self._lexer is not None
        return self._lexer

    def _check(self) -> None:
        """Raise what put the matcher into its error state, in which it answers as if nothing were wrong."""
        if not self.library.is_error():
            return
        message = self.library.get_error()
        if message.startswith("NoExtension"):
            raise dead_end()
        self._grammar.retire(self._lexer_of())
        raise runtime_refusal(message, self._grammar.kind)


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


def _read_shape(text: str) -> Shape | None:
    """The shape of a grammar of `_grammar_text`; None where any whitespace may stand between its tokens."""
    schema = msgspec.json.decode(text)["grammars"][1]["json_schema"]
    if not isinstance(schema, dict) or schema["x-guidance"]["whitespace_flexible"]:
        return None
    return read_shape(schema)


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
