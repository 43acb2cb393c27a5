"""Expressions: what can be appended to a state, as plain immutable data.

They are recorded as graph nodes when they are appended, so one expression may be appended many times. `+` puts parts in
a row and looks at none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..runtime.protocol.sampling import SamplingParams

if TYPE_CHECKING:
    from .value import Value


class Argument(str):
    """A string from outside of the program: what it spells is never a control token, and reports count it apart."""

    __slots__ = ()


class Addable:
    """`+` makes an `Expr`."""

    __slots__ = ()

    def __add__(self, other: Part) -> Expr:
        return Expr((*parts_of(self), *parts_of(other)))  # type: ignore[arg-type]

    def __radd__(self, other: Part) -> Expr:
        return Expr((*parts_of(other), *parts_of(self)))  # type: ignore[arg-type]


class GenExpr(Addable, msgspec.Struct, frozen=True):
    """A gen before it is appended: see `gen`, which says how `check` and `retries` belong together."""

    name: str
    type: Any = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    sampling: SamplingParams = SamplingParams()
    logprobs: int = -1
    check: Callable[[Any], object] | None = None
    retries: int = 0


class SelectExpr(Addable, msgspec.Struct, frozen=True):
    """A select before it is appended: see `select`. `values` are what the choices stand for, in their order."""

    name: str
    choices: tuple[str, ...]
    values: tuple[Any, ...]
    temperature: float = 0.0


class Control(Addable, msgspec.Struct, frozen=True):
    """Trusted text whose control tokens are meant: see `control`."""

    text: str


class RoleExpr(Addable, msgspec.Struct, frozen=True):
    """A whole chat turn."""

    role: str
    parts: tuple[Part, ...]


class Expr(Addable, msgspec.Struct, frozen=True):
    """Several parts, one after the other; made by `+`, `fmt` and `concat`."""

    parts: tuple[Part, ...]


Part: TypeAlias = "str | Value[Any] | GenExpr | SelectExpr | Control | RoleExpr | Expr"


def parts_of(part: Part) -> tuple[Part, ...]:
    """The parts of an `Expr`, or the part itself."""
    return part.parts if isinstance(part, Expr) else (part,)
