"""The generator is a function of its seed, and keeps held-out names, numbers and wordings out of training."""

from __future__ import annotations

import itertools
import json
import re

import jsonschema
import pytest
from ramify.seedling.training import census, entities, extraction, mixture, things
from ramify.seedling.training.chat import render
from ramify.seedling.training.draw import Draw, Pool, Split, expand, is_held_out, same_wording
from ramify.seedling.training.tools import calculate, call

TASKS = sorted(mixture.TASKS)


def test_the_same_seed_gives_the_same_conversation() -> None:
    first = [render(mixture.case(seed).turns) for seed in range(200)]
    again = [render(mixture.case(seed).turns) for seed in range(200)]
    assert first == again
    assert len(set(first)) > 195


@pytest.mark.parametrize("pool", [value for module in (entities, things) for value in vars(module).values()
                                  if isinstance(value, Pool)])  # fmt: skip
def test_no_listed_entity_is_in_both_parts(pool: Pool) -> None:
    assert not set(pool.held) & set(pool.train)
    assert sorted(pool.held + pool.train) == sorted(pool.all)
    assert len(pool.held) >= 3


def test_a_template_expands_to_every_reading_of_its_choices() -> None:
    assert sorted(expand("[please|kindly|] take [it|the [old|new] one], now")) == sorted(
        f"{polite} take {what}, now".lstrip()
        for polite, what in itertools.product(("please", "kindly", ""), ("it", "the old one", "the new one"))
    )


def test_no_wording_is_in_both_parts() -> None:
    train, held = census.wordings()
    assert not train & held
    assert len(train) > 100_000 and len(held) > 10_000


def test_every_word_of_a_held_out_wording_is_in_training_wordings_of_its_list() -> None:
    for phrases in census.every_list():
        train, held = ({word for group in part.groups for form in group for word in same_wording(form).split()}
                       for part in phrases.parts)  # fmt: skip
        assert held <= train


def test_the_plain_wording_belongs_to_training() -> None:
    for phrases in census.every_list():
        if phrases.templates and "[" not in phrases.plain:
            assert phrases.plain in phrases.parts[0].groups[0]


def test_training_conversations_hold_no_wording_of_a_held_out_case() -> None:
    trained = {same_wording(wording) for seed in range(4000) for wording in mixture.draws(seed)[1].known}
    assert len(trained) > 5000
    for task in TASKS:
        for _, d in mixture.evaluation_draws(task, Split.HELD_OUT, 200):
            assert d.unseen and not d.known
            assert not {same_wording(wording) for wording in d.unseen} & trained


def test_training_conversations_draw_known_wordings_only() -> None:
    assert not [wording for seed in range(500) for wording in mixture.draws(seed)[1].unseen]


def test_no_sentence_of_a_training_text_is_a_held_out_instruction() -> None:
    """Independent of what `Draw` records: the sentences are looked for in the texts themselves."""
    texts = [turn.text for seed in range(3000) for turn in mixture.case(seed).turns]
    sentences = {same_wording(sentence) for text in texts for sentence in re.split(r"[.:?!\n-]", text)}
    train, held = (
        {
            same_wording(form.split(": {f}")[0])
            for group in part.groups
            for form in group
            if form.endswith("fields: {f}")
        }
        for part in extraction.ASK.parts
    )
    assert len(held) > 100
    assert held & sentences <= {wording.removesuffix(" {f}") for wording in mixture.heard()}
    assert len(train & sentences) > 300
    asked = {
        same_wording(wording.split(": {f}")[0])
        for task in TASKS
        for _, d in mixture.evaluation_draws(task, Split.HELD_OUT, 300)
        for wording in d.unseen
    }
    assert len(held & asked) > 50
    assert not held & asked & sentences


@pytest.mark.parametrize("split", [Split.TRAIN, Split.HELD_OUT])
def test_made_up_words_and_numbers_lie_in_their_split(split: Split) -> None:
    d = Draw(3, split)
    makers = (entities.code, entities.amount, entities.clock)
    texts = [make(d) for make in makers for _ in range(50)] + [str(d.integer(18, 900)) for _ in range(50)]
    texts += [entities.date(d).isoformat() for _ in range(50)]
    assert {is_held_out(text) for text in texts} == {split is Split.HELD_OUT}


def test_held_out_names_do_not_occur_in_training_conversations() -> None:
    trained = {
        word for seed in range(3000) for turn in mixture.case(seed).turns for word in re.findall(r"\w+", turn.text)
    }
    d = Draw(5, Split.HELD_OUT)
    words = {entities.word(d) for _ in range(400)}
    long = {word for word in words if len(word) > 6}
    assert len(long) > 100
    assert not {word for word in long if word in trained or word.capitalize() in trained}


@pytest.mark.parametrize("task", TASKS)
def test_held_out_cases_are_not_in_the_training_split(task: str) -> None:
    def prompts(split: Split) -> set[str]:
        return {render(case.turns[:-1]) for case in mixture.evaluation(task, split, 150)}

    assert not prompts(Split.HELD_OUT) & prompts(Split.TRAIN)


@pytest.mark.parametrize("task", TASKS)
def test_gold_answers_satisfy_their_schema_and_style(task: str) -> None:
    for case in mixture.evaluation(task, Split.HELD_OUT, 100):
        answer = case.turns[-1]
        assert (answer.role, answer.trained) == ("assistant", True)
        if case.schema is None:
            assert answer.text == case.value
            assert not case.choices or answer.text in case.choices
            continue
        value = json.loads(answer.text)
        jsonschema.validate(value, case.schema)
        assert answer.text == json.dumps(value, ensure_ascii=False)
        if "properties" in case.schema:
            assert list(value) == list(case.schema["properties"])


def test_the_wrong_answer_of_a_correction_is_never_trained_on() -> None:
    for case in mixture.evaluation("correction", Split.HELD_OUT, 50):
        assistant = [turn for turn in case.turns if turn.role == "assistant"]
        assert [turn.trained for turn in assistant][-2:] == [False, True]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("12 * 7", "84"),
        ("0.1 + 0.2", "0.3"),
        ("(1 + 2) * -3", "-9"),
        ("10 / 4", "2.5"),
        ("2 / 3", "0.666667"),
        ("1 / 0", "error: division by zero"),
        ("__import__('os')", "error: not an expression"),
        ("2 ** 9", "error: not an expression"),
        ("1 +", "error: not an expression"),
        ("(" * 150 + "1", "error: not an expression"),
        ("1+" * 200 + "1", "error: expression too long"),
    ],
)
def test_the_calculator_computes_arithmetic_and_nothing_else(expression: str, result: str) -> None:
    assert calculate(expression) == result


def test_lookup_ignores_letter_case_and_says_when_nothing_is_there() -> None:
    table = {"price of oak desk": "40"}
    assert call("lookup", " Price of oak desk ", table) == "40"
    assert call("lookup", "price of lamp", table) == "not found"
    assert call("shell", "ls", table).startswith("error")
