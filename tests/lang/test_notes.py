"""What is not enforced as written reaches the program: with the value, the report, the events and the items."""

from __future__ import annotations

import json
from typing import Any

import ramify as rf
from lang_world import make_world
from ramify.lang.testing import Scripted
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts

UNIQUE = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 2, "uniqueItems": True}
LOOSE = rf.JsonSchema(json.dumps(UNIQUE), strict=False)
EXACT = rf.Regex("[ab]")


@rf.function
def loose(s: rf.State) -> tuple[rf.Note, ...]:
    s += "a" + rf.gen("x", type=LOOSE, temperature=1.0, max_tokens=50) + rf.gen("y", type=EXACT, max_tokens=50)
    assert s["y"].notes == ()
    return s["x"].notes


def check(notes: tuple[rf.Note, ...], report: Any, events: list[rf.Event]) -> None:
    assert [(note.kind, note.where) for note in notes][:1] == [("ignored", "#/uniqueItems")]
    assert ("narrowed", "#", "whitespace") in [(note.kind, note.where, note.keyword) for note in notes]
    (told,) = report.notes
    assert (told.path, told.gens, told.notes) == ("loose/x[0]", 1, notes)
    done = {event.path: event.notes for event in events if isinstance(event, rf.NodeDone)}
    assert done == {"loose/x[0]": notes, "loose/y[0]": ()}


def test_notes_of_an_engine_reach_the_program(parts: Parts) -> None:
    async def main() -> Any:
        _, link = make_world(parts, 61, 1)
        each = loose.on(events=True).launch(link)
        notes = await each
        return notes, each.report(), list(each.events())

    notes, report, events = run(main())
    check(notes, report, events)


def test_a_script_gives_the_same_notes() -> None:
    each = loose.on(Scripted({"x": [[1, 2]], "y": "a"}), events=True).start()
    check(each.result(), each.report(), list(each.events()))


def test_items_of_a_batch_have_the_notes_of_their_gens() -> None:
    @rf.function
    def twice(s: rf.State, n: int) -> int:
        for _ in range(n):
            s += rf.gen("x", type=LOOSE)
        return n

    none, two = sorted(twice.on(Scripted(lambda call: [1])).batch([{"n": 0}, {"n": 2}]), key=lambda item: item.index)
    assert none.notes == ()
    (told,) = two.notes
    assert told.path.endswith("twice/x[0]")
    assert told.gens == 2
