"""What every grammar state does alike: stop tokens, control tokens, ranges, history and the edges of a mask row.

Public backends differ exactly here: one raises after the stop token and another offers the stop token for ever, one
sets the bits past the vocabulary and another leaves them, one goes into a silent error state on an id out of range. So
the backends are asked only about text (`Matcher`), and `MatcherState` decides the rest; it is the one implementation
of `GrammarState`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InvalidRequest, InvalidSchema, RamifyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .mask_cache import MaskMemory
    from .state import GrammarState, MaskRow, MaskRows
    from .vocabulary import Vocabulary


class Matcher(Protocol):
    """The raw operations of a backend's matcher. It never sees a stop token, an id without meaning or one out of range.

    A control token is refused, but for a structure whose tag spells it there.

    Every method raises `InvalidSchema` where the library failed or went beyond a limit, and nothing else.
    """

    def fill(self, row: MaskRow) -> None:
        """Write all words of `row`: text tokens that may follow, stop tokens if accepting.

        Called from any thread, one at a time, and without the interpreter lock where it takes long. Bits past
        `Vocabulary.width` may hold anything. Raises `dead_end()` where no token may follow.
        """
        ...

    def consume(self, token_id: int) -> bool:
        """Advance by a text token, or return False and stay."""
        ...

    def rollback(self, num_tokens: int) -> None:
        """Undo `num_tokens` >= 1 consumed tokens; the caller has checked that there are as many."""
        ...

    def copy(self) -> Matcher:
        """An independent matcher at the same place with the same history."""
        ...

    def forced(self) -> bytes:
        """The bytes that must follow, b"" if none or unknown. Not asked where `accepting()`."""
        ...

    def remaining(self) -> int:
        """Bytes that must still come, at least. Not asked where `accepting()`."""
        ...

    def accepting(self) -> bool:
        """The text so far is a whole value of the grammar."""
        ...


class MatcherState:
    """A `GrammarState` over a backend's `Matcher`; with a memory it makes no mask that was made before."""

    __slots__ = ("_memory", "_num_text", "_terminated", "matcher", "vocabulary")

    def __init__(self, matcher: Matcher, vocabulary: Vocabulary, memory: MaskMemory | None = None) -> None:
        self.matcher = matcher
        self.vocabulary = vocabulary
        self._memory = memory
        self._num_text = 0
        self._terminated = False

    @property
    def num_accepted(self) -> int:
        return self._num_text + self._terminated

    @property
    def completed(self) -> bool:
        return self.matcher.accepting()

    @property
    def terminated(self) -> bool:
        return self._terminated

    def fill_mask(self, row: MaskRow) -> bool:
        _check_row(row, self.vocabulary.words)
        if self._terminated:
            row.fill(0)
            return True
        if (known := self.known_mask()) is not None:
            row[:] = known
        else:
            self._make_mask(row)
        return bool(row[0] != -1 or (row != -1).any())

    def mask_key(self) -> Hashable | None:
        return self._memory.key() if self._memory is not None and not self._terminated else None

    def known_mask(self) -> MaskRow | None:
        return self._memory.mask() if self._memory is not None and not self._terminated else None

    def _make_mask(self, row: MaskRow) -> None:
        try:
            self.matcher.fill(row)
        except InvalidSchema:
            row.fill(0)
            raise
        row[-1] &= self.vocabulary.last_word
        if self._memory is not None:
            self._memory.keep(row)

    def accept(self, token_id: int) -> bool:
        vocabulary = self.vocabulary
        if self._terminated or not 0 <= token_id < len(vocabulary.tokens):
            return False
        if token_id in vocabulary.stop_ids:
            self._terminated = self.matcher.accepting()
            return self._terminated
        if not vocabulary.tokens[token_id] and token_id not in vocabulary.control_ids:
            return False
        if not self.matcher.consume(token_id):
            return False
        self._num_text += 1
        if self._memory is not None:
            self._memory.accept(token_id)
        return True

    def rollback(self, num_tokens: int) -> None:
        if not 0 <= num_tokens <= self.num_accepted:
            raise InvalidRequest(
                f"cannot roll a grammar back by {num_tokens} tokens: {self.num_accepted} were accepted",
                hint="roll back between 0 and num_accepted tokens",
            )
        if num_tokens == 0:
            return
        num_text = num_tokens - self._terminated
        if num_text:
            self.matcher.rollback(num_text)
            if self._memory is not None:
                self._memory.rollback(num_text)
            self._num_text -= num_text
        self._terminated = False

    def fork(self) -> MatcherState:
        memory = self._memory.fork() if self._memory is not None else None
        fork = MatcherState(self.matcher.copy(), self.vocabulary, memory)
        fork._num_text = self._num_text
        fork._terminated = self._terminated
        return fork

    def remaining_bytes(self) -> int:
        return 0 if self.completed else self.matcher.remaining()

    def forced_text(self) -> bytes:
        return b"" if self.completed else self.matcher.forced()


def fill_masks(states: Sequence[GrammarState], out_RW: MaskRows) -> list[RamifyError | None]:
    """Masks for a whole batch: row i for `states[i]`, as `GrammarState.fill_mask` says.

    One row that fails must not take the batch with it, so errors are returned by row.

    Args:
        states: different states over one vocabulary, of any backends.
        out_RW: C-contiguous int32[rows, words], `rows >= len(states)`; every word of the first `len(states)` rows is
            written, whatever was there, and no other.

    Returns:
        For each state None, or the error that ends its request; the row is then all zero and must not be sampled from.

    Raises:
        InvalidRequest: the buffer has another shape, or a state is there twice.
    """
    if len({id(state) for state in states}) < len(states):
        raise InvalidRequest("a grammar state stands twice in a batch", hint="fork it")
    if states and (out_RW.ndim != 2 or len(out_RW) < len(states)):
        raise _wrong_buffer(f"int32[{len(states)} or more, words]", out_RW)
    for state, row in zip(states, out_RW, strict=False):
        if isinstance(state, MatcherState):
            _check_row(row, state.vocabulary.words)
    return [_fill_alone(state, row) for state, row in zip(states, out_RW, strict=False)]


def _fill_alone(state: GrammarState, row: MaskRow) -> RamifyError | None:
    try:
        state.fill_mask(row)
    except RamifyError as error:
        row.fill(0)  # a state of another kind may have left anything there
        return error
    return None


def _check_row(row: MaskRow, words: int) -> None:
    """The libraries write through a bare pointer: the row must be what they take it for."""
    if row.shape != (words,) or row.dtype != np.int32 or not row.flags.c_contiguous:
        raise _wrong_buffer(f"int32[{words}]", row)


def _wrong_buffer(wanted: str, got: NDArray[Any]) -> InvalidRequest:
    return InvalidRequest(
        f"masks need a contiguous {wanted}, got {got.dtype}{list(got.shape)}",
        hint="allocate the buffer as int32[rows, ceil(logits width / 32)]",
    )


def dead_end() -> InvalidSchema:
    """The error for a place that no token of the vocabulary leaves and where the text is not a whole value."""
    return InvalidSchema(
        "no token of this model's vocabulary can follow",
        where="#",
        hint="the grammar needs a character that the tokenizer cannot spell, or no finite text satisfies it",
    )
