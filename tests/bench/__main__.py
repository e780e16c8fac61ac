"""python -m tests.bench [quiet | kitchen | fleet [COUNT ..] | peers [OPTION ..]]: every benchmark, or one."""

import sys

from tests.bench import bench_kitchen, fleet, quiet
from tests.bench.peers import compare

BENCHMARKS = {
    "quiet": lambda words: quiet.main(),
    "kitchen": lambda words: bench_kitchen.main(),
    "fleet": lambda words: fleet.main([int(count) for count in words] or fleet.COUNTS),
    "peers": compare.main,
}

if __name__ == "__main__":
    chosen, *words = sys.argv[1:] or [""]
    if chosen and chosen not in BENCHMARKS:
        sys.exit(f"there is no benchmark {chosen!r}; choose of: {', '.join(BENCHMARKS)}")
    for name in [chosen] if chosen else BENCHMARKS:
        BENCHMARKS[name](words)
