"""The JSON Schema of a type that pydantic knows, where pydantic's own says less than its validators ask for.

It is only imported when a type needs pydantic. See `exact_schema.py`, which does the same for msgspec.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ..errors import InvalidType
from ..grammar.formats import PATTERNS
from .exact_schema import DURATION, INTEGER, names_of, unclear_keys

_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of")


class ExactSchema(GenerateJsonSchema):
    """Raises InvalidType for what no keyword describes."""

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """With a zone, which is what the format means."""
        return _with_zone(super().datetime_schema(schema), schema.get("tz_constraint"), "datetime")

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        """With a zone, which is what the format means."""
        return _with_zone(super().time_schema(schema), schema.get("tz_constraint"), "time")

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Without years and months, which are not a number of seconds."""
        made = super().timedelta_schema(schema)
        return {"type": "string", "pattern": DURATION} if made.get("format") == "duration" else made

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number with its bounds; text where digits are counted, which no keyword for numbers does."""
        made = super().decimal_schema(schema)
        digits, places = schema.get("max_digits"), schema.get("decimal_places")
        if digits is None and places is None:
            return made["anyOf"][0] if "anyOf" in made else made
        if places is None or any(schema.get(bound) is not None for bound in _BOUNDS):
            raise InvalidType(
                "a Decimal with max_digits alone, or with digits and bounds, has no exact schema",
                hint="give decimal_places beside max_digits and no bounds, or bounds alone",
            )
        whole = 28 if digits is None else digits - places
        before = rf"(?:0|[1-9]\d{{0,{whole - 1}}})" if whole > 0 else "0"
        behind = rf"(?:\.\d{{1,{places}}})?" if places else ""
        return {"type": "string", "pattern": f"^-?{before}{behind}$"}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """With the texts of its keys."""
        made = super().dict_schema(schema)
        names = _key_names(schema.get("keys_schema"))
        return made if names is None else {**made, "propertyNames": names}


def _with_zone(made: JsonSchemaValue, zone: object, name: str) -> JsonSchemaValue:
    if zone == "naive" and "format" in made:
        raise InvalidType(
            f"a {name} without a zone has no format in JSON Schema", hint=f"use {name}, or a str with a pattern"
        )
    return made


def _key_names(keys: Any) -> dict[str, Any] | None:
    """`propertyNames` for the schema of keys; None where pydantic has said what there is to say."""
    while keys is not None and keys["type"].startswith("function-") and "schema" in keys:
        keys = keys["schema"]
    match None if keys is None else keys["type"]:
        case None | "any" | "str":
            return None
        case "enum":
            return names_of(keys["members"])
        case "literal" if all(isinstance(key, str) for key in keys["expected"]):
            return names_of(keys["expected"])
        case "int" if not any(bound in keys for bound in _BOUNDS):
            return {"pattern": INTEGER}
        case "date" | "time" | "uuid" as name:
            return {"pattern": PATTERNS[name]}
        case "datetime":
            return {"pattern": PATTERNS["date-time"]}
    raise unclear_keys("")
