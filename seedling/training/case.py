"""What a task makes: a conversation whose last turn is the right answer, and what an evaluation needs to judge it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from .records import Json


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation; `trained` marks the assistant turns that are right and carry the loss."""

    role: str
    text: str
    trained: bool = False


@dataclass(frozen=True)
class Case:
    """A conversation of one task.

    Attributes:
        task: `extraction`, `classification`, `agent`, `facts`, `correction` or one of the auxiliary tasks.
        turns: the whole conversation, the gold answer last.
        value: the gold answer as JSON (a string for bare answers).
        schema: JSON Schema of the last turn, or None when it is bare text.
        choices: the allowed bare answers, or empty.
        lookups: what the `lookup` tool knows (agent only).
    """

    task: str
    turns: tuple[Turn, ...]
    value: Json
    schema: Mapping[str, Json] | None = None
    choices: tuple[str, ...] = ()
    lookups: Mapping[str, str] = field(default_factory=dict)


def dumps(value: Json) -> str:
    """JSON in the one style the model writes: `, ` and `: `, keys in the given order, no escapes for letters."""
    return json.dumps(value, ensure_ascii=False)


def system(text: str) -> Turn:
    return Turn("system", text)


def user(text: str) -> Turn:
    return Turn("user", text)


def gold(text: str) -> Turn:
    """A right assistant turn."""
    return Turn("assistant", text, trained=True)


def wrong(text: str) -> Turn:
    """An assistant turn that the model must see and must not learn."""
    return Turn("assistant", text)


def tool(text: str) -> Turn:
    return Turn("tool", text)
