"""What `make demo` runs: four programs on the bundled model, what they give and what they cost.

python examples/demo.py ["a sentence or two about an order"]
"""

from __future__ import annotations

import inspect
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import ramify as rf
from ramify.seedling.notation import describe
from ramify.seedling.training.tools import calculate

TEXT = (
    "Maria Lopez ordered 3 desk lamps and 2 notebooks for EUR 84.50. "
    "The order is to be delivered to Lisbon on 4 May 2026."
)
Name = Annotated[str, msgspec.Meta(max_length=40)]


@dataclass
class Item:
    name: Name
    quantity: int


@dataclass
class Order:
    customer: Name
    items: Annotated[list[Item], msgspec.Meta(max_length=5)]
    total: float
    city: Name


# ---- 1. a typed value out of a sentence, and 3 questions that share its KV -----------------------------------------

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


# ---- 2. the same prompts with the grammar off and on ----------------------------------------------------------------

REQUESTS = (
    f"Extract JSON with fields: {describe(rf.schema(Order))}",
    "Give me the order as JSON.",
    "Extract JSON with fields: customer, items, total, city",
    "Write the customer, the items with their quantities, the total and the city as JSON.",
)


@rf.function
def ask_in_words(s: rf.State, request: str, text: str, times: int) -> list[list[str]]:
    s += rf.user(request + "\n", text)
    free, held = s.fork(times), s.fork(times)
    for state in free:
        state += rf.assistant(rf.gen("order", max_tokens=400, temperature=0.7))
    for state in held:
        state += rf.assistant(rf.gen("order", type=Order, max_tokens=400, temperature=0.7))
    return [[text_of(state["order"]) for state in states] for states in (free, held)]


def text_of(order: rf.Value[Any]) -> str:
    try:
        return order.text
    except rf.errors.NodeError:  # the model ran into max_tokens
        return ""


def is_order(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=Order)
    except msgspec.MsgspecError:
        return False
    return True


# ---- 3. an agent with a calculator, checked by Python ---------------------------------------------------------------

PRICES = {"price of desk lamp": "24.50", "price of notebook": "3.20"}
SYSTEM = (
    'Tools: calculator(expression), lookup(key). Reply with JSON: {"tool": name, "input": text} or {"answer": text}.'
)
ACTION: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"tool": {"enum": ["calculator", "lookup"]}, "input": {"type": "string", "maxLength": 80}},
            "required": ["tool", "input"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"answer": {"type": "string", "maxLength": 80}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    ]
}


@rf.function
def agent(s: rf.State, question: str, steps: int = 6) -> list[str]:
    s += rf.system(SYSTEM) + rf.user(question)
    trail = []
    for _ in range(steps):
        s += rf.assistant(rf.gen("action", type=ACTION, max_tokens=100))
        action = s["action"].get()  # a fence: Python looks, and decides what comes next
        if "answer" in action:
            return [*trail, action["answer"]]
        key = action["input"]
        result = PRICES.get(key, "not found") if action["tool"] == "lookup" else calculate(key)
        trail.append(f"{action['tool']}({key}) = {result}")
        s += rf.tool(result)
    return [*trail, "no answer"]


def main(text: str = TEXT) -> None:
    print(inspect.getsource(read_order._body))
    begin = time.perf_counter()
    with rf.Engine("seedling") as engine:
        print(f"engine ready in {time.perf_counter() - begin:.1f} s\n")
        show_order(engine, text)
        show_grammar(engine, text)
        show_agent(engine)


def show_order(engine: rf.Engine, text: str) -> None:
    begin = time.perf_counter()
    run = read_order.on(engine).start(text)
    order, answers = run.result()
    elapsed, report = time.perf_counter() - begin, run.report()
    print(f"1. text:    {text}")
    print(f"   result:  {order!r}")
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"            {question} {answer}")
    print(f"   {report.gens} gens, {report.decoded} tokens generated in {elapsed:.2f} s, {report.deltas} message sent")
    print("   prefill tokens:")
    print(f"     {report.prefill:5d}  computed")
    print(
        f"     {report.ideal_prefill:5d}  ideal: each distinct prefix once, and one for each gen that is gone on from"
    )
    print(f"     {report.resent_prefill:5d}  a client that resends the text, to a server with a prefix cache")
    print(f"     {report.uncached_prefill:5d}  the same without a prefix cache\n")


def show_grammar(engine: rf.Engine, text: str, times: int = 10) -> None:
    print(f"2. valid orders of {times} at temperature 0.7, by request       grammar off   on")
    for request in REQUESTS:
        free, held = ask_in_words.on(engine).run(request, text, times)
        print(f"     {request[:55]:<58} {sum(map(is_order, free)):>6} {sum(map(is_order, held)):>6}")
    print()


def show_agent(engine: rf.Engine) -> None:
    question = "How much more does the desk lamp cost than the notebook?"
    *trail, answer = agent.on(engine).run(question)
    expected = Decimal(PRICES["price of desk lamp"]) - Decimal(PRICES["price of notebook"])
    print(f"3. {question}")
    for step in trail:
        print(f"     {step}")
    verdict = "right" if answer == f"{expected.normalize():f}" else "wrong"
    print(f"     answer: {answer}, which is {verdict}: Python says {expected}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or TEXT)
