"""Checks a list of choices before it is compiled: how many, how long, and whether each is text at all."""

from __future__ import annotations

from ..errors import InvalidSchema
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond, encoded_size
from .spec import Choices

_FEWER = "split the choice into two steps"


def check_choices(spec: Choices, limits: GrammarLimits = DEFAULT_LIMITS) -> list[str]:
    """The different options of `spec`, sorted.

    Raises:
        InvalidSchema: no option, too many or too long, or one with half of a surrogate pair.
    """
    if not spec.options:
        raise InvalidSchema("there is nothing to choose from", where="options", hint="give at least one option")
    if len(spec.options) > limits.options:
        raise beyond("choices", len(spec.options), "options", limits.options, "options", _FEWER)
    size = 0
    for index, option in enumerate(spec.options):
        size += encoded_size(option, limits.options_bytes)
        if size > limits.options_bytes:
            raise beyond("choices", size, "bytes or more", limits.options_bytes, f"options[{index}]", _FEWER)
        try:
            option.encode()
        except UnicodeEncodeError as error:
            raise InvalidSchema(
                "an option is not Unicode text: it holds half of a surrogate pair",
                where=f"options[{index}], character {error.start}",
                hint="no model can write it: correct the option",
            ) from error
    return sorted(set(spec.options))
