"""cookline beside its peers: the same work on the same hosts in one run. compare.py is the benchmark, each tool has a file."""
