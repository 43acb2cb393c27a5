"""The masks of each step, and which gens have theirs made beside the steps.

A step's masks are filled under its forward, within a bounded time. What happens to a row is one of three things:

    in time     the step samples it
    late        it leaves the batch (`Phase.PARKED`) while its mask is finished, then waits for a row again; its last
                token is computed once more, for its logits
    slow        its last mask was late, or took as long: the row stays, but is *held* out of the steps in which its next
                mask is made, which begins as soon as its token is known

So other rows never wait for a mask longer than `patience`, and a gen whose every mask is slow wastes no step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ErrorInfo, InvalidSchema, RamifyError, to_info
from ...grammar.fill import MaskFiller, MaskMade, MaskRequest
from ..protocol.plan import WorkerInfo
from .config import CoreConfig
from .stream import Gen

_FIRST_STEP_SECONDS = 0.1
"""What a step is taken to last before one was seen."""
_POISON = 0x55555555


class StepFill(NamedTuple):
    """A step's masks.

    Attributes:
        samples: which sample each row of `masks` belongs to.
        masks: int32[M, words], a view into the buffer; rows of `late` and `failed` gens are void.
        late: gens whose masks are not there.
        failed: gens that end, and why.
    """

    samples: list[int]
    masks: NDArray[np.int32]
    late: list[Gen]
    failed: list[tuple[Gen, RamifyError]]


class Masking:
    """Fills steps through a `MaskFiller`, and knows whose masks are being made.

    Args:
        config: how long steps wait, and how long a mask may take.
        info: rows and vocabulary of the worker.
        filler: makes the masks.
        buffers_2RW: int32[2, max_rows, words], where steps in turn leave their masks for the worker: a buffer is
            written again two steps later, when the step in between has been answered.
    """

    def __init__(
        self, config: CoreConfig, info: WorkerInfo, filler: MaskFiller, buffers_2RW: NDArray[np.int32] | None = None
    ) -> None:
        self._config = config
        self._filler = filler
        words = (info.vocab_size + 31) // 32
        self._buffers_2RW = np.empty((2, info.max_rows, words), np.int32) if buffers_2RW is None else buffers_2RW
        self._step_seconds = _FIRST_STEP_SECONDS
        self._due: deque[tuple[float, Gen]] = deque()

    @property
    def patience(self) -> float:
        """How long a step waits for its masks, in seconds: half of what a step takes, so that it ends no later."""
        return max(self._config.mask_patience, self._step_seconds / 2)

    @property
    def next_deadline(self) -> float | None:
        """When the mask that has been in the making for longest must be there."""
        while self._due and self._due[0][1].mask_due != self._due[0][0]:
            self._due.popleft()
        return self._due[0][0] if self._due else None

    def observe_step(self, seconds: float) -> None:
        """A step took so long on the device."""
        self._step_seconds += (seconds - self._step_seconds) / 4

    def fill(self, step: int, samples: Sequence[tuple[int, Gen]], now: float) -> StepFill:
        """Masks for the samples of a step, each with its index among them."""
        pending = [gen for _, gen in samples if gen.mask_due is not None]  # of rows that came back before their masks
        wanted = [(index, gen) for index, gen in samples if gen.mask is None and gen.mask_due is None]
        made = [(index, gen.mask) for index, gen in samples if gen.mask is not None]
        out_RW = self._buffers_2RW[step % 2]
        if self._config.check:
            out_RW.fill(_POISON)  # a word that a backend forgets must show
        filled = self._filler.fill([_request(gen) for _, gen in wanted], out_RW, self.patience)
        for row, (_, mask) in enumerate(made, len(wanted)):
            out_RW[row] = mask
        out_RW[filled.late] = 0
        late = [wanted[row][1] for row in filled.late]
        for gen in late:
            self._expect(gen, now)
        return StepFill(
            samples=[index for index, _ in (*wanted, *made)],
            masks=out_RW[: len(wanted) + len(made)],
            late=late + pending,
            failed=[(wanted[row][1], error) for row, error in filled.errors.items()],
        )

    def begin(self, gen: Gen, now: float) -> None:
        """Make the next mask of a gen beside the steps."""
        self._expect(gen, now)
        self._filler.begin(_request(gen))

    def made(self, gen: Gen, message: MaskMade) -> ErrorInfo | None:
        """A gen's mask is there; or why the gen ends."""
        gen.mask_due = None
        gen.mask = message.mask
        gen.slow = message.seconds > self.patience
        return to_info(message.error) if message.error is not None else None

    def expired(self, now: float) -> list[Gen]:
        """The gens whose masks should have been there by now."""
        gens = []
        while (due := self.next_deadline) is not None and due <= now:
            gens.append(self._due.popleft()[1])
        return gens

    def timeout(self) -> ErrorInfo:
        """Why an expired gen ends."""
        return to_info(
            InvalidSchema(
                f"the grammar's next mask was not made within {self._config.mask_timeout:g} s",
                hint="make the patterns and bounds of the grammar simpler",
            )
        )

    def _expect(self, gen: Gen, now: float) -> None:
        gen.mask_due = now + self._config.mask_timeout
        self._due.append((gen.mask_due, gen))


def _request(gen: Gen) -> MaskRequest:
    assert gen.grammar is not None
    return MaskRequest(gen.key, gen.grammar)
