"""Programmatic dependent launch: a kernel is put on the device while the one in front of it still runs.

A decode step is a chain of small kernels, and the gap between two of them is as long as some of them run. With this
launch attribute (Hopper and later) the next kernel's programs are resident by the time the one in front ends. The rule
for every kernel that is launched so:

    allow the next one to come -> wait for the one in front -> read and write

The wait is for everything in front: a kernel ends only after its own wait, so the order of effects is that of launches.
"""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

OLDEST_CAPABILITY = (9, 0)


@triton.jit
def allow_next(OVERLAP: tl.constexpr):
    """The next kernel may come on the device."""
    if OVERLAP:
        gdc_launch_dependents()


@triton.jit
def wait_for_previous(OVERLAP: tl.constexpr):
    """Everything launched before has ended, and what it wrote is seen."""
    if OVERLAP:
        gdc_wait()


@triton.jit
def publish(OVERLAP: tl.constexpr):
    """What this thread wrote is seen by every kernel that begins after this one has ended, even before its wait.

    For the last line of a kernel that never allows the next one to come, so that all later ones begin behind its end.
    """
    if OVERLAP:
        tl.inline_asm_elementwise("fence.acq_rel.gpu; // $0", "=r", [], dtype=tl.int32, is_pure=False, pack=1)


def overlap(device: torch.device) -> dict[str, bool]:
    """Launch options of a kernel with the parameter OVERLAP, on this device."""
    if device.type == "cuda" and _supported(device):
        return {"OVERLAP": True, "launch_pdl": True}
    return {"OVERLAP": False}


@cache
def _supported(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= OLDEST_CAPABILITY
