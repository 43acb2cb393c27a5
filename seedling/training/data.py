"""Rows of packed conversations, made in worker processes while the model trains.

A row holds whole conversations one after the other; the model never looks from one into another (their positions start
again at 0). Block `i` of a seed is the same in every run and on every machine, whatever the number of workers.

Legend: B rows, S tokens of a row.
"""

from __future__ import annotations

import collections
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from . import mixture
from .case import Case
from .chat import Encoder
from .draw import Split

ROW = 2048
"""Tokens of a row, and the longest conversation that is trained on."""

STARTS, TARGET, WEIGHT = 1, 2, 2
"""Flag bits: the first token of a conversation; a token that carries the loss, of weight `(flags >> WEIGHT) + 1`."""

_OPEN_ROWS = 12


Encoded = tuple[list[int], list[int]]
"""The ids of a conversation and their weights."""


@dataclass(frozen=True)
class Block:
    """Packed rows.

    Attributes:
        ids_BS: int16, padding 0.
        flags_BS: uint8, bits `STARTS` and `TARGET`, above them the weight; a padded tail counts as a conversation
            without targets.
    """

    ids_BS: npt.NDArray[np.int16]
    flags_BS: npt.NDArray[np.uint8]


def pack(encoded: Sequence[Encoded], rows: int | None = None) -> Block:
    """Conversations into rows, first fit among a few open rows; with `rows` exactly so many, the surplus dropped."""
    closed: list[list[Encoded]] = []
    opened: list[tuple[int, list[Encoded]]] = []
    for ids, weights in encoded:
        if len(ids) > ROW:
            continue
        for at, (used, members) in enumerate(opened):
            if used + len(ids) <= ROW:
                members.append((ids, weights))
                opened[at] = (used + len(ids), members)
                break
        else:
            opened.append((len(ids), [(ids, weights)]))
            if len(opened) > _OPEN_ROWS:
                fullest = max(range(len(opened)), key=lambda at: opened[at][0])
                closed.append(opened.pop(fullest)[1])
    closed += [members for _, members in opened]
    closed = closed if rows is None else closed[:rows]
    ids_BS = np.zeros((len(closed) if rows is None else rows, ROW), np.int16)
    flags_BS = np.zeros_like(ids_BS, dtype=np.uint8)
    for row, members in enumerate(closed):
        at = 0
        for ids, weights in members:
            ids_BS[row, at : at + len(ids)] = ids
            weight_S = np.asarray(weights, np.uint8)
            flags_BS[row, at : at + len(ids)] = np.where(weight_S > 0, TARGET | (weight_S - 1) << WEIGHT, 0)
            flags_BS[row, at] |= STARTS
            at += len(ids)
        if at < ROW:
            flags_BS[row, at] |= STARTS
    return Block(ids_BS, flags_BS)


class Maker:
    """Makes training blocks in one process."""

    def __init__(self, tokenizer: Path, rows: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._encoder = Encoder(Tokenizer.from_file(str(tokenizer)))
        self._rows = rows

    def block(self, seed: int, index: int) -> Block:
        """Block `index` of `seed`."""
        first = (seed << 40) + (index << 20)
        # Enough conversations for all rows: the mean length is about 160 tokens, and surplus is dropped.
        count = int(self._rows * ROW / 150)
        cases = [mixture.case(first + number) for number in range(count)]
        return pack(self._encoder.encode([case.turns for case in cases]), self._rows)


_maker: Maker | None = None
"""The maker of this worker process, set once by the pool's initializer."""


def _start(tokenizer: Path, rows: int) -> None:
    global _maker
    _maker = Maker(tokenizer, rows)


def _make(seed: int, index: int) -> Block:
    assert _maker is not None
    return _maker.block(seed, index)


def blocks(tokenizer: Path, rows: int, count: int, seed: int, workers: int, ahead: int = 96) -> Iterator[Block]:
    """Blocks 0 to `count` - 1 in order, at most `ahead` of them made before they are taken."""
    with multiprocessing.get_context("spawn").Pool(workers, _start, (tokenizer, rows)) as pool:
        pending = collections.deque(pool.apply_async(_make, (seed, index)) for index in range(min(ahead, count)))
        for index in range(ahead, count + ahead):
            yield pending.popleft().get()
            if index < count:
                pending.append(pool.apply_async(_make, (seed, index)))


def judged(cases: Sequence[Case], encoder: Encoder) -> Block:
    """Evaluation rows where only the last turn of a case is a target; conversations longer than a row are left out."""
    encoded = []
    for ids, weights in encoder.encode([case.turns for case in cases]):
        end = len(weights)
        while not weights[end - 1]:
            end -= 1
        start = end - 1
        while start > 0 and weights[start - 1]:
            start -= 1
        encoded.append((ids, [int(start <= at < end) for at in range(len(ids))]))
    return pack(encoded)


def validation(count: int, split: Split, encoder: Encoder) -> dict[str, Block]:
    """For each task of the card, packed held-out cases with the last turn as target."""
    return {task: judged(mixture.evaluation(task, split, count, seed=1), encoder) for task in mixture.TASKS}
