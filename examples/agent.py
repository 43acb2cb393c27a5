"""An agent written by hand: a `while` loop, two tools, and a budget of steps. Each turn of the model is valid JSON."""

from __future__ import annotations

import json
from typing import Any

import ramify as rf
from ramify.seedling.training.tools import calculate

PRICES = {"price of desk lamp": "24.50", "price of notebook": "3.20"}
ACTION = {
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
SYSTEM = (
    'Tools: calculator(expression), lookup(key). Reply with JSON: {"tool": name, "input": text} or {"answer": text}.'
)


def use(action: dict[str, Any]) -> str:
    if action["tool"] == "lookup":
        return PRICES.get(action["input"], "not found")
    return calculate(action["input"])


@rf.function
def agent(s: rf.State, question: str, steps: int = 6) -> str:
    s += rf.system(SYSTEM) + rf.user(question)
    for _ in range(steps):
        s += rf.assistant(rf.gen("action", type=ACTION, max_tokens=100))
        action = s["action"].get()
        if "answer" in action:
            return action["answer"]
        s += rf.tool(use(action))
    return json.dumps({"error": f"no answer in {steps} steps"})


if __name__ == "__main__":
    print(agent.on("seedling").run("How much more does the desk lamp cost than the notebook?"))
