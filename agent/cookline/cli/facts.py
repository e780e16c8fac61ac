"""cookline facts: what a host is, as recipes see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from cookline.cli import completion
from cookline.cli.options import AsJson
from cookline.cli.render.text import printable
from cookline.cli.session import session
from cookline.errors import CooklineError, SelectorError, did_you_mean


def facts(
    instance: Annotated[str, typer.Argument(help="Name of an instance.", autocompletion=completion.instances)],
    key: Annotated[str, typer.Argument(help="One fact or group, such as os or os.codename; all without.")] = "",
    stack: Annotated[str, typer.Option("--stack", help="Its stack, where the name is not enough.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a host for its facts, those of its cookbooks too; each is read on the host when it is asked for.

    Example: cookline facts web1 os.codename
    """
    here = session()
    name, _, rest = key.partition(".")
    found = _found(instance, stack)
    trees = _cookbooks(found)
    answer = here.dispatcher.conversation(found).facts([name] if name else [], trees)
    if name and name in answer["errors"]:
        hint = "a plan or a run brings the cookbook there" if f"cookbook:{name}" in trees else None
        kind = CooklineError if name in answer["cookbooks"] else SelectorError
        raise kind(f"{instance}: {printable(answer['errors'][name])}", hint=hint)
    value = answer["facts"]
    if name:
        value = _inside(value[name], rest, key) if rest else value[name]
    for cookbook, error in answer["errors"].items():
        here.warn(f"{printable(cookbook)}: {printable(error)}")
    if as_json:
        here.json(value)
        return
    for path, each in _flat(value, key):
        here.say(f"{path} = {printable(each)}" if path != key or isinstance(value, Mapping) else printable(each))


def _found(instance: str, stack: str) -> Any:
    """The instance of that name. Raises SelectorError when none or several stacks have one."""
    store = session().store
    stacks = [stack] if stack else store.revisions.stacks()
    every = [each for name in stacks for each in store.instances.of(store.revisions.stack_id(name))]
    found = [each for each in every if each.name == instance]
    if len(found) == 1:
        return found[0]
    if found:
        raise SelectorError(f"several stacks have an instance {instance!r}", hint="name one with --stack")
    names = [each.name for each in every]
    raise SelectorError(f"there is no instance {instance!r}{did_you_mean(instance, names)}", hint="cookline status lists them")


def _cookbooks(instance: Any) -> dict[str, str]:
    """The cookbooks of the stack's newest revision, as a run names them."""
    here = session()
    stack = here.store.revisions.name_of(instance.stack_id)
    revision = here.dispatcher.revisions.get(stack, here.store.revisions.newest(stack))
    return {key: tree for key, tree in revision.trees.items() if key.startswith("cookbook:")}


def _inside(value: Any, path: str, whole: str) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            known = list(value) if isinstance(value, Mapping) else []
            raise SelectorError(f"there is no fact {whole!r}{did_you_mean(name, known)}")
        value = value[name]
    return value


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """("os.codename", "bookworm") for every leaf."""
    if not isinstance(value, Mapping):
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else value
        return
    for name, each in sorted(value.items()):
        yield from _flat(each, f"{path}.{name}" if path else name)
