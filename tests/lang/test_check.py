"""`check=`: the model is told why and tries again, what follows stands behind the attempt that passes."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import InvalidRequest, NodeError, OutputInvalid
from ramify.lang.testing import Raw, Scripted
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


class Shouted(pydantic.BaseModel):
    name: str
    words: list[Annotated[str, pydantic.Field(max_length=3)]] = []

    @pydantic.field_validator("name")
    @classmethod
    def in_capitals(cls, name: str) -> str:
        if name != name.upper():
            raise ValueError("write it in capitals")
        return name


def shouted(retries: int | None) -> rf.Program[[], tuple[Any, list[dict[str, str]]]]:
    @rf.function
    def ask(s: rf.State) -> tuple[Any, list[dict[str, str]]]:
        s += rf.user("Who?") + rf.assistant(rf.gen("x", type=Shouted, retries=retries))
        return s["x"], s.messages()

    return ask


def test_what_a_validator_refuses_is_tried_again_and_the_model_reads_short_lines() -> None:
    script = Scripted({"x": [Raw('{"name": "Ada", "words": ["ok", "long"]}'), Raw('{"name": "ADA"}')]})
    value, messages = shouted(1).on(script).run()
    assert value == Shouted(name="ADA")
    assert messages[2] == {
        "role": "user",
        "content": "name: Value error, write it in capitals\nwords.1: String should have at most 3 characters",
    }


def test_msgspec_says_what_is_wrong_in_its_own_words() -> None:
    @rf.function
    def ask(s: rf.State) -> tuple[Any, list[dict[str, str]]]:
        s += rf.user("How many?") + rf.assistant(rf.gen("x", type=list[int], retries=1))
        return s["x"], s.messages()

    value, messages = ask.on(Scripted({"x": [Raw('["a"]'), [2]]})).run()
    assert value == [2] and messages[2]["content"] == "Expected `int`, got `str` - at `$[0]`"


@pytest.mark.parametrize("retries", [None, 0])
def test_without_a_check_nothing_is_tried_again_unless_it_is_asked_for(retries: int | None) -> None:
    script = Scripted({"x": Raw('{"name": "Ada"}')})
    with pytest.raises(NodeError, match="write it in capitals"):
        shouted(retries).on(script).run()
    assert len(script.calls) == 1


def test_with_a_check_two_retries_are_the_default() -> None:
    check = Picky(9)

    @rf.function
    def ask(s: rf.State) -> str:
        s += "a" + rf.gen("x", check=check)
        return s["x"]

    with pytest.raises(NodeError, match="no value passed in 3 attempts: no: 3"):
        ask.on(Scripted({"x": "b"})).run()


@pytest.mark.parametrize("check", [None, lambda value: None])
def test_a_text_that_was_cut_is_not_tried_again(parts: Parts, check: Any) -> None:
    @rf.function
    def ask(s: rf.State) -> tuple[str, Any]:
        s += "a" + rf.gen("x", type=list[str], max_tokens=1, check=check, retries=3)
        with pytest.raises(NodeError) as caught:
            s["x"].get()
        return str(caught.value), caught.value.cause

    message, cause = play(parts, ask)
    assert isinstance(cause, OutputInvalid) and isinstance(cause.__cause__, ValueError)
    assert "not tried again" in message and "stopped at max_tokens=1" in message and "raise max_tokens" in message


def test_retries_without_a_check_are_drawn() -> None:
    assert "check its type of" in str(shouted(2).graph())
