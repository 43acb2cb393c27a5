"""Who is vetted next: owners take turns, so that one who sends a thousand grammars delays only himself.

Nothing here looks at a clock or a process, so that the order can be tested by itself.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Waiting(NamedTuple):
    """A job that waits.

    Attributes:
        number: of the job.
        task: the frame for its worker.
        deadline: `time.monotonic()` at which it is refused.
    """

    number: int
    task: bytes
    deadline: float


class FairQueue:
    """Jobs of several owners: round robin over the owners, in order within one."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[Waiting]] = OrderedDict()  # whose turn is next comes first

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[Waiting]:
        return (job for jobs in self._of.values() for job in jobs)

    def push(self, owner: str, job: Waiting) -> None:
        """Add a job behind its owner's others."""
        self._of.setdefault(owner, deque()).append(job)

    def pop(self) -> Waiting:
        """The next job. Raises KeyError: nobody waits."""
        owner, jobs = self._of.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._of[owner] = jobs  # behind the others
        return job

    def remove(self, number: int) -> bool:
        """Take a job out; False if it does not wait."""
        return bool(self._keep(lambda job: job.number != number))

    def expire(self, now: float) -> list[Waiting]:
        """Take out the jobs whose deadline has passed."""
        return self._keep(lambda job: job.deadline > now)

    @property
    def next_deadline(self) -> float | None:
        """The earliest deadline; None if nobody waits."""
        return min((job.deadline for job in self), default=None)

    def _keep(self, stays: Callable[[Waiting], bool]) -> list[Waiting]:
        gone = [job for job in self if not stays(job)]
        if gone:
            kept = ((owner, deque(filter(stays, jobs))) for owner, jobs in self._of.items())
            self._of = OrderedDict((owner, jobs) for owner, jobs in kept if jobs)
        return gone
