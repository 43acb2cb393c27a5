"""How long prompts are before anything runs: in tokens if the model is known, in characters if not.

With a model's directory, texts are written and encoded by the engine's own lowering (its chat template, its text runs),
so a prompt has exactly the tokens that the engine will compute; neither an engine nor torch is started. Each step is
charged with the tokens by which its stream grows, which sum up to the whole. What a model will generate, and arguments
that were not given, have no text yet and are charged nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..errors import RamifyError
from ..runtime.engine.options import EngineOptions
from ..runtime.protocol.graph import Argument, CloseRole, Fork, Gen, OpenRole, Read, Select, Text, ValueEdge
from .engines import Engine, Linked
from .passes.interface import CharacterMeter, Meter
from .program_graph import Call, Fence, ForkGroup, SelectTrie, Step, Symbol

if TYPE_CHECKING:
    from ..runtime.lowering.run import StreamText
    from ..runtime.lowering.template import ChatTemplate
    from ..runtime.lowering.tokenizer import TextTokenizer


class Prompts(Protocol):
    """The streams of one way through a program, as they grow."""

    def add(self, step: Step) -> int:
        """Add a step; by how much known text its stream grows."""
        ...

    def length(self, stream: int) -> int:
        """Known text of a stream, with what it was forked from."""
        ...


class Measure(NamedTuple):
    """How a program is measured.

    Attributes:
        meter: counts texts on their own.
        model: whose tokens are counted; "" for characters.
        note: why characters are counted; "" for tokens.
        lowering: the model's tokenizer and template.
    """

    meter: Meter
    model: str = ""
    note: str = ""
    lowering: tuple[TextTokenizer, ChatTemplate] | None = None

    def prompts(self) -> Prompts:
        """Streams without any text."""
        return CharacterPrompts() if self.lowering is None else TokenPrompts(*self.lowering)


def characters(note: str) -> Measure:
    """Measure in characters; `note` says why."""
    return Measure(CharacterMeter(), note=note)


def measure_for(engine: Linked | str | None) -> Measure:
    """How a program bound to this engine is measured.

    Raises:
        ModelNotFound, UnsupportedModel: the engine is named, and its tokenizer cannot be loaded.
    """
    name = engine.info.model if isinstance(engine, Engine) else engine
    if name is None:
        name = os.environ.get("RAMIFY_ENGINE") or None
    if not isinstance(name, str):
        return characters("no model is named, so characters are counted and no chat template")
    directory = EngineOptions(model=name).directory
    try:
        from ..runtime.lowering.template import ChatTemplate
        from ..runtime.lowering.tokenizer import TextTokenizer
    except ImportError:
        return characters(
            'the extra "engine" is not installed, so characters are counted: pip install "ramify[engine]"'
        )
    tokenizer = TextTokenizer.load(directory)
    return Measure(TokenMeter(tokenizer), name, "", (tokenizer, ChatTemplate.load(tokenizer)))


class TokenMeter:
    """Counts the tokens of a text as it stands behind other text."""

    unit: Literal["tokens", "characters"] = "tokens"

    def __init__(self, tokenizer: TextTokenizer) -> None:
        from ..runtime.lowering.tokenizer import Seam

        self._tokenizer = tokenizer
        self._seam = Seam.CONTROL
        self.stop_ids: Sequence[int] = tokenizer.stop_ids

    def ids(self, text: str) -> list[int]:
        """The canonical ids."""
        return [int(token) for token in self._tokenizer.encode(text, after=self._seam)]

    def text(self, ids: Sequence[int]) -> str:
        """Their text."""
        return self._tokenizer.decode(ids, skip_special=False)


class CharacterPrompts:
    """Texts of the program alone: without a model there is no template."""

    def __init__(self) -> None:
        self._lengths: dict[int, int] = {0: 0}

    def add(self, step: Step) -> int:
        """See `Prompts`."""
        match step:
            case Text() | Argument():
                self._lengths[step.stream] = self._lengths.get(step.stream, 0) + len(step.text)
                return len(step.text)
            case Fork():
                self._lengths[step.child] = self.length(step.stream)
            case ForkGroup():
                self._lengths.update(dict.fromkeys(step.children, self.length(step.stream)))
        return 0

    def length(self, stream: int) -> int:
        """See `Prompts`."""
        return self._lengths.get(stream, 0)


class TokenPrompts:
    """Streams as the engine's lowering writes them.

    Raises:
        TemplateMismatch: by `add`, as the engine would.
    """

    def __init__(self, tokenizer: TextTokenizer, template: ChatTemplate) -> None:
        from ..runtime.lowering.run import StreamText
        from ..runtime.lowering.runs import RunBuilder
        from ..runtime.lowering.writer import StreamWriter

        self._tokenizer = tokenizer
        self._writer = StreamWriter(template)
        self._builder, self._stream = RunBuilder, StreamText
        self._streams: dict[int, StreamText] = {0: StreamText((0, 0), RunBuilder(tokenizer))}
        self._closed: dict[int, int] = {0: 0}
        self._lengths: dict[int, int] = {0: 0}

    def add(self, step: Step) -> int:
        """See `Prompts`."""
        if isinstance(step, Call | Fence):
            return 0
        stream = self._streams[step.stream]
        match step:
            case Text():
                (self._writer.control if step.control else self._writer.text)(stream, step.text)
            case Argument():
                self._writer.text(stream, step.text)
            case Symbol() | ValueEdge():
                self._writer.text(stream, "")
            case OpenRole():
                self._writer.open_role(stream, step.role)
            case CloseRole():
                self._writer.close_role(stream)
            case Gen() | Select() | SelectTrie():
                self._generate(step, stream)
            case Fork():
                self._fork(step.stream, (step.child,), stream)
            case ForkGroup():
                self._fork(step.stream, step.children, stream)
            case Read():
                self._seam(step.stream, stream)
        before = self._lengths[step.stream]
        self._closed[step.stream] += len(stream.builder.take())
        pending = stream.builder.open_text + "".join(stream.content)
        opened = len(self._tokenizer.encode(pending, after=stream.builder.seam))
        self._lengths[step.stream] = self._closed[step.stream] + opened
        return self._lengths[step.stream] - before

    def length(self, stream: int) -> int:
        """See `Prompts`."""
        return self._lengths[stream]

    def _seam(self, number: int, stream: StreamText) -> None:
        self._writer.write_content(stream, closes=False)
        self._closed[number] += len(stream.builder.close())

    def _generate(self, step: Gen | Select | SelectTrie, stream: StreamText) -> None:
        from ..runtime.lowering.tokenizer import Seam

        if stream.turn is None:
            self._writer.begin_raw(stream)
        else:
            self._writer.open_turn(stream, generates=True)
            stream.turn.parts.append(step.node)
        self._seam(step.stream, stream)
        stream.builder, stream.begun = self._builder(self._tokenizer, after=Seam.TEXT), True

    def _fork(self, number: int, children: tuple[int, ...], stream: StreamText) -> None:
        self._seam(number, stream)
        for child in children:
            self._streams[child] = made = self._stream((0, child), self._builder(self._tokenizer))
            made.begin_at(stream, self._builder(self._tokenizer, after=stream.builder.seam))
            self._closed[child] = self._lengths[child] = self._closed[number]


def refused(measure: Measure, error: RamifyError) -> Measure:
    """What is left when the model's template refuses the program's chat."""
    return characters(
        f"the chat template of {measure.model} refuses this program ({error.what}); characters are counted"
    )
