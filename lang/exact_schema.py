r"""The JSON Schema of a type that msgspec knows, where msgspec's own says less than its decoder asks for.

    datetime, time      any text              ->  a format with a zone, which both libraries read
    timedelta           any ISO duration      ->  days, hours, minutes and seconds: years and months are not seconds
    Decimal, bytes      any text              ->  the pattern of a number, of base64
    dict[Kind, int]     keys of any text      ->  the texts of the keys

A model would be let to write what the decoder then refuses. What cannot be said in one keyword is refused by name.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from ..errors import InvalidType
from ..grammar.formats import PATTERNS

_D, _H, _M, _S = r"\d{1,6}D", r"\d{1,6}H", r"\d{1,6}M", r"\d{1,6}(?:\.\d{1,6})?S"
DURATION = rf"^-?P(?:{_D}|(?:{_D})?T(?:{_H}|(?:{_H})?{_M}|(?:{_H})?(?:{_M})?{_S}))$"
"""Both libraries read it, and write no other."""

DECIMAL = r"^-?(?:0|[1-9]\d{0,27})(?:\.\d{1,28})?(?:[Ee][+-]?\d{1,3})?$"
INTEGER = r"^(?:0|-?[1-9]\d{0,17})$"
_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def exact_schema(type_: Any) -> dict[str, Any]:
    """The schema of `type_`, as strong as its decoder.

    Raises:
        InvalidType: a part of it has values that no keyword describes; `where` names the part.
        TypeError: msgspec does not know the type.
    """
    schema = msgspec.json.schema(type_)
    _Walk(schema.get("$defs", {})).visit(inspect.type_info(type_), schema, "$")
    return schema


def names_of(keys: Iterable[object]) -> dict[str, Any]:
    """`propertyNames` of keys that are listed: as they stand in JSON."""
    return {"enum": [str(key.value if isinstance(key, enum.Enum) else key) for key in keys]}


def unclear_keys(where: str) -> InvalidType:
    """The error for a dict whose keys no keyword describes."""
    return InvalidType(
        "a dict whose keys are neither str, int, Enum, Literal, date, time nor UUID has no exact schema",
        where=where,
        hint="use str for the keys, or a list of pairs",
    )


class _Walk:
    """Goes through what msgspec says of a type and the schema that it made of it, side by side."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._seen: set[str] = set()

    def visit(self, info: inspect.Type, schema: dict[str, Any], where: str) -> None:
        """Strengthen `schema`, which describes `info`, in place."""
        while isinstance(info, inspect.Metadata):
            info = info.type
        reference = schema.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            if name in self._seen:
                return
            self._seen.add(name)
            schema = self._definitions[name]
        match info:
            case inspect.DateTimeType() | inspect.TimeType():
                if info.tz is False:
                    raise InvalidType(
                        "a date or time without a zone has no format in JSON Schema", where=where, hint="leave out tz="
                    )
                schema["format"] = "date-time" if isinstance(info, inspect.DateTimeType) else "time"
            case inspect.TimeDeltaType():
                schema.pop("format", None)
                schema["pattern"] = DURATION
            case inspect.DecimalType():
                schema.pop("format", None)
                schema["pattern"] = DECIMAL
            case inspect.BytesType() | inspect.ByteArrayType() | inspect.MemoryViewType():
                schema["pattern"] = _BASE64
            case inspect.DictType():
                names = _key_names(info.key_type, where)
                if names is not None:
                    schema["propertyNames"] = names
                if "additionalProperties" in schema:
                    self.visit(info.value_type, schema["additionalProperties"], f"{where}[...]")
            case inspect.CollectionType():
                if "items" in schema:
                    self.visit(info.item_type, schema["items"], f"{where}[...]")
            case inspect.TupleType():
                for index, (item, part) in enumerate(zip(info.item_types, schema.get("prefixItems", ()), strict=True)):
                    self.visit(item, part, f"{where}[{index}]")
            case inspect.UnionType():
                for member, part in zip(_in_order(info.types), _branches(schema), strict=True):
                    self.visit(member, part, where)
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType() | inspect.NamedTupleType():
                self._fields(info.fields, schema, where)

    def _fields(self, fields: Iterable[inspect.Field], schema: dict[str, Any], where: str) -> None:
        if "properties" in schema:
            parts = [schema["properties"][field.encode_name] for field in fields]
        else:  # an array, with the tag in front if there is one
            parts = schema["prefixItems"][len(schema["prefixItems"]) - len(tuple(fields)) :]
        for field, part in zip(fields, parts, strict=True):
            self.visit(field.type, part, f"{where}.{field.encode_name}")


def _key_names(key: inspect.Type, where: str) -> dict[str, Any] | None:
    """`propertyNames` for a type of keys; None where msgspec has said what there is to say."""
    while isinstance(key, inspect.Metadata):
        key = key.type
    match key:
        case inspect.StrType() | inspect.AnyType():
            return None
        case inspect.EnumType():
            return names_of(key.cls)
        case inspect.LiteralType():
            return names_of(key.values)
        case inspect.IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None):
            return {"pattern": INTEGER}
        case inspect.DateType():
            return {"pattern": PATTERNS["date"]}
        case inspect.DateTimeType(tz=None | True):
            return {"pattern": PATTERNS["date-time"]}
        case inspect.TimeType(tz=None | True):
            return {"pattern": PATTERNS["time"]}
        case inspect.UUIDType():
            return {"pattern": PATTERNS["uuid"]}
    raise unclear_keys(where)


def _in_order(types: tuple[inspect.Type, ...]) -> list[inspect.Type]:
    """The members of a union as msgspec writes them: structs that are objects behind the others, None last."""

    def rank(type_: inspect.Type) -> int:
        while isinstance(type_, inspect.Metadata):
            type_ = type_.type
        if isinstance(type_, inspect.NoneType):
            return 2
        return int(isinstance(type_, inspect.StructType) and not type_.array_like)

    return sorted(types, key=rank)


def _branches(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for branch in schema["anyOf"]:
        yield from branch["anyOf"] if "discriminator" in branch else (branch,)
