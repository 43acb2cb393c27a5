"""What commands write: results on stdout, everything else on stderr."""

from __future__ import annotations

import enum
import sys
from typing import Any

import msgspec

from ..lang.types import to_json
from ..runtime.protocol.graph import RunReport
from .failure import CommandFailed

# What a model writes is shown, never obeyed: a terminal would take the controls of C0 and C1 as commands.
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}


def shown(text: str) -> str:
    """Text as it may be written to a terminal."""
    return text.translate(_CONTROLS)


def write(text: str, end: str = "\n") -> None:
    """Write to stdout, at once."""
    print(shown(text) if sys.stdout.isatty() else text, end=end, flush=True)


def note(text: str) -> None:
    """Write a line to stderr."""
    print(shown(text) if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def write_result(result: Any, *, as_json: bool) -> None:
    """A program's result: text as it is, other types as JSON, and with `as_json` text too.

    Raises:
        CommandFailed: it has no JSON form.
    """
    plain = result.value if isinstance(result, enum.Enum) else result
    if isinstance(plain, str) and not as_json:
        write(plain)
        return
    try:
        data = to_json(plain)
    except TypeError as error:
        raise CommandFailed(
            f"the result cannot be printed: {error}", hint="return text, numbers, lists, dicts, dataclasses or models"
        ) from error
    write((msgspec.json.format(data, indent=2) if sys.stdout.isatty() else data).decode())


def report_lines(report: RunReport) -> str:
    """What a run cost, a line for each figure."""
    figures = {field: getattr(report, field) for field in report.__struct_fields__}
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())
