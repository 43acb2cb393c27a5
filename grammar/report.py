"""What compiling a grammar came to, for people and for programs: which backend, and every place that is not as written.

Plain data: it crosses the process that vets grammars, and a client may be sent it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

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

    @property
    def exact(self) -> bool:
        """No value is generated that the grammar as written refuses."""
        return not any(note.kind in ("ignored", "weakened") for note in self.notes)
