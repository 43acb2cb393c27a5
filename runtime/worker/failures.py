"""Which rows a failed step has left without data, and so which later steps must fail as well.

A step in flight when step N fails was planned as if N had run: its rows may decode tokens that were never sampled, or
read slots that were never written, their own or a neighbour's. So after a failure every step fails, until a plan has
closed every row that a failed step touched: from there on nothing of the failed steps can be reached.

    launch N   sample N   launch N+1   sample N+1   launch N+2 (closes the rows of N and N+1)   ...
    fails      answered   fails too    answered     runs
"""

from __future__ import annotations

from ..protocol.plan import StepPlan
from ..protocol.tokens import unpack


def touched_rows(plan: StepPlan) -> set[int]:
    """Rows that `plan` opens, extends, computes or samples."""
    rows = {opening.row for opening in plan.opened}
    for data in (plan.span_rows, plan.chunk_rows, plan.decode_rows, plan.sample_rows):
        rows.update(unpack(data).tolist())
    return rows


class FailedRows:
    """Rows touched by failed steps and not closed since.

    Attributes:
        first: the step whose failure began it; -1 before any.
    """

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self.first = -1

    def fail(self, plan: StepPlan) -> None:
        """The step of `plan` failed."""
        if not self._rows:
            self.first = plan.step
        self._rows |= touched_rows(plan)

    def blocks(self, plan: StepPlan) -> str | None:
        """Take note of the rows `plan` closes; why the plan cannot run, or None if it can."""
        if not self._rows:
            return None
        self._rows.difference_update(unpack(plan.closed).tolist())
        if not self._rows:
            return None
        return f"step {self.first} failed, and its rows {sorted(self._rows)} are not closed yet"
