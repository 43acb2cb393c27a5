"""The one command: `python -m ramify.seedling.training [--out DIR] [--steps N] [--workers N] [--keep-tokenizer]`.

Without arguments it makes the files of `seedling/` again (one H200, under fifteen minutes; the same command runs on any
CUDA GPU, more slowly). Data come from the seed alone; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

from .. import path
from . import mixture, tokenizer
from .train import Recipe, train

_TOKENIZER_CASES = 30_000
_TOKENIZER_SEED = 7 << 50
"""Far from the seeds of training blocks."""


def make_tokenizer(directory: Path, max_length: int) -> None:
    """Learn the vocabulary from conversations of the training mixture and write it."""
    roles = ["system\n", "user\n", "assistant\n", "tool\n"] * 1000
    cases = (mixture.case(_TOKENIZER_SEED + number) for number in range(_TOKENIZER_CASES))
    made = tokenizer.train([*roles, *(turn.text for case in cases for turn in case.turns)])
    tokenizer.save(made, directory, max_length)


def main() -> None:
    defaults = Recipe()
    parser = argparse.ArgumentParser(prog="python -m ramify.seedling.training", description=__doc__)
    parser.add_argument("--out", type=Path, default=path(), help="directory to write (default: the package's own)")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--rows", type=int, default=defaults.rows)
    parser.add_argument("--passes", type=int, default=defaults.passes)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    parser.add_argument("--keep-tokenizer", action="store_true", help="use the tokenizer.json that is there")
    arguments = parser.parse_args()
    started = time.perf_counter()
    recipe = dataclasses.replace(
        defaults, steps=arguments.steps, rows=arguments.rows, passes=arguments.passes, workers=arguments.workers
    )
    if not arguments.keep_tokenizer:
        make_tokenizer(arguments.out, recipe.target.positions)
    train(recipe, arguments.out / "tokenizer.json", arguments.out)
    print(f"made in {time.perf_counter() - started:.0f}s")


if __name__ == "__main__":
    main()
