"""How small arrays pass between host and device without either waiting for the other.

A plain copy to or from pageable memory waits until the stream has done everything in front of it, which would tie the
host to the device at every step. Through pinned memory a copy is queued like a kernel; torch's pinned allocator gives
the memory out again only when the copy has been made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(values: NDArray[Any], device: torch.device) -> Tensor:
    """`values` on `device`, in its shape and dtype. On a CPU the memory is shared, so it must not be written later."""
    tensor = torch.from_numpy(values)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Download:
    """Tensors of one device on their way to the host. Made where they are computed, waited for where they are read."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._event: torch.cuda.Event | None = None
        if tensors and tensors[0].device.type == "cuda":
            self._host = [torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in tensors]
            for host, x in zip(self._host, tensors, strict=True):
                host.copy_(x, non_blocking=True)
            # Blocking: the waiting thread sleeps, it does not spin on a core that the other threads need.
            self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._host = [x.cpu() for x in tensors]

    def wait(self) -> list[NDArray[Any]]:
        """The values. Blocks until the device has done what was queued in front of them; raises what it ran into."""
        if self._event is not None:
            self._event.synchronize()
        return [host.numpy() for host in self._host]
