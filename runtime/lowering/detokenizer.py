"""Token ids to text as they are generated, O(1) for each id.

The state is a UTF-8 decoder over the bytes of the ids, nothing else: no window of earlier ids is ever decoded again, so
a stream of U+FFFD costs what any other costs, and text of the prompt cannot leak into the answer. A character that is
split over tokens is held back until its last byte.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from .tokenizer import TextTokenizer


class StreamDetokenizer:
    """The text of one generated value, piece by piece.

    The concatenation of all `push` and of `finish` is `tokenizer.decode` of all the ids at once, in the same position.

    Args:
        tokenizer: gives the bytes of each id.
        skip_special: leave special tokens out of the text.
        first: nothing stands before these ids, so a SentencePiece tokenizer drops the space that it put in front.
    """

    def __init__(self, tokenizer: TextTokenizer, *, skip_special: bool = True, first: bool = False) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._first = first
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Iterable[int]) -> str:
        """The text that is certain now. Raises InvalidRequest for a negative id."""
        return self._utf8.decode(b"".join(map(self.bytes_of, ids)))

    def finish(self) -> str:
        """The rest: U+FFFD for a character that was begun and never completed."""
        return self._utf8.decode(b"", final=True)

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes that this id adds here: none if it is special and those are skipped. Each id counts once."""
        token_id = int(token_id)
        if self._skip_special and self._tokenizer.is_special(token_id):
            return b""
        data = self._tokenizer.id_to_bytes(token_id, first=self._first)
        self._first = self._first and token_id >= self._tokenizer.vocab_size
        return data
