"""`Program.fingerprint`: a digest that versions a program's prompts in reports and journals.

It is taken of the request graph of a dry run in which no argument is given: texts, schemas, sampling options, the order
of nodes, the arms and the child runs. Source lines and seeds are left out, so comments, moved code and renamed local
variables change nothing, and the digest is the same in any process.

Where the graph is open, what the dry run did not reach counts too: then the compiled code of the program goes in, with
the constants, types, functions and programs of the user's own that it refers to. That part depends on the Python
version and on how the code is written, comments and line numbers still apart.
"""

from __future__ import annotations

import enum
import hashlib
import json
import sysconfig
import time
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import msgspec

from ..errors import InvalidType
from .explore import DryRunBudget, dry_run
from .program import Program
from .program_graph import ProgramGraph
from .site import ours
from .types import grammar_of

_LEFT_OUT = ("site", "seed")
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def fingerprint_of(program: Program[..., Any], budget: DryRunBudget | None = None) -> str:
    """The fingerprint of a program, 32 hexadecimal digits."""
    graph = dry_run(program) if budget is None else dry_run(program, budget=budget)
    described: list[Any] = [_canonical(graph)]
    if graph.open:
        described.append(list(_Code().of(program)))
    text = json.dumps(described, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint_within(program: Program[..., Any], seconds: float) -> str | None:
    """The fingerprint of a program if its dry run comes to an end in time and without a fault, None otherwise: what has
    been found when the time is over depends on the machine."""
    began = time.monotonic()
    try:
        found = fingerprint_of(program, DryRunBudget(seconds=seconds))
    except Exception:  # of the program's own code, or a type that cannot be described
        return None
    return found if time.monotonic() - began < seconds else None


def _canonical(graph: ProgramGraph) -> Any:
    return _without_places(msgspec.to_builtins(graph))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list | tuple):
        return [_without_places(item) for item in value]
    return value


class _Code:
    """Describes code and what it refers to, each function and program once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def of(self, value: Any) -> Iterator[Any]:
        """What is in a value, as JSON."""
        if value is None or isinstance(value, bool | int | float | str):
            yield [type(value).__name__, repr(value.value if isinstance(value, enum.Enum) else value)]
        elif isinstance(value, bytes):
            yield ["bytes", value.hex()]
        elif isinstance(value, CodeType):
            yield from self._of_code(value)
        elif isinstance(value, Program):
            yield ["program", value.name]
            yield from self.of(value._body)
        elif isinstance(value, MethodType):
            yield from self.of(value.__func__)
        elif isinstance(value, FunctionType):
            yield from self._of_function(value)
        elif isinstance(value, type):
            yield ["type", value.__qualname__, _schema(value)]
        elif isinstance(value, enum.Enum):
            yield ["enum", type(value).__qualname__, value.name]
        elif isinstance(value, list | tuple):
            yield [type(value).__name__, [list(self.of(item)) for item in value]]
        elif isinstance(value, dict):
            yield ["dict", [[list(self.of(key)), list(self.of(item))] for key, item in value.items()]]
        elif isinstance(value, set | frozenset):
            yield ["set", sorted((list(self.of(item)) for item in value), key=json.dumps)]
        elif isinstance(value, ModuleType):
            yield ["module", value.__name__]
        else:
            yield ["object", type(value).__qualname__, _schema(value)]

    def _of_code(self, code: CodeType) -> Iterator[Any]:
        yield ["code", code.co_code.hex(), list(code.co_names), list(code.co_varnames)[: code.co_argcount]]
        for constant in code.co_consts:
            yield from self.of(constant)

    def _of_function(self, function: FunctionType) -> Iterator[Any]:
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        yield ["function", function.__qualname__]
        if not _is_users(function.__code__.co_filename):
            return
        yield from self._of_code(function.__code__)
        yield from self.of(function.__defaults__)
        yield from self.of(function.__kwdefaults__)
        for name, value in _refers_to(function):
            yield ["name", name]
            yield from self.of(value)


def _refers_to(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals and cells that a function's code names, and what it may take from modules of the user's own."""
    names = list(dict.fromkeys(_names(function.__code__)))
    for name in names:
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        yield name, value
        if isinstance(value, ModuleType) and _is_users(getattr(value, "__file__", None) or _LIBRARIES[0]):
            for attribute in names:
                if attribute in vars(value):
                    yield f"{name}.{attribute}", vars(value)[attribute]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a cell that nothing has been put into yet
            continue


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_users(file: str) -> bool:
    """Whether a source file is neither a library's nor ramify's own language."""
    return not ours(file) and not file.startswith(_LIBRARIES)


def _schema(type_: Any) -> str:
    """The schema of a type that a gen could have; "" for others."""
    try:
        grammar, _ = grammar_of(type_)
    except (InvalidType, RecursionError):
        return ""
    return "" if grammar is None else grammar.key()
