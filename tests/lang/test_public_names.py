"""The names that users write: where they are found, and what they are."""

from __future__ import annotations

import ramify as rf
import ramify.testing
from ramify.errors import NodeError, OutputInvalid
from ramify.testing import Call, Raw, Scripted


def test_the_testing_module_is_found_by_its_name_and_by_import() -> None:
    assert rf.testing is ramify.testing
    assert (rf.testing.Scripted, rf.testing.Call, rf.testing.Raw) == (Scripted, Call, Raw)


def test_a_schema_and_the_warning_are_public() -> None:
    @rf.function
    def ask(s: rf.State) -> rf.Value[dict[str, int]]:
        return s.gen("x", type=rf.JsonSchema('{"type": "object"}'))

    assert ask.on(Scripted({"x": {"a": 1}})).run() == {"a": 1}
    assert issubclass(rf.HeldLoopWarning, RuntimeWarning)


def test_a_failed_node_has_its_cause_typed_and_as_python_chains_it() -> None:
    cause = OutputInvalid("no", hint="again")
    error = NodeError("p/x[0]", "file.py:3", cause)
    assert error.cause is error.__cause__ is cause
    try:
        raise error from KeyError("whoever raises it on may chain it anew")
    except NodeError as again:
        assert again.cause is cause
