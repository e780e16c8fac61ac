from hypothesis import given
from hypothesis import strategies as st

from cookline.host.resident.schedule import Schedule, until_aligned


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_work_is_done_when_it_is_due_oldest_first():
    clock, done = Clock(), []
    schedule = Schedule(clock)
    schedule.after(5, "later", lambda: done.append("later"))
    schedule.after(2, "sooner", lambda: done.append("sooner"))
    assert schedule.wait() == 2
    schedule.run_due(lambda name, work: work())
    assert done == []
    clock.now += 5
    schedule.run_due(lambda name, work: work())
    assert done == ["sooner", "later"] and schedule.wait() is None


def test_the_same_work_again_replaces_what_waits():
    clock, done = Clock(), []
    schedule = Schedule(clock)
    schedule.after(1, "work", lambda: done.append(1))
    schedule.after(9, "work", lambda: done.append(2))
    clock.now += 1
    schedule.run_due(lambda name, work: work())
    assert done == [] and schedule.wait() == 8


def test_work_that_an_earlier_one_cancels_is_not_done():
    clock, done = Clock(), []
    schedule = Schedule(clock)
    schedule.after(1, "first", lambda: schedule.cancel("second"))
    schedule.after(2, "second", lambda: done.append("second"))
    clock.now += 2
    schedule.run_due(lambda name, work: work())
    assert done == []


@given(
    period=st.sampled_from([1.0, 60.0, 300.0]),
    identity=st.text(min_size=1),
    now=st.floats(1e9, 2e9),
)
def test_samples_are_in_step_with_a_moment_of_the_host_s_own(period, identity, now):
    first = until_aligned(period, identity, now)
    assert 0 < first <= period + 1e-6
    second = until_aligned(period, identity, now + first + 0.001)
    assert abs(second - (period - 0.001)) < 1e-3


def test_hosts_do_not_all_speak_at_once():
    assert len({round(until_aligned(60, f"i-{number}", 0.0)) for number in range(50)}) > 20
