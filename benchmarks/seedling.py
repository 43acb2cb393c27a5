"""How often the bundled model is right: 1,000 held-out cases of each task, greedy, with and without grammar.

    python benchmarks/seedling.py                    # print the table; 23 minutes on one CPU thread
    python benchmarks/seedling.py --cases 100        # a quick look
    python benchmarks/seedling.py --write            # put the table into the model card

The model runs under plain `transformers` with llguidance masks, not under ramify's engine, so that the figures are the
model's own. A GPU is used when there is one. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import torch
from ramify.seedling import path
from ramify.seedling.training.evaluate import DRAFT_GOAL, GOALS, evaluate, table, write_card


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=path(), help="model directory with a draft/ beside the weights")
    parser.add_argument("--cases", type=int, default=1000, help="held-out cases of each task")
    parser.add_argument("--novel", type=int, default=None, help="cases with unseen wordings (default: as --cases)")
    parser.add_argument("--write", action="store_true", help="write the table into the model's card")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads: no more than there are free cores")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    novel = arguments.cases if arguments.novel is None else arguments.novel
    rows, seconds = evaluate(
        arguments.model, arguments.cases, novel, log=lambda line: print(line, file=sys.stderr, flush=True)
    )
    print(table(rows))
    processor = f"{torch.get_num_threads()} {platform.machine()} CPU thread(s)"
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else processor
    print(f"{seconds:.0f} s on {where}")
    if arguments.write:
        write_card(arguments.model / "MODEL_CARD.md", rows, seconds, where)
    missed = [row.task for row in rows if row.right < GOALS[row.task] or row.agreement < DRAFT_GOAL]
    if missed:
        print(f"goal missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
