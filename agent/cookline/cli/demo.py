"""cookline demo: four hosts on this machine, a shop built on them, deployed, reconfigured and measured, in seven steps."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.session import session
from cookline.cli.tour import PromiseBroken, Tour
from cookline.errors import EXIT_DIFFERS, EXIT_OK

if TYPE_CHECKING:
    from cookline.control.providers.base import Host, HostRequest, Provider

STACK = "shop"
BALANCER, SERVERS, DATABASE = "lb1", ("app1", "app2"), "db1"
LEAVING = "app2"

# A balancer checks each second; a server that was just started is in after two checks.
ANSWER_SECONDS = 10.0
# The agent's first values are collected within the server's minute, and some seconds for the way.
METRICS_SECONDS = 75.0

NEXT = """
The shop is up: http://{address}/   Try next:
  {cookline} status shop          instances, states, heartbeats
  {ssh}
  {cookline} drift shop --check   after you have changed something there
  {cookline} configure shop       puts it right again
  {cookline} runs shop            everything that was done
  {cookline} demo --down           ends it, as make demo-down does
"""


def demo(
    down: Annotated[bool, typer.Option("--down", help="Stop the server, destroy the hosts; nothing is left behind.")] = False,
) -> None:
    """Build the shop stack on four real hosts in containers on this machine, and show what cookline does. Needs root.

    Example: cookline demo; cookline demo --down
    """
    shop = Shop(Tour(session()))
    if down:
        shop.tear_down()
        return
    started = time.monotonic()
    shop.boot()
    shop.push()
    shop.converge()
    shop.visit()
    shop.lose_a_server()
    shop.converge_again()
    shop.measure()
    shop.tour.session.say(f"\nAll seven steps are as promised, in {time.monotonic() - started:.0f} s.")
    shop.tour.session.say(NEXT.format(address=shop.address(BALANCER), cookline=typed(), ssh=" ".join(shop.ssh(BALANCER))))


class Shop:
    """The demo's stack, and its seven steps. Each raises PromiseBroken when something is not as it should be."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.path = shop_definition(tour.session.cwd)

    # -- the steps -------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        from cookline.cli.serving import answers
        from cookline.cli.thin import SOCKET

        with self.tour.step("boot four Debian hosts in containers"):
            provider, requests = self.hosts()
            made = provider.create(requests, self.tour.say)
            expect(all(host.state == "running" for host in made), "all four hosts run")
            if answers(self.tour.session.directory / SOCKET):
                self.tour.say("the server runs already")
            else:
                self.tour.command("server", "--detach", "--port", "0")

    def push(self) -> None:
        with self.tour.step("push the stack and look at the plan"):
            self.tour.command("push", str(self.path))
            self.tour.command("plan", STACK, good=(EXIT_OK, EXIT_DIFFERS))

    def converge(self) -> None:
        with self.tour.step("setup, deploy and configure on all four at once"):
            stopped = [name for name, each in self.status().items() if each["last_event"] == "shutdown"]
            if stopped:  # by an earlier walk that was cut off in step 5
                self.tour.command("start", STACK, *stopped)
            self.tour.command("setup", STACK)
            states = {name: each["state"] for name, each in self.status().items()}
            expect(set(states.values()) == {"online"}, f"all instances are online, and not {states}")

    def visit(self) -> None:
        with self.tour.step("a request through haproxy is answered by each application server in turn"):
            for answer in self.turns(*SERVERS):
                row = answer["product"]
                self.tour.say(
                    f"GET http://{self.address(BALANCER)}/  from {answer['host']}: {row['name']}, {row['stock']} in stock"
                )

    def lose_a_server(self) -> None:
        with self.tour.step("an application server leaves, and comes back"):
            self.tour.command("stop", STACK, LEAVING)
            staying = {name for name in SERVERS if name != LEAVING}
            names = {self.get()["host"] for _ in range(4)}
            expect(names == staying, f"only {', '.join(staying)} answers, and not {', '.join(sorted(names))}")
            self.tour.say(f"four requests, all answered by {', '.join(names)}")
            self.tour.command("start", STACK, LEAVING)
            self.turns(*SERVERS)
            self.tour.say(f"{' and '.join(SERVERS)} answer again")

    def converge_again(self) -> None:
        with self.tour.step("the whole thing again: nothing to change"):
            seconds = self.tour.command("setup", STACK)
            last = self.tour.ask("runs", STACK, "--limit", "1")[0]
            changed = {f"{run['event']} on {run['instance']}": run["changed"] for run in last["runs"]}
            expect(
                len(changed) == 8 and not any(changed.values()),
                f"0 changed in setup and configure of four hosts, and not {changed}",
            )
            login = self.time_of_ssh()
            self.tour.say(f"0 changed on every host. Setup, deploy and configure of four hosts: {seconds:.2f} s.")
            self.tour.say(f"Beside it, one bare `ssh {BALANCER} true`: {login:.2f} s.")

    def measure(self) -> None:
        from cookline.cli.demo_metrics import charts

        with self.tour.step("CPU and memory, read back from the embedded sink by boto3"):
            ids = {name: each["id"] for name, each in self.status().items()}
            drawn = until(lambda: charts(self.tour.session.directory, ids), METRICS_SECONDS)
            expect(bool(drawn), "the sink has CPU and memory of each host")
            for line in drawn or []:
                self.tour.say(line)
            self.tour.say("(containers share this machine's CPU and memory, so the four look alike)")

    def tear_down(self) -> None:
        """Hosts and server go, and so does the directory, unless other stacks were pushed from it."""
        directory = self.tour.session.directory
        provider, requests = self.hosts()
        others = [each["stack"] for each in self.tour.ask("status") if each["stack"] != STACK]
        self.tour.command("server", "--stop")
        provider.destroy([request.name for request in requests], self.tour.session.say)
        if others:
            self.tour.session.say(f"{directory} stays: it knows {', '.join(others)} too")
        else:
            shutil.rmtree(directory)
            self.tour.session.say(f"{directory} is gone")

    # -- what they need --------------------------------------------------------------------------------------------

    def status(self) -> dict[str, dict[str, Any]]:
        """What `cookline status --json` says of each instance, by name."""
        return {each["name"]: each for each in self.tour.ask("status", STACK)["instances"]}

    def hosts(self) -> tuple[Provider, list[HostRequest]]:
        from cookline.control.providers.base import HostRequest
        from cookline.control.providers.registry import open_provider
        from cookline.control.stack.loading import load_stack

        instances = load_stack(self.path).stack.instances
        provider = open_provider("container", self.tour.session.directory)
        return provider, [HostRequest(name, each.settings) for name, each in instances.items()]

    def host(self, name: str) -> Host:
        provider, requests = self.hosts()
        return provider.status([request for request in requests if request.name == name])[0]

    def address(self, name: str) -> str:
        return str(self.host(name).address)

    def get(self) -> Any:
        """The shop's answer to one request through the balancer."""
        connection = http.client.HTTPConnection(self.address(BALANCER), 80, timeout=5)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise PromiseBroken(f"the balancer at {self.address(BALANCER)} does not answer: {error}") from None
        finally:
            connection.close()
        expect(answer.status == http.client.OK, f"the shop answers 200, and not {answer.status}: {text[:200].strip()}")
        return json.loads(text)

    def turns(self, *names: str) -> list[Any]:
        """Four answers, in which the two servers called `names` take turns, as soon as it is so."""

        def four() -> list[Any] | None:
            try:
                answers = [self.get() for _ in range(4)]
            except PromiseBroken:
                return None
            found = [answer["host"] for answer in answers]
            return answers if set(found) == set(names) and found[:2] == found[2:] else None

        answers = until(four, ANSWER_SECONDS)
        expect(answers, f"{' and '.join(names)} take turns within {ANSWER_SECONDS:.0f} s")
        return list(answers)

    def ssh(self, name: str) -> list[str]:
        host = self.host(name)
        key, known = os.path.relpath(str(host.identity_file)), os.path.relpath(self.tour.session.directory / "known_hosts")
        return ["ssh", "-i", key, "-o", f"UserKnownHostsFile={known}", f"{host.user}@{host.address}"]

    def time_of_ssh(self) -> float:
        line = ["ssh", "-F", "/dev/null", *self.ssh(BALANCER)[1:], "true"]
        started = time.monotonic()
        done = subprocess.run(line, capture_output=True, text=True)
        expect(done.returncode == 0, f"`{' '.join(line)}` works, and does not say: {done.stderr.strip()}")
        return time.monotonic() - started


def shop_definition(cwd: Path) -> Path:
    """stacks/shop.yml of this directory, else the one that was installed with cookline."""
    from cookline.control.stack.cookbooks import packaged_stacks

    own = cwd / "stacks" / "shop.yml"
    return Path(os.path.relpath(own, cwd)) if own.is_file() else packaged_stacks() / "shop.yml"


def typed() -> str:
    """The command as it can be typed here: on the path or in the virtual environment, and by sudo if that was needed."""
    own = Path(sys.executable).with_name("cookline")
    word = "cookline" if shutil.which("cookline") or not own.exists() else os.path.relpath(own)
    return f"sudo {word}" if "SUDO_USER" in os.environ else word


def expect(truth: object, promise: str) -> None:
    if not truth:
        raise PromiseBroken(f"promised was that {promise}", hint="`cookline status shop` and `cookline runs shop` tell more")


def until(answer: Callable[[], Any], seconds: float) -> Any:
    """The first true answer, or the last one when `seconds` are over."""
    deadline = time.monotonic() + seconds
    while not (found := answer()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
