"""`ramify run`: one run of a program, or one for each row of a file."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any, get_args

import msgspec

from ..errors import InvalidRequest
from ..lang.engines import Linked
from ..lang.journal import Stale
from ..lang.program import Program
from ..lang.types import to_json
from ..runtime.progress import wanted
from .arguments import Signature
from .engine import add_engine_arguments, opened
from .failure import OK, UsageError
from .live import LiveText
from .output import note, report_lines, write_result
from .parser import Parser
from .rows import Rows, results_file, run_rows
from .target import Target, load


def add_arguments(parser: Parser) -> None:
    """The options of `ramify run`."""
    add_engine_arguments(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="key of everything random; default 0")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds for a run")
    parser.add_argument("--budget", type=int, metavar="N", help="tokens that a run may generate")
    parser.add_argument("--run-id", metavar="ID", help="a name for the run, in its events and for its journal")
    parser.add_argument("--events", action="store_true", help="print what happens to stderr, one JSON object a line")
    parser.add_argument("--report", action="store_true", help="print what the run cost to stderr")
    parser.add_argument("--json", action="store_true", help="print the result as JSON also if it is text")
    rows = parser.add_argument_group("many rows")
    rows.add_argument("--rows", metavar="FILE", help="run once for each line: a JSON object of arguments")
    rows.add_argument("--out", metavar="FILE", help="where the results go, one JSON object a line")
    rows.add_argument("--key", metavar="FIELD", help="the field that names a row; default: a digest of the row")
    rows.add_argument(
        "--stale",
        choices=get_args(Stale),
        metavar="HOW",
        help="refuse, rerun or keep what is done by a program that has changed since; default: refuse",
    )


def execute(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run it; the exit code.

    Args:
        options: of `add_arguments`, with `target`.
        arguments: the program's own.
    """
    _check(options)
    target = load(options.target)
    signature = Signature(target.program)
    prog = f"ramify run {options.target}"
    if options.rows is None:
        values = signature.parse(arguments, prog)
        with opened(options.engine, options.option, target.program._options.engine) as engine:
            return _run_once(target, engine, options, signature, values)
    fixed = signature.parse(arguments, prog, required=False)
    rows = Rows(options.rows, signature, fixed, options.key)
    out = results_file(options.out, rows)
    with opened(options.engine, options.option, target.program._options.engine) as engine:
        return run_rows(_bound(target, engine, options), rows, out, options, target.file)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that do not go together."""
    if options.rows is None:
        for name in ("out", "key", "stale"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} goes with --rows", hint="ramify run --help")
    elif options.out is None:
        raise UsageError("--rows needs --out", hint="--out results.jsonl")
    elif options.events or options.report or options.json:
        raise UsageError("--events, --report and --json are of a single run", hint="leave them out with --rows")


def _bound(target: Target, engine: Linked, options: argparse.Namespace, *, events: bool = False) -> Program[..., Any]:
    """The program as its file binds it, with what the command line says on top."""
    named = {"seed": options.seed, "timeout": options.timeout, "budget": options.budget, "run_id": options.run_id}
    given = {name: value for name, value in named.items() if value is not None}
    program = target.program
    merged = msgspec.structs.replace(program._options, engine=engine, events=events, **given)
    try:
        return Program(program._body, merged.check(target.name))
    except InvalidRequest as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from None


def _run_once(
    target: Target, engine: Linked, options: argparse.Namespace, signature: Signature, values: dict[str, Any]
) -> int:
    streams = wanted() and not options.events
    bound = signature.bind(values)
    run = _bound(target, engine, options, events=options.events or streams).start(*bound.args, **bound.kwargs)
    try:
        with ExitStack() as stack:
            live = stack.enter_context(LiveText()) if streams else None
            for event in run.events() if options.events or streams else ():
                if live is not None:
                    live.show(event)
                else:
                    note(to_json(event).decode())
            result = run.result()
    except KeyboardInterrupt:
        run.cancel()
        raise
    finally:
        if options.events and run.events().dropped:
            note(f"ramify: {run.events().dropped} events came faster than they could be printed, and were dropped")
    write_result(result, as_json=options.json)
    if options.report:
        note(report_lines(run.report()))
    return OK
