"""Chat templates as something a stream can be appended to.

A template is a function from a whole chat to text; a stream grows turn by turn and never changes what it holds. The two
fit when the text for a longer chat begins with the text for a shorter one. This module finds out by rendering chats
whose contents are sentinels and cutting the text at them:

    messages    user(S0)                          assistant(S1)
    text        <|im_start|>user\n S0 <|im_end|>\n <|im_start|>assistant\n S1 <|im_end|>\n
                [---- open ----]   [-- close --]  [------- open -------]

`close` is what follows a content whatever comes next: the common beginning over every next role, a generation prompt
and the end. The rest of the text before the next content is that turn's `open`. Where a longer chat is not a
continuation, `TemplateMismatch` names the turn. Contents matter too: `content` gives a text as the template would write
it there (stripped, escaped), and `check` compares with the true texts rendered (a template may drop a `<think>` block).
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from ...errors import InvalidRequest, TemplateMismatch
from .render import Message, TemplateRenderer
from .tokenizer import TextTokenizer
from .traits import TemplateTraits, Trim, find_traits

ROLES: Final = ("system", "user", "assistant", "tool")

_SENTINEL: Final = re.compile(r"x([0-9]{6})x7b41c9d2e6")
_MAX_FORMS: Final = 256
_EXCERPT: Final = 40

_Render = Callable[[Sequence[Message]], str]


class Piece(NamedTuple):
    """Part of a lowered chat. `trusted`: written by the template, so the control tokens it spells are meant."""

    text: str
    trusted: bool


class _Form(NamedTuple):
    """How the template writes the last turn of a chat of sentinels.

    Attributes:
        before: all text before the last content.
        after: the text that follows it whatever comes next.
        end: the text that follows it when nothing does; None where the chat may not end here or is then written
            otherwise.
        trim: which ends of the content it strips here.
        empty: an empty content leaves the text around it as it is.
    """

    before: str
    after: str
    end: str | None
    trim: Trim
    empty: bool


class ChatTemplate:
    """The chat template of a model. Immutable but for a bounded memo; safe to share between threads.

    Args:
        tokenizer: whose control tokens and named tokens the template uses.
        source: the template's source; None for a model without one, of which every method raises TemplateMismatch.
        clock: read by templates that write a date. A clock that stands still keeps a long chat from being rewritten at
            midnight.

    Attributes:
        strings: the string constants of the template, as they are spelled in it.
        traits: what is peculiar about it.

    Raises:
        UnsupportedModel: the source is too long, or not a template.
    """

    def __init__(
        self, tokenizer: TextTokenizer, source: str | None, *, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        self._tokenizer = tokenizer
        self._clock = clock
        self._renderer = None if source is None else TemplateRenderer(source, tokenizer.named_tokens)
        self.strings = () if self._renderer is None else self._renderer.strings
        self._forms: OrderedDict[tuple[tuple[str, ...], datetime | None], _Form] = OrderedDict()
        self.traits = TemplateTraits()
        if source is not None:
            self.traits = find_traits(self, tokenizer.named_tokens.get("bos_token", ""))

    @classmethod
    def load(cls, tokenizer: TextTokenizer, *, clock: Callable[[], datetime] = datetime.now) -> ChatTemplate:
        """The template that came with the tokenizer: chat_template.jinja, else the one in tokenizer_config.json."""
        return cls(tokenizer, tokenizer.template_source, clock=clock)

    def open_turn(self, history: Sequence[str], role: str, *, generates: bool = False) -> str:
        """The template text between what has been written for `history` and the content of a new turn.

        Args:
            history: the roles of the turns so far, all closed.
            role: the new turn's role.
            generates: the turn's content begins with a generated token. For the assistant this gives the generation
                prompt, which some templates write differently from the opening of a finished turn.

        Raises:
            TemplateMismatch: the template refuses these roles, or would rewrite an earlier turn.
        """
        now = self._clock()
        history = tuple(history)
        if generates and role == "assistant":
            text = self._cut(self._render_roles(history, now, generation_prompt=True), history)
        else:
            text = self._form((*history, role), now).before
        return self._rest(history, role, text, now)

    def close_turn(self, history: Sequence[str], role: str) -> str:
        """The template text after the content of a turn with this role that stands after `history`.

        Raises:
            TemplateMismatch: as for `open_turn`.
        """
        now = self._clock()
        history = tuple(history)
        form = self._form((*history, role), now)
        self._rest(history, role, form.before, now)
        return form.after

    def prompt_prefix(self, history: Sequence[str]) -> str:
        """What the generation prompt writes behind the opening of a finished assistant turn, mostly "".

        It is part of the turn's content: a chat that begins the content with it is written as the stream holds it.
        Raises TemplateMismatch as `open_turn` does.
        """
        prompt, opening = self.open_turn(history, "assistant", generates=True), self.open_turn(history, "assistant")
        return prompt[len(opening) :] if prompt.startswith(opening) else ""

    def tail(self, history: Sequence[str]) -> str:
        """What the template adds after the last close when the chat ends there; mostly "".

        Raises:
            TemplateMismatch: the template does not let the chat end here, or writes a last turn differently.
        """
        if not history:
            return ""
        form = self._form(tuple(history), self._clock())
        if form.end is None:
            raise TemplateMismatch(
                "the chat template writes the last turn differently when nothing follows it",
                where=_roles(history),
                hint="append another turn, or the generation prompt",
            )
        return form.end[len(form.after) :]

    def trim(self, history: Sequence[str], role: str) -> Trim:
        """Which ends of the content of a turn with this role after `history` the template strips of whitespace.

        It depends on the history: a user content after a system content that is folded into its turn may keep its
        leading space where another loses it. Raises TemplateMismatch as `open_turn` does.
        """
        return self._form((*history, role), self._clock()).trim

    def content(self, history: Sequence[str], role: str, text: str, *, opens: bool = True, closes: bool = True) -> str:
        """`text` as the template writes it in a turn with this role after `history`: stripped, or escaped as JSON.

        Args:
            history: the roles of the turns before.
            role: the turn's role.
            text: a part of the turn's content.
            opens: the part begins the content.
            closes: the part ends it.

        Raises:
            TemplateMismatch: as for `open_turn`; or the template changes the contents of this role in another way, or
                writes the text around an empty one differently.
        """
        if role in self.traits.alters_roles:
            raise TemplateMismatch(
                f"the chat template changes the content of {role} turns in a way that a stream cannot follow",
                where=f"turn {len(history) + 1} ({role}); {_roles((*history, role))}",
                hint="lower the whole chat at once, use another role, or correct the template",
            )
        return self._write((*history, role), text, self._clock(), opens=opens, closes=closes)

    def render(self, messages: Sequence[Message], *, generation_prompt: bool = False) -> str:
        """The chat as `apply_chat_template(tokenize=False)` gives it. Raises TemplateMismatch if it is refused."""
        return self._require().render(messages, generation_prompt=generation_prompt, now=self._clock())

    def lower_messages(self, messages: Sequence[Mapping[str, str]], *, generation_prompt: bool = False) -> list[Piece]:
        """A whole chat at once, as pieces: together exactly the text that `apply_chat_template` gives.

        Args:
            messages: `{"role": ..., "content": ...}` each.
            generation_prompt: end with the opening of an assistant turn.

        Raises:
            InvalidRequest: a message has other fields, or one that is not a string.
            TemplateMismatch: the template refuses the chat, or changes a content in a way of its own.
        """
        now = self._clock()
        chat = [_message(index, message) for index, message in enumerate(messages)]
        roles = tuple(message.role for message in chat)
        text = self._render_roles(roles, now, generation_prompt=generation_prompt)
        self._cut(text, roles)
        written = _SENTINEL.split(text)[::2]
        pieces = [Piece(written[0], trusted=True)]
        for index, (message, after) in enumerate(zip(chat, written[1:], strict=True)):
            content = self._write(roles[: index + 1], message.content, now, opens=True, closes=True)
            pieces.append(Piece(content, trusted=False))
            pieces.append(Piece(after, trusted=True))
        composed = "".join(piece.text for piece in pieces)
        found = self._require().render(chat, generation_prompt=generation_prompt, now=now)
        if composed != found:
            raise _difference(composed, found, chat)
        return [piece for piece in pieces if piece.text]

    def check(self, messages: Sequence[Message], text: str, *, role: str | None = None) -> None:
        """Raises TemplateMismatch unless the template still writes a stream's chat as the stream holds it.

        Call it when a turn opens after one with a content that the template might rewrite, a generated one above all.

        Args:
            messages: the turns so far with their true contents.
            text: what the stream holds for them: every open, content and close.
            role: the role of the turn that follows; None for an assistant turn that is generated.
        """
        follower = [] if role is None else [Message(role, _sentinel(len(messages)))]
        found = self._require().render([*messages, *follower], generation_prompt=role is None, now=self._clock())
        if not found.startswith(text):
            raise _difference(text, found, messages)

    def _write(self, roles: tuple[str, ...], text: str, now: datetime, *, opens: bool, closes: bool) -> str:
        """`text` as the template writes it in the last turn of a chat of these roles."""
        form = self._form(roles, now)
        if opens and Trim.LEFT in form.trim:
            text = text.lstrip()
        if closes and Trim.RIGHT in form.trim:
            text = text.rstrip()
        if opens and closes and not text and not form.empty:
            raise TemplateMismatch(
                "the chat template writes the text around an empty content differently",
                where=f"turn {len(roles)} ({roles[-1]}); {_roles(roles)}",
                hint="leave the turn out, or give it a content that is not only whitespace",
            )
        return json.dumps(text, ensure_ascii=False)[1:-1] if roles[-1] in self.traits.json_roles else text

    def _require(self) -> TemplateRenderer:
        if self._renderer is None:
            raise TemplateMismatch(
                "the model has no chat template, so it has no roles",
                where=str(self._tokenizer.directory),
                hint="append raw text without roles, or put a chat_template.jinja beside the model",
            )
        return self._renderer

    def _render_roles(self, roles: Sequence[str], now: datetime, *, generation_prompt: bool = False) -> str:
        chat = [Message(role, _sentinel(index)) for index, role in enumerate(roles)]
        return self._require().render(chat, generation_prompt=generation_prompt, now=now)

    def _rest(self, history: tuple[str, ...], role: str, text: str, now: datetime) -> str:
        """`text` behind what has been written for `history`, which it must begin with."""
        if not history:
            return text
        form = self._form(history, now)
        written = form.before + _sentinel(len(history) - 1) + form.after
        if not text.startswith(written):
            chat = [Message(name, _readable(_sentinel(index))) for index, name in enumerate(history)]
            error = _difference(_readable(written), _readable(text), chat)
            error.where = f"{error.where}, when a turn of role {role!r} follows"
            raise error
        return text[len(written) :]

    def _form(self, roles: tuple[str, ...], now: datetime) -> _Form:
        key = (roles, now if self._require().reads_clock else None)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._find_form(roles, now)
            while len(self._forms) > _MAX_FORMS:
                self._forms.popitem(last=False)
        return form

    def _find_form(self, roles: tuple[str, ...], now: datetime) -> _Form:
        """Renders the chat with everything that may follow it and keeps what these texts have in common.

        Some templates write the last turn one way when it is the last and another way later. Then the way that goes on
        counts: a user or tool turn as the model sees it when it answers, any other as it stands when a user follows.
        """
        answered = roles[-1] in ("user", "tool")
        order = ("generate", "assistant", "tool", "user") if answered else ("user", "tool", "assistant", "generate")
        before: str | None = None
        trim, empty = Trim.NONE, True
        afters: list[str] = []
        end: str | None = None
        refusal: TemplateMismatch | None = None
        for follower in (*order, "system", "end"):
            chat = (*roles, follower) if follower in ROLES else roles
            try:
                text = self._render_roles(chat, now, generation_prompt=follower == "generate")
                self._cut(text, chat)
            except TemplateMismatch as error:
                refusal = error  # the last to be tried is the chat itself: what is wrong with it says most
                continue
            cuts = list(_SENTINEL.finditer(text))
            last = cuts[len(roles) - 1]
            stop = cuts[len(roles)].start() if follower in ROLES else len(text)
            afters.append(text[last.end() : stop])
            if before is None:
                before = text[: last.start()]
                render = partial(self._require().render, generation_prompt=follower == "generate", now=now)
                trim, empty = self._find_treatment(chat, len(roles) - 1, text, render)
            if follower == "end" and before == text[: last.start()]:
                end = afters[-1]
        if before is None:
            raise refusal or TemplateMismatch("the chat template writes no chat of these roles", where=_roles(roles))
        return _Form(before, self._common_prefix(afters), end, trim, empty)

    def _find_treatment(self, roles: Sequence[str], index: int, plain: str, render: _Render) -> tuple[Trim, bool]:
        """How the template treats the content of turn `index` of a chat that it writes as `plain`.

        Returns:
            Which ends of the content it strips, and whether an empty content leaves the text around it as it is. A
            template that chokes on a content of spaces around a word, or strips in a way of its own, strips nothing.
        """
        word = _sentinel(index)
        chat = [Message(role, _sentinel(number)) for number, role in enumerate(roles)]

        def around(content: str) -> list[str]:
            chat[index] = Message(roles[index], content)
            try:
                return render(chat).split(word)
            except TemplateMismatch:
                return []

        sides, spaced = plain.split(word), around(f" \n{word}\n ")
        trim = Trim.NONE
        if len(spaced) == 2:
            trim |= Trim.LEFT if spaced[0] == sides[0] else Trim.NONE
            trim |= Trim.RIGHT if spaced[1] == sides[1] else Trim.NONE
        return trim, around("") == ["".join(sides)]

    def _cut(self, text: str, roles: Sequence[str]) -> str:
        """`text` itself. Raises TemplateMismatch unless it holds the content of each turn once, in order."""
        found = [int(match[1]) for match in _SENTINEL.finditer(text)]
        if found == list(range(len(roles))):
            return text
        lost = [index for index in range(len(roles)) if index not in found]
        if lost:
            what = f"the chat template leaves out turn {lost[0] + 1} ({roles[lost[0]]})"
        else:
            moved = next(turn for place, turn in enumerate(found) if turn != place)
            what = f"the chat template moves or repeats turn {moved + 1} ({roles[moved]})"
        raise TemplateMismatch(what, where=_roles(roles), hint="use an order of roles that the model was trained on")

    def _common_prefix(self, texts: list[str]) -> str:
        """The longest common beginning that does not end inside a control token."""
        length = _common_length(min(texts), max(texts))  # the extremes in order share what all share
        for text in texts:
            end = 0
            for piece in self._tokenizer.split_control(text):
                begin = end
                end += len(piece if isinstance(piece, str) else self._tokenizer.control[piece].content)
                if begin < length < end and not isinstance(piece, str):
                    length = begin
        return texts[0][:length]


def _sentinel(index: int) -> str:
    """Letters and digits only, so that no template escapes or strips it, and all of one length."""
    return f"x{index:06d}x7b41c9d2e6"


def _readable(text: str) -> str:
    """`text` with its sentinels as an error message may show them."""
    return _SENTINEL.sub(lambda match: f"(content {int(match[1]) + 1})", text)


def _roles(roles: Sequence[str]) -> str:
    return f"roles: {', '.join(roles) or 'none'}"


def _message(index: int, message: Mapping[str, str]) -> Message:
    if set(message) != {"role", "content"} or not all(isinstance(value, str) for value in message.values()):
        raise InvalidRequest(
            f"a message has a role and a content, both strings, and this one has {sorted(map(str, message))}",
            where=f"messages[{index}]",
        )
    return Message(message["role"], message["content"])


def _difference(expected: str, found: str, chat: Sequence[Message]) -> TemplateMismatch:
    """The error for a template that writes `found` where the stream holds `expected`. Names the turn."""
    at = _common_length(expected, found)
    end = 0
    where = _roles([message.role for message in chat])
    for index, message in enumerate(chat):
        content = message.content.strip()
        end = max(end, expected.find(content, end)) + len(content)
        if at < end or index == len(chat) - 1:
            where = f"turn {index + 1} ({message.role}); {where}"
            break
    return TemplateMismatch(
        f"the chat template rewrites what the stream holds already: expected {_excerpt(expected, at)}, "
        f"found {_excerpt(found, at)}",
        where=where,
        hint="start a new stream from the messages, or leave out of earlier turns what the template removes",
    )


def _common_length(a: str, b: str) -> int:
    shorter = min(len(a), len(b))
    return next((index for index in range(shorter) if a[index] != b[index]), shorter)


def _excerpt(text: str, at: int) -> str:
    return repr(text[max(0, at - _EXCERPT) : at + _EXCERPT])
