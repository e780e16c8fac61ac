"""cookline terminate: the end of hosts that a provider has made."""

from __future__ import annotations

from cookline.cli.options import AsJson, Instances, Stack
from cookline.cli.pushing import author
from cookline.cli.session import session
from cookline.errors import EXIT_OK, RunError, UsageError, did_you_mean


def terminate(
    stack: Stack,
    instances: Instances,
    as_json: AsJson = False,
) -> None:
    """Run the shutdown recipes, configure those that stay, destroy the hosts with their disks, and push the stack without them.

    Example: cookline terminate shop app2
    """
    from cookline.control.lifecycle.command import Command
    from cookline.control.lifecycle.states import move
    from cookline.control.stack.amending import without_instance
    from cookline.control.stack.revision import Revision

    here = session()
    revision = Revision.load(dict(here.store.revisions.get(stack).content))
    known = {each.name: each for each in here.store.instances.of(here.store.revisions.stack_id(stack))}
    for name in instances:
        if name not in known:
            raise UsageError(f"stack {stack} has no instance {name!r}{did_you_mean(name, known)}")
        if not here.dispatcher.hosts.provider(known[name].provider).can_start:
            raise UsageError(f"{name} was not made by cookline", hint=f"cookline deregister {name} --stack {stack}")
    running = [name for name in instances if known[name].state not in ("stopped", "terminating", "terminated")]
    if running:
        report = here.dispatcher.dispatch(Command("stop", stack, on=",".join(running), initiated_by=here.asked_by))
        left = [each.id for each in here.store.instances.of(known[running[0]].stack_id) if each.state != "stopped"]
        stuck = [name for name in running if known[name].id in left]
        if stuck and report.exit_code != EXIT_OK:
            raise RunError(
                f"{', '.join(stuck)} did not stop, so nothing was destroyed", hint=f"`cookline status {stack}` shows why"
            )
    told = (lambda text: None) if as_json else here.say
    for name in instances:
        if known[name].state != "terminated":
            move(here.store, known[name].id, "terminating")
            here.dispatcher.hosts.provider(known[name].provider).destroy([name], told)
            move(here.store, known[name].id, "terminated")
        revision = without_instance(revision, name)
    here.store.push(revision, author=author(), message=f"terminate {', '.join(instances)}")
    if as_json:
        here.json([{"stack": stack, "instance": name, "state": "terminated"} for name in instances])
        return
    here.say(f"take {', '.join(instances)} out of {revision.file} too: a push of it as it is would bring back what is gone")
