"""Masks that were made before, by grammar and place (see `place.py`).

A mask costs llguidance most where a string has little room left, up to a millisecond and a half, and such places come
again in every request. Only where places can be told is anything remembered; elsewhere a state has no memory.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from .place import Place, Shape, plain_characters

if TYPE_CHECKING:
    from .state import MaskRow
    from .vocabulary import Vocabulary


class MaskCache:
    """Masks of one vocabulary, of a bounded number; what was not used for longest goes first. Thread-safe.

    Args:
        vocabulary: whose tokens move a place.
        max_bytes: of all masks together.
    """

    def __init__(self, vocabulary: Vocabulary, max_bytes: int = 64 << 20) -> None:
        self._tokens = vocabulary.tokens
        self._reach = max(map(len, vocabulary.tokens), default=0)
        self._max_rows = max(1, max_bytes // (4 * vocabulary.words))
        self._rows: dict[Hashable, MaskRow] = {}
        self._characters: dict[int, int] = {}
        self._serials = count()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def grammar(self) -> int:
        """A number for a compiled grammar: masks of different numbers have nothing to do with each other."""
        return next(self._serials)

    def key(self, grammar: int, place: Place) -> Hashable | None:
        """Under which the mask of a place is kept; None if the place cannot be told from others."""
        key = place.key(self._reach)
        return None if key is None else (grammar, key)

    def get(self, key: Hashable) -> MaskRow | None:
        """A mask that must not be written; None if none is kept."""
        with self._lock:
            mask = self._rows.pop(key, None)
            if mask is not None:
                self._rows[key] = mask
        return mask

    def put(self, key: Hashable, mask: MaskRow) -> None:
        """Keep a copy of `mask`."""
        copy = mask.copy()
        copy.flags.writeable = False
        with self._lock:
            self._rows[key] = copy
            if len(self._rows) > self._max_rows:
                del self._rows[next(iter(self._rows))]

    def after(self, place: Place, token_id: int) -> Place:
        """The place behind a token."""
        token = self._tokens[token_id]
        characters = self._characters.get(token_id)
        if characters is None:
            characters = self._characters[token_id] = plain_characters(token)
        return place.after(token, characters)


class MaskMemory:
    """What one state knows of masks made before: its place, and the places that a rollback returns to."""

    __slots__ = ("_cache", "_grammar", "_places")

    def __init__(self, cache: MaskCache, grammar: int, shape: Shape) -> None:
        self._cache = cache
        self._grammar = grammar
        self._places = [Place(shape)]

    def key(self) -> Hashable | None:
        """See `GrammarState.mask_key`."""
        return self._cache.key(self._grammar, self._places[-1])

    def mask(self) -> MaskRow | None:
        """The mask of the next token, if it was made before; it must not be written."""
        return self._cache.get(self.key())

    def keep(self, mask: MaskRow) -> None:
        if (key := self.key()) is not None:
            self._cache.put(key, mask)

    def accept(self, token_id: int) -> None:
        self._places.append(self._cache.after(self._places[-1], token_id))

    def rollback(self, num_tokens: int) -> None:
        del self._places[len(self._places) - num_tokens :]

    def fork(self) -> MaskMemory:
        fork = object.__new__(MaskMemory)
        fork._cache, fork._grammar, fork._places = self._cache, self._grammar, list(self._places)
        return fork
