"""`FILE[:PROGRAM]`: the user's file, imported, and the program in it that is meant."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..lang.program import Program
from .failure import CommandFailed, UsageError

DEFAULT_NAME = "main"


class Target(NamedTuple):
    """What a command works on.

    Attributes:
        file: the file, absolute.
        name: the program's name in it.
    """

    file: Path
    name: str
    program: Program[..., Any]


def split(text: str) -> tuple[Path, str]:
    """The file and the program's name, "" if none was given. Raises UsageError if there is no such file."""
    head, colon, tail = text.rpartition(":")
    path, name = (Path(head), tail) if colon and head and tail.isidentifier() else (Path(text), "")
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", where=str(path.absolute()), hint="check the path")
    return path.absolute(), name


def load(text: str) -> Target:
    """Import the file and choose the program.

    Raises:
        UsageError: there is no such file, or no such program in it.
        CommandFailed: the file has a syntax error, or ends the interpreter.
        Exception: whatever the file raises when it is imported.
    """
    file, name = split(text)
    return _choose(file, _import(file), name)


def _import(file: Path) -> ModuleType:
    """Run the file as `python FILE` would, but not as `__main__`: its own folder comes first on the path."""
    if file.suffix != ".py":
        raise UsageError("not a Python file", where=str(file), hint="give a file that ends in .py")
    # A name that no module of anybody's has: dataclasses and annotations are looked up under it.
    spec = importlib.util.spec_from_file_location(f"ramify_program_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise CommandFailed(
            f"syntax error: {error.msg}", where=f"{error.filename}:{error.lineno}", hint="correct the file"
        ) from error
    except SystemExit as error:
        raise CommandFailed(
            f"the file ended the interpreter with {error.code!r} when it was imported",
            where=str(file),
            hint='put that behind `if __name__ == "__main__":`',
        ) from error
    return module


def _choose(file: Path, module: ModuleType, name: str) -> Target:
    """The program called `name`; without a name the only one that the file itself defines, or `main`."""
    every = {key: value for key, value in vars(module).items() if isinstance(value, Program)}
    own = [key for key, program in every.items() if program._body.__module__ == module.__name__]
    known = ", ".join(own or every)
    if name:
        if name not in every:
            hint = f"it has {known}" if known else "decorate a function with @ramify.function"
            raise UsageError(f"the file has no program {name!r}", where=str(file), hint=hint)
    elif len(own) == 1:
        (name,) = own
    elif DEFAULT_NAME in own:
        name = DEFAULT_NAME
    elif own:
        hint = f"name one of {known}: {file.name}:{own[0]}"
        raise UsageError(
            f"the file has {len(own)} programs and none is called {DEFAULT_NAME!r}", where=str(file), hint=hint
        )
    else:
        raise UsageError("the file has no program", where=str(file), hint="decorate a function with @ramify.function")
    return Target(file, name, every[name])
