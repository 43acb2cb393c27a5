"""Chooses a backend for each grammar: one that enforces it exactly, and of those the one that will have cost least.

    cost = compiling + expected masks x one mask          (milliseconds, measured; see docs/grammar.md)

A backend's library is loaded when it is first chosen, and coverage is known without it. A schema that no backend
enforces is refused with the paths that the cheapest one would not enforce; under `strict=False` that one takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from ..errors import InvalidSchema, UnenforceableSchema
from .limits import DEFAULT_LIMITS, GrammarLimits
from .merge import flatten
from .prepare import prepare
from .spec import GrammarSpec, JsonSchema
from .state import CompiledGrammar, GrammarPlan, PlanningBackend


@dataclass(frozen=True)
class Cost:
    """What a backend costs on a vocabulary of 131,072 tokens and a schema of eight properties, in milliseconds.

    Attributes:
        compile: compiling.
        mask: one mask.
        bounded_compile, bounded_mask: the same where strings have lengths.
    """

    compile: float
    mask: float
    bounded_compile: float
    bounded_mask: float


COSTS: Mapping[str, Cost] = MappingProxyType(
    {
        "llguidance": Cost(compile=2.0, mask=0.027, bounded_compile=5.0, bounded_mask=0.229),
        "xgrammar": Cost(compile=18.0, mask=0.008, bounded_compile=3_000.0, bounded_mask=0.808),
    }
)


T = TypeVar("T")


def _check_coverage(spec: JsonSchema, name: str, limits: GrammarLimits) -> None:
    """Raise what the backend would raise on a keyword that it does not enforce, without loading its library."""
    strict = JsonSchema(spec.schema, spec.any_whitespace)
    prepare(strict, name, limits, adapt=flatten if name == "xgrammar" else lambda schema: schema)


class Router:
    """All backends as one; see `GrammarBackend`. A grammar carries the name of the backend that was chosen."""

    name = "auto"

    def __init__(
        self,
        make: Callable[[str], PlanningBackend],
        limits: GrammarLimits = DEFAULT_LIMITS,
        *,
        expected_masks: int = 256,
    ) -> None:
        """
        Args:
            make: makes a backend by its name, once each.
            limits: what a grammar may cost.
            expected_masks: masks that one compiled grammar will fill, over all its requests: where programs repeat a
                schema ten thousand times, cheap masks are worth a slow compilation.
        """
        self._make = make
        self._limits = limits
        self._expected_masks = expected_masks
        self._backends: dict[str, PlanningBackend] = {}

    def load(self) -> None:
        """Load every backend's library now. Later it would hold the interpreter lock, for up to 0.3 s at a time."""
        for name in COSTS:
            self._backend(name)

    def compile(self, spec: GrammarSpec) -> CompiledGrammar:
        return self._first(spec, lambda backend: backend.compile(spec))

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        return self._first(spec, lambda backend: backend.plan(spec))

    def build(self, plan: GrammarPlan) -> CompiledGrammar:
        return self._backend(plan.backend).build(plan)

    def order(self, spec: GrammarSpec) -> list[str]:
        """The backends for a grammar, cheapest first."""
        if not isinstance(spec, JsonSchema):
            return ["llguidance"]
        bounded = '"maxLength"' in spec.schema or '"minLength"' in spec.schema

        def total(name: str) -> float:
            cost = COSTS[name]
            fixed, each = (cost.bounded_compile, cost.bounded_mask) if bounded else (cost.compile, cost.mask)
            return fixed + self._expected_masks * each

        return sorted(COSTS, key=total)

    def _first(self, spec: GrammarSpec, use: Callable[[PlanningBackend], T]) -> T:
        """What the first backend that enforces the grammar makes of it."""
        names = self.order(spec)
        refusal: UnenforceableSchema | None = None
        for name in names:
            try:
                if name != names[0] and isinstance(spec, JsonSchema):
                    _check_coverage(spec, name, self._limits)
                return use(self._backend(name))
            except UnenforceableSchema as error:
                refusal = refusal or error
            except InvalidSchema:
                # A second backend has no say in what is a schema: the first one's refusal stands.
                if refusal is None:
                    raise
        if refusal is None:
            raise AssertionError("a router has at least one backend")
        raise refusal

    def _backend(self, name: str) -> PlanningBackend:
        if name not in self._backends:
            self._backends[name] = self._make(name)
        return self._backends[name]
