"""Fields of JSON text: a value edge may splice a part of a finished value instead of the whole.

The part is cut out of the text that was generated, so numbers keep their spelling. Nothing is parsed by hand: each
level is decoded with its members left as raw JSON.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from ...errors import InvalidRequest

FieldPath: TypeAlias = tuple[str | int, ...]
"""Names of members and places of items, outermost first."""

MAX_FIELD_DEPTH = 64

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)


def field_text(text: str, path: FieldPath) -> str:
    """The text of one field: of a string what it says, of anything else its JSON as it was generated.

    Raises:
        InvalidRequest: the text is not JSON, or has no such field.
    """
    raw = text.encode().strip()
    for depth, key in enumerate(path):
        try:
            raw = bytes(_object.decode(raw)[key] if isinstance(key, str) else _array.decode(raw)[key]).strip()
        except (msgspec.DecodeError, RecursionError, LookupError):
            raise InvalidRequest(
                f"the value has no field {spell(path[: depth + 1])}",
                hint=f"it is {_shorten(raw.decode())}"
                if depth == 0
                else f"{spell(path[:depth])} is {_shorten(raw.decode())}",
            ) from None
    if not raw.startswith(b'"'):
        return raw.decode()
    try:
        return _string.decode(raw)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the value is not JSON: {error}", hint=f"it is {_shorten(text)}") from None


def spell(path: FieldPath) -> str:
    """`("items", 0, "name")` as `items[0].name`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def check_path(path: FieldPath, where: str) -> None:
    """Raises InvalidRequest unless a field is named, not too deep."""
    if len(path) > MAX_FIELD_DEPTH:
        raise InvalidRequest(f"a field {len(path)} levels deep", where=where, hint=f"at most {MAX_FIELD_DEPTH}")


def _shorten(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."
