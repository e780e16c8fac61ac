"""python -m tests.bench [BENCHMARK]: every benchmark, or one.

quiet   resources [KIND ..]   kitchen   fleet [COUNT ..]   peers [--help]
"""

import sys

from tests.bench import bench_kitchen, fleet, quiet, resources
from tests.bench.peers import compare

BENCHMARKS = {
    "quiet": lambda words: quiet.main(),
    "resources": resources.main,
    "kitchen": lambda words: bench_kitchen.main(),
    "fleet": lambda words: fleet.main([int(count) for count in words] or fleet.COUNTS),
    "peers": compare.main,
}

if __name__ == "__main__":
    chosen, *words = sys.argv[1:] or [""]
    if chosen and chosen not in BENCHMARKS:
        sys.exit(f"there is no benchmark {chosen!r}; choose of: {', '.join(BENCHMARKS)}")
    for name in [chosen] if chosen else BENCHMARKS:
        print(f"-- {name}", flush=True)
        BENCHMARKS[name](words)
