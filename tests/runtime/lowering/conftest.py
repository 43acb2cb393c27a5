"""Model directories with small tokenizers of every kind in use, made here with the `tokenizers` library.

The client of a lowering and the oracles are modules beside the tests.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ramify.runtime.lowering.tokenizer import TextTokenizer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

sys.path.insert(0, str(Path(__file__).parent))

SPECIAL = (
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|header|>",
    "<|/header|>",
    "<|eot|>",
    "[INST]",
    "[/INST]",
)
PLAIN_ADDED = ("<think>", "</think>", "<tool_response>", "</tool_response>", "<|date|>")
KINDS = (
    "byte_level",
    "byte_level_prefix",
    "metaspace_always",
    "metaspace_first",
    "metaspace_never",
    "legacy",
    "unigram",
)

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's a test, isn't it?\n\nYes: 12345 times!",
    "user\nassistant\nsystem\ntool\nHello world, hello there. You are a helpful assistant.\n",
    "def main(argv):\n    for item in argv:\n        print(item)\n",
    "Größe, café, naïve. Привет, мир. 你好，世界。 🎉🎉 emoji",
] * 4

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _added(tokenizer: Tokenizer) -> None:
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_special_tokens(
        [
            AddedToken("<|right|>", special=True, normalized=False, rstrip=True),
            AddedToken("<|left|>", special=True, normalized=False, lstrip=True),
        ]
    )
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN_ADDED])


def _byte_level(prefix: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated")
    last = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=prefix)
    tokenizer.pre_tokenizer = last if prefix else pre_tokenizers.Sequence([split, last])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    # An added token that is text, not control: a run of spaces, as several code models have.
    tokenizer.add_tokens([AddedToken("    ", special=False, normalized=True)])
    return tokenizer


def _sentencepiece(scheme: str) -> Tokenizer:
    """BPE with byte fallback, as converted from SentencePiece: merges learned from a Metaspace corpus."""
    teacher = Tokenizer(models.BPE(unk_token="<unk>"))
    teacher.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False, limit_alphabet=70)
    teacher.train_from_iterator(CORPUS, trainer)
    model = json.loads(teacher.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in model["vocab"] if piece not in pieces]
    merges = [tuple(merge) for merge in model["merges"]]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    strip = [decoders.Strip(" ", 1, 0)] if scheme != "never" else []
    if scheme == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer


def _unigram() -> Tokenizer:
    """A Unigram model that lists its control pieces, so that plain text could match them."""
    teacher = Tokenizer(models.Unigram())
    teacher.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    teacher.train_from_iterator(CORPUS, trainer)
    learned = [(piece, score) for piece, score in json.loads(teacher.to_str())["model"]["vocab"] if piece != "<unk>"]
    fixed = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256))]
    letters = [(chr(code), -12.0) for code in range(33, 127) if chr(code) not in dict(learned)]
    tokenizer = Tokenizer(models.Unigram([*fixed, *learned, *letters], unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _build(kind: str) -> Tokenizer:
    if kind.startswith("byte_level"):
        tokenizer = _byte_level(prefix=kind.endswith("prefix"))
    elif kind == "unigram":
        tokenizer = _unigram()
    else:
        tokenizer = _sentencepiece(kind.removeprefix("metaspace_"))
    _added(tokenizer)
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    return tokenizer


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`model_directory(kind)`: a directory with a tokenizer of this kind; made once."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            path = made[kind] = tmp_path_factory.mktemp(kind)
            _build(kind).save(str(path / "tokenizer.json"))
            config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
            (path / "tokenizer_config.json").write_text(json.dumps(config))
            (path / "config.json").write_text('{"model_type": "llama"}')
        return made[kind]

    return make


@pytest.fixture(scope="session")
def tokenizer_of(model_directory: Callable[[str], Path]) -> Callable[[str], TextTokenizer]:
    """`tokenizer_of(kind)`: ours; loaded once."""
    loaded: dict[str, TextTokenizer] = {}

    def load(kind: str) -> TextTokenizer:
        if kind not in loaded:
            loaded[kind] = TextTokenizer.load(model_directory(kind))
        return loaded[kind]

    return load


@pytest.fixture(scope="session")
def reference_of(model_directory: Callable[[str], Path]) -> Callable[[str], PreTrainedTokenizerBase]:
    """`reference_of(kind)`: the same tokenizer as transformers loads it."""
    loaded: dict[str, PreTrainedTokenizerBase] = {}

    def load(kind: str) -> PreTrainedTokenizerBase:
        if kind not in loaded:
            loaded[kind] = AutoTokenizer.from_pretrained(model_directory(kind))
        return loaded[kind]

    return load
