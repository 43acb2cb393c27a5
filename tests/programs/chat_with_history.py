"""A chat that goes on from messages of another day, and gives them back with the new turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import ramify as rf

Message = dict[str, str]
ROLES = {"system": rf.system, "user": rf.user, "assistant": rf.assistant}


@rf.function
async def reply(s: rf.State, history: list[Message], message: str) -> tuple[str, list[Message]]:
    for turn in history:
        s += ROLES[turn["role"]](turn["content"])
    s += rf.user(message)
    s += rf.assistant(rf.gen("reply", max_tokens=40))
    answer = await s["reply"]
    return answer, [*history, {"role": "user", "content": message}, {"role": "assistant", "content": answer}]


if TYPE_CHECKING:
    assert_type(reply.on("seedling").run([], "Hello"), tuple[str, list[Message]])
