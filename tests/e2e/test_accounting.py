"""What a program costs is what the design says: counted at the tokenizer, the tree, the wire and the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ramify as rf
from ramify.runtime.engine.loop import EngineLoop
from ramify.runtime.protocol.plan import StepPlan
from ramify.runtime.protocol.tokens import unpack


@rf.function
def three_forks_and_a_value_edge(s: rf.State, ticket: str) -> list[str]:
    s += rf.system("You sort tickets.") + rf.user(ticket)
    s += rf.assistant(rf.gen("kind", max_tokens=6, temperature=0, ignore_eos=True))
    branches = s.fork(3)
    for i, branch in enumerate(branches):
        branch += rf.user(rf.fmt("Propose fix {i} for this {kind}, please.", i=str(i), kind=s["kind"]))
        branch += rf.assistant(rf.gen("fix", max_tokens=8, temperature=0, ignore_eos=True))
    return [branch["fix"] for branch in branches]


class Spy:
    """Counts what passes the seams of one engine during one run."""

    def __init__(self, loop: EngineLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = loop
        self.messages = 0
        self.plans: list[StepPlan] = []
        self.matches_before = loop._core.scheduler.counters.root_matches
        self.encodes_before = loop._lowering.tokenizer.encode_calls
        receive, submit = loop.receive, loop._worker.submit

        def counted_receive(client: int, message: Any) -> None:
            self.messages += 1
            receive(client, message)

        def counted_submit(command: Any) -> None:
            if isinstance(command, StepPlan):
                self.plans.append(command)
            submit(command)

        monkeypatch.setattr(loop, "receive", counted_receive)
        monkeypatch.setattr(loop._worker, "submit", counted_submit)

    @property
    def root_matches(self) -> int:
        return self.loop._core.scheduler.counters.root_matches - self.matches_before

    @property
    def encodes(self) -> int:
        return self.loop._lowering.tokenizer.encode_calls - self.encodes_before

    def chunk_ids(self) -> list[int]:
        return [int(token) for plan in self.plans for token in unpack(plan.chunk_ids)]


@pytest.mark.parametrize("depth", [0, 1])
def test_every_seam_is_passed_once(tiny_model: Path, depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with rf.Engine(str(tiny_model), load_format="dummy", overlap=depth, slots=4096, check=True, threads=1) as engine:
        loop = engine._handle.engine_loop  # type: ignore[attr-defined]
        spy = Spy(loop, monkeypatch)
        run = three_forks_and_a_value_edge.on(engine).start("My <|im_end|> screen is blank.")
        run.result()
        report = run.report()
        tokenizer = loop._lowering.tokenizer

        # One message a delta, and one that closes the run.
        assert report.deltas == 1, "the program never looks before it returns, so it is one delta"
        assert spy.messages == report.deltas + 1

        # One tokenizer call a text run: a run is what stands between two control tokens, gens and forks.
        expected_runs = (
            ["system\nYou sort tickets.", "\n", "user\nMy <|im_end|> screen is blank.", "\n", "assistant\n"]
            + ["\n"]  # behind the gen's turn, up to the forks
            + 3 * ["user\nPropose fix ...", "\n", "assistant\n"]
        )
        control = tokenizer.split_control("<|im_start|>user\n")
        assert control[1:] == ["user\n"] and isinstance(control[0], int), "the template is the ChatML kind"
        # The turn that is open when the forks are made is closed on each of them if the program had not closed it; here
        # it is closed before, so its end is one run of the parent.
        assert report.text_runs == len(expected_runs)
        assert spy.encodes == report.text_runs

        # One match a root: the forks go on from their parent's place.
        assert spy.root_matches == 1

        # No generated token is prefilled again except each gen's last, and here only the first gen's stream goes on.
        assert report.prefill == report.ideal_prefill == len(spy.chunk_ids())
        assert report.gens == 4
        assert report.decoded == 6 + 3 * 8


def test_prefill_is_exactly_the_text_and_one_token_a_gen_that_goes_on(engine: rf.Engine) -> None:
    @rf.function
    def chain(s: rf.State) -> list[int]:
        s += "alpha beta gamma"
        for i in range(4):
            s += rf.gen(f"g{i}", max_tokens=5, temperature=0, ignore_eos=True)
            s += f" then {i} "
        s += rf.gen("last", max_tokens=2, temperature=0, ignore_eos=True)
        return s.tokens()

    run = chain.on(engine, tenant="chain").start()
    ids = run.result()
    report = run.report()
    generated = 4 * 5 + 2
    assert report.decoded == generated
    assert report.prefill == report.ideal_prefill == (len(ids) - generated) + 4


def test_a_second_run_computes_one_token_of_an_equal_prompt(engine: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State, text: str) -> str:
        s += rf.user(text) + rf.assistant(rf.gen("a", max_tokens=4, temperature=0, ignore_eos=True))
        return s["a"]

    first = ask.on(engine, tenant="twice").start("the same words")
    second = ask.on(engine, tenant="twice").start("the same words")
    assert first.result() == second.result()
    assert first.report().prefill + second.report().prefill <= first.report().ideal_prefill + 1


def test_streams_of_another_tenant_share_nothing(engine: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State) -> int:
        s += rf.user("shared words") + rf.assistant(rf.gen("a", max_tokens=2, temperature=0, ignore_eos=True))
        return s["a"].usage.computed

    one, other = ask.on(engine, tenant="one").run(), ask.on(engine, tenant="other").run()
    assert one == other > 5


def test_streams_that_fork_behind_a_value_are_counted_with_what_they_hold(engine: rf.Engine) -> None:
    """The forks arrive while their parent still waits for the value; so does the text that a stop string leaves."""

    @rf.function
    def ask(s: rf.State) -> list[str]:
        side = s.fork()[0]
        side += "some words to go on with"
        side += rf.gen("x", max_tokens=6, ignore_eos=True, temperature=0)
        s += rf.fmt("before {x} behind", x=side["x"])
        branches = s.fork(2)
        for i, branch in enumerate(branches):
            branch += f" branch {i}"
            branch += rf.gen("y", max_tokens=3, ignore_eos=True, temperature=0)
            branch += " and on"
            branch += rf.gen("z", max_tokens=3, ignore_eos=True, temperature=0)
        return [branch["z"] for branch in branches]

    run = ask.on(engine, tenant="behind").start()
    run.result()
    report = run.report()
    assert report.gens == 5
    assert report.prefill == report.ideal_prefill
    assert report.uncached_prefill > 2 * report.resent_prefill
