"""Which source lines are the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
import ramify
from ramify.lang.site import call_site, ours

ROOT = Path(ramify.__file__).parent


@pytest.mark.parametrize("file", ["lang/state.py", "runtime/sim/loop.py", "cli/chat.py", "__init__.py"])
def test_ramifys_own_files(file: str) -> None:
    assert ours(str(ROOT / file))


@pytest.mark.parametrize("file", ["language_x/a.py", "lang.py", "runtime2.py", "client.py", "climate/b.py"])
def test_files_beside_them_are_the_users_however_they_are_called(file: str) -> None:
    assert not ours(str(ROOT / file))


def test_the_call_site_is_the_line_that_calls() -> None:
    assert call_site().rpartition(":")[0] == __file__
