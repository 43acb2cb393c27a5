"""What a device can do at most, measured: copy bandwidth and bf16 matrix rate; and the floors that follow for a model.

A floor adds, layer after layer, bytes over copy bandwidth and operations over the matrix rate; where a product needs
both, the longer counts. Nothing runs much faster than its floor, so a figure is read as a fraction of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

GIB = 1 << 30


def milliseconds(run: Callable[[], object], repeats: int = 20, warmup: int = 3) -> float:
    """Median time of `run()` on the device, by events; the calls are queued back to back."""
    for _ in range(warmup):
        run()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    marks[0].record()
    for mark in marks[1:]:
        run()
        mark.record()
    torch.cuda.synchronize()
    times = sorted(first.elapsed_time(second) for first, second in pairwise(marks))
    return times[len(times) // 2]


@dataclass(frozen=True)
class Ceilings:
    """Bytes a second (read plus written) of a copy, and operations a second of a bf16 product of 8192 cubed."""

    device: str
    bandwidth: float
    rate: float

    @classmethod
    def measure(cls) -> Ceilings:
        source = torch.randn(2 * GIB // 4, device="cuda")
        target = torch.empty_like(source)
        copy = milliseconds(partial(target.copy_, source))
        del source, target
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        out = torch.empty_like(a)
        product = milliseconds(partial(torch.mm, a, b, out=out))
        del a, b, out
        torch.cuda.empty_cache()  # an engine in another process sizes its memory by what is free
        return cls(torch.cuda.get_device_name(), 4 * GIB / copy * 1e3, 2 * 8192**3 / product * 1e3)

    def __str__(self) -> str:
        return (
            f"{self.device}, torch {torch.__version__}: copy {self.bandwidth / 1e9:.0f} GB/s, "
            f"bf16 8192^3 {self.rate / 1e12:.0f} TFLOP/s"
        )


@dataclass(frozen=True)
class ModelSize:
    """Linear parameters of the layers and of the head, and bytes of KV a token, of a bf16 model."""

    layers: float
    head: float
    kv_bytes: float

    def decode(self, ceilings: Ceilings, rows: int, context: float, kv_shared: float = 0.0) -> float:
        """Seconds of one decode step of `rows` rows that read `context` positions each, and `kv_shared` in all."""
        parameters = self.layers + self.head
        products = max(2 * parameters / ceilings.bandwidth, 2 * rows * parameters / ceilings.rate)
        return products + (rows * context + kv_shared) * self.kv_bytes / ceilings.bandwidth

    def prefill(self, ceilings: Ceilings, tokens: int) -> float:
        """Seconds of `tokens` prompt tokens, without attention."""
        return 2 * tokens * self.layers / ceilings.rate
