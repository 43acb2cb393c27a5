"""Options of an engine, as a user gives them; they travel to an engine process as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ...errors import ModelNotFound
from ...grammar.limits import DEFAULT_LIMITS, DEFAULT_VETTING, GrammarLimits, VettingLimits


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine is built.

    Attributes:
        model: "seedling", the bundled model, or a directory with config.json, safetensors and tokenizer.json.
        device: a torch device; "auto" is a GPU where there is one, and for the bundled model, ready in a second there,
            the CPU.
        dtype: of weights and KV; "auto" is float32 on a CPU, elsewhere what the checkpoint stores.
        slots: KV slots of the pool; None sizes it by `kv_bytes`.
        kv_bytes: memory of the KV pool when `slots` is None; None is 256 MiB on a CPU, on a GPU what the largest step
            leaves.
        max_rows: gens in the batch at most; None is 64 on a CPU and 256 on a GPU.
        max_length: positions of a stream at most; None is the model's context.
        overlap: steps launched ahead, 0 or 1; None is 1 where a device works beside the host and 0 on a CPU.
        step_tokens, chunk_tokens: see `CoreConfig`.
        grammar: the grammar backend; "auto" chooses one for each grammar.
        grammar_limits: what a grammar may cost, and in `narrowing` what is left out of its values.
        vetting_limits: what vetting a grammar may cost, and how far it gives way to the engine.
        load_format: "dummy" gives random weights from config.json alone.
        threads: torch's threads on a CPU; None leaves torch's choice.
        check: prove the ownership of every slot after each step; slow.
    """

    model: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "float64", "bfloat16", "float16"] = "auto"
    slots: int | None = None
    kv_bytes: int | None = None
    max_rows: int | None = None
    max_length: int | None = None
    overlap: Literal[0, 1] | None = None
    step_tokens: int = 8192
    chunk_tokens: int = 2048
    grammar: Literal["auto", "llguidance", "xgrammar"] = "auto"
    grammar_limits: GrammarLimits = DEFAULT_LIMITS
    vetting_limits: VettingLimits = DEFAULT_VETTING
    load_format: Literal["safetensors", "dummy"] = "safetensors"
    threads: int | None = None
    check: bool = False

    @property
    def directory(self) -> Path:
        """The model's directory. Raises ModelNotFound."""
        if self.model == "seedling":
            from ... import seedling

            return seedling.path()
        path = Path(self.model).expanduser()
        if not path.is_dir():
            raise ModelNotFound(
                f"there is no model directory {self.model!r}",
                where=str(path.absolute()),
                hint='give a directory with config.json and safetensors files, or "seedling" for the bundled model',
            )
        return path

    def device_here(self) -> str:
        """The device, "auto" resolved: the first that asks needs torch."""
        if self.device != "auto":
            return self.device
        if self.model == "seedling":
            return "cpu"
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    def depth(self, device: str) -> int:
        """The overlap depth: on a CPU the device *is* the host, so a step launched ahead only delays its result."""
        return self.overlap if self.overlap is not None else int(not device.startswith("cpu"))
