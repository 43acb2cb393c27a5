"""ramify: programs that call a language model many times, run as request graphs.

    import ramify as rf

    @rf.function
    def answer(s: rf.State, question: str) -> str:
        s += rf.user(question) + rf.assistant(rf.gen("answer", max_tokens=100))
        return s["answer"]

    answer.on("seedling").run(question="...")

Importing this module loads no engine: torch and the tokenizers come when an engine starts.
"""

from __future__ import annotations

from . import errors, testing
from .grammar.report import Note
from .grammar.spec import (
    AnyText,
    Choices,
    JsonSchema,
    Lark,
    Optional,
    Or,
    Regex,
    Sequence,
    StructuralTag,
    Tag,
    TagsWithSeparator,
    TriggeredTags,
)
from .lang.batch import Item
from .lang.engines import Engine
from .lang.events import (
    Event,
    FieldClosed,
    NodeDone,
    NodeFailed,
    NodeStarted,
    PartialValue,
    TagClosed,
    TextDelta,
    ToolCall,
    ToolResult,
)
from .lang.held import HeldLoopWarning
from .lang.parallel import ablocking, best, blocking, concat, first, map
from .lang.primitives import assistant, control, fmt, gen, system, tool, user
from .lang.program import Program, function
from .lang.run import Run
from .lang.select import Selected, select
from .lang.session import Session, open
from .lang.state import State
from .lang.structure import Segment, tag
from .lang.types import schema
from .lang.value import Value

__version__ = "0.1.0"

__all__ = [
    "AnyText",
    "Choices",
    "Engine",
    "Event",
    "FieldClosed",
    "HeldLoopWarning",
    "Item",
    "JsonSchema",
    "Lark",
    "NodeDone",
    "NodeFailed",
    "NodeStarted",
    "Note",
    "Optional",
    "Or",
    "PartialValue",
    "Program",
    "Regex",
    "Run",
    "Segment",
    "Selected",
    "Sequence",
    "Session",
    "State",
    "StructuralTag",
    "Tag",
    "TagClosed",
    "TagsWithSeparator",
    "TextDelta",
    "ToolCall",
    "ToolResult",
    "TriggeredTags",
    "Value",
    "ablocking",
    "assistant",
    "best",
    "blocking",
    "concat",
    "control",
    "errors",
    "first",
    "fmt",
    "function",
    "gen",
    "map",
    "open",
    "schema",
    "select",
    "system",
    "tag",
    "testing",
    "tool",
    "user",
]
