"""The bytes of every token id: what a grammar backend needs to know about a tokenizer, and nothing else.

Backends are given bytes, not printed names. Under its printed name a control token is ordinary text to them, and all
of them would be allowed inside a JSON string; so a control token has no bytes here, which no grammar ever matches.

Two families are read, told apart by the decoder in tokenizer.json: byte-level BPE, whose names spell bytes in a
256-character alphabet, and SentencePiece, whose names spell text with a visible space (and single bytes as `<0x0A>`).
Any other decoder is refused by name: a guess would put wrong bytes into every mask.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import InvalidRequest, UnsupportedModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SUPPORTED = "ByteLevel, or a sequence of Replace, Metaspace, ByteFallback, Fuse and Strip"


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer as bytes.

    Attributes:
        tokens: the bytes of each id; b"" for a control token, a stop token, an unknown token and an unused id. Length =
            the tokenizer's ids that the model can emit.
        stop_ids: the ids that end a generation; at least one.
        width: width of the model's logits, at least `len(tokens)`: many models pad it.
        control: ids of the control tokens by their names, which the tags of a structure may spell.
    """

    tokens: tuple[bytes, ...]
    stop_ids: frozenset[int]
    width: int
    control: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.stop_ids:
            raise InvalidRequest("a grammar needs a stop token", hint="name the tokenizer's end token")
        if not all(0 <= token_id < self.width for token_id in self.stop_ids):
            raise InvalidRequest(f"stop ids {sorted(self.stop_ids)} are not all below the logits width {self.width}")
        if len(self.tokens) > self.width or max(self.stop_ids) >= len(self.tokens):
            raise InvalidRequest(f"{len(self.tokens)} tokens do not fit the stop ids and the logits width {self.width}")
        if any(self.tokens[token_id] for token_id in self.stop_ids):
            raise InvalidRequest("a stop token must not have bytes: it would be matched as text")
        for name, token_id in self.control.items():
            if not 0 <= token_id < len(self.tokens) or self.tokens[token_id]:
                raise InvalidRequest(f"the control token {name!r} must be an id without bytes, got {token_id}")

    @property
    def words(self) -> int:
        """Number of int32 words in a mask row."""
        return (self.width + 31) // 32

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """The control tokens that end no generation."""
        return frozenset(self.control.values()) - self.stop_ids

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest token."""
        return max(map(len, self.tokens), default=0) or 1

    @cached_property
    def last_word(self) -> int:
        """Mask, as a signed int32, of the bits of the row's last word that belong to ids below `width`."""
        bits = self.width - 32 * (self.words - 1)
        return -1 if bits == 32 else (1 << bits) - 1

    @classmethod
    def from_tokenizer(cls, tokenizer: Tokenizer, *, width: int, stop_ids: Iterable[int]) -> Vocabulary:
        """The vocabulary of a `tokenizers.Tokenizer`; see `from_json`."""
        return cls.from_json(tokenizer.to_str(), width=width, stop_ids=stop_ids)

    @classmethod
    def from_json(cls, tokenizer_json: str | bytes, *, width: int, stop_ids: Iterable[int]) -> Vocabulary:
        """The vocabulary of a tokenizer.json.

        Args:
            tokenizer_json: text of the file.
            width: width of the model's logits; ids at or above it are left out, the model cannot emit them.
            stop_ids: ids that end a generation.

        Raises:
            UnsupportedModel: the decoder is of no kind known here, or a name cannot be spelled by it.
            InvalidRequest: no stop id, or one outside the vocabulary.
        """
        data: dict[str, Any] = msgspec.json.decode(tokenizer_json)
        spell = _speller(data.get("decoder"))
        names = _names(data["model"])
        stops = frozenset(stop_ids)
        added: list[dict[str, Any]] = data.get("added_tokens") or []
        used = {*names.values(), *(token["id"] for token in added)}
        tokens = [b""] * min(width, max(used, default=-1) + 1)

        by_id = {token["id"]: token for token in added}
        blank = stops | _unknown_ids(data["model"], names)
        for name, token_id in names.items():
            if token_id < len(tokens) and token_id not in blank and token_id not in by_id:
                tokens[token_id] = spell(name)
        for token_id, token in by_id.items():
            if token_id < len(tokens) and token_id not in blank and not token["special"]:
                tokens[token_id] = token["content"].encode()
        control = {token["content"]: i for i, token in by_id.items() if i < len(tokens) and not tokens[i]}
        return cls(tuple(tokens), stops, width, control)


def _names(model: Mapping[str, Any]) -> dict[str, int]:
    """Name to id, from either layout of `model.vocab`: a table (BPE), or a list of pieces with scores (Unigram)."""
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        return vocab
    return {piece: token_id for token_id, (piece, _) in enumerate(vocab)}


def _unknown_ids(model: Mapping[str, Any], names: Mapping[str, int]) -> set[int]:
    """Ids of the unknown token, which stands for no text of its own."""
    by_name = names.get(model.get("unk_token") or "")
    return {token_id for token_id in (by_name, model.get("unk_id")) if token_id is not None}


def _speller(decoder: Mapping[str, Any] | None) -> Callable[[str], bytes]:
    """The function from a token's name to its bytes that inverts this decoder on single tokens."""
    steps = _flatten(decoder)
    kinds = {step["type"] for step in steps}
    if kinds == {"ByteLevel"}:
        return _spell_byte_level
    if not kinds & {"Metaspace", "Replace"} or not kinds <= {"Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"}:
        raise _unsupported(f"decoder {sorted(kinds) or 'none'}")

    replacements: list[tuple[str, str]] = []
    for step in steps:
        if step["type"] == "Metaspace":
            replacements.append((step["replacement"], " "))
        elif step["type"] == "Replace":
            pattern = step["pattern"].get("String")
            if pattern is None:
                raise _unsupported("a decoder that replaces a regular expression")
            replacements.append((pattern, step["content"]))
        elif step["type"] == "Strip" and (step["content"] != " " or step["stop"]):
            # Stripping the space that the encoder put in front concerns a whole text, never a token inside it.
            raise _unsupported("a decoder that strips more than the first space")
    bytes_spelled = "ByteFallback" in kinds

    def spell(name: str) -> bytes:
        if bytes_spelled and (byte := _BYTE_PIECE.fullmatch(name)):
            return bytes((int(byte[1], 16),))
        for visible, text in replacements:
            name = name.replace(visible, text)
        return name.encode()

    return spell


def _flatten(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """A decoder's steps in order; no decoder has none."""
    if decoder is None:
        return []
    if decoder["type"] == "Sequence":
        return [step for child in decoder["decoders"] for step in _flatten(child)]
    return [decoder]


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes for the characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if chr(byte) not in alphabet]
    return alphabet | {chr(256 + rank): byte for rank, byte in enumerate(others)}


_ALPHABET = _byte_level_alphabet()


def _spell_byte_level(name: str) -> bytes:
    try:
        return bytes(_ALPHABET[character] for character in name)
    except KeyError as error:
        raise _unsupported(f"the token {name!r}, which is outside the byte-level alphabet,") from error


def _unsupported(what: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"grammars cannot be used with this tokenizer: {what} is not supported",
        where="tokenizer.json",
        hint=f"supported decoders: {_SUPPORTED}",
    )
