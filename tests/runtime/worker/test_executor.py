"""Commands run in order on the worker's own thread; a worker that cannot run them says so."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ramify.errors import WorkerError
from ramify.runtime.protocol.plan import StepMasks, StepResult, WorkerCommand, WorkerReply
from ramify.runtime.worker.executor import MAX_QUEUED, ThreadExecutor
from ramify.runtime.worker.options import WorkerOptions
from ramify.runtime.worker.torch_worker import TorchWorker
from step_builder import StepBuilder


def test_submit_returns_while_the_step_runs_and_replies_come_in_order() -> None:
    gate, handled = threading.Event(), list[WorkerCommand]()

    def handle(command: WorkerCommand) -> None:
        gate.wait(10)
        handled.append(command)

    executor = ThreadExecutor()
    executor.start(handle)
    commands = [StepMasks(step) for step in range(20)]
    for command in commands:
        executor.submit(command)
    assert handled == []
    gate.set()
    executor.close()
    assert handled == commands


def test_a_bounded_number_of_commands_may_wait() -> None:
    gate, started = threading.Event(), threading.Event()

    def handle(command: WorkerCommand) -> None:
        started.set()
        gate.wait(10)

    executor = ThreadExecutor()
    executor.start(handle)
    executor.submit(StepMasks(0))
    assert started.wait(10)
    for step in range(MAX_QUEUED):
        executor.submit(StepMasks(step))
    with pytest.raises(WorkerError, match=f"{MAX_QUEUED} commands wait"):
        executor.submit(StepMasks(99))
    gate.set()
    executor.close()


def test_a_reply_callback_that_raises_is_reported_by_the_next_submit() -> None:
    died = threading.Event()

    def handle(command: WorkerCommand) -> None:
        died.set()
        raise RuntimeError("loop is closed")

    executor = ThreadExecutor()
    executor.start(handle)
    executor.submit(StepMasks(0))
    assert died.wait(10)
    for thread in threading.enumerate():
        if thread.name == "ramify-worker":
            thread.join(10)
    with pytest.raises(WorkerError, match="loop is closed"):
        executor.submit(StepMasks(1))
    executor.close()


def test_answers_wait_without_holding_up_commands_and_keep_order() -> None:
    gate, handled, answered = threading.Event(), list[WorkerCommand](), list[int]()
    both = threading.Event()
    executor = ThreadExecutor()

    def handle(command: WorkerCommand) -> None:
        handled.append(command)
        executor.answer(lambda: (gate.wait(10), answered.append(command.step))[-1])
        if len(handled) == 2:
            both.set()

    executor.start(handle)
    executor.submit(StepMasks(0))
    executor.submit(StepMasks(1))
    assert both.wait(10)
    assert answered == []
    gate.set()
    executor.close()
    assert answered == [0, 1]


def test_an_answer_that_raises_is_reported_by_the_next_submit() -> None:
    executor = ThreadExecutor()

    def fail() -> None:
        raise RuntimeError("loop is closed")

    executor.start(lambda command: executor.answer(fail))
    executor.submit(StepMasks(0))
    for thread in threading.enumerate():
        if thread.name == "ramify-worker-answers":
            thread.join(10)
    with pytest.raises(WorkerError, match="loop is closed"):
        executor.submit(StepMasks(1))
    executor.close()


def test_a_worker_on_its_thread_answers_and_stops(config_directory: Path) -> None:
    replies: list[WorkerReply] = []
    threads: list[threading.Thread] = []
    answered = threading.Event()

    def on_reply(reply: WorkerReply) -> None:
        replies.append(reply)
        threads.append(threading.current_thread())
        answered.set()

    options = WorkerOptions(slots=64, max_rows=2, load_format="dummy")
    worker = TorchWorker.load(config_directory, on_reply, options)
    builder = StepBuilder(0)
    builder.open(0, 1)
    builder.sample(0, builder.chunk(0, 0, [1, 2, 3], [5, 6, 7]))
    worker.submit(builder.plan())
    worker.submit(StepMasks(0))
    assert answered.wait(20)
    worker.close()
    assert [type(reply) for reply in replies] == [StepResult]
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()
    with pytest.raises(WorkerError, match="closed"):
        worker.submit(StepMasks(1))
