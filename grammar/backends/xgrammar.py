"""JSON Schema and choices through xgrammar, for those who ask for it by name: its masks are cheap where strings are
unbounded.

It weakens many keywords without saying so: `coverage.py` lets through only what it enforces. Its compiler
cannot be stopped or bounded from outside; the limits on the schema, closed objects (open ones compile 30 times slower)
and one thread a compilation are what keeps it in check here. Regular expressions and context-free grammars are refused
by name: a hundred word characters in a row cost it 2.4 s and 44 MB. And it takes surrogates spelled in UTF-8 for
characters, which no UTF-8 text holds: `_Surrogates` takes them out.
"""

from __future__ import annotations

import copy
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import xgrammar

from ...errors import InvalidSchema, UnenforceableSchema
from ..choices import check_choices
from ..limits import DEFAULT_LIMITS, GrammarLimits
from ..matcher import MatcherState, dead_end
from ..merge import flatten
from ..prepare import prepare, write_patterns
from ..report import GrammarReport, Note
from ..schema import subschemas
from ..shortest import shortest_bytes
from ..spec import Choices, GrammarSpec, JsonSchema
from ..state import GrammarPlan
from .xgrammar_text import write_choices

if TYPE_CHECKING:
    from ..state import MaskRow
    from ..vocabulary import Vocabulary

_MAX_WHITESPACE = 8
_FRACTION_DIGITS = 6
_WORTH_SERIALIZING = 0.1
"""Seconds of compiling above which the compiled grammar itself travels: loading a large one takes some 20 ms."""


class XGrammarBackend:
    """xgrammar for one vocabulary."""

    name = "xgrammar"

    def __init__(self, vocabulary: Vocabulary, limits: GrammarLimits = DEFAULT_LIMITS) -> None:
        self._vocabulary = vocabulary
        # The library's masks are slow where strings have lengths, and it says lengths only by patterns. It reads no
        # multipleOf, which narrowing writes: a number with bounds, which narrowing writes too, has six digits there.
        digits = limits.narrowing.fraction_digits and min(limits.narrowing.fraction_digits, _FRACTION_DIGITS)
        narrowing = replace(limits.narrowing, string_length=None, fraction_digits=digits)
        self._limits = replace(limits, narrowing=narrowing)
        self._surrogates = _Surrogates(vocabulary)
        # A token without bytes is what the library takes for a control token; stop tokens come apart from the text.
        self._info = xgrammar.TokenizerInfo(
            [b"" if token_id in self._surrogates.whole else token for token_id, token in enumerate(vocabulary.tokens)],
            xgrammar.VocabType.RAW,
            vocab_size=vocabulary.width,
            stop_token_ids=sorted(vocabulary.stop_ids),
        )
        # Its own cache is unbounded in entries and hashes the whole text at each hit: ours is in front of it.
        self._compiler = xgrammar.GrammarCompiler(self._info, max_threads=1, cache_enabled=False)

    def compile(self, spec: GrammarSpec) -> XGrammarGrammar:
        source, notes = self._source(spec)
        return self._finish(spec.key(), self._compile(source), notes, self._min_tokens(spec))

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        source, notes = self._source(spec)
        begin = time.process_time()
        compiled = self._compile(source)
        if time.process_time() - begin > _WORTH_SERIALIZING:
            source = _Source("compiled", compiled.serialize_json())
        min_tokens = self._min_tokens(spec)
        self._finish(spec.key(), compiled, notes, min_tokens)
        return GrammarPlan(spec.key(), self.name, f"{source.form}:{source.text}", notes, min_tokens)

    def build(self, plan: GrammarPlan) -> XGrammarGrammar:
        form, _, text = plan.source.partition(":")
        return self._finish(plan.key, self._compile(_Source(form, text)), plan.notes, plan.min_tokens)

    def _min_tokens(self, spec: GrammarSpec) -> int:
        return -(-shortest_bytes(spec, self._limits) // self._vocabulary.longest)

    def _finish(self, key: str, compiled: Any, notes: tuple[Note, ...], min_tokens: int) -> XGrammarGrammar:
        report = GrammarReport(self.name, notes)
        grammar = XGrammarGrammar(key, compiled, report, self._vocabulary, self._surrogates)
        grammar.min_tokens = min_tokens
        # A grammar whose first token the vocabulary cannot spell compiles too.
        grammar.state().fill_mask(np.empty(self._vocabulary.words, np.int32))
        return grammar

    def _source(self, spec: GrammarSpec) -> tuple[_Source, tuple[Note, ...]]:
        """What the library compiles for a grammar, and what is not as written."""
        match spec:
            case JsonSchema():
                prepared = prepare(spec, self.name, self._limits, adapt=flatten)
                narrowed = copy.deepcopy(prepared.narrowed)
                for here in subschemas(narrowed):
                    if isinstance(here.node, dict):
                        here.node.pop("multipleOf", None)  # of narrowing, which the bounds beside it enforce
                schema = write_patterns(narrowed, json=True)
                form = "any_whitespace" if spec.any_whitespace else "fixed_whitespace"
                return _Source(form, msgspec.json.encode(schema).decode()), prepared.notes
            case Choices():
                return _Source("ebnf", write_choices(check_choices(spec, self._limits))), ()
            case _:
                raise UnenforceableSchema(
                    f"xgrammar is not asked to enforce a {type(spec).__name__}",
                    where=type(spec).__name__,
                    hint="use the default backend",
                )

    def _compile(self, source: _Source) -> Any:
        try:
            match source.form:
                case "compiled":
                    return xgrammar.CompiledGrammar.deserialize_json(source.text, self._info)
                case "ebnf":
                    return self._compiler.compile_grammar(source.text)
                case form:
                    blanks = form == "any_whitespace"
                    return self._compiler.compile_json_schema(
                        source.text,
                        any_whitespace=blanks,
                        separators=(",", ":") if blanks else (", ", ": "),
                        max_whitespace_cnt=_MAX_WHITESPACE if blanks else None,
                        # Strict mode would close arrays and objects where the schema is silent.
                        strict_mode=False,
                    )
        except RuntimeError as error:
            reason = re.sub(r"^\[[\d:]+\] \S+: ", "", str(error).strip())[:300]
            raise InvalidSchema(
                f"xgrammar cannot compile this schema: {reason}", where="#", hint="correct the schema"
            ) from error


class _Source(NamedTuple):
    """What the library is given: a schema, a grammar in its EBNF, or a compiled grammar as JSON."""

    form: str
    text: str


class XGrammarGrammar:
    """A compiled grammar."""

    backend = XGrammarBackend.name
    healthy = True
    min_tokens = 0

    def __init__(
        self,
        key: str,
        compiled: Any,
        report: GrammarReport,
        vocabulary: Vocabulary,
        surrogates: _Surrogates,
    ) -> None:
        self.key = key
        self.report = report
        self.num_bytes: int = compiled.memory_size_bytes
        self._compiled = compiled
        self._vocabulary = vocabulary
        self._surrogates = surrogates

    def state(self) -> MatcherState:
        matcher = _Matcher(xgrammar.GrammarMatcher(self._compiled), self._surrogates, [False])
        return MatcherState(matcher, self._vocabulary)


class _Matcher:
    """`Matcher` over `xgrammar.GrammarMatcher`, which is never given a stop token and so never terminates."""

    __slots__ = ("_after_lead", "_matcher", "_surrogates")

    def __init__(self, matcher: Any, surrogates: _Surrogates, after_lead: list[bool]) -> None:
        self._matcher = matcher
        self._surrogates = surrogates
        self._after_lead = after_lead  # at the start and after each token: could a surrogate end here?

    def fill(self, row: MaskRow) -> None:
        self._matcher.fill_next_token_bitmask(row[None], 0)
        if self._after_lead[-1]:
            row &= self._surrogates.other_rows
        if not row.any():
            raise dead_end()

    def consume(self, token_id: int) -> bool:
        surrogates = self._surrogates
        if token_id in surrogates.whole or (self._after_lead[-1] and token_id in surrogates.ends):
            return False
        if not self._matcher.accept_token(token_id):
            return False
        self._after_lead.append(token_id in surrogates.leads)
        return True

    def rollback(self, num_tokens: int) -> None:
        self._matcher.rollback(num_tokens)
        del self._after_lead[-num_tokens:]

    def copy(self) -> _Matcher:
        return _Matcher(self._matcher.fork(), self._surrogates, self._after_lead.copy())

    def forced(self) -> bytes:
        try:
            text: str = self._matcher.find_jump_forward_string()
        except UnicodeDecodeError:
            # The forced bytes begin or end inside a character, and the library only has a str to give.
            return b""
        return text.encode()

    def remaining(self) -> int:
        return max(1, len(self.forced()))

    def accepting(self) -> bool:
        completed: bool = self._matcher.is_completed()
        return completed


class _Surrogates:
    """The tokens that hold a surrogate, bytes ED A0..BF xx, or a part of one that only a neighbour completes.

    Attributes:
        whole: ids that hold the first two bytes: never allowed.
        leads: ids that end in ED.
        ends: ids that begin with A0..BF: not allowed after a lead.
        other_rows: int32[words], a mask row with all ids but `ends`.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokens = list(enumerate(vocabulary.tokens))
        self.whole = frozenset(i for i, token in tokens if re.search(rb"\xed[\xa0-\xbf]", token))
        self.leads = frozenset(i for i, token in tokens if token.endswith(b"\xed"))
        self.ends = frozenset(i for i, token in tokens if token and 0xA0 <= token[0] <= 0xBF)
        bits = np.ones(32 * vocabulary.words, np.uint8)
        bits[list(self.ends)] = 0
        self.other_rows = np.packbits(bits, bitorder="little").view(np.int32)
