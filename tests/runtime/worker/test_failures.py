"""A step that raises is answered, so is every step that could have built on it, and nothing else suffers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ramify.runtime.attention.interface import StepAttention
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.torch_backend import TorchAttention
from ramify.runtime.models.loader import fill_random
from ramify.runtime.models.registry import CausalLM, build_model, load_config
from ramify.runtime.protocol.plan import StepFailed, StepMasks, StepPlan, StepResult, WorkerInfo, WorkerReply
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.runner import StepRunner
from ramify.runtime.worker.torch_worker import TorchWorker
from step_builder import StepBuilder, masks_of
from torch import Tensor


class FaultyModel:
    """A real model that raises `error` in the forward or in the head of its calls number `forward` and `head`."""

    def __init__(self, model: CausalLM) -> None:
        self._model = model
        self.forward: dict[int, Exception] = {}
        self.head: dict[int, Exception] = {}
        self.calls = -1

    def __call__(self, ids_T: Tensor, positions_T: Tensor, attention: StepAttention) -> Tensor:
        self.calls += 1
        if self.calls in self.forward:
            raise self.forward[self.calls]
        return self._model(ids_T, positions_T, attention)

    def logits(self, hidden_SE: Tensor) -> Tensor:
        if self.calls in self.head:
            raise self.head[self.calls]
        return self._model.logits(hidden_SE)


class Rig:
    def __init__(self, directory: Path, checked: bool = True) -> None:
        torch.set_num_threads(1)
        config, device = load_config(directory), torch.device("cpu")
        model = build_model(config, dtype=torch.float64, device=device, max_length=64)
        fill_random(model, config)
        self.model = FaultyModel(model)
        self.replies: list[WorkerReply] = []
        pool = KVPool(KVLayout(torch.float64), layers=2, slots=128, kv_heads=2, head_dim=12, device=device)
        info = WorkerInfo(slots=128, max_rows=6, max_length=64, vocab_size=97)
        self.worker = TorchWorker(
            StepRunner(self.model, TorchAttention(pool), max_rows=6, max_length=64, vocab_size=97, device=device),
            info,
            self.replies.append,
            executor=InlineExecutor(),
            checked=checked,
        )

    def run(self, plan: StepPlan, masks: StepMasks | None = None) -> WorkerReply:
        self.worker.submit(plan)
        self.worker.submit(masks or StepMasks(plan.step))
        return self.replies.pop()


def _prompt(step: int, row: int, epoch: int, closed: tuple[int, ...] = ()) -> StepPlan:
    builder = StepBuilder(step)
    for other in closed:
        builder.close(other)
    builder.open(row, epoch)
    builder.sample(row, builder.chunk(row, 0, [9, 8, 7], range(row * 20, row * 20 + 3)))
    return builder.plan()


def _decode(step: int, rows: list[int], length: int) -> StepPlan:
    builder = StepBuilder(step)
    for row in rows:
        builder.sample(row, builder.decode(row, row * 20 + length))
    return builder.plan()


ERRORS = [MemoryError("no more"), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("x" * 10_000)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["forward", "head"])
def test_a_raising_step_is_answered_once_with_its_text(config_directory: Path, place: str, error: Exception) -> None:
    rig = Rig(config_directory)
    getattr(rig.model, place)[0] = error
    rig.worker.submit(_prompt(0, 0, 1))
    assert rig.replies == []
    rig.worker.submit(StepMasks(0))
    (reply,) = rig.replies
    assert isinstance(reply, StepFailed)
    assert reply.step == 0
    assert reply.error.startswith(f"{type(error).__name__}: {str(error)[:20]}")
    assert len(reply.error) <= 2000


def test_after_the_failed_rows_are_closed_steps_run_as_before(config_directory: Path) -> None:
    rig, healthy = Rig(config_directory), Rig(config_directory)
    rig.model.forward[0] = MemoryError()
    assert isinstance(rig.run(_prompt(0, 0, 1)), StepFailed)
    reply = rig.run(_prompt(1, 0, 2, closed=(0,)))
    expected = healthy.run(_prompt(0, 0, 1))
    assert isinstance(reply, StepResult)
    assert isinstance(expected, StepResult)
    assert reply.ids == expected.ids


def test_steps_in_flight_behind_a_failure_fail_until_every_row_is_closed(config_directory: Path) -> None:
    rig = Rig(config_directory)
    assert isinstance(rig.run(_prompt(0, 0, 1)), StepResult)
    rig.model.forward[1] = RuntimeError("kernel")
    assert isinstance(rig.run(_decode(1, [0], 3)), StepFailed)
    # Planned before the failure was known: row 0 goes on, row 1 is new and could share slots of the failed step.
    builder = StepBuilder(2)
    builder.open(1, 1)
    builder.sample(1, builder.chunk(1, 0, [4, 4], [60, 61]))
    builder.sample(0, builder.decode(0, 4))
    behind = rig.run(builder.plan())
    assert isinstance(behind, StepFailed)
    assert "step 1 failed, and its rows [0] are not closed yet" in behind.error
    # Row 0 is closed, row 1 is not: it still waits for data that never came.
    assert isinstance(rig.run(_prompt(3, 2, 1, closed=(0,))), StepFailed)
    assert isinstance(rig.run(_prompt(4, 0, 2, closed=(1, 2))), StepResult)
    assert rig.model.calls == 2, "steps that cannot succeed are not computed"


def test_rows_that_no_failed_step_touched_keep_their_state(config_directory: Path) -> None:
    rig, healthy = Rig(config_directory), Rig(config_directory)
    for worker in (rig, healthy):
        assert isinstance(worker.run(_prompt(0, 3, 1)), StepResult)
    rig.model.forward[1] = RuntimeError("kernel")
    assert isinstance(rig.run(_prompt(1, 0, 1)), StepFailed)
    closing = StepBuilder(2)
    closing.close(0)
    closing.sample(3, closing.decode(3, 63))
    reply, expected = rig.run(closing.plan()), healthy.run(_decode(1, [3], 3))
    assert isinstance(reply, StepResult)
    assert isinstance(expected, StepResult)
    assert reply.ids == expected.ids


def test_a_step_whose_masks_are_malformed_fails_alone(config_directory: Path) -> None:
    for checked in (True, False):
        rig = Rig(config_directory, checked)
        masks = masks_of(0, {0: [5]}, vocab_size=500)
        reply = rig.run(_prompt(0, 0, 1), masks)
        assert isinstance(reply, StepFailed)
        assert reply.error.startswith("WorkerError: ")
        assert isinstance(rig.run(_prompt(1, 1, 1, closed=(0,))), StepResult)


def test_every_launched_step_is_answered_exactly_once_even_out_of_order(config_directory: Path) -> None:
    rig = Rig(config_directory)
    rig.worker.submit(_prompt(0, 0, 1))
    rig.worker.submit(_prompt(1, 1, 1))  # step 0 was never sampled
    assert [(type(reply), reply.step) for reply in rig.replies] == [(StepFailed, 0)]
    rig.worker.submit(StepMasks(1))
    assert [(type(reply), reply.step) for reply in rig.replies[1:]] == [(StepFailed, 1)]
    rig.worker.submit(_prompt(2, 2, 1, closed=(0, 1)))
    rig.worker.submit(StepMasks(7))
    assert [(type(reply), reply.step) for reply in rig.replies[2:]] == [(StepFailed, 2), (StepFailed, 7)]


def test_a_broken_plan_fails_its_step_and_names_the_field(config_directory: Path) -> None:
    rig = Rig(config_directory)
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.sample(0, builder.chunk(0, 0, [1, 2], [4, 128]))
    reply = rig.run(builder.plan())
    assert isinstance(reply, StepFailed)
    assert "span_slots reaches from 4 to 128, outside [0, 128)" in reply.error
    fixed = rig.run(_prompt(1, 0, 2, closed=(0,)))
    assert isinstance(fixed, StepResult)
    assert unpack(fixed.ids)[0] >= 0
