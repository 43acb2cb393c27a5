"""argparse with errors that are raised, so that every failure of the command is told in the same one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from .failure import UsageError


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviations, whose errors are `UsageError`.

    Args:
        prog: what was typed to come here.
        description: for `--help`.
        help_command: what shows the help; `prog --help` by default.
        conflicts: "resolve" has later options take the place of earlier ones.
    """

    def __init__(
        self,
        prog: str,
        description: str = "",
        *,
        help_command: str = "",
        conflicts: str = "error",
        add_help: bool = True,
    ) -> None:
        super().__init__(
            prog=prog, description=description, allow_abbrev=False, conflict_handler=conflicts, add_help=add_help
        )
        self.help_command = help_command or f"{prog} --help"

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(message, hint=self.help_command)
