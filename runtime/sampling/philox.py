"""Philox4x32-10, the counter-based generator of every draw (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3", section 3.3).

A draw is a pure function of (seed, absolute position, purpose): no state to save, to restore or to share, so a token
does not depend on which batch, worker or step it was drawn in. (NumPy's `Philox` is the 4x64 variant, another one.)

Words are unsigned 32 bit values held in int64 tensors. A product of two of them can pass 2**63 and wrap, on every
device torch runs on; its low 64 bits are right all the same, and they are all that is read.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..kernels.transfer import upload
from ..protocol.philox import MULTIPLIERS, ROUNDS, WEYL, WORD, Purpose


def philox4x32(counter_N4: Tensor, key_N2: Tensor) -> Tensor:
    """Four random words for each counter.

    Args:
        counter_N4: int64 words, shape [N, 4].
        key_N2: int64 words, shape [N, 2].

    Returns:
        int64 words in [0, 2**32), shape [N, 4].
    """
    device = counter_N4.device
    multiplier_2 = upload(np.array(MULTIPLIERS, dtype=np.int64), device)
    weyl_2 = upload(np.array(WEYL, dtype=np.int64), device)
    round_1 = torch.arange(ROUNDS, dtype=torch.int64, device=device).view(-1, 1, 1)
    round_keys = ((key_N2 + round_1 * weyl_2) & WORD).unbind(0)
    factors_N2, others_N2 = counter_N4[:, 0::2], counter_N4[:, 1::2]
    for round_key_N2 in round_keys:
        product_N2 = factors_N2 * multiplier_2
        # The high word of each product crosses to the other pair; the low word becomes that pair's second word.
        factors_N2 = ((product_N2 >> 32) & WORD).flip(1) ^ others_N2 ^ round_key_N2
        others_N2 = (product_N2 & WORD).flip(1)
    return torch.stack((factors_N2, others_N2), dim=2).flatten(1)


def uniform(key_N2: Tensor, positions_N: Tensor, purpose: Purpose) -> Tensor:
    """One float64 in [0, 1) for each (seed, position), a multiple of 2**-53, shape [N].

    Args:
        key_N2: the seed's low and high word, int64, shape [N, 2].
        positions_N: absolute position in the stream of the token that is drawn, int64, shape [N].
        purpose: keeps draws for different ends apart at one position.
    """
    counter_N4 = torch.zeros((positions_N.shape[0], 4), dtype=torch.int64, device=positions_N.device)
    counter_N4[:, 0] = positions_N & WORD
    counter_N4[:, 1] = positions_N >> 32
    counter_N4[:, 2] = int(purpose)
    words_N4 = philox4x32(counter_N4, key_N2)
    bits_N = ((words_N4[:, 0] >> 5) << 26) | (words_N4[:, 1] >> 6)
    return bits_N.to(torch.float64) * 2.0**-53
