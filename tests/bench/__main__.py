"""python -m tests.bench [quiet | kitchen | fleet [COUNT ..]]: every benchmark, or one, beside its floor or a peer."""

import sys

from tests.bench import bench_kitchen, fleet, quiet

BENCHMARKS = {"quiet": quiet.main, "kitchen": bench_kitchen.main, "fleet": fleet.main}

if __name__ == "__main__":
    chosen, *counts = sys.argv[1:] or [""]
    if counts:
        fleet.main([int(count) for count in counts])
    else:
        for name in [chosen] if chosen else BENCHMARKS:
            BENCHMARKS[name]()
