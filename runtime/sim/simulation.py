"""`simulate(seed)`: one seeded run of the whole control plane, checked throughout.

The same seed gives the same trace hash in any process.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from ...grammar.backends import make_backend
from ...grammar.state import GrammarBackend
from ...grammar.vocabulary import Vocabulary
from ..core.config import CoreConfig
from ..lowering.template import ChatTemplate
from ..lowering.tokenizer import TextTokenizer
from ..protocol.plan import WorkerInfo
from .loop import run
from .programs import play
from .world import World


@dataclass(frozen=True)
class Parts:
    """The real parts that every simulation shares; loading them takes longer than a simulation."""

    tokenizer: TextTokenizer
    template: ChatTemplate
    vocabulary: Vocabulary
    backend: GrammarBackend
    vocab_size: int

    @classmethod
    def load(cls, directory: Path) -> Parts:
        tokenizer = TextTokenizer.load(directory)
        vocab_size = -(-tokenizer.vocab_size // 32) * 32 + 5  # wider than the tokenizer, and no multiple of a word
        vocabulary = tokenizer.vocabulary(vocab_size)
        return cls(tokenizer, ChatTemplate.load(tokenizer), vocabulary, make_backend(vocabulary), vocab_size)


@dataclass(frozen=True)
class Outcome:
    """What a simulation came to. `trace` is the hash of every step's time and outbox."""

    seed: int
    trace: str
    steps: int
    done: int
    failed: int
    retractions: int
    evicted: int
    late_masks: int


def simulate(seed: int, parts: Parts, programs: int = 12) -> Outcome:
    """Run `programs` random programs on one engine; the seed also decides depth, pool, batch and faults.

    Raises:
        AssertionError, CacheCorrupt, Stalled: something does not hold; the seed reproduces it.
    """
    rng = random.Random(seed)
    info = WorkerInfo(
        slots=rng.choice((120, 256, 512)), max_rows=rng.choice((3, 8)), max_length=300, vocab_size=parts.vocab_size
    )
    config = CoreConfig(
        overlap=seed % 2,
        step_tokens=rng.choice((16, 64)),
        chunk_tokens=rng.choice((8, 24)),
        headroom=rng.choice((1, 16)),
        mask_timeout=0.25,
        check=True,
    )
    fault_rate = rng.choice((0.0, 0.0, 0.01))
    slow_rate = rng.choice((0.0, 0.2, 0.5))

    async def main() -> Outcome:
        world = World(
            seed, parts.tokenizer, parts.template, parts.vocabulary, parts.backend, info, config, fault_rate, slow_rate
        )
        played = await play(world, programs)
        return Outcome(
            seed=seed,
            trace=world.trace.hexdigest(),
            steps=world.steps,
            done=sum(len(run.done) for run in played),
            failed=sum(len(run.failed) for run in played),
            retractions=world.core.scheduler.counters.retractions,
            evicted=world.core.scheduler.tree.statistics.evicted,
            late_masks=world.filler.late,
        )

    return run(main())
