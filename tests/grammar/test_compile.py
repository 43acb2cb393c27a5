"""The compile cache: one compilation for equal grammars, bounded, refusals kept briefly, errors always ours."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from ramify.errors import EngineUnavailable, InvalidSchema, Overloaded, RamifyError, UnenforceableSchema
from ramify.grammar.compile import CompileCacheLimits, GrammarCompiler
from ramify.grammar.report import GrammarReport
from ramify.grammar.spec import JsonSchema
from ramify.grammar.state import GrammarPlan, GrammarState

T = TypeVar("T")


def spec(name: str) -> JsonSchema:
    return JsonSchema(json.dumps({"const": name}))


class Grammar:
    """A compiled grammar that is only counted."""

    backend = "counting"

    def __init__(self, key: str, num_bytes: int) -> None:
        self.key = key
        self.num_bytes = num_bytes
        self.healthy = True
        self.report = GrammarReport(self.backend)

    def state(self) -> GrammarState:
        raise NotImplementedError


class CountingBackend:
    """Counts compilations. Consts that begin with "bad" are refused, "bug" breaks it, "big" takes 1000 bytes."""

    name = "counting"

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def compile(self, spec: JsonSchema) -> Grammar:
        name = json.loads(spec.schema)["const"]
        self.compiled.append(name)
        if name.startswith("bad"):
            raise UnenforceableSchema(f"{name} is refused", where="#/const", hint="do not")
        if name.startswith("bug"):
            raise ZeroDivisionError("oops")
        return Grammar(spec.key(), 1000 if name == "big" else 100)


class Inline:
    """Runs at once."""

    def submit(self, fn: Callable[[], T], /) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn())
        return future


class Manual:
    """Runs when told to."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[[], T], /) -> Future[T]:
        self.jobs.append(fn)
        return Future()

    def run_all(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def backend() -> CountingBackend:
    return CountingBackend()


def compiler(backend: CountingBackend, executor: Any = None, clock: Any = None, **limits: Any) -> GrammarCompiler:
    return GrammarCompiler(backend, executor or Inline(), clock=clock or Clock(), limits=CompileCacheLimits(**limits))


def test_equal_grammars_are_compiled_once(backend: CountingBackend) -> None:
    subject = compiler(backend)
    first = subject.compile(JsonSchema('{"const":"a"}')).result(0)
    again = subject.compile(JsonSchema(' { "const" : "a" } ')).result(0)
    assert again is first and backend.compiled == ["a"]
    subject.compile(JsonSchema('{"const": "a"}', any_whitespace=True)).result(0)
    assert backend.compiled == ["a", "a"]


def test_equal_grammars_in_flight_share_one_compilation(backend: CountingBackend) -> None:
    executor = Manual()
    subject = compiler(backend, executor)
    waiters = [subject.compile(spec("a")) for _ in range(5)] + [subject.compile(spec("b"))]
    assert len(executor.jobs) == 2 and not any(waiter.done() for waiter in waiters)
    executor.run_all()
    assert len({id(waiter.result(0)) for waiter in waiters[:5]}) == 1 and backend.compiled == ["a", "b"]


def test_one_who_cancels_does_not_cancel_the_others(backend: CountingBackend) -> None:
    executor = Manual()
    subject = compiler(backend, executor)
    waiters = [subject.compile(spec("a")) for _ in range(3)]
    assert waiters[0].cancel()
    executor.run_all()
    assert waiters[1].result(0) is waiters[2].result(0) and waiters[0].cancelled()


def test_the_caller_never_compiles(backend: CountingBackend) -> None:
    threads = []
    original = backend.compile

    def compile_(spec: JsonSchema) -> Grammar:
        threads.append(threading.get_ident())
        return original(spec)

    backend.compile = compile_  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        compiler(backend, pool).compile(spec("a")).result(10)
    assert threads and threading.get_ident() not in threads


def test_many_threads_get_one_compilation(backend: CountingBackend) -> None:
    with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(8) as callers:
        subject = compiler(backend, pool)
        results = list(callers.map(lambda k: subject.compile(spec(f"s{k % 4}")).result(10).key, range(200)))
    assert len(set(results)) == 4 and sorted(backend.compiled) == ["s0", "s1", "s2", "s3"]


def test_the_least_recently_used_goes_first(backend: CountingBackend) -> None:
    subject = compiler(backend, max_entries=2)
    for name in ("a", "b", "a", "c"):
        subject.compile(spec(name)).result(0)
    assert backend.compiled == ["a", "b", "c"] and subject.num_entries == 2
    subject.compile(spec("a")).result(0)
    subject.compile(spec("b")).result(0)
    assert backend.compiled == ["a", "b", "c", "b"]


def test_bytes_are_bounded(backend: CountingBackend) -> None:
    subject = compiler(backend, max_bytes=250)
    for name in ("a", "b", "c"):
        subject.compile(spec(name)).result(0)
    assert (subject.num_entries, subject.num_bytes) == (2, 200)
    assert subject.compile(spec("big")).result(0).num_bytes == 1000  # handed out, not kept
    assert (subject.num_entries, subject.num_bytes) == (2, 200)
    subject.compile(spec("c")).result(0)
    assert backend.compiled == ["a", "b", "c", "big"]


def test_a_grammar_that_is_no_longer_healthy_is_compiled_anew(backend: CountingBackend) -> None:
    subject = compiler(backend)
    first: Any = subject.compile(spec("a")).result(0)
    first.healthy = False
    second = subject.compile(spec("a")).result(0)
    assert second is not first and subject.compile(spec("a")).result(0) is second
    assert backend.compiled == ["a", "a"] and (subject.num_entries, subject.num_bytes) == (1, 100)


def test_refusals_are_kept_until_they_expire(backend: CountingBackend) -> None:
    clock = Clock()
    subject = compiler(backend, clock=clock, failure_seconds=30.0)
    errors = []
    for clock.now in (0.0, 10.0, 29.9):
        errors.append(subject.compile(spec("bad")).exception(0))
    assert backend.compiled == ["bad"]
    clock.now = 30.0
    errors.append(subject.compile(spec("bad")).exception(0))
    assert backend.compiled == ["bad", "bad"]
    assert all(isinstance(error, UnenforceableSchema) and error.where == "#/const" for error in errors)
    assert len({id(error) for error in errors}) == 4  # raising one leaves no trace in the others


def test_kept_refusals_are_bounded(backend: CountingBackend) -> None:
    subject = compiler(backend, max_entries=3)
    for k in range(5):
        subject.compile(spec(f"bad{k}")).exception(0)
    for k in (4, 3, 2):
        subject.compile(spec(f"bad{k}")).exception(0)
    assert len(backend.compiled) == 5
    subject.compile(spec("bad0")).exception(0)
    assert len(backend.compiled) == 6


def test_a_fault_in_a_backend_is_an_error_of_ours(backend: CountingBackend) -> None:
    error = compiler(backend).compile(spec("bug")).exception(0)
    assert isinstance(error, RamifyError) and "ZeroDivisionError: oops" in error.what
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_compilations_in_flight_are_bounded(backend: CountingBackend) -> None:
    executor = Manual()
    subject = compiler(backend, executor, max_in_flight=2)
    waiters = [subject.compile(spec(name)) for name in ("a", "b", "c", "a")]
    assert isinstance(waiters[2].exception(0), Overloaded) and len(executor.jobs) == 2
    executor.run_all()
    assert subject.compile(spec("c")) and executor.jobs and waiters[3].result(0)


def test_an_executor_that_was_shut_down_is_a_named_error(backend: CountingBackend) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    subject = compiler(backend, pool)
    assert isinstance(subject.compile(spec("a")).exception(0), EngineUnavailable)
    assert isinstance(subject.compile(spec("a")).exception(0), EngineUnavailable)


@pytest.mark.parametrize("text", ["not json", "[" * 100_000, '"\ud800"'])
def test_text_that_is_not_json_fails_in_the_future_and_not_in_the_call(llguidance: Any, text: str) -> None:
    error = GrammarCompiler(llguidance, Inline(), clock=Clock()).compile(JsonSchema(text)).exception(0)
    assert isinstance(error, InvalidSchema)


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_notes_reach_the_log_once_a_grammar(llguidance: Any, caplog: pytest.LogCaptureFixture) -> None:
    schema = {"type": "object", "properties": {"a\nb": {"type": "array", "uniqueItems": True}, "n": {"type": "number"}}}
    # Room for no grammar: the second one is compiled again.
    compiler = GrammarCompiler(llguidance, Inline(), clock=lambda: 0.0, limits=CompileCacheLimits(max_bytes=0))
    with caplog.at_level(logging.INFO, "ramify.grammar"):
        for _ in range(2):
            compiler.compile(JsonSchema(json.dumps(schema), strict=False)).result()
    loose, narrowed = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert loose[0] == "WARNING" and "ignored at '#/properties/a\\nb/uniqueItems': no backend" in loose[1]
    assert narrowed[0] == "INFO" and "narrowed at '#/properties/n/multipleOf': at most 10 digits" in narrowed[1]
    assert "\n" not in loose[1] + narrowed[1]


class ManualVetting:
    """A `Vetting` whose answers are given by the test; grammars called "small" need none."""

    def __init__(self, backend: CountingBackend) -> None:
        self.asked: dict[str, Future[GrammarPlan]] = {}
        self.owners: list[str] = []
        self.backend = backend

    def vet(self, spec: Any, owner: str) -> Future[GrammarPlan] | None:
        name = json.loads(spec.schema)["const"]
        self.owners.append(owner)
        if name == "huge":
            raise InvalidSchema("too much", where="#", hint="less")
        if name == "small":
            return None
        self.asked[name] = Future()
        return self.asked[name]

    def build(self, plan: GrammarPlan) -> Any:
        return self.backend.compile(JsonSchema(plan.source))

    def give(self, name: str) -> None:
        self.asked[name].set_result(GrammarPlan(spec(name).key(), "counting", spec(name).schema))


def vetted(backend: CountingBackend, executor: Any = None, **limits: Any) -> tuple[GrammarCompiler, ManualVetting]:
    vetting = ManualVetting(backend)
    cache = CompileCacheLimits(**limits)
    return GrammarCompiler(backend, executor or Inline(), clock=Clock(), limits=cache, vetting=vetting), vetting


def test_what_was_vetted_is_built_and_what_needs_none_is_compiled(backend: CountingBackend) -> None:
    subject, vetting = vetted(backend)
    waiters = [subject.compile(spec("a"), "x"), subject.compile(spec("a"), "y"), subject.compile(spec("small"), "y")]
    assert waiters[2].result(0) and not waiters[0].done() and vetting.owners == ["x", "y"]
    vetting.give("a")
    assert waiters[0].result(0) is waiters[1].result(0) and backend.compiled == ["small", "a"]
    assert subject.num_in_flight == 0


def test_a_refusal_of_vetting_reaches_every_waiter(backend: CountingBackend) -> None:
    subject, vetting = vetted(backend)
    waiters = [subject.compile(spec("a")) for _ in range(3)]
    vetting.asked["a"].set_exception(InvalidSchema("no", where="#/x"))
    errors = [waiter.exception(0) for waiter in waiters]
    assert all(isinstance(error, InvalidSchema) and error.where == "#/x" for error in errors)
    assert isinstance(subject.compile(spec("huge")).exception(0), InvalidSchema)
    assert isinstance(subject.compile(spec("a")).exception(0), InvalidSchema) and vetting.owners == ["", ""]
    assert backend.compiled == [] and subject.num_in_flight == 0


@pytest.mark.parametrize("error", [Overloaded("later"), EngineUnavailable("gone")])
def test_what_is_about_the_engine_is_not_kept(backend: CountingBackend, error: RamifyError) -> None:
    subject, vetting = vetted(backend)
    waiter = subject.compile(spec("a"))
    vetting.asked["a"].set_exception(error)
    assert type(waiter.exception(0)) is type(error)
    again = subject.compile(spec("a"))
    vetting.give("a")
    assert again.result(0)


def test_the_last_waiter_who_cancels_gives_the_vetting_up(backend: CountingBackend) -> None:
    subject, vetting = vetted(backend)
    first, second = subject.compile(spec("a")), subject.compile(spec("a"))
    first.cancel()
    assert not vetting.asked["a"].cancelled()
    second.cancel()
    assert vetting.asked["a"].cancelled() and subject.num_in_flight == 0
    again = subject.compile(spec("a"))
    vetting.give("a")
    assert again.result(0) and backend.compiled == ["a"]


def test_cancelling_after_vetting_does_no_harm(backend: CountingBackend) -> None:
    executor = Manual()
    subject, vetting = vetted(backend, executor)
    waiter = subject.compile(spec("a"))
    vetting.give("a")
    assert waiter.cancel() and len(executor.jobs) == 1
    late = subject.compile(spec("a"))
    executor.run_all()
    assert late.result(0) and backend.compiled == ["a"] and subject.num_in_flight == 0


def test_a_hundred_clients_at_once_buy_one_compilation(backend: CountingBackend) -> None:
    subject, vetting = vetted(backend)
    with ThreadPoolExecutor(16) as callers:
        waiters = list(callers.map(lambda k: subject.compile(spec("a"), str(k)), range(100)))
    vetting.give("a")
    assert len({id(waiter.result(0)) for waiter in waiters}) == 1 and backend.compiled == ["a"]
    assert len(vetting.owners) == 1


def test_what_is_kept_of_a_refusal_is_bounded(backend: CountingBackend) -> None:
    subject, vetting = vetted(backend)
    path = "#/" + "x" * 60_000
    first = subject.compile(spec("a"))
    vetting.asked["a"].set_exception(InvalidSchema("no", where=path))
    again = subject.compile(spec("a")).exception(0)
    assert first.exception(0).where == path and isinstance(again, InvalidSchema)  # type: ignore[union-attr]
    assert again.where.startswith("#/xxx") and len(again.where) < 2_100
