"""The port behind which masks are made: the engine's core asks for a step's masks and gives them a bounded time.

A mask that is not there by then is *late*: its row leaves the step, the mask is finished beside the steps and comes
back as a `MaskMade`. So one slow mask costs its own request time and nobody else's, and the core sees neither threads
nor a clock.

    fill(requests) ---in time---> rows of the buffer
                   `---late-----> ... MaskMade
    begin(request) -------------> ... MaskMade

A state that is late, or that `begin` was given, belongs to the filler until its `MaskMade` is there; the buffer belongs
to the caller again as soon as `fill` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from ..errors import RamifyError
from .matcher import fill_masks

if TYPE_CHECKING:
    from .state import GrammarState, MaskRow, MaskRows

MaskKey: TypeAlias = tuple[int, int]
"""The caller's name for a request."""


class MaskRequest(NamedTuple):
    """A state whose next mask is wanted."""

    key: MaskKey
    state: GrammarState


class MaskMade(NamedTuple):
    """A mask that was made beside the steps.

    Attributes:
        key: of its request.
        mask: int32[words]; None if there is an error.
        error: what ends its request.
        seconds: how long it took, without what it waited for a thread.
    """

    key: MaskKey
    mask: MaskRow | None
    error: RamifyError | None
    seconds: float


@dataclass
class Filled:
    """What became of a batch. The row of a request that is in neither is whole.

    Attributes:
        late: indexes of the requests whose masks will come as `MaskMade`, ascending.
        errors: by index, what ends a request.
    """

    late: list[int] = field(default_factory=list)
    errors: dict[int, RamifyError] = field(default_factory=dict)


class MaskFiller(Protocol):
    """Makes masks. Called from one thread."""

    def fill(self, requests: Sequence[MaskRequest], out_RW: MaskRows, patience: float) -> Filled:
        """Write row i for request i; rows of late requests and of errors may hold anything.

        Args:
            requests: different states, at most as many as the buffer has rows.
            out_RW: C-contiguous int32[rows, words].
            patience: seconds after which what is missing is late.
        """
        ...

    def begin(self, request: MaskRequest) -> None:
        """Make one mask beside the steps."""
        ...


class InlineFiller:
    """Fills on the caller's thread, however long it takes: for tests, and where time stands still."""

    def fill(self, requests: Sequence[MaskRequest], out_RW: MaskRows, patience: float) -> Filled:
        errors = fill_masks([request.state for request in requests], out_RW)
        return Filled(errors={index: error for index, error in enumerate(errors) if error is not None})

    def begin(self, request: MaskRequest) -> None:
        raise AssertionError("nothing is late here, so nothing is made beside the steps")
