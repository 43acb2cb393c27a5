"""A program's graph as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html).

Child runs are subgraphs. Text in boxes is program text, so everything that Mermaid or HTML would read as its own is
written as an entity.
"""

from __future__ import annotations

from .picture import Box, picture
from .program_graph import ProgramGraph

_SHAPES = {
    "text": ('["', '"]'),
    "gen": ('(["', '"])'),
    "select": ('(["', '"])'),
    "fence": ('{"', '"}'),
    "end": ('[["', '"]]'),
    "open": ('>"', '"]'),
}
_CLASSES = (
    "classDef gen fill:#dbeafe,stroke:#1d4ed8",
    "classDef select fill:#dcfce7,stroke:#15803d",
    "classDef fence fill:#fef9c3,stroke:#a16207",
    "classDef open fill:#fee2e2,stroke:#b91c1c,stroke-dasharray:4",
)
_ARROWS = {"stream": "-->", "value": "-.->", "python": "==>"}
_PLAIN = frozenset(" .,:;!?'_-()+=*@^~%$")


def mermaid(graph: ProgramGraph) -> str:
    """The flowchart, with a trailing newline."""
    drawn = picture(graph)
    lines = ["flowchart TD"]
    for number, run in enumerate(drawn.runs):
        boxes = [_box(box) for box in drawn.boxes if box.run == run]
        if number == 0:
            lines += [f"  {line}" for line in boxes]
        else:
            lines += [f'  subgraph r{number}["{_escape(run)}"]', *(f"    {line}" for line in boxes), "  end"]
    for arrow in drawn.arrows:
        label = f'|"{_escape(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  n{arrow.source} {_ARROWS[arrow.kind]}{label} n{arrow.target}")
    lines += [f"  {line}" for line in _CLASSES]
    return "\n".join(lines) + "\n"


def _box(box: Box) -> str:
    left, right = _SHAPES[box.shape]
    text = "<br>".join(_escape(line) for line in box.lines)
    style = f":::{box.shape}" if box.shape in ("gen", "select", "fence", "open") else ""
    return f"n{box.number}{left}{text or ' '}{right}{style}"


def _escape(text: str) -> str:
    """Letters, digits and harmless marks as they are, the rest as `#code;`."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in _PLAIN else f"#{ord(c)};" for c in text)
