"""A process that runs a batch and prints each item: `python batch_child.py JOURNAL ROWS STALL`.

Rows from STALL on never end, so that the batch is surely running when it is interrupted.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import ramify as rf
from ramify.lang.testing import Scripted

JOURNAL, ROWS, STALL = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
began: list[rf.Run[object]] = []


@rf.function
async def work(s: rf.State, n: int) -> str:
    if type(s._run) is rf.Run:  # and no dry run, of which there is one for the journal
        began.append(s._run)
    s += f"row {n}" + rf.gen("x")
    if n >= STALL:
        await asyncio.Event().wait()
    return f"{await s['x']} {n}"


def main() -> None:
    rows = ({"n": n} for n in range(ROWS))
    try:
        program = work.on(Scripted({"x": "done"}))
        for item in program.batch(rows, key=lambda row: f"row-{row['n']}", journal=JOURNAL, limit=8):
            print(item.key, item.value, item.resumed, flush=True)
    except KeyboardInterrupt:
        ended = sum(run.done for run in began)
        cancelled = sum(isinstance(run._future.exception(0), rf.errors.Cancelled) for run in began)
        print("interrupted", len(began), ended, cancelled, flush=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
