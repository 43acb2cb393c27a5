"""Compiles grammars from strangers in processes that may die, before the engine compiles them itself.

    spec --> vetting server --> worker: check, rewrite, route, compile      limited in CPU time, memory and wall time
    plan or named error <-----'
    build(plan)                 the last, native step again, known to end

Vetting keeps two things away from the engine: what a grammar may cost, and the Python that reads it, which would hold
the interpreter lock while other requests wait for their next token. A grammar under small stated bounds (`is_small`)
waits for no process: if none is free it is compiled here, because what it can cost was measured.
"""

from __future__ import annotations

import re
from concurrent.futures import Future

from .limits import DEFAULT_LIMITS, GrammarLimits, check_text_size
from .spec import Choices, GrammarSpec, JsonSchema, Regex
from .state import CompiledGrammar, GrammarPlan, PlanningBackend
from .vetting_pool import VettingPool

_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_BRANCHING = re.compile(r'"(?:anyOf|\$ref|\$dynamicRef|\$recursiveRef)"')
_MULTIPLYING = re.compile(
    r'"(?:allOf|oneOf|not|if|uniqueItems|contains|propertyNames|patternProperties|(?:min|max)Properties|depend\w*|uneval\w*)"'
)
_LENGTHS = re.compile(r'"(?:min|max)(?:Length|Items)"\s*:\s*(\d{5,})')
_PATTERN = re.compile(r'"pattern"\s*:\s*"((?:[^"\\]|\\.)*)"')


def is_small(spec: GrammarSpec) -> bool:
    """Whether a grammar is under bounds within which compiling was never seen to take long.

    A schema of at most 4 KiB with at most 100 objects, at most 8 keywords that branch or refer, none that are rewritten
    into many parts, at most 8 patterns, no count of five digits, and no character spelled as an escape, which could
    hide a keyword; a pattern of at most 64 characters with no group, at most 4 classes and no counted quantifier above
    64; at most 256 choices in 8 KiB. (Within twice to eight times these bounds there were schemas that took 3 s.)
    """
    match spec:
        case JsonSchema(schema):
            patterns = _PATTERN.findall(schema)
            return (
                len(schema) <= 4 * 1024
                and schema.count("{") <= 100
                and len(_BRANCHING.findall(schema)) <= 8
                and _MULTIPLYING.search(schema) is None
                and _LENGTHS.search(schema) is None
                and "\\u" not in schema
                and schema.count('"pattern"') == len(patterns) <= 8
                and all(map(_is_small_pattern, patterns))
            )
        case Regex(pattern):
            return _is_small_pattern(pattern)
        case Choices(options):
            return len(options) <= 256 and sum(map(len, options)) <= 8 * 1024
        case _:
            return False


def _is_small_pattern(pattern: str) -> bool:
    return (
        len(pattern) <= 64
        and "(" not in pattern
        and pattern.replace("\\\\", "\\").count("\\") + pattern.count("[^") <= 4
        and all(
            len(low) <= 2 and len(high) <= 2 and max(int(low), int(high or 0)) <= 64
            for low, high in _COUNTED.findall(pattern)
        )
    )


class VettedBackend:
    """A backend whose grammars are vetted first; see `GrammarBackend` and `compile.Vetting`."""

    def __init__(self, backend: PlanningBackend, pool: VettingPool, limits: GrammarLimits = DEFAULT_LIMITS) -> None:
        """
        Args:
            backend: compiles what was vetted; the pool's workers have one of the same name.
            pool: vets.
            limits: what a grammar may cost; texts beyond them are not even sent.
        """
        self.name = backend.name
        self._backend = backend
        self._pool = pool
        self._limits = limits

    def vet(self, spec: GrammarSpec, owner: str = "") -> Future[GrammarPlan] | None:
        """Begin to vet a grammar; None if it may be compiled as it is. Never waits.

        Raises:
            InvalidSchema: the text is beyond the limit.
            EngineUnavailable: vetting was closed, or cannot be started.
        """
        if isinstance(spec, JsonSchema):
            check_text_size(spec, self._limits)
        self._pool.warm()
        if not self._pool.has_room and is_small(spec):
            return None
        return self._pool.submit(spec, owner)

    def build(self, plan: GrammarPlan) -> CompiledGrammar:
        """Compile what was vetted."""
        return self._backend.build(plan)

    def compile(self, spec: GrammarSpec) -> CompiledGrammar:
        """Vet, and compile. If that was not needed, only compile."""
        plan = self.vet(spec)
        return self._backend.compile(spec) if plan is None else self._backend.build(plan.result())
