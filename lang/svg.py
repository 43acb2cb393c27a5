"""A program's graph as an SVG drawing. grandalf places the boxes in layers (Sugiyama); what is drawn is ours.

grandalf is a small library without dependencies on the system; it comes with the extra "graph".
"""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ..errors import InvalidRequest
from .picture import Box, Picture, picture
from .program_graph import ProgramGraph

_LINE = 16
_CHARACTER = 7.3
_PADDING = 10
_GAP = 36
_FILLS = {
    "text": ("#f8fafc", "#64748b"),
    "gen": ("#dbeafe", "#1d4ed8"),
    "select": ("#dcfce7", "#15803d"),
    "fence": ("#fef9c3", "#a16207"),
    "end": ("#e2e8f0", "#334155"),
    "open": ("#fee2e2", "#b91c1c"),
}


class _Placed(NamedTuple):
    """A box with its centre and size."""

    box: Box
    x: float
    y: float
    width: float
    height: float


class _View:
    """What grandalf asks of a vertex: its size; and where it puts the centre."""

    def __init__(self, width: float, height: float) -> None:
        self.w = width
        self.h = height
        self.xy = (0.0, 0.0)


def can_draw() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("grandalf") is not None


def svg(graph: ProgramGraph) -> str:
    """The drawing.

    Raises:
        InvalidRequest: the extra "graph" is not installed.
    """
    if not can_draw():
        raise InvalidRequest(
            "drawings need grandalf, which is not installed",
            hint='pip install "ramify[graph]", or use .mermaid()',
        )
    drawn = picture(graph)
    return _draw(drawn, _place(drawn))


def _place(drawn: Picture) -> dict[int, _Placed]:
    """Boxes in layers; parts that no arrow joins stand beside each other."""
    from grandalf.graphs import Edge, Graph, Vertex
    from grandalf.layouts import SugiyamaLayout

    vertices: list[Any] = []
    for box in drawn.boxes:
        vertex = Vertex(box)
        longest = max((len(line) for line in box.lines), default=1)
        vertex.view = _View(longest * _CHARACTER + 2 * _PADDING, len(box.lines) * _LINE + 2 * _PADDING)
        vertices.append(vertex)
    pairs = dict.fromkeys((arrow.source, arrow.target) for arrow in drawn.arrows)
    edges = [Edge(vertices[source], vertices[target]) for source, target in pairs]
    placed: dict[int, _Placed] = {}
    left = float(_GAP)
    for part in Graph(vertices, edges).C:
        layout = SugiyamaLayout(part)
        layout.xspace, layout.yspace = _GAP, _GAP
        layout.init_all()
        layout.draw()
        views = [vertex.view for vertex in part.sV]
        shift_x = left - min(view.xy[0] - view.w / 2 for view in views)
        shift_y = _GAP - min(view.xy[1] - view.h / 2 for view in views)
        for vertex in part.sV:
            view = vertex.view
            placed[vertex.data.number] = _Placed(
                vertex.data, view.xy[0] + shift_x, view.xy[1] + shift_y, view.w, view.h
            )
        left = max(placed[vertex.data.number].x + vertex.view.w / 2 for vertex in part.sV) + _GAP
    return placed


def _draw(drawn: Picture, placed: dict[int, _Placed]) -> str:
    width = max((box.x + box.width / 2 for box in placed.values()), default=0) + _GAP
    height = max((box.y + box.height / 2 for box in placed.values()), default=0) + _GAP
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "font-family": "ui-monospace, monospace",
            "font-size": "12",
        },
    )
    marker = ElementTree.SubElement(
        ElementTree.SubElement(root, "defs"),
        "marker",
        {"id": "tip", "viewBox": "0 0 8 8", "refX": "8", "refY": "4", "markerWidth": "8", "markerHeight": "8"},
    )
    marker.set("orient", "auto")
    ElementTree.SubElement(marker, "path", {"d": "M0,0 L8,4 L0,8 z", "fill": "#475569"})
    for arrow in drawn.arrows:
        _draw_arrow(root, placed[arrow.source], placed[arrow.target], arrow.kind, arrow.label)
    for box in placed.values():
        _draw_box(root, box)
    return ElementTree.tostring(root, encoding="unicode")


def _draw_arrow(root: ElementTree.Element, source: _Placed, target: _Placed, kind: str, label: str) -> None:
    x1, y1 = source.x, source.y + source.height / 2
    x2, y2 = target.x, target.y - target.height / 2
    bend = max(12.0, (y2 - y1) / 2)
    path = {"d": f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"}
    path |= {"fill": "none", "stroke": "#475569", "marker-end": "url(#tip)"}
    if kind == "value":
        path["stroke-dasharray"] = "4 3"
    elif kind == "python":
        path["stroke-width"] = "2"
    ElementTree.SubElement(root, "path", path)
    if label:
        place = {"x": f"{(x1 + x2) / 2:.0f}", "y": f"{(y1 + y2) / 2:.0f}", "text-anchor": "middle", "fill": "#a16207"}
        ElementTree.SubElement(root, "text", place).text = label


def _draw_box(root: ElementTree.Element, box: _Placed) -> None:
    fill, stroke = _FILLS[box.box.shape]
    frame = {
        "x": f"{box.x - box.width / 2:.0f}",
        "y": f"{box.y - box.height / 2:.0f}",
        "width": f"{box.width:.0f}",
        "height": f"{box.height:.0f}",
        "rx": "12" if box.box.shape in ("gen", "select") else "2",
        "fill": fill,
        "stroke": stroke,
    }
    ElementTree.SubElement(root, "rect", frame)
    for number, line in enumerate(box.box.lines):
        place = {
            "x": f"{box.x - box.width / 2 + _PADDING:.0f}",
            "y": f"{box.y - box.height / 2 + _PADDING + _LINE * (number + 0.75):.0f}",
        }
        text = ElementTree.SubElement(root, "text", place)
        text.set("xml:space", "preserve")
        text.text = _drawable(line)


def _drawable(text: str) -> str:
    """XML has no control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
