"""Chat turns as the program wrote them: for `messages()`, for roles as context managers, and for nesting errors.

    with s.user():
        s += "Look at this: " + page
    with s.assistant():
        s += rf.gen("verdict")

A turn that is opened is closed, come what may: when an exception leaves the block, the stream goes on behind a turn
that holds what was appended before it.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import InvalidRequest, RamifyError
from .check import Attempts
from .site import call_site
from .value import Value, not_decoded

if TYPE_CHECKING:
    from .run import Run
    from .state import State


class Tried(NamedTuple):
    """A gen with a check, where it stands: its failed attempts are turns of the chat too."""

    value: Attempts[Any]


class Turn:
    """One turn of one stream.

    Attributes:
        role, site: what it is, and where the program opened it.
        parts: its content so far.
        inherited: the stream was forked inside of it; the next turn on this stream ends it.
    """

    __slots__ = ("inherited", "parts", "role", "site")

    def __init__(self, role: str, site: str, parts: list[str | Value[Any] | Tried], inherited: bool = False) -> None:
        self.role = role
        self.site = site
        self.parts = parts
        self.inherited = inherited

    def snapshot(self, inherited: bool = False) -> Turn:
        """The turn as it is now, whatever is appended to this one later."""
        return Turn(self.role, self.site, list(self.parts), inherited)


class OpenTurn:
    """What `s.user()` and its like give: the turn lasts as long as the `with` block."""

    def __init__(self, state: State, role: str) -> None:
        self._state = state
        self._role = role

    def __enter__(self) -> State:
        site = call_site()
        self._state._do(lambda: self._state._open_turn(self._role, site))
        return self._state

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        site = call_site()
        try:
            self._state._do(lambda: self._state._close_turn(site))
        except RamifyError:
            if error is None:
                raise  # otherwise the block's own exception says why
        return False

    def __repr__(self) -> str:
        return f"<{self._role} turn of {self._state!r}>"


def require_no_turn(turn: Turn | None, role: str, site: str) -> None:
    """Raises InvalidRequest, with both lines, if a turn is open."""
    if turn is not None:
        raise InvalidRequest(
            f"a {role} turn inside another turn: the {turn.role} turn of {turn.site} is still open",
            where=site,
            hint="end that turn first",
        )


class Messages(Value[list[dict[str, str]]]):
    """The chat of a stream; ready when every value in it is."""

    _is_node = False

    def __init__(self, run: Run[Any], path: str, site: str, turns: list[Turn]) -> None:
        super().__init__(run, -1, "messages", path, site, decode=not_decoded)
        self._turns = turns

    @property
    def ready(self) -> bool:
        return all(value.ready for turn in self._turns for part in turn.parts if (value := _value_of(part)) is not None)

    def _look(self) -> list[dict[str, str]]:
        return [message for turn in self._turns for message in _messages(turn)]


def _value_of(part: str | Value[Any] | Tried) -> Value[Any] | None:
    return part.value if isinstance(part, Tried) else part if isinstance(part, Value) else None


def _messages(turn: Turn) -> list[dict[str, str]]:
    """One message; with failed attempts in it, each of them and the answer it got are messages before the last."""
    messages: list[dict[str, str]] = []
    content = ""
    for part in turn.parts:
        if isinstance(part, Tried):
            for text, problem in part.value.failed:
                messages.append({"role": turn.role, "content": content + text})
                messages.append({"role": "user", "content": problem})
                content = ""
            part = part.value
        content += str(part)
    return [*messages, {"role": turn.role, "content": content}]
