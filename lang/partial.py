"""Typed partial values: the finished fields of an object, or the finished items of an array, while it is generated.

    text so far                        partial value
    {"name": "Ada", "age": 3           {"name": "Ada"}               3 may become 36
    {"name": "Ada", "age": 36,         {"name": "Ada", "age": 36}

A field is finished when its JSON is: a string at its closing quote, a number when something follows it. Only then is it
made a value of its type, with the field's own validators; validators of the whole wait for the whole. A field that its
type refuses is left out: the gen itself fails, or is tried again.

ijson parses each character once and keeps no text. (Parsers with a "partial mode" parse the whole text so far each
time, and cannot tell `[1, 2` from `[1, 2]`, or 3 from 36.) A copy of what is finished is made for each event; behind
`EVERY_MEMBER` members only when a sixteenth more have finished, so that the copies are linear in the text too.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from .closed import EVERY_MEMBER, Closed, JsonReader
from .type_walk import needs_pydantic

Convert: TypeAlias = "Callable[[Any], Any]"


class PartialReader:
    """Reads the text of one gen as it comes.

    Args:
        type_: the gen's type.

    Attributes:
        closed: the fields at any depth that are finished, with their places; whoever reads it empties it.
    """

    def __init__(self, type_: Any) -> None:
        self.closed: list[Closed] = []
        self._json = JsonReader()
        self._members = _members(type_)
        self._fields: dict[str, Any] = {}
        self._items: list[Any] = []
        self._root = ""  # the event that began it
        self._depth = 0
        self._key = ""
        self._count = 0
        self._told = 0
        self._builder: Any = None
        self._broken = False

    def feed(self, text: str) -> dict[str, Any] | list[Any] | None:
        """Read more text. What is finished now, if more is than before; otherwise None."""
        if self._broken:
            return None
        for events, closed in self._json.feed(text):
            self.closed += closed
            for event, value in events:
                self._take(event, value)
        self._broken = self._broken or self._json.is_broken  # not JSON: the value itself will say so
        if self._count <= max(self._told, 0 if self._told < EVERY_MEMBER else self._told * 17 // 16):
            return None
        self._told = self._count
        return dict(self._fields) if self._root == "start_map" else list(self._items)

    def _take(self, event: str, value: Any) -> None:
        if event in ("start_map", "start_array"):
            self._depth += 1
            if self._depth == 1:
                self._root = event
                return
        elif event in ("end_map", "end_array"):
            self._depth -= 1
        if self._depth == 0:
            return
        if self._depth == 1 and event == "map_key":
            self._key = value
            return
        if self._builder is None:
            import ijson

            self._builder = ijson.ObjectBuilder()
        self._builder.event(event, value)
        if self._depth == 1:
            finished, self._builder = self._builder.value, None
            self._finish(finished)

    def _finish(self, member: Any) -> None:
        key = self._key if self._root == "start_map" else len(self._items)
        try:
            name, convert = self._members(key)
            typed = convert(member)
        except (LookupError, ValueError, TypeError):
            if self._root == "start_array":
                self._broken = True  # what follows would stand at the wrong place
            return
        self._count += 1
        if self._root == "start_map":
            self._fields[str(name)] = typed
        else:
            self._items.append(typed)


def _as_it_is(value: Any) -> Any:
    return value


def _members(type_: Any) -> Callable[[str | int], tuple[str | int, Convert]]:
    """From a member's name or place in JSON to its name in Python and the function that makes it a typed value.

    The function raises LookupError for a member that the type does not have.
    """
    while get_origin(type_) is Annotated:
        type_ = type_.__origin__
    if get_origin(type_) is Union or type(type_).__name__ == "UnionType":
        rest = [part for part in get_args(type_) if part is not type(None)]
        return _members(rest[0]) if len(rest) == 1 else lambda key: (key, _as_it_is)
    if isinstance(type_, type) and callable(getattr(type_, "model_validate_json", None)):
        return _model_members(type_)
    arguments = get_args(type_)
    origin = get_origin(type_) or type_
    if origin is dict or origin is typing.Mapping:
        return _all_of(arguments[1]) if len(arguments) == 2 else lambda key: (key, _as_it_is)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return _by_place([_convert(part) for part in arguments])
    if isinstance(origin, type) and arguments and issubclass(origin, Sequence | set | frozenset):
        return _all_of(arguments[0])
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        hints = get_type_hints(type_, include_extras=True)
        names = zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True)
        return _by_name({encoded: (name, _convert(hints[name])) for encoded, name in names})
    if isinstance(type_, type) and issubclass(type_, tuple) and type_ is not tuple:
        hints = get_type_hints(type_, include_extras=True)
        return _by_place([_convert(hint) for hint in hints.values()])
    if dataclasses.is_dataclass(type_) or is_typeddict(type_):
        hints = get_type_hints(type_, include_extras=True)
        return _by_name({name: (name, _convert(_required(hint))) for name, hint in hints.items()})
    return lambda key: (key, _as_it_is)


def _all_of(type_: Any) -> Callable[[str | int], tuple[str | int, Convert]]:
    convert = _convert(type_)
    return lambda key: (key, convert)


def _by_name(fields: Mapping[str, tuple[str, Convert]]) -> Callable[[str | int], tuple[str | int, Convert]]:
    return lambda key: fields[str(key)]


def _by_place(items: list[Convert]) -> Callable[[str | int], tuple[str | int, Convert]]:
    return lambda key: (key, items[int(key)])


def _required(hint: Any) -> Any:
    """The type inside of `Required` and `NotRequired`."""
    return get_args(hint)[0] if get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def _convert(type_: Any) -> Convert:
    if needs_pydantic(type_):
        import pydantic

        return pydantic.TypeAdapter(type_).validate_python
    return lambda value: msgspec.convert(value, type_)


def _model_members(model: Any) -> Callable[[str | int], tuple[str | int, Convert]]:
    """A pydantic model's fields, each with its own validators, which may look at the fields before it.

    A model is made that has the same fields and field validators, and none for the whole; assigning to it runs them.
    """
    import pydantic

    validators: dict[str, Any] = {}
    for name, decorator in model.__pydantic_decorators__.field_validators.items():
        again: Any = pydantic.field_validator(*decorator.info.fields, mode=decorator.info.mode)
        validators[name] = again(inspect.getattr_static(model, name))
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    config: Any = {**model.model_config, "validate_assignment": True, "frozen": False}
    partial = pydantic.create_model(model.__name__, __config__=config, __validators__=validators, **fields)
    built = partial.model_construct()
    names = {field.alias or name: name for name, field in model.model_fields.items()}

    def assign(name: str, value: Any) -> Any:
        setattr(built, name, value)
        return getattr(built, name)

    def member(key: str | int) -> tuple[str | int, Convert]:
        name = names[str(key)]
        return name, lambda value: assign(name, value)

    return member
