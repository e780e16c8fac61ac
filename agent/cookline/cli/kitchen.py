"""cookline kitchen: suites of recipes on hosts of this machine, from nothing to verified."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.options import AsJson
from cookline.cli.render.kitchen import KitchenProgress, print_results
from cookline.cli.render.table import table
from cookline.cli.session import session
from cookline.errors import UsageError, did_you_mean, overall_exit_code

if TYPE_CHECKING:
    from cookline.kitchen.cases import Case
    from cookline.kitchen.kitchen import Kitchen, Result
    from cookline.kitchen.record import Records

kitchen = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Test recipes on hosts of this machine: suites of kitchen.yml, on each platform.",
)

Patterns = Annotated[
    list[str] | None, typer.Argument(help="Hosts: a name, a part of one, or a pattern (nginx-*); all without.")
]
Host = Annotated[str, typer.Argument(help="Name of a host of the kitchen, or a part that only one has.")]
Parallel = Annotated[int, typer.Option("--parallel", "-p", help="Hosts that are worked on at once.")]
JUnit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report to this file.")]
Once = Annotated[bool, typer.Option("--once", help="Converge once; without it the second converge must change nothing.")]

AT_ONCE = max(2, os.cpu_count() or 1)


@kitchen.command("list")
def list_hosts(patterns: Patterns = None, as_json: AsJson = False) -> None:
    """Show every suite on every platform, and how far its host has come.

    Example: cookline kitchen list nginx
    """
    from cookline.kitchen.cases import find_files, select

    here, records = session(), _records()
    cases = _cases([]) if find_files(here.cwd) else []
    by_name = {case.name: case for case in cases}
    free = [record.name for record in records.all() if record.name not in by_name]
    rows = []
    for name in select([*by_name, *free], patterns or []):
        record, case = records.get(name), by_name.get(name)
        rows.append(
            {
                "name": name,
                "suite": case.suite if case else None,
                "platform": case.platform if case else None,
                "provider": case.provider if case else record.provider,
                "address": record.host.get("address"),
                "state": record.state,
                "error": record.error,
            }
        )
    if as_json:
        here.json(rows)
        return
    columns = ("name", "suite", "platform", "provider", "address", "state")
    cells = [[*(row[column] for column in columns), (row["error"] or "").split("\n")[0][:60]] for row in rows]
    table(here, [*columns, "last error"], cells)


@kitchen.command()
def create(
    patterns: Patterns = None,
    hosts: Annotated[
        int | None, typer.Option("--hosts", help="Boot this many hosts (web1, web2, ..) without any suite.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="With --hosts: what they are called before the number.")] = "web",
    platform: Annotated[str, typer.Option("--platform", help="With --hosts: debian-11, debian-12, debian-13.")] = "debian-12",
    package: Annotated[list[str] | None, typer.Option("--package", help="With --hosts: what their apt can install.")] = None,
    as_json: AsJson = False,
) -> None:
    """Boot the hosts of suites, or plain hosts; `ssh -F .cookline/kitchen/ssh_config NAME` reaches them.

    Example: cookline kitchen create --hosts 20
    """
    if hosts is None:
        _go(patterns, "create", as_json)
        return
    if hosts < 1:
        raise UsageError("--hosts wants a number from 1 on")
    here, records = session(), _records()
    from cookline.kitchen.hosts import Hosts

    names = [f"{name}{number}" for number in range(1, hosts + 1)]
    made = Hosts(records)
    settings = {"image": platform, "packages": package or []}
    made.create([(each, "container", settings) for each in names], (lambda text: None) if as_json else here.say)
    if as_json:
        here.json([dict(records.get(each).host) for each in names])
    else:
        here.say(f"ssh -F {os.path.relpath(made.ssh_config, here.cwd)} {names[0]}")


@kitchen.command()
def converge(
    patterns: Patterns = None, parallel: Parallel = AT_ONCE, once: Once = False, junit: JUnit = None, as_json: AsJson = False
) -> None:
    """Plan, run, and run again: the second run must change nothing, and the run must do what the plan has said.

    Example: cookline kitchen converge nginx-debian-12
    """
    _go(patterns, "converge", as_json, parallel=parallel, again=not once, junit=junit)


@kitchen.command()
def verify(
    patterns: Patterns = None, parallel: Parallel = AT_ONCE, once: Once = False, junit: JUnit = None, as_json: AsJson = False
) -> None:
    """Run the testinfra tests of cookbooks/NAME/tests on the hosts; what comes before that is done first.

    Example: cookline kitchen verify nginx
    """
    _go(patterns, "verify", as_json, parallel=parallel, again=not once, junit=junit)


@kitchen.command()
def test(
    patterns: Patterns = None,
    destroy: Annotated[str, typer.Option("--destroy", help="Whose hosts go afterwards: passing, always, never.")] = "passing",
    parallel: Parallel = AT_ONCE,
    once: Once = False,
    junit: JUnit = None,
    as_json: AsJson = False,
) -> None:
    """From nothing: destroy, create, converge twice, verify, destroy.

    Example: cookline kitchen test -p 3 --junit report.xml
    """
    from cookline.kitchen.kitchen import DESTROY

    if destroy not in DESTROY:
        raise UsageError(f"--destroy is one of {', '.join(DESTROY)}, not {destroy!r}{did_you_mean(destroy, DESTROY)}")
    cases = _cases(patterns)
    with _progress(as_json) as progress:
        worker = _kitchen(progress, parallel=parallel, again=not once)
        results = worker.test(cases, destroy)
    _end(results, as_json, junit)


@kitchen.command("destroy")
def destroy_hosts(patterns: Patterns = None, as_json: AsJson = False) -> None:
    """Leave nothing of the hosts: no mounts, namespaces, cgroups, files.

    Example: cookline kitchen destroy
    """
    from cookline.kitchen.cases import select
    from cookline.kitchen.hosts import Hosts

    records = _records()
    names = select([record.name for record in records.all()], patterns or [])
    here = session()
    Hosts(records).destroy(names, (lambda text: None) if as_json else here.say)
    if as_json:
        here.json({"destroyed": names})


@kitchen.command()
def login(host: Host) -> None:
    """Open a shell on a host.

    Example: cookline kitchen login nginx-debian-12
    """
    line = _ssh(_one(host))
    session().close()
    os.execvp(line[0], line)


@kitchen.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(host: Host, command: Annotated[list[str], typer.Argument(help="What is run there, by its shell.")]) -> None:
    """Run a command on a host; its exit status is this command's.

    Example: cookline kitchen exec nginx-debian-12 -- systemctl status nginx
    """
    import subprocess

    given = command[1:] if command[0] == "--" else command
    words = given[0] if len(given) == 1 else shlex.join(given)
    done = subprocess.run(
        [*_ssh(_one(host)), words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    session().terminal.out(done.stdout)
    session().terminal.error(done.stderr)
    raise typer.Exit(done.returncode)


@kitchen.command()
def fault(
    word: Annotated[str, typer.Argument(metavar="FAULT", help="partition, heal, freeze, thaw, power-cut, boot, reboot.")],
    host: Host,
) -> None:
    """Do to a host what happens to hosts in real life; heal, thaw and boot mend it.

    Example: cookline kitchen fault partition web1
    """
    from cookline.kitchen.hosts import Hosts

    name = _one(host)
    Hosts(_records()).fault(word, name)
    session().say(f"{name}: {word}")


@kitchen.command()
def snapshot(stack: Annotated[str, typer.Argument(help="A pushed stack, by name or by its file.")]) -> None:
    """Print what the hosts of a stack are told of each other, for `snapshot: FILE` of a suite.

    Trim it to what the recipes look at. Values of secrets are not in it. Example: cookline kitchen snapshot shop > shop.json
    """
    from cookline.kitchen.stack_hosts import snapshot_of_stack

    session().json(snapshot_of_stack(session().directory, stack))


# -- what they share ---------------------------------------------------------------------------------------------------


def _go(patterns: Sequence[str] | None, phase: str, as_json: bool, *, junit: Path | None = None, **options: Any) -> None:
    cases = _cases(patterns)
    with _progress(as_json) as progress:
        results = _kitchen(progress, **options).go(cases, phase)
    _end(results, as_json, junit)


def _end(results: Sequence[Result], as_json: bool, junit: Path | None) -> None:
    here = session()
    if junit is not None:
        from cookline.kitchen.junit import write_junit

        write_junit(here.cwd / junit, results)
    if as_json:
        here.json([asdict(result) for result in results])
    else:
        print_results(here, results)
    raise typer.Exit(overall_exit_code(result.exit_code for result in results))


def _cases(patterns: Sequence[str] | None) -> list[Case]:
    from cookline.kitchen.cases import load_cases, select

    cases = load_cases(session().cwd)
    wanted = select([case.name for case in cases], patterns or [])
    return [case for case in cases if case.name in wanted]


def _kitchen(progress: KitchenProgress, **options: Any) -> Kitchen:
    from cookline.kitchen.kitchen import Kitchen

    made = Kitchen(session().directory, progress.event, **options)
    session().own(made)
    return made


def _progress(as_json: bool) -> KitchenProgress:
    return KitchenProgress(session(), quiet=as_json)


def _records() -> Records:
    from cookline.kitchen.record import Records

    return Records(session().directory / "kitchen")


def _one(pattern: str) -> str:
    from cookline.kitchen.cases import select
    from cookline.kitchen.hosts import Hosts

    found = [record.name for record in _records().all()]
    names = select(found, [pattern]) if found else []
    if len(names) > 1:
        raise UsageError(f"{pattern!r} means {len(names)} hosts: {', '.join(names)}", hint="name one of them")
    return names[0] if names else Hosts(_records()).known(pattern).name


def _ssh(name: str) -> list[str]:
    return ["ssh", "-F", str(session().directory / "kitchen" / "ssh_config"), name]
