"""Bytes to messages and back: msgpack into the closed unions of this folder, with a guard in front of the decoder.

Decoders recurse on the C stack, so nesting is bounded before they run: one pass over the raw bytes counts depth and
items and never recurses. What passes is decoded by msgspec into known types; nothing else is ever deserialised.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import ProtocolError
from .graph import EngineReply, SocketMessage
from .plan import WorkerCommand, WorkerReply

MAX_BYTES = 64 << 20
MAX_DEPTH = 64
MAX_ITEMS = 4_000_000

_ENCODER = msgspec.msgpack.Encoder()

# Bytes that follow the first byte of a msgpack value (the msgpack specification, "Formats"): payload, or length field.
_FIXED = {
    0xC0: 0,
    0xC2: 0,
    0xC3: 0,
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}


def check_bounds(
    data: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_items: int = MAX_ITEMS
) -> None:
    """Refuse a msgpack message that is too long, too deep, has too many items or uses extension types.

    It looks at structure only: a message that is cut off passes here and is refused by the decoder.

    Raises:
        ProtocolError: with the limit that was passed.
    """
    if len(data) > max_bytes:
        raise ProtocolError(f"a message of {len(data)} bytes; the limit is {max_bytes}", hint="send smaller deltas")
    at, items, end = 0, 0, len(data)
    left = [1]  # values still to come, at each open level
    while left and at < end:
        if left[-1] == 0:
            left.pop()
            continue
        left[-1] -= 1
        items += 1
        if items > max_items:
            raise ProtocolError(f"a message of more than {max_items} values", hint="send smaller deltas")
        first = data[at]
        at += 1
        children = 0
        if first <= 0x7F or first >= 0xE0:
            continue
        if first <= 0x8F:
            children = 2 * (first & 0x0F)
        elif first <= 0x9F:
            children = first & 0x0F
        elif first <= 0xBF:
            at += first & 0x1F
        elif first in _FIXED:
            at += _FIXED[first]
        elif first in _SIZED:
            width = _SIZED[first]
            at += width + int.from_bytes(data[at : at + width], "big")
        elif first in _ARRAY:
            width = _ARRAY[first]
            children = int.from_bytes(data[at : at + width], "big")
            at += width
        elif first in _MAP:
            width = _MAP[first]
            children = 2 * int.from_bytes(data[at : at + width], "big")
            at += width
        else:
            raise ProtocolError(f"a message with type byte 0x{first:02x}", hint="extension types are not used")
        if children:
            if len(left) >= max_depth:
                raise ProtocolError(f"a message nested deeper than {max_depth}", hint="flatten it")
            left.append(children)


class Codec:
    """Encodes any message, decodes one union. One instance a thread: decoders keep scratch buffers."""

    def __init__(self, union: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(union)

    def decode(self, data: bytes) -> Any:
        """The message in `data`.

        Raises:
            ProtocolError: out of bounds, cut off, or not a message of this union; `where` is the path in it.
        """
        check_bounds(data)
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at ")
            raise ProtocolError(what, where=path.strip("`"), hint="client and engine must be of one version") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"not a message: {error}", hint="client and engine must be of one version") from None


def encode(message: msgspec.Struct) -> bytes:
    return _ENCODER.encode(message)


def client_codec() -> Codec:
    """Decodes what clients send."""
    return Codec(SocketMessage)


def engine_codec() -> Codec:
    """Decodes what an engine sends."""
    return Codec(EngineReply)


def command_codec() -> Codec:
    """Decodes what a core sends to a worker in another process."""
    return Codec(WorkerCommand)


def reply_codec() -> Codec:
    """Decodes what such a worker answers."""
    return Codec(WorkerReply)
