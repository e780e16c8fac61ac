"""CPU and memory of the shop's hosts, as any CloudWatch client reads them: boto3, pointed at the embedded sink."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAMESPACE = "AWS/OpsWorks"
MINUTES = 10
# The stack asks for a value every five seconds (stacks/shop.yml).
PERIOD = 5
# Values that make a line of bars.
FEWEST = 3
BARS = "▁▂▃▄▅▆▇█"


def charts(directory: Path, instances: Mapping[str, str]) -> list[str]:
    """Two lines for each instance (name to id): CPU and memory in use. Empty while one has too few values."""
    client = sink(directory)
    lines = []
    for name, identity in instances.items():
        idle, used, total = (series(client, metric, identity) for metric in ("cpu_idle", "memory_used", "memory_total"))
        if min(len(idle), len(used), len(total)) < FEWEST:
            return []
        cpu, memory = [100 - value for value in idle], [value / 1024 for value in used]
        lines.append(f"{name:<5} CPU {cpu[-1]:6.0f} %   {bars(cpu, 100)}")
        lines.append(f"{name:<5} RAM {memory[-1]:6.0f} MB  {bars(memory, total[-1] / 1024)}")
    return lines


def sink(directory: Path) -> Any:
    """A CloudWatch client for the sink of the server that works in `directory`."""
    import boto3

    where = json.loads((directory / "sink.json").read_text())
    return boto3.client(
        "cloudwatch",
        endpoint_url=where["endpoint"],
        region_name=where["region"],
        aws_access_key_id=where["access_key"],
        aws_secret_access_key=where["secret_key"],
    )


def series(client: Any, metric: str, instance_id: str) -> list[float]:
    """The averages of the last minutes, oldest first."""
    now = datetime.datetime.now(datetime.UTC)
    answer = client.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        StartTime=now - datetime.timedelta(minutes=MINUTES),
        EndTime=now + datetime.timedelta(seconds=PERIOD),
        Period=PERIOD,
        Statistics=["Average"],
    )
    points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return [float(point["Average"]) for point in points]


def bars(values: Sequence[float], top: float) -> str:
    """One bar a value, eight heights from 0 to `top`."""
    return "".join(BARS[min(7, int(8 * value / top))] if top > 0 else BARS[0] for value in values)
