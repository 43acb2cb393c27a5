"""`ramify run` for a single run: results on stdout, everything else on stderr."""

from __future__ import annotations

import json


def test_a_result_with_structure_is_json(ramify) -> None:
    done = ramify("run", "programs.py:scripted", "--text", "loud", "--times", "2")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {"text": "LOUDLOUD", "length": 4}


def test_text_is_printed_as_it_is_or_as_json(ramify) -> None:
    assert ramify("run", "programs.py:sleeper", "--text", 'a "b"') == (0, 'A "B"\n', "")
    assert ramify("run", "programs.py:sleeper", "--json", "--text", 'a "b"') == (0, '"A \\"B\\""\n', "")


def test_names_of_ramify_itself_go_behind_two_dashes(ramify) -> None:
    source = (
        "import ramify as rf\n@rf.function\ndef main(s, seed: int, engine: str): return f'{seed} {engine}'\n"
        "main = main.on(rf.testing.Scripted({}))\n"
    )
    (ramify.folder / "names.py").write_text(source)
    assert ramify("run", "names.py", "--seed", "5", "--", "--seed", "6", "--engine", "mine").out == "6 mine\n"


def test_events_and_report_are_lines_on_stderr(ramify) -> None:
    done = ramify("run", "programs.py:sleeper", "--events", "--report", "--run-id", "mine", "--text", "x")
    assert done.out == "X\n"
    lines = done.err.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert [event["type"] for event in events] == ["NodeStarted", "TextDelta", "NodeDone"]
    assert {(event["run"], event["path"]) for event in events} == {("mine", "slow/a[0]")}
    assert [line.split()[0] for line in lines[len(events) :]][:2] == ["gens", "prefill"]


def test_a_result_without_a_json_form_is_named(ramify) -> None:
    source = (
        "import ramify as rf\n@rf.function\ndef main(s): return object()\nmain = main.on(rf.testing.Scripted({}))\n"
    )
    (ramify.folder / "odd.py").write_text(source)
    done = ramify("run", "odd.py")
    assert done.code == 1
    assert "the result cannot be printed: object has no JSON form" in done.err


def test_main_on_the_engine_of_the_environment(ramify) -> None:
    arguments = ("--option", "threads=1", "--seed", "3", "--report", "--text", "Repeat: Marcus Aurelius")
    done = ramify("run", "programs.py", *arguments, RAMIFY_ENGINE="seedling")
    assert done.code == 0
    assert done.out.splitlines() == ["printed by the program", "Marcus Aurelius"]
    report = dict(line.split() for line in done.err.splitlines())
    assert report["gens"] == "1" and report["prefill"] == report["ideal_prefill"] != "0"


LIVE = r"""
from ramify.cli.live import LiveText
from ramify.lang.events import NodeDone, NodeStarted, TextDelta
with LiveText() as live:
    for path in ("p/a[0]", "p/b[0]"):
        live.show(NodeStarted(run="p", path=path, name="a"))
        live.show(TextDelta(run="p", path=path, text="first words of " + path[2]))
    live.show(NodeDone(run="p", path="p/a[0]", text=""))
    live.show(TextDelta(run="p", path="p/b[0]", text=" [bold]and\x1b[31m more"))
    live.refresh()
print("result")
"""


def test_text_that_is_being_generated_is_shown_and_cleared(ramify) -> None:
    done = ramify.on_terminal(code=LIVE)
    assert (done.code, done.out) == (0, "result\n")
    assert "p/b[0]" in done.err and "first words of b [bold]and\N{REPLACEMENT CHARACTER}[31m more" in done.err
    *_, last_drawn, cursor, up, end = done.err.split("\x1b[2K")
    assert "first words of b" in last_drawn + cursor and "first words of a" not in last_drawn + cursor
    assert (up, end) == ("\x1b[1A", "")  # both lines are gone


def test_on_a_terminal_the_result_still_goes_to_stdout(ramify) -> None:
    done = ramify.on_terminal("run", "programs.py:sleeper", "--text", "x")
    assert (done.code, done.out) == (0, "X\n")
    assert "NodeDone" not in done.err
