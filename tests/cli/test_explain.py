"""`ramify explain`: the plan that `Program.explain` makes, and its graph as text that others draw."""

from __future__ import annotations


def test_the_table_counts_characters_without_a_model(ramify) -> None:
    done = ramify("explain", "programs.py:answer", "--text", "a question")
    assert (done.code, done.err) == (0, "")
    assert "answer/a[0]" in done.out
    assert "characters" in done.out


def test_the_table_counts_the_tokens_of_a_model(ramify) -> None:
    done = ramify("explain", "programs.py:answer", "--engine", "seedling")
    assert (done.code, done.err) == (0, "")
    assert "tokens of seedling" in done.out
    assert "not counted: text" in done.out


def test_the_graph_is_mermaid(ramify) -> None:
    done = ramify("explain", "programs.py:answer", "--graph", "mermaid", "--", "--text", "a question")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("flowchart")
    assert "a question" in done.out


def test_the_graph_is_svg(ramify) -> None:
    done = ramify("explain", "programs.py:answer", "--graph", "svg")
    assert (done.code, done.err) == (0, "")
    assert "<svg" in done.out and "</svg>" in done.out


def test_wrong_arguments_are_refused(ramify) -> None:
    done = ramify("explain", "programs.py:answer", "--times", "many")
    assert done.code == 2
    assert "--times 'many'" in done.err
