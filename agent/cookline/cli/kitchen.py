"""cookline kitchen: suites of recipes on hosts of this machine, from nothing to verified."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli.kitchen_hosts import execute, fault, login, logs, records_here, snapshot
from cookline.cli.kitchen_project import diagnose, init
from cookline.cli.options import AsJson
from cookline.cli.render.kitchen import KitchenProgress, print_results
from cookline.cli.render.table import table
from cookline.cli.session import session
from cookline.errors import UsageError, did_you_mean, overall_exit_code

if TYPE_CHECKING:
    from cookline.kitchen.cases import Case
    from cookline.kitchen.kitchen import Kitchen
    from cookline.kitchen.result import Result

kitchen = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Test recipes on hosts of this machine: suites of kitchen.yml, on each platform.",
)

Patterns = Annotated[
    list[str] | None, typer.Argument(help="Hosts: a name, a part of one, or a pattern (nginx-*); all without.")
]
Parallel = Annotated[int, typer.Option("--parallel", "-p", help="Hosts that are worked on at once.")]
JUnit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report to this file.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Begin nothing more after the first failure.")]
Once = Annotated[bool, typer.Option("--once", help="Converge once; without it the second converge must change nothing.")]

AT_ONCE = max(2, os.cpu_count() or 1)


@kitchen.command("list")
def list_hosts(patterns: Patterns = None, as_json: AsJson = False) -> None:
    """Show every suite on every platform, and how far its host has come.

    Example: cookline kitchen list nginx
    """
    from cookline.kitchen.cases import find_files, select

    here, records = session(), records_here()
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
    if not rows:
        here.say("there is no kitchen.yml here, nor in cookbooks/*/; `cookline kitchen init COOKBOOK` writes one")
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
    here, records = session(), records_here()
    from cookline.kitchen.hosts import Hosts
    from cookline.kitchen.locks import holding

    names = [f"{name}{number}" for number in range(1, hosts + 1)]
    made = Hosts(records)
    settings = {"image": platform, "packages": package or []}
    with holding(records, names):
        made.create([(each, "container", settings) for each in names], (lambda text: None) if as_json else here.say)
    if as_json:
        here.json([dict(records.get(each).host) for each in names])
    else:
        here.say(f"ssh -F {os.path.relpath(made.ssh_config, here.cwd)} {names[0]}")


@kitchen.command()
def converge(
    patterns: Patterns = None,
    parallel: Parallel = AT_ONCE,
    once: Once = False,
    fail_fast: FailFast = False,
    junit: JUnit = None,
    as_json: AsJson = False,
) -> None:
    """Plan, run, and run again: the second run must change nothing, and the run must do what the plan has said.

    Example: cookline kitchen converge nginx-debian-12
    """
    _go(patterns, "converge", as_json, parallel=parallel, again=not once, fail_fast=fail_fast, junit=junit)


@kitchen.command()
def verify(
    patterns: Patterns = None,
    parallel: Parallel = AT_ONCE,
    once: Once = False,
    fail_fast: FailFast = False,
    junit: JUnit = None,
    as_json: AsJson = False,
) -> None:
    """Run the testinfra tests of cookbooks/NAME/tests on the hosts; what comes before that is done first.

    Example: cookline kitchen verify nginx
    """
    _go(patterns, "verify", as_json, parallel=parallel, again=not once, fail_fast=fail_fast, junit=junit)


@kitchen.command()
def test(
    patterns: Patterns = None,
    destroy: Annotated[str, typer.Option("--destroy", help="Whose hosts go afterwards: passing, always, never.")] = "passing",
    parallel: Parallel = AT_ONCE,
    once: Once = False,
    fail_fast: FailFast = False,
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
        worker = _kitchen(progress, parallel=parallel, again=not once, fail_fast=fail_fast)
        with _telling_what_stays(cases):
            results = worker.test(cases, destroy)
    _end(results, as_json, junit)


@kitchen.command("destroy")
def destroy_hosts(patterns: Patterns = None, as_json: AsJson = False) -> None:
    """Leave nothing of the hosts: no mounts, namespaces, cgroups, files.

    Example: cookline kitchen destroy
    """
    from cookline.kitchen.cases import select

    here = session()
    made = [record.name for record in records_here().all()]
    if not made and not as_json:
        here.say("the kitchen has no hosts")
    with _progress(as_json) as progress:
        names = _kitchen(progress).destroy(select(made, (patterns or []) if made else []))
    if as_json:
        here.json({"destroyed": names})


# -- what they share ---------------------------------------------------------------------------------------------------


def _go(patterns: Sequence[str] | None, phase: str, as_json: bool, *, junit: Path | None = None, **options: Any) -> None:
    cases = _cases(patterns)
    with _progress(as_json) as progress:
        worker = _kitchen(progress, **options)
        with _telling_what_stays(cases):
            results = worker.go(cases, phase)
    _end(results, as_json, junit)


@contextlib.contextmanager
def _telling_what_stays(cases: Sequence[Case]) -> Iterator[None]:
    """After Ctrl-C, or what a CI server sends: nothing goes on by itself, and what was made is there still."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        staying = [case.name for case in cases if records_here().has(case.name)]
        if staying:
            session().warn(f"{', '.join(staying)} may be half done: go on with it, or `cookline kitchen destroy`")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


for command in (init, diagnose, login, logs, fault, snapshot):
    kitchen.command()(command)
kitchen.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(execute)
