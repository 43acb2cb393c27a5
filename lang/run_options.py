"""`ProgramOptions`: what `Program.on` and `open` are told about runs, checked once."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from ..errors import InvalidRequest
from ..runtime.protocol.graph import RunOptions
from .budget import Budget

if TYPE_CHECKING:
    from .engines import Linked

_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ProgramOptions(msgspec.Struct, frozen=True):
    """Options of a program's runs: see `Program.on`."""

    engine: Linked | str | None = None
    timeout: float | None = None
    budget: int | None = None
    seed: int = 0
    run_id: str = ""
    cache: bool = True
    tenant: str = ""
    priority: int = 0
    events: bool = False

    def check(self, where: str) -> ProgramOptions:
        """Itself. Raises InvalidRequest if an option is out of its bounds."""
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidRequest(f"timeout is {self.timeout}", where=where, hint="give seconds above 0")
        if self.budget is not None and self.budget < 1:
            raise InvalidRequest(f"budget is {self.budget}", where=where, hint="give at least one token, or None")
        if self.run_id and not _RUN_ID.fullmatch(self.run_id):
            raise InvalidRequest(
                f"run_id is {self.run_id!r}",
                where=where,
                hint="it may name a file: use up to 100 letters, digits, '_', '-' and '.', not '.' first",
            )
        return self

    def of_a_run(self) -> RunOptions:
        """What the engine is told about one run. Without `cache` the run is a tenant of its own, of whom nobody else
        knows the name."""
        tenant = self.tenant if self.cache else f"{self.tenant}\x00{secrets.token_hex(16)}"
        return RunOptions(tenant, self.timeout, self.priority)

    def new_budget(self) -> Budget | None:
        """The budget of one run."""
        return None if self.budget is None else Budget(self.budget)
