"""`ramify.testing`: an engine that answers from a script, for unit tests of programs. `lang/testing.py` implements it.

from ramify.testing import Call, Raw, Scripted
"""

from __future__ import annotations

from .lang.testing import Answers, Call, Raw, Scripted

__all__ = ["Answers", "Call", "Raw", "Scripted"]
