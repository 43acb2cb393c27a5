"""`ramify chat`: turns from a pipe, commands, and an answer that is stopped while the chat goes on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

CHAT = ("chat", "--engine", "seedling", "--option", "threads=1")


def test_a_chat_remembers_saves_and_goes_on_from_what_it_saved(ramify) -> None:
    turns = "Samuel is a carpenter.\n\nWhat is the job of Samuel?\n/report\n/save chat.json\n/reset\n/save new.json\n"
    done = ramify(*CHAT, "--system", "You keep notes for the user.", stdin=turns)
    assert done.code == 0
    noted, job = done.out.splitlines()
    assert job == "carpenter"
    report, saved, reset, _ = done.err.splitlines()
    assert report.startswith("answers: 2; ") and "found in the cache" in report
    assert (saved, reset) == ("(saved to chat.json)", "(a new chat)")
    chat = json.loads((ramify.folder / "chat.json").read_text())
    assert [turn["role"] for turn in chat] == ["system", *["user", "assistant"] * 2]
    assert [turn["content"] for turn in chat[2::2]] == [noted, job]
    assert json.loads((ramify.folder / "new.json").read_text()) == chat[:1]

    question = "What is the job of Samuel?\n/save\n/exit\nnot read\n"
    again = ramify(*CHAT, "--history", "chat.json", "--max-tokens", "20", "--temperature", "0", stdin=question)
    assert (again.code, again.out) == (0, "carpenter\n")
    assert json.loads((ramify.folder / "chat.json").read_text())[:5] == chat
    assert len(json.loads((ramify.folder / "chat.json").read_text())) == 7


def test_an_answer_that_is_stopped_or_fails_does_not_end_the_chat(ramify, endless_model: Path) -> None:
    options = [f"--option={option}" for option in ("load_format=dummy", "threads=1", "max_length=8192")]
    process = ramify.start("chat", "--engine", str(endless_model), "--max-tokens", "8000", *options)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go on for ever\n")
    process.stdin.flush()
    begun = os.read(process.stdout.fileno(), 4096).decode()  # a delta is written whole
    process.send_signal(signal.SIGINT)
    process.stdin.write(f"/save stopped.json\n{'too long ' * 5000}\n/save failed.json\n/what\n")
    rest, err = process.communicate(timeout=120)
    stopped, saved, failed, saved_again, unknown = err.splitlines()
    assert (stopped, saved, saved_again) == ("(stopped)", "(saved to stopped.json)", "(saved to failed.json)")
    assert failed.startswith("ramify: ") and "; to do: " in failed
    assert unknown.startswith("ramify: there is no command /what; to do: ")
    assert process.returncode == 1  # something failed, and nobody was there to see it

    user, assistant = json.loads((ramify.folder / "stopped.json").read_text())
    assert user == {"role": "user", "content": "go on for ever"}
    assert assistant == {"role": "assistant", "content": (begun + rest).removesuffix("\n\n")}
    assert json.loads((ramify.folder / "failed.json").read_text()) == [user, assistant]
