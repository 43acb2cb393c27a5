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


class UploadBeside:
    """Uploads that run beside what the current stream computes, into two buffers in turn.

    Where a step's masks take 80 microseconds to reach the device, they do so under its forward.

    Args:
        shape: of one buffer; the first dimension is the largest number of rows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self._device = device
        self._on_cuda = device.type == "cuda"
        if self._on_cuda:
            self._buffers = torch.empty((2, *shape), dtype=dtype, device=device)
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._used = [torch.cuda.Event(), torch.cuda.Event()]  # type: ignore[no-untyped-call]
            self._turn = 0

    def __call__(self, values: NDArray[Any]) -> Tensor:
        """`values` on the device, valid until the call after the next.

        From pinned memory they are copied as they are; they must stay until the current stream has passed this point.
        """
        if not self._on_cuda:
            return upload(values, self._device)
        turn = self._turn
        self._turn = 1 - turn
        current = torch.cuda.current_stream(self._device)
        # At the last call the buffer's readers had all been queued: the copy waits for them and for nothing later.
        self._stream.wait_event(self._used[1 - turn])
        self._used[turn].record(current)
        target = self._buffers[turn, : len(values)]
        host = torch.from_numpy(values).pin_memory()
        with torch.cuda.stream(self._stream):
            target.copy_(host, non_blocking=True)
        current.wait_stream(self._stream)
        return target


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
