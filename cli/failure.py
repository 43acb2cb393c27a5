"""How a command ends: its exit codes, and any exception as one line that says what, where and what to do."""

from __future__ import annotations

import traceback
from pathlib import Path

from ..errors import ErrorInfo, RamifyError

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130


class UsageError(RamifyError):
    """The command cannot be run as it was typed: exit code 2."""


class CommandFailed(RamifyError):
    """What the command was to do has failed, and the message is all there is to say: exit code 1."""


def described(error: BaseException, file: Path | None = None) -> ErrorInfo:
    """What went wrong, where, and what to do.

    Args:
        error: of ramify's own, of the user's program, or a group of them.
        file: the user's file; the place of an exception that is not ramify's is its last line in there.
    """
    first, others = _first(error)
    code = type(first).__name__
    if isinstance(first, RamifyError):
        what, where, hint = first.what, first.where, first.hint
    else:
        what, where, hint = (f"{code}: {first}" if str(first) else code), _place(first, file), ""
    if others:
        what = f"{what} (and {others} more)"
    return ErrorInfo(code, what, where, hint)


def one_line(error: BaseException, file: Path | None = None) -> str:
    """The same in one line, for a terminal."""
    _, what, where, hint = described(error, file)
    parts = [f"ramify: {what}"]
    if where:
        parts.append(f"where: {where}")
    parts.append(f"to do: {hint or '--traceback shows how it came to this'}")
    return "; ".join(" ".join(part.split()) for part in parts)


def _first(error: BaseException) -> tuple[BaseException, int]:
    """The first exception that is no group, and how many others there are."""
    if not isinstance(error, BaseExceptionGroup):
        return error, 0
    first, others = _first(error.exceptions[0])
    return first, others + sum(1 + _first(other)[1] for other in error.exceptions[1:])


def _place(error: BaseException, file: Path | None) -> str:
    """`file:line` where the exception was raised, as near to the user's own file as there is a frame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if file is not None and frame.filename == str(file)]
    for frame in reversed(mine or frames):
        return f"{frame.filename}:{frame.lineno}"
    return ""
