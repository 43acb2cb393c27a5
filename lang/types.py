"""Python types to JSON Schemas, and generated text back to values of the type.

msgspec knows dataclasses, `TypedDict`, `NamedTuple`, its own Structs, enums, `Literal`, unions and the built-in
containers; a pydantic model brings its own schema and validator. Nothing is imported for a type that is not used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import InvalidType
from ..grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex


def _text(text: str) -> str:
    return text


def grammar_of(type_: Any) -> tuple[GrammarSpec | None, Callable[[str], Any]]:
    """The grammar that text must match to be a `type_`, and the function from such text to the value.

    Args:
        type_: a Python type; a dict is taken as a JSON Schema; a `Regex`, `Choices` or `Lark` grammar is taken as it is
            and gives a string; None and `str` mean free text.

    Returns:
        (None, identity) for free text.

    Raises:
        InvalidType: no schema can be made from it.
    """
    if type_ is None or type_ is str:
        return None, _text
    if isinstance(type_, JsonSchema):
        return type_, json.loads
    if isinstance(type_, Regex | Choices | Lark):
        return type_, _text
    if isinstance(type_, dict):
        return JsonSchema(json.dumps(type_)), json.loads
    if _is_pydantic(type_):
        return JsonSchema(json.dumps(type_.model_json_schema())), type_.model_validate_json
    try:
        schema = msgspec.json.schema(type_)
        decoder = msgspec.json.Decoder(type_)
    except (TypeError, NameError) as error:
        raise InvalidType(
            f"no JSON Schema can be made from {_name(type_)}: {error}",
            hint="use a dataclass, TypedDict, Enum, Literal, pydantic model, msgspec Struct, or a schema as a dict",
        ) from None
    return JsonSchema(json.dumps(_inline_root(schema))), decoder.decode


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


def _is_pydantic(type_: Any) -> bool:
    """Only a loaded pydantic can have made a model."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(type_, type) and issubclass(type_, pydantic.BaseModel)


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
