"""`ramify run --rows`: one result a row, resumable, checked before it starts, and stopped cleanly."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def write(path: Path, *rows: Any) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path) -> dict[str, Any]:
    return {entry["key"]: entry for entry in map(json.loads, path.read_text().splitlines())}


BATCH = ("run", "programs.py:scripted", "--rows", "rows.jsonl", "--out", "out.jsonl")


def test_rows_fail_alone_and_what_is_done_is_not_run_again(ramify) -> None:
    rows, out = ramify.folder / "rows.jsonl", ramify.folder / "out.jsonl"
    write(rows, {"id": "x", "text": "ab"}, {"id": 2, "text": "bad"}, {"id": "z", "text": "c", "times": 3})
    first = ramify(*BATCH, "--key", "id")
    assert (first.code, first.out) == (1, "")
    assert "2 of 3 rows done (0 of them before), 1 failed" in first.err
    found = read(out)
    assert found["x"] == {"key": "x", "index": 0, "value": {"text": "AB", "length": 2}}
    assert found["z"] == {"key": "z", "index": 2, "value": {"text": "CCC", "length": 1}}
    error = found["2"]["error"]
    assert (error["code"], error["what"]) == ("ValueError", "ValueError: this text\nis bad")
    assert error["where"].startswith(f"{ramify.folder}/programs.py:")

    write(rows, {"id": "x", "text": "changed"}, {"id": 2, "text": "good"}, {"id": "z", "text": "c", "times": 3})
    second = ramify(*BATCH, "--key", "id")
    assert second.code == 0
    assert "3 of 3 rows done (2 of them before), 0 failed" in second.err
    assert read(out)["2"]["value"]["text"] == "GOOD"
    assert read(out)["x"]["value"]["text"] == "AB"  # by its key, it is done


def test_without_a_key_a_changed_row_runs_again_and_a_moved_one_does_not(ramify) -> None:
    rows, out = ramify.folder / "rows.jsonl", ramify.folder / "out.jsonl"
    write(rows, {"text": "a"}, {"text": "b"}, {"text": "b"})
    assert ramify(*BATCH).code == 0
    assert [entry["value"]["text"] for entry in read(out).values()] == ["A", "B", "B"]
    write(rows, {"text": "b"}, {"text": "new"}, {"text": "b"})
    assert "3 of 3 rows done (2 of them before)" in ramify(*BATCH).err
    assert sorted(entry["value"]["text"] for entry in read(out).values()) == ["B", "B", "NEW"]


def test_arguments_behind_the_dashes_are_those_of_every_row(ramify) -> None:
    write(ramify.folder / "rows.jsonl", {}, {"text": "own"})
    assert ramify(*BATCH, "--", "--text", "all", "--times", "2").code == 0
    texts = [entry["value"]["text"] for entry in read(ramify.folder / "out.jsonl").values()]
    assert sorted(texts) == ["ALLALL", "OWNOWN"]


def test_a_run_id_names_the_journal(ramify) -> None:
    write(ramify.folder / "rows.jsonl", {"text": "a"})
    assert ramify(*BATCH, "--run-id", "nightly").code == 0
    assert not (ramify.folder / "out.jsonl.journal").exists()
    assert "1 of them before" in ramify(*BATCH, "--run-id", "nightly").err
    assert (ramify.folder / ".ramify" / "nightly.jsonl").exists()


@pytest.mark.parametrize(
    ("line", "arguments", "says"),
    [
        ("{", (), "rows.jsonl:2"),
        ("[1]", (), "not a row"),
        ('{"text": 1}', (), "text: Expected `str`, got `int`"),
        ('{"times": 1}', (), "lacks text"),
        ('{"text": "a", "color": 1}', (), "no argument 'color'"),
        ('{"text": "a"}', ("--key", "id"), "no text or number is in 'id'"),
        ('{"id": "one", "text": "b"}', ("--key", "id"), "two rows have the key 'one'"),
    ],
)
def test_a_wrong_row_is_found_before_anything_runs(ramify, line: str, arguments: tuple[str, ...], says: str) -> None:
    first = '{"id": "one", "text": "a"}' if "--key" in arguments else '{"text": "a"}'
    (ramify.folder / "rows.jsonl").write_text(f"{first}\n{line}\n")
    done = ramify(*BATCH, *arguments)
    assert (done.code, done.out) == (2, "")
    (message,) = done.err.splitlines()
    assert says in message and "rows.jsonl:2" in message
    assert not (ramify.folder / "out.jsonl").exists()


def test_results_never_overwrite_the_rows(ramify) -> None:
    write(ramify.folder / "rows.jsonl", {"text": "a"})
    for out, says in (("rows.jsonl", "file of the rows"), ("no/folder/out.jsonl", "no results"), (".", "no results")):
        done = ramify("run", "programs.py:scripted", "--rows", "rows.jsonl", "--out", out)
        assert done.code == 2 and says in done.err
    assert json.loads((ramify.folder / "rows.jsonl").read_text()) == {"text": "a"}
    assert "--rows needs --out" in ramify("run", "programs.py:scripted", "--rows", "rows.jsonl").err
    assert "no file 'none.jsonl'" in ramify(*BATCH[:2], "--rows", "none.jsonl", "--out", "x").err


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(ramify, wait_until: Callable[[Callable[[], bool]], None]) -> None:
    rows, out = ramify.folder / "rows.jsonl", ramify.folder / "out file.jsonl"
    write(rows, {"text": "a"}, {"text": "slow"}, {"text": "b"})
    arguments = ("run", "programs.py:sleeper", "--rows", "rows.jsonl", "--out", "out file.jsonl")
    process = ramify.start(*arguments)
    wait_until(lambda: out.exists() and len(out.read_text().splitlines()) == 2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr
    said, command = stderr.strip().split("; to go on: ")
    assert said == "ramify: stopped, 2 of 3 rows done (0 of them before), 0 failed"
    assert shlex.split(command)[1:] == ["-m", "ramify", *arguments]

    source = (ramify.folder / "programs.py").read_text().replace("sleep(3600)", "sleep(0)")
    (ramify.folder / "programs.py").write_text(source)
    again = ramify(*arguments)
    assert again.code == 0
    assert "3 of 3 rows done (2 of them before), 0 failed" in again.err
    assert sorted(entry["value"] for entry in read(out).values()) == ["A", "B", "SLOW"]


def test_a_changed_program_is_told_of_and_stale_says_what_to_do(ramify) -> None:
    rows, out, programs = (ramify.folder / name for name in ("rows.jsonl", "out.jsonl", "programs.py"))
    write(rows, {"id": "x", "text": "ab"})
    assert ramify(*BATCH, "--key", "id").code == 0
    source = programs.read_text()
    programs.write_text(source.replace("rf.user(text) + rf", 'rf.user(text, "!") + rf'))
    refused = ramify(*BATCH, "--key", "id")
    assert refused.code == 1 and "another version of it" in refused.err and "rerun" in refused.err
    assert "1 of 1 rows done (1 of them before)" in ramify(*BATCH, "--key", "id", "--stale", "keep").err
    assert read(out)["x"]["value"]["text"] == "AB"
    assert "1 of 1 rows done (0 of them before)" in ramify(*BATCH, "--key", "id", "--stale", "rerun").err
    assert read(out)["x"]["value"]["text"] == "AB!"
    alone = ramify("run", "programs.py:scripted", "--stale", "keep", "--", "--text", "a")
    assert alone.code == 2 and "--stale goes with --rows" in alone.err
