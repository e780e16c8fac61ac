"""What a push changes for those who are online: where the others are, which balancers serve them, who left (features O16).

Everything else that a push brings (recipes, attributes, apps) waits for a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cookline.control.stack.models import Stack
    from cookline.control.store.store import Store


def known_of(store: Store, stack: Stack, stack_id: str) -> dict[str, Any]:
    """What the others know of each instance that is online, as plain data: {"addresses", "balancers", "let_go"}."""
    online = [each for each in store.instances.of(stack_id) if each.online and each.name in stack.instances]
    drains = {name: layer.drain for name, layer in stack.layers.items() if layer.drain is not None}
    return {
        "addresses": {each.name: each.address for each in online},
        "balancers": {name: sorted(drain.layers) for name, drain in drains.items()},
        "let_go": store.instances.let_go(stack_id),
    }


def amendment(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why everybody has to be configured, as a sentence; "" for no reason. Who came or went by a command is none: it told them.

    >>> known = {"addresses": {"web1": "192.0.2.1"}, "balancers": {}, "let_go": []}
    >>> amendment(known, {**known, "addresses": {"web1": "192.0.2.2"}})
    'web1 has another address'
    """
    both = before["addresses"].keys() & now["addresses"].keys()
    moved = sorted(name for name in both if before["addresses"][name] != now["addresses"][name])
    left = sorted(set(now["let_go"]) - set(before["let_go"]))
    reasons = [f"{', '.join(moved)} {'have' if len(moved) > 1 else 'has'} another address"] if moved else []
    reasons += [f"{', '.join(left)} {'were' if len(left) > 1 else 'was'} let go"] if left else []
    balancers = {**before["balancers"], **now["balancers"]}
    other = sorted(name for name in balancers if before["balancers"].get(name) != now["balancers"].get(name))
    reasons += [f"layer {', '.join(other)} has other balancers"] if other else []
    return "; ".join(reasons)
