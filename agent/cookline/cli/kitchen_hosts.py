"""cookline kitchen login, exec, logs, fault, snapshot: one host of the kitchen at a time."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from cookline.cli.options import AsJson
from cookline.cli.render.kitchen import logged_line
from cookline.cli.session import session
from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.kitchen.record import Records

Host = Annotated[str, typer.Argument(help="Name of a host of the kitchen, or a part that only one has.")]


def login(host: Host) -> None:
    """Open a shell on a host.

    Example: cookline kitchen login nginx-debian-12
    """
    _become(_ssh(_one(host)))


def execute(host: Host, command: Annotated[list[str], typer.Argument(help="What is run there, by its shell.")]) -> None:
    """Run a command on a host; its exit status is this command's.

    Example: cookline kitchen exec nginx-debian-12 -- systemctl status nginx
    """
    given = command[1:] if command[0] == "--" else command
    _become([*_ssh(_one(host)), given[0] if len(given) == 1 else shlex.join(given)])


def logs(host: Host, as_json: AsJson = False) -> None:
    """Show what happened on a host in its last command: plans, runs with their differences, tests.

    The host may be gone. Example: cookline kitchen logs nginx-debian-12
    """
    records = records_here()
    name = _among(records.logged(), host)
    events = records.read_log(name)
    if as_json:
        session().json(events)
        return
    for event in events:
        line = logged_line(event, float(events[0]["time"]))
        if line is not None:
            session().say(line)


def fault(
    word: Annotated[str, typer.Argument(metavar="FAULT", help="partition, heal, freeze, thaw, power-cut, boot, reboot.")],
    host: Host,
) -> None:
    """Do to a host what happens to hosts in real life; heal, thaw and boot mend it.

    Example: cookline kitchen fault partition web1
    """
    from cookline.kitchen.hosts import Hosts

    name = _one(host)
    Hosts(records_here()).fault(word, name)
    session().say(f"{name}: {word}")


def snapshot(stack: Annotated[str, typer.Argument(help="A pushed stack, by name or by its file.")]) -> None:
    """Print what the hosts of a stack are told of each other, for `snapshot: FILE` of a suite.

    Trim it to what the recipes look at. Values of secrets are not in it. Example: cookline kitchen snapshot shop > shop.json
    """
    from cookline.kitchen.stack_hosts import snapshot_of_stack

    session().json(snapshot_of_stack(session().directory, stack))


def records_here() -> Records:
    from cookline.kitchen.record import Records

    return Records(session().directory / "kitchen")


def _one(pattern: str) -> str:
    from cookline.kitchen.hosts import Hosts

    found = [record.name for record in records_here().all() if record.state != "absent"]
    return _among(found, pattern) if found else Hosts(records_here()).known(pattern).name


def _among(names: list[str], pattern: str) -> str:
    from cookline.kitchen.cases import select

    chosen = select(names, [pattern])
    if len(chosen) > 1:
        raise UsageError(f"{pattern!r} means {len(chosen)} hosts: {', '.join(chosen)}", hint="name one of them")
    return chosen[0]


def _ssh(name: str) -> list[str]:
    return ["ssh", "-F", str(session().directory / "kitchen" / "ssh_config"), name]


def _become(line: list[str]) -> None:
    """Go on as this program: its terminal, its signals, its exit status."""
    session().close()
    try:
        os.execvp(line[0], line)
    except FileNotFoundError:
        raise UsageError("there is no ssh on this machine", hint="sudo apt-get install --yes openssh-client") from None
