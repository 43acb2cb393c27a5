"""Fifty child runs side by side, and a sum that is right to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import TypedDict

import ramify as rf
from ramify.seedling.notation import describe


class Total(TypedDict):
    total: float


def receipt(n: int) -> tuple[str, Decimal]:
    amount = Decimal(300 + 137 * n) / 100
    return f"The receipt lists a total of EUR {amount:.2f} and was paid in cash.", amount


@rf.function
def read_total(s: rf.State, text: str) -> Total:
    s += rf.system(f"Extract JSON with fields: {describe(rf.schema(Total))}")
    s += rf.user(text) + rf.assistant(rf.gen("total", type=Total, max_tokens=30))
    return s["total"]


@rf.function
def add_up(s: rf.State, texts: list[str]) -> Decimal:
    totals = rf.map(read_total, texts, limit=32)
    return sum((Decimal(str(value.get()["total"])) for value in totals), Decimal(0))


if __name__ == "__main__":
    receipts = [receipt(n) for n in range(50)]
    found = add_up.on("seedling").run([text for text, _ in receipts])
    print(f"found {found}, expected {sum(amount for _, amount in receipts)}")
