"""GetMetricData: many series in one answer, some of them calculated from others, in pages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cookline.cloudwatch import faults, paging, period
from cookline.cloudwatch.cbor import Timestamp
from cookline.cloudwatch.expression import ExpressionError, Operand, Series, evaluate
from cookline.cloudwatch.statistics import SIMPLE, check_extended
from cookline.cloudwatch.store import MetricStore

MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
# Rows that one query may span: a year of minutes. Beyond it the period is too short for the range.
MAX_PERIODS = 525_600

_ID = re.compile(r"[a-z][A-Za-z0-9_]*", re.ASCII)
Query = Mapping[str, Any]


def get_metric_data(store: MetricStore, parameters: Query, now: float) -> dict[str, Any]:
    """The operation's result; raises faults.Fault."""
    start, end, queries = parameters["StartTime"], parameters["EndTime"], parameters["MetricDataQueries"]
    if start >= end:
        raise faults.refused("The parameter StartTime must be less than the parameter EndTime.")
    _check(queries)
    reading = _Reading(store, {query["Id"]: query for query in queries}, start, end, now)
    returned = [query for query in queries if query.get("ReturnData", True)]
    series = [(query, reading.series(query["Id"])) for query in returned]
    limit = parameters.get("MaxDatapoints", MAX_DATAPOINTS)
    if not 1 <= limit <= MAX_DATAPOINTS:
        raise faults.refused(f"MaxDatapoints must be between 1 and {MAX_DATAPOINTS}.")
    question = {name: value for name, value in parameters.items() if name not in ("NextToken", "MaxDatapoints")}
    skip = paging.read(parameters["NextToken"], question, faults.bad_token) if "NextToken" in parameters else 0
    results, more = _page(series, parameters.get("ScanBy") == "TimestampAscending", skip, limit)
    return {
        "MetricDataResults": results,
        "Messages": [],
        **({"NextToken": paging.write(skip + limit, question)} if more else {}),
    }


def _check(queries: Sequence[Query]) -> None:
    if not queries:
        raise faults.missing("MetricDataQueries")
    if len(queries) > MAX_QUERIES:
        raise faults.refused(f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
    ids = [query["Id"] for query in queries]
    for name in ids:
        if not _ID.fullmatch(name):
            raise faults.refused(
                f'The value {name} for parameter Id is not matching the expected pattern "^[a-z][a-zA-Z0-9_]*$".'
            )
    if len(set(ids)) < len(ids):
        raise faults.refused("The values for parameter id in MetricDataQueries are not unique.")
    if not any(query.get("ReturnData", True) for query in queries):
        raise faults.refused("At least one of the MetricDataQueries must have ReturnData set to true.")
    for index, query in enumerate(queries, 1):
        _check_query(query, f"MetricDataQueries.member.{index}")


def _check_query(query: Query, at: str) -> None:
    if ("MetricStat" in query) == ("Expression" in query):
        raise faults.refused(f"{at} must have exactly one of MetricStat and Expression.")
    if "Expression" in query:
        return
    asked = query["MetricStat"]
    period.check(asked["Period"], f"{at}.MetricStat.Period")
    if asked["Stat"] not in SIMPLE:
        check_extended(asked["Stat"], f"{at}.MetricStat.Stat")
    for name in ("Namespace", "MetricName"):
        if name not in asked["Metric"]:
            raise faults.missing(f"{at}.MetricStat.Metric.{name}")


@dataclass
class _Reading:
    """Series by query id: each is read or calculated once, when it is first needed."""

    store: MetricStore
    queries: Mapping[str, Query]
    start: float
    end: float
    now: float

    def __post_init__(self) -> None:
        self._known: dict[str, Operand] = {}
        self._open: list[str] = []

    def series(self, name: str) -> Series:
        found = self.operand(name)
        if isinstance(found, dict):
            return found
        raise faults.refused(f"Error in expression '{name}': it must use at least one metric.")

    def operand(self, name: str) -> Operand:
        if name not in self._known:
            query = self.queries.get(name)
            if query is None:
                raise ExpressionError(f"{name} is not the id of a query")
            self._known[name] = self._read(query["MetricStat"]) if "MetricStat" in query else self._calculate(query)
        return self._known[name]

    def _calculate(self, query: Query) -> Operand:
        name = query["Id"]
        if name in self._open:
            raise faults.refused(f"Error in expression '{name}': it depends on itself.")
        if len(self._open) >= 20:
            raise faults.refused(f"Error in expression '{name}': it is nested too deep.")
        self._open.append(name)
        try:
            return evaluate(query["Expression"], self.operand)
        except ExpressionError as error:
            raise faults.refused(f"Error in expression '{name}': {error}.") from None
        except RecursionError:
            raise faults.refused(f"Error in expression '{name}': it is nested too deep.") from None
        finally:
            self._open.pop()

    def _read(self, asked: Query) -> Series:
        length, metric, stat = asked["Period"], asked["Metric"], asked["Stat"]
        first = period.aligned(self.start, length, self.now)
        if (self.end - first) / length > MAX_PERIODS:
            raise faults.refused(
                f"The range holds more than {MAX_PERIODS} periods; increase Period or decrease the time range."
            )
        aggregates = self.store.statistics(
            metric["Namespace"],
            metric["MetricName"],
            metric.get("Dimensions", ()),
            start=first,
            end=math.ceil(self.end),
            period=length,
            unit=asked.get("Unit"),
            merge_units=True,
            values=stat not in SIMPLE,
        )
        return {each.timestamp: value for each in aggregates if (value := each.statistic(stat)) is not None}


def _page(series: Sequence[tuple[Query, Series]], rising: bool, skip: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The results from datapoint `skip` on, `limit` datapoints at most, and whether there are more."""
    results, passed = [], 0
    for query, points in series:
        seconds = sorted(points, reverse=not rising)
        low, high = max(skip - passed, 0), max(skip + limit - passed, 0)
        passed += len(seconds)
        taken = seconds[low:high]
        if not taken and (skip or seconds):
            continue
        results.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label") or _label(query),
                "Timestamps": [Timestamp(second) for second in taken],
                "Values": [points[second] for second in taken],
                "StatusCode": "PartialData" if high < len(seconds) else "Complete",
            }
        )
    return results, passed > skip + limit


def _label(query: Query) -> str:
    return str(query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"])
