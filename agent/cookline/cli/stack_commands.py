"""OpsWorks' stack commands that are not lifecycle events: dependencies and cookbooks."""

from __future__ import annotations

from cookline.cli.dispatch import carry_out
from cookline.cli.options import AsJson, Comment, LockWait, On, Stack, Timeout
from cookline.cli.rollout import Batch, GateAfter, GateOption, GateWithin, MaxUnavailable
from cookline.cli.session import session


def install_dependencies(
    stack: Stack,
    on: On = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Install the packages that the setup recipes declare, and do nothing else of what they say.

    Example: cookline install_dependencies shop --on layer:app
    """
    from cookline.control.lifecycle.requests import INSTALL_DEPENDENCIES

    options = {"on": on, "comment": comment, "wait": wait, "timeout": timeout}
    carry_out("run", stack, as_json, recipes=(INSTALL_DEPENDENCIES,), **options)


def update_dependencies(
    stack: Stack,
    on: On = None,
    comment: Comment = "",
    wait: LockWait = 0.0,
    timeout: Timeout = None,
    batch: Batch = None,
    gate: GateOption = None,
    gate_within: GateWithin = None,
    gate_after: GateAfter = None,
    max_unavailable: MaxUnavailable = None,
    as_json: AsJson = False,
) -> None:
    """Install the security updates of the packages that are there (Debian and its kin). Nothing is rebooted.

    Example: cookline update_dependencies shop --batch 25%
    """
    from cookline.control.lifecycle.requests import UPDATE_DEPENDENCIES

    options = {"on": on, "comment": comment, "wait": wait, "timeout": timeout, "batch": batch, "gate": gate}
    options |= {"gate_within": gate_within, "gate_after": gate_after, "max_unavailable": max_unavailable}
    carry_out("run", stack, as_json, recipes=(UPDATE_DEPENDENCIES,), **options)


def update_cookbooks(stack: Stack) -> None:
    """Say which cookbooks the next run takes, and how newer ones get there. Hosts have no cookbooks of their own to update.

    Example: cookline update_cookbooks shop
    """
    from cookline.control.stack.revision import Revision

    here = session()
    pushed = here.store.revisions.get(stack)
    revision = Revision.load(pushed.content)
    for name, cookbook in sorted(revision.cookbooks.items()):
        here.say(f"{name:<20} {cookbook.version:<10} {revision.trees.get(f'cookbook:{name}', '')[:12]}")
    where = revision.directory / revision.file if revision.file else revision.directory
    here.say(f"Every run on {stack} takes these: revision {pushed.number} has frozen them, and hosts are sent what they lack.")
    here.say(f"`cookline push {where}` freezes newer ones, and runs no recipe.")
