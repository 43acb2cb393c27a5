"""The one validator of gens and selects: run where a program records one, and again where the engine takes it."""

from __future__ import annotations

from ...errors import InvalidRequest
from .graph import Gen, Select
from .sampling import RowSampling, SamplingParams

MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_LOGPROBS = 20
MAX_CHOICES = 2_000
MAX_CHOICE_CHARS = 1_024

# name: (lowest, lowest is allowed, highest, neutral value)
_BOUNDS: dict[str, tuple[float, bool, float, float]] = {
    "temperature": (0.0, True, 100.0, 1.0),
    "top_k": (0, True, 1 << 30, 0),
    "top_p": (0.0, False, 1.0, 1.0),
    "min_p": (0.0, True, 1.0, 0.0),
    "presence_penalty": (-2.0, True, 2.0, 0.0),
    "frequency_penalty": (-2.0, True, 2.0, 0.0),
    "repetition_penalty": (0.0, False, 100.0, 1.0),
}


def check_gen(gen: Gen) -> None:
    """Check every bound that does not depend on a model.

    Raises:
        InvalidRequest: names the option, its value and its bounds; `where` is the node's path.
    """
    where = gen.path or gen.site
    check_sampling(gen.sampling, where)
    if gen.max_tokens is not None and gen.max_tokens < 1:
        raise InvalidRequest(f"max_tokens is {gen.max_tokens}", where=where, hint="generate at least one token")
    if len(gen.stop) > MAX_STOPS or len(gen.stop_ids) > MAX_STOPS:
        raise InvalidRequest(f"more than {MAX_STOPS} stop strings or stop ids", where=where, hint="use fewer")
    for stop in gen.stop:
        if not 1 <= len(stop) <= MAX_STOP_CHARS:
            raise InvalidRequest(
                f"a stop string of {len(stop)} characters", where=where, hint=f"use 1 to {MAX_STOP_CHARS}"
            )
    if not -1 <= gen.logprobs <= MAX_LOGPROBS:
        raise InvalidRequest(f"logprobs is {gen.logprobs}", where=where, hint=f"use 0 to {MAX_LOGPROBS}")
    check_seed(gen.seed, where)


def check_select(select: Select) -> None:
    """Check the choices, the temperature and the seed.

    Raises:
        InvalidRequest: names what is wrong and its bounds; `where` is the node's path.
    """
    where = select.path or select.site
    choices = select.choices
    if not 1 <= len(choices) <= MAX_CHOICES:
        raise InvalidRequest(f"{len(choices)} choices", where=where, hint=f"give 1 to {MAX_CHOICES}")
    for choice in choices:
        if not 1 <= len(choice) <= MAX_CHOICE_CHARS:
            raise InvalidRequest(
                f"a choice of {len(choice)} characters", where=where, hint=f"use 1 to {MAX_CHOICE_CHARS}"
            )
    if len(set(choices)) < len(choices):
        twice = next(choice for i, choice in enumerate(choices) if choice in choices[:i])
        raise InvalidRequest(f"the choice {twice!r} is there twice", where=where, hint="name each choice once")
    check_sampling(SamplingParams(temperature=select.temperature), where)
    check_seed(select.seed, where)


def check_seed(seed: int, where: str = "") -> None:
    """Raises InvalidRequest unless `seed` is an unsigned 64-bit integer."""
    if not 0 <= seed < 1 << 64:
        raise InvalidRequest(f"seed is {seed}", where=where, hint="use an unsigned 64-bit integer")


def check_sampling(sampling: SamplingParams, where: str = "") -> None:
    """Check the bounds of `SamplingParams`; NaN is outside of all of them. Raises InvalidRequest."""
    for name, (low, inclusive, high, _) in _BOUNDS.items():
        value = getattr(sampling, name)
        if value is None or (low < value <= high) or (inclusive and value == low):
            continue
        bracket = "[" if inclusive else "("
        raise InvalidRequest(f"{name} is {value}", where=where, hint=f"use a value in {bracket}{low}, {high}]")


def fill(sampling: SamplingParams, defaults: SamplingParams, seed: int, logprobs: int) -> RowSampling:
    """What was asked, then the model's defaults, then neutral values."""

    def value(name: str) -> float:
        asked = getattr(sampling, name)
        given = asked if asked is not None else getattr(defaults, name)
        return float(_BOUNDS[name][3] if given is None else given)

    return RowSampling(
        temperature=value("temperature"),
        top_k=int(value("top_k")),
        top_p=value("top_p"),
        min_p=value("min_p"),
        presence_penalty=value("presence_penalty"),
        frequency_penalty=value("frequency_penalty"),
        repetition_penalty=value("repetition_penalty"),
        seed=seed,
        logprobs=logprobs,
    )
