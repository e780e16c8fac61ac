"""python -m tests.bench: every benchmark, each beside its floor or a peer in the same run."""

from tests.bench import bench_kitchen, quiet

if __name__ == "__main__":
    quiet.main()
    bench_kitchen.main()
