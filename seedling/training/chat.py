"""The chat format: one header per turn, nothing rewritten, nothing stripped.

    <|im_start|>role\n text <|im_end|>\n

Adding a turn never changes what was rendered before, and every newline is a token of its own, so a conversation
encoded turn by turn has the same ids as one encoded whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from .case import Turn

START = "<|im_start|>"
END = "<|im_end|>"
PAD = "<|endoftext|>"
SPECIAL = (PAD, START, END)

TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def render(turns: Sequence[Turn], *, prompt: bool = False) -> str:
    """The text of a conversation; with `prompt` the header of the assistant's next turn follows."""
    text = "".join(f"{START}{turn.role}\n{turn.text}{END}\n" for turn in turns)
    return f"{text}{START}assistant\n" if prompt else text


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a control token.

    Raises:
        ValueError: the tokenizer lacks it.
    """
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no {token}")
    return int(found)


def weight_of(tokens: int) -> int:
    """How much each token of a right answer counts in the loss: short answers would drown among long ones."""
    return 4 if tokens <= 6 else 2 if tokens <= 24 else 1


class Encoder:
    """Turns to ids with a weight on every id that carries the loss."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._end = token_id(tokenizer, END)
        roles = ("system", "user", "assistant", "tool")
        self._heads = {role: tokenizer.encode(f"{START}{role}\n").ids for role in roles}
        self._newline = tokenizer.encode("\n").ids

    def encode(self, conversations: Sequence[Sequence[Turn]]) -> list[tuple[list[int], list[int]]]:
        """For each conversation its ids and, for each id, its weight: 0, or more in a right answer and its end."""
        texts = [turn.text for turns in conversations for turn in turns]
        encoded = iter(self._tokenizer.encode_batch_fast(texts))
        return [self._join(turns, [next(encoded).ids for _ in turns]) for turns in conversations]

    def _join(self, turns: Sequence[Turn], bodies: Sequence[list[int]]) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        weights: list[int] = []
        for turn, body in zip(turns, bodies, strict=True):
            head = self._heads[turn.role]
            ids += [*head, *body, self._end, *self._newline]
            weight = weight_of(len(body)) if turn.trained else 0
            weights += [0] * len(head) + [weight] * (len(body) + 1) + [0] * len(self._newline)
        return ids[: -len(self._newline)], weights[: -len(self._newline)]
