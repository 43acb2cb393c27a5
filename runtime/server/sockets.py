"""The one place where sockets are made: local ones only, bounded, in a directory that only this user can enter."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import zmq
import zmq.asyncio

from ...errors import InvalidRequest
from ..protocol.wire import MAX_BYTES

HIGH_WATER_MARK = 10_000


def make_address() -> str:
    """A fresh `ipc://` address in a new directory of mode 0700. The caller removes the directory."""
    return f"ipc://{tempfile.mkdtemp(prefix='ramify-')}/engine"


def open_router(address: str) -> zmq.asyncio.Socket:
    """The engine's socket, bound. A peer that does not read is refused, never waited for.

    Raises:
        InvalidRequest: the address is not `ipc://`, or others can enter its directory.
    """
    directory = _directory(address)
    mode = directory.stat()
    if stat.S_IMODE(mode.st_mode) & 0o077 or mode.st_uid != os.getuid():
        raise InvalidRequest(
            f"{directory} can be entered by other users", where=address, hint="use a directory of your own, mode 0700"
        )
    socket = _bounded(zmq.asyncio.Context.instance().socket(zmq.ROUTER))
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.bind(address)
    return socket


def open_dealer(address: str) -> zmq.asyncio.Socket:
    """A client's socket, connected. Raises InvalidRequest if the address is not `ipc://`."""
    _directory(address)
    socket = _bounded(zmq.asyncio.Context.instance().socket(zmq.DEALER))
    socket.connect(address)
    return socket


def _directory(address: str) -> Path:
    if not address.startswith("ipc:///"):
        raise InvalidRequest(f"{address!r} is not a local address", hint="use ipc:///absolute/path")
    return Path(address.removeprefix("ipc://")).parent


def _bounded(socket: zmq.asyncio.Socket) -> zmq.asyncio.Socket:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
    socket.setsockopt(zmq.RCVHWM, HIGH_WATER_MARK)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
    return socket
