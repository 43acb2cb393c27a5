"""The three interfaces of grammars: a backend compiles, a compiled grammar makes states, a state masks one request.

The engine knows nothing of a backend but these. What a state must do is the same for every backend, to the bit, and
`matcher.py` holds that discipline in one place; a backend brings only the six raw operations it wraps. The module is
light (no numpy, no backend library) because plain data and interfaces are all it has.

A mask row is `int32[words]`, `words = ceil(width / 32)`, `width` = the width of the model's logits; bit `i % 32` of
word `i // 32` is one where token `i` may follow.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from .report import GrammarReport, Note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .spec import GrammarSpec

    MaskRow: TypeAlias = NDArray[np.int32]
    """One row of masks: C-contiguous `int32[words]`, a view into the batch's buffer."""

    MaskRows: TypeAlias = NDArray[np.int32]
    """The batch's buffer: C-contiguous `int32[rows, words]`."""


class GrammarState(Protocol):
    """One request's place in its grammar.

    A state belongs to one thread at a time; states of one compiled grammar may be used from different threads. A state
    that has raised is finished: drop it. Errors are `InvalidSchema` (the grammar went beyond the backend's limits, or
    into a dead end) and concern this request alone.
    """

    @property
    def num_accepted(self) -> int:
        """Number of tokens accepted and not rolled back, a stop token included: the depth of `rollback`."""
        ...

    @property
    def completed(self) -> bool:
        """The text so far is a whole value: a stop token is allowed, or was just accepted."""
        ...

    @property
    def terminated(self) -> bool:
        """A stop token was accepted: nothing may follow."""
        ...

    def fill_mask(self, row: MaskRow) -> bool:
        """Write the mask of the next token.

        Every word is written, whatever was there; control tokens, ids past the tokenizer's vocabulary and the bits past
        `width` are zero. Stop tokens are one exactly where `completed`. After termination the row is all zero: such a
        row must not reach a softmax.

        Returns:
            False if every bit is one, so that nothing needs to be masked.

        Raises:
            InvalidSchema: no token of this vocabulary can follow, or a limit of the backend was exceeded.
        """
        ...

    def mask_key(self) -> Hashable | None:
        """Equal for two states only if their next masks are equal; None where that cannot be told."""
        ...

    def known_mask(self) -> MaskRow | None:
        """The mask of the next token if it is at hand and need not be made; it must not be written."""
        ...

    def accept(self, token_id: int) -> bool:
        """Advance by one token: True exactly where `fill_mask` sets its bit, else False and the state is unchanged.

        Any integer may be given. Control tokens, ids out of range and everything after termination are refused.
        """
        ...

    def rollback(self, num_tokens: int) -> None:
        """Undo the last `num_tokens` accepted tokens, a stop token among them.

        Raises:
            InvalidRequest: `num_tokens` is negative or more than `num_accepted`.
        """
        ...

    def fork(self) -> GrammarState:
        """An independent state at the same place, with the same history."""
        ...

    def remaining_bytes(self) -> int:
        """Bytes that every text which goes on from here has still to come, at least; 0 where `completed`.

        Exact for choices; elsewhere what is known without a search: the forced text, and one byte.
        """
        ...

    def forced_text(self) -> bytes:
        """Bytes that must come next in every value that goes on from here; b"" if there are none or none are known.

        They may begin and end inside a character. They are a fact about text, not about tokens: no particular
        tokenization is forced, so use them as drafts, never commit them unseen.
        """
        ...


class CompiledGrammar(Protocol):
    """A grammar compiled for one vocabulary. Immutable to its users, shared between requests and threads."""

    @property
    def key(self) -> str:
        """`GrammarSpec.key()` of what was compiled."""
        ...

    @property
    def backend(self) -> str:
        """Name of the backend in the registry."""
        ...

    @property
    def report(self) -> GrammarReport:
        """What is enforced, and every place that is not as written."""
        ...

    @property
    def num_bytes(self) -> int:
        """Approximate memory held by the compiled grammar, in bytes: what the cache counts."""
        ...

    @property
    def healthy(self) -> bool:
        """False once something that its states share has failed: the next request should compile anew."""
        ...

    @property
    def min_tokens(self) -> int:
        """Tokens of the grammar's shortest text, or fewer: a gen that may write less cannot end well."""
        ...

    def state(self) -> GrammarState:
        """A new state at the start of the grammar; microseconds, not a compilation."""
        ...


class GrammarPlan(msgspec.Struct, frozen=True):
    """A grammar that was compiled once, somewhere else, as what it takes to compile it here: plain text.

    Attributes:
        key: `GrammarSpec.key()`.
        backend: the backend that made the plan.
        source: in the backend's own notation.
        notes: see `GrammarReport`.
        min_tokens: see `CompiledGrammar`.
    """

    key: str
    backend: str
    source: str
    notes: tuple[Note, ...] = ()
    min_tokens: int = 0


class GrammarBackend(Protocol):
    """Compiles grammars for one vocabulary. Called from the compile executor's threads, several at once."""

    @property
    def name(self) -> str:
        """Name of the backend in the registry."""
        ...

    def compile(self, spec: GrammarSpec) -> CompiledGrammar:
        """Compile `spec`; exact or refused.

        Raises:
            InvalidSchema: not what its kind says (a JSON Schema, a pattern), outside the limits, or without any text.
            UnenforceableSchema: a keyword or a construct that this backend would not enforce exactly; `where` is the
                place, or lists the paths.
        """
        ...


class PlanningBackend(GrammarBackend, Protocol):
    """A backend whose work can be done in another process: all but the last, native step."""

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        """Compile `spec` and give what it takes to compile it again; raises what `compile` raises."""
        ...

    def build(self, plan: GrammarPlan) -> CompiledGrammar:
        """The compiled grammar of a plan that this backend's `plan` made over the same vocabulary."""
        ...
