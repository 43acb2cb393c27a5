"""Which library can say what a type's JSON looks like: everything that stands in a type is looked at once.

msgspec and pydantic both read dataclasses, `TypedDict` and the like, and both pass over constraints that they do not
know without a word. A bound that is passed over would be a promise that nobody keeps, so the type is searched for what
belongs to one of them, and a type that needs both is refused by name.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from ..errors import InvalidType


def needs_pydantic(type_: Any) -> bool:
    """Whether only pydantic knows all of `type_`: it has a model, a `Field` or an `annotated_types` bound in it.

    Raises:
        InvalidType: it also has a `Struct` or a `Meta` of msgspec in it, which pydantic would pass over; or a bound of
            annotated_types, and pydantic is not installed.
    """
    theirs, ours = "", ""
    bounds = ""
    for part in _parts(type_, set()):
        if _is_pydantic(part):
            theirs = theirs or _name(part)
        elif _is_bound(part):
            bounds = bounds or repr(part)
        elif isinstance(part, msgspec.Meta) or (isinstance(part, type) and issubclass(part, msgspec.Struct)):
            ours = ours or _name(part)
    theirs = theirs or bounds
    if theirs and ours:
        raise InvalidType(
            f"{_name(type_)} has {theirs} and {ours} in it, and no library knows both",
            hint="use pydantic or msgspec for the whole type",
        )
    if bounds:
        try:
            import pydantic  # noqa: F401
        except ImportError:
            raise InvalidType(
                f"{_name(type_)} has the bound {bounds}, which needs pydantic",
                hint="pip install pydantic, or use msgspec.Meta",
            ) from None
    return bool(theirs)


def _parts(type_: Any, seen: set[int]) -> Iterator[Any]:
    """`type_` and everything that its arguments, metadata and fields name; each once, so recursive types end."""
    if id(type_) in seen:
        return
    seen.add(id(type_))
    yield type_
    if get_origin(type_) is Annotated:
        yield from type_.__metadata__
    if get_origin(type_) is not None:
        for argument in (*get_args(type_), get_origin(type_)):
            yield from _parts(argument, seen)
    elif _has_fields(type_):
        for hint in get_type_hints(type_, include_extras=True).values():
            yield from _parts(hint, seen)


def _has_fields(type_: Any) -> bool:
    if not isinstance(type_, type) or _is_pydantic(type_):  # a model speaks for its fields
        return False
    named_tuple = issubclass(type_, tuple) and type_ is not tuple
    return dataclasses.is_dataclass(type_) or is_typeddict(type_) or named_tuple or issubclass(type_, msgspec.Struct)


def _is_pydantic(part: Any) -> bool:
    """A model, a pydantic dataclass, or a `Field`. Only a loaded pydantic can have made one."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    if isinstance(part, type):
        return issubclass(part, pydantic.BaseModel) or "__pydantic_validator__" in part.__dict__
    return type(part).__module__.partition(".")[0] == "pydantic"


def _is_bound(part: Any) -> bool:
    """A constraint of annotated_types, such as `Ge(0)`, or a group of them, such as `Interval`."""
    known = sys.modules.get("annotated_types")
    return known is not None and isinstance(part, known.BaseMetadata | known.GroupedMetadata)


def _name(part: Any) -> str:
    return getattr(part, "__qualname__", None) or repr(part)
