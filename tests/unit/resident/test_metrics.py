import os

import pytest

from cookline.host.resident import metrics
from cookline.host.resident.metrics import Sampler, datums, series

SETTINGS = {"instance_id": "i-1", "stack_id": "s-1", "layers": ["l-1", "l-2"]}


def meminfo():
    with open("/proc/meminfo") as file:
        return {line.split(":")[0]: int(line.split()[1]) for line in file}


def burn_until_the_clocks_have_moved(sampler):
    before = sampler._last
    while sampler._cpu_times() == before:
        sum(range(10_000))


def test_the_names_are_the_sixteen_of_opsworks():
    assert len(metrics.NAMES) == 16
    sampler = Sampler()
    burn_until_the_clocks_have_moved(sampler)
    assert set(sampler.sample()) == set(metrics.NAMES)


def test_the_parts_of_the_cpu_add_up_to_a_hundred_percent():
    sampler = Sampler()
    burn_until_the_clocks_have_moved(sampler)
    values = sampler.sample()
    assert sum(values[name] for name in metrics.CPU_PARTS) == pytest.approx(100.0)
    assert all(0 <= values[name] <= 100 for name in metrics.CPU_PARTS)


def test_cpu_is_what_was_spent_since_the_last_sample():
    sampler = Sampler()
    sampler._last = dict.fromkeys(metrics.CPU_PARTS, 0.0)
    sampler._cpu_times = lambda: {**dict.fromkeys(metrics.CPU_PARTS, 0.0), "cpu_user": 3.0, "cpu_idle": 1.0}
    assert sampler._cpu()["cpu_user"] == 75.0
    assert sampler._cpu() == {}, "no time has passed since"


def test_memory_is_in_kilobytes_as_the_kernel_counts_it():
    values, kernel = Sampler().sample(), meminfo()
    assert values["memory_total"] == kernel["MemTotal"]
    assert values["memory_buffers"] == pytest.approx(kernel["Buffers"], abs=kernel["MemTotal"] * 0.05)
    assert values["memory_free"] == pytest.approx(kernel["MemFree"], abs=kernel["MemTotal"] * 0.05)
    assert values["memory_swap"] == pytest.approx(kernel["SwapTotal"] - kernel["SwapFree"], abs=65536)


def test_load_and_processes_are_the_kernel_s():
    values = Sampler().sample()
    assert values["load_15"] == pytest.approx(os.getloadavg()[2], abs=0.5)
    assert values["procs"] == pytest.approx(sum(name.isdigit() for name in os.listdir("/proc")), abs=100)


def test_each_value_stands_in_one_series_per_dimension():
    assert series(SETTINGS) == [("InstanceId", "i-1"), ("LayerId", "l-1"), ("LayerId", "l-2"), ("StackId", "s-1")]
    found = datums({"load_1": 0.51234567}, series(SETTINGS), 1700000000.7)
    assert found[1] == {
        "MetricName": "load_1",
        "Dimensions": [{"Name": "LayerId", "Value": "l-1"}],
        "Timestamp": 1700000000,
        "Value": 0.5123,
        "Unit": "None",
    }
    assert [datum["Dimensions"] for datum in found] == [[{"Name": n, "Value": v}] for n, v in series(SETTINGS)]


def test_an_instance_without_layers_or_stack_has_its_own_series_only():
    assert series({"instance_id": "i-1"}) == [("InstanceId", "i-1")]


def test_values_taken_more_often_than_each_minute_are_of_high_resolution() -> None:
    assert "StorageResolution" not in datums({"load_1": 0.5}, series(SETTINGS), 1700000000)[0]
    assert datums({"load_1": 0.5}, series(SETTINGS), 1700000000, period=10)[0]["StorageResolution"] == 1
