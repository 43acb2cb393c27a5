"""`ramify run --rows`: a program over the lines of a file, which goes on where it stopped.

    rows.jsonl             {"id": "a1", "text": "..."}      arguments; all lines are checked before the start
    results.jsonl          {"key": "a1", "index": 0, "value": ...}      in the order in which rows end, or
                           {"key": "a1", "index": 0, "error": {"code": ..., "what": ..., "where": ..., "hint": ...}}
    results.jsonl.journal  {"key": "a1", "value": ...}      what a second start does not run again

The results are written anew by each start, those from the journal first of all as they come up. Without `--key` a row's
key is a digest of its content, so that a row that was changed is run again, and one that was moved is not.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from ..lang.batch import Item
from ..lang.program import Program
from ..lang.types import to_json
from .arguments import Signature
from .failure import FAILED, INTERRUPTED, OK, UsageError, described, one_line
from .output import note


class Row(dict[str, Any]):
    """The arguments of one run, and the key of its row."""

    key: str


class Rows:
    """The rows of a file, read again for each iteration; making it reads and checks all of them.

    Args:
        path: one JSON object a line; empty lines are passed over.
        signature: of the program that is to take them.
        fixed: arguments of every row; what a row says itself goes before them.
        key: the field that names a row, which the program need not take; None for a digest.

    Raises:
        UsageError: the file cannot be read, or a line is not a row, named by its number.
    """

    def __init__(self, path: str, signature: Signature, fixed: Mapping[str, Any], key: str | None) -> None:
        self.path = Path(path)
        self._signature = signature
        self._fixed = fixed
        self._key = key
        if not self.path.is_file():
            raise UsageError(f"there is no file {path!r}", where=str(self.path.absolute()), hint="check the path")
        self._count = sum(1 for _ in self)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        seen: Counter[str] = Counter()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = self._row(line, f"{self.path}:{number}")
                    seen[row.key] += 1
                    if seen[row.key] > 1 and self._key is None:
                        row.key = f"{row.key}-{seen[row.key]}"
                    elif seen[row.key] > 1:
                        raise UsageError(
                            f"two rows have the key {row.key!r}",
                            where=f"{self.path}:{number}",
                            hint="keys name one row",
                        )
                    yield row

    def _row(self, line: bytes, where: str) -> Row:
        try:
            given = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"not a row: {error}", where=where, hint="write one JSON object a line") from None
        row = Row(self._fixed)
        parameters = self._signature.parameters
        for name, value in given.items():
            if name not in parameters:
                if name == self._key:
                    continue
                raise UsageError(
                    f"{self._signature.program.name} has no argument {name!r}",
                    where=where,
                    hint=f"it has {', '.join(parameters) or 'none'}",
                )
            try:
                row[name] = parameters[name].from_json(msgspec.json.encode(value).decode())
            except ValueError as error:
                raise UsageError(f"{name}: {error}", where=where, hint="correct the row") from None
        missing = self._signature.missing(row)
        if missing:
            raise UsageError(f"the row lacks {', '.join(missing)}", where=where, hint="add it, or give it behind --")
        row.key = self._name(given, line, where)
        return row

    def _name(self, given: dict[str, Any], line: bytes, where: str) -> str:
        if self._key is None:
            return hashlib.blake2b(line.strip(), digest_size=8).hexdigest()
        name = given.get(self._key)
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise UsageError(
                f"no text or number is in {self._key!r}", where=where, hint="--key names a field of each row"
            )
        return str(name)


def results_file(path: str, rows: Rows) -> Path:
    """Where the results go. Raises UsageError if they cannot, or must not."""
    out = Path(path)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError("no results can be written there", where=str(out.absolute()), hint="name a file in a folder")
    if out.exists() and out.samefile(rows.path):
        raise UsageError("the results would go into the file of the rows", where=str(out), hint="name another --out")
    return out


def run_rows(program: Program[..., Any], rows: Rows, out: Path, options: argparse.Namespace, source: Path) -> int:
    """Run them all; the exit code. Ctrl-C ends it, with a line that says how to go on.

    Args:
        program: bound to its engine.
        rows: to run.
        out: see `results_file`.
        options: with `run_id`, `stale`, `traceback` and the whole command line as `argv`.
        source: the program's file.
    """
    journal = None if options.run_id else out.with_name(f"{out.name}.journal")  # a run_id has a journal of its own
    kept = journal or Path(".ramify", f"{options.run_id}.jsonl")
    counts: Counter[str] = Counter()
    first: BaseException | None = None
    batch = program.batch(rows, key=lambda row: cast(Row, row).key, journal=journal, stale=options.stale or "refuse")
    items = cast(Generator[Item[Any], None, None], batch)
    try:
        with out.open("wb") as file, contextlib.closing(items):
            for item in items:
                file.write(_line(item, source))
                file.flush()
                counts["resumed" if item.resumed else "done" if item.ok else "failed"] += 1
                first = first or item.error
    except KeyboardInterrupt:
        note(f"\nramify: stopped, {_words(counts, len(rows))}; to go on: {_command(options.argv)}")
        return INTERRUPTED
    note(f"ramify: {_words(counts, len(rows))}; results: {out}; to run everything again, delete {kept}")
    if first is None:
        return OK
    if options.traceback:
        traceback.print_exception(first)
    note(f"{one_line(first, source)}; the same command runs what failed again")
    return FAILED


def _line(item: Item[Any], source: Path) -> bytes:
    outcome = {"value": item.value} if item.error is None else {"error": described(item.error, source)._asdict()}
    return to_json({"key": item.key, "index": item.index, **outcome}) + b"\n"


def _words(counts: Counter[str], total: int) -> str:
    ended = counts["done"] + counts["resumed"]
    return f"{ended} of {total} rows done ({counts['resumed']} of them before), {counts['failed']} failed"


def _command(argv: list[str]) -> str:
    """What was typed."""
    started = [Path(sys.executable).name, "-m", "ramify"] if Path(sys.argv[0]).name == "__main__.py" else ["ramify"]
    return shlex.join([*started, *argv])
