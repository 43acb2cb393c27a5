"""What it costs to import ramify, and to have an engine ready.

    python benchmarks/startup.py [--runs 7] [--model seedling]

Each figure comes from fresh processes: the median and the range of `import ramify`, with the modules it loads, and the
time from `Engine(...)` to ready and to the first token of a first program on the CPU.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

IMPORT = """
import sys, time
begin = time.perf_counter()
import ramify
print(time.perf_counter() - begin, len(sys.modules))
"""
EMPTY = "import sys; print(0.0, len(sys.modules))"
ENGINE = """
import sys, time
import ramify as rf
begin = time.perf_counter()
engine = rf.Engine(sys.argv[1])
ready = time.perf_counter()
@rf.function
def program(s):
    s += rf.user("Hello") + rf.assistant(rf.gen("x", max_tokens=1))
    return s["x"]
program.on(engine).run()
print(ready - begin, time.perf_counter() - ready)
"""


def measure(code: str, runs: int, *arguments: str) -> list[list[float]]:
    rows = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=True, cwd="/"
        )
        rows.append([float(value) for value in done.stdout.split()[-2:]])
    return rows


def show(name: str, seconds: list[float]) -> None:
    low, high = min(seconds), max(seconds)
    print(f"{name:<34} {1e3 * statistics.median(seconds):8.0f} ms   ({1e3 * low:.0f} to {1e3 * high:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--model", default="seedling")
    options = parser.parse_args()
    (bare,) = measure(EMPTY, 1)
    imports = measure(IMPORT, options.runs)
    show("import ramify", [row[0] for row in imports])
    print(f"{'modules loaded by it':<34} {imports[0][1] - bare[1]:8.0f}")
    engines = measure(ENGINE, max(1, options.runs // 2), options.model)
    show(f"Engine({options.model!r}) to ready", [row[0] for row in engines])
    show("first program to its token", [row[1] for row in engines])


if __name__ == "__main__":
    main()
