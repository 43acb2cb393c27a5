"""What the torch worker promises for one step: void and masked samples, siblings, log probabilities, clean memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ramify.errors import WorkerError
from ramify.runtime.attention.kv_pool import KVLayout, KVPool
from ramify.runtime.attention.torch_backend import TorchAttention
from ramify.runtime.models.loader import fill_random
from ramify.runtime.models.registry import build_model, load_config
from ramify.runtime.protocol.plan import StepFailed, StepMasks, StepPlan, StepResult, WorkerInfo, WorkerReply
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import unpack
from ramify.runtime.sampling.draw import NO_TOKEN, VOID
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.runner import StepRunner
from ramify.runtime.worker.torch_worker import TorchWorker
from step_builder import GREEDY, StepBuilder, masks_of

VOCAB = 97
PROMPT = [5, 80, 33, 2, 61, 18, 44]


class Rig:
    """One inline worker, and the reply of each step."""

    def __init__(self, directory: Path, **options: object) -> None:
        torch.set_num_threads(1)
        self.replies: list[WorkerReply] = []
        fields = {"slots": 128, "max_rows": 6, "max_length": 64, "dtype": "float64", "checked": True, **options}
        self.worker = TorchWorker.load(
            directory,
            self.replies.append,
            WorkerOptions(load_format="dummy", **fields),  # type: ignore[arg-type]
            executor=InlineExecutor(),
        )

    def run(self, plan: StepPlan, masks: StepMasks | None = None) -> StepResult:
        self.worker.submit(plan)
        assert not self.replies, "a step is answered when its masks come, not before"
        self.worker.submit(masks or StepMasks(plan.step))
        (reply,) = self.replies
        self.replies.clear()
        assert isinstance(reply, StepResult), reply
        assert reply.step == plan.step
        return reply

    def ids(self, plan: StepPlan, masks: StepMasks | None = None) -> list[int]:
        ids: list[int] = unpack(self.run(plan, masks).ids).tolist()
        return ids


@pytest.fixture
def rig(config_directory: Path) -> Rig:
    return Rig(config_directory)


def _prompt(rows: dict[int, RowSampling], step: int = 0) -> StepBuilder:
    """The same prompt in several rows, each in slots of its own."""
    builder = StepBuilder(step)
    for row, sampling in rows.items():
        builder.open(row, 1, sampling=sampling)
        builder.sample(row, builder.chunk(row, 0, PROMPT, range(row * 20, row * 20 + len(PROMPT))))
    return builder


def _decode(step: int, rows: list[int], length: int) -> StepBuilder:
    builder = StepBuilder(step)
    for row in rows:
        builder.sample(row, builder.decode(row, row * 20 + length))
    return builder


def test_info_describes_pool_and_model(rig: Rig) -> None:
    info = rig.worker.info
    assert (info.slots, info.max_rows, info.max_length, info.vocab_size) == (128, 6, 64, VOCAB)
    (cache,) = info.cache
    assert (cache.kind, cache.layers, cache.bytes_per_slot) == ("full", 2, 2 * 2 * 2 * 12 * 8)


def test_a_step_without_samples_is_answered_with_no_ids(rig: Rig) -> None:
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.chunk(0, 0, PROMPT[:3], [3, 9, 1])
    assert rig.ids(builder.plan()) == []
    assert rig.ids(StepBuilder(1).plan()) == []


def test_a_void_sample_is_not_drawn_and_its_row_not_advanced(rig: Rig, config_directory: Path) -> None:
    first = rig.ids(_prompt({0: GREEDY, 1: GREEDY}).plan())
    voided = rig.ids(_decode(1, [0, 1], 7).plan(), masks_of(1, {}, VOCAB, void=[0]))
    assert first[0] == first[1]
    assert voided[0] == VOID
    assert voided[1] >= 0
    # Row 0's next id is still the first one: computed again, one position later, it must equal that history.
    again = rig.ids(_decode(2, [0], 8).plan())
    fresh = Rig(config_directory)
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.sample(0, builder.chunk(0, 0, [*PROMPT, first[0], first[0]], range(9)))
    assert again == fresh.ids(builder.plan())


def test_candidates_are_scored_by_their_raw_logits_beside_rows_that_draw(rig: Rig) -> None:
    everything, few = list(range(VOCAB)), [50, 3, 96]
    heavy = RowSampling(temperature=0.0, repetition_penalty=3.0, logprobs=-1)
    reporting = RowSampling(temperature=0.0, logprobs=20)
    builder = StepBuilder(0)
    for row, candidates in enumerate((everything, few, [])):
        builder.open(row, 1, sampling=heavy if candidates else reporting, prompt_ids=PROMPT, candidates=candidates)
        builder.sample(row, builder.chunk(row, 0, PROMPT, range(row * 20, row * 20 + len(PROMPT))))
    result = rig.run(builder.plan())
    assert result.scores is not None
    assert unpack(result.scores.index).tolist() == [0, 1]
    assert unpack(result.scores.counts).tolist() == [VOCAB, 3]
    values = np.frombuffer(result.scores.values, np.float32).astype(np.float64)
    whole, part = values[:VOCAB], values[VOCAB:]
    assert np.exp(whole).sum() == pytest.approx(1.0, abs=1e-5)
    # Renormalised over three of them; penalties do not touch a score.
    assert part == pytest.approx(whole[few] - np.log(np.exp(whole[few]).sum()), abs=1e-5)
    # The row that draws reports its log probabilities by another way.
    assert result.logprobs is not None
    top = unpack(result.logprobs.top_ids)
    assert len(top) == 20
    assert whole[top] == pytest.approx(np.frombuffer(result.logprobs.top_logprobs, np.float32), abs=1e-5)
    ids = unpack(result.ids).tolist()
    assert ids[0] == int(np.argmax(whole)) and ids[1] == few[int(np.argmax(part))]


def test_candidates_outside_the_vocabulary_fail_the_step(rig: Rig) -> None:
    builder = StepBuilder(0)
    builder.open(0, 1, candidates=[3, VOCAB])
    builder.sample(0, builder.chunk(0, 0, PROMPT, range(len(PROMPT))))
    rig.worker.submit(builder.plan())
    rig.worker.submit(StepMasks(0))
    (reply,) = rig.replies
    assert isinstance(reply, StepFailed) and "candidates" in reply.error


def test_masked_rows_draw_only_allowed_tokens_and_the_others_are_free(rig: Rig) -> None:
    warm = {row: RowSampling(temperature=5.0, seed=row) for row in range(6)}
    free = rig.ids(_prompt(warm).plan())
    allowed = {1: [3, 64, 96], 4: [50]}
    for step in range(1, 30):
        ids = rig.ids(_decode(step, list(range(6)), 6 + step).plan(), masks_of(step, allowed, VOCAB))
        assert ids[1] in allowed[1]
        assert ids[4] == 50
        free.extend(ids[row] for row in (0, 2, 3, 5))
        if 6 + step == 19:
            break
    assert len(set(free)) > 20


def test_a_row_with_an_empty_mask_gets_no_token_and_harms_nobody(rig: Rig, config_directory: Path) -> None:
    sampling = {0: GREEDY, 1: RowSampling(temperature=1.0), 2: GREEDY}
    ids = rig.ids(_prompt(sampling).plan(), masks_of(0, {0: [], 1: [], 2: [9, 10]}, VOCAB))
    assert ids[:2] == [NO_TOKEN, NO_TOKEN]
    assert ids[2] in (9, 10)
    # A step launched before that was known still computes the rows; row 2 must not notice.
    behind = rig.ids(_decode(1, [0, 1, 2], 7).plan(), masks_of(1, {}, VOCAB, void=[0, 1]))
    alone = Rig(config_directory)
    assert alone.ids(_prompt({2: GREEDY}).plan(), masks_of(0, {0: [9, 10]}, VOCAB)) == ids[2:]
    assert alone.ids(_decode(1, [2], 7).plan()) == behind[2:]


def test_a_mask_of_a_void_sample_is_ignored(rig: Rig) -> None:
    ids = rig.ids(_prompt({0: GREEDY, 1: GREEDY}).plan(), masks_of(0, {0: [7], 1: [8]}, VOCAB, void=[0]))
    assert ids == [VOID, 8]


def test_siblings_sample_from_one_computed_token_and_go_on_by_themselves(rig: Rig, config_directory: Path) -> None:
    builder = StepBuilder(0)
    slots = list(range(40, 40 + len(PROMPT)))
    siblings = {0: GREEDY, 1: RowSampling(seed=1, temperature=3.0), 2: RowSampling(seed=2, temperature=3.0)}
    builder.open(0, 1, sampling=siblings[0])
    index = builder.chunk(0, 0, PROMPT, slots)
    for row in (1, 2):
        builder.open(row, 1, slots, siblings[row])
    for row in siblings:
        builder.sample(row, index)
    first = rig.ids(builder.plan())
    second = rig.ids(_decode(1, [2, 0, 1], 10).plan())
    assert len(set(first)) == 3, "choose other seeds: the siblings must part"
    for row, sampling in siblings.items():
        alone = Rig(config_directory)
        assert alone.ids(_prompt({row: sampling}).plan()) == [first[row]]
        assert alone.ids(_decode(1, [row], 10).plan()) == [second[[2, 0, 1].index(row)]]


def test_a_sibling_whose_slots_come_by_span_samples_too(rig: Rig) -> None:
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.open(1, 1)
    builder.sample(0, builder.chunk(0, 0, PROMPT, range(7)))
    builder.span(1, 0, range(7))
    builder.sample(1, 6)
    first = rig.ids(builder.plan())
    assert first[0] == first[1]
    # Alone, so that no longer neighbour lends it the room it needs.
    assert rig.ids(_decode(1, [1], 9).plan()) == rig.ids(_decode(2, [0], 9).plan())


def test_a_cached_prompt_computes_its_last_token_again_in_a_slot_of_its_own(rig: Rig) -> None:
    (first,) = rig.ids(_prompt({0: GREEDY}).plan())
    builder = StepBuilder(1)
    builder.open(1, 1, range(7))
    builder.sample(1, builder.chunk(1, 6, PROMPT[6:], [99]))
    assert rig.ids(builder.plan()) == [first]
    # Each goes on behind its own last slot; overwriting slot 99 later must not reach row 0.
    builder = StepBuilder(2)
    builder.close(1)
    builder.open(2, 1)
    builder.chunk(2, 0, [1, 2], [98, 99])
    builder.sample(0, builder.decode(0, 7))
    alone = rig.ids(builder.plan())
    whole = StepBuilder(3)
    whole.open(3, 1)
    whole.sample(3, whole.chunk(3, 0, [*PROMPT, first], range(60, 68)))
    assert rig.ids(whole.plan()) == alone


def test_a_row_goes_on_with_a_chunk_after_sampling(rig: Rig, config_directory: Path) -> None:
    """gen, then text on the same row: the chunk carries the sampled id, which has no KV yet."""
    (first,) = rig.ids(_prompt({0: GREEDY}).plan())
    builder = StepBuilder(1)
    builder.sample(0, builder.chunk(0, 7, [first, 11, 12], [100, 90, 95]))
    continued = rig.ids(builder.plan())
    whole = StepBuilder(0)
    whole.open(3, 1)
    whole.sample(3, whole.chunk(3, 0, [*PROMPT, first, 11, 12], range(10)))
    assert Rig(config_directory).ids(whole.plan()) == continued


def test_penalties_count_prompt_and_output_of_the_row(rig: Rig) -> None:
    strong = RowSampling(temperature=0.0, repetition_penalty=100.0, presence_penalty=2.0, frequency_penalty=2.0)
    builder = StepBuilder(0)
    for row, sampling in ((0, strong), (1, GREEDY)):
        builder.open(row, 1, sampling=sampling, prompt_ids=PROMPT if row == 0 else ())
        builder.sample(row, builder.chunk(row, 0, PROMPT, range(row * 20, row * 20 + 7)))
    outputs = [rig.ids(builder.plan())]
    for step in range(1, 13):
        outputs.append(rig.ids(_decode(step, [0, 1], 6 + step).plan()))
    penalised = [ids[0] for ids in outputs]
    free = [ids[1] for ids in outputs]
    assert len(set(penalised)) == len(penalised)
    assert not set(penalised) & set(PROMPT)
    assert len(set(free)) < len(free), "the model does not repeat itself: nothing is tested"


def test_logprobs_describe_the_model_not_the_sampler(rig: Rig, config_directory: Path) -> None:
    quiet = RowSampling(temperature=0.0)
    loud = RowSampling(temperature=0.0, presence_penalty=2.0, repetition_penalty=50.0, logprobs=2)
    builder = StepBuilder(0)
    for row, sampling in ((0, quiet), (1, loud), (2, RowSampling(temperature=0.0, logprobs=VOCAB))):
        builder.open(row, 1, sampling=sampling, prompt_ids=PROMPT)
        builder.sample(row, builder.chunk(row, 0, PROMPT, range(row * 20, row * 20 + 7)))
    result = rig.run(builder.plan(), masks_of(0, {1: [4, 9]}, VOCAB))
    report = result.logprobs
    assert report is not None
    assert unpack(report.index).tolist() == [1, 2]
    assert unpack(report.top_counts).tolist() == [2, VOCAB]
    top_ids = unpack(report.top_ids)
    top, sampled = np.frombuffer(report.top_logprobs, "<f4"), np.frombuffer(report.sampled, "<f4")
    assert np.exp(top[2:]).sum() == pytest.approx(1.0, abs=1e-5)
    assert top_ids[:2].tolist() == top_ids[2:4].tolist()
    np.testing.assert_allclose(top[:2], top[2:4])
    masked_id = int(unpack(result.ids)[1])
    assert masked_id in (4, 9)
    assert sampled[0] == top[2:][top_ids[2:].tolist().index(masked_id)]
    assert (int(unpack(result.ids)[2]), sampled[1]) == (top_ids[2], top[2])


def test_void_and_tokenless_samples_report_no_logprobs(rig: Rig) -> None:
    asking = RowSampling(temperature=0.0, logprobs=1)
    result = rig.run(_prompt({0: asking, 1: asking, 2: asking}).plan(), masks_of(0, {1: []}, VOCAB, void=[0]))
    assert result.logprobs is not None
    assert unpack(result.logprobs.index).tolist() == [2]
    nothing = rig.run(_decode(1, [0, 2], 7).plan(), masks_of(1, {0: []}, VOCAB, void=[1]))
    assert nothing.logprobs is None


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 1e9])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_lies_in_free_slots_changes_nothing(config_directory: Path, poison: float, temperature: float) -> None:
    config, device = load_config(config_directory), torch.device("cpu")
    outputs = []
    for value in (0.0, poison):
        model = build_model(config, dtype=torch.float32, device=device, max_length=64)
        fill_random(model, config)
        pool = KVPool(KVLayout(torch.float32), layers=2, slots=128, kv_heads=2, head_dim=12, device=device)
        pool.keys_LSKH.fill_(value)
        pool.values_LSKH.fill_(value)
        replies: list[WorkerReply] = []
        info = WorkerInfo(slots=128, max_rows=6, max_length=64, vocab_size=VOCAB)
        runner = StepRunner(model, TorchAttention(pool), max_rows=6, max_length=64, vocab_size=VOCAB, device=device)
        worker = TorchWorker(runner, info, replies.append, executor=InlineExecutor(), checked=True)
        sampling = RowSampling(temperature=temperature, seed=3)
        first = StepBuilder(0)
        for row, count in ((0, 7), (1, 1), (2, 3), (3, 2)):  # decode rows of different lengths are padded together
            first.open(row, 1, sampling=sampling)
            first.sample(row, first.chunk(row, 0, PROMPT[:count], range(row * 20, row * 20 + count)))
        plans = [first.plan()] + [_decode(step, [0, 1, 2, 3], 6 + step).plan() for step in range(1, 8)]
        for plan in plans:
            worker.submit(plan)
            worker.submit(StepMasks(plan.step))
        assert all(isinstance(reply, StepResult) for reply in replies)
        outputs.append([unpack(reply.ids).tolist() for reply in replies if isinstance(reply, StepResult)])
    assert outputs[0] == outputs[1]
    assert min(min(ids) for ids in outputs[0]) >= 0


def test_a_closed_row_can_be_opened_again_at_once(rig: Rig) -> None:
    first = rig.ids(_prompt({0: RowSampling(seed=4)}).plan())
    builder = StepBuilder(1)
    builder.close(0)
    builder.open(0, 2, sampling=RowSampling(seed=4))
    builder.sample(0, builder.chunk(0, 0, PROMPT, range(60, 67)))
    assert rig.ids(builder.plan()) == first


def test_submit_after_close_is_refused(rig: Rig) -> None:
    rig.worker.close()
    rig.worker.close()
    with pytest.raises(WorkerError, match="closed"):
        rig.worker.submit(StepBuilder(0).plan())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"slots": 15}, "15 slots"),
        ({"slots": None, "kv_bytes": 1000}, "needs at least 16"),
        ({"device": "cuda:7"}, "cannot use the device 'cuda:7'"),
        ({"device": "cuda:7"}, r"torch .* sees \d+ CUDA devices"),
        ({"device": "flux"}, "cannot use the device 'flux'"),
        (
            {"slots": 1 << 50},
            r"a KV pool of 1125899906842624 slots \(.* GiB\) does not fit on cpu: 0.00 GiB of weights",
        ),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"max_length": -3}, "max_length is -3"),
    ],
)
def test_a_worker_that_cannot_run_is_not_built(config_directory: Path, change: dict[str, object], text: str) -> None:
    with pytest.raises(WorkerError) as caught:
        Rig(config_directory, **change)
    assert re.search(text, str(caught.value))


WITHOUT_TRITON = """
import sys
from pathlib import Path

sys.modules["triton"] = None  # as if it were not there
from ramify.runtime.protocol.plan import StepMasks
from ramify.runtime.worker import memory
from ramify.runtime.worker.executor import InlineExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker

replies = []
options = WorkerOptions(slots=64, max_rows=2, max_length=32, load_format="dummy")
worker = TorchWorker.load(Path(sys.argv[1]), replies.append, options, executor=InlineExecutor())
worker.submit(memory.wide_plan(2, 32, 8, 8))
worker.submit(StepMasks(0))
print(type(replies[0]).__name__)
"""


def test_a_worker_runs_where_triton_is_not_installed(config_directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRITON, str(config_directory)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["StepResult"]


def test_the_pool_fits_the_byte_budget(config_directory: Path) -> None:
    rig = Rig(config_directory, slots=None, kv_bytes=1 << 20)
    assert rig.worker.info.slots == (1 << 20) // rig.worker.info.cache[0].bytes_per_slot


def test_the_context_is_the_smaller_of_model_and_option(config_directory: Path) -> None:
    assert Rig(config_directory, max_length=None).worker.info.max_length == 256
    assert Rig(config_directory, max_length=10_000).worker.info.max_length == 256


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_tokens_of_the_cpu(config_directory: Path) -> None:
    outputs = []
    for device in ("cpu", "cuda"):
        rig = Rig(config_directory, device=device)
        rows = {
            0: GREEDY,
            1: RowSampling(temperature=0.9, top_p=0.8, seed=5, repetition_penalty=1.2),
            2: RowSampling(temperature=1.1, top_k=9, min_p=0.02, seed=6, logprobs=2),
        }
        outputs.append([rig.ids(_prompt(rows).plan(), masks_of(0, {1: range(40)}, VOCAB))])
        for step in range(1, 13):
            outputs[-1].append(rig.ids(_decode(step, [0, 1, 2], 6 + step).plan()))
    assert outputs[0] == outputs[1]
