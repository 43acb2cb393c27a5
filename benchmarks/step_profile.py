"""Where the milliseconds of a workload go, step by step: what torch's profiler saw on the device, cut at the steps.

A step ends with the copy of its ids to the host, so the copies cut the device's time into steps, in the order in which
the plans were launched:

    plans    [ 8192 prompt tokens | 16 rows decode, 8176 prompt tokens | 512 rows decode | ... ]
    device   [ kernels ...... ids | kernels ...................... ids | graph ...... ids | ... ]

A step without a sample copies nothing and is counted with the one behind it. A kernel that is on the device while the
one in front still runs (see `kernels/overlap.py`) counts from that one's end, so that the parts add up. The profiler
slows launches, so eager steps look longer between their kernels than they are without it; kernels themselves do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ramify.runtime.protocol.plan import StepPlan
from ramify.runtime.protocol.tokens import unpack

CLASSES: dict[str, tuple[str, ...]] = {
    "decode attention": ("_decode_segments", "_prefix_segments"),
    "prompt attention": ("flash", "fmha", "_prompt_attention"),
    "norms": ("_rms_norm",),
    "rotary, KV write": ("_rotate",),
    "silu": ("_gated_silu",),
    "sampling": ("_sample", "_draw", "_choose", "_scan_blocks"),
    "gathers": ("index_select", "indexselect", "gather", "embedding", "index_elementwise", "vectorized_gather"),
    "copies": ("memcpy", "memset"),
    "products": ("gemm", "nvjet", "cutlass", "cublas", "splitk", "gemv", "wgmma", "_one_row", "_few_rows"),
}
"""What a kernel is, by a part of its name; the first that fits."""


@dataclass(frozen=True)
class Step:
    """What a plan asked for, and the seconds of CPU it took to make."""

    decode_rows: int
    chunk_tokens: int
    chunks: int
    samples: int
    seconds: float

    @classmethod
    def of(cls, plan: StepPlan, seconds: float) -> Step:
        return cls(
            len(unpack(plan.decode_rows)),
            int(unpack(plan.chunk_counts).sum()),
            len(unpack(plan.chunk_rows)),
            len(unpack(plan.sample_rows)),
            seconds,
        )

    @property
    def kind(self) -> str:
        if not self.chunk_tokens:
            return "decode"
        return "mixed" if self.decode_rows else "prompts"


@dataclass
class Measured:
    """One step on the device, in microseconds."""

    step: Step
    gap: float
    """Nothing ran between the step in front and this one."""
    span: float
    """From the first kernel to the end of the last."""
    busy: float
    """Some kernel ran."""
    classes: dict[str, float] = field(default_factory=lambda: defaultdict(float))


Span = tuple[float, float, str]
"""Start and end in microseconds, and the kernel's name."""


def device_spans(recorded: Any) -> list[Span]:
    """Kernels, copies and fills of a finished `torch.profiler.profile`, in order."""
    return sorted(
        (event.start_ns() / 1e3, (event.start_ns() + event.duration_ns()) / 1e3, event.name())
        for event in recorded.profiler.kineto_results.events()
        if "CUDA" in str(event.device_type()) and event.duration_ns() > 0
    )


def class_of(name: str) -> str:
    lowered = name.lower()
    return next((known for known, parts in CLASSES.items() if any(part in lowered for part in parts)), "other")


def cut(spans: Sequence[Span], steps: Iterable[Step]) -> list[Measured]:
    """The device's time, step by step."""
    pieces: list[list[Span]] = [[]]
    for span in spans:
        pieces[-1].append(span)
        if "DtoH" in span[2]:
            pieces.append([])
    sampled: list[Step] = []
    tokens = chunks = 0
    for step in steps:
        tokens, chunks = tokens + step.chunk_tokens, chunks + step.chunks
        if step.samples:
            sampled.append(Step(step.decode_rows, tokens, chunks, step.samples, step.seconds))
            tokens = chunks = 0
    out = []
    reached: float | None = None
    for piece, step in zip(pieces, sampled, strict=False):
        first = piece[0][0]
        gap = 0.0 if reached is None else max(0.0, first - reached)
        busy, end = 0.0, first if reached is None else max(first, reached)
        begin = end
        measured = Measured(step, gap, 0.0, 0.0)
        for start, stop, name in piece:
            # A kernel that waits beside the one in front of it counts from that one's end.
            alone = max(0.0, stop - max(start, end))
            busy += alone
            end = max(end, stop)
            measured.classes[class_of(name)] += alone
        measured.span, measured.busy, reached = end - begin, busy, end
        out.append(measured)
    return out


def report(title: str, measured: Sequence[Measured], spans: Sequence[Span], lines: int = 24) -> str:
    """Tables: by kind of step, by class of kernel, the first steps that are not pure decode, other kernels."""
    total = sum(m.gap + m.span for m in measured) / 1e3
    idle = sum(m.gap + m.span - m.busy for m in measured) / 1e3
    out = [
        f"{title}: {len(measured)} steps, {total:.1f} ms of the device, idle {idle:.1f} ms ({100 * idle / total:.2f}%)"
    ]
    out.append(
        f"  {'kind':<10} {'steps':>6} {'rows':>6} {'tokens':>7} {'ms/step':>8} {'total ms':>9} {'gaps ms':>8} "
        f"{'idle in ms':>10} {'plan ms':>8}"
    )
    kinds: dict[str, list[Measured]] = defaultdict(list)
    for m in measured:
        kinds[m.step.kind].append(m)
    for kind, group in kinds.items():
        n, ms = len(group), sum(m.span for m in group) / 1e3
        out.append(
            f"  {kind:<10} {n:>6} {sum(m.step.decode_rows for m in group) / n:>6.0f} "
            f"{sum(m.step.chunk_tokens for m in group) / n:>7.0f} {ms / n:>8.2f} {ms:>9.1f} "
            f"{sum(m.gap for m in group) / 1e3:>8.2f} {sum(m.span - m.busy for m in group) / 1e3:>10.2f} "
            f"{1e3 * sum(m.step.seconds for m in group) / n:>8.2f}"
        )
    names = sorted({name for m in measured for name in m.classes})
    out.append("  " + f"{'kernels, ms':<18}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'all':>10}{'share':>8}")
    for name in sorted(names, key=lambda name: -sum(m.classes[name] for m in measured)):
        parts = [sum(m.classes[name] for m in group) / 1e3 for group in kinds.values()]
        out.append(
            "  " + f"{name:<18}" + "".join(f"{p:>10.1f}" for p in parts)
            + f"{sum(parts):>10.1f}{100 * sum(parts) / total:>7.1f}%"
        )  # fmt: skip
    odd = [(i, m) for i, m in enumerate(measured) if m.step.kind != "decode"]
    out.append(
        f"  {'step':>6} {'kind':<8} {'rows':>5} {'chunks':>6} {'tokens':>7} {'gap ms':>8} {'ms':>8} {'idle in':>8} "
        f"{'plan':>7}"
    )
    for i, m in odd[:lines]:
        out.append(
            f"  {i:>6} {m.step.kind:<8} {m.step.decode_rows:>5} {m.step.chunks:>6} {m.step.chunk_tokens:>7} "
            f"{m.gap / 1e3:>8.2f} {m.span / 1e3:>8.2f} {(m.span - m.busy) / 1e3:>8.2f} {1e3 * m.step.seconds:>7.2f}"
        )
    gaps = sorted(((m.gap, i, m) for i, m in enumerate(measured)), key=lambda item: -item[0])[:10]
    out.append("  longest gaps: " + ", ".join(f"{g / 1e3:.2f} ms before step {i} ({m.step.kind})" for g, i, m in gaps))
    ones = sum(m.step.chunk_tokens == 1 for _, m in odd)
    few = sum(m.step.chunk_tokens <= 256 for _, m in odd)
    out.append(f"  eager steps: {len(odd)}, of one prompt token: {ones}, of at most 256: {few}")
    times: dict[str, list[float]] = defaultdict(list)
    end = 0.0
    for start, stop, name in spans:
        times[name].append(max(0.0, stop - max(start, end)))
        end = max(end, stop)
    for name, parts in sorted(times.items(), key=lambda item: -sum(item[1]))[:22]:
        out.append(
            f"  {100 * sum(parts) / total / 1e3:5.1f}%  {sum(parts) / len(parts):8.2f} us x {len(parts):6d}  "
            f"{class_of(name)}: {name[:100]}"
        )
    return "\n".join(out)
