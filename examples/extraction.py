"""Typed extraction with a check: a value that fails it goes back to the model with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import ramify as rf
from ramify.seedling.notation import describe

TEXT = (
    "The receipt lists a desk lamp at EUR 24.50 and a notebook at EUR 3.20. The total is EUR 27.70, paid with a card."
)


@dataclass
class Line:
    item: str
    price: float


@dataclass
class Receipt:
    items: list[Line]
    total: float


def adds_up(receipt: Receipt) -> None:
    expected = round(sum(line.price for line in receipt.items), 2)
    if receipt.total != expected:
        raise ValueError(f"total: must equal the sum of the items, {expected}")


@rf.function
def read_receipt(s: rf.State, text: str) -> Receipt:
    s += rf.system(f"Extract JSON with fields: {describe(rf.schema(Receipt))}")
    s += rf.user(text)
    s += rf.assistant(rf.gen("receipt", type=Receipt, max_tokens=200, check=adds_up, retries=2))
    return s["receipt"]


if __name__ == "__main__":
    print(read_receipt.on("seedling").run(TEXT))
