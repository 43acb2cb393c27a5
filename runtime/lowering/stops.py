"""Finds stop strings in generated text, wherever the token boundaries fall.

    bytes      The answer is 42.\n\nUser: ...
    tokens     [The][ answer][ is][ 4][2.\n][\nUser][:]
                                      [-- stop "\n\n" --]
    result     keep = 4 tokens, leftover = "2."

The stream keeps the tokens that end before the stop string begins; what the next token holds of the text opens the next
text run. The search is an Aho-Corasick automaton over bytes (Aho and Corasick, "Efficient string matching", 1975), one
amortised step a byte, so it neither looks back over the output nor cares how it is cut. The automaton's depth is also
how much text might still begin a stop string: that much is held back, the rest may be streamed at once.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from ...errors import InvalidRequest
from .detokenizer import StreamDetokenizer


class StopHit(NamedTuple):
    """A stop string that has completed.

    Attributes:
        stop: which one. The one that completes first; of two that complete at the same byte, the longer.
        keep: how many of the generated tokens the stream keeps.
        leftover: the text after the kept tokens and before the stop string, often "".
    """

    stop: str
    keep: int
    leftover: str


class _Automaton:
    """Aho-Corasick over bytes. State 0 is the root; `depth[s]` is how many bytes of some pattern have been matched."""

    def __init__(self, patterns: list[bytes]) -> None:
        self._goto: list[dict[int, int]] = [{}]
        self._fail = [0]
        self.depth = [0]
        self.found: list[int | None] = [None]
        for index, pattern in enumerate(patterns):
            self._add(index, pattern)
        queue = deque(self._goto[0].values())
        while queue:
            state = queue.popleft()
            for byte, target in self._goto[state].items():
                queue.append(target)
                self._fail[target] = self.step(self._fail[state], byte)
            if self.found[state] is None:  # a pattern found here is longer than any found at the suffix
                self.found[state] = self.found[self._fail[state]]

    def _add(self, index: int, pattern: bytes) -> None:
        state = 0
        for byte in pattern:
            if byte not in self._goto[state]:
                self._goto[state][byte] = len(self.depth)
                self._goto.append({})
                self._fail.append(0)
                self.depth.append(self.depth[state] + 1)
                self.found.append(None)
            state = self._goto[state][byte]
        self.found[state] = index

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte: the longest suffix of the input that begins some pattern."""
        while state and byte not in self._goto[state]:
            state = self._fail[state]
        return self._goto[state].get(byte, 0)


class _TokenEnd(NamedTuple):
    """The last token that ends at a byte of the value.

    Attributes:
        tokens: how many tokens there are up to and including it.
        position: the byte.
        clean: it does not end inside a character.
    """

    tokens: int
    position: int
    clean: bool


class StopStrings:
    """The text of one generated value, which a stop string ends.

    Stop strings are matched on bytes: one that holds U+FFFD matches that character, not bytes that are no UTF-8.

        bytes    0 ........ base ........ given ........ length
                 [kept for good][------- ends, recent ------]
                                          [---- held -------]   may begin a stop string

    Args:
        detokenizer: gives the bytes of each id; fresh, and not pushed to by anyone else.
        stops: the stop strings.

    Raises:
        InvalidRequest: a stop string is empty or holds a lone surrogate.
    """

    def __init__(self, detokenizer: StreamDetokenizer, stops: tuple[str, ...]) -> None:
        self._patterns = [_encoded(stop) for stop in stops]
        self._stops = stops
        self._detokenizer = detokenizer
        self._automaton = _Automaton(self._patterns)
        self._openings = re.compile(b"|".join(re.escape(pattern[:1]) for pattern in self._patterns) or b"(?!)")
        self._state = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")  # over the bytes given out
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")  # over all bytes: where characters end
        self._length = 0
        self._given = 0
        self._held = bytearray()
        self._base = _TokenEnd(0, 0, clean=True)
        self._ends: deque[_TokenEnd] = deque()
        self._recent = bytearray()
        self._hit: StopHit | None = None

    @property
    def hit(self) -> StopHit | None:
        """The stop string that ended the value, None so far."""
        return self._hit

    @property
    def retained(self) -> int:
        """How many bytes and tokens are kept to give back; bounded by the longest stop string, not by the output."""
        return len(self._held) + len(self._recent) + len(self._ends)

    def push(self, ids: Iterable[int]) -> str:
        """Takes generated ids in order, up to the one that completes a stop string; the rest are ignored.

        Returns:
            The text that is certain now: no stop string can begin in it. All of `push`, and `finish`, together are the
            text of the value.
        """
        parts: list[str] = []
        for token_id in ids:
            if self._hit is not None:
                break
            parts.append(self._push_bytes(self._detokenizer.bytes_of(token_id)))
        return "".join(parts)

    def finish(self) -> str:
        """The rest of the text, when the generation has ended; "" after a hit."""
        return "" if self._hit is not None else self._give(self._length, final=True)

    def _push_bytes(self, data: bytes) -> str:
        searches = self._state or self._openings.search(data)
        if not searches and not self._ends and data.isascii():  # the common case: nothing held back, no character split
            self._length = self._given = self._length + len(data)
            self._base = _TokenEnd(self._base.tokens + 1, self._length, clean=True)
            return data.decode("ascii")
        self._held += data
        self._recent += data
        for position, byte in enumerate(data if searches else b"", start=self._length + 1):
            self._state = self._automaton.step(self._state, byte)
            found = self._automaton.found[self._state]
            if found is not None:
                return self._end(position - len(self._patterns[found]), self._stops[found])
        self._length += len(data)
        self._characters.decode(data)
        last = self._ends.pop() if self._ends and not data else (self._ends[-1] if self._ends else self._base)
        self._ends.append(_TokenEnd(last.tokens + 1, self._length, clean=not self._characters.getstate()[0]))
        certain = self._length - self._automaton.depth[self._state]
        self._rebase(certain)
        return self._give(certain)

    def _give(self, position: int, *, final: bool = False) -> str:
        """The text of the held bytes up to `position`."""
        count = position - self._given
        text = self._utf8.decode(bytes(self._held[:count]), final=final)
        del self._held[:count]
        self._given = position
        return text

    def _rebase(self, certain: int) -> None:
        """Forgets the tokens that the stream keeps wherever a stop string begins from byte `certain` on."""
        base = next((end for end in reversed(self._ends) if end.clean and end.position <= certain), self._base)
        while self._ends and self._ends[0].tokens <= base.tokens:
            self._ends.popleft()
        del self._recent[: base.position - self._base.position]
        self._base = base

    def _end(self, begin: int, stop: str) -> str:
        """The stop string that begins at byte `begin` has completed: settles `hit` and gives the text before it."""
        last = self._base
        for end in self._ends:
            # A token that ends inside a character goes with the rest of the character, which the cut token holds.
            if end.position == begin or (end.clean and end.position < begin):
                last = end
        start = self._base.position
        leftover = self._recent[last.position - start : begin - start].decode("utf-8", "replace")
        self._hit = StopHit(stop, last.tokens, leftover)
        return self._give(begin, final=True)


def _encoded(stop: str) -> bytes:
    if not stop:
        raise InvalidRequest("a stop string is empty", hint="leave it out")
    try:
        return stop.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest(f"the stop string {stop!r} holds a lone surrogate", hint="pass valid Unicode") from None
