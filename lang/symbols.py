"""Symbols: arguments that were not given, and results of child runs, as a dry run passes them to the program.

A symbol is a `Value`, so appending it does not look at it, and looking at it is a fence. Formatting an argument gives
text with a mark in it that the dry run finds again when the text is appended, because in a real run the argument is
there and an f-string of it waits for nothing. What Python does to such text in between (`in`, `==`, slicing) sees the
mark and not the argument.
"""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, Union, cast, get_args, get_origin

from ..runtime.protocol.graph import Argument, Text
from .program import ChildValue
from .program_graph import Symbol
from .value import Value, not_decoded

if TYPE_CHECKING:
    from .dry_run import DryRun

_BEGIN, _END = "\ue000", "\ue001"  # private use: no prompt has them
_MARK = re.compile(f"{_BEGIN}(argument|value|result):([^{_BEGIN}{_END}]*){_END}")

Source: TypeAlias = Literal["argument", "value", "result"]


class Alternative(NamedTuple):
    """One thing that a value may be.

    Attributes:
        label: what an arm is called.
        value: what Python sees.
        text: the generated text that means it; None for values that are not generated.
    """

    label: str
    value: Any
    text: str | None = None


def label_of(value: object) -> str:
    """A Python value as the label of an arm."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    return value if isinstance(value, str) else repr(value)


def mark(name: str, source: Source) -> str:
    """Text that stands for a symbol until it is appended."""
    return f"{_BEGIN}{source}:{name}{_END}"


def split_marks(node: Text | Argument) -> list[Text | Argument | Symbol]:
    """The node cut at the marks in its text."""
    pieces: list[Text | Argument | Symbol] = []
    end = 0
    for match in _MARK.finditer(node.text):
        if match.start() > end:
            pieces.append(_cut(node, end, match.start()))
        source = cast(Source, match[1])
        pieces.append(Symbol(stream=node.stream, site=node.site, name=match[2], source=source))
        end = match.end()
    if end < len(node.text) or not pieces:
        pieces.append(_cut(node, end, len(node.text)))
    return pieces


def _cut(node: Text | Argument, begin: int, end: int) -> Text | Argument:
    text = node.text[begin:end]
    if isinstance(node, Text):
        return Text(stream=node.stream, site=node.site, text=text, control=node.control)
    return Argument(stream=node.stream, site=node.site, text=text)


class SymbolicArgument(Value[Any]):
    """An argument that was not given, or a value of the calling program.

    Attributes:
        alternatives: what it may be; None if that is not a short list.
        waits: it is a value of the calling program, which a real run would wait for.
    """

    _is_node = False

    def __init__(
        self, run: DryRun, name: str, alternatives: tuple[Alternative, ...] | None, waits: bool = False
    ) -> None:
        super().__init__(run, -1, name, name if waits else f"{{{name}}}", "", decode=not_decoded)
        self.alternatives = alternatives
        self.waits = waits

    def _spliced(self) -> str:
        return mark(self.name, "value" if self.waits else "argument")

    def __str__(self) -> str:
        return self._spliced()

    def __format__(self, spec: str) -> str:
        return self._spliced() if not spec else format(self.get(), spec)

    def __getattr__(self, name: str) -> Any:
        """A method of the real argument: Python looks at it."""
        if name.startswith("_"):  # copy, typing and notebooks ask for these
            raise AttributeError(name)
        return getattr(self.get(), name)

    def __add__(self, other: Any) -> Any:
        return super().__add__(other) if _is_text(other) else self.get() + other

    def __radd__(self, other: Any) -> Any:
        return super().__radd__(other) if _is_text(other) else other + self.get()

    def __repr__(self) -> str:
        return f"<argument {self.name}>"


def _looks(name: str) -> Callable[..., Any]:
    """An operator that looks at the argument, as any other operation on it."""

    def operator(self: SymbolicArgument, *args: Any) -> Any:
        return getattr(self.get(), name)(*args)

    operator.__name__ = name
    return operator


for _name in (
    *("__le__", "__ge__", "__index__", "__hash__", "__neg__", "__abs__", "__round__", "__reversed__", "__fspath__"),
    *("__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__", "__floordiv__", "__mod__"),
):
    setattr(SymbolicArgument, _name, _looks(_name))


def _is_text(other: object) -> bool:
    from .expr import Addable

    return isinstance(other, str | Addable)


class SymbolicChild(ChildValue[Any]):
    """The result of a child run, which has been explored when it was called."""

    def __init__(
        self, parent: DryRun, name: str, path: str, site: str, alternatives: tuple[Alternative, ...] | None
    ) -> None:
        Value.__init__(self, parent, -1, name, path, site, decode=not_decoded)
        self.alternatives = alternatives
        self._dry_run = parent

    def start(self) -> None:
        """Nothing is left to do."""

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Never: what a limit holds back has been explored too."""

    def _spliced(self) -> str:
        if not self._finished:
            self._dry_run.wait_to_splice(self)
        return mark(self.path, "result")


def alternatives_of_type(annotation: Any, most: int) -> tuple[Alternative, ...] | None:
    """What an argument of this type may be, if these are at most `most` things; None otherwise."""
    values = _values(annotation)
    if values is None or len(values) > most:
        return None
    return tuple(Alternative(label_of(value), value) for value in values)


def _values(annotation: Any) -> list[Any] | None:
    if annotation is bool:
        return [True, False]
    if annotation is None or annotation is type(None):
        return [None]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return list(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation))
    if origin is Union or origin is types.UnionType:
        parts = [_values(part) for part in get_args(annotation)]
        return None if any(part is None for part in parts) else [value for part in parts if part for value in part]
    return None
