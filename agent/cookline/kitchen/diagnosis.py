"""What a kitchen.yml comes to, and what the machine has for it: plain data for people and programs."""

from __future__ import annotations

from typing import Any

from cookline.control.providers.container import image
from cookline.control.providers.container.requirements import is_root, mending, missing_programs
from cookline.control.stack.attributes import merged_attributes
from cookline.control.stack.cookbooks import closure
from cookline.control.stack.run_list import run_list
from cookline.control.stack.secrets import to_plain
from cookline.kitchen.cases import Case


def case_as_data(case: Case) -> dict[str, Any]:
    """One host: where it comes from, what runs on it, with which attributes, and what looks at it. Secrets are references."""
    definition = case.file.definition(case.suite, case.platform, case.name)
    snapshot = case.file.snapshot(case.suite)
    recipes = {event: run_list(definition.stack, case.name, event) for event in case.file.events(case.suite)}
    attributes = merged_attributes(definition, case.name)
    books = closure(definition.cookbooks, [each.partition("::")[0] for some in recipes.values() for each in some])
    return {
        "file": case.file.document.file,
        "suite": case.suite,
        "platform": case.platform,
        "provider": case.provider,
        "settings": case.settings,
        "recipes": recipes,
        "attributes": {name: to_plain(values) for name, values in attributes.items() if name in books},
        "neighbours": [each["name"] for each in snapshot["instances"]],
        "tests": [str(path) for path in case.tests],
    }


def machine_as_data() -> dict[str, Any]:
    """What containers need of this machine, whether it has it, and the command that mends what it lacks."""
    cache = image.cache_directory()
    missing = missing_programs()
    return {
        "root": "yes" if is_root() else "no: the container provider needs it",
        "missing programs": missing,
        "mended by": mending(missing) if missing else None,
        "cache": str(cache),
        "images": {
            name: "built" if (cache / "images" / recipe.hash / "complete").exists() else "not built yet"
            for name, recipe in image.RECIPES.items()
        },
    }
