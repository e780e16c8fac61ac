"""The metric store: what is kept, for how long, and that nothing is lost on the way."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookline.cloudwatch.faults import Fault
from cookline.cloudwatch.statistics import Aggregate
from cookline.cloudwatch.store import MetricStore

HOUR, DAY = 3600, 86400
# An hour's start, so that every span begins here.
NOW = 1_800_000_000 // HOUR * HOUR


def put(store: MetricStore, at: float, *values: float, now: float | None = None, **more: Any) -> None:
    data = [{"MetricName": "m", "Timestamp": at, "Value": value, **more} for value in values]
    store.put("n", data, now=at if now is None else now)


def read(store: MetricStore, start: int, end: int, period: int = 60, **more: Any) -> list[Aggregate]:
    return store.statistics("n", "m", start=start, end=end, period=period, **more)


def median(store: MetricStore, at: int) -> float | None:
    (point,) = read(store, at, at + 60, values=True)
    return point.statistic("p50")


def test_a_bad_datum_keeps_the_whole_put_out(store: MetricStore) -> None:
    with pytest.raises(Fault, match=r"MetricData\.member\.2"):
        store.put("n", [{"MetricName": "m", "Value": 1}, {"MetricName": "m", "Value": "1"}], now=NOW)
    assert store.list_metrics() == []


def test_good_datums_can_be_taken_without_the_bad(store: MetricStore) -> None:
    data = [{"MetricName": "m", "Timestamp": at, "Value": 1} for at in (NOW, NOW - 15 * DAY, NOW + 3 * HOUR, NOW)] * 300
    refused = store.put_each("n", [*data, {"MetricName": 7}, None], now=NOW)  # type: ignore[list-item]
    assert len(refused) == 602 and "MetricData.member.1202" in str(refused[-1])
    assert [point.count for point in read(store, NOW, NOW + 60)] == [600]


def test_it_is_still_there_after_reopening(tmp_path: Path) -> None:
    for value in (1, 2):
        store = MetricStore(tmp_path / "metrics.db")
        put(store, NOW, value)
        store.close()
    store = MetricStore(tmp_path / "metrics.db")
    assert [point.total for point in read(store, NOW, NOW + 60)] == [3]
    store.close()


def test_a_put_that_returned_is_seen_by_other_processes(store: MetricStore, tmp_path: Path) -> None:
    put(store, NOW, 1)
    other = sqlite3.connect(tmp_path / "metrics.db")
    assert other.execute("SELECT count(*) FROM point").fetchone() == (1,)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_threads_share_a_store(store: MetricStore) -> None:
    def work() -> None:
        for index in range(50):
            put(store, NOW, 1, now=NOW)
            put(store, NOW, 1, now=NOW, Dimensions=[{"Name": "k", "Value": str(index)}])
            read(store, NOW, NOW + 60)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [point.count for point in read(store, NOW, NOW + 60)] == [200]
    assert len(store.list_metrics()) == 51


def test_standard_resolution_is_kept_by_the_minute(store: MetricStore) -> None:
    put(store, NOW + 59, 1)
    assert [point.timestamp for point in read(store, NOW, NOW + 60)] == [NOW]
    assert read(store, NOW, NOW + 60, period=1) == []


def test_periods_begin_at_the_start_asked_for(store: MetricStore) -> None:
    for minute in range(10):
        put(store, NOW + 60 * minute, minute)
    points = read(store, NOW + 120, NOW + 600, period=300)
    assert [(point.timestamp, point.total) for point in points] == [(NOW + 120, 20), (NOW + 420, 24)]


def test_percentiles_end_after_three_hours_and_the_rest_stays(store: MetricStore) -> None:
    put(store, NOW, 1, 2, 3)
    store.maintain(NOW + 2 * HOUR)
    assert median(store, NOW) == 2
    store.maintain(NOW + 4 * HOUR)
    assert median(store, NOW) is None
    (point,) = read(store, NOW, NOW + 60)
    assert (point.count, point.total, point.minimum, point.maximum) == (3, 6, 1, 3)


def test_a_minute_of_one_value_keeps_its_percentiles(store: MetricStore) -> None:
    put(store, NOW, 7)
    store.maintain(NOW + 4 * HOUR)
    assert median(store, NOW) == 7


def test_seconds_become_minutes_after_three_hours(store: MetricStore) -> None:
    for second in range(120):
        put(store, NOW + second, second, now=NOW + 120, StorageResolution=1)
    assert len(read(store, NOW, NOW + 120, period=1)) == 120
    store.maintain(NOW + 3 * HOUR + 120)
    assert read(store, NOW, NOW + 120, period=1) == []
    assert [point.count for point in read(store, NOW, NOW + 120)] == [60, 60]


@pytest.mark.parametrize(
    ("age", "finest", "coarser"), [(14 * DAY, 60, None), (16 * DAY, 300, 60), (64 * DAY, 3600, 300), (454 * DAY, 3600, 300)]
)
def test_resolution_by_age(store: MetricStore, age: int, finest: int, coarser: int | None) -> None:
    for minute in range(0, 180):
        put(store, NOW + 60 * minute, 1)
    # maintained as it would be: many times on the way
    for day in (*range(0, age // DAY, 5), age // DAY):
        store.maintain(NOW + day * DAY + 3 * HOUR)
    assert [point.count for point in read(store, NOW, NOW + 3 * HOUR, period=finest)] == [finest / 60] * (10800 // finest)
    if coarser is not None:
        assert read(store, NOW, NOW + 3 * HOUR, period=coarser) == []


def test_after_455_days_nothing_is_left(store: MetricStore) -> None:
    put(store, NOW, 1)
    store.maintain(NOW + 456 * DAY)
    assert read(store, NOW, NOW + HOUR, period=HOUR) == []
    assert store.list_metrics() == []
    put(store, NOW + 456 * DAY, 2)
    assert len(store.list_metrics()) == 1


def test_late_samples_are_taken_after_their_age_was_merged(store: MetricStore) -> None:
    put(store, NOW, 1)
    store.maintain(NOW + 10 * DAY)
    put(store, NOW, 2, now=NOW + 10 * DAY)
    put(store, NOW + 1, 4, now=NOW + 10 * DAY, StorageResolution=1)
    assert [point.total for point in read(store, NOW, NOW + 60)] == [7]
    store.maintain(NOW + 20 * DAY)
    assert [point.total for point in read(store, NOW, NOW + 300, period=300)] == [7]


def test_list_shows_metrics_with_recent_points(store: MetricStore) -> None:
    put(store, NOW, 1)
    assert len(store.list_metrics(since=NOW)) == 1
    assert store.list_metrics(since=NOW + 60) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400 * DAY), st.integers(-1000, 1000), st.sampled_from([1, 60]), st.sampled_from(["None", "Count"])
        ),
        min_size=1,
        max_size=25,
    ),
    st.lists(st.integers(0, 450), max_size=8),
)
def test_no_sample_is_lost_or_counted_twice(samples: list[tuple[int, int, int, str]], maintained: list[int]) -> None:
    """Whenever maintenance runs, the sums over all of time stay those of the samples."""
    store = MetricStore(":memory:")
    events: list[tuple[int, Any]] = [(at, (value, resolution, unit)) for at, value, resolution, unit in samples]
    for at, each in sorted([*events, *((day * DAY, None) for day in maintained)], key=lambda event: event[0]):
        if each is None:
            store.maintain(NOW + at)
        else:
            put(store, NOW + at, each[0], StorageResolution=each[1], Unit=each[2])
    points = read(store, NOW, NOW + 401 * DAY, period=401 * DAY)
    for unit in ("None", "Count"):
        values = [value for _, value, _, of in samples if of == unit]
        found = [(p.count, p.total, p.minimum, p.maximum) for p in points if p.unit == unit]
        assert found == ([(len(values), sum(values), min(values), max(values))] if values else [])
    store.close()


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 5)), min_size=1, max_size=12),
    st.sampled_from([0, 10, 25, 50, 90, 99, 100]),
)
def test_percentiles_are_those_of_the_sorted_samples(pairs: list[tuple[int, int]], share: int) -> None:
    store = MetricStore(":memory:")
    datum = {
        "MetricName": "m",
        "Timestamp": NOW,
        "Values": [value for value, _ in pairs],
        "Counts": [count for _, count in pairs],
    }
    store.put("n", [datum], now=NOW)
    samples = sorted(value for value, count in pairs for _ in range(count))
    (point,) = read(store, NOW, NOW + 60, values=True)
    rank = -(-share * len(samples) // 100)
    assert point.statistic(f"p{share}") == samples[max(rank - 1, 0)]
    store.close()


TRIMMED = [("tm50", 1.5), ("tc50", 2.0), ("ts50", 3.0), ("wm50", 1.75), ("IQM", 2.5), ("tm100", 3.25), ("p100", 7.0)]


@pytest.mark.parametrize(("name", "value"), TRIMMED)
def test_trimmed_statistics(name: str, value: float) -> None:
    point = Aggregate(0, None, 4, 13, 1, 7, [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (7.0, 1.0)])
    assert point.statistic(name) == value
