"""A program's signature as command line options: its names, types, choices and defaults, as they stand in the file.

`str` is taken as it is; `int` and `float` as Python reads them; `bool` is a pair of flags; an `Enum` or a `Literal` is
a choice; everything else is JSON of the annotated type, checked by what also checks generated values. Text that is no
JSON of that type is tried as a JSON string, so that a date or an optional text needs no quotes.
"""

from __future__ import annotations

import argparse
import enum
import inspect
import json
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from ..errors import InvalidType
from ..lang.program import Program
from ..lang.select import choices_of
from ..lang.types import grammar_of
from .failure import UsageError
from .parser import Parser

_UNTYPED = (None, Any, object)
_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


class Parameter(NamedTuple):
    """One parameter of a program.

    Attributes:
        annotation: its type, None without one.
        plain: the type without `Annotated`.
        default: what stands in the signature; `inspect.Parameter.empty` if it must be given.
    """

    name: str
    annotation: Any
    plain: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def choices(self) -> dict[str, Any] | None:
        """The values to choose from by what is typed for them; None for other types."""
        listed = isinstance(self.plain, type) and issubclass(self.plain, enum.Enum)
        if not listed and get_origin(self.plain) is not Literal:
            return None
        return dict(zip(*choices_of(self.plain), strict=True))

    def from_text(self, text: str) -> Any:
        """The value of what was typed. Raises ValueError."""
        choices = self.choices
        if choices is not None:
            return choices[text]
        if self.annotation in (int, float):
            return self.annotation(text)
        if self.plain is str:
            return self.from_json(json.dumps(text))
        try:
            return self.from_json(text)
        except ValueError as error:
            try:
                return self.from_json(json.dumps(text))
            except ValueError:
                raise error from None

    def from_json(self, text: str) -> Any:
        """The value of a JSON text. Raises ValueError: it is no JSON, or not of the type."""
        if self.annotation is None:
            return json.loads(text)
        if self.annotation is str:  # which is free text to a gen, and has no decoder
            return msgspec.json.decode(text, type=str)
        try:
            return grammar_of(self.annotation)[1](text)
        except InvalidType as error:
            raise ValueError(error.what) from None


class Signature:
    """The parameters of a program behind its state."""

    def __init__(self, program: Program[..., Any]) -> None:
        self.program = program
        body = program._body
        try:
            hints = typing.get_type_hints(body, include_extras=True)
        except (NameError, TypeError):  # a name that only type checkers import: the text of it tells nothing
            hints = {}
        _, *behind = inspect.signature(body).parameters.values()
        named = [parameter for parameter in behind if parameter.kind in _NAMED]
        self._signature = inspect.Signature(named)
        self.parameters = {parameter.name: _parameter(parameter, hints.get(parameter.name)) for parameter in named}

    def parser(self, prog: str, *, required: bool = True) -> Parser:
        """A parser of the program's own options. Without `required` none must be given."""
        description = inspect.getdoc(self.program._body) or f"Arguments of {self.program.name}."
        parser = Parser(prog, description, help_command=f"{prog} -- --help", conflicts="resolve")
        for parameter in self.parameters.values():
            _add(parser, parameter, required and parameter.required)
        return parser

    def parse(self, arguments: list[str], prog: str, *, required: bool = True) -> dict[str, Any]:
        """The arguments that were typed, by name; defaults are left to Python.

        Raises:
            UsageError: one is unknown, missing, or not of its type.
        """
        given = vars(self.parser(prog, required=required).parse_args(arguments))
        values = {}
        for name, typed in given.items():
            try:
                values[name] = self.parameters[name].from_text(typed) if isinstance(typed, str) else typed
            except ValueError as error:
                raise UsageError(
                    f"--{name} {typed!r}: {error}", where=self.program.name, hint=f"{prog} -- --help"
                ) from None
        return values

    def bind(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        """The values as `args` and `kwargs` of a call."""
        return inspect.BoundArguments(self._signature, dict(values))  # type: ignore[arg-type]

    def missing(self, values: Mapping[str, Any]) -> list[str]:
        """Parameters that must be given and are not among the values."""
        return [name for name, parameter in self.parameters.items() if parameter.required and name not in values]


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    annotation = None if hint in _UNTYPED else hint
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return Parameter(parameter.name, annotation, plain, parameter.default)


def _add(parser: Parser, parameter: Parameter, required: bool) -> None:
    names = list(dict.fromkeys((f"--{parameter.name.replace('_', '-')}", f"--{parameter.name}")))
    default = "required" if parameter.required else f"default: {_default_name(parameter)}"
    help_ = f"{_type_name(parameter)}; {default}".replace("%", "%%")
    if parameter.plain is bool:
        parser.add_argument(
            *names,
            dest=parameter.name,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            required=required,
            help=help_,
        )
    else:
        parser.add_argument(
            *names,
            dest=parameter.name,
            metavar=parameter.name.upper(),
            choices=None if parameter.choices is None else list(parameter.choices),
            default=argparse.SUPPRESS,
            required=required,
            help=help_,
        )


def _default_name(parameter: Parameter) -> str:
    """What would be typed for a default that is a choice; others as Python writes them."""
    for text, value in (parameter.choices or {}).items():
        if value == parameter.default:
            return text
    return repr(parameter.default)


def _type_name(parameter: Parameter) -> str:
    if parameter.choices is not None:
        return f"one of {', '.join(parameter.choices)}"
    if parameter.annotation is None:
        return "JSON, or text"
    if parameter.annotation in (str, int, float, bool):
        return str(parameter.annotation.__name__)
    name = inspect.formatannotation(parameter.plain)
    return name if parameter.plain in (str, bool) else f"JSON of {name}"
