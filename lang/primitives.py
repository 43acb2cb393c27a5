"""The words of the language: `gen`, the roles, `fmt` and `control`. Each makes an expression and does nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..errors import InvalidRequest
from ..runtime.protocol.sampling import SamplingParams
from .expr import Control, Expr, GenExpr, Part, RoleExpr


def gen(
    name: str,
    *,
    type: Any = None,
    max_tokens: int | None = None,
    stop: str | tuple[str, ...] | list[str] = (),
    stop_ids: tuple[int, ...] | list[int] = (),
    ignore_eos: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    repetition_penalty: float | None = None,
    logprobs: int | None = None,
    check: Callable[[Any], object] | None = None,
    retries: int | None = None,
) -> GenExpr:
    """Generate here.

    Args:
        name: `s[name]` is the value afterwards; a name used again appends to `s.all(name)`.
        type: what the text must be: a Python type (dataclass, pydantic model, Enum, Literal, list[...], ...), a JSON
            Schema as a dict, a `Regex`, `Choices` or `Lark` grammar, or a `StructuralTag` of them. None is free text.
        max_tokens: tokens at most; None is as many as fit.
        stop: strings that end the text and are not part of it.
        stop_ids: token ids that end it, beside the model's own.
        ignore_eos: the model's own end tokens do not end it.
        temperature, top_k, top_p, min_p: how tokens are drawn; None takes the model's default. 0 is greedy.
        presence_penalty: -2 to 2, taken once from the logit of each token that was generated here; 0 is none.
        frequency_penalty: -2 to 2, taken for each time that the token was generated here; 0 is none.
        repetition_penalty: above 0; divides the positive logits of tokens that stand anywhere on the stream, and
            multiplies the negative ones; 1 is none.
        logprobs: report the log probability of each token with this many alternatives.
        check: called with the finished value; on a ValueError the model reads its text and tries again.
        retries: how often it may try again; None is twice with a `check` and never without one. A text that is not a
            value of its type, because a validator of the type raised, is tried again as one that does not pass its
            check. A text that `max_tokens` cut is not: the next would be cut too.

    Raises:
        InvalidRequest: `retries` is negative.
    """
    if retries is None:
        retries = 0 if check is None else 2
    if retries < 0:
        raise InvalidRequest(f"retries is {retries}", where=name, hint="use 0 or more")
    return GenExpr(
        name=name,
        type=type,
        max_tokens=max_tokens,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        stop_ids=tuple(stop_ids),
        ignore_eos=ignore_eos,
        sampling=SamplingParams(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            repetition_penalty=repetition_penalty,
        ),
        logprobs=-1 if logprobs is None else logprobs,
        check=check,
        retries=retries,
    )


def system(*parts: Part) -> RoleExpr:
    """A system turn."""
    return RoleExpr("system", parts)


def user(*parts: Part) -> RoleExpr:
    """A user turn."""
    return RoleExpr("user", parts)


def assistant(*parts: Part) -> RoleExpr:
    """An assistant turn; put a `gen` into it to let the model speak."""
    return RoleExpr("assistant", parts)


def tool(*parts: Part) -> RoleExpr:
    """A turn that carries a tool's result."""
    return RoleExpr("tool", parts)


def control(text: str) -> Control:
    """Text of your own whose control tokens are meant, such as `control("<|im_start|>")`; never input of others."""
    return Control(text)


_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fmt(template: str, **parts: Part) -> Expr:
    """`template` with `{name}` replaced by parts, without looking at any: values stay edges of the graph.

    `{{` and `}}` are literal braces.

    Raises:
        InvalidRequest: a field has no part, or a part no field.
    """
    out: list[Part] = []
    used: dict[str, None] = {}
    end = 0
    for match in _FIELD.finditer(template):
        out.append(template[end : match.start()])
        end = match.end()
        name = match[1]
        if name is None:
            out.append(match[0][0])
        elif name in parts:
            used[name] = None
            out.append(parts[name])
        else:
            raise InvalidRequest(f"the template names {{{name}}}, which was not given", hint=f"pass {name}=...")
    out.append(template[end:])
    unused = [name for name in parts if name not in used]
    if unused:
        raise InvalidRequest(f"{', '.join(unused)}: not named in the template", hint="add {name} or drop the argument")
    return Expr(tuple(part for part in out if not (isinstance(part, str) and part == "")))
