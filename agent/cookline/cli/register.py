"""cookline register and deregister: a host that exists already becomes an instance, or is let go without a trace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cookline.cli import completion
from cookline.cli.options import AsJson
from cookline.cli.pushing import author
from cookline.cli.session import session
from cookline.cli.trust import target_of_place, trusted
from cookline.errors import EXIT_OK, CooklineError, HostKeyError, RunError, UsageError, did_you_mean

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision
    from cookline.control.store.instances import Instance

StackOption = Annotated[str, typer.Option("--stack", help="The pushed stack.")]


def register(
    place: Annotated[str, typer.Argument(metavar="[USER@]HOST[:PORT]", help="How the host is reached over SSH.")],
    stack: StackOption,
    layer: Annotated[list[str], typer.Option("--layer", help="A layer of the stack; may be given several times.")],
    name: Annotated[str, typer.Option("--name", help="Name of the instance; the host's own without.")] = "",
    identity_file: Annotated[Path | None, typer.Option("--identity-file", "-i", help="Private key to log in with.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the instance into the stack's file as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Pin the host's key without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an instance of a host that exists: pin its key, log in, and push the stack with it. Nothing is installed yet.

    Example: cookline register ops@192.0.2.7 --stack shop --layer app --name app3
    """
    from cookline.control.stack.amending import with_instance
    from cookline.control.stack.revision import Revision
    from cookline.control.stack.writing import add_instance, instance_line

    here = session()
    newest = here.store.revisions.get(stack)
    revision = Revision.load(dict(newest.content))
    if not trusted(place, yes=yes, quiet=as_json)["trusted"]:
        raise HostKeyError(
            f"the key of {place} is not trusted, so nothing was registered", hint="--yes pins the key that it shows"
        )
    key = str((here.cwd / identity_file.expanduser()).absolute()) if identity_file else None
    name = name or _own_name(place, key)
    target = target_of_place(place)
    fields = {"layers": layer, "address": target.address, "port": target.port, "user": target.user, "identity_file": key}
    amended = with_instance(revision, name, {field: value for field, value in fields.items() if value is not None})
    made = amended.stack.instances[name]
    file = _definition(revision)
    if write:
        add_instance(file, name, made)
    _push(amended, f"register {name}")
    instance = _instance(stack, name)
    _walk(instance, "registering", "registered")
    line = instance_line(name, made)
    if as_json:
        here.json({"stack": stack, "instance": name, "id": instance.id, "state": "registered", "line": line, "written": write})
        return
    here.say(f"{name} is registered in {stack}; `cookline setup {stack} --on {name}` sets it up")
    if write:
        here.say(f"  {file} has it too")
    else:
        here.say(f"  put this below `instances:` in {file}, or the next push of that file forgets it:\n\n  {line}")


def deregister(
    name: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name of the instance.", autocompletion=completion.instances)],
    stack: StackOption,
    forget: Annotated[bool, typer.Option("--forget", help="Give a host up that no longer answers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a registered host go: shutdown recipes, agent and everything of cookline's taken off it, gone from the stack.

    What recipes have installed stays: it is the host's own.

    Example: cookline deregister app3 --stack shop
    """
    from cookline.control.lifecycle.command import Command
    from cookline.control.stack.amending import without_instance
    from cookline.control.stack.revision import Revision

    here = session()
    revision = Revision.load(dict(here.store.revisions.get(stack).content))
    instance = _instance(stack, name)
    if instance.provider != "static":
        raise UsageError(
            f"{name} comes from the provider {instance.provider}, which makes and destroys its hosts itself",
            hint=f"`cookline stop {stack} {name}`, then take it out of the definition",
        )
    if instance.state not in ("registered", "stopped", "deregistering", "terminated") and not forget:
        report = here.dispatcher.dispatch(Command("shutdown", stack, on=name, power_off=False, initiated_by=here.asked_by))
        if report.exit_code != EXIT_OK:
            reason = next((each.reason for each in report.results if each.instance == name and each.reason), "it failed")
            raise RunError(f"{name} was not shut down: {reason}", hint=f"`cookline deregister {name} --stack {stack} --forget`")
    if instance.state != "terminated":
        _uninstall(_instance(stack, name), forget)
    _push(without_instance(revision, name), f"deregister {name}")
    if as_json:
        here.json({"stack": stack, "instance": name, "state": "terminated"})
        return
    here.say(f"{name} is no longer of {stack}, and nothing of cookline is left on it" if not forget else f"{name} is forgotten")
    here.say(f"  take it out of {_definition(revision)} too")


def _own_name(place: str, key: str | None) -> str:
    """The host's own name, as far as it can be one of an instance."""
    from dataclasses import replace

    from cookline.control.transport.conversation import Conversation
    from cookline.control.transport.pool import Pool

    with Pool() as pool:
        facts = Conversation(pool, replace(target_of_place(place), identity_file=key)).facts(["hostname"]).get("facts")
    said = str(facts.get("hostname", "")) if isinstance(facts, dict) else ""
    name = re.sub(r"[^A-Za-z0-9-]", "-", said.split(".")[0])[:63].strip("-")
    if not name or name == "localhost":
        raise UsageError(f"{place} calls itself {said[:80]!r}, which is no name for an instance", hint="--name gives it one")
    return name


def _definition(revision: Revision) -> Path:
    return revision.directory / Path(revision.file).name


def _push(revision: Revision, message: str) -> None:
    session().store.push(revision, author=author(), message=message)


def _instance(stack: str, name: str) -> Instance:
    here = session()
    instances = {each.name: each for each in here.store.instances.of(here.store.revisions.stack_id(stack))}
    if name not in instances:
        raise UsageError(f"stack {stack} has no instance {name!r}{did_you_mean(name, instances)}")
    return instances[name]


def _walk(instance: Instance, *states: str) -> None:
    from cookline.control.lifecycle.states import move

    with session().store.database.transaction():
        for state in states:
            move(session().store, instance.id, state)


def _uninstall(instance: Instance, forget: bool) -> None:
    here = session()
    if forget and instance.state not in ("registered", "stopped", "connection_lost", "deregistering"):
        _walk(instance, "connection_lost")
    _walk(instance, "deregistering")
    try:
        here.dispatcher.conversation(instance).uninstall()
    except CooklineError as error:
        if not forget:
            _walk(instance, "connection_lost")
            raise RunError(
                f"{instance.name} still has what cookline put there: {error.message}",
                hint=f"when it answers again, try again; --forget gives it up: cookline deregister {instance.name} .. --forget",
            ) from error
    _walk(instance, "terminated")


__all__: list[Any] = ["deregister", "register"]
