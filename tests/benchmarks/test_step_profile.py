"""The device's time is cut at the copies of ids, each microsecond counts once, and waiting is told from running."""

from __future__ import annotations

import pytest
from step_profile import Span, Step, class_of, cut, report

IDS = "Memcpy DtoH (Device -> Pinned)"


def _spans(*pieces: tuple[float, float, str]) -> list[Span]:
    return list(pieces)


def test_a_step_ends_with_its_ids_and_one_without_samples_joins_the_next() -> None:
    steps = [Step(0, 100, 2, 0, 0.1), Step(0, 50, 1, 3, 0.2), Step(3, 0, 0, 3, 0.3)]
    spans = _spans(
        (0, 10, "nvjet_x"), (10, 30, "_rms_norm"), (40, 42, IDS), (50, 90, "_decode_segments"), (90, 91, IDS)
    )  # fmt: skip
    first, second = cut(spans, steps)
    assert (first.step.kind, first.step.chunk_tokens, first.step.chunks) == ("prompts", 150, 3)
    assert (first.gap, first.span, first.busy) == (0, 42, 32)
    assert (second.step.kind, second.gap, second.span, second.busy) == ("decode", 8, 41, 41)
    assert first.classes == {"products": 10, "norms": 20, "copies": 2}


def test_a_kernel_beside_another_counts_from_the_others_end() -> None:
    spans = _spans((0, 10, "_decode_segments"), (2, 14, "_prefix_segments"), (3, 9, "_rms_norm"), (14, 15, IDS))
    (step,) = cut(spans, [Step(1, 0, 0, 1, 0.0)])
    assert step.busy == step.span == 15
    assert sum(step.classes.values()) == pytest.approx(15)
    assert step.classes["decode attention"] == 14


def test_flash_attention_is_no_product() -> None:
    assert class_of("void pytorch_flash::flash_fwd_kernel<..., cutlass::bfloat16_t>") == "prompt attention"
    assert class_of("nvjet_sm90_tst_192x192_64x4_2x1_v_bz_coopB_TNN") == "products"
    assert class_of("_something_new") == "other"


def test_the_report_adds_up() -> None:
    spans = _spans((0, 500, "nvjet_x"), (500, 1000, IDS), (2000, 3000, IDS))
    text = report("w", cut(spans, [Step(0, 9, 1, 1, 0.0), Step(1, 0, 0, 1, 0.0)]), spans)
    assert "2 steps, 3.0 ms of the device, idle 1.0 ms (33.33%)" in text
