"""The training code computes what it says: what `transformers` computes, for each conversation by itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from ramify import seedling
from ramify.seedling.training import census, data, mixture
from ramify.seedling.training.case import gold, user, wrong
from ramify.seedling.training.chat import Encoder
from ramify.seedling.training.decode import same
from ramify.seedling.training.evaluate import BEGIN, FINISH, Gain, Report, Row, Wordings, table, write_card
from ramify.seedling.training.model import Llama, Shape, block_mask, dense_mask, documents
from ramify.seedling.training.train import Recipe, rate_at
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

TINY = Shape(vocabulary=50, hidden=32, layers=2, heads=4, kv_heads=2, mlp=48, head=16)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(Tokenizer.from_file(str(seedling.path() / "tokenizer.json")))


def _starts(*lengths: int) -> torch.Tensor:
    starts = torch.zeros(1, sum(lengths), dtype=torch.uint8)
    starts[0, np.cumsum((0, *lengths[:-1]))] = 1
    return starts


def test_a_packed_row_gives_each_conversation_the_logits_of_transformers_alone() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = Llama(TINY)
    theirs = LlamaForCausalLM(LlamaConfig.from_dict(TINY.config())).float().eval()
    missing = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert missing.missing_keys in ([], ["lm_head.weight"])
    theirs.tie_weights()
    lengths = (7, 1, 20, 12)
    ids = torch.randint(0, TINY.vocabulary, (1, sum(lengths)))
    document, position = documents(_starts(*lengths))
    with torch.no_grad():
        packed = ours(ids, position, dense_mask(document))
        alone = torch.cat([theirs(part).logits for part in ids.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-4)


def test_the_block_mask_needs_exactly_the_blocks_that_the_dense_mask_touches() -> None:
    starts = torch.cat([_starts(100, 200, 212), _starts(127, 1, 1, 383)])
    document, _ = documents(starts)
    touched = dense_mask(document)[:, 0].view(2, 4, 128, 4, 128).any(dim=4).any(dim=2)
    assert torch.equal(block_mask(document).to_dense()[:, 0].bool(), touched)


def test_packing_keeps_every_conversation_whole_and_weighted(encoder: Encoder) -> None:
    encoded = encoder.encode([mixture.case(seed).turns for seed in range(120)])
    block = data.pack(encoded)
    found = []
    for ids, flags in zip(block.ids_BS, block.flags_BS, strict=True):
        edges = [*np.flatnonzero(flags & data.STARTS), data.ROW]
        for begin, end in itertools.pairwise(edges):
            part = flags[begin:end]
            weights = np.where(part & data.TARGET, (part >> data.WEIGHT) + 1, 0)
            if weights.any():
                found.append((tuple(ids[begin:end].tolist()), tuple(weights.tolist())))
    assert sorted(found) == sorted((tuple(ids), tuple(weights)) for ids, weights in encoded)


def test_short_answers_weigh_more_and_nothing_but_right_answers_weighs(encoder: Encoder) -> None:
    ((_, short),) = encoder.encode([[gold("Lena")]])
    ((_, long),) = encoder.encode([[gold("a b " * 40)]])
    ((_, shown),) = encoder.encode([[user("Who?"), wrong("Omar")]])
    assert (set(short), set(long), set(shown)) == ({0, 4}, {0, 1}, {0})


def test_a_block_depends_on_seed_and_index_alone() -> None:
    tokenizer = seedling.path() / "tokenizer.json"
    first, second = data.Maker(tokenizer, 1).block(1, 5), data.Maker(tokenizer, 1).block(1, 5)
    other = data.Maker(tokenizer, 1).block(1, 6)
    assert np.array_equal(first.ids_BS, second.ids_BS) and np.array_equal(first.flags_BS, second.flags_BS)
    assert not np.array_equal(first.ids_BS, other.ids_BS)


def test_the_rate_rises_then_falls_to_zero() -> None:
    recipe = Recipe(steps=1000, warmup=100)
    rates = [rate_at(step, recipe) for step in range(1001)]
    assert max(rates) == pytest.approx(recipe.rate) and rates.index(max(rates)) in (99, 100)
    assert rates[1000] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [(1, 1.0, True), (True, 1, False), ({"a": 1}, {"a": 1}, True), ([1, None], [1, None], True), ([0], [False], False)],
)
def test_answers_are_compared_by_value_but_true_is_not_one(left: object, right: object, equal: bool) -> None:
    assert same(left, right) is equal


def _report() -> Report:
    wordings = Wordings(40, 30, 0, 10, 9, census.Count(3, 900, 100, 60))
    gains = [Gain("facts", 10, 0.5, 1.0, 0.4, 0.8)]
    return Report([Row("facts", 10, 0.9, 0.8, 0.7, 0.6)], gains, wordings, 3.0)


def test_the_tables_go_between_the_markers_of_the_card(tmp_path: Path) -> None:
    card = tmp_path / "MODEL_CARD.md"
    card.write_text(f"before\n{BEGIN}stale{FINISH}\nafter\n", encoding="utf-8")
    write_card(card, table(_report(), "a test"))
    text = card.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert "| facts | 10 | 95% | **90.0%** |" in text and "stale" not in text
    card.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="has no"):
        write_card(card, "")


def test_a_missed_goal_is_said_in_the_table() -> None:
    text = table(_report(), "a test")
    assert "**Goal missed**: facts: 90.0% of 95%." in text
    assert "**Goal missed**: facts, draft: 60.0% of 70%." in text


def test_the_card_shows_what_the_generator_counts() -> None:
    count = census.count()
    card = (seedling.path() / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{count.train:,} for training and {count.held_out:,} held out, in {count.lists} lists" in card
    assert f"Of those held out {count.apart:,} differ" in card
