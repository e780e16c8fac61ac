"""Averages of a layer's metrics, out of the sink of this directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cookline.cloudwatch.store import MetricStore


class StoredAverages:
    """See load.Averages."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def __call__(self, namespace: str, metric: str, layer: str, start: int, end: int, period: int) -> Mapping[int, float]:
        dimensions = [{"Name": "LayerId", "Value": layer}]
        found = self._store.statistics(namespace, metric, dimensions, start=start, end=end, period=period, merge_units=True)
        return {each.timestamp: each.total / each.count for each in found if each.count}
