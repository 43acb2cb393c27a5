"""What is compiled ahead of a start leaves no trace in rows and slots, and covers what the start needs."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.models.decoder import DecoderForCausalLM
from ramify.runtime.models.registry import load_config
from ramify.runtime.worker.ahead import jobs_of, run_beside
from ramify.runtime.worker.load import load_runner
from ramify.runtime.worker.options import WorkerOptions
from small_configs import CONFIG

CPU = torch.device("cpu")


@pytest.mark.parametrize("directory", ["config_directory", "windowed_directory"])
def test_the_jobs_change_no_row_and_no_slot(directory: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(directory)
    options = WorkerOptions(
        dtype="float32", slots=40, max_rows=4, max_length=16, load_format="dummy", kernels="triton",
        device="cuda" if torch.cuda.is_available() else "cpu", step_tokens=16,
    )  # fmt: skip
    runner, _ = load_runner(path, options)
    assert isinstance(runner.model, DecoderForCausalLM)
    runner.rows.length_R[:4] = torch.arange(4)
    runner.rows.next_id_R[:4] = 7
    pool = runner.attention._pool  # type: ignore[attr-defined]
    pool.keys_LSKH[:, :40] = 3.0
    with torch.inference_mode():
        for job in jobs_of(runner, runner.model, load_config(path), torch.float32, [1, 3], 40):
            job()
    assert runner.rows.length_R[:4].tolist() == [0, 1, 2, 3]
    assert runner.rows.next_id_R[:4].tolist() == [7] * 4
    assert bool((pool.keys_LSKH[:, :40] == 3.0).all())


def test_everything_has_run_when_it_returns() -> None:
    began, ended = threading.Barrier(3, timeout=5), list[str]()

    def job(name: str) -> None:
        began.wait()  # all three are under way at once
        ended.append(name)

    run_beside(lambda: job("main"), [lambda: job("a"), lambda: job("b")], CPU)
    assert sorted(ended) == ["a", "b", "main"]


def test_a_job_that_fails_fails_the_start() -> None:
    def fails() -> None:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        run_beside(lambda: None, [fails], CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_start_compiles_nothing_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the kernels of the widest step, all are compiled on the threads beside it."""
    from triton import knobs

    shape = {**CONFIG, "vocab_size": 131, "head_dim": 40}  # no other test has compiled it in this process
    (tmp_path / "config.json").write_text(json.dumps(shape))
    threads: dict[str, set[str]] = {}

    def listener(
        *, src: object, metadata: dict[str, object], metadata_group: object, times: object, cache_hit: bool
    ) -> None:
        threads.setdefault(str(metadata["name"]), set()).add(threading.current_thread().name.partition("_")[0])

    monkeypatch.setattr(knobs.compilation, "listener", listener)
    options = WorkerOptions(dtype="bfloat16", max_rows=4, max_length=16, load_format="dummy", device="cuda")
    load_runner(tmp_path, options)
    alone = {name for name, where in threads.items() if "ramify-ahead" not in where}
    assert "_scan_blocks" in threads
    assert not alone & {"_decode_segments", "_begin_decode", "_scan_blocks", "_choose"}, threads
