"""The journal of a batch: what is done, by key, in a file of JSON lines that a second start goes on from.

    {"program": "triage", "fingerprint": "5f0c..."}      which program wrote it
    {"key": "a1", "value": ...}                          one line a row that is done

The first line says whether what stands below it is still what the program would give. A journal that has none (its
program has no fingerprint, see `fingerprint_within`, or it was written with `stale="keep"`) is taken as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from ..errors import InvalidRequest
from .types import from_plain, to_json

Stale: TypeAlias = Literal["refuse", "rerun", "keep"]


class Journal:
    """Values by key, appended to a file. A last line that was cut off is dropped.

    Args:
        path: the file, which need not exist; None keeps nothing.
        type_: of the values, as which `find` gives them; None as they are in JSON.
        program: its name, for the first line.
        fingerprint: of the program; None compares and writes none.
        stale: what to do with a journal of another fingerprint: see `Program.batch`.

    Raises:
        InvalidRequest: a line is not an entry of a journal, another program wrote it, or `stale` is none of its words.
    """

    def __init__(
        self,
        path: Path | None,
        type_: Any,
        program: str = "",
        fingerprint: str | None = None,
        stale: Stale = "refuse",
    ) -> None:
        if stale not in get_args(Stale):
            raise InvalidRequest(f"stale is {stale!r}", hint=f"use one of {', '.join(get_args(Stale))}")
        self._path = path
        self._type = type_
        self._done: dict[str, Any] = {}
        self._first = b"" if fingerprint is None else _line({"program": program, "fingerprint": fingerprint})
        if path is None or not path.exists():
            return
        lines = path.read_bytes().split(b"\n")
        whole, rest = lines[:-1], lines[-1]
        if rest:  # the process ended while it wrote this line
            path.write_bytes(b"".join(line + b"\n" for line in whole))
        entries = [_entry(line, f"{path}:{number}") for number, line in enumerate(whole, 1)]
        if not entries:
            return
        written = entries[0].get("fingerprint")
        if fingerprint is not None and written not in (None, fingerprint) and stale != "keep":
            if stale == "refuse":
                raise InvalidRequest(
                    f"the journal is of another program or another version of it: its fingerprint is {written}, "
                    f"that of {program} is {fingerprint}",
                    where=str(path),
                    hint='delete the file, or give stale="rerun" to run all rows again, stale="keep" to go on with it',
                )
            path.write_bytes(b"")
            return
        self._first = b""
        self._done = {entry["key"]: entry["value"] for entry in entries if "key" in entry}

    def find(self, key: str) -> tuple[bool, Any]:
        """Whether the key is done, and its value as the program's return type."""
        if key not in self._done:
            return False, None
        value = self._done[key]
        return True, value if self._type is None else from_plain(value, self._type)

    def add(self, key: str, value: Any) -> None:
        """Write one entry through to the file."""
        if self._path is not None:
            entry, self._first = self._first + _line({"key": key, "value": value}), b""
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:  # one write: an entry is there or is not
                file.write(entry)


def _line(entry: dict[str, Any]) -> bytes:
    return to_json(entry) + b"\n"


def _entry(line: bytes, where: str) -> dict[str, Any]:
    """One line, which is an entry, or the first line of all. Raises InvalidRequest."""
    problem = "it has no key and value"
    try:
        entry = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    else:
        if {"key", "value"} <= entry.keys() or (where.endswith(":1") and {"program", "fingerprint"} <= entry.keys()):
            return entry
    raise InvalidRequest(f"not a journal of a batch: {problem}", where=where, hint="name another file") from None
