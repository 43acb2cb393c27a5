"""The engine of a command: named on its line, by the program itself, or by the environment; closed at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from ..errors import ModelNotFound
from ..lang.engines import Engine, Linked
from ..runtime.engine.options import EngineOptions
from .failure import UsageError
from .parser import Parser

_TYPED = ("model", "grammar_limits", "vetting_limits")  # not said in one word
SETTABLE = tuple(name for name in EngineOptions.__struct_fields__ if name not in _TYPED)


def add_engine_arguments(parser: Parser) -> None:
    """`--engine` and `--option`."""
    parser.add_argument(
        "--engine", metavar="NAME", help='"seedling", the bundled model, or a model directory; default: RAMIFY_ENGINE'
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the engine, such as device=cuda, dtype=bfloat16 or slots=100000; may be repeated",
    )


@contextmanager
def opened(name: str | None, options: list[str], bound: Linked | str | None = None) -> Iterator[Linked]:
    """The engine, ready.

    Args:
        name: what `--engine` says.
        options: what `--option` says, as "name=value".
        bound: what the program was bound to in its file.

    Raises:
        UsageError: none was named, its model is not there, an option is not one, or the extra is not installed.
        UnsupportedModel, WorkerError: it could not be started.
    """
    if name is None and bound is not None and not isinstance(bound, str):
        if options:
            raise UsageError("the program has an engine of its own", hint="give --engine beside --option")
        yield bound
        return
    model = name or bound or os.environ.get("RAMIFY_ENGINE")
    if not model:
        raise UsageError(
            "no engine was named", hint="give --engine seedling or a model directory, or set RAMIFY_ENGINE"
        )
    assert isinstance(model, str)
    settings = _settings(model, options)
    try:
        _ = settings.directory  # a model that is not there is found before torch is loaded
        engine = Engine(model, **{field: getattr(settings, field) for field in SETTABLE})
    except ModelNotFound as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from error
    except ModuleNotFoundError as error:
        raise UsageError(f"an engine needs {error.name}", hint='pip install "ramify[engine]"') from error
    with engine:
        yield engine


def _settings(model: str, options: list[str]) -> EngineOptions:
    """The options of an engine for the model. Raises UsageError."""
    hint = f"options are {', '.join(SETTABLE)}"
    given: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in SETTABLE:
            raise UsageError(f"--option {option!r} is no option of an engine", hint=hint)
        given[name] = value
    try:
        return msgspec.convert({**given, "model": model}, EngineOptions, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"--option: {error}", hint=hint) from None
