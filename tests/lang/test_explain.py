"""The plan: its figures against the engine's own account, its fences, and what it says where it does not know."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import graph_programs
import pytest
import ramify as rf
from ramify import seedling
from ramify.errors import ModelNotFound
from ramify.lang.explain import Cost, Plan
from ramify.lang.hub import shared_hub
from ramify.runtime.protocol.graph import NodeDone
from rich.console import Console
from test_graph import ALL

TEXT = "Maria Lopez ordered 3 desk lamps."


@pytest.fixture(scope="module")
def engine() -> Iterator[rf.Engine]:
    with rf.Engine("seedling", threads=1) as engine:
        yield engine


@rf.function
def questions(s: rf.State, text: str, about: tuple[str, ...]) -> list[str]:
    s += rf.system("You answer questions about a text.") + rf.user(f"Text: {text}\n", "Read it.")
    s += rf.assistant(rf.gen("noted", max_tokens=8, ignore_eos=True))
    branches = s.fork(len(about))
    for branch, name in zip(branches, about, strict=True):
        branch += rf.user("What about ", name, "?")
        with branch.assistant():
            branch += "It is " + rf.select("sure", ["likely", "unlikely", "likely not"])
            branch += ", because " + rf.gen("why", max_tokens=5, ignore_eos=True)
    return [branch["why"] for branch in branches]


@rf.function
def raw(s: rf.State, text: str) -> str:
    s += "Once: " + text
    s += rf.gen("x", max_tokens=4, ignore_eos=True)
    return s["x"]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [(questions, {"text": TEXT, "about": ("the lamps", "Maria  Lopez")}), (raw, {"text": TEXT})],
    ids=lambda value: getattr(value, "name", ""),
)
def test_prompts_have_the_tokens_that_the_engine_counts(
    engine: rf.Engine, program: rf.Program[..., Any], arguments: dict[str, Any]
) -> None:
    plan = program.on(engine).explain(**arguments)
    assert plan.unit == "tokens" and plan.model == "seedling" and plan.note == "" and plan.open == ()
    link = engine.link(shared_hub())
    run = program.on(engine).launch(link, **arguments)
    run.result()
    done: dict[str, NodeDone] = {value.path: value._done for value in run._values.values() if value._done is not None}
    assert plan.prompts.keys() == done.keys()
    for path, known in plan.prompts.items():
        generated = sum(len(other.ids) // 4 for name, other in done.items() if _stands_before(name, path))
        assert known + generated == done[path].usage.prompt, path


def _stands_before(one: str, other: str) -> bool:
    """Whether gen `one` is on the stream in front of gen `other`, in `questions`."""
    stream, _, name = other.rpartition("/")
    order = ["noted[0]", "sure[0]", "why[0]"]
    own, _, mine = one.rpartition("/")
    return stream.startswith(own) and mine in order and name in order and order.index(mine) < order.index(name)


def test_a_plan_in_tokens_starts_no_engine() -> None:
    import subprocess
    import sys

    code = (
        "import sys, ramify as rf\n"
        "@rf.function\n"
        "def p(s, x):\n"
        "    s += rf.user('hello ', x) + rf.assistant(rf.gen('y', max_tokens=3))\n"
        "plan = p.on('seedling').explain()\n"
        "assert plan.unit == 'tokens' and plan.cost.constant > 0\n"
        "assert 'torch' not in sys.modules and 'xgrammar' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd="/")


def test_without_a_model_characters_are_counted_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAMIFY_ENGINE", raising=False)
    plan = graph_programs.layout.explain(ticket="It crashes.")
    assert plan.unit == "characters" and plan.model == "" and "characters" in plan.note
    cost = plan.cost
    assert cost.constant == 2 * len(graph_programs.POLICY) + 1 and cost.argument == len("It crashes.")
    assert (cost.template, cost.predicted, cost.unbounded, cost.gens) == (0, 10, 0, 1)
    monkeypatch.setenv("RAMIFY_ENGINE", "seedling")
    assert graph_programs.layout.explain().unit == "tokens"


def test_a_model_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelNotFound):
        graph_programs.layout.on("/no/such/model").explain()


def test_a_chat_that_the_template_refuses_is_measured_in_characters(tmp_path: Path) -> None:
    config = json.loads((seedling.path() / "tokenizer_config.json").read_text())
    refusal = "{%- if message['role'] == 'tool' -%}{{- raise_exception('no tools') -}}{%- endif -%}"
    config["chat_template"] = config["chat_template"].replace("messages -%}", f"messages -%}}{refusal}", 1)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "config.json"):
        shutil.copy(seedling.path() / name, tmp_path / name)

    @rf.function
    def tools(s: rf.State) -> None:
        s += rf.user("a") + rf.assistant(rf.gen("x", max_tokens=1)) + rf.tool("bcd")

    @rf.function
    def plain(s: rf.State) -> None:
        s += rf.user("a") + rf.assistant(rf.gen("x", max_tokens=1))

    assert plain.on(str(tmp_path)).explain().unit == "tokens"
    plan = tools.on(str(tmp_path)).explain()
    assert plan.unit == "characters" and "no tools" in plan.note and plan.cost.constant == 4


def test_the_shared_prefix_ends_at_the_first_thing_that_differs() -> None:
    @rf.function
    def one(s: rf.State, text: str) -> None:
        s += rf.system("Same for all.") + rf.user("Also this: ", text, " and more") + rf.assistant(rf.gen("x"))

    assert one.explain().shared_prefix == len("Same for all.Also this: ")
    assert one.explain(text="given").shared_prefix == len("Same for all.Also this: ")
    in_tokens = one.on("seedling").explain()
    assert 0 < in_tokens.shared_prefix < in_tokens.cost.constant + in_tokens.cost.template


def test_ways_through_the_arms_have_their_own_costs() -> None:
    @rf.function
    def arms(s: rf.State) -> str:
        s += "abc"
        if s.gen("x", type=bool):
            s += "defg" + rf.gen("y", max_tokens=7)
            return s["y"]
        s += rf.gen("z")
        return s["z"]

    plan = arms.explain()
    costs = {way.labels: way.cost for way in plan.ways}
    assert costs[("True",)] == Cost(constant=7, predicted=len("false") + 7, gens=2)
    assert costs[("False",)] == Cost(constant=3, predicted=len("false"), unbounded=1, gens=2)
    assert plan.cost == costs[("True",)]
    assert plan.nodes == len(list(plan.graph.steps()))


def test_a_child_run_counts_where_it_is_called() -> None:
    plan = graph_programs.fork.explain(question="why?")
    drafts, judges = 3 * 20, 3 * len('"1"')
    assert plan.cost.predicted == drafts + judges and plan.cost.gens == 6
    assert plan.critical_path.total == drafts + judges


def test_fences_stand_with_line_way_and_suggestion() -> None:
    @rf.function
    def looks(s: rf.State, mode: Literal["a", "b"]) -> str:
        s += rf.gen("x", type=bool)
        s += f"{s['x']}"
        if mode == "a":
            s += "a"
        return str(s.gen("free"))

    plan = looks.explain()
    by_way = {fence.how: fence for fence in plan.fences}
    assert by_way.keys() == {"format", "==", "str"}
    assert by_way["format"].waits and "rf.fmt" in by_way["format"].hint and by_way["format"].value.endswith("x[0]")
    assert not by_way["=="].waits and by_way["=="].value == "{mode}"
    assert plan.missing == ("mode",)
    assert len(plan.open) == 4
    text = str(plan)
    assert "rf.fmt" in text and "test_explain.py" in text and "more may follow" in text


def test_warnings_are_those_of_the_lint() -> None:
    (warning,) = graph_programs.layout.explain().warnings
    assert "stands behind" in warning.what
    assert "warning: " in str(graph_programs.layout.explain())


@pytest.mark.parametrize("model", [None, "seedling"])
@pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)
def test_every_program_has_a_plan(program: rf.Program[..., Any], model: str | None) -> None:
    plan = (program.on(model) if model else program).explain()
    assert isinstance(plan, Plan)
    assert [outcome.name for outcome in plan.outcomes] == list(graph_programs.PASSES)
    assert all(count >= 0 for way in plan.ways for count in (way.cost.constant, way.cost.argument, way.cost.predicted))
    text = str(plan)
    assert program.name in text and plan.fingerprint in text
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(plan)
    assert out.getvalue() == text
    html = plan._repr_html_()
    assert html.startswith("<pre>") and program.name in html
