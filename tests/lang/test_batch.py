"""`batch`: rows fail alone, a journal is gone on with, and nothing is left of what was cancelled."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import ContextOverflow, InvalidRequest, NodeError
from ramify.lang import program as program_module
from ramify.lang.batch import Item, run_batch
from ramify.lang.dry_run import DryRun
from ramify.lang.journal import Journal
from ramify.lang.testing import Call, Scripted
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


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
    iterator = label.on(first).batch(rows(100), key=name_of, journal=journal, limit=8)
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


def test_no_more_rows_than_the_limit_are_read_or_run_ahead() -> None:
    taken: list[int] = []

    def endless() -> Any:
        n = 0
        while True:
            taken.append(n)
            yield {"text": "t", "n": 13 * n}
            n += 1

    iterator = label.on(Scripted({"name": "x"})).batch(endless(), limit=4)
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


@rf.function
def row_of(s: rf.State, n: int) -> tuple[int, str]:
    s += f"row {n}" + rf.gen("x", max_tokens=3, ignore_eos=True)
    if n in RAISES:
        s += "word " * 700 + rf.gen("y", max_tokens=1)  # longer than the context
        str(s["y"])
    return n, s["x"]


RAISES = frozenset(random.Random(5).sample(range(500), 37))


def test_37_of_500_rows_raise_on_an_engine_and_nothing_is_left_of_any(parts: Parts) -> None:
    async def main() -> list[Item[Any]]:
        world, link = make_world(parts, 81, 1)

        def play() -> list[Item[Any]]:
            return list(run_batch(row_of.launch, link, ({"n": n} for n in range(500)), None, 64, Journal(None, None)))

        items = await link.hub.in_greenlet(play)
        await world.settle()  # every slot is free or cached, no row and no run is open
        return items

    items = run(main())
    assert sorted(item.index for item in items) == list(range(500))
    assert {item.index for item in items if not item.ok} == RAISES
    assert all(item.value[0] == item.index for item in items if item.ok)
    for item in items:
        if not item.ok:
            assert isinstance(item.error, NodeError) and isinstance(item.error.__cause__, ContextOverflow)
            assert item.error.path == "row_of/y[0]" and "test_batch.py" in item.error.site


def test_a_batch_that_is_interrupted_ends_cleanly_and_goes_on_later(tmp_path: Path) -> None:
    journal, child = tmp_path / "journal.jsonl", str(Path(__file__).parent / "batch_child.py")
    command = [sys.executable, "-P", child, str(journal)]
    with subprocess.Popen(
        [*command, "8", "5"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell that starts the tests in the background has them ignore Ctrl-C, and their children with them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline().split() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        last = process.stdout.read().split()
        assert process.wait(30) == 130
    assert sorted(line[0] for line in first) == [f"row-{n}" for n in range(5)]
    began, ended, cancelled = map(int, last[1:])
    assert last[0] == "interrupted" and ended == began and cancelled == began - 5 > 0
    entries = [json.loads(line) for line in journal.read_bytes().splitlines()][1:]
    assert sorted(entry["key"] for entry in entries) == [f"row-{n}" for n in range(5)]

    again = subprocess.run([*command, "40", "99"], capture_output=True, text=True, cwd=tmp_path, check=True)
    lines = [line.rsplit(" ", 1) for line in again.stdout.splitlines()]
    assert {text.split()[0] for text, resumed in lines if resumed == "True"} == {f"row-{n}" for n in range(5)}
    assert sorted(text for text, _ in lines) == sorted(f"row-{n} done {n}" for n in range(40))


def asking(prompt: str) -> rf.Program[..., str]:
    @rf.function
    def ask(s: rf.State, n: int) -> str:
        s += rf.user(prompt, str(n)) + rf.assistant(rf.gen("x", max_tokens=5))
        return s["x"]

    return ask


def test_a_journal_of_another_version_of_the_program_is_not_gone_on_with(tmp_path: Path) -> None:
    journal, numbers = tmp_path / "j", [{"n": n} for n in range(3)]
    old, new = asking("Say "), asking("Please say ")
    assert len(list(old.on(Scripted({"x": "old"})).batch(numbers, journal=journal))) == 3
    assert all(item.resumed for item in asking("Say ").on(Scripted({})).batch(numbers, journal=journal))

    kept = journal.read_bytes()
    with pytest.raises(InvalidRequest, match="stale is 'again'"):
        new.on(Scripted({})).batch(numbers, journal=journal, stale="again")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as caught:
        new.on(Scripted({})).batch(numbers, journal=journal)
    assert old.fingerprint in caught.value.what and new.fingerprint in caught.value.what
    assert "delete" in caught.value.hint and 'stale="rerun"' in caught.value.hint and journal.read_bytes() == kept

    items = list(new.on(Scripted({})).batch(numbers, journal=journal, stale="keep"))
    assert [item.value for item in items] == ["old"] * 3 and journal.read_bytes() == kept

    items = list(new.on(Scripted({"x": "new"})).batch(numbers, journal=journal, stale="rerun"))
    assert [(item.value, item.resumed) for item in items] == [("new", False)] * 3
    assert json.loads(journal.read_bytes().splitlines()[0])["fingerprint"] == new.fingerprint
    items = list(new.on(Scripted({})).batch(numbers, journal=journal, stale="rerun"))
    assert [(item.value, item.resumed) for item in items] == [("new", True)] * 3  # it is not stale any more


def test_a_journal_without_a_first_line_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    journal.write_text('{"key": "0", "value": "old"}\n')
    items = list(asking("Say ").on(Scripted({"x": "new"})).batch([{"n": 0}, {"n": 1}], journal=journal))
    assert [(item.value, item.resumed) for item in items] == [("old", True), ("new", False)]
    assert [json.loads(line)["key"] for line in journal.read_bytes().splitlines()] == ["0", "1"]


def test_a_program_without_an_end_has_no_fingerprint_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program_module, "FINGERPRINT_SECONDS", 0.2)

    @rf.function
    def busy(s: rf.State, n: int) -> int:
        while isinstance(s._run, DryRun):  # a dry run does not end, whoever looks at the clock
            pass
        return n

    journal = tmp_path / "j"
    assert [item.value for item in busy.on(Scripted({})).batch([{"n": 4}], journal=journal)] == [4]
    assert json.loads(journal.read_bytes()) == {"key": "0", "value": 4}
    assert [item.resumed for item in busy.on(Scripted({})).batch([{"n": 4}], journal=journal)] == [True]
