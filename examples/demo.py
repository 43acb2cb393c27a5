"""What `make demo` runs: one program on the bundled model, its typed result, and what it cost.

python examples/demo.py ["a sentence or two about an order"]
"""

from __future__ import annotations

import inspect
import sys
import time
from dataclasses import dataclass

import ramify as rf
from ramify.seedling.notation import describe

TEXT = (
    "Maria Lopez ordered 3 desk lamps and 2 notebooks for EUR 84.50. "
    "The order is to be delivered to Lisbon on 4 May 2026."
)


@dataclass
class Item:
    name: str
    quantity: int


@dataclass
class Order:
    customer: str
    items: list[Item]
    total: float
    city: str


QUESTIONS = ("Who is the customer?", "How much is the order?", "When is the order to be delivered?")


@rf.function
def read_order(s: rf.State, text: str) -> tuple[Order, list[str]]:
    s += rf.user(f"Extract JSON with fields: {describe(rf.schema(Order))}\n", text)
    s += rf.assistant(rf.gen("order", type=Order, max_tokens=150))  # the JSON cannot come out malformed
    branches = s.fork(len(QUESTIONS))  # O(1): they share the KV of everything so far
    for branch, question in zip(branches, QUESTIONS, strict=True):
        branch += rf.user(question)
        branch += rf.assistant(rf.gen("answer", max_tokens=30))
    return s["order"], [branch["answer"] for branch in branches]


def main() -> None:
    text = " ".join(sys.argv[1:]) or TEXT
    print(inspect.getsource(read_order._body))
    begin = time.perf_counter()
    with rf.Engine("seedling") as engine:
        print(f"engine ready in {time.perf_counter() - begin:.1f} s")
        begin = time.perf_counter()
        run = read_order.on(engine).start(text)
        order, answers = run.result()
        elapsed = time.perf_counter() - begin
        report = run.report()
    print(f"text:    {text}")
    print(f"result:  {order!r}")
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"         {question} {answer}")
    print(f"\n{report.gens} gens, {report.decoded} tokens generated in {elapsed:.2f} s, {report.deltas} message sent")
    print("prefill tokens:")
    print(f"  {report.prefill:5d}  computed")
    print(f"  {report.ideal_prefill:5d}  ideal: each distinct prefix once, and one for each gen that is gone on from")
    print(f"  {report.resent_prefill:5d}  a client that resends the text, to a server with a prefix cache")
    print(f"  {report.uncached_prefill:5d}  the same without a prefix cache")


if __name__ == "__main__":
    main()
