"""Which grammars can compile when the graph arrives, before the gens that need them are reached.

A grammar in the first message compiles while the prompt in front of its gen is computed. One behind a fence is known to
this graph as well, though Python has not come to it: an engine that is told compiles it in idle time. Equal grammars
compile once, whoever uses them.
"""

from __future__ import annotations

from ...runtime.protocol.graph import Gen
from ..graph_text import count, describe_grammar, short_site
from ..program_graph import Branch, Call, Fence, ProgramGraph, Segment
from .interface import Finding, Meter, Outcome


class GrammarPrecompile:
    """See the module's text."""

    name = "grammar precompile"

    def run(self, graph: ProgramGraph, meter: Meter) -> Outcome:
        """Find the grammars of a program, its arms and its child runs."""
        self_ = _Grammars()
        self_.walk(graph.body, "")
        gens = sum(len(users) for users in self_.users.values())
        findings: list[Finding] = []
        notes: dict[str, str] = {}
        for number, (key, users) in enumerate(self_.users.items()):
            behind = self_.behind[key]
            when = f"ahead of the fence at {short_site(behind)}" if behind else "on arrival"
            findings.append(
                Finding(
                    f"{describe_grammar(users[0].grammar)}: {count(len(users), 'gen')}, compiles {when}",
                    users[0].site,
                    len(users) - 1,
                    "compiles",
                )
            )
            notes.update({user.path: f"grammar {number}, {when}" for user in users})
        saves = ""
        if findings:
            early = sum(not behind for behind in self_.behind.values())
            saves = f"{count(len(findings), 'compile')} for {count(gens, 'gen')}, {early} of them on arrival"
        return Outcome(self.name, graph, saves, tuple(findings), notes)


class _Grammars:
    """The grammars by their key, in the order in which a program comes to them.

    Attributes:
        users: the gens of each.
        behind: the source line of the first fence in front of the first of them; "" if there is none.
    """

    def __init__(self) -> None:
        self.users: dict[str, list[Gen]] = {}
        self.behind: dict[str, str] = {}

    def walk(self, segment: Segment, behind: str) -> str:
        """Go through a segment; the fence that its end stands behind."""
        for step in segment.steps:
            if isinstance(step, Gen) and step.grammar is not None:
                key = step.grammar.key()
                self.users.setdefault(key, []).append(step)
                self.behind.setdefault(key, behind)
            elif isinstance(step, Fence) and step.waits:
                behind = behind or step.site
            elif isinstance(step, Call):
                self.walk(step.graph.body, behind)  # what the child waits for holds up nothing of the caller's
        if isinstance(segment.end, Branch):
            fence = segment.end.fence
            for arm in segment.end.arms:
                self.walk(arm.body, behind or (fence.site if fence.waits else ""))
        return behind
