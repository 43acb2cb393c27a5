"""`select` on a real engine: its probabilities are the model's own, and it computes no more than it must."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from typing import Literal

import pytest
import ramify as rf
import torch
from ramify import seedling
from ramify.errors import InvalidRequest, InvalidType, NodeError
from ramify.lang.testing import Scripted
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from transformers import AutoModelForCausalLM

LABELS = ["positive", "negative", "neutral"]
NESTED = ["ne", "neutral", "negative", "neg", "p", "positively", "pos", "12", "1"]
TEXT = "The lamp arrived broken, and nobody answers my letters."


@pytest.fixture(scope="module")
def seeded() -> Iterator[rf.Engine]:
    with rf.Engine("seedling", slots=4096, check=True, threads=1) as engine:
        yield engine


def _law(model: AutoModelForCausalLM, ids: list[int], choices: list[list[int]], stops: list[int]) -> list[float]:
    """The law of a gen that is constrained to `choices`, by `transformers` and a masked softmax at every place."""
    chances = []
    for choice in choices:
        logprob = 0.0
        for at in range(len(choice) + 1):
            before = choice[:at]
            tokens = {other[at] for other in choices if other[:at] == before and len(other) > at}
            ends = set(stops) if tokens and before in choices else set()
            options = sorted(tokens | ends)
            if not options:
                continue
            with torch.no_grad():
                logits = model(torch.tensor([[*ids, *before]])).logits[0, -1, options].double()
            taken = {choice[at]} if at < len(choice) else ends
            chosen = torch.tensor([option in taken for option in options])
            logprob += float(logits.log_softmax(0)[chosen].logsumexp(0))
        chances.append(math.exp(logprob))
    return chances


@pytest.mark.parametrize("choices", [LABELS, NESTED, ["only"], ["a", "ab", "abc", "abcd"]])
def test_probabilities_are_those_of_a_constrained_gen(seeded: rf.Engine, choices: list[str]) -> None:
    @rf.function
    def ask(s: rf.State) -> list[object]:
        s += "Sentiment of this: " + TEXT + "\n"
        s += rf.select("label", choices)
        return [s["label"].probabilities, str(s["label"]), s.tokens()]

    probabilities, label, ids = ask.on(seeded).run()
    tokenizer = TextTokenizer.load(seedling.path())
    canonical = [tokenizer.encode(choice, after=Seam.TEXT).tolist() for choice in choices]
    chosen = canonical[choices.index(label)]
    assert ids[-len(chosen) :] == chosen
    model = AutoModelForCausalLM.from_pretrained(seedling.path(), dtype=torch.float32)
    expected = _law(model, ids[: -len(chosen)], canonical, list(tokenizer.stop_ids))
    assert list(probabilities) == choices
    assert list(probabilities.values()) == pytest.approx(expected, abs=2e-4)
    assert label == max(probabilities, key=probabilities.__getitem__)


def test_choices_that_part_at_once_cost_no_forward_beyond_the_prompt(seeded: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State) -> dict[str, object]:
        s += rf.user("Red, green or blue?") + rf.assistant(rf.select("colour", ["red", "green", "blue"]))
        return {"ids": s.tokens(), "usage": s["colour"].usage}

    run = ask.on(seeded, tenant="at once").start()
    result, report = run.result(), run.report()
    usage = result["usage"]
    assert usage.computed == usage.prompt == report.prefill == report.ideal_prefill
    assert (report.gens, report.decoded, report.deltas) == (1, 0, 1)


def test_a_select_in_the_middle_goes_on_without_the_client(seeded: rf.Engine) -> None:
    @rf.function
    def triage(s: rf.State) -> list[object]:
        s += rf.system("You sort messages.") + rf.user(TEXT)
        s += rf.assistant(rf.select("kind", NESTED))
        branches = s.fork(2)
        for branch in branches:
            branch += rf.user(rf.fmt("Why {kind}?", kind=s["kind"]))
            branch += rf.assistant(rf.gen("why", max_tokens=4, ignore_eos=True, temperature=0))
        return [str(s["kind"]), branches[0].text(), branches[0]["why"], branches[1]["why"]]

    run = triage.on(seeded, tenant="middle").start()
    kind, text, first, second = run.result()
    report = run.report()
    assert f"assistant\n{kind}<|im_end|>" in text
    assert f"Why {kind}?" in text
    assert first == second
    assert report.prefill == report.ideal_prefill
    assert report.deltas == 2, "one up to the look at the choice, one for the reads behind it"


def test_a_draw_follows_the_probabilities(engine: rf.Engine) -> None:
    """4,000 draws at temperature 1.5 against the law at that temperature; a chi-square of 25 with 4 degrees of freedom
    has a probability of 5e-5, and the seeds are fixed."""
    choices, temperature, count = ["al", "be", "a", "o", "it"], 1.5, 4_000

    @rf.function
    def draw(s: rf.State) -> list[object]:
        s += "which of these"
        branches = s.fork(count)
        for branch in branches:
            branch += rf.select("x", choices, temperature=temperature)
        s += rf.select("x", choices)
        return [s["x"].probabilities, *(branch["x"] for branch in branches)]

    law, *drawn = draw.on(engine, seed=3).run()
    counts = [drawn.count(choice) for choice in choices]
    assert min(counts) > 5, "every choice is possible"
    tokenizer = TextTokenizer.load(seedling.path())
    canonical = [tuple(tokenizer.encode(choice, after=Seam.TEXT).tolist()) for choice in choices]
    # Each edge's probability at temperature 1 gives the law at any other: raise it to 1/T and renormalise.
    expected = _heated(canonical, list(law.values()), temperature)
    chi_square = sum((seen - count * p) ** 2 / (count * p) for seen, p in zip(counts, expected, strict=True))
    assert chi_square < 25


def test_a_gen_of_the_same_choices_follows_the_same_law(engine: rf.Engine) -> None:
    """1,500 gens at temperature 1; a chi-square of 28 with 5 degrees of freedom has a probability of 4e-5."""
    choices, count = ["al", "a", "alpha", "o", "it", "its"], 1_500

    @rf.function
    def draw(s: rf.State) -> list[object]:
        s += "which of these"
        branches = s.fork(count)
        for branch in branches:
            branch += rf.gen("x", type=rf.Choices(tuple(choices)), temperature=1.0, top_k=0, top_p=1.0)
        s += rf.select("x", choices)
        return [s["x"].probabilities, *(branch["x"] for branch in branches), branches[0].tokens()]

    law, *drawn, ids = draw.on(engine, seed=4).run()
    tokenizer = TextTokenizer.load(seedling.path())
    canonical = tokenizer.encode(drawn[0], after=Seam.TEXT).tolist()
    assert ids[-len(canonical) :] == canonical
    counts = [drawn.count(choice) for choice in choices]
    assert min(counts) > 5, "every choice is possible"
    expected = [law[choice] for choice in choices]
    assert sum((seen - count * p) ** 2 / (count * p) for seen, p in zip(counts, expected, strict=True)) < 28


def _heated(choices: list[tuple[int, ...]], law: list[float], temperature: float) -> list[float]:
    """The law at another temperature, for choices that all part at the root."""
    assert len({choice[0] for choice in choices}) == len(choices)
    weights = [p ** (1 / temperature) for p in law]
    return [weight / sum(weights) for weight in weights]


class Kind(enum.Enum):
    BUG = "bug"
    IDEA = "idea"


def test_members_come_back(seeded: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State) -> list[object]:
        s += "a "
        kind = s.select("kind", Kind)
        number = s.select("number", Literal[1, 20, 300])
        return [kind, number, str(s.text())]

    kind, number, text = ask.on(seeded).run()
    assert isinstance(kind, Kind)
    assert number in (1, 20, 300)
    assert text.endswith(f"a {kind.value}{number}")


@pytest.mark.parametrize(
    ("choices", "match"),
    [([], "0 choices"), (["a", "a"], "twice"), (["a", ""], "0 characters"), (["x" * 2000], "2000 characters")],
)
def test_bad_choices_are_refused_where_they_are_written(choices: list[str], match: str) -> None:
    @rf.function
    def ask(s: rf.State) -> str:
        s += "a" + rf.select("x", choices)
        return s["x"]

    with pytest.raises(InvalidRequest, match=match):
        ask.on(Scripted({"x": "a"})).run()


@pytest.mark.parametrize("choices", ["abc", 5, [1, 2], {"a": 1}])
def test_choices_must_be_texts(choices: object) -> None:
    with pytest.raises(InvalidType, match="not a list of texts"):
        rf.select("x", choices)


def test_cancel_ends_a_select_and_what_is_held_behind_it(engine: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State) -> list[str]:
        s += "word " * 200
        doomed, kept = s.fork(2)
        doomed += rf.select("x", NESTED)
        doomed += rf.gen("behind", max_tokens=3)
        doomed.cancel()
        kept += rf.gen("y", max_tokens=3, ignore_eos=True)
        out = [str(kept["y"])]
        for name in ("x", "behind"):
            try:
                out.append(str(doomed[name]))
            except NodeError as error:
                out.append(type(error.__cause__).__name__)
        return out

    assert ask.on(engine).run()[1:] == ["Cancelled", "Cancelled"]


def test_the_script_answers_a_select_with_one_of_its_choices() -> None:
    @rf.function
    def ask(s: rf.State) -> Kind:
        s += rf.user("what?") + rf.assistant(rf.select("kind", Kind))
        return s["kind"]

    engine = Scripted({"kind": Kind.IDEA})
    assert ask.on(engine).run() is Kind.IDEA
    assert engine.calls[0].choices == ("bug", "idea")
    with pytest.raises(NodeError, match="not among its choices"):
        ask.on(Scripted({"kind": "other"})).run()
