"""Validates a finished value against its schema, where the mask could not enforce all of it (`strict=False`).

The judge is `jsonschema`, but patterns are searched under a clock: one that the mask could not follow may also be one
that a backtracking matcher never ends on. A schema can make the judge itself walk for ever (two references to the part
before, forty times), so an engine calls `check_value` in a vetting worker alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from ..errors import OutputInvalid
from .schema import child_pointer
from .segments import read_segments
from .spec import Format, GrammarSpec, JsonSchema, StructuralTag, parts_of

_SECONDS = 0.25
_MAX_ERRORS = 8


def is_validated(spec: GrammarSpec | None) -> bool:
    """Whether finished texts of this grammar must be validated: its mask may not enforce all of it."""
    return isinstance(spec, JsonSchema) and not spec.strict


def check_value(spec: GrammarSpec | None, text: str) -> OutputInvalid | None:
    """What is wrong with a finished text; None if it satisfies its schema, or if its grammar was enforced exactly.

    Args:
        spec: the grammar that the text was generated under.
        text: the whole text.
    """
    if isinstance(spec, StructuralTag):
        return _check_parts(spec, text)
    if not isinstance(spec, JsonSchema) or spec.strict:
        return None
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
        found = [error for error, _ in zip(_errors(json.loads(spec.schema), value), range(_MAX_ERRORS), strict=False)]
    except Unresolvable as error:
        return OutputInvalid(f"the value was not validated: {error}", hint="use plain local references in the schema")
    except (ValueError, RecursionError) as error:
        return OutputInvalid(f"the value is not JSON: {error}", hint="raise max_tokens")
    except TimeoutError:
        return OutputInvalid(f"the value was not validated within {_SECONDS} s", hint="make the patterns simpler")
    if not found:
        return None
    return OutputInvalid(
        f"the value does not satisfy its schema: {found[0][1][:300]}",
        where=", ".join(dict.fromkeys(place for place, _ in found)),
        hint="the mask does not enforce all of this schema (strict=False): try again, or check= and retries=",
    )


def _check_parts(spec: StructuralTag, text: str) -> OutputInvalid | None:
    """What is wrong with the first value in a structure whose schema was not enforced whole."""
    pending: list[Format] = [spec.format]
    loose = False
    while pending:
        part = pending.pop()
        pending += [inner for _, inner in parts_of(part)]
        loose = loose or (isinstance(part, JsonSchema) and not part.strict)
    if not loose:
        return None
    import regex  # type: ignore[import-untyped]

    end = time.monotonic() + _SECONDS

    def fullmatch(pattern: str, text: str) -> object:
        return regex.fullmatch(pattern, text, timeout=max(1e-3, end - time.monotonic()), concurrent=True)

    try:
        segments = list(read_segments(spec, text, fullmatch))
    except OutputInvalid as error:
        return error
    except TimeoutError:
        return OutputInvalid(f"the value was not validated within {_SECONDS} s", hint="make the patterns simpler")
    while segments:
        segment = segments.pop(0)
        segments[:0] = segment.inside
        if isinstance(segment.content, JsonSchema):
            invalid = check_value(segment.content, segment.text)
            if invalid is not None:
                invalid.where = f"{segment.tag or 'text'} at character {segment.begin}: {invalid.where}"
                return invalid
    return None


def _errors(schema: Any, value: Any) -> Iterator[tuple[str, str]]:
    """Places in the value and what is wrong there."""
    import jsonschema
    import regex  # type: ignore[import-untyped]

    end = time.monotonic() + _SECONDS

    def matches(pattern: str, text: str) -> bool:
        return regex.search(pattern, text, timeout=max(1e-3, end - time.monotonic()), concurrent=True) is not None

    def pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not matches(pattern, instance):
            yield jsonschema.ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")

    def pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
        for pattern, part in patterns.items() if isinstance(instance, dict) else ():
            for name, member in instance.items():
                if matches(pattern, name):
                    yield from validator.descend(member, part, path=name, schema_path=pattern)

    extended = jsonschema.validators.extend(
        jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator),
        {"pattern": pattern, "patternProperties": pattern_properties},
    )
    checker = extended.FORMAT_CHECKER
    for error in extended(schema, format_checker=checker).iter_errors(value):
        if time.monotonic() > end:
            raise TimeoutError
        yield child_pointer("#", *error.absolute_path), error.message
