"""The engines that `grammar.py` measures, behind one small interface: ramify's own way, and each library bare.

A bare library runs unvetted and with its defaults, on the same vocabulary and with one separator style, where it has
an option for that. Control tokens are blank for all of them. outlines-core is no dependency of ramify: it is measured
where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from ramify.grammar.limits import UNBOUNDED, GrammarLimits, VettingLimits
from ramify.grammar.vocabulary import Vocabulary

_LONGEST_TOKEN = 24  # bytes that are tried when a text is tokenized


class State(Protocol):
    """A place in a grammar, of any engine."""

    def accept(self, token_id: int) -> bool: ...

    def completed(self) -> bool: ...

    def fill(self) -> None: ...

    def fork(self) -> State: ...


Start: TypeAlias = Callable[[], State]
Compile: TypeAlias = Callable[[str], Start]
"""Compiles the text of a schema; raises RamifyError, ValueError or RuntimeError where it is refused."""


class TokenTable:
    """A vocabulary that tokenizes, longest token first, in the shape that `llguidance.LLTokenizer` reads."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = list(vocabulary.tokens)
        self.eos_token_id = min(vocabulary.stop_ids)
        self.special_token_ids: list[int] = []
        self._by_bytes = {token: token_id for token_id, token in enumerate(self.tokens) if token}

    def __call__(self, text: str | bytes) -> list[int]:
        data = text.encode() if isinstance(text, str) else bytes(text)
        ids = []
        while data:
            longest = min(_LONGEST_TOKEN, len(data))
            length = next(n for n in range(longest, 0, -1) if data[:n] in self._by_bytes)
            ids.append(self._by_bytes[data[:length]])
            data = data[length:]
        return ids


class _Bare:
    """A library's own matcher."""

    def __init__(self, accept: Any, completed: Any, fill: Any, fork: Any) -> None:
        self.accept, self.completed, self.fill, self.fork = accept, completed, fill, fork


def ramify(vocabulary: Vocabulary) -> Compile:
    """The way of an engine: vetted in another process, then built; the bounds that make generation end are off."""
    from ramify.grammar.backends import make_backend
    from ramify.grammar.spec import JsonSchema
    from ramify.grammar.vetting import VettedBackend
    from ramify.grammar.vetting_pool import VettingPool

    limits = GrammarLimits(narrowing=UNBOUNDED)
    pool = VettingPool(vocabulary, "auto", limits, VettingLimits(niceness=0, start_seconds=600))  # no engine beside it
    backend = make_backend(vocabulary, "auto", limits)
    vetted = VettedBackend(backend, pool, limits)
    row = np.empty(vocabulary.words, np.int32)

    def wrap(state: Any) -> State:
        return _Bare(state.accept, lambda: state.completed, lambda: state.fill_mask(row), lambda: wrap(state.fork()))

    def compile_(schema: str) -> Start:
        spec = JsonSchema(schema)
        plan = vetted.vet(spec)
        grammar = backend.compile(spec) if plan is None else vetted.build(plan.result())
        return lambda: wrap(grammar.state())

    compile_('{"type": "array", "uniqueItems": false, "items": {"maxLength": 50000}}')  # its process is warm now
    return compile_


def llguidance(vocabulary: Vocabulary) -> Compile:
    import llguidance
    from llguidance.numpy import fill_next_token_bitmask

    tokenizer = llguidance.LLTokenizer(TokenTable(vocabulary), eos_token=sorted(vocabulary.stop_ids))
    row = np.empty((1, vocabulary.words), np.int32)

    def wrap(matcher: Any) -> State:
        def accept(token_id: int) -> bool:
            return bool(matcher.try_consume_tokens([token_id]))

        def fill() -> None:
            fill_next_token_bitmask(matcher, row, 0)

        return _Bare(accept, matcher.is_accepting, fill, lambda: wrap(matcher.deep_copy()))

    def compile_(schema: str) -> Start:
        whitespace = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=whitespace)
        matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return lambda: wrap(matcher.deep_copy())

    return compile_


def xgrammar(vocabulary: Vocabulary, *, strict: bool = True) -> Compile:
    import xgrammar

    info = xgrammar.TokenizerInfo(
        list(vocabulary.tokens),
        xgrammar.VocabType.RAW,
        vocab_size=vocabulary.width,
        stop_token_ids=sorted(vocabulary.stop_ids),
    )
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    row = xgrammar.allocate_token_bitmask(1, vocabulary.width)

    def wrap(matcher: Any) -> State:
        def fill() -> None:
            matcher.fill_next_token_bitmask(row, 0)

        return _Bare(matcher.accept_token, matcher.is_completed, fill, lambda: wrap(matcher.fork()))

    def compile_(schema: str) -> Start:
        compiled = compiler.compile_json_schema(
            schema, any_whitespace=False, separators=(", ", ": "), strict_mode=strict
        )
        return lambda: wrap(xgrammar.GrammarMatcher(compiled))

    return compile_


def xgrammar_lax(vocabulary: Vocabulary) -> Compile:
    """Unlisted properties and items are allowed where the schema is silent, as JSON Schema says."""
    return xgrammar(vocabulary, strict=False)


def outlines_core(vocabulary: Vocabulary) -> Compile:
    import outlines_core

    stop = min(vocabulary.stop_ids)
    ids: dict[bytes, list[int]] = {}
    for token_id, token in enumerate(vocabulary.tokens):
        if token:
            ids.setdefault(token, []).append(token_id)
    library_vocabulary = outlines_core.Vocabulary(stop, ids)
    row = np.empty(vocabulary.words, np.int32)

    def wrap(index: Any, taken: tuple[int, ...]) -> State:
        guide = outlines_core.Guide(index)
        for token_id in taken:
            guide.advance(token_id, False)
        history = list(taken)

        def accept(token_id: int) -> bool:
            try:
                guide.advance(token_id, False)
            except ValueError:
                return False
            history.append(token_id)
            return True

        def completed() -> bool:
            return bool(guide.is_finished())

        def fill() -> None:
            guide.write_mask_into(row.ctypes.data, row.size, row.itemsize)

        return _Bare(accept, completed, fill, lambda: wrap(index, tuple(history)))

    def compile_(schema: str) -> Start:
        index = outlines_core.Index(outlines_core.json_schema.build_regex_from_schema(schema), library_vocabulary)
        return lambda: wrap(index, ())

    return compile_


ENGINES: MappingProxyType[str, Callable[[Vocabulary], Compile]] = MappingProxyType(
    {
        "ramify": ramify,
        "llguidance": llguidance,
        "xgrammar": xgrammar,
        "xgrammar-lax": xgrammar_lax,
        "outlines-core": outlines_core,
    }
)
"""The engines by name; each makes its `Compile` for a vocabulary."""
