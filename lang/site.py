"""Source lines of user code, for errors and `explain`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_OURS = (*(f"{_PACKAGE / name}{os.sep}" for name in ("lang", "runtime", "cli")), str(_PACKAGE / "__init__.py"))


def ours(file: str) -> bool:
    """Whether a source file is part of ramify itself, and none of a user's."""
    return file.startswith(_OURS)


def call_site() -> str:
    """`file:line` of the nearest frame outside of ramify; "" if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not ours(name):
            return f"{name}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
