"""A select becomes the trie of its choices: where they part, the model is asked; everywhere else nothing is computed.

    choices "red", "reddish", "blue"          prompt -> b | red        the prompt's own forward answers this one
                                              "red"  -> end | dish     one row more, 3 characters behind the prompt

A choice that parts from all others at the prompt is scored by the prompt's forward alone. With a tokenizer the trie is
made of the canonical ids, as the engine makes it; without one, of characters, which shows the shape and not the cost.
"""

from __future__ import annotations

import msgspec

from ...errors import InvalidRequest
from ...grammar.trie import TokenTrie
from ...runtime.protocol.graph import Select
from ..graph_text import count
from ..program_graph import Call, ProgramGraph, SelectTrie, Step, TrieRow, map_segments
from .interface import Finding, Meter, Outcome


class LowerSelect:
    """See the module's text."""

    name = "lower select"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Lower every select of the program, its arms and its child runs."""
        findings: dict[str, Finding] = {}
        after = self._lower(graph, meter, findings)
        saved = sum(finding.amount for finding in findings.values())
        saves = f"{saved} {meter.unit} are not computed that scoring each choice on its own computes" if saved else ""
        return Outcome(self.name, after, saves, tuple(findings.values()))

    def _lower(self, graph: ProgramGraph, meter: Meter, findings: dict[str, Finding]) -> ProgramGraph:
        def change(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(self._lower_step(step, meter, findings) for step in steps)

        return msgspec.structs.replace(graph, body=map_segments(graph.body, change))

    def _lower_step(self, step: Step, meter: Meter, findings: dict[str, Finding]) -> Step:
        if isinstance(step, Call):
            return msgspec.structs.replace(step, graph=self._lower(step.graph, meter, findings))
        if not isinstance(step, Select):
            return step
        try:
            lowered = select_trie(step, meter)
        except InvalidRequest as error:  # the engine refuses these choices: say so now
            findings[step.path] = Finding(f"{step.path}: {error.what}", step.site, warning=True)
            return step
        alone = sum(len(meter.ids(choice)) for choice in step.choices)
        rows = max(0, len(lowered.rows) - 1)
        what = (
            f"{step.path}: {len(lowered.free)} of {count(len(step.choices), 'choice')} free, {count(rows, 'row')} more"
        )
        findings[step.path] = Finding(what, step.site, alone - lowered.positions, meter.unit)
        return lowered


def select_trie(select: Select, meter: Meter) -> SelectTrie:
    """The select with its trie.

    Raises:
        InvalidRequest: two choices have the same ids, or one has none.
    """
    trie = TokenTrie([meter.ids(choice) for choice in select.choices], meter.stop_ids)
    ends = set(meter.stop_ids)
    computed: set[tuple[int, ...]] = set()
    for path, _ in trie.branches:
        computed.update(path[:length] for length in range(1, len(path) + 1))
    rows = tuple(TrieRow(meter.text(path), _ways(path, candidates, ends, meter)) for path, candidates in trie.branches)
    free = tuple(
        text
        for text, ids in zip(select.choices, trie.choices, strict=True)
        if not any(path and ids[: len(path)] == path for path, _ in trie.branches)
    )
    return SelectTrie(
        stream=select.stream,
        site=select.site,
        node=select.node,
        name=select.name,
        path=select.path,
        unit=meter.unit,
        rows=rows,
        positions=len(computed),
        free=free,
    )


def _ways(path: tuple[int, ...], candidates: tuple[int, ...], ends: set[int], meter: Meter) -> tuple[str, ...]:
    """The candidates as text behind `path`; "" stands for the end, whatever ids end it."""
    behind = len(meter.text(path))
    texts = ["" if token in ends else meter.text((*path, token))[behind:] for token in candidates]
    return tuple(dict.fromkeys(texts))
