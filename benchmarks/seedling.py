"""How often the bundled model is right: 1,000 held-out cases of each task, with and without grammar.

    python benchmarks/seedling.py                    # print the tables
    python benchmarks/seedling.py --cases 100        # a quick look
    python benchmarks/seedling.py --write            # put the tables into the model card

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
from ramify.seedling.training.evaluate import evaluate, table, write_card


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=path(), help="model directory with a draft/ beside the weights")
    parser.add_argument("--cases", type=int, default=1000, help="held-out cases of each task")
    parser.add_argument("--write", action="store_true", help="write the tables into the model's card")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads: no more than there are free cores")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    report = evaluate(arguments.model, arguments.cases, log=lambda line: print(line, file=sys.stderr, flush=True))
    processor = f"{torch.get_num_threads()} {platform.machine()} CPU thread(s)"
    text = table(report, torch.cuda.get_device_name() if torch.cuda.is_available() else processor)
    print(text)
    if arguments.write:
        write_card(arguments.model / "MODEL_CARD.md", text)
    if report.missed:
        print(f"goal missed: {'; '.join(report.missed)}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
