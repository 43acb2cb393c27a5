"""How a torch worker is built, in one typed place, and how large its KV pool becomes.

The pool is sized by bytes, because that is what a machine has; a slot's bytes follow from the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from ...errors import WorkerError
from ..models.config import DTypeName, ModelConfig

MIN_SLOTS = 16
MAX_DEFAULT_SLOTS = 1 << 20
DEFAULT_CPU_KV_BYTES = 256 << 20
DEFAULT_ROWS = {"cpu": 64, "cuda": 256}

DTYPES: dict[DTypeName, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class WorkerOptions:
    """Options of `TorchWorker.load`. Raises WorkerError for a size below 1.

    Attributes:
        device: a torch device.
        dtype: of weights, activations and KV; "auto" is float32 on a CPU, elsewhere what the checkpoint stores.
        slots: size of the KV pool in tokens; None fits it into `kv_bytes`.
        kv_bytes: memory for the KV pool when `slots` is None; None is 256 MiB on a CPU, and on a GPU what the largest
            step leaves (see `memory.py`).
        max_rows: rows in the batch at most; None is 64 on a CPU and 256 on a GPU.
        step_tokens: tokens of one step at most, which the memory of a GPU is sized for.
        max_length: positions a row can have; None is the model's context, which also bounds it.
        load_format: "dummy" fills the model with random weights made from `seed` and needs config.json alone.
        kernels: "auto" takes the fused kernels on a GPU where they run, "torch" never, "triton" always (on a CPU in
            Triton's interpreter, for tests).
        checked: verify the invariants of every plan; a broken one fails its step with a WorkerError's text.
    """

    device: str = "cpu"
    dtype: DTypeName | Literal["auto"] = "auto"
    slots: int | None = None
    kv_bytes: int | None = None
    max_rows: int | None = None
    step_tokens: int = 8192
    max_length: int | None = None
    load_format: Literal["safetensors", "dummy"] = "safetensors"
    seed: int = 0
    kernels: Literal["auto", "torch", "triton"] = "auto"
    checked: bool = False

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_length", "kv_bytes", "step_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise WorkerError(f"{name} is {value}, not a positive number", where=f"WorkerOptions.{name}")

    def torch_device(self) -> torch.device:
        """The device. Raises WorkerError if torch has no such device here."""
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise WorkerError(
                f"torch cannot use the device {self.device!r}: {str(error).strip().partition(chr(10))[0]}",
                where="WorkerOptions.device",
                hint=f'torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices; "cpu" always works',
            ) from error
        return device

    def torch_dtype(self, config: ModelConfig) -> torch.dtype:
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        if torch.device(self.device).type == "cpu" or config.dtype is None:
            return torch.float32
        return DTYPES[config.dtype]

    def rows(self, device: torch.device) -> int:
        """Rows in the batch at most."""
        return self.max_rows if self.max_rows is not None else DEFAULT_ROWS.get(device.type, DEFAULT_ROWS["cpu"])

    def pool_bytes(self, device: torch.device) -> int | None:
        """Memory for the KV pool; None when it follows from what is left on the device."""
        if self.kv_bytes is None and device.type != "cuda":
            return DEFAULT_CPU_KV_BYTES
        return self.kv_bytes

    def pool_slots(self, bytes_per_slot: int, kv_bytes: int) -> int:
        """How many slots the pool gets out of `kv_bytes`. Raises WorkerError for a pool too small to run anything."""
        slots = min(kv_bytes // bytes_per_slot, MAX_DEFAULT_SLOTS) if self.slots is None else self.slots
        if slots < MIN_SLOTS:
            raise WorkerError(
                f"the KV pool would have {slots} slots of {bytes_per_slot} bytes, and needs at least {MIN_SLOTS}",
                where="WorkerOptions.kv_bytes" if self.slots is None else "WorkerOptions.slots",
                hint=f"give at least {MIN_SLOTS * bytes_per_slot} bytes",
            )
        return slots

    def row_length(self, config: ModelConfig) -> int:
        if self.max_length is None:
            return config.max_position_embeddings
        return min(self.max_length, config.max_position_embeddings)
