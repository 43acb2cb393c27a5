"""What a run cost against what it had to cost, in prefill tokens.

*Ideal* is the design's own measure: distinct prefixes that no decoding produced, with one for each gen's last token
when its stream goes on. *Resent* models a client that sends the whole text again for each gen to a server with a prefix
cache that forgets nothing: the text is tokenized anew, so what was generated is found again only where its ids happen
to come out the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from ..core.messages import Ids
from ..protocol.graph import GenNotes, RunReport
from .run import LoweredRun, StreamText


class PrefixTrie:
    """Counts distinct prefixes."""

    def __init__(self) -> None:
        self._root: dict[int, object] = {}

    def add(self, ids: Iterable[int]) -> int:
        """Add every prefix of `ids`; how many were new."""
        node, new = self._root, 0
        for token in ids:
            child = node.get(token)
            if child is None:
                child = node[token] = {}
                new += 1
            assert isinstance(child, dict)
            node = child
        return new


def report(run: LoweredRun, retokenize: Callable[[Ids], Ids]) -> RunReport:
    """The run's account.

    Args:
        run: a run whose gens have ended.
        retokenize: the ids that a client's text of these ids would get.
    """
    ideal, resent = PrefixTrie(), PrefixTrie()
    totals = {"ideal": 0, "resent": 0, "uncached": 0, "decoded": 0}
    for done in run.finished:
        prompt = stream_ids(run, done.stream, done.log_length)
        ids = run.nodes[done.node].ids
        assert ids is not None
        decoded = ids if done.last_computed else ids[:-1]
        again = retokenize(prompt)
        if done.branches is None:
            totals["ideal"] += ideal.add(prompt.tolist())
            ideal.add(np.concatenate([prompt, decoded]).tolist())
            totals["decoded"] += len(ids)
        else:  # a select computes what it scores and decodes nothing; a client would let its server decode the choice
            totals["ideal"] += sum(ideal.add([*prompt.tolist(), *path]) for path in done.branches)
        totals["resent"] += resent.add(again.tolist())
        resent.add(np.concatenate([again, decoded]).tolist())
        totals["uncached"] += len(again)
    return RunReport(
        gens=len(run.finished),
        prefill=run.prefill,
        decoded=totals["decoded"],
        ideal_prefill=totals["ideal"],
        resent_prefill=totals["resent"],
        uncached_prefill=totals["uncached"],
        deltas=run.deltas,
        text_runs=run.text_runs,
        retractions=run.retractions,
        notes=_notes(run),
    )


def _notes(run: LoweredRun) -> tuple[GenNotes, ...]:
    """The notes of all gens that ended, each set of them once."""
    states = [run.nodes[done.node] for done in run.finished]
    first = {state.notes: state.node.path for state in reversed(states) if state.notes}
    counts = Counter(state.notes for state in states)
    return tuple(GenNotes(path, counts[notes], notes) for notes, path in reversed(first.items()))


def stream_ids(run: LoweredRun, stream: StreamText, log_length: int) -> Ids:
    """The ids of a stream's first `log_length` log entries, behind those of the streams it was forked from."""
    parts: list[Ids] = []
    at: StreamText | None = stream
    while at is not None:
        for entry in reversed(at.log[:log_length]):
            ids = run.nodes[entry].ids if isinstance(entry, int) else entry
            if ids is not None:
                parts.append(ids)
        log_length = at.parent_log
        at = at.parent
    parts.reverse()
    return np.concatenate(parts) if parts else np.empty(0, np.int32)
