"""What every grammar state does alike: stop tokens, control tokens, ranges, history and the edges of a mask row.

Public backends differ exactly here: one raises after the stop token and another offers the stop token for ever, one
sets the bits past the vocabulary and another leaves them, one goes into a silent error state on an id out of range. So
the backends are asked only about text (`Matcher`), and `MatcherState` decides the rest; it is the one implementation
of `GrammarState`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InvalidRequest, InvalidSchema, RamifyError

if TYPE_CHECKING:
    from .state import GrammarState, MaskRow, MaskRows
    from .vocabulary import Vocabulary


class Matcher(Protocol):
    """The raw operations of a backend's matcher. It never sees a stop token, an id without meaning or one out of range.

    A control token is refused, but for a structure whose tag spells it there.

    Every method raises `InvalidSchema` where the library failed or went beyond a limit, and nothing else.
    """

    @property
    def filler(self) -> RowFiller:
        """What fills this matcher's rows; matchers that share one are filled in one call."""
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

    def accepting(self) -> bool:
        """The text so far is a whole value of the grammar."""
        ...


class RowFiller(Protocol):
    """Fills mask rows for the matchers of one backend."""

    def fill(self, matchers: Sequence[Any], out_RW: MaskRows, rows: Sequence[int]) -> list[InvalidSchema | None]:
        """Write all words of row `rows[i]` for `matchers[i]`: text tokens that may follow, stop tokens if accepting.

        Bits past `Vocabulary.width` may hold anything, and so may a row with an error.

        Returns:
            For each matcher None or its error: `dead_end()` where no token may follow.
        """
        ...


class MatcherState:
    """A `GrammarState` over a backend's `Matcher`."""

    __slots__ = ("_num_text", "_terminated", "matcher", "vocabulary")

    def __init__(self, matcher: Matcher, vocabulary: Vocabulary) -> None:
        self.matcher = matcher
        self.vocabulary = vocabulary
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
        (error,) = fill_masks([self], row[None])
        if error is not None:
            raise error
        return bool(row[0] != -1 or (row != -1).any())

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
            self._num_text -= num_text
        self._terminated = False

    def fork(self) -> MatcherState:
        fork = MatcherState(self.matcher.copy(), self.vocabulary)
        fork._num_text = self._num_text
        fork._terminated = self._terminated
        return fork

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
    errors: list[RamifyError | None] = [None] * len(states)
    by_filler: dict[RowFiller, list[tuple[int, MatcherState]]] = {}
    words = -1
    for row, state in enumerate(states):
        if isinstance(state, MatcherState):
            if state.vocabulary.words != words:
                words = state.vocabulary.words
                _check_buffer(out_RW, len(states), words)
            if state.terminated:
                out_RW[row] = 0
            else:
                by_filler.setdefault(state.matcher.filler, []).append((row, state))
        else:
            errors[row] = _fill_alone(state, out_RW[row])
    for filler, members in by_filler.items():
        rows = [row for row, _ in members]
        found = filler.fill([state.matcher for _, state in members], out_RW, rows)
        out_RW[rows, -1] &= members[0][1].vocabulary.last_word
        for row, error in zip(rows, found, strict=True):
            if error is not None:
                errors[row] = error
                out_RW[row] = 0
    return errors


def _fill_alone(state: GrammarState, row: MaskRow) -> RamifyError | None:
    try:
        state.fill_mask(row)
    except RamifyError as error:
        row.fill(0)
        return error
    return None


def _check_buffer(out_RW: MaskRows, rows: int, words: int) -> None:
    """The libraries write through a bare pointer: the buffer must be what they take it for."""
    fits = out_RW.ndim == 2 and out_RW.shape[1] == words and len(out_RW) >= rows
    if fits and out_RW.dtype == np.int32 and out_RW.flags.c_contiguous:
        return
    raise InvalidRequest(
        f"masks need a contiguous int32[{rows} or more, {words}], got {out_RW.dtype}{list(out_RW.shape)}",
        hint="allocate the buffer as int32[rows, ceil(logits width / 32)]",
    )


def dead_end() -> InvalidSchema:
    """The error for a place that no token of the vocabulary leaves and where the text is not a whole value."""
    return InvalidSchema(
        "no token of this model's vocabulary can follow",
        where="#",
        hint="the grammar needs a character that the tokenizer cannot spell, or no finite text satisfies it",
    )
