"""What each token id contributes to the text, as bytes: the table that makes decoding O(1) for an id.

A decoder that is local (every token adds its own bytes, and only the very first may be treated apart) needs no window
over earlier ids: text is the UTF-8 decoding of the concatenated bytes. Byte-level BPE, SentencePiece with byte fallback
and WordPiece are local. A decoder that looks at later tokens is refused at load, so no answer is ever wrong silently.

Bytes that are no UTF-8 become U+FFFD, one for each maximal ill-formed part (the Unicode standard, section 3.9, and
what byte-level decoders do). The byte-fallback decoder of `tokenizers` instead turns a whole run of byte tokens into
U+FFFD when one byte of it is wrong; a stream cannot follow that without holding back every run, and loses valid
characters if it does.
"""

from __future__ import annotations

import re
from typing import Final

from tokenizers import Tokenizer

from ...errors import InvalidRequest, UnsupportedModel
from .files import JsonObject

_BYTE_TOKEN: Final = re.compile(r"<0x([0-9A-F]{2})>", re.ASCII)
_PROBES: Final = 96


def _byte_level_alphabet() -> dict[str, int]:
    """The printable stand-ins that byte-level BPE writes for the 256 bytes (GPT-2, `bytes_to_unicode`)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return alphabet | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def _decoder_types(node: JsonObject | None) -> list[str]:
    """The types in a decoder's description, sequences flattened."""
    if node is None:
        return []
    if node["type"] == "Sequence":
        return [name for child in node["decoders"] for name in _decoder_types(child)]
    return [str(node["type"])]


class TokenBytes:
    """The bytes of each id, filled in as ids are met. Safe to share between threads: filling is idempotent.

    Args:
        tokenizer: only its decoder and vocabulary are read.
        decoder: the decoder's description, as tokenizer.json has it.
        vocab_size: one more than the highest id.

    Raises:
        UnsupportedModel: the decoder is not local.
    """

    def __init__(self, tokenizer: Tokenizer, decoder: JsonObject | None, vocab_size: int) -> None:
        types = _decoder_types(decoder)
        self._tokenizer = tokenizer
        self._alphabet = _byte_level_alphabet() if set(types) - {"Fuse"} == {"ByteLevel"} else None
        self._byte_fallback = "ByteFallback" in types
        self._rest: list[bytes | None] = [None] * vocab_size
        self._first: dict[int, bytes] = {}
        self._anchor, self._anchor_text = (0, "") if self._alphabet else self._find_anchor()
        self._refuse_unless_local(types)

    def of(self, token_id: int, *, first: bool = False) -> bytes:
        """The bytes of `token_id`; `first`: no token with text stands before it. An id without a token has none.

        Raises:
            InvalidRequest: the id is negative.
        """
        if token_id >= len(self._rest):
            return b""
        if token_id < 0:
            raise InvalidRequest(f"token id {token_id} is negative")
        if first and self._alphabet is None:
            known = self._first.get(token_id)
            if known is None:
                known = self._first[token_id] = self._compute(token_id, first=True)
            return known
        cached = self._rest[token_id]
        if cached is None:
            cached = self._rest[token_id] = self._compute(token_id, first=False)
        return cached

    def _compute(self, token_id: int, *, first: bool) -> bytes:
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if self._alphabet is not None:
            # A token with a character that stands for no byte (an added token with a space in it) is its own text.
            values = [self._alphabet.get(char) for char in token]
            return token.encode() if None in values else bytes(value for value in values if value is not None)
        if self._byte_fallback and (match := _BYTE_TOKEN.fullmatch(token)):
            byte = int(match[1], 16)
            if byte >= 0x80 or not first:
                return bytes([byte])
        if first:
            return self._decode([token_id]).encode()
        return self._decode([self._anchor, token_id])[len(self._anchor_text) :].encode()

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def _find_anchor(self) -> tuple[int, str]:
        """An ordinary token to stand in front, so that the decoder treats the next one as not the first."""
        for token_id in range(len(self._rest)):
            token = self._tokenizer.id_to_token(token_id)
            if token is not None and token.isascii() and token.isalnum() and (text := self._decode([token_id])):
                return token_id, text
        raise UnsupportedModel("the vocabulary has no token of ASCII letters or digits to decode others after")

    def _refuse_unless_local(self, types: list[str]) -> None:
        """Compares our concatenation with the library's decoder on ids spread over the vocabulary."""
        step = max(1, len(self._rest) // _PROBES)
        ids = [i for i in range(0, len(self._rest), step) if self._tokenizer.id_to_token(i) is not None]
        ids = [i for i in ids if not self._is_high_byte(i)]
        for sample in (ids, ids[::-1], ids[1::2], ids[::3]):
            if not sample:
                continue
            ours = self.of(sample[0], first=True) + b"".join(self.of(i) for i in sample[1:])
            if ours.decode("utf-8", "replace") != self._decode(sample):
                raise UnsupportedModel(
                    f"the tokenizer's decoder ({' + '.join(types) or 'none'}) is not local: a token's text depends on "
                    "its neighbours",
                    where="tokenizer.json: decoder",
                    hint="byte-level BPE, SentencePiece (with or without byte fallback) and WordPiece are supported",
                )

    def _is_high_byte(self, token_id: int) -> bool:
        """Whether the id is one byte of a longer character: the two definitions differ on a run of those (above)."""
        match = _BYTE_TOKEN.fullmatch(self._tokenizer.id_to_token(token_id) or "") if self._byte_fallback else None
        return match is not None and int(match[1], 16) >= 0x80
