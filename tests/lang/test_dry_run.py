"""The symbolic dry run: what it explores, where it stops and says so, and that it always ends."""

from __future__ import annotations

import asyncio
import enum
import time
from typing import Any, Literal, TypedDict

import pytest
import ramify as rf
from ramify.lang.explore import DryRunBudget, dry_run
from ramify.lang.parallel import ablocking
from ramify.lang.program_graph import (
    Branch,
    Call,
    Check,
    Open,
    ProgramGraph,
    Raised,
    Returned,
    Symbol,
)
from ramify.lang.testing import Scripted
from ramify.runtime.protocol.graph import Gen, Text, ValueEdge


class Kind(enum.Enum):
    BUG = "bug"
    FEATURE = "feature"


def ends(graph: ProgramGraph) -> dict[tuple[str, ...], object]:
    return {path.labels: path.end for path in graph.paths()}


def symbols(graph: ProgramGraph) -> list[str]:
    return [step.name for step in graph.steps() if isinstance(step, Symbol)]


def test_a_program_without_a_look_is_one_closed_path() -> None:
    @rf.function
    def plain(s: rf.State, ticket: str) -> str:
        s += rf.user("Ticket: ", ticket) + rf.assistant(rf.gen("fix"))
        repr(s["fix"])
        return s["fix"]

    graph = plain.graph()
    assert graph.parameters == ("ticket",) and symbols(graph) == ["ticket"]
    assert graph.open == () and graph.fences == ()
    assert ends(graph) == {(): Returned((f"{plain.name}/fix[0]",))}


def test_a_given_argument_is_its_text() -> None:
    @rf.function
    def plain(s: rf.State, ticket: str, tone: str = "kind") -> None:
        s += ticket + tone

    graph = plain.graph(ticket="It crashes.")
    assert graph.parameters == ()
    assert [step.text for step in graph.steps() if not isinstance(step, Symbol)] == ["It crashes.kind"]
    with pytest.raises(TypeError):
        plain.graph(tickets="x")


def test_a_formatted_argument_keeps_its_place_and_is_no_fence() -> None:
    @rf.function
    def plain(s: rf.State, ticket: str, n: int) -> None:
        s += f"<{ticket}> " + str(n)

    graph = plain.graph()
    texts = [step.name if isinstance(step, Symbol) else step.text for step in graph.steps()]
    assert texts == ["<", "ticket", "> ", "n"]
    assert graph.fences == ()


@pytest.mark.parametrize(
    ("type_", "labels"),
    [
        (Kind, {"bug", "feature"}),
        (Literal["a", "b", "c"], {"a", "b", "c"}),
        (bool, {"True", "False"}),
        (rf.Choices(("x", "y")), {"x", "y"}),
        ({"type": "integer", "minimum": 1, "maximum": 3}, {"1", "2", "3"}),
        (Literal["a"] | None, {"a", "None"}),
    ],
)
def test_every_finite_domain_is_explored(type_: Any, labels: set[str]) -> None:
    @rf.function
    def look(s: rf.State) -> str:
        value = s.gen("x", type=type_).get()
        s += f"saw {value}"
        return str(value)

    graph = look.graph()
    assert graph.open == ()
    assert {label for path in graph.paths() for label in path.labels} == labels
    assert len(graph.paths()) == len(labels)


def test_each_arm_is_what_a_real_run_with_that_answer_records() -> None:
    @rf.function
    def triage(s: rf.State, ticket: str) -> str:
        s += rf.user(ticket) + rf.assistant(rf.select("kind", Kind))
        if s["kind"] == Kind.BUG:
            s += rf.user("Fix it.") + rf.assistant(rf.gen("fix"))
            return s["fix"]
        s += rf.user("Plan it.")
        return "later"

    paths = {path.labels: path for path in triage.graph("It crashes.").paths()}
    for label in ("bug", "feature"):
        engine = Scripted({"kind": label, "fix": "done"})
        sent = record(triage, engine, "It crashes.")
        assert [type(node).__name__ for node in sent] == [type(step).__name__ for step in paths[(label,)].steps]
        assert [n.text for n in sent if isinstance(n, Text)] == [
            s.text for s in paths[(label,)].steps if isinstance(s, Text)
        ]


def record(program: rf.Program[..., Any], engine: Scripted, *args: Any) -> list[Any]:
    """The nodes that a real run sends."""
    from ramify.lang.hub import shared_hub
    from ramify.runtime.protocol.graph import GraphDelta

    nodes: list[Any] = []
    link = engine.link(shared_hub())
    send = link.send

    def listen(message: Any) -> None:
        if isinstance(message, GraphDelta):
            nodes.extend(message.nodes)
        send(message)

    link.send = listen  # type: ignore[method-assign]
    program.launch(link, *args).result()
    return nodes


def test_arms_that_do_the_same_are_one_arm() -> None:
    @rf.function
    def triage(s: rf.State) -> str:
        return "now" if s.select("kind", ["bug", "feature", "billing"]) == "bug" else "later"

    end = triage.graph().body.end
    assert isinstance(end, Branch)
    assert [arm.labels for arm in end.arms] == [("bug",), ("feature", "billing")]
    assert end.fence.how == "==" and end.fence.waits


def test_free_text_leaves_the_graph_open_at_its_line() -> None:
    @rf.function
    def look(s: rf.State) -> str:
        s += rf.gen("x")
        line = f"{s['x']}"  # the look
        return line

    (end,) = look.graph().open
    assert end.fence is not None and end.fence.how == "format" and "rf.fmt" in end.fence.hint
    with open(__file__) as file:
        assert "# the look" in file.readlines()[int(end.site.rpartition(":")[2]) - 1]


def test_a_look_at_an_argument_is_no_wait_and_says_what_to_give() -> None:
    @rf.function
    def look(s: rf.State, ticket: str, urgent: bool) -> str:
        if urgent:
            s += "URGENT"
        return "x" if "crash" in ticket else "y"

    graph = look.graph()
    assert {path.labels for path in graph.paths()} == {("True",), ("False",)}
    assert all(isinstance(end, Open) for end in ends(graph).values())
    assert {fence.waits for fence in graph.fences} == {False}
    assert any("give ticket=" in fence.hint for fence in graph.fences)
    assert look.graph(ticket="crash", urgent=True).open == ()


@pytest.mark.parametrize(
    "use", ["ticket.lower()", "len(ticket)", "ticket[0]", "ticket + 1", "[1] * ticket", "ticket >= 1"]
)
def test_any_other_use_of_an_argument_is_open_and_not_an_error(use: str) -> None:
    @rf.function
    def look(s: rf.State, ticket: Any) -> Any:
        return {
            "ticket.lower()": lambda: ticket.lower(),
            "len(ticket)": lambda: len(ticket),
            "ticket[0]": lambda: ticket[0],
            "ticket + 1": lambda: ticket + 1,
            "[1] * ticket": lambda: [1] * ticket,
            "ticket >= 1": lambda: ticket >= 1,
        }[use]()

    (end,) = look.graph().open
    assert "{ticket}" in end.reason


def test_child_runs_are_graphs_of_their_own_and_give_their_results() -> None:
    @rf.function
    def label(s: rf.State, text: str) -> str:
        s += rf.user(text)
        return "yes" if s.select("ok", ["y", "n"]) == "y" else "no"

    @rf.function
    def parent(s: rf.State, text: str) -> str:
        s += rf.gen("draft")
        verdict = label(s["draft"])
        s += "Verdict: " + verdict
        return "good" if verdict == "yes" else "bad"

    graph = parent.graph()
    (call,) = graph.calls()
    assert symbols(call.graph) == [f"{parent.name}/draft[0]"]
    assert [s.source for s in call.graph.steps() if isinstance(s, Symbol)] == ["value"]
    assert [s.source for s in graph.steps() if isinstance(s, Symbol)] == ["result"]
    assert ends(graph) == {("yes",): Returned((), "good"), ("no",): Returned((), "bad")}


def test_map_explores_each_child_once() -> None:
    started: list[int] = []

    @rf.function
    def child(s: rf.State, n: int) -> int:
        started.append(n)
        s += f"item {n}" + rf.gen("x", max_tokens=3)
        return n

    @rf.function
    def parent(s: rf.State) -> list[int]:
        values = rf.map(child, range(50), limit=2)
        s += "go on" + rf.gen("more", type=bool)
        return [1] if s["more"] else [v.get() for v in values]

    graph = parent.graph()
    assert len(list(graph.calls())) == 50
    assert started == list(range(50))
    assert graph.open == ()


def test_best_and_first_choose_between_their_states() -> None:
    @rf.function
    def choose(s: rf.State) -> str:
        drafts = s.fork(3)
        for draft in drafts:
            draft += rf.gen("fix", max_tokens=5)
        (winner,) = rf.first(drafts)
        winner += " and more" + rf.gen("rest", max_tokens=5)
        (best,) = rf.best(drafts, lambda d: d["fix"])
        return best["fix"]

    graph = choose.graph()
    assert graph.open == ()
    assert len(graph.paths()) == 9
    cancelled = [sum(type(s).__name__ == "CancelStream" for s in path.steps) for path in graph.paths()]
    assert cancelled == [2] * 9


def test_a_check_is_taken_to_pass_and_is_in_the_graph() -> None:
    def small(n: int) -> None:
        raise AssertionError("checks are not called")

    @rf.function
    def checked(s: rf.State) -> int:
        s += rf.user("n") + rf.assistant(rf.gen("n", type=int, check=small, retries=4))
        s += rf.user("Is it ", s["n"], "?") + rf.assistant(rf.gen("sure", max_tokens=3))
        return s["n"]

    steps = list(checked.graph().steps())
    (check,) = [step for step in steps if isinstance(step, Check)]
    assert check.retries == 4 and check.check.endswith("small")
    (edge,) = [step for step in steps if isinstance(step, ValueEdge)]
    assert edge.source == check.node
    assert sum(isinstance(step, Gen) for step in steps) == 2


def test_fields_are_edges_and_finite_with_their_whole() -> None:
    class Ticket(TypedDict):
        urgent: bool

    @rf.function
    def child(s: rf.State, text: Any) -> str:
        s += rf.user(text.field("name"))
        return "x"

    @rf.function
    def parent(s: rf.State) -> str:
        ticket = s.gen("t", type=Ticket)
        s += "urgent: " + ticket.field("urgent")
        child(s.gen("person", type={"type": "object", "properties": {"name": {"type": "string"}}}))
        return "now" if ticket.field("urgent") else "later"

    graph = parent.graph()
    (edge,) = [step for step in graph.steps() if isinstance(step, ValueEdge)]
    assert edge.field == ("urgent",)
    assert set(ends(graph).values()) == {Returned((), "now"), Returned((), "later")}


def test_tools_are_not_called() -> None:
    called: list[int] = []

    @rf.function
    def blocks(s: rf.State) -> None:
        s += "a"
        rf.blocking(called.append, 1)

    @rf.function
    async def threads(s: rf.State) -> None:
        s += "a"
        await asyncio.to_thread(called.append, 1)

    @rf.function
    async def connects(s: rf.State) -> None:
        s += "a"
        await asyncio.open_connection("127.0.0.1", 9)

    @rf.function
    async def blocks_async(s: rf.State) -> None:
        s += "a"
        await ablocking(called.append, 1)

    for program in (blocks, blocks_async, threads, connects):
        (end,) = program.graph().open
        assert "which a dry run does not" in end.reason and "test_dry_run.py" in end.site
    assert called == []


def test_async_programs_are_explored_like_plain_ones() -> None:
    @rf.function
    async def child(s: rf.State, n: int) -> str:
        s += f"child {n}" + rf.gen("x", type=bool)
        return "yes" if await s["x"] else "no"

    @rf.function
    async def parent(s: rf.State) -> str:
        await asyncio.sleep(3600)  # takes no time
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look(s.gen("a", type=bool))), group.create_task(look(s.gen("b", type=bool)))]
        a, b = (task.result() for task in tasks)
        return await child(1) if a and b else "none"

    async def look(value: rf.Value[bool]) -> bool:
        return await value

    graph = parent.graph()
    assert graph.open == ()
    assert {path.labels for path in graph.paths()} == {
        ("True", "True", "yes"),
        ("True", "True", "no"),
        ("True", "False"),
        ("False", "True | False"),
    }


def test_an_implicit_look_in_an_async_program_raises_as_in_a_run() -> None:
    @rf.function
    async def look(s: rf.State) -> bool:
        return bool(s.gen("x", type=bool))

    (end,) = ends(look.graph()).values()
    assert isinstance(end, Raised) and "await" not in end.error and "without waiting" in end.error


def test_a_program_that_raises_says_where() -> None:
    @rf.function
    def broken(s: rf.State, n: int) -> None:
        s += rf.gen("x", type=bool)
        if s["x"]:
            raise ValueError("no")

    by_label = ends(broken.graph())
    end = by_label[("True",)]
    assert isinstance(end, Raised) and end.error == "ValueError: no" and "test_dry_run.py" in end.site
    assert by_label[("False",)] == Returned()


def test_a_program_may_swallow_nothing_of_the_dry_run() -> None:
    @rf.function
    def stubborn(s: rf.State) -> str:
        try:
            return str(s.gen("x"))
        except Exception:
            return "swallowed"

    assert len(stubborn.graph().open) == 1


# ---- it always ends -------------------------------------------------------------------------------------------------


def test_a_loop_on_a_value_ends_at_the_budget_of_arms() -> None:
    @rf.function
    def loop(s: rf.State) -> None:
        while s.gen("again", type=bool):
            s += "more"

    graph = dry_run(loop, budget=DryRunBudget(arms=8))
    (end,) = graph.open
    assert "8 arms" in end.reason
    assert sum(len(s.end.arms) for s in graph.segments() if isinstance(s.end, Branch)) == 8


def test_arms_are_explored_breadth_first() -> None:
    @rf.function
    def tree(s: rf.State) -> None:
        for i in range(10):
            s.gen(f"x{i}", type=bool).get()
            s += f"level {i}"

    depths = {len(path.labels) for path in dry_run(tree, budget=DryRunBudget(arms=14)).paths()}
    assert max(depths) <= 3


def test_endless_recording_ends_at_the_budget_of_nodes() -> None:
    @rf.function
    def endless(s: rf.State) -> None:
        while True:
            s += "x"

    @rf.function
    def children(s: rf.State) -> None:
        while True:
            endless_child()

    @rf.function
    def endless_child(s: rf.State) -> None:
        s += "x"

    for program in (endless, children):
        graph = dry_run(program, budget=DryRunBudget(nodes=100))
        assert any("100 nodes" in end.reason for end in graph.open)
        assert sum(1 for _ in graph.steps()) <= 100


def test_recursion_ends() -> None:
    @rf.function
    def again(s: rf.State) -> None:
        s += "x"
        again()

    (end,) = again.graph().open
    assert "nested deeper" in end.reason


def test_a_program_that_computes_for_ever_ends_at_the_time_and_its_thread_with_it() -> None:
    stopped: list[bool] = []

    @rf.function
    def spin(s: rf.State) -> None:
        s += "x"
        try:
            while True:
                pass
        finally:
            stopped.append(True)

    graph = dry_run(spin, budget=DryRunBudget(seconds=0.2))
    (end,) = graph.open
    assert "0.2 s" in end.reason and "test_dry_run.py" in end.site
    assert stopped == [True]
    assert any(isinstance(step, Text) for step in graph.steps())


def test_waiting_for_ever_is_open() -> None:
    @rf.function
    async def stuck(s: rf.State) -> None:
        s += "x"
        await asyncio.get_running_loop().create_future()

    begin = time.monotonic()
    assert len(stuck.graph().open) == 1
    assert time.monotonic() - begin < 5


def test_a_program_that_does_not_repeat_itself_is_open_there() -> None:
    times: list[int] = []

    @rf.function
    def moody(s: rf.State) -> None:
        times.append(1)
        name = "first" if len(times) == 1 else "other"
        s.gen(name, type=bool).get()

    assert all("something else" in end.reason for end in moody.graph().open)
    assert moody.graph is not None and len(times) == 3


def test_graph_works_inside_a_running_event_loop() -> None:
    @rf.function
    async def program(s: rf.State) -> bool:
        return await s.gen("x", type=bool)

    async def notebook() -> ProgramGraph:
        return program.graph()

    assert len(asyncio.run(notebook()).paths()) == 2


def test_calls_in_an_arm_keep_their_place() -> None:
    @rf.function
    def child(s: rf.State) -> None:
        s += "c"

    @rf.function
    def parent(s: rf.State) -> None:
        if s.gen("x", type=bool):
            child()
        child()

    calls = [[step.path for step in path.steps if isinstance(step, Call)] for path in parent.graph().paths()]
    name = f"{parent.name}/{child.name}"
    assert calls == [[f"{name}[0]", f"{name}[1]"], [f"{name}[0]"]]
