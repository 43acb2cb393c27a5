"""The pictures of a graph: text, Mermaid and SVG, and what drawing them loads."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import graph_programs
import pytest
import ramify as rf
from ramify.errors import InvalidRequest
from ramify.lang import svg as svg_module
from ramify.lang.graph_text import graph_text
from ramify.lang.picture import MAX_BOXES, picture

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example_programs() -> list[rf.Program[..., Any]]:
    found: list[rf.Program[..., Any]] = []
    for path in sorted(EXAMPLES.glob("*.py")):
        name = f"examples_{path.stem}"
        module: ModuleType | None = sys.modules.get(name)  # other tests load them too
        if module is None:
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        found += [value for value in vars(module).values() if isinstance(value, rf.Program)]
    return found


ALL = [*example_programs(), *graph_programs.PROGRAMS.values()]


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)
def test_every_program_can_be_printed(program: rf.Program[..., Any]) -> None:
    graph = program.graph()
    text = str(graph)
    assert text == graph_text(graph) and text.startswith(f"{program.name}(") and text.endswith("\n")
    assert "\ue000" not in text


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)
def test_mermaid_names_every_box_once_and_only_boxes(program: rf.Program[..., Any]) -> None:
    lines = program.graph().mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    boxes = [match[1] for line in lines if (match := re.match(r' +(n\d+)(?:\["|\(\["|\{"|\[\["|>")', line))]
    arrows = [
        match for line in lines if (match := re.match(r'  (n\d+) (?:-->|-\.->|==>)(?:\|"[^"|]*"\|)? (n\d+)$', line))
    ]
    assert boxes and len(boxes) == len(set(boxes))
    assert {name for match in arrows for name in match.groups()} <= set(boxes)
    rest = [line for line in lines[1:] if not re.match(r" +(n\d|subgraph r\d+\[|end$|classDef )", line)]
    assert rest == [] and sum("subgraph" in line for line in lines) == sum(line.strip() == "end" for line in lines)
    assert len(boxes) + len(arrows) == sum(bool(re.match(r" +n\d", line)) for line in lines)


def test_text_of_a_program_cannot_break_out_of_mermaid() -> None:
    @rf.function
    def hostile(s: rf.State) -> None:
        s += 'a"] --> b[<img src=x onerror=1>]; end\n%%{init}%% `x` |y|' + rf.gen("x")

    line = next(line for line in hostile.graph().mermaid().splitlines() if line.startswith("  n0"))
    inner = line.removeprefix('  n0["').removesuffix('"]').replace("<br>", "")
    assert not set(inner) & set('"[]<>|`{}')


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)
def test_svg_draws_every_box_apart_from_the_others(program: rf.Program[..., Any]) -> None:
    graph = program.graph()
    root = ElementTree.fromstring(graph.svg())
    space = "{http://www.w3.org/2000/svg}"
    rects = [
        tuple(float(rect.get(name, "")) for name in ("x", "y", "width", "height")) for rect in root.iter(f"{space}rect")
    ]
    assert len(rects) == len(picture(graph).boxes)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for number, (x, y, w, h) in enumerate(rects):
        assert min(x, y) >= 0 and x + w <= width and y + h <= height
        for other_x, other_y, other_w, other_h in rects[:number]:
            apart = x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y
            assert apart
    assert len(list(root.iter(f"{space}path"))) == len(picture(graph).arrows) + 1  # and the tip of an arrow


def test_arrows_follow_streams_values_and_arms() -> None:
    drawn = picture(graph_programs.critical.graph())
    name = {box.number: box.lines[0] for box in drawn.boxes}
    arrows = {(name[a.source], name[a.target], a.kind, a.label) for a in drawn.arrows}
    joined = "(value) (value)"
    assert ("short", joined, "value", "") in arrows and ("long", joined, "value", "") in arrows
    assert (joined, "join", "stream", "") in arrows and ("join", "sure", "stream", "") in arrows
    assert ("sure", "bool sure[0]", "value", "") in arrows
    assert ("bool sure[0]", "returns join[0]", "python", "True") in arrows
    assert ("bool sure[0]", "again", "python", "False") in arrows
    assert ("again", "returns again[0]", "value", "") in arrows


def test_a_picture_has_a_bound() -> None:
    @rf.function
    def large(s: rf.State) -> None:
        for branch in s.fork(MAX_BOXES + 50):
            branch += "x" + rf.gen("y")

    boxes = picture(large.graph()).boxes
    assert len(boxes) == MAX_BOXES + 1 and boxes[-1].lines == ("and more",)


def test_notebooks_get_a_drawing_or_the_mermaid_text(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_programs.live.graph()
    drawing = graph._repr_svg_()
    assert drawing is not None and drawing.startswith("<svg")
    assert graph._repr_markdown_() == f"```mermaid\n{graph.mermaid()}```\n"
    monkeypatch.setattr(svg_module, "can_draw", lambda: False)
    assert graph._repr_svg_() is None
    with pytest.raises(InvalidRequest, match="grandalf") as caught:
        graph.svg()
    assert "ramify[graph]" in caught.value.hint


def test_importing_ramify_loads_nothing_that_draws_or_plans() -> None:
    code = (
        "import sys, ramify as rf\n"
        "heavy = {'grandalf', 'rich.console', 'numpy', 'tokenizers', 'torch'} | "
        "{'ramify.lang.' + n for n in ('explore', 'explain', 'svg', 'passes', 'fingerprint')}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "@rf.function\n"
        "def p(s, x):\n"
        "    s += rf.user(x) + rf.assistant(rf.gen('y'))\n"
        "p.graph().mermaid(); p.fingerprint; str(p.explain())\n"
        "loaded = {'grandalf', 'numpy', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd="/")
