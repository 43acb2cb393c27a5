"""Batched decoding for the evaluation, greedy or sampled: `transformers` runs the model under llguidance masks.

This is deliberately not ramify's engine: the tables of the card are made by an independent path, and the engine is
tested against the same answers.

Legend: B rows of a batch, S tokens, V vocabulary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import llguidance
import llguidance.numpy
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM

from .case import Case
from .chat import END, PAD, token_id
from .records import Json

MAX_TOKENS = 320

_SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""The one style of JSON that the model writes."""


def grammar_of(case: Case) -> str:
    """The llguidance grammar of a case's answer: its schema, its labels, or one line of text."""
    if case.schema is not None:
        schema = {**case.schema, "x-guidance": _SEPARATORS}
        return str(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    if case.choices:
        return str(llguidance.LLMatcher.grammar_from_regex("|".join(re.escape(choice) for choice in case.choices)))
    return str(llguidance.LLMatcher.grammar_from_regex(r"[^\n]{1,200}"))


class Decoder:
    """A model with its tokenizer, ready to answer prompts in batches.

    Args:
        directory: a model directory.
        tokenizer: tokenizer.json; the draft has none of its own.
    """

    def __init__(self, directory: Path, tokenizer: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).to(self.device).eval()
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.batch = 512 if self.device.type == "cuda" else 64
        self._pad = token_id(self.tokenizer, PAD)
        self._end = token_id(self.tokenizer, END)
        self._vocabulary = self.tokenizer.get_vocab_size()
        self._guide = llguidance.LLTokenizer(tokenizer.read_text(encoding="utf-8"), eos_token=self._end)

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer, its end token left out."""
        return str(self.tokenizer.decode([i for i in ids if i != self._end], skip_special_tokens=False))

    def accepts(self, grammar: str, ids: Sequence[int]) -> bool:
        """Whether an answer with its end token is one that the grammar allows."""
        matcher = llguidance.LLMatcher(self._guide, grammar)
        body = list(ids[:-1])
        whole = bool(ids) and ids[-1] == self._end and matcher.validate_tokens(body) == len(body)
        return whole and (not body or matcher.consume_tokens(body)) and matcher.is_accepting()

    @torch.inference_mode()
    def answers(
        self, prompts: Sequence[list[int]], grammars: Sequence[str | None], temperature: float = 0.0, seed: int = 0
    ) -> list[list[int]]:
        """For each prompt the ids up to and with the end token, or `MAX_TOKENS` of them.

        Args:
            temperature: 0 takes the likeliest token, otherwise tokens are drawn.
        """
        found: list[list[int]] = [[] for _ in prompts]
        draws = torch.Generator(self.device).manual_seed(seed)
        for rows in self._batches(prompts):
            answers = self._answer([prompts[row] for row in rows], [grammars[row] for row in rows], temperature, draws)
            for row, ids in zip(rows, answers, strict=True):
                found[row] = ids
        return found

    @torch.inference_mode()
    def agreement(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> float:
        """The share of answer tokens that this model, given what stands before them, would choose itself."""
        agreed = total = 0
        whole = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
        for rows in self._batches(whole):
            ids_BS, mask_BS = self._left_padded([whole[row] for row in rows])
            choice_BS = self._forward(ids_BS, mask_BS, None).logits.argmax(-1)
            for at, row in enumerate(rows):
                count = len(answers[row])
                agreed += int((choice_BS[at, -count - 1 : -1] == ids_BS[at, -count:]).sum())
                total += count
        return agreed / total

    def _batches(self, prompts: Sequence[list[int]]) -> Iterator[list[int]]:
        order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        for at in range(0, len(order), self.batch):
            yield order[at : at + self.batch]

    def _left_padded(self, prompts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        length = max(map(len, prompts))
        ids_BS = torch.full((len(prompts), length), self._pad)
        mask_BS = torch.zeros_like(ids_BS)
        for row, prompt in enumerate(prompts):
            ids_BS[row, length - len(prompt) :] = torch.tensor(prompt)
            mask_BS[row, length - len(prompt) :] = 1
        return ids_BS.to(self.device), mask_BS.to(self.device)

    def _forward(self, ids: Tensor, mask_BS: Tensor, cache: Json) -> Json:
        position_BS = (mask_BS.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return self.model(
            input_ids=ids, attention_mask=mask_BS, position_ids=position_BS, past_key_values=cache, use_cache=True
        )

    def _answer(
        self, prompts: Sequence[list[int]], grammars: Sequence[str | None], temperature: float, draws: torch.Generator
    ) -> list[list[int]]:
        matchers = [None if grammar is None else llguidance.LLMatcher(self._guide, grammar) for grammar in grammars]
        answers: list[list[int]] = [[] for _ in prompts]
        running = set(range(len(prompts)))
        ids, mask_BS = self._left_padded(prompts)
        cache = None
        while running:
            output = self._forward(ids, mask_BS, cache)
            cache = output.past_key_values
            logits_BV = output.logits[:, -1]
            allowed_BV = self._allowed(matchers, running)
            if allowed_BV is not None:
                logits_BV = logits_BV.masked_fill(~torch.from_numpy(allowed_BV).to(self.device), -torch.inf)
            if temperature:
                share_BV = (logits_BV / temperature).softmax(-1)
                chosen = torch.multinomial(share_BV, 1, generator=draws)[:, 0].tolist()
            else:
                chosen = logits_BV.argmax(-1).tolist()
            for row in sorted(running):
                answers[row].append(chosen[row])
                matcher = matchers[row]
                if matcher is not None and chosen[row] != self._end:
                    matcher.consume_token(chosen[row])
                if chosen[row] == self._end or len(answers[row]) == MAX_TOKENS:
                    running.discard(row)
            ids = torch.tensor(chosen, device=self.device)[:, None]
            mask_BS = torch.cat((mask_BS, torch.ones_like(ids)), dim=1)
        return answers

    def _allowed(self, matchers: Sequence[llguidance.LLMatcher | None], running: set[int]) -> np.ndarray | None:
        """Which tokens each running row may take, as booleans [B, V]; None when no row has a grammar."""
        if all(matcher is None for matcher in matchers):
            return None
        words_BW = llguidance.numpy.allocate_token_bitmask(len(matchers), self._vocabulary)
        for row in running:
            matcher = matchers[row]
            if matcher is not None:
                llguidance.numpy.fill_next_token_bitmask(matcher, words_BW, row)
        bits = np.unpackbits(words_BW.view(np.uint8), axis=1, bitorder="little")
        return bits[:, : self._vocabulary].astype(bool)


def parse(text: str) -> tuple[bool, Json]:
    """Whether `text` is JSON, and its value."""
    try:
        return True, json.loads(text)
    except json.JSONDecodeError:
        return False, None


def same(left: Json, right: Json) -> bool:
    """Equality of JSON values in which `true` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
