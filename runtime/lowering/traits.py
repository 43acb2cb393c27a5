"""What is peculiar about a chat template, found by rendering small chats when it is loaded.

Lowering follows `json_roles` and `alters_roles`; the others are for messages, `explain` and tests. A trait describes
the chats that were tried; how a given chat is written is always found by rendering a chat of the same roles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Flag
from typing import TYPE_CHECKING, Final

from ...errors import TemplateMismatch
from .render import Message

if TYPE_CHECKING:
    from .template import ChatTemplate

_CONTEXTS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "system": ((),),
    "user": ((), ("system",)),
    "assistant": (("user",), ("system", "user"), ()),
    "tool": (("user", "assistant"), ("user",), ()),
}
"""For each role, histories that it may follow in a chat."""

_BREAK: Final = re.compile(r"\\.|\n")
_MAX_MARKS: Final = 128


class Trim(Flag):
    """Which ends of a content a template strips of whitespace. False when neither."""

    NONE = 0
    LEFT = 1
    RIGHT = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """The traits of a chat template; the defaults describe a model without one.

    Attributes:
        roles: the roles that it writes. One that it refuses or drops is not among them.
        bos: the beginning-of-stream token it opens a chat with, "" if it writes none.
        trims: which ends of a content it strips, for each role where it stands first in a chat.
        json_roles: roles whose content it escapes as the inside of a JSON string.
        alters_roles: roles whose content it changes in another way (capitals, spaces for newlines).
        folds_system: it writes the system content inside the first user turn.
        default_system: the text it inserts when no system turn is given.
        alternates: it refuses two user turns in a row.
        generation_prompt: what it writes to open an assistant turn that is to be generated.
        assistant_opening: what it writes to open an assistant turn that is finished.
        rewrites_contents: it writes an assistant turn that a user turn follows in another way when some mark is in it:
            most of all it removes what stands in a `<think>` block.
        rewrites_last: it writes a finished assistant turn differently when nothing follows it.
    """

    roles: frozenset[str] = frozenset()
    bos: str = ""
    trims: Mapping[str, Trim] = field(default_factory=dict)
    json_roles: frozenset[str] = frozenset()
    alters_roles: frozenset[str] = frozenset()
    folds_system: bool = False
    default_system: str = ""
    alternates: bool = False
    generation_prompt: str = ""
    assistant_opening: str = ""
    rewrites_contents: bool = False
    rewrites_last: bool = False


def find_traits(template: ChatTemplate, bos_token: str) -> TemplateTraits:
    """Renders chats of one to four turns and reads the traits off. `bos_token`: "" if the tokenizer has none."""
    contexts = {role: context for role in _CONTEXTS if (context := _context(template, role)) is not None}
    openings = {role: template.open_turn((), role) for role, context in contexts.items() if context == ()}
    first = openings.get("user") or next(iter(openings.values()), "")
    before_assistant = contexts.get("assistant", ())
    system, user = openings.get("system"), openings.get("user")
    treatments = {role: _treatment(template, context, role) for role, context in contexts.items()}
    folds = system is not None and user is not None and system.startswith(user)
    return TemplateTraits(
        roles=frozenset(contexts),
        bos=bos_token if bos_token and first.startswith(bos_token) else "",
        trims={role: template.trim(context, role) for role, context in contexts.items()},
        json_roles=frozenset(role for role, treatment in treatments.items() if treatment == "json"),
        alters_roles=frozenset(role for role, treatment in treatments.items() if treatment == "altered"),
        folds_system=folds,
        default_system="" if folds else _default_system(template, contexts, openings, bos_token),
        alternates="user" in contexts and not _accepts(template, (*contexts["user"], "user"), "user"),
        generation_prompt=_opening(template, before_assistant, generates=True),
        assistant_opening=_opening(template, before_assistant, generates=False),
        rewrites_contents="assistant" in contexts and _rewrites_contents(template, before_assistant),
        rewrites_last="assistant" in contexts and _rewrites_last(template, before_assistant),
    )


def _accepts(template: ChatTemplate, history: tuple[str, ...], role: str) -> bool:
    try:
        template.open_turn(history, role)
    except TemplateMismatch:
        return False
    return True


def _context(template: ChatTemplate, role: str) -> tuple[str, ...] | None:
    """The first history that the role may follow, None if the template does not write the role at all."""
    return next((history for history in _CONTEXTS[role] if _accepts(template, history, role)), None)


def _opening(template: ChatTemplate, history: tuple[str, ...], *, generates: bool) -> str:
    try:
        return template.open_turn(history, "assistant", generates=generates)
    except TemplateMismatch:
        return ""


def _around(template: ChatTemplate, history: tuple[str, ...], role: str, left: str, right: str) -> tuple[str, str]:
    """The text just before and just after a word in a turn whose content is `left` + word + `right`."""
    word = "word7b41c9d2e6"
    turns = [Message(name, "earlier") for name in history] + [Message(role, left + word + right)]
    for follower in ("user", "assistant", "tool", None):
        chat = turns if follower is None else [*turns, Message(follower, "later")]
        try:
            before, found, after = template.render(chat).partition(word)
        except TemplateMismatch:
            continue
        if found:
            return before, after
    return "", ""


def _treatment(template: ChatTemplate, history: tuple[str, ...], role: str) -> str:
    """What becomes of a content that holds something of everything: "verbatim", "json" or "altered"."""
    awkward = 'A "quoted" line,\nanother\twith  <tags> & {{ braces }}, it\'s \\ ünïcödé'
    before, after = _around(template, history, role, "", "")
    found = _around(template, history, role, "", awkward)
    if found == (before, awkward + after):
        return "verbatim"
    return "json" if found == (before, json.dumps(awkward, ensure_ascii=False)[1:-1] + after) else "altered"


def _default_system(
    template: ChatTemplate, contexts: Mapping[str, tuple[str, ...]], openings: Mapping[str, str], bos_token: str
) -> str:
    """What stands before the first user turn's own opening when no system turn is given."""
    alone = openings.get("user", "").removeprefix(bos_token)
    if "system" not in contexts or not _accepts(template, ("system",), "user"):
        return ""
    after_system = template.open_turn(("system",), "user")
    extra = alone.removesuffix(after_system) if alone.endswith(after_system) else ""
    # What stands before a system turn that is given, too, is a preamble and not a stand-in for it.
    return "" if openings["system"].removeprefix(bos_token).startswith(extra) else extra


def _rewrites_contents(template: ChatTemplate, history: tuple[str, ...]) -> bool:
    """Whether an assistant content with some mark in it is written otherwise than one without.

    The marks are those that the template itself spells (`content.split('</think>')`), so none has to be known here.
    """
    before, after = _around(template, history, "assistant", "", "")
    marks = _marks(template)
    for text in (*marks, " ".join([*marks, *marks])):  # together for a template that looks for a pair of them
        for left, right in ((f"{text} a ", ""), ("", f" b {text}")):
            if _around(template, history, "assistant", left, right) != (before + left, right + after):
                return True
    return False


def _marks(template: ChatTemplate) -> list[str]:
    """What the template's strings hold besides words and spaces, cut at their escapes and line ends."""
    texts = [text.strip() for string in template.strings for text in _BREAK.split(string)]
    return [text for text in dict.fromkeys(texts) if text and not text.isalnum()][:_MAX_MARKS]


def _rewrites_last(template: ChatTemplate, history: tuple[str, ...]) -> bool:
    try:
        template.tail((*history, "assistant"))
    except TemplateMismatch:
        return True
    return False
