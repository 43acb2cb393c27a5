"""The command line as a whole: which commands there are, and how any of them ends.

Every failure is one line on stderr that says what, where and what to do; `--traceback` shows Python's own account. What
a command does not know as an option of its own belongs to the program, and so does everything behind `--`.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from . import chat, explain, run
from .arguments import Signature
from .failure import FAILED, INTERRUPTED, OK, USAGE, UsageError, one_line
from .parser import Parser
from .target import load, split


class _Command(NamedTuple):
    name: str
    help: str
    add_arguments: Callable[[Parser], None]
    execute: Callable[[argparse.Namespace, list[str]], int]
    takes_program: bool


COMMANDS = (
    _Command("run", "run a program, once or for each row of a file", run.add_arguments, run.execute, True),
    _Command("explain", "say what a program will do and cost", explain.add_arguments, explain.execute, True),
    _Command("chat", "talk to a model", chat.add_arguments, chat.execute, False),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0 done, 1 failed, 2 typed wrongly, 130 stopped by Ctrl-C.

    Args:
        arguments: without the command's own name; those of the process by default.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace()
    try:
        return _execute(argv, options)
    except KeyboardInterrupt:
        print("\nramify: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if getattr(options, "traceback", False):
            traceback.print_exception(error)
        print(one_line(error, _file(options)), file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED


def _execute(argv: list[str], options: argparse.Namespace) -> int:
    behind = argv.index("--") if "--" in argv else len(argv)
    parser = _parser()
    _, unknown = parser.parse_known_args(argv[:behind], options)
    options.argv = argv
    if options.command is None:
        parser.print_help()
        return OK
    return int(options.execute(options, unknown + argv[behind + 1 :]))


def _parser() -> Parser:
    parser = Parser("ramify", "Run programs that call a language model many times.")
    parser.add_argument("--version", action="version", version=f"ramify {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        prog = f"ramify {command.name}"
        sub: Parser = commands.add_parser(
            command.name, help=command.help, prog=prog, description=f"{command.help}.".capitalize(), add_help=False
        )
        sub.add_argument("-h", "--help", action=_Help, help="show this, and the program's own options")
        if command.takes_program:
            sub.add_argument("target", metavar="FILE[:PROGRAM]", help="a Python file, and a program in it")
            sub.usage = f"{prog} FILE[:PROGRAM] [options] [-- program arguments]"
        sub.add_argument("--traceback", action="store_true", help="show where a failure came from")
        command.add_arguments(sub)
        sub.set_defaults(execute=command.execute)
    return parser


class _Help(argparse.Action):
    """`--help`, with the options of the program if its file was named before."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        parser.print_help()
        target = getattr(namespace, "target", None)
        if target is not None:
            signature = Signature(load(target).program)
            print()
            signature.parser(f"{parser.prog} {target} --").print_help()
        parser.exit()


def _file(options: argparse.Namespace) -> Path | None:
    """The user's file, if the command has one."""
    target = getattr(options, "target", None)
    try:
        return None if target is None else split(target)[0]
    except UsageError:
        return None
