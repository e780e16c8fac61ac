"""Hosts that a push would leave alone with everything that runs on them (features O9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cookline.errors import UsageError

if TYPE_CHECKING:
    from cookline.control.stack.revision import Revision
    from cookline.control.store.store import Store

# Their hosts run nothing of ours, or no longer answer.
LET_GO = frozenset({"stopped", "registered", "start_failed", "connection_lost", "terminated"})


def refuse_to_abandon(store: Store, revision: Revision) -> None:
    """Raises UsageError when hosts that are up would drop out of the stack."""
    stack = revision.stack.name
    if stack not in store.revisions.stacks():
        return
    instances = store.instances.of(store.revisions.stack_id(stack))
    left = [each for each in instances if each.name not in revision.stack.instances and each.state not in LET_GO]
    if left:
        first = left[0]
        end = f"deregister {first.name} --stack {stack}" if first.provider == "static" else f"terminate {stack} {first.name}"
        names = ", ".join(f"{each.name} ({each.state})" for each in left)
        raise UsageError(
            f"the definition no longer has {names}: hosts that are up would be left to themselves",
            hint=f"first `cookline {end}`; --abandon pushes it as it is",
        )
