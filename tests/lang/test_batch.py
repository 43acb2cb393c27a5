"""`batch`: rows fail alone, a journal is gone on with, and nothing is left of what was cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import ramify as rf
from ramify.errors import InvalidRequest, NodeError
from ramify.lang.testing import Call, Scripted


@dataclass
class Label:
    name: str
    n: int


@rf.function
def label(s: rf.State, text: str, n: int) -> Label:
    if n % 13 == 5:
        raise ValueError(f"row {n}")
    s += rf.user(text) + rf.assistant(rf.gen("name", max_tokens=5))
    return Label(str(s["name"]), n)


def rows(count: int) -> list[dict[str, Any]]:
    return [{"text": f"text {n}", "n": n} for n in range(count)]


def name_of(row: Any) -> str:
    return f"row-{row['n']}"


def test_rows_that_fail_are_items_and_the_others_finish() -> None:
    items = list(label.on(Scripted({"name": "x"})).batch(rows(500), key=name_of))
    assert sorted(item.index for item in items) == list(range(500))
    failed = [item for item in items if not item.ok]
    assert {item.index for item in failed} == {n for n in range(500) if n % 13 == 5}
    assert all(isinstance(item.error, ValueError) for item in failed)
    assert all(item.value == Label("x", item.index) for item in items if item.ok)


def test_an_error_of_a_node_has_its_path_and_line() -> None:
    (item,) = label.on(Scripted({"name": RuntimeError("no")})).batch(rows(1))
    assert isinstance(item.error, NodeError)
    assert item.error.path == "label/name[0]" and "test_batch.py" in item.error.site


def test_a_journal_is_gone_on_with(tmp_path: Path) -> None:
    journal = tmp_path / "batch.jsonl"
    first = Scripted({"name": "x"})
    iterator = label.on(first).batch(rows(100), key=name_of, journal=journal, window=8)
    done = {item.key for item in islice(iterator, 30) if item.ok}
    iterator.close()  # type: ignore[attr-defined]
    second = Scripted({"name": "y"})
    items = list(label.on(second).batch(rows(100), key=name_of, journal=journal))
    resumed = {item.key for item in items if item.resumed}
    assert resumed == done
    assert len(items) == 100
    assert all(item.value == Label("x" if item.resumed else "y", item.index) for item in items if item.ok)
    assert len(second.calls) == 100 - len(done) - sum(not item.ok for item in items)


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    journal = tmp_path / "batch.jsonl"
    list(label.on(Scripted({"name": "x"})).batch(rows(3), journal=journal))
    data = journal.read_bytes()
    journal.write_bytes(data[:-4])
    items = list(label.on(Scripted({"name": "y"})).batch(rows(3), journal=journal))
    assert sorted(item.resumed for item in items) == [False, True, True]
    assert all(item.resumed for item in label.on(Scripted({})).batch(rows(3), journal=journal))


def test_what_is_not_a_journal_is_refused_with_its_line(tmp_path: Path) -> None:
    journal = tmp_path / "notes.txt"
    journal.write_text("hello\n")
    with pytest.raises(InvalidRequest) as caught:
        label.on(Scripted({})).batch(rows(1), journal=journal)
    assert caught.value.where.endswith("notes.txt:1")


def test_no_more_rows_than_the_window_are_read_or_run_ahead() -> None:
    taken: list[int] = []

    def endless() -> Any:
        n = 0
        while True:
            taken.append(n)
            yield {"text": "t", "n": 13 * n}
            n += 1

    iterator = label.on(Scripted({"name": "x"})).batch(endless(), window=4)
    for _ in range(10):
        next(iterator)
    assert len(taken) <= 10 + 4 + 1
    iterator.close()  # type: ignore[attr-defined]


def test_two_rows_with_one_key() -> None:
    with pytest.raises(InvalidRequest, match="two rows have the key"):
        list(label.on(Scripted({"name": "x"})).batch(rows(3), key=lambda row: "same"))


def test_ten_thousand_rows(tmp_path: Path) -> None:
    def answer(call: Call) -> str:
        return call.messages[0]["content"].removeprefix("text ")

    items = list(label.on(Scripted(answer)).batch(rows(10_000), journal=tmp_path / "j"))
    assert len(items) == 10_000
    assert all(item.value == Label(str(item.index), item.index) for item in items if item.ok)
    again = list(label.on(Scripted({})).batch(rows(10_000), journal=tmp_path / "j"))
    assert sum(item.resumed for item in again) == sum(item.ok for item in items)
