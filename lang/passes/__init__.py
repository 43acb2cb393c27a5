"""The passes over a program's graph, in the order in which they run. Adding one: copy a file, add its line here."""

from __future__ import annotations

from ..program_graph import ProgramGraph
from .critical_path import CriticalPath
from .fork_groups import ForkGroups
from .grammar_precompile import GrammarPrecompile
from .interface import Meter, Outcome, Pass
from .layout_lint import LayoutLint
from .liveness import Liveness
from .lower_select import LowerSelect
from .merge_text import MergeText

PASSES: dict[str, Pass] = {
    made.name: made
    for made in (
        MergeText(),
        LayoutLint(),
        LowerSelect(),
        ForkGroups(),
        GrammarPrecompile(),
        CriticalPath(),
        Liveness(),
    )
}


def run_passes(graph: ProgramGraph, meter: Meter) -> list[Outcome]:
    """Run all passes, each on the graph that the one before it gave back."""
    outcomes: list[Outcome] = []
    for made in PASSES.values():
        outcomes.append(made.run(graph, meter))
        graph = outcomes[-1].graph
    return outcomes
