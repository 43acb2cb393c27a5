"""Samples of MaskBench: files with a schema and instances each, from https://github.com/guidance-ai/jsonschemabench."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

_FLOOR = 10  # schemas of each source, where it has as many


def draw(folder: Path, size: int, seed: int, without: Collection[Path] = ()) -> list[Path]:
    """A sample by source, in one shuffled order, of the files that are not in `without`."""
    sources: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        sources[re.split(r"---|_(?:[a-z]+_)?\d", path.name)[0]].append(path)
    total = sum(map(len, sources.values()))
    rng = random.Random(seed)
    chosen: list[Path] = []
    for paths in sources.values():
        left = [path for path in paths if path not in without]
        chosen += rng.sample(left, min(len(left), max(_FLOOR, round(size * len(paths) / total))))
    rng.shuffle(chosen)
    return chosen[:size]
