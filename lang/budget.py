"""`Budget`: how many tokens a run may generate, its forks and child runs included.

    limit = used + promised + left

A gen is promised its `max_tokens` when it is recorded, cut to what is left; without `max_tokens` it is promised all
that is left. When it ends, what it did not generate is left again. So gens in flight side by side never pass the limit
together, and a gen that is recorded when nothing is left fails. A gen that was stopped (cancelled, past its deadline,
lost with its step) counts with all it was promised, because nobody says how far it came; one that was refused before
it began counts with nothing.
"""

from __future__ import annotations

from ..errors import BudgetExceeded, Cancelled, DeadlineExceeded, EngineUnavailable, RamifyError, WorkerError

_STOPPED = (Cancelled, DeadlineExceeded, EngineUnavailable, WorkerError)


class Budget:
    """Shared by a run and its child runs; used on the hub's thread only.

    Attributes:
        limit: tokens at most.
        used: tokens of the gens that have ended.
        promised: tokens that gens in flight may still generate.
    """

    __slots__ = ("limit", "promised", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.promised = 0

    @property
    def left(self) -> int:
        """Tokens that a gen recorded now could get."""
        return self.limit - self.used - self.promised

    def promise(self, max_tokens: int | None, where: str) -> int:
        """What a gen that asks for `max_tokens` may generate. Raises BudgetExceeded if nothing is left."""
        if self.left <= 0:
            raise BudgetExceeded(
                f"the budget of {self.limit} tokens is spent: "
                f"{self.used} used, {self.promised} promised to gens in flight",
                where=where,
                hint="raise budget=, look at values before going on, or give gens a smaller max_tokens",
            )
        given = self.left if max_tokens is None else min(max_tokens, self.left)
        self.promised += given
        return given

    def settle(self, promised: int, outcome: int | RamifyError) -> None:
        """A gen has ended: with so many tokens, or with an error."""
        self.promised -= promised
        if isinstance(outcome, int):
            self.used += outcome
        elif isinstance(outcome, _STOPPED):
            self.used += promised

    def __repr__(self) -> str:
        return f"<Budget {self.used} used + {self.promised} promised of {self.limit}>"
