"""The engine process: the same `EngineLoop` as in the caller's process, behind a local socket.

It ends when its standard input closes, which happens when its parent closes it or dies, so no orphan holds a model.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading

import zmq
import zmq.asyncio

from ...errors import EngineUnavailable, ProtocolError, to_info
from ..client.local import run_loop
from ..engine.build import Engine, build_engine
from ..engine.options import EngineOptions
from ..protocol.graph import EngineFailed, EngineReply, Goodbye, Hello
from ..protocol.wire import client_codec, encode
from .sockets import open_router

log = logging.getLogger("ramify.server")


class _Peer:
    """One client by its socket identity. Replies are dropped, with the client, when it does not read them."""

    def __init__(self, server: _Server, identity: bytes, number: int) -> None:
        self._server = server
        self.identity = identity
        self.number = number

    def send(self, reply: EngineReply) -> None:
        self._server.send(self, reply)


class _Server:
    def __init__(self, socket: zmq.asyncio.Socket, engine: Engine) -> None:
        # Sends must not wait, so they go through a plain socket over the same one.
        self._socket: zmq.Socket[bytes] = zmq.Socket.shadow(socket.underlying)
        self._receiving = socket
        self._engine = engine
        self._codec = client_codec()
        self._peers: dict[bytes, _Peer] = {}
        self._next_client = 0

    async def receive(self) -> None:
        while True:
            identity, payload = await self._receiving.recv_multipart()
            peer = self._peers.get(identity)
            try:
                message = self._codec.decode(payload)
            except ProtocolError as error:
                log.warning("a client sent what is not a message: %s", error.what)
                self.send(peer or _Peer(self, identity, -1), EngineFailed(to_info(error)))
                self._drop(peer)
                continue
            if isinstance(message, Hello):
                peer = self._peers[identity] = _Peer(self, identity, self._next_client)
                self._next_client += 1
                self._engine.loop.connect(peer.number, peer)
                peer.send(self._engine.info)
            elif isinstance(message, Goodbye) or peer is None:
                self._drop(peer)
            else:
                self._engine.loop.receive(peer.number, message)

    def send(self, peer: _Peer, reply: EngineReply) -> None:
        try:
            self._socket.send_multipart([peer.identity, encode(reply)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("client %d is gone or does not read (%s); its runs are cancelled", peer.number, error)
            asyncio.get_running_loop().call_soon(self._drop, peer)

    def _drop(self, peer: _Peer | None) -> None:
        if peer is not None and self._peers.pop(peer.identity, None) is not None:
            self._engine.loop.disconnect(peer.number)


async def _serve(options: EngineOptions, address: str) -> None:
    socket = open_router(address)
    try:
        engine = build_engine(options)
    except Exception as error:
        identity, _ = await socket.recv_multipart()
        await socket.send_multipart([identity, encode(EngineFailed(to_info(error)))])
        await asyncio.sleep(0.1)  # the message leaves with the socket's own thread
        socket.close(linger=1000)
        return
    # A search for cycles through all that was loaded takes tenths of a second, and no step is planned then.
    gc.collect()
    gc.freeze()
    server = _Server(socket, engine)
    stop = asyncio.Event()
    _watch_parent(asyncio.get_running_loop(), stop)
    tasks = [asyncio.create_task(engine.loop.run()), asyncio.create_task(server.receive())]
    await asyncio.wait([*tasks, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    engine.close()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, EngineUnavailable):
            await task
    socket.close()


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def wait() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="ramify-parent", daemon=True).start()


def serve(options: EngineOptions, address: str) -> None:
    """Serve until standard input closes."""
    run_loop(_serve(options, address))
