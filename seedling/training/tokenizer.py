r"""A byte-level BPE of which the pieces of a word do not depend on the blank before it.

Copying is the model's main skill, and the usual BPE spoils it: ` Marenko` in a sentence and `Marenko` after a quote
split differently. Here

* merges are learned on words without their blank, so a word's pieces are the same wherever it stands;
* the blank is then merged, at the lowest priority, with the most frequent lower-case words only (` the`, ` paid`); in
  front of a capital or a rare word it stays a token of its own;
* every digit, every newline is one token; runs of JSON punctuation stay apart from other punctuation.

All 256 bytes are in the vocabulary, so any text has ids.
"""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import chat

VOCABULARY = 3072
SPACED = 560
"""How many pieces get a variant with a blank before it."""

_WORD = r"\p{Lu}?\p{Ll}+|\p{Lu}+|[\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
_JSON = r"""[{}\[\]":,]+"""
_OTHER = r"""[^\s\p{L}\p{N}\p{M}{}\[\]":,]+"""
_PATTERN = rf" ?(?:{_WORD})|\p{{N}}| ?{_JSON}| ?{_OTHER}|\r?\n| +(?! )|\s"
_UNSPACED = rf"{_WORD}|\p{{N}}| ?{_JSON}| ?{_OTHER}|\r?\n|\s"
_BLANK = "Ġ"


def _pre_tokenizer(pattern: str) -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of `VOCABULARY` ids learned from the texts of turns (no control tokens in them)."""
    texts = list(texts)
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = _pre_tokenizer(_UNSPACED)
    learned.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - SPACED - len(chat.SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=False,
        ),
    )
    model = json.loads(learned.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [tuple(pair) for pair in model["merges"]]
    spaced = _frequent_after_blank(learned, texts)[:SPACED]
    vocabulary = {
        piece: index for index, piece in enumerate([*chat.SPECIAL, *pieces, *(_BLANK + piece for piece in spaced)])
    }
    merges += [(_BLANK, piece) for piece in spaced]

    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(_PATTERN)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in chat.SPECIAL])
    return tokenizer


def _frequent_after_blank(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """Lower-case words of one piece, by how often they follow a blank (ties by spelling)."""
    words: collections.Counter[str] = collections.Counter()
    for text in texts:
        words.update(re.findall(r" ([a-z]+)", text))
    counts: collections.Counter[str] = collections.Counter()
    for word, count in words.items():
        tokens = tokenizer.encode(word).tokens
        if len(tokens) == 1:
            counts[word] += count
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, _ in ranked]


def save(tokenizer: Tokenizer, directory: Path, max_length: int) -> None:
    """Write tokenizer.json and tokenizer_config.json (with the chat template) as transformers reads them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "eos_token": chat.END,
        "pad_token": chat.PAD,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
        "chat_template": chat.TEMPLATE,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
