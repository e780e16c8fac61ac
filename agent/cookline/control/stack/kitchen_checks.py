"""kitchen.yml read and checked, with kitchen.local.yml laid over it."""

from __future__ import annotations

from pathlib import Path

from cookline.control.stack.cookbooks import recipe_problem
from cookline.control.stack.document import Document
from cookline.control.stack.events import LIFECYCLE_EVENTS
from cookline.control.stack.kitchens import LOCAL_FILE, KitchenFile, KitchenModel, Suite
from cookline.control.stack.mock import mock_problems, read_mock
from cookline.control.stack.overlaid import Overlaid, overlaid
from cookline.control.stack.problems import Where, raise_problems, shown
from cookline.errors import did_you_mean


def load_kitchen(path: Path | str) -> KitchenFile:
    """The kitchen.yml at `path`. Raises StackError with each problem's file, line, column, and the nearest right word."""
    from cookline.control.stack.wording import validated

    file = Path(path)
    document = _read(file)
    model = validated(KitchenModel, document)
    raise_problems(document.problems)
    assert model is not None
    directory = file.absolute().parent
    inside = (directory / "recipes").is_dir() or (directory / "cookbook.yml").is_file()
    kitchen = KitchenFile(model, document, directory, directory.name if inside else None)
    _check(kitchen)
    raise_problems(document.problems)
    return kitchen


def _read(file: Path) -> Document:
    from cookline.control.stack.reading import read

    document = overlaid(read(file), file.with_name(LOCAL_FILE))
    if not isinstance(document.data, dict):
        if not document.problems:
            document.problem((), "a kitchen.yml is a mapping with `suites`")
        raise_problems(document.problems)
    if isinstance(document, Overlaid) and isinstance(own := document.high.data.get("providers"), dict):
        # the first one is the default, and this machine's come first
        document.data["providers"] = {name: document.data["providers"][name] for name in [*own, *document.data["providers"]]}
    return document


def _check(kitchen: KitchenFile) -> None:
    from cookline.control.stack.checks import check_level

    document, model = kitchen.document, kitchen.model
    for name, platform in model.platforms.items():
        where: Where = ("platforms", name, "attributes")
        check_level(document, where, platform.attributes, kitchen.cookbooks, set(), set())
    for name, suite in model.suites.items():
        where = ("suites", name)
        _check_words(document, where, suite, model)
        _check_files(kitchen, where, suite)
        _check_recipes(kitchen, name, suite)
        if suite.stack is None:
            check_level(document, (*where, "attributes"), suite.attributes, kitchen.cookbooks, set(suite.apps), set())
        else:
            _check_stack(kitchen, name, suite)


def _check_words(document: Document, where: Where, suite: Suite, model: KitchenModel) -> None:
    for key in ("platforms", "excludes"):
        for index, each in enumerate(getattr(suite, key)):
            if each not in model.platforms:
                near = did_you_mean(each, model.platforms) or f"; platforms are {', '.join(model.platforms)}"
                document.problem((*where, key, index), f"there is no platform {each!r}{near}")
    for index, event in enumerate(suite.events):
        if event not in LIFECYCLE_EVENTS:
            near = did_you_mean(event, LIFECYCLE_EVENTS) or f"; events are {', '.join(LIFECYCLE_EVENTS)}"
            document.problem((*where, "events", index), f"there is no event {event!r}{near}")


def _check_files(kitchen: KitchenFile, where: Where, suite: Suite) -> None:
    """Its tests are there; its snapshot can be read, and is one."""
    for index, text in enumerate(suite.tests):
        if not (kitchen.directory / text).exists():
            kitchen.document.problem(
                (*where, "tests", index), f"there is no file or folder {text!r} in {shown(kitchen.directory)}"
            )
    try:
        for way, sentence in mock_problems(read_mock(suite.snapshot, kitchen.directory)):
            told = f"{suite.snapshot}: {sentence}" if isinstance(suite.snapshot, str) else sentence
            kitchen.document.problem((*where, "snapshot", *way), told, key=True)
    except ValueError as error:
        kitchen.document.problem((*where, "snapshot"), str(error))


def _check_recipes(kitchen: KitchenFile, name: str, suite: Suite) -> None:
    written = kitchen.document.data["suites"][name].get("recipes")
    for event in LIFECYCLE_EVENTS if suite.recipes else ():
        for index, address in enumerate(getattr(suite.recipes, event)):
            problem = recipe_problem(address, kitchen.cookbooks)
            if problem:
                place: Where = (index,) if isinstance(written, list) else (event, index)
                kitchen.document.problem(("suites", name, "recipes", *place), problem)


def _check_stack(kitchen: KitchenFile, name: str, suite: Suite) -> None:
    path = kitchen.directory / Path(str(suite.stack)).expanduser()
    if not path.is_file():
        kitchen.document.problem(("suites", name, "stack"), f"there is no file {suite.stack!r}")
        return
    from cookline.control.stack.loading import load_stack

    layers = load_stack(path).stack.layers
    for index, layer in enumerate((suite.layer, *suite.layers)):
        if layer not in layers:
            where: Where = ("layer",) if index == 0 else ("layers", index - 1)
            near = did_you_mean(str(layer), layers) or f"; layers are {', '.join(layers)}"
            kitchen.document.problem(("suites", name, *where), f"there is no layer {layer!r}{near}")
