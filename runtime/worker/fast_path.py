"""Which implementation computes a step: the fused kernels, or plain torch; and why, where it is not the fast one.

Plain torch runs everywhere. On a GPU it is several times slower, so a worker that falls back to it there says so once,
with the reason.
"""

from __future__ import annotations

import importlib.util
import logging

import torch

from ...errors import WorkerError
from ..models.config import ModelConfig
from .options import WorkerOptions

log = logging.getLogger("ramify.worker")

OLDEST_CAPABILITY = (8, 0)
MAX_HEAD_DIM = 256


def uses_kernels(options: WorkerOptions, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the fused kernels compute. Raises WorkerError when they are demanded and cannot."""
    if options.kernels == "torch":
        return False
    reason = refusal(config, device, dtype)
    if reason is None:
        return options.kernels == "triton" or device.type == "cuda"
    if options.kernels == "triton":
        raise WorkerError(
            f"the Triton kernels cannot be used: {reason}",
            where="WorkerOptions.kernels",
            hint='leave it at "auto", which falls back to plain torch',
        )
    if device.type == "cuda":
        log.warning("plain torch computes on %s, several times slower than the kernels: %s", device, reason)
    return False


def refusal(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot compute this model here; None if they can."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed"
    if dtype == torch.float64:
        return "they have no float64"
    if config.head_dim > MAX_HEAD_DIM or config.head_dim % 2:
        return f"heads of {config.head_dim} are not an even number of at most {MAX_HEAD_DIM}"
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < OLDEST_CAPABILITY:
            name = torch.cuda.get_device_name(device)
            return f"{name} has compute capability {capability[0]}.{capability[1]}, and they need 8.0"
    return None
