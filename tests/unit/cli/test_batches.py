"""The head of a live rollout: which batch, which instances, what the gates say, how much time is left."""

from __future__ import annotations

from typing import Any

from cookline.cli.render.batches import Batches


class Shown:
    """Three batches of four instances, on a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.batches = Batches(lambda: self.now)

    def batch(self, number: int, *names: str, before: int) -> None:
        self.tell("batch", number=number, of=3, instances=list(names), before=before, all=4)

    def tell(self, kind: str, instance: str = "", **values: Any) -> None:
        self.batches.event(instance, {"kind": kind, "command": "01J", **values})

    @property
    def line(self) -> str:
        return self.batches.line()


def test_it_says_where_the_rollout_stands_and_how_long_it_takes() -> None:
    shown = Shown()
    assert shown.line == ""
    shown.batch(0, "app1", before=0)
    assert shown.line == "batch 1 of 3, instances 1-1 of 4"
    shown.tell("gate", "app1", number=0, gate="ssh:true", passed=None)
    assert shown.line == "batch 1 of 3, instances 1-1 of 4, gates 0 of 1"
    shown.tell("gate", "app1", number=0, gate="ssh:true", passed=True)
    shown.now += 10
    shown.tell("batch_ended", number=0, verdict="go on", reason=None)
    shown.batch(1, "app2", "app3", before=1)
    assert shown.line == "batch 2 of 3, instances 2-3 of 4, about 20 s left"


def test_one_that_stops_or_waits_says_so_instead_of_a_time() -> None:
    shown = Shown()
    shown.batch(0, "app1", before=0)
    shown.tell("batch_ended", number=0, verdict="stop", reason="1 of 4 failed, tolerated are 0")
    assert shown.line == "batch 1 of 3, instances 1-1 of 4, stops: 1 of 4 failed, tolerated are 0"
    shown.tell("paused", number=1)
    assert shown.line.endswith("paused before batch 2; `cookline resume 01J` lets it go on")
