"""Each pass against golden graphs, and against what must hold of any program."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import graph_programs
import pytest
import ramify as rf
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify import seedling
from ramify.errors import InvalidRequest
from ramify.grammar.trie import TokenTrie
from ramify.lang.measure import TokenMeter
from ramify.lang.passes import PASSES, run_passes
from ramify.lang.passes.critical_path import longest_chain
from ramify.lang.passes.fork_groups import group_steps
from ramify.lang.passes.interface import ASSUMED_TOKENS, CharacterMeter, Outcome
from ramify.lang.passes.lower_select import select_trie
from ramify.lang.passes.merge_text import merge_steps
from ramify.lang.program_graph import ForkGroup, ProgramGraph, SelectTrie, Step, map_segments, stream_of
from ramify.runtime.core import messages as core
from ramify.runtime.lowering.events import FromClient
from ramify.runtime.lowering.lowering import Lowering
from ramify.runtime.lowering.template import ChatTemplate
from ramify.runtime.lowering.tokenizer import TextTokenizer
from ramify.runtime.protocol.graph import Fork, GraphDelta, GraphNode, Release, RunOptions, Select, Text

METER = CharacterMeter()


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.load(seedling.path())


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("write", [graph_programs.before, graph_programs.after])
def test_golden(name: str, write: Callable[[str], str]) -> None:
    path, text = graph_programs.golden(name, write)
    assert text == path.read_text(), "python tests/lang/graph_programs.py writes the golden files again"


@pytest.mark.parametrize("name", PASSES)
def test_each_pass_says_what_it_saves_where_there_is_something_to_save(name: str) -> None:
    outcome = graph_programs.run_pass(name)
    assert outcome.name == name and outcome.saves

    @rf.function
    def nothing(s: rf.State) -> None:
        s += "a"

    outcome = PASSES[name].run(nothing.graph(), METER)
    assert outcome == Outcome(name, nothing.graph())


def streams(steps: tuple[Step, ...]) -> dict[int, str]:
    """The text of each stream on its own, forks with what they begin with."""
    found: dict[int, str] = {0: ""}
    for step in steps:
        if isinstance(step, Text):
            found[step.stream] += step.text
        elif isinstance(step, Fork):
            found[step.child] = found[step.stream]
        elif isinstance(step, ForkGroup):
            found.update(dict.fromkeys(step.children, found[step.stream]))
    return found


@pytest.mark.parametrize("name", graph_programs.PROGRAMS)
def test_no_pass_changes_what_a_stream_holds(name: str) -> None:
    graph = graph_programs.PROGRAMS[name].graph()
    before = [streams(path.steps) for path in graph.paths()]
    for outcome in run_passes(graph, METER):
        assert [streams(path.steps) for path in outcome.graph.paths()] == before, outcome.name


def test_passes_are_pure() -> None:
    for program in graph_programs.PROGRAMS.values():
        assert run_passes(program.graph(), METER) == run_passes(program.graph(), METER)


# ---- merge text -----------------------------------------------------------------------------------------------------

texts = st.builds(
    Text, stream=st.integers(0, 1), text=st.sampled_from(["a", " b", "re", "d", "\n"]), control=st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(nodes=st.lists(texts, max_size=12))
def test_merged_texts_are_lowered_to_the_same_ids(tokenizer: TextTokenizer, nodes: list[Text]) -> None:
    """The engine's own lowering gives each stream the same ids, from fewer nodes."""
    template = ChatTemplate.load(tokenizer)

    def ids(middle: list[GraphNode]) -> dict[int, list[int]]:
        lowering = Lowering(tokenizer, template, tokenizer.vocab_size)
        ends: list[GraphNode] = [Fork(stream=0, child=2), Fork(stream=1, child=3)]  # a fork closes the open run
        delta = GraphDelta(0, [Fork(stream=0, child=1), *middle, *ends], RunOptions())
        found: dict[int, list[int]] = {}
        for operation in lowering.handle([FromClient(0, delta, 0.0)]).core:
            if isinstance(operation, core.Append):
                found.setdefault(operation.key[1], []).extend(operation.ids.tolist())
        return found

    merged = [step for step in merge_steps(tuple(nodes)) if isinstance(step, Text)]
    assert ids(list(nodes)) == ids(list(merged))
    neighbours = [(a, b) for s in (0, 1) for a, b in _pairs([t for t in merged if t.stream == s])]
    assert all(a.control != b.control for a, b in neighbours)


def _pairs(items: list[Text]) -> list[tuple[Text, Text]]:
    return list(itertools.pairwise(items))


# ---- lower select ---------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(choices=st.lists(st.text(alphabet="abc", min_size=1, max_size=5), min_size=1, max_size=8, unique=True))
def test_a_select_computes_what_brute_force_finds(choices: list[str]) -> None:
    """A position is computed if a place where choices part stands at it or behind it."""
    lowered = select_trie(Select(stream=0, node=0, name="x", path="p", choices=tuple(choices)), METER)
    prefixes = {choice[:length] for choice in choices for length in range(len(choice) + 1)}

    def ways(prefix: str) -> set[str]:
        return {choice[len(prefix) :][:1] for choice in choices if choice.startswith(prefix)}

    parting = {prefix for prefix in prefixes if len(ways(prefix)) > 1}
    computed = {prefix for prefix in prefixes if prefix and any(part.startswith(prefix) for part in parting)}
    assert {row.path for row in lowered.rows} == parting
    assert {row.path: set(row.ways) for row in lowered.rows} == {part: ways(part) for part in parting}
    assert lowered.positions == len(computed)
    assert set(lowered.free) == {c for c in choices if not any(part and c.startswith(part) for part in parting)}


def test_a_select_in_tokens_is_the_engines_own_trie(tokenizer: TextTokenizer) -> None:
    choices = ("bug", "feature", "feature request", "billing")
    meter = TokenMeter(tokenizer)
    lowered = select_trie(Select(stream=0, node=0, name="x", path="p", choices=choices), meter)
    trie = TokenTrie([meter.ids(choice) for choice in choices], tokenizer.stop_ids)
    assert lowered.unit == "tokens" and len(lowered.rows) == len(trie.branches)
    assert all(any(choice.startswith(row.path) for choice in choices) for row in lowered.rows)


def test_choices_that_the_engine_refuses_are_a_warning() -> None:
    class Same(CharacterMeter):
        def ids(self, text: str) -> list[int]:
            return [7]

    graph = graph_programs.select.graph()
    outcome = PASSES["lower select"].run(graph, Same())
    assert outcome.graph == graph and all(f.warning for f in outcome.findings) and len(outcome.findings) == 2
    with pytest.raises(InvalidRequest):
        select_trie(Select(stream=0, node=0, name="x", path="p", choices=("a", "b")), Same())


# ---- fork groups ----------------------------------------------------------------------------------------------------


def test_forks_with_something_between_them_are_not_one_group() -> None:
    a, b, c = (Fork(stream=0, child=n) for n in (1, 2, 3))
    grouped = group_steps((a, Text(stream=1, text="x"), b, Text(stream=0, text="y"), c))
    assert [getattr(step, "children", None) for step in grouped] == [(1, 2), None, None, None]
    assert grouped[-1] == c


# ---- critical path --------------------------------------------------------------------------------------------------


def test_the_chain_is_the_longest_by_its_bounds() -> None:
    chain = longest_chain(graph_programs.critical.graph(), METER)
    name = "critical"
    assert chain.nodes == tuple(f"{name}/{n}" for n in ("fork[0][1]/long[0]", "join[0]", "sure[0]", "again[0]"))
    assert chain.steps == 50 + 20 + len("false") + 100 and chain.total == chain.steps + 10 and chain.assumed == 0


def test_a_child_run_is_as_long_as_its_own_chain_and_waits_for_its_arguments() -> None:
    chain = longest_chain(graph_programs.fork.graph(), METER)
    assert chain.nodes == ("fork/fork[0][0]/draft[0]", "fork/judge[0]/score[0]")
    assert chain.steps == 20 + len('"1"') and chain.total == 3 * chain.steps


def test_a_gen_without_a_bound_is_assumed_and_counted() -> None:
    chain = longest_chain(graph_programs.merge.graph(), METER)
    assert (chain.steps, chain.assumed) == (ASSUMED_TOKENS, 1)


# ---- liveness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", graph_programs.PROGRAMS)
def test_a_released_stream_is_never_used_again(name: str) -> None:
    graph = PASSES["liveness"].run(graph_programs.PROGRAMS[name].graph(), METER).graph
    for path in graph.paths():
        released: set[int] = set()
        for step in path.steps:
            stream = stream_of(step)
            assert stream not in released, step
            if isinstance(step, Fork):
                assert step.child not in released
            if isinstance(step, Release):
                released.add(step.stream)


def test_nothing_is_released_where_more_may_follow() -> None:
    @rf.function
    def program(s: rf.State) -> None:
        a, b = s.fork(2)
        a += rf.gen("x")
        b += rf.gen("y")
        str(b["y"])
        a += "again"

    graph = PASSES["liveness"].run(program.graph(), METER).graph
    assert not any(isinstance(step, Release) for step in graph.steps())


# ---- layout lint ----------------------------------------------------------------------------------------------------


def test_the_lint_names_both_lines_and_moves_nothing() -> None:
    graph = graph_programs.layout.graph()
    outcome = PASSES["layout lint"].run(graph, METER)
    (finding,) = outcome.findings  # the second POLICY stands behind generated text, which no order would share
    assert finding.warning and finding.amount == len(graph_programs.POLICY)
    assert "{ticket}" in finding.what and "graph_programs.py" in finding.site
    assert outcome.graph is graph


def test_a_constant_in_front_of_the_argument_is_no_warning() -> None:
    @rf.function
    def good(s: rf.State, ticket: str) -> None:
        s += graph_programs.POLICY + f"{ticket}" + rf.gen("x")

    @rf.function
    def bad(s: rf.State, ticket: str) -> None:
        s += f"{ticket}: {graph_programs.POLICY}" + rf.gen("x")

    assert PASSES["layout lint"].run(good.graph(), METER).findings == ()
    assert len(PASSES["layout lint"].run(bad.graph(), METER).findings) == 1


# ---- the graph itself -----------------------------------------------------------------------------------------------


def test_segments_are_mapped_in_every_arm() -> None:
    graph: ProgramGraph = graph_programs.live.graph()
    emptied = map_segments(graph.body, lambda steps: ())
    assert all(not s.steps for s in ProgramGraph("x", "x", (), emptied).segments())
    assert map_segments(graph.body, lambda steps: steps) == graph.body


def test_a_lowered_select_is_a_trie_in_every_unit(tokenizer: TextTokenizer) -> None:
    for meter in (METER, TokenMeter(tokenizer)):
        outcome = PASSES["lower select"].run(graph_programs.select.graph(), meter)
        tries = [step for step in outcome.graph.steps() if isinstance(step, SelectTrie)]
        assert [trie.name for trie in tries] == ["colour", "kind"] and {trie.unit for trie in tries} == {meter.unit}
