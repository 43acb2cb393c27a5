"""`select`: one of some choices, by the model's own probabilities, without generating a token.

    s += rf.assistant(rf.select("kind", ["bug", "feature", "billing"]))
    s["kind"]                    "bug"
    s["kind"].probabilities      {"bug": 0.91, "feature": 0.07, "billing": 0.02}

The probability of a choice is that of a gen that may write nothing but the choices. Choices that differ in their first
token cost no forward beyond the prompt's.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from ..errors import InvalidType
from .expr import SelectExpr
from .value import Value

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")


def select(name: str, choices: Sequence[str] | type[enum.Enum] | Any, *, temperature: float = 0.0) -> SelectExpr:
    """Choose here.

    Args:
        name: `s[name]` is the choice afterwards; a name used again appends to `s.all(name)`.
        choices: different texts that are not empty; or an `Enum` class or a `Literal`, whose values are written and
            whose members `s[name]` gives back.
        temperature: 0 takes the most probable choice; above, one is drawn.

    Raises:
        InvalidType: `choices` is none of these.
    """
    texts, values = choices_of(choices, name)
    return SelectExpr(name, texts, values, temperature)


def choices_of(choices: Any, where: str = "") -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The texts to choose from, and what each stands for. Raises InvalidType."""
    if isinstance(choices, type) and issubclass(choices, enum.Enum):
        members = tuple(choices)
        return tuple(str(member.value) for member in members), members
    if get_origin(choices) is Literal:
        values = get_args(choices)
        return tuple(map(str, values)), values
    if isinstance(choices, Sequence) and not isinstance(choices, str | bytes):
        texts = tuple(choices)
        if all(isinstance(text, str) for text in texts):
            return tuple(map(str, texts)), tuple(map(str, texts))
    raise InvalidType(
        f"{choices!r} is not a list of texts", where=where, hint="give a list of str, an Enum class or a Literal"
    )


class Selected(Value[T]):
    """The value of a select."""

    def __init__(
        self, run: Run[Any], node: int, name: str, path: str, site: str, texts: tuple[str, ...], values: tuple[T, ...]
    ) -> None:
        by_text = dict(zip(texts, values, strict=True))
        super().__init__(run, node, name, path, site, by_text.__getitem__)
        self.choices = texts

    @property
    def probabilities(self) -> dict[str, float]:
        """The model's probability of each choice, by its text; they sum to one. Waits."""
        self.get()
        assert self._done is not None and self._done.choice_logprobs is not None
        return {text: math.exp(logprob) for text, logprob in zip(self.choices, self._done.choice_logprobs, strict=True)}
