"""The exceptions of ramify: one type for each thing a caller can do about it.

Every message says what was wrong, where (a node path, a source line, a path in a schema) and what to do.
"""

# The module imports nothing of the package, so that every folder may raise from it. `to_info` and `from_info` carry an
# exception across a process boundary as strings: no object is ever deserialised.

from __future__ import annotations

from typing import NamedTuple


class RamifyError(Exception):
    """Base of all errors raised by ramify.

    Args:
        what: what is wrong, in one sentence.
        where: a node path, a source line, a file or a path in a schema; empty when there is no place.
        hint: what the caller can do about it.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  to do: {self.hint}")
        return "\n".join(lines)


class ModelNotFound(RamifyError):
    """The model directory does not exist or lacks a file that every model needs."""


class UnsupportedModel(RamifyError):
    """The model directory is whole, but its architecture or a setting in its config is not implemented."""


class InvalidRequest(RamifyError):
    """A node or an option is out of its bounds (a negative temperature, an unknown stream, a bad token id)."""


class InvalidType(RamifyError):
    """`gen(type=...)` was given something that no JSON Schema can be made from."""


class InvalidSchema(RamifyError):
    """A schema that is not JSON Schema, or that no grammar backend can compile."""


class UnenforceableSchema(InvalidSchema):
    """A valid schema with a keyword that no backend enforces exactly; `where` lists the paths."""


class TemplateMismatch(RamifyError):
    """The chat template cannot be appended to: it rewrites earlier turns, or refuses this order of roles."""


class ContextOverflow(RamifyError):
    """The stream is longer than the model's context."""


class NeverFits(RamifyError):
    """The node needs more KV slots than the whole pool has, or its type more tokens than `max_tokens`; waiting would
    not help."""


class UnknownName(RamifyError, KeyError):
    """`s["name"]` for a name that was never generated on this stream."""

    __str__ = RamifyError.__str__


class DeadlineExceeded(RamifyError, TimeoutError):
    """The run's timeout passed before the node was done."""

    __str__ = RamifyError.__str__


class BudgetExceeded(RamifyError):
    """The run may generate no more tokens: see `Program.on(budget=...)`."""


class Cancelled(RamifyError):
    """The run or the stream was cancelled."""


class Overloaded(RamifyError):
    """A bounded queue is full; try again later."""


class ProtocolError(RamifyError):
    """A message on the wire is too long, too deep or not of a known type."""


class WorkerError(RamifyError):
    """A step failed on the worker (out of device memory, a kernel error); the requests in it failed with it."""


class EngineUnavailable(RamifyError):
    """No engine was named, or the engine's process has gone."""


class OutputInvalid(RamifyError):
    """A finished value does not have the promised type: the model stopped at `max_tokens` inside it."""


class NodeError(RamifyError):
    """A node failed.

    Attributes:
        path: its structural path.
        site: its source line.
    """

    def __init__(self, path: str, site: str, cause: RamifyError) -> None:
        super().__init__(f"{path}: {cause.what}", where=site or cause.where, hint=cause.hint)
        self.path = path
        self.site = site
        self._cause = cause
        self.__cause__ = cause

    @property
    def cause(self) -> RamifyError:
        """Why it failed; also `__cause__`, which tracebacks print."""
        return self._cause


class ErrorInfo(NamedTuple):
    """An exception as it travels: the class name and the three strings."""

    code: str
    what: str
    where: str
    hint: str


_CODES: dict[str, type[RamifyError]] = {
    cls.__name__: cls
    for cls in (
        RamifyError,
        ModelNotFound,
        UnsupportedModel,
        InvalidRequest,
        InvalidType,
        InvalidSchema,
        UnenforceableSchema,
        TemplateMismatch,
        ContextOverflow,
        NeverFits,
        UnknownName,
        DeadlineExceeded,
        BudgetExceeded,
        Cancelled,
        Overloaded,
        ProtocolError,
        WorkerError,
        EngineUnavailable,
        OutputInvalid,
    )
}


def to_info(error: BaseException) -> ErrorInfo:
    """`error` as four strings; an exception that is not ours keeps its type's name in the text."""
    if isinstance(error, RamifyError):
        code = type(error).__name__
        return ErrorInfo(code if code in _CODES else "RamifyError", error.what, error.where, error.hint)
    return ErrorInfo(
        "RamifyError", f"{type(error).__name__}: {error}", "", "this is a fault in ramify: please report it"
    )


def from_info(info: ErrorInfo) -> RamifyError:
    """The exception that `to_info` described; an unknown code becomes `RamifyError`."""
    return _CODES.get(info.code, RamifyError)(info.what, where=info.where, hint=info.hint)
