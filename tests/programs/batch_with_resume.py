"""Ten thousand rows through one program, some at a time; what is done is not done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import ramify as rf


@rf.function
def label(s: rf.State, number: int, text: str) -> rf.Value[str]:
    s += rf.system("Give the text a label.") + rf.user(text)
    with s.assistant():
        return s.gen("label", max_tokens=4, temperature=0)


def rows(count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(count):
        yield {"number": number, "text": f"text number {number}"}


def run_all(engine: rf.Engine | rf.testing.Scripted | str, count: int, journal: Path) -> dict[str, str]:
    labels = {}
    for item in label.on(engine).batch(rows(count), key=lambda row: str(row["number"]), journal=journal):
        if item.value is None:
            raise RuntimeError(f"row {item.key}") from item.error
        labels[item.key] = item.value
    return labels


if TYPE_CHECKING:
    assert_type(label.on("seedling").batch(rows(3)), Iterator[rf.Item[str]])
