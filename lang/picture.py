"""What there is to draw of a `ProgramGraph`: boxes and arrows, for Mermaid and for SVG.

Text between two seams of a stream is one box, however many nodes it is made of. Arrows follow streams, values (dotted)
and Python's own order: a box behind a fence hangs on the fence, and each arm on its label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from ..runtime.protocol.graph import (
    Argument,
    CancelStream,
    CloseRole,
    Fork,
    Gen,
    OpenRole,
    Read,
    Release,
    Select,
    Text,
    ValueEdge,
)
from .graph_text import describe_end, describe_gen, describe_trie, short_site
from .program_graph import (
    Branch,
    Call,
    Check,
    Fence,
    ForkGroup,
    Open,
    ProgramGraph,
    Raised,
    Returned,
    Segment,
    SelectTrie,
    Symbol,
)

Shape: TypeAlias = Literal["text", "gen", "select", "fence", "end", "open"]

MAX_LINE = 40
MAX_LINES = 6
MAX_BOXES = 400
"""A picture of more boxes is of no use; the rest is one box that says so."""


class Box(NamedTuple):
    """One box: its number, its kind, its lines, and the run that it belongs to."""

    number: int
    shape: Shape
    lines: tuple[str, ...]
    run: str


class Arrow(NamedTuple):
    """From one box to another. `kind`: along a stream, a value that is spliced, or Python's order."""

    source: int
    target: int
    kind: Literal["stream", "value", "python"]
    label: str = ""


class Picture(NamedTuple):
    """Boxes and arrows; runs in the order in which they begin, outermost first."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    runs: tuple[str, ...]


def picture(graph: ProgramGraph) -> Picture:
    """The picture of a program with its arms and child runs."""
    drawing = _Drawing()
    _Run(drawing, graph.path).segment(graph.body, _Place({0: None}, None, "", {}))
    return Picture(tuple(drawing.boxes), tuple(dict.fromkeys(drawing.arrows)), tuple(dict.fromkeys(drawing.runs)))


class _Place(NamedTuple):
    """Where a way through the program is: the last box of each stream, and the fence and arm that it stands behind."""

    streams: dict[int, int | None]
    fence: int | None
    label: str
    values: dict[int | str, int]

    def copy(self, fence: int | None, label: str) -> _Place:
        return _Place(dict(self.streams), fence, label, dict(self.values))


class _Drawing:
    """The boxes and arrows so far."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.runs: list[str] = []
        self._full: int | None = None

    def box(self, shape: Shape, lines: list[str], run: str) -> int:
        """A new box; the same last one when there are too many."""
        if run not in self.runs:
            self.runs.append(run)
        if len(self.boxes) >= MAX_BOXES:
            if self._full is None:
                self._full = len(self.boxes)
                self.boxes.append(Box(self._full, "open", ("and more",), run))
            return self._full
        self.boxes.append(Box(len(self.boxes), shape, tuple(_short(lines)), run))
        return len(self.boxes) - 1

    def arrow(
        self, source: int | None, target: int, kind: Literal["stream", "value", "python"], label: str = ""
    ) -> None:
        if source is not None and source != target:
            self.arrows.append(Arrow(source, target, kind, label))


class _Run:
    """Draws one run."""

    def __init__(self, drawing: _Drawing, path: str) -> None:
        self._drawing = drawing
        self._path = path
        self._first: int | None = None
        self._text: dict[int, list[str]] = {}  # lines of the open text box of each stream
        self._spliced: dict[int, list[int]] = {}  # boxes whose values stand in it
        self._role: dict[int, str] = {}

    def segment(self, segment: Segment, place: _Place) -> None:
        """Draw the steps, then what comes behind them."""
        for step in segment.steps:
            match step:
                case OpenRole():
                    self._role[step.stream] = step.role
                case CloseRole():
                    self._role.pop(step.stream, None)
                case Text() | Argument():
                    self._write(step.stream, step.text)
                case Symbol():
                    is_argument = step.source == "argument"
                    self._write(
                        step.stream, f"{{{step.name}}}" if is_argument else f"({step.source} of {_last(step.name)})"
                    )
                    self._splice(step.stream, place.values.get(step.name))
                case ValueEdge():
                    self._write(step.stream, "(value)")
                    self._splice(step.stream, place.values.get(step.source))
                case Gen() | Select() | SelectTrie():
                    self._generate(step, place)
                case Fork():
                    self._fork(step.stream, (step.child,), place)
                case ForkGroup():
                    self._fork(step.stream, step.children, place)
                case Fence():
                    self._fence(step, place)
                case Call():
                    self._call(step, place)
                case Check() | Read() | Release() | CancelStream():
                    pass
        self._end(segment, place)

    def _write(self, stream: int, text: str) -> None:
        role = self._role.pop(stream, "")
        lines = self._text.setdefault(stream, [])
        parts = text.split("\n")
        if role or not lines:
            lines.append(f"{role}: {parts[0]}" if role else parts[0])
        else:
            lines[-1] += parts[0]
        lines.extend(parts[1:])

    def _splice(self, stream: int, source: int | None) -> None:
        if source is not None:
            self._spliced.setdefault(stream, []).append(source)

    def _box(self, shape: Shape, lines: list[str], stream: int | None, place: _Place) -> int:
        box = self._drawing.box(shape, lines, self._path)
        before = place.streams.get(stream) if stream is not None else None
        self._drawing.arrow(before, box, "stream")
        if stream is not None and place.fence is not None and (before is None or before < place.fence):
            self._drawing.arrow(place.fence, box, "python", place.label)  # the stream's first box behind the fence
        return box

    def _close_text(self, stream: int, place: _Place) -> None:
        """The open text of a stream becomes a box."""
        lines = self._text.pop(stream, None)
        sources = self._spliced.pop(stream, [])
        if lines is None:
            return
        box = self._box("text", lines, stream, place)
        for source in sources:
            self._drawing.arrow(source, box, "value")
        place.streams[stream] = box

    def _generate(self, step: Gen | Select | SelectTrie, place: _Place) -> None:
        self._role.pop(step.stream, None)
        self._close_text(step.stream, place)
        match step:
            case Gen():
                box = self._box("gen", [step.name, ", ".join(describe_gen(step))], step.stream, place)
            case Select():
                box = self._box("select", [step.name, " | ".join(step.choices)], step.stream, place)
            case SelectTrie():
                box = self._box("select", [step.name, describe_trie(step)], step.stream, place)
        place.streams[step.stream] = place.values[step.node] = place.values[step.path] = box

    def _fork(self, stream: int, children: tuple[int, ...], place: _Place) -> None:
        self._close_text(stream, place)
        for child in children:
            place.streams[child] = place.streams.get(stream)
            if stream in self._role:
                self._role[child] = self._role[stream]

    def _fence(self, fence: Fence, place: _Place) -> int:
        for stream in list(self._text):
            self._close_text(stream, place)
        box = self._box("fence", [f"{fence.how} {_last(fence.value)}", short_site(fence.site)], None, place)
        looked_at = place.values.get(fence.value)
        if looked_at is None:
            self._drawing.arrow(place.fence, box, "python", place.label)
        self._drawing.arrow(looked_at, box, "value")
        return box

    def _call(self, call: Call, place: _Place) -> None:
        for stream in list(self._text):
            self._close_text(stream, place)
        inner = _Run(self._drawing, call.path)
        before = len(self._drawing.boxes)
        inner.segment(call.graph.body, _Place({0: None}, None, "", dict(place.values)))
        if before < len(self._drawing.boxes):
            if place.fence is not None:
                self._drawing.arrow(place.fence, before, "python", place.label)
            place.values[call.path] = inner._last_end(before)

    def _last_end(self, first: int) -> int:
        """The box in which the run ends first."""
        ends = [box for box in self._drawing.boxes[first:] if box.run == self._path and box.shape in ("end", "open")]
        return ends[0].number if ends else first

    def _end(self, segment: Segment, place: _Place) -> None:
        for stream in list(self._text):
            self._close_text(stream, place)
        end = segment.end
        if isinstance(end, Branch):
            box = self._fence(end.fence, place)
            for arm in end.arms:
                copy = _Run(self._drawing, self._path)
                copy._role = dict(self._role)
                copy.segment(arm.body, place.copy(box, arm.label))
            return
        box = self._box("open" if isinstance(end, Open) else "end", [_end_line(end)], None, place)
        if isinstance(end, Open) and end.fence is not None:
            self._drawing.arrow(place.values.get(end.fence.value), box, "value")
        if isinstance(end, Returned):
            for path in end.values:
                self._drawing.arrow(place.values.get(path), box, "value")
        lasts = [last for last in dict.fromkeys(place.streams.values()) if last is not None]
        if place.fence is not None and all(last < place.fence for last in lasts):
            self._drawing.arrow(place.fence, box, "python", place.label)
        elif not any(arrow.target == box for arrow in self._drawing.arrows):
            for last in lasts:
                self._drawing.arrow(last, box, "python")


def _end_line(end: Returned | Raised | Open) -> str:
    if isinstance(end, Returned) and end.values:
        return f"returns {', '.join(map(_last, end.values))}"
    return describe_end(end)


def _last(path: str) -> str:
    """The end of a path, which tells it apart inside of a run."""
    return path.rpartition("/")[2]


def _short(lines: list[str]) -> Iterator[str]:
    for line in lines[:MAX_LINES]:
        yield line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"
    if len(lines) > MAX_LINES:
        yield f"… {len(lines) - MAX_LINES} more lines"
