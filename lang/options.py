"""The options of a gen, in one place: `gen` takes them, and `State.gen` is typed by them.

`type` and `check` are not among them, because what they are typed as depends on the value.
"""

from __future__ import annotations

from typing import TypedDict


class GenOptions(TypedDict, total=False):
    """See `ramify.gen`, which says what each is."""

    max_tokens: int | None
    stop: str | tuple[str, ...] | list[str]
    stop_ids: tuple[int, ...] | list[int]
    ignore_eos: bool
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    repetition_penalty: float | None
    logprobs: int | None
    retries: int | None
