"""How a token is drawn: the fields of a `Gen` node, and the same after defaults, as a worker gets them."""

from __future__ import annotations

import msgspec


class SamplingParams(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the caller asked for; None means the model's generation config, then the neutral value.

    Attributes:
        temperature: 0 is greedy; at most 100.
        top_k: keep the k most likely tokens; 0 keeps all.
        top_p: keep the smallest set of tokens whose probability reaches p, in (0, 1].
        min_p: drop tokens less likely than p times the most likely one, in [0, 1].
        presence_penalty: subtracted once from the logit of each token already generated, in [-2, 2].
        frequency_penalty: subtracted once for each time a token was generated, in [-2, 2].
        repetition_penalty: divides positive and multiplies negative logits of every token of the prompt and the
            output (Keskar et al. 2019, CTRL, section 4.1), in (0, 100].
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None


class RowSampling(msgspec.Struct, frozen=True, array_like=True):
    """`SamplingParams` with every default filled in and checked, for one row of the batch.

    Order of the processors, here and under speculation: penalties, grammar mask, temperature, top-k, top-p, min-p.

    Attributes:
        seed: key of the Philox4x32-10 draws, unsigned 64 bit; the counter is (absolute position, purpose).
        logprobs: number of most likely tokens reported with each sampled one; -1 reports none at all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    logprobs: int = -1

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def penalised(self) -> bool:
        return self.presence_penalty != 0.0 or self.frequency_penalty != 0.0 or self.repetition_penalty != 1.0
