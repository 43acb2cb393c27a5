"""A short run of the driver, so that `make fuzz` cannot rot; the long runs are started by hand or by `make fuzz`."""

from __future__ import annotations

import os

import pytest
from fuzz_driver import Driver

OPERATIONS = 50_000 if os.environ.get("RAMIFY_FUZZ") == "1" else 3_000


@pytest.mark.parametrize(("seed", "capacity"), [(1, 24), (2, 96), (3, 400)])
def test_random_operations_agree_with_the_oracle(seed: int, capacity: int) -> None:
    driver = Driver(seed, capacity)
    driver.run(OPERATIONS, check_every=50)
    statistics = driver.rig.tree.statistics
    # A run that never got to the hard parts proves nothing.
    assert min(statistics.splits, statistics.twins, statistics.voided, statistics.evicted_dead) > 0
    if capacity < 400:
        assert statistics.evicted > statistics.evicted_dead > 0


def test_the_same_seed_makes_the_same_run() -> None:
    first, second = Driver(7), Driver(7)
    first.run(1_000, check_every=500)
    second.run(1_000, check_every=500)
    assert first.rig.tree.statistics == second.rig.tree.statistics
    assert first.rig.pool.free_slots().tolist() == second.rig.pool.free_slots().tolist()
