"""What compiling a grammar came to, for people and for programs: which backend, and every place that is not as written.

Plain data: it crosses the process that vets grammars, and a client may be sent it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_TOLD = 100
"""Notes that travel with one value; a schema can have thousands."""

Kind = Literal["ignored", "weakened", "narrowed", "unknown"]


class Note(msgspec.Struct, frozen=True):
    """One place of a schema that is not enforced as it is written.

    Attributes:
        kind: "ignored" and "weakened": values that the keyword refuses are (in part) let through, and the finished
            value is validated; "narrowed": some values that the schema allows are not generated; "unknown": the keyword
            or the format is none of JSON Schema's and constrains nothing.
        where: JSON pointer of the place, as a URI fragment.
        keyword: the keyword, or the name that is none.
        what: one sentence.
        nearest: for "unknown", the known name that it may be a misspelling of; else "".
    """

    kind: Kind
    where: str
    keyword: str
    what: str
    nearest: str = ""


class GrammarReport(msgspec.Struct, frozen=True):
    """What a compiled grammar enforces.

    Attributes:
        backend: the backend that was chosen.
        notes: every place that is not as written, in document order.
    """

    backend: str
    notes: tuple[Note, ...] = ()

    def told(self) -> tuple[Note, ...]:
        """The notes that a client is sent: those of what is not enforced first, and no more than `MAX_TOLD`."""
        loose_first = sorted(self.notes, key=lambda note: note.kind == "narrowed")
        if (left := len(loose_first) - MAX_TOLD) <= 0:
            return tuple(loose_first)
        return (*loose_first[:MAX_TOLD], Note("narrowed", "#", "", f"and {left} more notes, which are not sent"))

    @property
    def exact(self) -> bool:
        """No value is generated that the grammar as written refuses."""
        return not any(note.kind in ("ignored", "weakened") for note in self.notes)
