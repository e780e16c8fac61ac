"""Run as a process of its own by the crash tests: dispatches one command on dummy hosts whose journals lie on disk.

controller.py DIRECTORY KIND SECONDS     prints each event's kind and instance as it happens
controller.py DIRECTORY resume SECONDS
controller.py DIRECTORY JSON SECONDS [INSTANCES]   any command, its fields as JSON; INSTANCES are names to layers
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import DiskTransport, Kitchen

from cookline.control.lifecycle.command import Command


def main(directory: Path, kind: str, seconds: float, names: str = '{"lb1": "lb", "app1": "app", "app2": "app"}') -> None:
    instances = json.loads(names)
    kitchen = Kitchen(directory, instances, transport=DiskTransport(directory / "disks", seconds))

    def show(instance: str, event: dict[str, Any]) -> None:
        print(event["kind"], instance or "-", event.get("outcome", "-"), flush=True)

    kitchen.dispatcher.progress.subscribe(show)
    dispatcher = kitchen.dispatcher
    command = Command.from_dict(json.loads(kind)) if kind.startswith("{") else Command(kind, "shop")
    for report in dispatcher.resume() if kind == "resume" else [dispatcher.dispatch(command)]:
        print("report", report.kind, report.exit_code, dict(report.totals), flush=True)
    kitchen.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *sys.argv[4:])
