"""The limits of the core, in one frozen place."""

from __future__ import annotations

import msgspec


class CoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How much the core takes on.

    Attributes:
        overlap: how many steps may be launched before the one in front of them is observed (0 or 1).
        step_tokens: tokens computed in one step at most, decode rows included: the one budget.
        chunk_tokens: tokens of one prompt in one step while other prompts wait; several partial prefills share a step.
        headroom: slots a row that decodes is expected to need soon; admission leaves this much for each of them.
        retraction_limit: retractions of one gen, after which it is admitted only with all its slots reserved and is
            never retracted again.
        max_waiting: gens that wait for a row, over all runs; one more is refused with `Overloaded`.
        max_stream_nodes: operations queued on one stream; one more is refused with `Overloaded`.
        mask_patience: seconds a step waits for its masks at least; where steps take longer, it is half of one. A row
            whose mask is not there by then leaves the step.
        mask_timeout: seconds a mask may take; then its gen ends with `InvalidSchema`.
        check: prove the ownership of every slot after each step (tests; in production it is sampled).
    """

    overlap: int = 1
    step_tokens: int = 8192
    chunk_tokens: int = 2048
    headroom: int = 16
    retraction_limit: int = 3
    max_waiting: int = 100_000
    max_stream_nodes: int = 100_000
    mask_patience: float = 0.002
    mask_timeout: float = 10.0
    check: bool = False
