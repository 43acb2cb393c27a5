"""seedling: the small language model that travels with ramify, and how it is made.

`path()` is the target (a plain Llama of about six million parameters), `draft_path()` its speculative draft with the
same vocabulary. Importing this package loads neither torch nor a tokenizer; `ramify.seedling.training` makes the files.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["draft_path", "path"]


def path() -> Path:
    """The directory of the target model: config, weights, tokenizer with chat template, generation config, card."""
    return Path(__file__).resolve().parent


def draft_path() -> Path:
    """The directory of the draft model: config and weights; its tokenizer is the target's."""
    return path() / "draft"
