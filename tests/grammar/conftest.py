"""Two real tokenizers, trained here on text like what grammars produce, and the backends over them.

Small vocabularies (about 400 ids) make brute force over every id cheap; both have control tokens, all 256 bytes, and
logits wider than the vocabulary by more than a mask word.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ramify.grammar.backends import make_backend
from ramify.grammar.spec import JsonSchema
from ramify.grammar.state import GrammarBackend, GrammarState
from ramify.grammar.vocabulary import Vocabulary
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parent))  # for the modules that tests share

FAMILIES = ("byte_level", "sentencepiece")
BACKENDS = ("llguidance", "xgrammar")
_WORDS = [
    "name",
    "age",
    "city",
    "id",
    "value",
    "true",
    "false",
    "null",
    "list",
    "count",
    "price",
    "red",
    "green",
    "blue",
    "été",
    "naïve",
    "日本語",
    "größe",
    "😀",
    "data",
    "kind",
]


def _corpus() -> list[str]:
    rng = random.Random(7)
    lines = []
    for _ in range(400):
        value = {
            rng.choice(_WORDS): rng.choice([rng.randint(0, 999), rng.choice(_WORDS), True, None, [1, 2]]) for _ in "123"
        }
        lines.append(json.dumps(value, ensure_ascii=False))
        lines.append(" ".join(rng.choices(_WORDS, k=6)))
    return lines


def train_byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>", "<|turn|>", "<|tool|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens(["<think>", '": "'])
    tokenizer.add_special_tokens(["<|late|>"])
    return tokenizer


def train_sentencepiece() -> Tokenizer:
    """A Llama-2 style tokenizer: visible spaces, byte fallback, a space put before the text."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.normalizer = prepend
    trained.train_from_iterator(_corpus(), trainers.BpeTrainer(vocab_size=180, show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    vocab = {name: token_id for token_id, name in enumerate(dict.fromkeys(names))}
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = prepend
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", "[INST]"])
    return tokenizer


@dataclass(frozen=True)
class Family:
    """A tokenizer and its vocabulary."""

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    control_ids: tuple[int, ...]

    def encode(self, text: str) -> list[int]:
        """Ids whose bytes are exactly `text`, as the tokenizer cuts it in the middle of a text."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        spelled = b"".join(self.vocabulary.tokens[token_id] for token_id in ids)
        if spelled == text.encode():
            return ids
        assert spelled == b" " + text.encode()  # the space in front belongs to the first piece: spell that by bytes
        first = self.vocabulary.tokens[ids[0]][1:]
        return [self.byte_id(byte) for byte in first] + ids[1:]

    def byte_id(self, byte: int) -> int:
        return self.vocabulary.tokens.index(bytes((byte,)))


@cache
def _family(name: str) -> Family:
    tokenizer = train_byte_level() if name == "byte_level" else train_sentencepiece()
    controls = tuple(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special)
    stops = [tokenizer.token_to_id("<|end|>" if name == "byte_level" else "</s>"), controls[-1]]
    vocabulary = Vocabulary.from_tokenizer(tokenizer, width=tokenizer.get_vocab_size() + 75, stop_ids=stops)
    return Family(tokenizer, vocabulary, controls)


@cache
def _backend(name: str, family: str) -> GrammarBackend:
    return make_backend(_family(family).vocabulary, name)


@pytest.fixture(params=FAMILIES)
def family_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def family(family_name: str) -> Family:
    return _family(family_name)


@pytest.fixture(params=BACKENDS)
def backend_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(backend_name: str, family_name: str) -> GrammarBackend:
    return _backend(backend_name, family_name)


@pytest.fixture
def llguidance(family_name: str) -> GrammarBackend:
    return _backend("llguidance", family_name)


@pytest.fixture
def xgrammar() -> GrammarBackend:
    return _backend("xgrammar", "byte_level")


@pytest.fixture
def start(backend: GrammarBackend) -> Callable[..., GrammarState]:
    """A new state at the start of a schema given as Python data."""

    def start(schema: object, any_whitespace: bool = False) -> GrammarState:
        return backend.compile(JsonSchema(json.dumps(schema), any_whitespace)).state()

    return start


@pytest.fixture
def mask_ids(family: Family) -> Callable[[GrammarState], list[int]]:
    """The ids that a state's mask allows, in order, read from a poisoned row."""

    def mask_ids(state: GrammarState) -> list[int]:
        row = np.full(family.vocabulary.words, 0x55555555, np.int32)
        state.fill_mask(row)
        return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()

    return mask_ids


@pytest.fixture
def accepts(family: Family) -> Callable[[GrammarState, str], bool]:
    """Whether a text, byte by byte, is a whole text of a state's grammar; the state stays where it is."""

    def accepts(state: GrammarState, text: str) -> bool:
        state = state.fork()
        return all(state.accept(family.byte_id(byte)) for byte in text.encode()) and state.completed

    return accepts


@pytest.fixture
def feed(family: Family) -> Callable[[GrammarState, str], None]:
    """Accept a text's canonical tokens one by one."""

    def feed(state: GrammarState, text: str) -> None:
        for token_id in family.encode(text):
            assert state.accept(token_id), (text, family.vocabulary.tokens[token_id])

    return feed
