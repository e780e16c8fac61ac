"""How many puts a second the sink takes: 20 datums each, signed, over one connection, from another process.

python tests/bench/bench_sink.py [seconds]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cookline.cloudwatch.serve import running
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.store import MetricStore

_CLIENT = """
import sys, time
from cookline.host.resident.publish import Publisher
publisher = Publisher(sys.argv[1], "eu-central-1", "AK", "SK", protocol=sys.argv[2])
names = [f"metric_{index}" for index in range(20)]
dimensions = [{"Name": "InstanceId", "Value": "i-0123456789"}]
end, puts = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:
    now = time.time()
    data = [{"MetricName": n, "Dimensions": dimensions, "Timestamp": now, "Value": puts, "Unit": "None"} for n in names]
    publisher.put("AWS/OpsWorks", data)
    puts += 1
print(puts)
"""


def measure(protocol: str, seconds: float) -> tuple[float, float]:
    """Puts a second, and the sink's own CPU milliseconds a put."""
    with tempfile.TemporaryDirectory() as directory:
        store = MetricStore(Path(directory, "metrics.db"))
        with running(store, {"AK": Credential("AK", "SK")}.get) as url:
            before = time.process_time()
            command = [sys.executable, "-c", _CLIENT, url, protocol, str(seconds)]
            puts = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            spent = time.process_time() - before
        store.close()
    return puts / seconds, spent / puts * 1000


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    for protocol in ("json", "query"):
        rate, cost = measure(protocol, seconds)
        print(f"{protocol:5}  {rate:7.0f} put/s x 20 datums   {rate * 20:8.0f} datums/s   {cost:5.2f} ms CPU a put in the sink")


if __name__ == "__main__":
    main()
