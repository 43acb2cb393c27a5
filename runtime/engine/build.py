"""Puts an engine together from a model directory, on the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from ...errors import RamifyError, UnsupportedModel
from ...grammar.backends import make_backend
from ...grammar.compile import GrammarCompiler
from ...grammar.fill import MaskMade
from ...grammar.fill_pool import MaskPool
from ...grammar.router import Router
from ...grammar.vetting import VettedBackend
from ...grammar.vetting_pool import VettingPool
from ..core.config import CoreConfig
from ..core.step import Core
from ..lowering.files import read_json
from ..lowering.lowering import Lowering
from ..lowering.template import ChatTemplate
from ..lowering.tokenizer import TextTokenizer
from ..protocol.graph import EngineReady
from ..protocol.plan import WorkerReply
from ..protocol.sampling import SamplingParams
from ..protocol.validate import check_sampling
from ..worker.options import WorkerOptions
from ..worker.torch_worker import TorchWorker
from .loop import EngineLoop
from .options import EngineOptions

T = TypeVar("T")


class Engine:
    """An `EngineLoop` with everything that must be closed with it."""

    def __init__(
        self,
        loop: EngineLoop,
        worker: TorchWorker,
        executors: list[ThreadPoolExecutor],
        masks: MaskPool,
        vetting: VettingPool,
        info: EngineReady,
    ):
        self.loop = loop
        self._masks = masks
        self._vetting = vetting
        self.info = info
        self._worker = worker
        self._executors = executors

    def close(self) -> None:
        """Stop the loop, then the worker, then the processes and threads."""
        self.loop.close()
        self._worker.close()
        self._masks.close()
        self._vetting.close()
        for executor in self._executors:
            executor.shutdown(wait=False, cancel_futures=True)


def build_engine(options: EngineOptions) -> Engine:
    """Load the model and make the engine on the running event loop; the caller runs `engine.loop.run()`.

    Raises:
        ModelNotFound, UnsupportedModel, WorkerError: as loading goes.
    """
    directory, device = options.directory, options.device_here()
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    loop = asyncio.get_running_loop()
    tokenizer = TextTokenizer.load(directory)
    template = ChatTemplate.load(tokenizer)
    relay: _Relay[WorkerReply] = _Relay(loop)
    worker = TorchWorker.load(
        directory,
        relay,
        WorkerOptions(
            device=device,
            dtype=options.dtype,
            slots=options.slots,
            kv_bytes=options.kv_bytes,
            max_rows=options.max_rows,
            step_tokens=options.step_tokens,
            max_length=options.max_length,
            load_format=options.load_format,
        ),
    )
    try:
        info = worker.info
        vocabulary = tokenizer.vocabulary(info.vocab_size)
        executors = [
            ThreadPoolExecutor(1, "ramify-lowering"),
            ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4), "ramify-grammar"),
        ]
        limits = options.grammar_limits
        backend = make_backend(vocabulary, options.grammar, limits)
        made: _Relay[MaskMade] = _Relay(loop)
        masks = MaskPool(vocabulary.words, made)
        vetting = VettingPool(vocabulary, options.grammar, limits, options.vetting_limits)
        config = CoreConfig(
            overlap=options.depth(device),
            step_tokens=max(options.step_tokens, info.max_rows),
            chunk_tokens=options.chunk_tokens,
            # Where the model computes on the processors too, a mask may have to wait for one.
            mask_patience=0.002 if options.depth(device) else 0.05,
            check=options.check,
        )
        engine_loop = EngineLoop(
            core=Core(config, info, masks, worker.mask_buffers()),
            worker=worker,
            lowering=Lowering(tokenizer, template, vocabulary, default_sampling(directory)),
            compiler=GrammarCompiler(
                backend, executors[1], clock=loop.time, vetting=VettedBackend(backend, vetting, limits)
            ),
            executor=executors[0],
            check=vetting.check,
        )
    except BaseException:
        worker.close()
        raise
    if config.overlap:  # a device works beside this process: its requests would feel what is loaded later
        vetting.warm()
        if isinstance(backend, Router):
            backend.load()
    relay.target = engine_loop.on_worker_reply
    made.target = engine_loop.on_mask_made
    epoch = int.from_bytes(os.urandom(7), "little")
    ready = EngineReady(epoch, options.model, info.max_length, info.slots)
    return Engine(engine_loop, worker, executors, masks, vetting, ready)


class _Relay(Generic[T]):
    """Brings what other threads have to say to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.target: Callable[[T], None] | None = None

    def __call__(self, message: T) -> None:
        if self.target is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed since
                self._loop.call_soon_threadsafe(self.target, message)


def default_sampling(directory: Path) -> SamplingParams:
    """What generation_config.json says of sampling; `do_sample: false` is greedy.

    Raises:
        UnsupportedModel: a value in it is of a wrong type or out of bounds.
    """
    path = directory / "generation_config.json"
    config = read_json(path)
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    found = {name: config[name] for name in names if config.get(name) is not None}
    if config.get("do_sample") is False:
        found["temperature"] = 0.0
    try:
        sampling = msgspec.convert(found, SamplingParams)
        check_sampling(sampling)
    except (msgspec.ValidationError, RamifyError) as error:
        raise UnsupportedModel(
            f"generation_config.json: {error}", where=str(path), hint="correct or remove it"
        ) from None
    return sampling
