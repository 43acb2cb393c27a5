"""Fields of a JSON value, put on a queue as soon as each of them is finished."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_type

import ramify as rf


@dataclass
class Order:
    customer: str
    city: str
    total: float


@rf.function
def read_order(s: rf.State, text: str) -> rf.Value[Order]:
    s += rf.system("Extract JSON with fields: customer (string), city (string), total (number)")
    s += rf.user(text)
    with s.assistant():
        return s.gen("order", type=Order, max_tokens=80)


def follow(engine: rf.Engine | rf.testing.Scripted | str, text: str, fields: queue.Queue[tuple[str, object]]) -> Order:
    run = read_order.on(engine, events=True).start(text)
    seen: set[str] = set()
    for event in run.events():
        if isinstance(event, rf.PartialValue) and isinstance(event.value, dict):
            for name, value in event.value.items():
                if name not in seen:
                    seen.add(name)
                    fields.put((name, value))
    return run.result()


if TYPE_CHECKING:
    assert_type(read_order.on("seedling").run("..."), Order)
