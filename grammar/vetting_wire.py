"""The frames between the engine and a vetting process: a length in four bytes, then msgpack of these closed types."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from .limits import GrammarLimits
from .spec import GrammarSpec
from .state import GrammarPlan

MAX_FRAME = 256 << 20
_LENGTH = struct.Struct("<I")


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The first frame to a process: what it compiles for. It answers `Loading(False)` when it is ready."""

    tokens: list[bytes]
    stop_ids: list[int]
    width: int
    backend: str
    limits: GrammarLimits
    memory_bytes: int
    control: dict[str, int]


class Job(msgspec.Struct, frozen=True, tag="job"):
    """A grammar to plan."""

    spec: GrammarSpec
    cpu_seconds: float


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """The grammar compiles."""

    plan: GrammarPlan


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It does not: the error as `ErrorInfo`."""

    error: tuple[str, str, str, str]


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """A backend's library is being loaded, or (`begins` false) that is done: this time is not the grammar's."""

    begins: bool


Answer: TypeAlias = Planned | Failed | Loading


def encode(message: msgspec.Struct) -> bytes:
    """A message as a frame."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


def read_exactly(fd: int, wait: Callable[[], None] = lambda: None) -> bytes:
    """The content of the next frame.

    Args:
        fd: a pipe.
        wait: called before each read; may raise to give up.

    Raises:
        EOFError: the other side has gone, or sent a frame beyond the limit.
    """
    (length,) = _LENGTH.unpack(_read(fd, _LENGTH.size, wait))
    if length > MAX_FRAME:
        raise EOFError
    return _read(fd, length, wait)


def _read(fd: int, length: int, wait: Callable[[], None]) -> bytes:
    data = bytearray()
    while len(data) < length:
        wait()
        part = os.read(fd, min(length - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
