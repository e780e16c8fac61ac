"""The chart is read by people: scale, gaps, times, and never wider than asked."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from cookline.cloudwatch.chart import chart, points_of, shown

UTC = datetime.UTC
START = 1_800_000_000  # 2027-01-15 08:00 UTC


def minutes(*values: float | None) -> list[tuple[float, float]]:
    return [(START + 60 * index, value) for index, value in enumerate(values) if value is not None]


def test_a_percentage_is_drawn_from_0_to_100() -> None:
    assert chart(minutes(0, 12.5, 25, 50, 75, 100, 50, 0, 0, 0), "cpu", "Percent", 36, timezone=UTC) == [
        "cpu  Percent      now 0, highest 100",
        "100 ┤               ███",
        " 75 ┤            ██████",
        " 50 ┤         ████████████",
        " 25 ┤▁▁▁▄▄▄███████████████▁▁▁▁▁▁▁▁▁",
        "  0 └┬──────────────┬──────────────",
        "     08:00          08:05",
    ]


def test_a_pause_is_a_gap() -> None:
    lines = chart(minutes(4, 4, None, None, 4), unit="Count", width=9, height=2, timezone=UTC)
    assert lines[1:3] == ["4 ┤██  █", "2 ┤██  █"]


def test_the_scale_holds_zero_and_every_value_at_round_steps() -> None:
    lines = chart(minutes(-5, 24), "load", width=40, timezone=UTC)
    assert [line.split()[0] for line in lines[1:6]] == ["30", "20", "10", "0", "-10"]


def test_nothing_measured_is_said() -> None:
    assert chart([], "cpu", "Percent", 30) == ["cpu  Percent     no datapoints"]
    assert chart(minutes(float("nan")), "cpu", width=30)[0].endswith("no datapoints")


def test_times_are_those_of_the_zone() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
    assert "13:45" in chart(minutes(*range(30)), timezone=zone)[-1]


def test_numbers_are_short() -> None:
    told = [shown(each) for each in (0, -0.001, 0.254, 12.5, 99.96, 100, 1536, 4_100_000_000, -2_000_000)]
    assert told == ["0", "0", "0.25", "12.5", "100", "100", "1.5k", "4.1G", "-2M"]


def test_datapoints_of_boto3_and_of_the_store_are_points() -> None:
    moment = datetime.datetime(2027, 1, 15, 8, tzinfo=UTC)
    later = {"Timestamp": moment + datetime.timedelta(minutes=1), "Maximum": 2.0}
    assert points_of([later, {"Timestamp": START, "Maximum": 1.0}], "Maximum") == [(START, 1.0), (START + 60.0, 2.0)]
    assert points_of([{"Timestamp": moment, "ExtendedStatistics": {"p99": 7.0}}], "p99") == [(START, 7.0)]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(-(2.0**300), 2.0**300)), max_size=60),
    st.sampled_from(["Percent", "None", "Bytes"]),
    st.integers(20, 120),
    st.integers(2, 8),
)
def test_every_series_fits(points: list[tuple[int, float]], unit: str, width: int, height: int) -> None:
    series = sorted((START + at, value) for at, value in points)
    lines = chart(series, "x", unit, width, height=height, timezone=UTC)
    assert len(lines) == (height + 3 if points else 1)
    # the last time may stand out by its own length, labels of astronomic numbers widen the margin
    if all(abs(value) < 1e12 for _, value in points):
        assert max(map(len, lines)) <= width + 8
