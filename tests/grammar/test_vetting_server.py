"""The vetting server: limits hold to the moment, whatever a worker does; owners take turns; nothing is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ramify.errors import EngineUnavailable, InvalidSchema, Overloaded, RamifyError, UnenforceableSchema
from ramify.grammar import vetting_pool
from ramify.grammar.limits import VettingLimits
from ramify.grammar.spec import Regex
from ramify.grammar.state import GrammarPlan
from ramify.grammar.vetting_pool import VettingPool
from ramify.grammar.vetting_queue import FairQueue, Waiting
from ramify.grammar.vocabulary import Vocabulary

VOCABULARY = Vocabulary((b"", *(bytes((byte,)) for byte in range(256))), frozenset({0}), 257)
LIMITS = VettingLimits(
    at_once=1, niceness=1, cpu_seconds=0.4, wall_seconds=60.0, queue_seconds=60.0, memory_bytes=32 << 20
)
SERVER = (sys.executable, "-P", str(Path(__file__).with_name("misbehaving_server.py")))


def children(pid: int) -> set[int]:
    """The processes that `pid` has started and that are not reaped yet."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        if parent == pid:
            found.add(int(stat.parent.name))
    return found


def until(holds: Any) -> None:
    """Wait for what another process is about to do."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Rig:
    """A pool with the misbehaving server, and how many there were of everything before."""

    def __init__(self, limits: VettingLimits) -> None:
        self.before = children(os.getpid())
        self.threads = threading.active_count()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.pool = VettingPool(VOCABULARY, "any", limits=limits)
        self.pool.plan(Regex("warm"))

    @property
    def server(self) -> int:
        (pid,) = children(os.getpid()) - self.before
        return pid

    @property
    def workers(self) -> set[int]:
        return children(self.server)

    def ask(self, what: str, owner: str = "") -> Future[GrammarPlan]:
        return self.pool.submit(Regex(what), owner)

    def answer(self, what: str) -> str:
        return self.ask(what).result(20).source

    def error(self, what: str) -> RamifyError:
        error = self.ask(what).exception(20)
        assert isinstance(error, RamifyError)
        return error

    def assert_nothing_left(self) -> None:
        pids = children(os.getpid()) - self.before
        for pid in pids.copy():
            pids |= children(pid)
        self.pool.close()
        assert children(os.getpid()) == self.before and not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert threading.active_count() == self.threads
        assert len(os.listdir("/proc/self/fd")) == self.descriptors


@pytest.fixture
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(vetting_pool, "_COMMAND", SERVER)
    rig = Rig(getattr(request, "param", LIMITS))
    yield rig
    rig.assert_nothing_left()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("spin", "took more than 0.4 s of processor time"),
        ("die 9", "took more than 32 MiB, or ended its process"),
        ("die 11", "exit code -11"),
        ("exit", "exit code 3"),
        ("memory", "took more memory than it may"),
        ("garbage xx", "its process went wrong"),
        ("garbage " + "x" * 5000, "exit code"),
    ],
    ids=lambda value: value[:12],
)
def test_whatever_a_worker_does_is_a_named_error_and_the_next_grammar_is_served(
    rig: Rig, what: str, says: str, request: pytest.FixtureRequest
) -> None:
    if what == "garbage xx":
        what = "garbage " + "\x04\0\0\0junk"  # a whole frame
    error = rig.error(what)
    assert isinstance(error, InvalidSchema) and says in error.what and error.where == "#" and error.hint
    assert rig.answer("fine") == "fine"
    until(lambda: len(rig.workers) == 2)


@pytest.mark.parametrize("rig", [replace(LIMITS, wall_seconds=0.2)], indirect=True)
def test_time_that_passes_is_limited_too(rig: Rig) -> None:
    asked = [rig.ask("sleep 60"), rig.ask("sleep 61")]
    for each in asked:
        error = each.exception(20)
        assert isinstance(error, InvalidSchema) and "took more than 0.2 s" in error.what
    assert rig.answer("fine") == "fine"


def test_refusals_and_faults_cross_with_their_type(rig: Rig) -> None:
    refusal = rig.error("refuse")
    assert isinstance(refusal, UnenforceableSchema) and (refusal.what, refusal.where) == ("no", "#/a")
    assert "BaseException: not an Exception" in rig.error("panic").what
    assert rig.pool.has_room


def test_a_worker_is_used_again_and_another_stands_ready(rig: Rig) -> None:
    before = rig.workers
    assert len({rig.answer("pid") for _ in range(6)} | {str(pid) for pid in before}) == len(before) == 2
    assert int(rig.answer("nice")) == os.nice(0) + LIMITS.niceness


@pytest.mark.parametrize("rig", [replace(LIMITS, jobs=2)], indirect=True)
def test_a_worker_is_replaced_after_its_share(rig: Rig) -> None:
    pids = [rig.answer("pid") for _ in range(12)]
    assert max(map(pids.count, pids)) <= 2


def test_a_worker_that_is_killed_is_replaced(rig: Rig) -> None:
    asked = rig.ask("sleep 60")
    before = rig.workers
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert isinstance(asked.exception(20), InvalidSchema) and rig.answer("fine") == "fine"
    until(lambda: len(rig.workers) == 2 and not rig.workers & before)


@pytest.mark.parametrize("rig", [replace(LIMITS, wall_seconds=1.0, queue_seconds=0.2)], indirect=True)
def test_who_waits_too_long_is_told(rig: Rig) -> None:
    slow, waiting = rig.ask("sleep 60"), rig.ask("fine")
    assert isinstance(waiting.exception(20), Overloaded) and not slow.done()
    assert isinstance(slow.exception(20), InvalidSchema)


@pytest.mark.parametrize("rig", [replace(LIMITS, at_once=2)], indirect=True)
def test_a_slow_grammar_holds_one_worker(rig: Rig) -> None:
    slow = rig.ask("sleep 60")
    assert rig.answer("fine") == "fine" and not slow.done() and len(rig.workers) == 3
    slow.cancel()


def test_a_cancelled_grammar_gives_its_worker_up(rig: Rig) -> None:
    slow, waiting = rig.ask("sleep 60"), [rig.ask(f"sleep {60 + k}") for k in range(20)]
    next_one = rig.ask("fine")
    for asked in (*waiting, slow):
        assert asked.cancel()
    assert next_one.result(20).source == "fine"


def test_one_owner_who_asks_much_delays_only_himself(rig: Rig) -> None:
    order: list[str] = []
    first = rig.ask("sleep 0.2")
    for k in range(10):
        rig.ask(f"a{k}", "a").add_done_callback(lambda asked: order.append(asked.result().source))
    other = rig.ask("b", "b")
    other.add_done_callback(lambda asked: order.append(asked.result().source))
    first.result(20)
    until(lambda: len(order) == 11)
    assert order.index("b") == 1 and [name for name in order if name != "b"] == [f"a{k}" for k in range(10)]


def test_closing_ends_the_processes_and_whoever_waits(rig: Rig) -> None:
    asked = [rig.ask("sleep 60") for _ in range(6)]
    rig.assert_nothing_left()
    assert all(isinstance(each.exception(0), EngineUnavailable) for each in asked)
    assert isinstance(rig.ask("fine").exception(0), EngineUnavailable)


def test_a_server_that_is_killed_takes_its_workers_with_it_and_is_started_again(rig: Rig) -> None:
    workers = rig.workers
    assert isinstance(rig.error("kill server"), Overloaded)
    assert rig.answer("fine") == "fine"
    # Orphans are whoever's that adopts them: ended is what they must be.
    until(lambda: all(_state(pid) in "Z?" for pid in workers))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "?"


def test_a_server_that_is_stuck_is_killed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        vetting_pool, "_PATIENCE", 0.3 - LIMITS.queue_seconds - LIMITS.wall_seconds
    )  # the queue's limit is no part of this test
    assert isinstance(rig.error("stop server"), Overloaded)
    monkeypatch.undo()
    monkeypatch.setattr(vetting_pool, "_COMMAND", SERVER)
    assert rig.answer("fine") == "fine"


def test_a_server_whose_engine_has_gone_ends_with_its_workers(rig: Rig) -> None:
    pids = {rig.server, *rig.workers}
    rig.ask("sleep 60")
    server: Any = rig.pool._server
    server._channel._sock.shutdown(2)  # as the end of the engine's process does
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])


def test_a_frame_beyond_the_limit_is_refused_here(rig: Rig) -> None:
    assert "bytes, the limit is" in rig.error("x" * (2 << 20)).what
    assert "half of a surrogate pair" in rig.error("\ud800").what


def test_what_is_large_passes_both_ways(rig: Rig) -> None:
    text = "x" * ((1 << 20) - 100)
    asked = [rig.ask(text) for _ in range(4)]
    assert [each.result(20).source for each in asked] == [text] * 4


def test_owners_take_turns() -> None:
    queue = FairQueue()
    for number, owner in enumerate("aaabbc"):
        queue.push(owner, Waiting(number, b"", deadline=10.0 + number))
    assert len(queue) == 6 and queue.next_deadline == 10.0
    assert [queue.pop().number for _ in range(4)] == [0, 3, 5, 1]
    assert queue.remove(4) and not queue.remove(4) and [job.number for job in queue] == [2]
    assert queue.expire(11.9) == [] and [job.number for job in queue.expire(12.0)] == [2]
    assert not len(queue) and queue.next_deadline is None
    with pytest.raises(KeyError):
        queue.pop()


def test_a_server_that_does_not_start_is_not_started_for_every_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vetting_pool, "_COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    pool = VettingPool(VOCABULARY, "any", limits=LIMITS)
    assert isinstance(pool.submit(Regex("a")).exception(20), Overloaded)
    first = pool._server
    assert isinstance(pool.submit(Regex("a")).exception(20), EngineUnavailable) and pool._server is first
    monkeypatch.setattr(vetting_pool, "_RESTART", 0.0)
    monkeypatch.setattr(vetting_pool, "_COMMAND", SERVER)
    assert pool.plan(Regex("fine")).source == "fine"
    pool.close()
