"""Vocabularies for benchmarks of grammars: from a tokenizer's file, or made up, so that anyone can run them."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import Any

import msgspec
from ramify.grammar.vocabulary import Vocabulary

STOP = 2
"""The end token of Mistral's files; the first ids are control tokens there."""


def made_up_vocabulary(size: int = 131_072) -> Vocabulary:
    """Bytes, JSON pieces and random words; id 0 is the stop token."""
    rng = random.Random(0)
    onsets = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "st", "th", "ch", " b", " s", " t", " "]
    syllables = [onset + vowel for onset in onsets for vowel in "aeiouy"] + ["er", "ing", "ed", "é", "日", "20", "1"]
    pieces = ['{"', '": "', '", "', '": ', '"}', '": [', '"]', '", ', '":', ' "', "},", "]}"]
    tokens = dict.fromkeys([b"", *(bytes((byte,)) for byte in range(256)), *(piece.encode() for piece in pieces)])
    while len(tokens) < size:
        tokens["".join(rng.choices(syllables, k=rng.randint(1, 4))).encode()] = None
    return Vocabulary(tuple(tokens), frozenset({0}), size)


def load_vocabulary(path: Path | None, width: int | None = None) -> Vocabulary:
    """The vocabulary of a tokenizer.json or of Mistral's tekken.json (in the package mistral-common).

    Args:
        path: None makes one up.
        width: of the logits; ids from there on are left out, as the model cannot give them. None: all ids.
    """
    if path is None:
        return made_up_vocabulary(width or 131_072)
    data: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    if "added_tokens" in data:
        stops = [token["id"] for token in data["added_tokens"] if token["special"]]
        size = 1 + max(*data["model"]["vocab"].values(), *stops)
        return Vocabulary.from_json(path.read_bytes(), width=width or size, stop_ids=stops[:1])
    config = data["config"]
    controls = config["default_num_special_tokens"]
    texts = [base64.b64decode(token["token_bytes"]) for token in data["vocab"]]
    tokens = ([b""] * controls + texts)[: width or config["default_vocab_size"]]
    return Vocabulary(tuple(tokens), frozenset({STOP}), len(tokens))


class Greedy:
    """Longest tokens from left to right."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = {token: token_id for token_id, token in enumerate(vocabulary.tokens) if token}

    def encode(self, text: str) -> list[int]:
        """Ids whose bytes are `text`."""
        rest, ids = text.encode(), []
        while rest:
            length = next(length for length in range(min(24, len(rest)), 0, -1) if rest[:length] in self._ids)
            ids.append(self._ids[rest[:length]])
            rest = rest[length:]
        return ids
