"""Five hundred rows, some at a time, with progress and hit rate; started again, only what is missing is run.

python examples/batch.py [journal]        stop it with Ctrl-C and start it again
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import ramify as rf


@rf.function
def tone(s: rf.State, number: int, text: str) -> str:
    s += rf.system("Classify the sentiment: positive, negative or neutral.") + rf.user(text)
    with s.assistant():
        return str(s.select("tone", ["positive", "negative", "neutral"]))


def rows(count: int = 500) -> Iterator[dict[str, Any]]:
    goods = ("lamp", "desk", "chair", "kettle", "radio")
    remarks = ("The {} is wonderful, thank you!", "The {} arrived broken.", "The {} arrived on Tuesday.")
    for number in range(count):
        yield {"number": number, "text": remarks[number % 3].format(goods[number // 3 % 5])}


def main(journal: str) -> None:
    found: dict[str, int] = {}
    resumed = 0
    batch = tone.on("seedling").batch(rows(), key=lambda row: str(row["number"]), journal=journal, progress=True)
    for item in batch:
        resumed += item.resumed
        found[item.value or repr(item.error)] = found.get(item.value or repr(item.error), 0) + 1
    print(f"{found}, {resumed} of them from {journal}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tones.jsonl")
