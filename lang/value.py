"""`Value[T]`: the result of a node, before and after it is there.

Passing a value on never waits: appended to text it becomes a value edge, which the engine fills by itself. Looking at
it is a fence: `get`, `str`, comparing, hashing, iterating and formatting stop the program until the node is done.
`repr` never does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from ..errors import BudgetExceeded, ErrorInfo, NodeError, OutputInvalid, RamifyError, from_info
from ..grammar.report import Note
from ..grammar.spec import GrammarSpec
from ..runtime.protocol.graph import NodeDone, StreamIds, TokenLogprob, Usage
from .expr import Addable
from .site import call_site

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")

_PENDING = object()


class Behind(NamedTuple):
    """The values that stand in front of a place on a stream, last first."""

    value: Value[Any]
    rest: Behind | None


class Value(Addable, Generic[T]):
    """The value of one gen.

    `get` and `await` look at it, and so does whatever Python must know it for: `str`, `bool`, `==`, `hash`, iterating,
    formatting. In `async def` these raise, and `await` is the way. `await asyncio.gather(*values)` is not needed: gens
    run side by side from when they are recorded, so awaiting one value after the other waits for all of them.

    Attributes:
        name: what the program called it.
        path: the node's structural path.
        site: source line of the node.
    """

    _is_node = True  # the engine can splice it by its number
    _grammar: GrammarSpec | None = None  # what its text must match
    _type: Any = None  # what it will be

    def __init__(self, run: Run[Any], node: int, name: str, path: str, site: str, decode: Callable[[str], T]) -> None:
        self._run = run
        self._node = node
        self._decode = decode
        self._done: NodeDone | None = None
        self._error: NodeError | None = None
        self._value: object = _PENDING
        self._observed = False
        self._behind: Behind | None = None
        self._finished = False
        self._promised = 0  # tokens of the run's budget
        self._cut = False  # the budget promised less than the gen asked for
        self._placed: bool | None = None
        self._placing: list[Callable[[], None]] = []
        self.name = name
        self.path = path
        self.site = site

    # ---- looking ------------------------------------------------------------------------------------------------

    def get(self, timeout: float | None = None) -> T:
        """Wait for the value. In an `async def` program, await the value instead.

        Args:
            timeout: seconds to wait at most; the node goes on when they have passed.

        Raises:
            NodeError: the node failed; its `cause` says why.
            TimeoutError: it was not done in time.
        """
        if not self.ready:
            self._run.wait_for(self, timeout)
        return self._look()

    def __await__(self) -> Generator[Any, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        await self._run.until(self)
        return self._look()

    def _look(self) -> T:
        self._observed = True
        if self._error is not None:
            self._observe()
            raise self._error
        return cast(T, self._value)

    def _observe(self) -> None:
        """A look at this failure is one at what it comes from: the failed values in front of it on its stream."""
        behind = [self._behind]
        while behind:
            link = behind.pop()
            while link is not None:
                value, link = link.value, link.rest
                if value._error is not None and not value._observed:
                    value._observed = True
                    behind.append(value._behind)

    @property
    def ready(self) -> bool:
        """Whether looking would not wait."""
        return self._finished or self._error is not None

    @property
    def text(self) -> str:
        """The generated text. Waits."""
        self.get()
        return self._text

    @property
    def _was_cut(self) -> bool:
        return self._done is not None and self._done.reason == "length"

    @property
    def _text(self) -> str:
        return "" if self._done is None else self._done.text

    @property
    def _notes(self) -> tuple[Note, ...]:
        return () if self._done is None else self._done.notes

    @property
    def finish_reason(self) -> str:
        """ "stop" or "length". Waits."""
        self.get()
        assert self._done is not None
        return self._done.reason

    @property
    def usage(self) -> Usage:
        """Tokens of this node. Waits."""
        self.get()
        assert self._done is not None
        return self._done.usage

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every place of its type's schema that is not enforced as it is written: what is narrowed by default, and what
        `strict=False` lets through. Waits."""
        self.get()
        return self._notes

    @property
    def logprobs(self) -> list[TokenLogprob] | None:
        """Log probabilities of the generated tokens if the gen asked for them. Waits."""
        self.get()
        assert self._done is not None
        return self._done.logprobs

    def __str__(self) -> str:
        value = self.get()
        return str(value) if isinstance(value, str) or self._done is None else self._text

    def __format__(self, spec: str) -> str:
        value = self.get()
        return format(value if not isinstance(value, dict | list) else self.text, spec)

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(cast(Any, self.get()))

    def __float__(self) -> float:
        return float(cast(Any, self.get()))

    def __len__(self) -> int:
        return len(cast(Any, self.get()))

    def __iter__(self) -> Iterator[Any]:
        return iter(cast(Any, self.get()))

    def __contains__(self, item: object) -> bool:
        return item in cast(Any, self.get())

    def __getitem__(self, key: Any) -> Any:
        return cast(Any, self.get())[key]

    def __eq__(self, other: object) -> bool:
        return self.get() == (other.get() if isinstance(other, Value) else other)

    def __hash__(self) -> int:
        return hash(self.get())

    def __lt__(self, other: Any) -> bool:
        return bool(cast(Any, self.get()) < (other.get() if isinstance(other, Value) else other))

    def __gt__(self, other: Any) -> bool:
        return bool(cast(Any, self.get()) > (other.get() if isinstance(other, Value) else other))

    def _spliced(self) -> str:
        """The text that stands where a value which the engine does not know is appended. Waits."""
        return str(self)

    def __repr__(self) -> str:
        state = "failed" if self._error is not None else repr(self._value) if self._finished else "pending"
        return f"<Value {self.path}: {state}>"

    def field(self, path: str) -> Value[Any]:
        """A part of a typed or JSON value, as a value of its own; nothing waits.

        Args:
            path: `customer.name`, `items[0]`, or `["a.b"]` for a name with a dot in it: as in the value's JSON.

        Raises:
            InvalidRequest: the value's type has no such field, or is text.
        """
        from .field import field_of

        return field_of(self, path, call_site())

    # ---- spliced into a stream ----------------------------------------------------------------------------------

    @property
    def _has_text(self) -> bool:
        """It is made of text that the engine has, and not of something that Python made."""
        return self._decode is not not_decoded

    def _place(self, sent: bool) -> None:
        """It is known whether the engine has, or will have, this node."""
        if self._placed is None:
            self._placed = sent
            placing, self._placing = self._placing, []
            for callback in placing:
                callback()

    def _when_placed(self, callback: Callable[[], None]) -> None:
        if self._placed is None:
            self._placing.append(callback)
        else:
            callback()

    # ---- settled by the run -------------------------------------------------------------------------------------

    def _settle(self, done: NodeDone) -> None:
        try:
            self._value = self._decode(done.text)
        except Exception as error:
            cut = done.reason == "length"
            reason = f" (it stopped at max_tokens={done.usage.decoded})" if cut else ""
            what = error.what if isinstance(error, RamifyError) else str(error)
            cause: RamifyError
            if cut and self._cut:
                cause = BudgetExceeded(
                    f"the run's budget left {done.usage.decoded} tokens for this gen, too few for its type: {what}",
                    where=self.path,
                    hint="raise budget=",
                )
            else:
                cause = OutputInvalid(
                    f"the generated text is not of the promised type{reason}: {what}",
                    where=self.path,
                    hint="raise max_tokens=" if cut else "loosen the type, or give retries=",
                )
                cause.__cause__ = error
            self._error = NodeError(self.path, self.site, cause)
        self._done, self._finished = done, True

    def _fail(self, error: ErrorInfo) -> None:
        self._error = NodeError(self.path, self.site, from_info(error))


class ReadValue(Value[T]):
    """What a look at a stream gives: its ids or its text, picked from the engine's answer."""

    _is_node = False

    def __init__(
        self, run: Run[Any], node: int, name: str, path: str, site: str, pick: Callable[[StreamIds], T]
    ) -> None:
        super().__init__(run, node, name, path, site, decode=not_decoded)
        self._pick = pick

    def _answer(self, reply: StreamIds) -> None:
        self._value, self._finished = self._pick(reply), True


def not_decoded(text: str) -> Any:
    """The decoder of values that are not made of generated text."""
    raise TypeError("this value is not decoded from text")
