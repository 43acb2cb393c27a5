"""Masks against brute force over random schemas and places: each bit is what `accept` says of that id.

RAMIFY_FUZZ=1 compares more than 10,000 (grammar, place) pairs for each backend instead of a few hundred.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from ramify.errors import InvalidSchema
from ramify.grammar.spec import JsonSchema
from schema_world import schemas

FUZZ = os.environ.get("RAMIFY_FUZZ") == "1"
PLACES = 8


@settings(max_examples=3_000 if FUZZ else 40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(schema=schemas)
@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize("backend_name", ["llguidance", "xgrammar"])
def test_every_bit_is_what_accept_says(backend: Any, mask_ids: Any, family: Any, schema: Any) -> None:
    try:
        state = backend.compile(JsonSchema(json.dumps(schema))).state()
    except InvalidSchema:
        return
    rng = random.Random(json.dumps(schema))
    for _ in range(PLACES):
        allowed = mask_ids(state)
        assert allowed == [token_id for token_id in range(family.vocabulary.width) if state.fork().accept(token_id)]
        assert (set(allowed) & family.vocabulary.stop_ids == family.vocabulary.stop_ids) == (
            state.completed and not state.terminated
        )
        if not allowed:
            assert state.terminated
            return
        assert state.accept(rng.choice(allowed))
