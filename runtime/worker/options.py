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
DEFAULT_KV_BYTES = 256 << 20

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
        kv_bytes: memory for the KV pool when `slots` is None.
        max_rows: rows in the batch at most.
        max_length: positions a row can have; None is the model's context, which also bounds it.
        load_format: "dummy" fills the model with random weights made from `seed` and needs config.json alone.
        checked: verify the invariants of every plan; a broken one fails its step with a WorkerError's text.
    """

    device: str = "cpu"
    dtype: DTypeName | Literal["auto"] = "auto"
    slots: int | None = None
    kv_bytes: int = DEFAULT_KV_BYTES
    max_rows: int = 64
    max_length: int | None = None
    load_format: Literal["safetensors", "dummy"] = "safetensors"
    seed: int = 0
    checked: bool = False

    def __post_init__(self) -> None:
        for name, value in (("max_rows", self.max_rows), ("max_length", self.max_length), ("kv_bytes", self.kv_bytes)):
            if value is not None and value < 1:
                raise WorkerError(f"{name} is {value}, not a positive number", where=f"WorkerOptions.{name}")

    def torch_device(self) -> torch.device:
        """The device. Raises WorkerError if torch has no such device here."""
        try:
            device = torch.device(self.device)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise WorkerError(f"torch cannot use the device {self.device!r}: {error}") from error
        return device

    def torch_dtype(self, config: ModelConfig) -> torch.dtype:
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        if torch.device(self.device).type == "cpu" or config.dtype is None:
            return torch.float32
        return DTYPES[config.dtype]

    def pool_slots(self, bytes_per_slot: int) -> int:
        """How many slots the pool gets. Raises WorkerError for a pool too small to run anything."""
        slots = min(self.kv_bytes // bytes_per_slot, MAX_DEFAULT_SLOTS) if self.slots is None else self.slots
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
