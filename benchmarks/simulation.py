"""Seeds of the simulated control plane, over all cores, with seeds per second.

    python benchmarks/simulation.py --seeds 10000 [--first 0] [--jobs 2]

Every seed checks each answer and, after each step, who owns each slot. A seed that fails is printed with its traceback
and reproduces with `--first SEED --seeds 1`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

WORKER = """
import sys
from ramify import seedling
from ramify.runtime.sim.simulation import Parts, simulate
first, end, stride = map(int, sys.argv[1:])
parts = Parts.load(seedling.path())
done = failed = retractions = late = 0
for seed in range(first, end, stride):
    try:
        outcome = simulate(seed, parts)
    except BaseException:
        print(f"seed {seed} failed", file=sys.stderr)
        raise
    done += outcome.done
    failed += outcome.failed
    retractions += outcome.retractions
    late += outcome.late_masks
print(done, failed, retractions, late)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    end = options.first + options.seeds
    begin = time.perf_counter()
    command = [sys.executable, "-P", "-c", WORKER]
    jobs = [
        subprocess.Popen(
            [*command, str(options.first + i), str(end), str(options.jobs)], stdout=subprocess.PIPE, text=True, cwd="/"
        )
        for i in range(min(options.jobs, options.seeds))
    ]
    outputs = [job.communicate()[0] for job in jobs]
    elapsed = time.perf_counter() - begin
    if any(job.returncode for job in jobs):
        sys.exit(1)
    done, failed, retractions, late = (sum(int(out.split()[i]) for out in outputs) for i in range(4))
    print(
        f"{options.seeds} seeds in {elapsed:.0f} s, {options.seeds / elapsed:.1f} seeds/s on {options.jobs} cores: "
        f"{done} gens done, {failed} refused or aborted, {retractions} retractions, {late} late masks, no violation"
    )


if __name__ == "__main__":
    main()
