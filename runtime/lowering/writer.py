"""Writes text and chat turns onto a stream's open text run, as the model's chat template would.

A turn's opening is written only when its first piece of content is there, because some templates open a turn that is to
be generated in another way; its content is held back to its next seam, because only then is it known where it ends.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import TemplateMismatch
from .render import Message
from .run import StreamText, Turn
from .template import ChatTemplate


class StreamWriter:
    """Stateless but for the template: everything of a stream is in its `StreamText`."""

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    def text(self, stream: StreamText, text: str) -> None:
        """Text of the program, an argument or a value: control tokens that it spells are ordinary text."""
        if stream.turn is None:
            self.begin_raw(stream)
            stream.builder.append_text(text)
        else:
            self.open_turn(stream, generates=False)
            stream.content.append(text)

    def control(self, stream: StreamText, text: str) -> None:
        """Trusted text: its control tokens are meant."""
        if stream.turn is None:
            stream.empty = False  # whoever writes control tokens writes the first one too
        else:
            self.open_turn(stream, generates=False)
            self.write_content(stream, closes=False)
            stream.turn.parts.append(text)
            stream.begun = True
        stream.builder.append_template(text)

    def begin_raw(self, stream: StreamText) -> None:
        """Text without a role opens an empty stream: put in front what the model expects there."""
        if stream.empty:
            stream.empty = False
            stream.builder.append_bos()

    def open_role(self, stream: StreamText, role: str) -> None:
        """A turn begins. Raises TemplateMismatch inside another turn."""
        if stream.turn is not None:
            raise TemplateMismatch(
                f"a {role} turn begins inside a {stream.turn.role} turn", hint="close the turn before the next one"
            )
        stream.turn, stream.opened, stream.begun = Turn(role, []), False, False

    def close_role(self, stream: StreamText) -> None:
        """The turn ends. Raises TemplateMismatch if there is none."""
        if stream.turn is None:
            raise TemplateMismatch("a turn ends that was not begun", hint="open a role first")
        self.open_turn(stream, generates=False)
        self.write_content(stream, closes=True)
        stream.builder.append_template(self._template.close_turn(stream.roles, stream.turn.role))
        stream.turns.append(stream.turn)
        stream.turn = None

    def open_turn(self, stream: StreamText, generates: bool) -> None:
        """Write the opening of the turn, if it is not written yet. Raises TemplateMismatch."""
        if stream.turn is not None and not stream.opened:
            text = self._template.open_turn(stream.roles, stream.turn.role, generates=generates)
            if not stream.empty and not stream.turns:  # raw text stands before the chat, and BOS before that
                text = text.removeprefix(self._template.traits.bos)
            stream.empty, stream.opened = False, True
            stream.builder.append_template(text)

    def write_content(self, stream: StreamText, closes: bool) -> None:
        """Write the text held back since the turn's last seam, as the template would write it."""
        if stream.turn is not None and (stream.content or closes):
            text = "".join(stream.content)
            stream.content.clear()
            stream.turn.parts.append(text)
            written = self._template.content(
                stream.roles, stream.turn.role, text, opens=not stream.begun, closes=closes
            )
            stream.builder.append_text(written)
            stream.begun = True

    @property
    def may_rewrite(self) -> bool:
        """The template may write an earlier turn differently once another follows: `check_turns` decides."""
        return self._template.traits.rewrites_contents

    def check_turns(self, stream: StreamText, role: str, text_of: Callable[[int], str]) -> None:
        """Compare the turns so far with how the template would write them now that a turn of `role` follows.

        Args:
            text_of: what the ids of a gen that stands in a turn spell; all of them must have ended.

        Raises:
            TemplateMismatch: it would write an earlier turn in another way than the stream holds it.
        """
        messages: list[Message] = []
        written: list[str] = []
        for turn in stream.turns:
            roles = [message.role for message in messages]
            generates = bool(turn.parts) and isinstance(turn.parts[0], int)
            opened = self._template.prompt_prefix(roles) if generates and turn.role == "assistant" else ""
            written.append(self._template.open_turn(roles, turn.role, generates=generates))
            texts = [part if isinstance(part, str) else text_of(part) for part in turn.parts]
            last = len(texts) - 1
            for index, (part, text) in enumerate(zip(turn.parts, texts, strict=True)):
                if isinstance(part, str):  # what the model wrote is never trimmed
                    text = self._template.content(roles, turn.role, text, opens=index == 0, closes=index == last)
                written.append(text)
            written.append(self._template.close_turn(roles, turn.role))
            messages.append(Message(turn.role, opened + "".join(texts)))
        if messages:
            self._template.check(messages, "".join(written), role=None if role == "assistant" else role)
