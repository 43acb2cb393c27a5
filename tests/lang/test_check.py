"""`check=`: the model is told why and tries again, what follows stands behind the attempt that passes."""

from __future__ import annotations

from typing import Any

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import InvalidRequest, NodeError, OutputInvalid
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


def play(parts: Parts, program: rf.Program[Any, Any], *args: Any) -> Any:
    async def main() -> Any:
        _, link = make_world(parts, 21, 1)
        return await program.launch(link, *args)

    return run(main())


class Picky:
    """Refuses the first `n` values."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.seen: list[str] = []

    def __call__(self, value: str) -> None:
        self.seen.append(value)
        if len(self.seen) <= self.n:
            raise ValueError(f"no: {len(self.seen)}")


def test_a_value_that_passes_is_the_value(parts: Parts) -> None:
    check = Picky(0)

    @rf.function
    def ask(s: rf.State) -> str:
        s += rf.user("hi") + rf.assistant(rf.gen("x", max_tokens=4, ignore_eos=True, check=check))
        return s["x"]

    assert play(parts, ask) == check.seen[0]


def test_failed_attempts_and_their_errors_stay_as_turns(parts: Parts) -> None:
    check = Picky(2)

    @rf.function
    def ask(s: rf.State) -> tuple[str, str]:
        s += rf.user("hi") + rf.assistant(rf.gen("x", max_tokens=4, ignore_eos=True, check=check, retries=3))
        s += rf.user("and then?") + rf.assistant(rf.gen("y", max_tokens=3, ignore_eos=True))
        return s["x"], s.text()

    value, text = play(parts, ask)
    assert value == check.seen[2] and len(check.seen) == 3
    expected = "<|im_start|>user\nhi<|im_end|>\n"
    for seen, said in zip(check.seen, ("no: 1", "no: 2", "and then?"), strict=True):
        expected += f"<|im_start|>assistant\n{seen}<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n"
    assert text.startswith(expected)


def test_branches_are_checked_side_by_side_and_nothing_waits(parts: Parts) -> None:
    checks = [Picky(i) for i in range(3)]

    @rf.function
    def ask(s: rf.State) -> list[str]:
        s += rf.user("hi")
        branches = s.fork(3)
        for branch, check in zip(branches, checks, strict=True):
            branch += rf.assistant(rf.gen("x", max_tokens=4, ignore_eos=True, temperature=1.0, check=check))
            branch += rf.user("next") + rf.assistant(rf.gen("y", max_tokens=2, ignore_eos=True))
            assert not branch["x"].ready
        return [branch["x"] for branch in branches]

    assert play(parts, ask) == [check.seen[i] for i, check in enumerate(checks)]


def test_a_checked_value_may_be_spliced_before_it_is_decided(parts: Parts) -> None:
    check = Picky(1)

    @rf.function
    def ask(s: rf.State) -> tuple[str, str]:
        other = s.fork(1)[0]
        s += "a" + rf.gen("x", max_tokens=4, ignore_eos=True, check=check)
        other += rf.fmt("they said {x}.", x=s["x"]) + rf.gen("y", max_tokens=2, ignore_eos=True)
        return s["x"], other.text()

    value, text = play(parts, ask)
    assert value == check.seen[1]
    assert text.startswith(f"they said {value}.")


def test_after_the_last_retry_the_value_fails_and_what_stands_behind_it(parts: Parts) -> None:
    @rf.function
    def ask(s: rf.State) -> tuple[str, str]:
        s += "a" + rf.gen("x", max_tokens=2, ignore_eos=True, check=Picky(99), retries=2)
        s += "b" + rf.gen("y", max_tokens=2, ignore_eos=True)
        messages = []
        for name in ("x", "y"):
            with pytest.raises(NodeError) as caught:
                s[name].get()
            messages.append(str(caught.value))
        return tuple(messages)

    first, second = play(parts, ask)
    assert "3 attempts: no: 3" in first and "3 attempts" in second


def test_an_unobserved_failed_check_is_raised_at_the_end(parts: Parts) -> None:
    @rf.function
    def ask(s: rf.State) -> None:
        s += "a" + rf.gen("x", max_tokens=2, ignore_eos=True, check=Picky(9), retries=0)

    with pytest.raises(ExceptionGroup) as caught:
        play(parts, ask)
    (error,) = caught.value.exceptions
    assert isinstance(error.__cause__, OutputInvalid)


def test_a_check_that_breaks_is_not_retried(parts: Parts) -> None:
    calls = []

    def broken(value: str) -> None:
        calls.append(value)
        raise KeyError("oops")

    @rf.function
    def ask(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=2, ignore_eos=True, check=broken)
        return s["x"]

    with pytest.raises(NodeError, match="the check itself failed: KeyError"):
        play(parts, ask)
    assert len(calls) == 1


def test_negative_retries() -> None:
    with pytest.raises(InvalidRequest, match="retries is -1"):
        rf.gen("x", retries=-1)
