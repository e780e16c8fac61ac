"""The operations: checked parameters in, results out. Which protocol carried them is not known here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cookline.cloudwatch import faults, paging, period
from cookline.cloudwatch.cbor import Timestamp
from cookline.cloudwatch.datum import Datum, namespace, parse_data
from cookline.cloudwatch.metric_data import get_metric_data
from cookline.cloudwatch.sigv4 import Credential
from cookline.cloudwatch.statistics import SIMPLE, check_extended
from cookline.cloudwatch.store import MetricStore

# ListMetrics shows metrics with samples of the last two weeks, 500 a page.
LISTED_FOR = 14 * 86400
LISTED_AT_ONCE = 500

Result = dict[str, Any]


class Service:
    """CloudWatch on a metric store."""

    def __init__(self, store: MetricStore) -> None:
        self.store = store
        self._operations: Mapping[str, Callable[[Mapping[str, Any], Credential, float], Result]] = {
            "PutMetricData": self.put_metric_data,
            "GetMetricStatistics": self.get_metric_statistics,
            "GetMetricData": self.get_metric_data,
            "ListMetrics": self.list_metrics,
        }

    def call(self, operation: str, parameters: Mapping[str, Any], credential: Credential, now: float) -> Result:
        """The result of an operation in the members of its output shape; raises faults.Fault."""
        if credential.actions is not None and operation not in credential.actions:
            raise faults.denied(f"User: {credential.access_key} is not authorized to perform: cloudwatch:{operation}")
        function = self._operations.get(operation)
        if function is None:
            raise faults.unknown_operation(operation)
        return function(parameters, credential, now)

    def put_metric_data(self, parameters: Mapping[str, Any], credential: Credential, now: float) -> Result:
        name = namespace(parameters.get("Namespace"))
        given = parameters.get("MetricData")
        entities = parameters.get("EntityMetricData") or []
        data = (
            [*(given or []), *(datum for entity in entities for datum in entity.get("MetricData", []))] if entities else given
        )
        if data is None:
            raise faults.missing("MetricData")
        datums = parse_data(data, now)
        if credential.dimensions is not None:
            check_owned(datums, credential)
        self.store.add(name, datums, now)
        return {}

    def get_metric_statistics(self, parameters: Mapping[str, Any], credential: Credential, now: float) -> Result:
        simple, extended = _asked_statistics(parameters)
        length = period.check(parameters["Period"])
        start, end = parameters["StartTime"], parameters["EndTime"]
        if start >= end:
            raise faults.invalid("The parameter StartTime must be less than the parameter EndTime.")
        first = period.aligned(start, length, now)
        period.check_datapoints(first, end, length)
        aggregates = self.store.statistics(
            parameters["Namespace"],
            parameters["MetricName"],
            parameters.get("Dimensions", ()),
            start=first,
            end=math.ceil(end),
            period=length,
            unit=parameters.get("Unit"),
            values=bool(extended),
        )
        points = []
        for each in aggregates:
            point: Result = {"Timestamp": Timestamp(each.timestamp)}
            point.update({name: each.statistic(name) for name in simple})
            told = {name: value for name in extended if (value := each.statistic(name)) is not None}
            if told:
                point["ExtendedStatistics"] = told
            if simple or told:
                points.append({**point, "Unit": each.unit})
        return {"Label": parameters["MetricName"], "Datapoints": points}

    def get_metric_data(self, parameters: Mapping[str, Any], credential: Credential, now: float) -> Result:
        return get_metric_data(self.store, parameters, now)

    def list_metrics(self, parameters: Mapping[str, Any], credential: Credential, now: float) -> Result:
        filters = {name: parameters.get(name) for name in ("Namespace", "MetricName", "Dimensions", "RecentlyActive")}
        after = paging.read(parameters["NextToken"], filters, _bad_list_token) if "NextToken" in parameters else 0
        rows = self.store.list_metrics(
            namespace_=parameters.get("Namespace"),
            name=parameters.get("MetricName"),
            dimensions=parameters.get("Dimensions", ()),
            since=now - (3 * 3600 if "RecentlyActive" in parameters else LISTED_FOR),
            after=after,
            limit=LISTED_AT_ONCE + 1,
        )
        page = rows[:LISTED_AT_ONCE]
        result: Result = {"Metrics": [{"Namespace": row[1], "MetricName": row[2], "Dimensions": row[3]} for row in page]}
        if len(rows) > len(page):
            result["NextToken"] = paging.write(page[-1][0], filters)
        return result


def check_owned(datums: Iterable[Datum], credential: Credential) -> None:
    """Each datum is about the credential's own host (or its layers and stack), else AccessDenied."""
    owned = credential.dimensions or {}
    for each in datums:
        pairs = dict(json.loads(each.dimensions))
        claimed = {name: value for name, value in pairs.items() if name in owned}
        if not claimed or any(value not in owned[name] for name, value in claimed.items()):
            raise faults.denied(f"User: {credential.access_key} may put metrics about its own instance only")


def _asked_statistics(parameters: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    simple, extended = parameters.get("Statistics", []), parameters.get("ExtendedStatistics", [])
    if not simple and not extended:
        raise faults.missing("Statistics or ExtendedStatistics")
    for index, name in enumerate(extended, 1):
        check_extended(name, f"ExtendedStatistics.member.{index}")
    return [name for name in SIMPLE if name in simple], extended


def _bad_list_token() -> faults.Fault:
    # ListMetrics has no InvalidNextToken of its own
    return faults.invalid("The parameter NextToken is invalid.")
