"""The command as a whole: what it loads, how it finds programs, and how each failure is told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import ramify as package

LOADED = """
import contextlib, io, json, runpy, sys
sys.argv = ["ramify", *{arguments}]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    runpy.run_module("ramify", run_name="__main__", alter_sys=True)
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = ("torch", "numpy", "transformers", "tokenizers", "xgrammar", "llguidance", "zmq", "rich.console")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["chat", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = LOADED.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    loaded = json.loads(done.stdout)
    assert "ramify.cli.main" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_version_and_help(ramify) -> None:
    assert ramify("--version") == (0, f"ramify {package.__version__}\n", "")
    code, out, err = ramify("--help")
    assert (code, err) == (0, "")
    assert all(name in out for name in ("run", "explain", "chat"))
    assert ramify().out == out  # no command at all asks for help


def test_help_behind_a_file_shows_the_program(ramify) -> None:
    for arguments in (("programs.py:answer", "--help"), ("programs.py:answer", "--", "--help")):
        code, out, err = ramify("run", *arguments)
        assert (code, err) == (0, "")
        assert "Answers a question." in out
        assert "--text TEXT" in out and "str; required" in out
        assert "--times TIMES" in out and "int; default: 1" in out


def test_which_program_runs(ramify) -> None:
    """One: that; several: the one named, else an error that lists them (or `main`, as in test_run.py)."""
    assert "LOUD" in ramify("run", "programs.py:scripted", "--text", "loud").out
    one = "import ramify as rf\nfrom programs import answer\n@rf.function\ndef only(s): return 'only'\n"
    (ramify.folder / "one.py").write_text(one + "only = only.on(rf.testing.Scripted({}))\n")
    assert ramify("run", "one.py") == (0, "only\n", "")
    (ramify.folder / "several.py").write_text(one + "other = only\n")
    code, out, err = ramify("run", "several.py")
    assert (code, out) == (2, "")
    assert "only, other" in err and "several.py:only" in err


# What is typed, the exit code, and what the one line says.
FAILURES = [
    (["run", "nope.py"], 2, "there is no file 'nope.py'"),
    (["run", "notes.txt"], 2, "not a Python file"),
    (["run", "programs.py:nope"], 2, "no program 'nope'"),
    (["run", "empty.py"], 2, "no program; where"),
    (["run", "syntax.py"], 1, "syntax.py:2"),
    (["run", "raises.py"], 1, "KeyError: 'gone'; where: {folder}/raises.py:2"),
    (["run", "leaves.py"], 1, "ended the interpreter with 3"),
    (["run"], 2, "FILE[:PROGRAM]"),
    (["nope"], 2, "invalid choice: 'nope'"),
    (["run", "programs.py:scripted"], 2, "required: --text"),
    (["run", "programs.py:scripted", "--text", "x", "--color", "red"], 2, "unrecognized arguments: --color red"),
    (["run", "programs.py:scripted", "--text", "x", "--times", "many"], 2, "--times 'many'"),
    (["run", "programs.py:scripted", "--text", "x", "--seed", "many"], 2, "--seed"),
    (["run", "programs.py:scripted", "--text", "x", "--budget", "0"], 2, "budget is 0"),
    (["run", "programs.py:scripted", "--text", "x", "--out", "y"], 2, "--out goes with --rows"),
    (["run", "programs.py:scripted", "--text", "x", "--option", "slots=9"], 2, "an engine of its own"),
    (["run", "programs.py:scripted", "--text", "bad"], 1, "ValueError: this text is bad; where: {folder}/programs.py:"),
    (["run", "programs.py:failing"], 1, "(and 1 more)"),
    (["run", "programs.py", "--text", "x"], 2, "no engine was named"),
    (["run", "programs.py", "--text", "x", "--engine", "/no/model"], 2, "no model directory '/no/model'"),
    (["run", "programs.py", "--text", "x", "--engine", "seedling", "--option", "speed=9"], 2, "'speed=9'"),
    (["run", "programs.py", "--text", "x", "--engine", "seedling", "--option", "slots=x"], 2, "$.slots"),
    (["chat"], 2, "no engine was named"),
    (["chat", "--color"], 2, "unrecognized arguments: --color"),
    (["chat", "--history", "nope.json"], 2, "history cannot be read"),
    (["chat", "--history", "programs.py"], 2, "not a chat"),
    (["explain", "programs.py:answer", "--color", "red"], 2, "unrecognized arguments: --color red"),
    (["explain", "programs.py:answer", "--engine", "/no/model"], 2, "no model directory '/no/model'"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), FAILURES, ids=[" ".join(case[0]) for case in FAILURES])
def test_every_failure_is_one_line(ramify, arguments: list[str], code: int, says: str) -> None:
    files = {
        "notes.txt": "",
        "empty.py": "x = 1\n",
        "syntax.py": "x = 1\ndef broken(:\n",
        "raises.py": "def load():\n    raise KeyError('gone')\nload()\n",
        "leaves.py": "import sys\nsys.exit(3)\n",
    }
    for name, text in files.items():
        (ramify.folder / name).write_text(text)
    done = ramify(*arguments)
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert line.startswith("ramify: ") and "; to do: " in line
    assert says.format(folder=ramify.folder) in line


def test_traceback_shows_the_frames(ramify) -> None:
    done = ramify("run", "programs.py:scripted", "--traceback", "--text", "bad")
    assert done.code == 1
    assert "Traceback (most recent call last)" in done.err
    assert 'raise ValueError("this text' in done.err
    assert done.err.splitlines()[-1].startswith("ramify: ValueError: this text is bad")


def test_a_reader_that_leaves_is_no_failure_of_ours(ramify) -> None:
    process = ramify.start("run", "programs.py:scripted", "--text", "x")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 1
