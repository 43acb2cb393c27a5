"""Every broken invariant of a plan is found, and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
from ramify.errors import WorkerError
from ramify.runtime.protocol.plan import SlotCopy, StepMasks, StepPlan, WorkerInfo
from ramify.runtime.protocol.tokens import pack
from ramify.runtime.worker.plan_check import PlanCheck
from step_builder import GREEDY, StepBuilder, masks_of

INFO = WorkerInfo(slots=50, max_rows=4, max_length=12, vocab_size=70)


def _check() -> PlanCheck:
    """Row 0 has sampled at length 3, row 1 has computed 2 of its 5 slots; rows 2 and 3 are free."""
    check = PlanCheck(INFO)
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.open(1, 1)
    last = builder.chunk(0, 0, [1, 2, 3], [10, 11, 12])
    builder.chunk(1, 0, [1, 2], [20, 21])
    builder.span(1, 2, [22, 23, 24])
    builder.sample(0, last)
    check.apply(builder.plan())
    return check


def _step(build: Callable[[StepBuilder], object]) -> StepPlan:
    builder = StepBuilder(1)
    build(builder)
    return builder.plan()


def _chunk(row: int, start: int, ids: Sequence[int], slots: Sequence[int] | None = None) -> StepPlan:
    return _step(lambda step: step.chunk(row, start, ids, slots))


def _open(row: int, epoch: int = 1, slots: Sequence[int] = (), **ids: Sequence[int]) -> StepPlan:
    return _step(lambda step: step.open(row, epoch, slots, GREEDY, **ids))


def _sample(*samples: tuple[int, int]) -> StepPlan:
    def build(step: StepBuilder) -> None:
        step.chunk(1, 2, [5, 6])
        for row, index in samples:
            step.sample(row, index)

    return _step(build)


GOOD = _step(lambda step: (step.close(1), step.open(1, 2, [30, 31]), step.sample(0, step.decode(0, 13))))

BROKEN: list[tuple[StepPlan, str]] = [
    (msgspec.structs.replace(GOOD, step=2), "step 2 follows step 0"),
    (msgspec.structs.replace(GOOD, copies=[SlotCopy(0, 1, "host")]), "copies are not implemented"),
    (_step(lambda step: step.close(2)), "closed names rows [2], which are not open"),
    (_step(lambda step: (step.close(1), step.close(1))), "closed repeats an entry"),
    (_step(lambda step: step.close(4)), "closed reaches from 4 to 4, outside [0, 4)"),
    (_open(0, 2), "opened row 0 is open already"),
    (_open(-1), "opened.row reaches from -1"),
    (_step(lambda step: (step.close(0), step.open(0, 1))), "opened row 0 repeats epoch 1"),
    (_open(2, slots=[50]), "opened.slots reaches from 50 to 50, outside [0, 50)"),
    (_open(2, slots=range(13)), "opened row 2 has 13 slots"),
    (_open(2, prompt_ids=[70]), "opened.prompt_ids reaches from 70"),
    (_open(2, output_ids=[-1]), "opened.output_ids reaches from -1"),
    (_step(lambda step: step.span(2, 0, [1])), "span_rows names rows [2], which are not open"),
    (_step(lambda step: step.span(0, 3, [])), "a span is empty"),
    (_step(lambda step: step.span(0, 4, [1])), "a span of row 0 starts at 4, its slots end at 3"),
    (_step(lambda step: step.span(1, 5, range(8))), "a span of row 1 passes max_length"),
    (_step(lambda step: step.span(0, 3, [-1])), "span_slots reaches from -1"),
    (
        _step(lambda step: (step.span(0, 3, [6, 7]), step.span(0, 4, [8]))),
        "two spans write the same positions of row 0",
    ),
    (msgspec.structs.replace(GOOD, span_rows=pack([0])), "span_rows, span_starts and span_counts differ in length"),
    (msgspec.structs.replace(GOOD, span_slots=pack([0])), "span_slots has 1 slots for 0"),
    (_chunk(3, 0, [1], None), "chunk_rows and decode_rows names rows [3], which are not open"),
    (_chunk(1, 2, [70]), "chunk_ids reaches from 70 to 70, outside [0, 70)"),
    (_chunk(1, 2, []), "a chunk is empty"),
    (_chunk(1, 4, [1, 2]), "a chunk of row 1 is [4, 6), its slots end at 5"),
    (_chunk(0, 3, [1, 2], [15, 15]), "the slots of computed tokens repeats an entry"),
    (msgspec.structs.replace(GOOD, chunk_rows=pack([1])), "chunk_rows, chunk_starts and chunk_counts differ in length"),
    (msgspec.structs.replace(GOOD, chunk_ids=pack([1])), "chunk_ids and chunk_counts differ"),
    (msgspec.structs.replace(GOOD, decode_slots=b""), "decode_rows and decode_slots differ in length"),
    (_step(lambda step: (step.chunk(0, 3, [1], [13]), step.decode(0, 14))), "decode_rows repeats an entry"),
    (_step(lambda step: step.decode(1, 22)), "row 1 decodes before it sampled"),
    (_step(lambda step: step.decode(0, 50)), "decode_slots reaches from 50"),
    (_step(lambda step: (step.chunk(1, 2, [1]), step.decode(0, 22))), "the slots of computed tokens repeats an entry"),
    (_sample((1, 2)), "sample_index reaches from 2 to 2, outside [0, 2)"),
    (_sample((1, 0), (1, 1)), "sample_rows repeats an entry"),
    (_sample((2, 0)), "sample_rows names rows [2], which are not open"),
    (_sample((0, 1)), "row 0 samples position 4, its slots end at 3"),
    (msgspec.structs.replace(GOOD, sample_index=b""), "sample_rows and sample_index differ in length"),
]


@pytest.mark.parametrize(("plan", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_broken_plan_is_refused_by_name(plan: StepPlan, text: str) -> None:
    with pytest.raises(WorkerError) as caught:
        _check().apply(plan)
    assert text in caught.value.what
    assert caught.value.where == f"StepPlan {plan.step}"


def test_good_plans_pass_and_a_row_may_fill_its_context() -> None:
    check = _check()
    check.apply(GOOD)
    for step in range(2, 10):
        builder = StepBuilder(step)
        builder.sample(0, builder.decode(0, 12 + step))
        if step < 10:
            check.apply(builder.plan())
    builder = StepBuilder(10)
    builder.decode(0, 40)
    with pytest.raises(WorkerError, match="row 0 passes max_length"):
        check.apply(builder.plan())


def test_an_abandoned_plan_leaves_its_rows_to_be_closed() -> None:
    check = _check()
    broken = _step(lambda step: (step.open(2, 5), step.chunk(2, 0, [99], [1])))
    with pytest.raises(WorkerError):
        check.apply(broken)
    check.abandon(broken)
    builder = StepBuilder(2)
    builder.close(2)
    builder.open(2, 6)
    check.apply(builder.plan())


MASKS: list[tuple[StepMasks, str]] = [
    (masks_of(1, {}, 70, void=[1]), "void reaches from 1 to 1, outside [0, 1)"),
    (masks_of(1, {}, 70, void=[0, 0]), "void repeats an entry"),
    (masks_of(1, {3: [1]}, 70), "mask_index reaches from 3"),
    (masks_of(1, {0: [1]}, 99), "masks have 16 bytes, expected 12"),
]


@pytest.mark.parametrize(("masks", "text"), MASKS, ids=[text for _, text in MASKS])
def test_broken_masks_are_refused_by_name(masks: StepMasks, text: str) -> None:
    check = _check()
    check.apply(GOOD)
    check.masks(GOOD, masks_of(1, {0: [69]}, 70, void=[0]))
    with pytest.raises(WorkerError) as caught:
        check.masks(GOOD, masks)
    assert text in caught.value.what
