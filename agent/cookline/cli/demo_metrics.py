"""CPU and memory of the shop's hosts, as any CloudWatch client reads them: boto3, pointed at the embedded sink."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cookline.cloudwatch.chart import Point, chart, points_of

NAMESPACE = "AWS/OpsWorks"
MINUTES = 10
# The stack asks for a value every five seconds (stacks/shop.yml).
PERIOD = 5
# Values that make a chart.
FEWEST = 3
HEIGHT = 2


def charts(directory: Path, instances: Mapping[str, str]) -> list[str]:
    """Two charts for each instance (name to id): CPU and memory in use. Empty while one has too few values."""
    client = sink(directory)
    lines = []
    for name, identity in instances.items():
        idle, used = (series(client, metric, identity) for metric in ("cpu_idle", "memory_used"))
        if min(len(idle), len(used)) < FEWEST:
            return []
        busy = [(at, 100 - value) for at, value in idle]
        # OpsWorks' memory metrics are kilobytes (features O89)
        bytes_used = [(at, value * 1024) for at, value in used]
        lines += chart(busy, f"{name}, CPU in use", "Percent", height=HEIGHT, period=PERIOD)
        lines += chart(bytes_used, f"{name}, memory in use", "Bytes", height=HEIGHT, period=PERIOD)
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


def series(client: Any, metric: str, instance_id: str) -> list[Point]:
    """(epoch second, average) of the last minutes, oldest first."""
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
    return points_of(answer["Datapoints"])
