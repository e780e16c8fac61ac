"""python -m tests.bench: every benchmark, each beside its floor or a peer in the same run."""

from tests.bench import quiet

if __name__ == "__main__":
    quiet.main()
