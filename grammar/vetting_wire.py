"""The frames between the engine, its vetting server and the server's workers: a length in four bytes, then msgpack.

    engine  -- Start, Job, Drop -->  server  -- Task ------------------------->  worker
    engine  <-- Ready, Answered ---  server  <-- Planned, Checked or Failed ---  worker

All types are closed; nothing is ever unpickled. The server passes grammars and answers on as bytes.
"""

from __future__ import annotations

import socket
import struct
from typing import TypeAlias

import msgspec

from .limits import GrammarLimits, VettingLimits
from .spec import GrammarSpec
from .state import GrammarPlan

MAX_FRAME = 64 << 20
_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 20


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The first frame to the server: what it compiles for."""

    tokens: list[bytes]
    stop_ids: list[int]
    width: int
    control: dict[str, int]
    backend: str
    grammar_limits: GrammarLimits
    limits: VettingLimits


class Job(msgspec.Struct, frozen=True, tag="job"):
    """A grammar to vet.

    Attributes:
        number: of this job, never used again.
        owner: whose it is; owners take turns.
        asked: `time.monotonic()` when it was asked for, which all processes of a machine share.
        task: an encoded `Task`.
    """

    number: int
    owner: str
    asked: float
    task: bytes


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Nobody waits for a job any more."""

    number: int


class Task(msgspec.Struct, frozen=True, tag="task"):
    """A grammar to plan, as a worker sees it; or, with a finished `text`, one to validate that against."""

    spec: GrammarSpec
    text: str | None = None


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """The grammar compiles."""

    plan: GrammarPlan


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It does not: the error as `ErrorInfo`."""

    error: tuple[str, str, str, str]


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """The text was validated: what is wrong with it as `ErrorInfo`, or None."""

    error: tuple[str, str, str, str] | None


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The server has loaded its backends, and its workers wait."""


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The end of a job; `answer` is an encoded `Answer`."""

    number: int
    answer: bytes


ToServer: TypeAlias = Start | Job | Drop
FromServer: TypeAlias = Ready | Answered
Answer: TypeAlias = Planned | Checked | Failed


def encode(message: msgspec.Struct) -> bytes:
    """A message as the content of a frame."""
    return msgspec.msgpack.encode(message)


class Channel:
    """Frames over a socket, both ways, never waiting: what cannot be written yet is kept."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._read = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def is_blocked(self) -> bool:
        """Something waits to be written: call `flush` when the socket can be."""
        return bool(self._unsent)

    def send(self, content: bytes) -> None:
        """Send a frame, or what of it can be. Raises EOFError: the other side has gone."""
        self._unsent += _LENGTH.pack(len(content)) + content
        self.flush()

    def flush(self) -> None:
        """Write what is kept. Raises EOFError: the other side has gone."""
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent[:_CHUNK])]
        except BlockingIOError:
            return
        except OSError as error:
            raise EOFError from error

    def receive(self) -> list[bytes]:
        """The contents of the frames that are whole after one read.

        Raises:
            EOFError: the other side has gone, or sent a frame beyond the limit.
        """
        try:
            part = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError from error
        if not part:
            raise EOFError
        self._read += part
        frames = []
        while len(self._read) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._read)
            if length > MAX_FRAME:
                raise EOFError
            end = _LENGTH.size + length
            if len(self._read) < end:
                break
            frames.append(bytes(self._read[_LENGTH.size : end]))
            del self._read[:end]
        return frames

    def close(self) -> None:
        self._sock.close()
