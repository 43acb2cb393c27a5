"""A `Plan` as tables for a terminal or a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .graph_text import count, short_site
from .passes.interface import ASSUMED_TOKENS

if TYPE_CHECKING:
    from .explain import Cost, Plan

MAX_ROWS = 200
MAX_WAYS = 20


def plan_tables(plan: Plan) -> Group:
    """Totals, nodes, ways, fences, and what the passes found."""
    parts: list[RenderableType] = [_totals(plan), _nodes(plan)]
    if len(plan.ways) > 1:
        parts.append(_ways(plan))
    if plan.fences:
        parts.append(_fences(plan))
    parts.append(_passes(plan))
    return Group(*parts)


def _totals(plan: Plan) -> Table:
    table = Table(title=f"{plan.program}  {plan.fingerprint}", box=box.SIMPLE, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")
    cost = plan.cost
    table.add_row("counted in", f"{plan.unit} of {plan.model}" if plan.model else plan.note)
    table.add_row("nodes", f"{plan.nodes}, with {count(cost.gens, 'gen')} on the longest way")
    table.add_row("prompt", _prompt(cost, plan))
    table.add_row("output", _output(cost, plan))
    table.add_row("shared prefix", f"{plan.shared_prefix} {plan.unit} begin every run")
    chain = plan.critical_path
    assumed = f", {chain.assumed} of them assumed to be {ASSUMED_TOKENS}" if chain.assumed else ""
    table.add_row(
        "critical path", f"{chain.steps} of {chain.total} decoding steps, {count(len(chain.nodes), 'gen')}{assumed}"
    )
    for end in dict.fromkeys(plan.open):
        table.add_row("open", f"{end.reason}, at {short_site(end.site)}: more may follow")
    return table


def _prompt(cost: Cost, plan: Plan) -> str:
    parts = [f"{cost.constant} constant", f"{cost.argument} of arguments"]
    if plan.model:
        parts.append(f"{cost.template} of the chat template")
    if plan.missing:
        parts.append(f"not counted: {', '.join(plan.missing)}")
    return ", ".join(parts)


def _output(cost: Cost, plan: Plan) -> str:
    unbounded = f", and {count(cost.unbounded, 'gen')} without a bound" if cost.unbounded else ""
    return f"at most {cost.predicted} tokens{unbounded}"


def _nodes(plan: Plan) -> Table:
    table = Table(title="nodes", box=box.SIMPLE, title_justify="left")
    table.add_column("stream")
    table.add_column("node", overflow="fold")
    table.add_column("kind")
    table.add_column(plan.unit, justify="right")
    table.add_column("line")
    for row in plan.rows[:MAX_ROWS]:
        amount = "?" if row.kind and row.amount is None else "" if row.amount is None else str(row.amount)
        table.add_row(
            row.stream, Text("  " * row.depth + row.what), row.kind, amount, short_site(row.site) if row.site else ""
        )
    if len(plan.rows) > MAX_ROWS:
        table.add_row("", f"and {len(plan.rows) - MAX_ROWS} more", "", "", "")
    return table


def _ways(plan: Plan) -> Table:
    table = Table(title="ways through the arms", box=box.SIMPLE, title_justify="left")
    table.add_column("arms", overflow="fold")
    for name in ("prompt", "output", "unbounded"):
        table.add_column(name, justify="right")
    table.add_column("end", overflow="fold")
    for way in plan.ways[:MAX_WAYS]:
        cost = way.cost
        prompt = cost.constant + cost.argument + cost.template
        table.add_row(
            Text(" > ".join(way.labels)), str(prompt), str(cost.predicted), str(cost.unbounded), Text(way.end)
        )
    if len(plan.ways) > MAX_WAYS:
        table.add_row(f"and {len(plan.ways) - MAX_WAYS} more", "", "", "", "")
    return table


def _fences(plan: Plan) -> Table:
    table = Table(title="fences: where Python looks at a value", box=box.SIMPLE, title_justify="left")
    table.add_column("line")
    table.add_column("looks at", overflow="fold")
    table.add_column("by")
    table.add_column("waits")
    table.add_column("suggestion", overflow="fold")
    for fence in plan.fences[:MAX_ROWS]:
        waits = "yes" if fence.waits else "no"
        table.add_row(short_site(fence.site), Text(fence.value), fence.how, waits, fence.hint)
    return table


def _passes(plan: Plan) -> Table:
    table = Table(title="passes", box=box.SIMPLE, title_justify="left")
    table.add_column("pass")
    table.add_column("saves, and what it found", overflow="fold")
    for outcome in plan.outcomes:
        table.add_row(outcome.name, outcome.saves or "nothing to gain here")
        for finding in outcome.findings[:MAX_WAYS]:
            place = f"  {short_site(finding.site)}" if finding.site else ""
            mark = "warning: " if finding.warning else ""
            table.add_row("", Text(f"{mark}{finding.what}{place}"))
        if len(outcome.findings) > MAX_WAYS:
            table.add_row("", f"and {len(outcome.findings) - MAX_WAYS} more")
    return table
