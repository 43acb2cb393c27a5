"""The grammar backends by name. To add one: a file beside `llguidance.py`, and its line here.

A backend's library is imported when the backend is made, not before: together they cost seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import InvalidRequest
from ..limits import DEFAULT_LIMITS, GrammarLimits

if TYPE_CHECKING:
    from ..state import PlanningBackend
    from ..vocabulary import Vocabulary

DEFAULT_BACKEND = "auto"


def _llguidance(vocabulary: Vocabulary, limits: GrammarLimits) -> PlanningBackend:
    from .llguidance import LLGuidanceBackend

    return LLGuidanceBackend(vocabulary, limits)


def _xgrammar(vocabulary: Vocabulary, limits: GrammarLimits) -> PlanningBackend:
    from .xgrammar import XGrammarBackend

    return XGrammarBackend(vocabulary, limits)


def _auto(vocabulary: Vocabulary, limits: GrammarLimits) -> PlanningBackend:
    from ..router import Router

    first = _llguidance(vocabulary, limits)  # now, and not when the first request waits for it
    return Router(lambda name: first if name == first.name else BACKENDS[name](vocabulary, limits), limits)


BACKENDS: dict[str, Callable[[Vocabulary, GrammarLimits], PlanningBackend]] = {
    "auto": _auto,
    "llguidance": _llguidance,
    "xgrammar": _xgrammar,
}


def make_backend(
    vocabulary: Vocabulary, name: str = DEFAULT_BACKEND, limits: GrammarLimits = DEFAULT_LIMITS
) -> PlanningBackend:
    """The backend called `name`, for one vocabulary. Costs up to a second: make it once a model.

    Args:
        vocabulary: the tokenizer.
        name: a key of `BACKENDS`; "auto" chooses one for each grammar.
        limits: what a grammar may cost.

    Raises:
        InvalidRequest: no backend has this name.
    """
    factory = BACKENDS.get(name)
    if factory is None:
        raise InvalidRequest(f"there is no grammar backend {name!r}", hint=f"choose one of {sorted(BACKENDS)}")
    return factory(vocabulary, limits)
