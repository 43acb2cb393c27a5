"""Python types to JSON Schemas, and generated text back to values of the type.

msgspec knows dataclasses, `TypedDict`, `NamedTuple`, its own Structs and `Meta` bounds, enums, `Literal`, unions and
the built-in containers; a type with a pydantic model, a `Field` or an `annotated_types` bound anywhere in it goes to
pydantic. Nothing is imported for a type that is not used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import InvalidType
from ..grammar.spec import Choices, Content, GrammarSpec, JsonSchema, Lark, Regex, StructuralTag
from .exact_schema import exact_schema
from .structure import structure_of
from .type_walk import needs_pydantic


def _text(text: str) -> str:
    return text


def grammar_of(type_: Any) -> tuple[GrammarSpec | None, Callable[[str], Any]]:
    """The grammar that text must match to be a `type_`, and the function from such text to the value.

    Args:
        type_: a Python type; a dict is taken as a JSON Schema; a `Regex`, `Choices` or `Lark` grammar is taken as it is
            and gives a string, a `StructuralTag` a list of `Segment`; None and `str` mean free text.

    Returns:
        (None, identity) for free text.

    Raises:
        InvalidType: no schema can be made from it.
    """
    if type_ is None or type_ is str:
        return None, _text
    if isinstance(type_, StructuralTag):
        return structure_of(type_, grammar_of)
    if isinstance(type_, JsonSchema | Regex | Choices | Lark):
        return _plain_text(type_), json.loads if isinstance(type_, JsonSchema) else _text
    if isinstance(type_, dict):
        return JsonSchema(json.dumps(type_)), json.loads
    try:
        if needs_pydantic(type_):
            return _with_pydantic(type_)
        schema = exact_schema(type_)
        decoder = msgspec.json.Decoder(type_)
    except (TypeError, NameError, RecursionError) as error:
        raise InvalidType(
            f"no JSON Schema can be made from {_name(type_)}: {error}",
            hint="use a dataclass, TypedDict, Enum, Literal, pydantic model, msgspec Struct, or a schema as a dict",
        ) from None
    return JsonSchema(json.dumps(_inline_root(schema))), decoder.decode


def _plain_text(grammar: Content) -> Content:
    """A grammar in exactly `str`: compilers take no other, and an argument of a program is a class of its own."""
    match grammar:
        case JsonSchema():
            return msgspec.structs.replace(grammar, schema=str(grammar.schema))
        case Regex():
            return Regex(str(grammar.pattern))
        case Choices():
            return Choices(tuple(map(str, grammar.options)))
        case Lark():
            return Lark(str(grammar.grammar))


def schema(type_: Any) -> dict[str, Any]:
    """The JSON Schema that `gen(type=type_)` enforces, for prompts that describe it.

    Raises:
        InvalidType: no schema can be made from it, or its values are text.
    """
    grammar, _ = grammar_of(type_)
    if not isinstance(grammar, JsonSchema):
        raise InvalidType(f"{_name(type_)} is text and has no JSON Schema", hint="use a type with structure")
    decoded: dict[str, Any] = json.loads(grammar.schema)
    return decoded


def to_json(value: Any) -> bytes:
    """`value`, of any type that `grammar_of` takes, as JSON. Raises TypeError for others."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # a pydantic model writes itself
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_plain(value: Any, type_: Any) -> Any:
    """A decoded JSON value as a `type_` again; as it is, if the type says nothing about JSON."""
    try:
        if needs_pydantic(type_):
            import pydantic

            return pydantic.TypeAdapter(type_).validate_python(value)
        return msgspec.convert(value, type_)
    except (ValueError, TypeError, NameError, InvalidType):
        return value


def _with_pydantic(type_: Any) -> tuple[GrammarSpec, Callable[[str], Any]]:
    """Schema and validator of a type that pydantic knows. Raises TypeError if it does not."""
    import pydantic

    from .pydantic_schema import ExactSchema

    try:
        adapter = pydantic.TypeAdapter(type_)
        schema = adapter.json_schema(schema_generator=ExactSchema)
    except pydantic.errors.PydanticUserError as error:
        raise TypeError(error.message) from None

    def decode(text: str) -> Any:
        try:
            return adapter.validate_json(text)
        except pydantic.ValidationError as error:  # a model may read it: one line for each fault, no addresses
            raise ValueError("\n".join(map(_fault, error.errors(include_url=False)))) from error

    return JsonSchema(json.dumps(_inline_root(schema))), decode


def _fault(error: Mapping[str, Any]) -> str:
    """One fault that pydantic found: `items.0.price: Input should be ...`."""
    place = ".".join(map(str, error["loc"]))
    return f"{place}: {error['msg']}" if place else str(error["msg"])


def _inline_root(schema: dict[str, Any]) -> dict[str, Any]:
    """msgspec puts a named type behind a `$ref`; at the root the definition itself reads better in messages."""
    ref = schema.get("$ref")
    definitions = dict(schema.get("$defs", {}))
    name = ref.removeprefix("#/$defs/") if isinstance(ref, str) else None
    if name is None or name not in definitions or json.dumps(schema).count(f'"#/$defs/{name}"') > 1:
        return schema  # a recursive type keeps its name
    root = definitions.pop(name)
    return {**root, "$defs": definitions} if definitions else root


def _name(type_: Any) -> str:
    return getattr(type_, "__qualname__", None) or repr(type_)
