"""The committed files: small enough, loadable by `transformers`, right on held-out cases, with an honest template."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify import seedling
from ramify.seedling.training import mixture
from ramify.seedling.training.case import Turn, gold, user
from ramify.seedling.training.chat import END, START, Encoder, render
from ramify.seedling.training.decode import Decoder, grammar_of
from ramify.seedling.training.draw import Split
from ramify.seedling.training.evaluate import judge, unspelled
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

LIMIT = 16 * 2**20


@pytest.fixture(scope="module")
def target() -> Decoder:
    torch.set_num_threads(1)
    return Decoder(seedling.path(), seedling.path() / "tokenizer.json")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(seedling.path() / "tokenizer.json"))


def test_the_model_and_its_draft_take_at_most_sixteen_mebibytes() -> None:
    files = [file for file in seedling.path().rglob("*") if file.suffix in (".json", ".safetensors", ".md")]
    assert {file.name for file in files} >= {"model.safetensors", "config.json", "tokenizer.json", "MODEL_CARD.md"}
    assert sum(file.stat().st_size for file in files) <= LIMIT


@pytest.mark.parametrize("directory", [seedling.path(), seedling.draft_path()], ids=["target", "draft"])
def test_transformers_loads_it_as_a_plain_llama(directory: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(directory)
    config = model.config
    assert type(model).__name__ == "LlamaForCausalLM"
    assert config.num_key_value_heads < config.num_attention_heads
    assert config.max_position_embeddings >= 2048
    assert (model.generation_config.do_sample, model.generation_config.eos_token_id) == (False, [2, 0])


@pytest.mark.parametrize("task", sorted(mixture.TASKS))
def test_most_held_out_answers_are_right_without_any_grammar(task: str, target: Decoder) -> None:
    cases = mixture.evaluation(task, Split.HELD_OUT, 12, seed=100)
    assert judge(target, cases, constrained=False).right >= 0.75


def test_held_out_answers_are_right_under_their_grammar(target: Decoder) -> None:
    cases = mixture.evaluation("extraction", Split.HELD_OUT, 10, seed=200)
    outcome = judge(target, cases, constrained=True)
    assert outcome.right >= 0.8
    assert (outcome.valid, outcome.formed) == (1.0, 1.0)


def test_a_grammar_gives_the_wanted_form_where_the_prompt_does_not_name_the_fields(target: Decoder) -> None:
    cases = unspelled(mixture.evaluation("extraction", Split.HELD_OUT, 12, seed=400))[:6]
    assert len(cases) == 6
    assert judge(target, cases, constrained=False).formed == 0.0
    assert judge(target, cases, constrained=True).formed >= 0.5


def test_an_answer_is_accepted_by_its_grammar_only_when_whole(target: Decoder) -> None:
    case = mixture.evaluation("extraction", Split.HELD_OUT, 1)[0]
    ids = target.encode(case.turns[-1].text + END)
    grammar = grammar_of(case)
    assert target.accepts(grammar, ids)
    assert not target.accepts(grammar, ids[:-1])
    assert not target.accepts(grammar, ids[:-2] + ids[-1:])
    assert not target.accepts(grammar, target.encode("{}" + END))


def test_a_second_label_is_not_the_first_one_again(target: Decoder) -> None:
    message = user("The parcel to Lisbon has not arrived yet. I am very angry. Please answer today.")
    talk = [user(f"{message.text}\nClassify the topic: one of: billing, shipping, account"), gold("shipping")]
    talk += [user("Classify the sentiment: one of: positive, negative"), gold("negative")]
    talk += [user("Classify the urgency: one of: low, high"), gold("high")]
    for count in (1, 3, 5):
        (ids,) = target.answers([target.encode(render(talk[:count], prompt=True))], [None])
        assert target.decode(ids) == talk[count].text


def test_the_draft_agrees_with_most_of_what_the_target_says(target: Decoder) -> None:
    draft = Decoder(seedling.draft_path(), seedling.path() / "tokenizer.json")
    cases = mixture.evaluation("facts", Split.HELD_OUT, 20, seed=300)
    outcome = judge(target, cases, constrained=False)
    assert draft.agreement(outcome.prompts, outcome.answers) >= 0.7


def test_the_template_is_append_only_and_strips_nothing() -> None:
    tokenizer = AutoTokenizer.from_pretrained(seedling.path())
    messages = [
        {"role": "system", "content": " two blanks  "},
        {"role": "user", "content": "\n\nHi\n"},
        {"role": "assistant", "content": '{"tool": "lookup", "input": "x"}'},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "done "},
    ]
    turns = [Turn(message["role"], message["content"]) for message in messages]
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    assert whole == render(turns)
    for count in range(1, len(messages)):
        shorter = tokenizer.apply_chat_template(messages[:count], tokenize=False)
        assert whole.startswith(shorter)
        assert (
            tokenizer.apply_chat_template(messages[:count], return_dict=False)
            == ids[: len(tokenizer(shorter)["input_ids"])]
        )
        prompt = tokenizer.apply_chat_template(messages[:count], tokenize=False, add_generation_prompt=True)
        assert prompt == shorter + f"{START}assistant\n"


def test_turns_encoded_one_by_one_have_the_ids_of_the_whole_conversation(tokenizer: Tokenizer) -> None:
    cases = [mixture.case(seed) for seed in range(60)]
    encoded = Encoder(tokenizer).encode([case.turns for case in cases])
    for case, (ids, marks) in zip(cases, encoded, strict=True):
        assert ids == tokenizer.encode(render(case.turns).removesuffix("\n")).ids
        trained = "".join(turn.text + END for turn in case.turns if turn.trained)
        marked = [token for token, mark in zip(ids, marks, strict=True) if mark]
        assert tokenizer.decode(marked, skip_special_tokens=False) == trained


def test_every_byte_has_an_id_of_its_own(tokenizer: Tokenizer) -> None:
    assert all(tokenizer.token_to_id(letter) is not None for letter in pre_tokenizers.ByteLevel.alphabet())
    assert len(pre_tokenizers.ByteLevel.alphabet()) == 256


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_survive_the_tokenizer(tokenizer: Tokenizer, data: bytes) -> None:
    text = data.decode("utf-8", errors="replace") + data.decode("latin-1")
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[A-Z][a-z]{1,12}", fullmatch=True))
def test_a_name_has_the_same_pieces_wherever_it_stands(tokenizer: Tokenizer, name: str) -> None:
    pieces = tokenizer.encode(name).tokens
    for text in (f"of {name} and", f'"{name}", "', f"({name})", f"{name}."):
        tokens = tokenizer.encode(text).tokens
        assert any(tokens[at : at + len(pieces)] == pieces for at in range(len(tokens)))
