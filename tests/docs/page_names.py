"""What README.md and docs/architecture.md leave out: names that their blocks use and a reader does not need to see.

Every program here ends well on any model, because its types leave no other choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import ramify as rf
from ramify.seedling.notation import describe

__all__ = ["POLICY", "QUESTIONS", "Fix", "Kind", "Order", "describe", "judge", "policy_ok", "rf", "text"]

POLICY = "Be brief."
QUESTIONS = ("Who is the customer?", "How much is the order?")
Kind = Literal["bug", "feature", "billing"]
text = "The app crashes when I open it."


@dataclass
class Order:
    customer: str
    total: float


@dataclass
class Fix:
    action: Literal["restart", "refund", "wait"]


def policy_ok(fix: Fix) -> None:
    assert fix.action in ("restart", "refund", "wait")


@rf.function
def judge(s: rf.State, fix: Fix) -> rf.Value[int]:
    s += rf.user(rf.fmt("How good is this? {fix}", fix=fix))
    with s.assistant():
        return s.gen("score", type=Literal[1, 2, 3, 4, 5])
