"""The training loop: target and draft side by side on the same packed rows, on one GPU.

The loss is cross-entropy on assistant tokens only, those of short answers weighted up. The draft learns the right
answers and, in equal parts, the target's whole distribution at the same positions, so that it proposes what the target
will say. One H200 does the whole run in under ten minutes; a CPU runs the same code (dense attention, no compilation)
for tests with tiny sizes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from . import data
from .chat import Encoder
from .draw import Split
from .model import Llama, Mask, Shape, block_mask, dense_mask, documents

TARGET = Shape(vocabulary=3072, hidden=256, layers=8, heads=8, kv_heads=4, mlp=640)
DRAFT = Shape(vocabulary=3072, hidden=128, layers=3, heads=4, kv_heads=2, mlp=384)


@dataclass(frozen=True)
class Recipe:
    """Everything that the result depends on, the generator aside.

    Attributes:
        rows: packed rows of a step.
        block: rows of a data block; a whole number of steps.
        passes: how often each block is used before it is dropped.
    """

    steps: int = 6800
    rows: int = 64
    block: int = 128
    passes: int = 1
    rate: float = 3e-3
    warmup: int = 300
    decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    seed: int = 1
    workers: int = 15
    target: Shape = TARGET
    draft: Shape = DRAFT


class Pair:
    """The two models, their losses and their exact-answer counts."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.target = Llama(recipe.target).to(device)
        self.draft = Llama(recipe.draft).to(device)
        self.device = device
        cuda = device.type == "cuda"
        self._losses = torch.compile(self._plain_losses, dynamic=False) if cuda else self._plain_losses
        self._choices = torch.compile(self._plain_choices, dynamic=False) if cuda else self._plain_choices

    def losses(self, ids_BS: Tensor, flags_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of the target; of the draft, the mean of the same and of its distillation."""
        return self._losses(ids_BS, flags_BS, *_places(ids_BS, flags_BS))

    def choices(self, ids_BS: Tensor, flags_BS: Tensor) -> tuple[Tensor, Tensor]:
        """The greedy next token of both models at every position, int64 [B, S]."""
        return self._choices(ids_BS, *_places(ids_BS, flags_BS))

    def _logits(self, ids_BS: Tensor, position_BS: Tensor, mask: Mask) -> tuple[Tensor, Tensor]:
        with torch.autocast(ids_BS.device.type, torch.bfloat16, enabled=ids_BS.is_cuda):
            return self.target(ids_BS, position_BS, mask), self.draft(ids_BS, position_BS, mask)

    def _plain_losses(self, ids_BS: Tensor, flags_BS: Tensor, position_BS: Tensor, mask: Mask) -> tuple[Tensor, Tensor]:
        target_BSV, draft_BSV = self._logits(ids_BS, position_BS, mask)
        carries_BS = (flags_BS[:, 1:] & data.TARGET) != 0
        weight_BS = carries_BS * ((flags_BS[:, 1:] >> data.WEIGHT) + 1).float()
        weight_BS = weight_BS / weight_BS.sum().clamp(min=1)
        gold_BS = ids_BS[:, 1:, None]
        target = F.log_softmax(target_BSV[:, :-1].float(), -1)
        draft = F.log_softmax(draft_BSV[:, :-1].float(), -1)
        target_loss = -(target.gather(-1, gold_BS)[..., 0] * weight_BS).sum()
        hard = -(draft.gather(-1, gold_BS)[..., 0] * weight_BS).sum()
        soft = -((target.detach().exp() * draft).sum(-1) * weight_BS).sum()
        return target_loss, 0.5 * (hard + soft)

    def _plain_choices(self, ids_BS: Tensor, position_BS: Tensor, mask: Mask) -> tuple[Tensor, Tensor]:
        target_BSV, draft_BSV = self._logits(ids_BS, position_BS, mask)
        return target_BSV.argmax(-1), draft_BSV.argmax(-1)

    @torch.no_grad()
    def judge(self, block: data.Block, rows: int) -> tuple[float, float]:
        """Share of conversations whose whole last answer is the greedy one, and draft agreement on its tokens."""
        right, agree = [], []
        total = -(-len(block.ids_BS) // rows) * rows
        ids_BS = np.zeros((total, data.ROW), np.int16)
        flags_BS = np.zeros((total, data.ROW), np.uint8)
        ids_BS[: len(block.ids_BS)], flags_BS[: len(block.ids_BS)] = block.ids_BS, block.flags_BS
        for at in range(0, total, rows):
            ids, flags = ids_BS[at : at + rows], flags_BS[at : at + rows]
            target, draft = (x.cpu().numpy()[:, :-1] for x in self.choices(*_load(ids, flags, self.device)))
            carries = (flags[:, 1:] & data.TARGET) != 0
            document = np.cumsum(flags & data.STARTS, axis=1)[:, 1:] + np.arange(rows)[:, None] * (data.ROW + 1)
            failed = set(document[carries & (target != ids[:, 1:])].tolist())
            right += [number not in failed for number in sorted(set(document[carries].tolist()))]
            agree += (target == draft)[carries].tolist()
        return float(np.mean(right)), float(np.mean(agree))


def _places(ids_BS: Tensor, flags_BS: Tensor) -> tuple[Tensor, Mask]:
    """Positions and attention mask; made outside the compiled graph, where torch 2.11 gets its gradient right."""
    document_BS, position_BS = documents(flags_BS & data.STARTS)
    return position_BS, block_mask(document_BS) if ids_BS.is_cuda else dense_mask(document_BS)


def _load(ids: np.ndarray, flags: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    tensors = torch.from_numpy(ids), torch.from_numpy(flags)
    if device.type == "cuda":
        tensors = tensors[0].pin_memory(), tensors[1].pin_memory()
    return tensors[0].to(device, non_blocking=True).long(), tensors[1].to(device, non_blocking=True)


def _optimizer(pair: Pair, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with decay on matrices only."""
    parameters = [*pair.target.parameters(), *pair.draft.parameters()]
    matrices = [p for p in parameters if p.ndim == 2]
    others = [p for p in parameters if p.ndim != 2]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.rate,
        betas=recipe.betas,
        eps=1e-10,
        fused=pair.device.type == "cuda",
    )


def rate_at(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * done))


def train(recipe: Recipe, tokenizer: Path, out: Path, log_every: int = 100, judge_every: int = 4500) -> Pair:
    """Train both models and write them under `out` and `out/draft`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    pair = Pair(recipe, device)
    optimizer = _optimizer(pair, recipe)
    held_out = data.validation(400, Split.HELD_OUT, Encoder(Tokenizer.from_file(str(tokenizer))))
    count = -(-recipe.steps * recipe.rows // (recipe.block * recipe.passes))
    started = waited = time.perf_counter()
    waiting = 0.0
    step = 0
    for block in data.blocks(tokenizer, recipe.block, count, recipe.seed, recipe.workers):
        waiting += time.perf_counter() - waited
        for at in range(0, recipe.block * recipe.passes, recipe.rows):
            if step == recipe.steps:
                break
            at %= recipe.block
            rate = rate_at(step, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate
            rows = slice(at, at + recipe.rows)
            target_loss, draft_loss = pair.losses(*_load(block.ids_BS[rows], block.flags_BS[rows], device))
            torch.autograd.backward(target_loss + draft_loss)
            torch.nn.utils.clip_grad_norm_(pair.target.parameters(), recipe.clip)
            torch.nn.utils.clip_grad_norm_(pair.draft.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if step % log_every == 0 or step == recipe.steps:
                seconds = time.perf_counter() - started
                speed = step * recipe.rows * data.ROW / seconds / 1e6
                print(f"step {step} loss {target_loss.item():.4f} draft {draft_loss.item():.4f} rate {rate:.2e} "
                      f"{seconds:.0f}s {speed:.2f}M tok/s, data waited for {waiting:.1f}s", flush=True)  # fmt: skip
            if step % judge_every == 0 or step == recipe.steps:
                for task, rows_of_task in held_out.items():
                    right, agree = pair.judge(rows_of_task, recipe.rows)
                    print(f"  {task}: held-out answers exact {right:.3f}, draft agrees {agree:.3f}", flush=True)
                save(pair, recipe, out)
        waited = time.perf_counter()
    return pair


def save(pair: Pair, recipe: Recipe, out: Path) -> None:
    """Weights in bfloat16 with config.json and generation_config.json, as `transformers` loads them."""
    models: Mapping[Path, tuple[Llama, Shape]] = {
        out: (pair.target, recipe.target),
        out / "draft": (pair.draft, recipe.draft),
    }
    for directory, (model, shape) in models.items():
        directory.mkdir(parents=True, exist_ok=True)
        weights = {
            name: value.detach().to("cpu", torch.bfloat16).contiguous() for name, value in model.state_dict().items()
        }
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        (directory / "config.json").write_text(json.dumps(shape.config(), indent=2) + "\n", encoding="utf-8")
        generation = {"do_sample": False, "eos_token_id": [2, 0], "pad_token_id": 0, "max_new_tokens": 512}
        (directory / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
