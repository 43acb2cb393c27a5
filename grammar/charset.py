r"""Sets of characters as ranges of code points, and Python's own \d, \s and \w as such sets.

Backends draw these classes differently (ASCII here, another version of Unicode there), so none is asked: each class
is spelled out as ranges, read from the `re` module of the running Python, which is what users check values with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points: ascending, neither touching nor overlapping, without surrogates."""

LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_BLOCK = 0x1000


def charset(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Any ranges, in any order, in the one form above. Surrogates are left out: no text holds one."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(part for whole in ranges for part in _without_surrogates(*whole)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Every other character."""
    gaps: list[tuple[int, int]] = []
    begin = 0
    for low, high in ranges:
        gaps.append((begin, low - 1))
        begin = high + 1
    gaps.append((begin, LAST))
    return charset(gap for gap in gaps if gap[0] <= gap[1])


@cache
def python_class(letter: str) -> Ranges:
    r"""The characters of `\d`, `\s` or `\w`, or of their complements; about 50 ms once, in short steps.

    Args:
        letter: one of "dDsSwW".
    """
    if letter.isupper():
        return complement(python_class(letter.lower()))
    runs = re.compile(rf"\{letter}+")
    found: list[tuple[int, int]] = []
    for begin in range(0, LAST + 1, _BLOCK):
        if _SURROGATES[0] <= begin <= _SURROGATES[1]:
            continue
        block = "".join(map(chr, range(begin, begin + _BLOCK)))
        found.extend((begin + run.start(), begin + run.end() - 1) for run in runs.finditer(block))
    return charset(found)


def _without_surrogates(low: int, high: int) -> list[tuple[int, int]]:
    first, last = _SURROGATES
    parts = [(low, min(high, first - 1)), (max(low, last + 1), high)]
    return [part for part in parts if part[0] <= part[1]]
