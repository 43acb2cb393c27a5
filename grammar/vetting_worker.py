"""What runs in a vetting worker, which the server forks: plan one grammar after the other, under limits of its own.

The timer counts this process's processor time and ends it from the kernel, so native code that never looks up is ended
too. The memory limit is on address space, beyond what the process holds while it waits. Wall time is the server's to
watch. The worker gives way to the engine (`nice`), goes first when memory runs out, and dies with its server.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..errors import RamifyError, to_info
from .limits import VettingLimits
from .state import PlanningBackend
from .validate import check_value
from .vetting_wire import MAX_FRAME, Answer, Channel, Checked, Failed, Planned, Task, encode

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_SIMPLER = "make the grammar smaller or simpler"


def serve(sock: socket.socket, backend: PlanningBackend, limits: VettingLimits) -> None:
    """Plan what comes, until the other side has gone."""
    _settle_in(limits.niceness)
    channel = Channel(sock)
    sock.setblocking(True)
    with contextlib.suppress(EOFError):
        while True:
            for frame in channel.receive():
                channel.send(_answer(backend, frame, limits))


def _settle_in(niceness: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A session of its own: where Linux groups processes by session, `nice` counts inside a group alone, and what a
    # worker uses would be taken from the engine's share.
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(backend: PlanningBackend, frame: bytes, limits: VettingLimits) -> bytes:
    try:
        with _held(limits):
            content = encode(_plan(backend, msgspec.msgpack.decode(frame, type=Task)))
    except MemoryError:
        return encode(_beyond("this grammar took more memory than it may"))
    if len(content) > MAX_FRAME // 2:
        return encode(_beyond(f"compiled, this grammar takes {len(content) >> 20} MiB"))
    return content


@contextmanager
def _held(limits: VettingLimits) -> Iterator[None]:
    """The limits hold meanwhile."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (held + limits.memory_bytes, hard))
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _plan(backend: PlanningBackend, task: Task) -> Answer:
    try:
        if task.text is not None:
            found = check_value(task.spec, task.text)
            return Checked(None if found is None else to_info(found))
        return Planned(backend.plan(task.spec))
    except RamifyError as error:
        return Failed(to_info(error))
    except MemoryError:
        raise
    except BaseException as error:  # a fault of ours, or a panic in native code: told like any other
        return Failed(to_info(error))


def _beyond(what: str) -> Failed:
    return Failed(("InvalidSchema", what, "#", _SIMPLER))
