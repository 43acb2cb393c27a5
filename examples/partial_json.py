"""A JSON value while it is generated: each field is shown as soon as it is finished, as a value of its type."""

from __future__ import annotations

from dataclasses import dataclass

import ramify as rf
from ramify.seedling.notation import describe

TEXT = "Maria Lopez ordered 3 desk lamps for EUR 84.50. The order is to be delivered to Lisbon."


@dataclass
class Order:
    customer: str
    city: str
    total: float


@rf.function
def read_order(s: rf.State, text: str) -> rf.Value[Order]:
    s += rf.system(f"Extract JSON with fields: {describe(rf.schema(Order))}") + rf.user(text)
    with s.assistant():
        return s.gen("order", type=Order, max_tokens=100)


if __name__ == "__main__":
    run = read_order.on("seedling", events=True).start(TEXT)
    for event in run.events():
        if isinstance(event, rf.PartialValue):
            print(event.value)
    print(run.result())
