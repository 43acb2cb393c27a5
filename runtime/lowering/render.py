"""The one place where a chat template runs: the sandboxed environment of transformers, with limits.

A template is code from a model file. It runs only in transformers' `ImmutableSandboxedEnvironment`, which is imported
when the first template is met, sees nothing but strings, and stops at a bound on its input, its output and its time.
The time is checked whenever the template writes, so a loop that never writes is cut only by the sandbox's own limit on
`range`. The clock is a port: templates that write today's date read it from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ...errors import TemplateMismatch, UnsupportedModel

MAX_SOURCE_CHARS: Final = 1 << 20
MAX_INPUT_CHARS: Final = 4 << 20
MAX_OUTPUT_CHARS: Final = 16 << 20
MAX_SECONDS: Final = 5.0


class Message(NamedTuple):
    """One turn of a chat as a template sees it."""

    role: str
    content: str


class TemplateRenderer:
    """A compiled chat template.

    Args:
        source: the Jinja source.
        named_tokens: `{"bos_token": ...}`, which templates read as variables.

    Attributes:
        reads_clock: the template may write the date.
        strings: its string constants, without their quotes and with their escapes.

    Raises:
        UnsupportedModel: the source is too long, or is not a Jinja template.
    """

    def __init__(self, source: str, named_tokens: Mapping[str, str]) -> None:
        # Slow to import, and not needed by programs on raw text.
        from jinja2 import Environment
        from jinja2.exceptions import TemplateSyntaxError
        from transformers.utils import chat_template_utils

        if len(source) > MAX_SOURCE_CHARS:
            raise UnsupportedModel(f"the chat template has {len(source)} characters; the limit is {MAX_SOURCE_CHARS}")
        try:
            self._compiled: Any = chat_template_utils._compile_jinja_template(source)
        except TemplateSyntaxError as error:
            raise UnsupportedModel(
                f"the chat template is not valid Jinja: {error.message}", where=f"chat template, line {error.lineno}"
            ) from None
        self._variables = dict(named_tokens)
        self.reads_clock = "strftime_now" in source
        self.strings = tuple(text[1:-1] for _, kind, text in Environment().lex(source) if kind == "string")

    def render(self, messages: Sequence[Message], *, generation_prompt: bool, now: datetime) -> str:
        """The chat as `apply_chat_template(messages, tokenize=False)` gives it at the time `now`.

        Raises:
            TemplateMismatch: the template refuses these messages, or passes a limit.
        """
        size = sum(len(message.content) for message in messages)
        if size > MAX_INPUT_CHARS:
            raise TemplateMismatch(f"the chat has {size} characters; the limit for a template is {MAX_INPUT_CHARS}")
        chunks = self._compiled.generate(
            **self._variables,
            messages=[message._asdict() for message in messages],
            tools=None,
            documents=None,
            add_generation_prompt=generation_prompt,
            strftime_now=_clock(now),
        )
        parts: list[str] = []
        written, deadline = 0, time.monotonic() + MAX_SECONDS
        try:
            for chunk in chunks:
                parts.append(chunk)
                written += len(chunk)
                if written > MAX_OUTPUT_CHARS or time.monotonic() > deadline:
                    raise TemplateMismatch(
                        f"the chat template was stopped after {written} characters: "
                        f"its limits are {MAX_OUTPUT_CHARS} characters and {MAX_SECONDS:g} s"
                    )
        except TemplateMismatch:
            raise
        except Exception as error:  # a template may fail in any way that Python code may
            roles = ", ".join(message.role for message in messages) or "none"
            raise TemplateMismatch(
                f"the chat template refuses this chat: {error}",
                where=f"roles: {roles}",
                hint="change the order of the roles to one that the model was trained on, or use raw text",
            ) from None
        return "".join(parts)


def _clock(now: datetime) -> Callable[[str], str]:
    return lambda form: now.strftime(form)
