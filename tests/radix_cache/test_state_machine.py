"""The cache against the oracle, with hypothesis choosing the operations and shrinking what fails.

RAMIFY_FUZZ=1 runs about 10^5 operations instead of a few thousand.
"""

from __future__ import annotations

import os

from cache_rig import Rig
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

FUZZ = os.environ.get("RAMIFY_FUZZ") == "1"

which = st.integers(0, 5)
count = st.integers(0, 31)
ids = st.lists(st.integers(0, 2), min_size=1, max_size=5)
run = st.lists(st.integers(0, 1), min_size=6, max_size=9)


class CacheMachine(RuleBasedStateMachine):
    """Each rule is one operation of the rig, which compares its result; the invariant compares everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(capacity=24, max_streams=6)

    @initialize(ids=ids)
    def begin(self, ids: list[int]) -> None:
        """Two streams that share a prompt, so that the first rules have something to work on."""
        self.rig.open(0)
        self.rig.prefill(0, ids)
        self.rig.follow(0)

    @rule(tenant=st.integers(0, 1))
    def open(self, tenant: int) -> None:
        self.rig.open(tenant)

    @rule(which=which)
    def fork(self, which: int) -> None:
        self.rig.fork(which)

    @rule(which=which, ids=ids)
    def match(self, which: int, ids: list[int]) -> None:
        self.rig.match(which, ids)

    @rule(which=which)
    def follow(self, which: int) -> None:
        self.rig.follow(which)

    @rule(which=which, length=count)
    def rewind(self, which: int, length: int) -> None:
        self.rig.rewind(which, length)

    @rule(which=which)
    def close(self, which: int) -> None:
        self.rig.close(which)

    @rule(which=which)
    def lease(self, which: int) -> None:
        self.rig.lease(which)

    @rule(which=which, ids=ids | run)
    def prefill(self, which: int, ids: list[int]) -> None:
        self.rig.prefill(which, ids)

    @rule(which=which, ids=ids)
    def decode(self, which: int, ids: list[int]) -> None:
        self.rig.decode(which, ids)

    @rule(which=which)
    def commit(self, which: int) -> None:
        self.rig.commit(which)

    @rule(which=which)
    def park(self, which: int) -> None:
        self.rig.park(which)

    @rule(which=which)
    def abort(self, which: int) -> None:
        self.rig.abort(which)

    @rule(which=which, ids=ids)
    def turn(self, which: int, ids: list[int]) -> None:
        self.rig.turn(which, ids)

    @rule()
    def launch(self) -> None:
        self.rig.launch()

    @rule()
    def finish(self) -> None:
        self.rig.finish()

    @rule(back=st.integers(0, 3))
    def void(self, back: int) -> None:
        self.rig.void(back)

    @rule(n=st.integers(1, 12))
    def evict(self, n: int) -> None:
        self.rig.evict(n)

    @rule(tenant=st.integers(0, 1), ids=ids)
    def explain(self, tenant: int, ids: list[int]) -> None:
        self.rig.explain(tenant, ids)

    @invariant()
    def everything_holds(self) -> None:
        self.rig.compare()


TestCacheAgainstOracle = CacheMachine.TestCase
TestCacheAgainstOracle.settings = settings(
    max_examples=1250 if FUZZ else 100,
    stateful_step_count=80,
    derandomize=not FUZZ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
