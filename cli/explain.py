"""`ramify explain`: what a program will do and cost, before anything runs, as tables or as a picture."""

from __future__ import annotations

import argparse
import os
import sys

from ..errors import ModelNotFound
from .arguments import Signature
from .failure import OK, UsageError
from .output import write
from .parser import Parser
from .target import load


def add_arguments(parser: Parser) -> None:
    """The options of `ramify explain`."""
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help='count the tokens of this model: "seedling" or a directory; default: RAMIFY_ENGINE, or characters',
    )
    parser.add_argument("--graph", choices=("mermaid", "svg"), help="print the graph as a picture instead")


def execute(options: argparse.Namespace, arguments: list[str]) -> int:
    """Explain it; the exit code. Arguments that are not given stay symbols.

    Args:
        options: of `add_arguments`, with `target`.
        arguments: the program's own.
    """
    target = load(options.target)
    signature = Signature(target.program)
    bound = signature.bind(signature.parse(arguments, f"ramify explain {options.target}", required=False))
    program = target.program
    engine = options.engine or program._options.engine or os.environ.get("RAMIFY_ENGINE")
    if options.graph is not None:
        graph = program.graph(*bound.args, **bound.kwargs)
        write(graph.mermaid() if options.graph == "mermaid" else graph.svg())
        return OK
    try:
        plan = program.on(engine).explain(*bound.args, **bound.kwargs)
    except ModelNotFound as error:
        raise UsageError(error.what, where=error.where, hint=error.hint) from error
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(plan)
    else:
        write(str(plan), end="")
    return OK
