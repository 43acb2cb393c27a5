"""`ramify chat`: a conversation in the terminal, on one stream whose KV is kept from turn to turn.

Each turn forks the stream first, which costs nothing. An answer that is stopped or fails ends its stream, and the chat
goes on from the fork, so nothing of the conversation is computed again:

    system, user, assistant ---+--- user, assistant (stopped)
                               `--- user, what was written before the stop, user, assistant ...

Standard input may be a pipe: then each line is a turn, and nothing but answers goes to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from ..errors import NodeError
from ..lang.engines import Linked
from ..lang.events import NodeDone, NodeFailed, TextDelta
from ..lang.expr import Argument
from ..lang.primitives import assistant, gen, user
from ..lang.session import Session
from ..lang.session import open as open_session
from ..lang.state import State
from ..lang.value import Value
from .engine import add_engine_arguments, opened
from .failure import FAILED, OK, UsageError, one_line
from .output import note, write
from .parser import Parser

ANSWER = "answer"
HELP = "/reset starts anew, /save FILE writes the chat, /report says what it cost, /exit or Ctrl-D ends it"


def add_arguments(parser: Parser) -> None:
    """The options of `ramify chat`."""
    add_engine_arguments(parser)
    parser.add_argument("--system", metavar="TEXT", help="the system turn")
    parser.add_argument("--history", metavar="FILE", help="go on from a chat that /save wrote")
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help="tokens of an answer at most; default: as many as fit"
    )
    parser.add_argument("--temperature", type=float, metavar="T", help="0 is greedy; default: the model's own")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="key of everything random; default 0")


def execute(options: argparse.Namespace, arguments: list[str]) -> int:
    """Chat until the input ends; the exit code."""
    if arguments:
        raise UsageError(f"unrecognized arguments: {' '.join(arguments)}", hint="ramify chat --help")
    history = _read_history(options.history, options.system)
    with opened(options.engine, options.option) as engine:
        return Chat(engine, history, options).talk()


class Chat:
    """One chat.

    Args:
        engine: to talk to.
        history: turns before the first.
        options: of `add_arguments`.
    """

    def __init__(self, engine: Linked, history: list[dict[str, str]], options: argparse.Namespace) -> None:
        self._engine = engine
        self._options = options
        self._file = options.history
        self._failed = False
        self._answers: list[Value[str]] = []
        self._session = self._open(history)
        self._state: State = self._session

    def talk(self) -> int:
        """Take turns until the input ends."""
        interactive = sys.stdin.isatty()
        if interactive:
            note(HELP)
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  # `input` takes its line editing and history from it
        while True:
            try:
                line = input("> " if interactive else "").strip()
            except EOFError:
                if interactive:
                    note("")
                break
            except KeyboardInterrupt:
                if not interactive:
                    raise
                note("\n/exit or Ctrl-D ends the chat")
                continue
            if line == "/exit":
                break
            if line.startswith("/"):
                self._command(line)
            elif line:
                self._turn(line)
        self._session.close()
        return FAILED if self._failed and not interactive else OK

    def _open(self, history: list[dict[str, str]]) -> Session:
        return open_session(self._engine, history=history, seed=self._options.seed, events=True)

    def _turn(self, line: str) -> None:
        """One question and its answer, streamed. Ctrl-C stops the answer; what was written of it stays in the chat."""
        options = self._options
        state, self._state = self._state, self._state.fork()[0]
        with _Stop(state) as stop:
            state += user(Argument(line))
            state += assistant(gen(ANSWER, max_tokens=options.max_tokens, temperature=options.temperature))
            answer: Value[str] = state[ANSWER]
            written: list[str] = []
            self._follow(answer, written)
            failure = _failure(answer)
        write("")
        if stop.asked:
            if written:
                self._state += user(Argument(line)) + assistant(Argument("".join(written)))
            note("(stopped)")
        elif failure is not None:
            self._failed = True
            note(one_line(failure.cause))  # its place would be a line of this command
        else:
            self._state = state
            self._answers.append(answer)

    def _follow(self, answer: Value[str], written: list[str]) -> None:
        """Write the answer as it comes, until it ends; each piece is added to `written`."""
        for event in self._session.run.events():
            if event.path == answer.path:
                if isinstance(event, TextDelta):
                    write(event.text, end="")
                    written.append(event.text)
                elif isinstance(event, NodeDone | NodeFailed):
                    return

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        match name:
            case "/reset":
                self._session.close()
                start = _read_history(None, self._options.system)
                self._session, self._answers = self._open(start), []
                self._state = self._session
                note("(a new chat)")
            case "/save":
                self._save(argument.strip() or self._file)
            case "/report":
                note(self._report())
            case _:
                self._failed = True
                note(f"ramify: there is no command {name}; to do: {HELP}")

    def _save(self, path: str | None) -> None:
        if path is None:
            self._failed = True
            note("ramify: no file was named; to do: /save FILE")
            return
        try:
            Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(self._state.messages().get())) + b"\n")
        except OSError as error:
            self._failed = True
            note(f"ramify: the chat was not saved: {error.strerror}; where: {path}; to do: name another file")
        else:
            self._file = path
            note(f"(saved to {path})")

    def _report(self) -> str:
        """What the answers cost so far."""
        used = [answer.usage for answer in self._answers]
        total = {
            name: sum(getattr(usage, name) for usage in used) for name in ("decoded", "prompt", "cached", "computed")
        }
        return (
            f"answers: {len(used)}; tokens generated: {total['decoded']}; tokens of prompts: {total['prompt']}, "
            f"{total['cached']} found in the cache and {total['computed']} computed"
        )


class _Stop:
    """While an answer is written, the first Ctrl-C cancels its stream, and the answer ends as any that fails: nothing
    is interrupted halfway. The second is Python's own.

    Attributes:
        asked: Ctrl-C was heard.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._before: Any = None
        self.asked = False

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _heard(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        threading.Thread(target=self._state.cancel, daemon=True).start()  # it waits, which a handler must not


def _failure(answer: Value[str]) -> NodeError | None:
    """Why there is no answer; None if there is one. Waits. Raises EngineUnavailable."""
    try:
        answer.get()
    except NodeError as error:
        return error
    return None


def _read_history(path: str | None, system_text: str | None) -> list[dict[str, str]]:
    """The turns a chat begins with.

    Raises:
        UsageError: the file cannot be read, or is not a chat.
    """
    start = [] if system_text is None else [{"role": "system", "content": system_text}]
    if path is None:
        return start
    try:
        turns = msgspec.json.decode(Path(path).read_bytes(), type=list[dict[str, str]])
    except OSError as error:
        raise UsageError(f"the history cannot be read: {error.strerror}", where=path, hint="check the path") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not a chat: {error}", where=path, hint="give a file that /save wrote") from None
    if start and turns and turns[0].get("role") == "system":
        raise UsageError("the history has a system turn", where=path, hint="leave out --system")
    return start + turns
